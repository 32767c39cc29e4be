"""`state/flattened.json`: which flattens are done, so that a restart does not do them again.

What somebody opens by hand after a flatten is left alone, as after any halt.
"""

from collections.abc import Iterable
from pathlib import Path

from core.errors import ConfigError
from core.store import atomic_write_json, read_json


class DoneFlattens:
    """All accounts' done flattens by id; reads the file once, replaces it whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            found = read_json(path)["accounts"]
            self._done = {str(name): {str(one) for one in ids} for name, ids in found.items()}
        except (FileNotFoundError, ConfigError, OSError, AttributeError, KeyError, TypeError):
            self._done = {}  # lost: flat is made flat once more

    def of(self, account: str) -> set[str]:
        """The done flattens of an account."""
        return set(self._done.get(account, ()))

    def put(self, account: str, ids: Iterable[str]) -> None:
        """Keep an account's done flattens. Raises OSError."""
        self._done = {**self._done, account: set(ids)}
        rows = {name: sorted(found) for name, found in self._done.items() if found}
        atomic_write_json(self._path, {"accounts": rows})
