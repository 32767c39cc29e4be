"""The engine's eyes on one source's folder: the newest accepted signal of each of its symbols.

Reads the checkpoint once, then only what was appended. Never writes, and never takes "gone" for
"nothing said": `sweep` gives None then, and the caller holds what it knows.
"""

import logging
import time
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from core.checkpoint import (
    CHECKPOINT_NAME,
    Checkpoint,
    CheckpointError,
    accepted_signal,
    load_checkpoint,
)
from core.file_look import FileLook, look_at
from core.home import Home
from core.journal import JournalLostError, JournalTail, Position, journal_names, read_rows
from core.model import Signal

log = logging.getLogger(__name__)

RETRY_S: Final = 1.0
"""Seconds between two attempts to load what is lost."""
NOTHING: Final[Mapping[str, Signal]] = MappingProxyType({})


class SourceReader:
    """Implements `core.ports.SignalSource` over `raw_signals/<name>/`.

    `problem` says why the last sweep gave None ("" = fine); `bytes_read` and `skipped` (lines that
    are no signals) only grow.
    """

    def __init__(self, home: Home, name: str, *, is_level: bool = False) -> None:
        self.name = name
        self.is_level = is_level
        self.problem = ""
        self._folder = home.raw_signals / name
        self._tail: JournalTail | None = None
        self._newest = NOTHING
        self._bytes_read = 0  # of tails given up and of whole files
        self._skipped = 0
        self._was_seen = False
        self._confirmed_at_ms: int | None = None
        self._look: FileLook | None = None
        self._retry_at_s = 0.0

    @property
    def bytes_read(self) -> int:
        """Bytes of journals read so far."""
        return self._bytes_read + (0 if self._tail is None else self._tail.bytes_read)

    @property
    def skipped(self) -> int:
        """Lines that were skipped so far because they are no signal lines."""
        return self._skipped + (0 if self._tail is None else self._tail.skipped)

    def sweep(self) -> Mapping[str, Signal] | None:
        """Give the newest accepted signal by source symbol; the same object while nothing changed.

        None when files that were there are missing, changed or unreadable. A symbol that was in an
        earlier answer and is not in a later one has vanished: it is unknown, not flat.
        """
        if self._tail is not None:
            try:
                self._take(self._tail.read_new())
            except JournalLostError as error:
                self._lose(str(error))
        if self._tail is None and time.monotonic() >= self._retry_at_s:
            self._load()
        if self._tail is None:
            return None
        if self.is_level:
            self._look_for_confirmation()
        return self._newest

    def confirmed_at_ms(self) -> int | None:
        """Tell when a level source last verified its whole state; None = never, or not a level."""
        return self._confirmed_at_ms

    def _load(self) -> None:
        try:
            checkpoint = load_checkpoint(self._folder)
        except CheckpointError as error:
            log.warning("reading the journals instead", extra={"reason": str(error)})
            checkpoint = None
        try:
            if checkpoint is not None:
                self._begin(checkpoint)
            else:
                self._scan()
        except (JournalLostError, OSError) as error:
            self._lose(str(error))
        else:
            self.problem = ""

    def _begin(self, checkpoint: Checkpoint) -> None:
        tail = JournalTail(self._folder, position=checkpoint.covered)
        rows = tail.read_new()
        states = checkpoint.states.items()
        self._newest = MappingProxyType({symbol: state.newest for symbol, state in states})
        self._confirmed_at_ms = checkpoint.confirmed_at_ms
        self._follow(tail, rows)
        self._was_seen = True

    def _scan(self) -> None:
        """Read all journals, newest first: only where there is no usable checkpoint."""
        try:
            names = journal_names(self._folder)
        except FileNotFoundError:
            names = []
        if not names:
            if self._was_seen:
                raise JournalLostError(f"no journal in {self._folder}, where there was one")
            self._follow(JournalTail(self._folder), [])  # it never spoke
            return
        tail = JournalTail(self._folder, position=Position(names[-1], 0))
        newest = self._signals(tail.read_new())
        for name in reversed(names[:-1]):
            rows, size = read_rows(self._folder / name)
            self._bytes_read += size
            newest = self._signals(rows) | newest
        self._newest = MappingProxyType(newest)
        self._follow(tail, [])
        self._was_seen = True
        log.info("read all journals", extra={"source": self.name, "files": len(names)})

    def _follow(self, tail: JournalTail, rows: Iterable[Mapping[str, Any]]) -> None:
        self._tail = tail
        self._take(rows)

    def _take(self, rows: Iterable[Mapping[str, Any]]) -> None:
        signals = self._signals(rows)
        if signals:
            self._newest = MappingProxyType({**self._newest, **signals})
            self._was_seen = True

    def _signals(self, rows: Iterable[Mapping[str, Any]]) -> dict[str, Signal]:
        found: dict[str, Signal] = {}
        for row in rows:
            try:
                signal = accepted_signal(row)
            except ValueError:
                self._skipped += 1
                continue
            if signal is not None:
                found[signal.source_symbol] = signal
        return found

    def _lose(self, problem: str) -> None:
        if self._tail is not None:
            self._bytes_read += self._tail.bytes_read
            self._skipped += self._tail.skipped
            self._tail = None
        else:
            self._retry_at_s = time.monotonic() + RETRY_S
        self._was_seen = True
        problem = f"{problem}; put the files of {self._folder} back, or restart its service"
        if not self.problem:
            log.error("signals unreadable", extra={"source": self.name, "reason": problem})
        self.problem = problem

    def _look_for_confirmation(self) -> None:
        look = look_at(self._folder / CHECKPOINT_NAME)
        if look.is_same_as(self._look):
            return
        try:
            checkpoint = load_checkpoint(self._folder)
        except CheckpointError:
            return  # stale by then: the last confirmation ages
        self._look = look
        if checkpoint is not None:
            self._confirmed_at_ms = checkpoint.confirmed_at_ms
