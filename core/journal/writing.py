"""Append-only JSON lines by UTC day: the one way in which anything is stored durably.

One writer (its caller holds a lock), any number of readers. `append_sync` returns after the
fdatasync or raises, and then nothing of it stands in the file: a write that fails halfway is cut
off again, a line torn by a crash is closed so that the next one stands alone.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from core.clock import utc_day
from core.journal.files import Position, encode_rows, journal_name, journal_names
from core.store import sync

TORN_END: Final = b"~\n"
"""Closes a torn line so that it never parses: not even when only its newline was missing, for it
was not acknowledged and the state built from acknowledged rows does not have it."""


class Journal:
    """The writing end of a journal, for one thread at a time."""

    def __init__(self, folder: Path, prefix: str = "") -> None:
        self.folder = folder
        self.prefix = prefix
        self._handle = -1
        self._name = ""
        self._size = -1  # bytes that we know are whole lines; -1 = look again
        self._failed_from = -1  # where a failed write began that could not be cut off

    def append_sync(self, rows: Iterable[Mapping[str, Any]], *, at_ms: int) -> Position:
        """Store rows in the file of the day of `at_ms`; give the position behind them.

        Blocks for one write and one fdatasync. A clock that steps back does not lead to an
        earlier file, so that a reader never misses a row.

        Raises:
            OSError: nothing was stored.
            TypeError: a row is not JSON; nothing was stored.
        """
        return self.append_lines(encode_rows(rows), at_ms=at_ms)

    def append_lines(self, lines: bytes, *, at_ms: int) -> Position:
        """Store whole lines that are already rendered; otherwise as `append_sync`."""
        self._open_for(utc_day(at_ms))
        blob = self._mend() + lines
        start = self._size
        self._size = -1
        try:
            _write_all(self._handle, blob)
            os.fdatasync(self._handle)
        except OSError:
            self._cut_off(start)
            raise
        self._size = start + len(blob)
        return Position(self._name, self._size)

    def close(self) -> None:
        """Give the file back; the next append opens it again."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
            self._size = -1

    def _open_for(self, day: str) -> None:
        name = max(journal_name(self.prefix, day), self._name)
        if name == self._name and self._handle >= 0 and self._is_in_place():
            return
        self.close()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = max([name, *journal_names(self.folder, self.prefix)])
        if name != self._name:
            self._failed_from = -1
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._handle = os.open(self.folder / name, flags, 0o600)
        self._name = name
        sync(self.folder)

    def _is_in_place(self) -> bool:
        """Tell whether our handle is still the file of that name: else appends would be lost."""
        try:
            there = (self.folder / self._name).stat()
        except FileNotFoundError:
            return False
        return os.path.samestat(there, os.fstat(self._handle))

    def _mend(self) -> bytes:
        """Make the end of the file fit to be appended to; give what must go before the lines."""
        size = os.fstat(self._handle).st_size
        if 0 <= self._failed_from < size:
            os.ftruncate(self._handle, self._failed_from)
            size = self._failed_from
        self._failed_from = -1
        is_known, self._size = size == self._size, size
        if is_known or size == 0 or os.pread(self._handle, 1, size - 1) == b"\n":
            return b""
        return TORN_END

    def _cut_off(self, start: int) -> None:
        try:
            os.ftruncate(self._handle, start)
        except OSError:
            self._failed_from = start  # the next append tries again, before anything else


def _write_all(handle: int, blob: bytes) -> None:
    written = os.write(handle, blob)
    while written < len(blob):  # the disk filled up: the next write says so
        written += os.write(handle, memoryview(blob)[written:])
