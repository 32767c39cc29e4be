"""Account states on disk: what was acknowledged survives a SIGKILL.

One JSON document, replaced atomically. Changes that come while a write is on its way ride on the
next one; `commit` returns when everything so far is on disk.
"""

import asyncio
from collections.abc import Hashable, Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from enum import Enum
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import orjson

from core.errors import ConfigError
from core.store import atomic_write_bytes
from paper_exchange.account import AccountState

T = TypeVar("T")


def encode(state: AccountState) -> bytes:
    """A state as JSON; Decimals are strings."""
    return orjson.dumps(state, default=str)


def decode(raw: Mapping[str, Any]) -> AccountState:
    """The state that `encode` wrote, equal to what it was."""
    return _build(AccountState, raw)


class StateFile:
    """The file of all accounts. Without a path nothing is kept."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._encoded: dict[str, tuple[AccountState, bytes]] = {}
        self._states: Mapping[str, AccountState] = {}
        self._writing: asyncio.Task[None] | None = None
        self._is_dirty = False
        self.writes = 0  # done so far

    def load(self) -> dict[str, AccountState]:
        """Read all accounts; none if the file is not there. Raises ConfigError if it is damaged."""
        if self._path is None or not self._path.exists():
            return {}
        try:
            document = orjson.loads(self._path.read_bytes())
            return {name: decode(raw) for name, raw in document["accounts"].items()}
        except (ValueError, KeyError, TypeError, ArithmeticError) as error:
            remedy = "move it away to start afresh"
            raise ConfigError(f"{self._path} does not parse: {error}; {remedy}") from error

    def changed(self, states: Mapping[str, AccountState]) -> None:
        """Note that `states` differ from what is on disk."""
        self._states, self._is_dirty = states, True

    async def commit(self) -> None:
        """Wait until every change noted so far is on disk."""
        if self._path is None:
            self._is_dirty = False
        while self._is_dirty or self._writing:
            if self._writing is None:
                self._is_dirty = False
                self._writing = asyncio.create_task(self._write(self._document()))
            writing = self._writing
            was_covered = not self._is_dirty
            await asyncio.shield(writing)
            if was_covered:
                return

    async def _write(self, document: bytes) -> None:
        try:
            await asyncio.to_thread(self._replace, document)
            self.writes += 1
        except OSError:
            self._is_dirty = True
            raise
        finally:
            self._writing = None

    def _document(self) -> bytes:
        for name, state in self._states.items():
            known = self._encoded.get(name)
            if known is None or known[0] is not state:
                self._encoded[name] = (state, encode(state))
        accounts = {name: orjson.Fragment(self._encoded[name][1]) for name in self._states}
        return orjson.dumps({"v": 1, "accounts": accounts})

    def _replace(self, document: bytes) -> None:
        path = self._path
        if path is None:
            return
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        atomic_write_bytes(path, document)


@cache
def _hints(cls: Hashable) -> dict[str, Any]:
    return get_type_hints(cls)


def _build(cls: type[T], raw: Mapping[str, Any]) -> T:
    hints = _hints(cls)  # type: ignore[arg-type]
    known = {field.name for field in fields(cls)}  # type: ignore[arg-type]
    return cls(**{name: _value(hints[name], raw[name]) for name in raw if name in known})


def _value(hint: Any, raw: Any) -> Any:  # noqa: ANN401
    origin, inner = get_origin(hint), get_args(hint)
    if origin in {Union, UnionType}:
        return None if raw is None else _value(next(i for i in inner if i is not NoneType), raw)
    if origin is tuple:
        return tuple(_value(inner[0], item) for item in raw)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {key: _value(inner[1], item) for key, item in raw.items()}
    return _plain(hint, raw)


def _plain(hint: Any, raw: Any) -> Any:  # noqa: ANN401
    if is_dataclass(hint) and isinstance(hint, type):
        return _build(hint, raw)
    if hint is Decimal or (isinstance(hint, type) and issubclass(hint, Enum)):
        return hint(raw)
    return raw
