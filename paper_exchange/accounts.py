"""Who may come in: API keys and their accounts, by venue.

With a `credentials.json` in the home (or accounts given by hand) the door is strict. Without, any
key opens an account of its own on first use; nobody told us its secret, so its signature cannot be
checked.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperAccount:
    """One account at one venue; without a secret its signature is not checked."""

    name: str
    exchange: str
    api_key: str
    api_secret: str | None = field(default=None, repr=False)
    api_passphrase: str | None = field(default=None, repr=False)

    @property
    def id(self) -> str:
        """Key of its state: names are unique within a venue only."""
        return f"{self.exchange}:{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRights:
    """What an API key may do at its venue; as long as nobody says otherwise: read and trade."""

    is_read_only: bool = False
    can_withdraw: bool = False
    expires_at_ms: int | None = None  # None = never
    ips: tuple[str, ...] = ()  # () = from every address; told, not enforced


def venue_of(account_id: str) -> str:
    """The venue in an account's id."""
    return account_id.partition(":")[0]


class Doorkeeper:
    """Finds the account behind a key."""

    def __init__(self, credentials: Path | None = None) -> None:
        self._path = credentials
        self._seen: tuple[int, ...] = ()  # what tells one version of the file from another
        self._from_file: dict[tuple[str, str], PaperAccount] = {}
        self._registered: dict[tuple[str, str], PaperAccount] = {}
        self._walk_ins: dict[tuple[str, str], PaperAccount] = {}
        self._rights: dict[str, KeyRights] = {}  # by account id
        self.is_strict = False

    def rights(self, account: PaperAccount) -> KeyRights:
        """What the key of an account may do."""
        return self._rights.get(account.id, KeyRights())

    def set_rights(self, account: PaperAccount, rights: KeyRights) -> None:
        """Change that, until the server is started anew."""
        self._rights[account.id] = rights

    def register(self, account: PaperAccount) -> None:
        """Let an account in, from now on with a checked signature."""
        self._registered[(account.exchange, account.api_key)] = account

    def find(self, exchange: str, api_key: str) -> PaperAccount | None:
        """The account of a key; None if the key is empty, or unknown at a strict door."""
        self._read_file()
        key = (exchange, api_key)
        found = self._registered.get(key) or self._from_file.get(key)
        if found or self.is_strict or not api_key:
            return found
        walk_in = PaperAccount(name=api_key, exchange=exchange, api_key=api_key)
        return self._walk_ins.setdefault(key, walk_in)

    def accounts(self) -> list[PaperAccount]:
        """All accounts known so far."""
        self._read_file()
        return list((self._walk_ins | self._from_file | self._registered).values())

    def _read_file(self) -> None:
        """Read the file again when it has changed; one that does not parse changes nothing."""
        if self._path is None:
            return
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return
        version = (found.st_mtime_ns, found.st_ino, found.st_size)
        if version == self._seen:
            return
        self.is_strict, self._seen = True, version
        try:
            document = orjson.loads(self._path.read_bytes())
        except ValueError:
            return
        rows = document.get("accounts") if isinstance(document, dict) else None
        if isinstance(rows, list):
            self._from_file = {(a.exchange, a.api_key): a for a in _paper_accounts(rows)}


def _paper_accounts(rows: Iterable[Any]) -> Iterable[PaperAccount]:
    for row in rows:
        if isinstance(row, dict) and row.get("environment") == "paper" and row.get("api_key"):
            yield PaperAccount(
                name=str(row.get("name") or row["api_key"]),
                exchange=str(row.get("exchange")),
                api_key=str(row["api_key"]),
                api_secret=row.get("api_secret"),
                api_passphrase=row.get("api_passphrase"),
            )
