"""Who may read: data keys with their tiers, from the options and from `credentials.json`.

With either of them the door is strict; without, any key comes in with tier 100. A key is never
written down or shown.
"""

import hmac
from collections.abc import Mapping
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from core.errors import ConfigError
from core.settings.account import BittensorCredentials, parse_credentials
from core.store import parse_json
from paper_exchange.sn8.options import AUTH_STYLES, AuthStyle
from paper_exchange.sn8.tiers import TOP_TIER

PREFIX = "/sn8"


class KeyRing:
    """Finds the tier of a key."""

    def __init__(self, keys: Mapping[str, int], credentials: Path | None = None) -> None:
        self._keys = dict(keys)
        self._path = credentials
        self._seen: tuple[int, ...] = ()  # what tells one version of the file from another
        self._has_file = False
        self._from_file: BittensorCredentials | None = None

    @property
    def is_strict(self) -> bool:
        """True if only known keys come in."""
        self._read_file()
        return bool(self._keys) or self._has_file

    def tier(self, key: str) -> int | None:
        """The tier of a key; None = it does not come in."""
        self._read_file()
        if not key:
            return None
        shown = key.encode(errors="surrogateescape")  # a header may hold any bytes
        for known, tier in self._known().items():
            if hmac.compare_digest(known.encode(), shown):
                return tier
        return None if self.is_strict else TOP_TIER

    def auth_style(self, otherwise: AuthStyle) -> AuthStyle:
        """How a key is to be shown: as the file says, else as given."""
        self._read_file()
        found = getattr(self._from_file, "auth_style", None)
        return cast("AuthStyle", found) if found in AUTH_STYLES else otherwise

    def bound_url(self, otherwise: str) -> str:
        """What a request-network key opens, without our prefix: as the file says, else as given."""
        self._read_file()
        endpoint = getattr(self._from_file, "endpoint", "")
        parts = urlsplit(endpoint)
        path = parts.path.removeprefix(PREFIX)
        if not path.strip("/"):
            return otherwise
        return f"{path}?{parts.query}" if parts.query else path

    def _known(self) -> dict[str, int]:
        if self._from_file is None:
            return self._keys
        return self._keys | {self._from_file.api_key.get_secret_value(): TOP_TIER}

    def _read_file(self) -> None:
        """Read the file again when it has changed; one that does not parse changes nothing."""
        if self._path is None:
            return
        try:
            found = self._path.stat()
            version = (found.st_mtime_ns, found.st_ino, found.st_size)
            if version == self._seen:
                return
            self._has_file, self._seen = True, version
            content = parse_json(self._path.read_bytes(), self._path)
            keys = parse_credentials(content).bittensor_sn8
        except (OSError, ConfigError):
            return
        is_ours = keys is not None and getattr(keys, "environment", "live") == "paper"
        self._from_file = keys if is_ours else None
