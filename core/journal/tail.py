"""The reading end of a journal: new whole lines since a position, O(new bytes).

With nothing new it looks at sizes and reads no byte. "Gone" is an error, never an empty answer.
"""

import os
import time
from pathlib import Path
from typing import Any, Final

import orjson

from core.journal.files import JournalLostError, Position, journal_names

CHUNK: Final = 1 << 20
"""Bytes read at once."""
SETTLED_NS: Final = 1_000_000_000
"""What we saw of a folder or file is trusted while its time stands still, if that was this old when
we looked: file systems count time in ticks, and more may have come within the same one."""


class JournalTail:
    """Follows a journal from `position` (None = from its oldest line) through day after day.

    `bytes_read` and `skipped` (lines that were no JSON object) only grow.
    """

    def __init__(self, folder: Path, prefix: str = "", position: Position | None = None) -> None:
        self.bytes_read = 0
        self.skipped = 0
        self._folder = folder
        self._prefix = prefix
        self._position = position
        self._last_line = b""  # the end of what we read: tells whether the file was rewritten
        self._listed_at = -1
        self._is_listing_settled = False
        self._torn_end: tuple[int, int] | None = None  # size and time of an end without newline

    @property
    def position(self) -> Position | None:
        """What is read so far; None = no file seen yet."""
        return self._position

    def read_new(self) -> list[dict[str, Any]]:
        """Give the rows of all complete lines that were added since the last call, in order.

        Raises:
            JournalLostError: the file we stand in is gone, shrank, was rewritten or cannot be read.
                What was read before is unknown from then on; start again from a checkpoint.
        """
        rows: list[dict[str, Any]] = []
        try:
            # listed first: a later file proves that the earlier ones have got their last line
            for name in self._later_names():
                if self._position is not None:
                    self._leave_file(self._read_file(self._position, rows))
                self._position = Position(name, 0)
                self._last_line = b""
            if self._position is not None:
                self._read_file(self._position, rows)
        except OSError as error:
            self._is_listing_settled = False
            if not rows:  # else first what is known; the next call meets the same again
                raise JournalLostError(f"journal unreadable: {error}") from error
        except JournalLostError:
            self._is_listing_settled = False
            if not rows:
                raise
        return rows

    def _later_names(self) -> list[str]:
        try:
            changed_at = self._folder.stat().st_mtime_ns
            if changed_at == self._listed_at and self._is_listing_settled:
                return []
            names = journal_names(self._folder, self._prefix)
        except FileNotFoundError:
            if self._position is None:
                return []  # nobody has written yet
            raise
        self._listed_at = changed_at
        self._is_listing_settled = _is_settled(changed_at)
        here = "" if self._position is None else self._position.file
        return [name for name in names if name > here]

    def _read_file(self, position: Position, rows: list[dict[str, Any]]) -> Position:
        path = self._folder / position.file
        status = path.stat()
        if status.st_size < position.offset:
            raise JournalLostError(
                f"{path} shrank from {position.offset} to {status.st_size} bytes"
            )
        look = (status.st_size, status.st_mtime_ns)
        if status.st_size == position.offset or look == self._torn_end:
            return position
        with path.open("rb", buffering=0) as file:
            self._check_unchanged(file.fileno(), path, position.offset)
            position = self._read_lines(file.fileno(), position, rows)
        is_torn = position.offset < status.st_size
        self._torn_end = look if is_torn and _is_settled(status.st_mtime_ns) else None
        return position

    def _check_unchanged(self, handle: int, path: Path, offset: int) -> None:
        if offset == 0:
            return
        expected = self._last_line or b"\n"
        found = os.pread(handle, len(expected), offset - len(expected))
        self.bytes_read += len(found)
        if found != expected:
            raise JournalLostError(f"{path} was rewritten before byte {offset}")

    def _read_lines(self, handle: int, position: Position, rows: list[dict[str, Any]]) -> Position:
        pending = b""
        while chunk := os.pread(handle, CHUNK, position.offset + len(pending)):
            self.bytes_read += len(chunk)
            whole, newline, pending = (pending + chunk).rpartition(b"\n")
            if not newline:
                continue
            lines = whole.split(b"\n")
            for line in lines:
                self._take(line, rows)
            self._last_line = lines[-1] + b"\n"
            position = self._position = Position(position.file, position.offset + len(whole) + 1)
        return position

    def _take(self, line: bytes, rows: list[dict[str, Any]]) -> None:
        row = _object(line)
        if row is not None:
            rows.append(row)
        elif line:
            self.skipped += 1

    def _leave_file(self, position: Position) -> None:
        if (self._folder / position.file).stat().st_size > position.offset:
            self.skipped += 1  # a torn last line: nothing is appended to this file any more


def read_rows(path: Path) -> tuple[list[dict[str, Any]], int]:
    """Read one whole file that is not appended to any more; also tell its size in bytes.

    Raises:
        OSError: it is gone or unreadable.
    """
    content = path.read_bytes()
    lines = content.split(b"\n")[:-1]  # what has no newline was not acknowledged
    return [row for line in lines if (row := _object(line)) is not None], len(content)


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return row if isinstance(row, dict) else None


def _is_settled(changed_at_ns: int) -> bool:
    return time.time_ns() - changed_at_ns > SETTLED_NS
