"""The document of `credentials.json`, changed row by row; whatever is not asked about stays.

Pure: no prompt, no file. Works on the rows as they stand in the file, so that no key of an account
is lost; whether the whole is valid says the engine's own parser. Secrets leave here masked.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from core.errors import ConfigError
from core.settings.account import SN8_KEY, AccountConfig, Credentials, migrated, parse_credentials
from core.settings.validation import SECRET_KEYS, ConfigProblem, InvalidFileError

Row = dict[str, Any]
MASK: Final = "****"
TELLING_LENGTH: Final = 16
"""Characters of a key below which its last four would tell too much of it."""
ADDRESSES: Final = frozenset({"endpoint", "websocket", "base_url"})


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueForm:
    """What a venue asks of an account."""

    exchange: str  # as the file names it
    title: str  # as people do
    has_passphrase: bool = False
    has_demo: bool = False

    @property
    def environments(self) -> tuple[str, ...]:
        """List the environments that an account there may have."""
        return ("paper", "demo", "live") if self.has_demo else ("paper", "live")


def is_old_shape(document: object) -> bool:
    """Tell whether a document has one object an exchange, as it once was."""
    return migrated(document) != document


def new_shape(document: object) -> Row:
    """Give a valid document, or None, in the shape of today: one list of accounts."""
    whole = migrated({} if document is None else document)
    rows: Row = dict(whole) if isinstance(whole, dict) else {}
    return {**rows, "accounts": [dict(row) for row in rows.get("accounts", [])]}


def accounts_at(document: Row, exchange: str) -> list[Row]:
    """List the accounts of one venue, in their order."""
    return [row for row in document["accounts"] if str(row["exchange"]).lower() == exchange]


def account_named(document: Row, name: str) -> Row | None:
    """Find an account."""
    return next((row for row in document["accounts"] if row["name"] == name), None)


def apply(document: Row, row: Row) -> Row:
    """Give the document with one account anew, in its old place, or at the end.

    Raises ConfigError that says what is wrong with it; it repeats no secret.
    """
    rows = document["accounts"]
    if account_named(document, row["name"]) is None:
        after = [*rows, row]
    else:
        after = [row if old["name"] == row["name"] else old for old in rows]
    return _valid({**document, "accounts": after})


def without(document: Row, name: str) -> Row:
    """Give the document without an account."""
    return {**document, "accounts": [row for row in document["accounts"] if row["name"] != name]}


def with_sn8(document: Row, row: Row | None) -> Row:
    """Give the document with another access to SN8, None for none. Raises ConfigError."""
    if row is None:
        return {key: value for key, value in document.items() if key != SN8_KEY}
    rest = {key: value for key, value in document.items() if key not in (SN8_KEY, "accounts")}
    return _valid({SN8_KEY: row, **rest, "accounts": document["accounts"]})


def parsed(document: Row, name: str) -> AccountConfig:
    """Give an account as the engine reads it."""
    accounts = parse_credentials(document).accounts
    return next(account for account in accounts if account.name == name.strip())


def name_refusal(document: Row, name: str) -> str:
    """Say why an account cannot have this name; empty = it can."""
    if account_named(document, name) is not None:
        return f"{name} is taken: give each account its own name"
    row = {"name": name, "exchange": "bybit", "environment": "paper"}
    try:
        Credentials.model_validate({"accounts": [row]})
    except ValueError:
        return "a name is 1 to 40 letters, digits or _ . @ - and begins with a letter or digit"
    return ""


def secret_refusal(secret: str) -> str:
    """Say why a text is no key, secret or passphrase; empty = it may be one. Repeats nothing."""
    if all(letter.isprintable() and not letter.isspace() for letter in secret):
        return ""
    return "has a line break, a space or a control character in it"


def masked(secret: object) -> str:
    """Show that there is a secret, by its last four characters at most."""
    text = secret if isinstance(secret, str) else ""
    if not text:
        return "none"
    return MASK + (text[-4:] if len(text) >= TELLING_LENGTH else "")


def bare_address(address: object) -> str:
    """Show scheme and host of an address: the rest may be a secret."""
    try:
        parts = urlsplit(str(address))
        host = parts.hostname or ""
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:
        return MASK
    rest = f"/{MASK}" if parts.path.strip("/") or parts.query or parts.username else ""
    return f"{parts.scheme}://{host}{port}{rest}" if host else MASK


def redacted(value: object, key: str = "") -> Any:  # noqa: ANN401 - any JSON value
    """Give a copy that may be shown: secrets masked, addresses down to their hosts."""
    if isinstance(value, Mapping):
        return {name: redacted(row, str(name)) for name, row in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(row) for row in value]
    if key == "api_key":
        return masked(value)
    if key in SECRET_KEYS:
        return MASK if value else value
    return bare_address(value) if key in ADDRESSES and value else value


def secrets_of(document: object) -> list[str]:
    """Collect every secret, to be masked wherever it might be printed."""
    if isinstance(document, Mapping):
        own = [row for key, row in document.items() if key in SECRET_KEYS and isinstance(row, str)]
        return own + [secret for row in document.values() for secret in secrets_of(row)]
    if isinstance(document, list | tuple):
        return [secret for row in document for secret in secrets_of(row)]
    return []


def summary_of(document: Row) -> list[tuple[str, str, str, str, str]]:
    """Give a row an account: account, exchange, environment, enabled, key."""
    rows = [
        (
            str(row["name"]),
            str(row["exchange"]),
            str(row["environment"]),
            "yes" if row.get("enabled", True) else "no",
            masked(row.get("api_key")),
        )
        for row in document["accounts"]
    ]
    if sn8 := document.get(SN8_KEY):
        where = str(sn8.get("environment", "live"))
        rows.insert(0, ("-", "Bittensor SN8", where, "", masked(sn8.get("api_key"))))
    return rows


def _valid(document: Row) -> Row:
    try:
        parse_credentials(document)
    except InvalidFileError as error:
        raise ConfigError("; ".join(_words(problem) for problem in error.problems)) from None
    return document


def _words(problem: ConfigProblem) -> str:
    """Say what is wrong to somebody who is just entering it."""
    return (
        problem.text
        if problem.remedy == "correct the file"
        else f"{problem.text}: {problem.remedy}"
    )
