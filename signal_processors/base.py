"""What every source of signals shares: its durable journal, its checkpoint, and being found.

A source is one `*_processor.py` in this folder that exposes `SOURCE`; no other file changes for it.
The journal is the truth; what is held in memory only ever follows what is durable.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Protocol

from core.checkpoint import (
    Checkpoint,
    CheckpointError,
    SymbolState,
    load_checkpoint,
    save_checkpoint,
)
from core.clock import utc_day
from core.home import Home
from core.journal import GroupCommit, Journal, Position, compress_old_days, encode_rows
from core.model import Signal
from core.ports import Clock
from core.process.lease import Lease, lock_now
from signal_processors.journal_recovery import Recovered, recover
from signal_processors.source_profile import SourceProfile

log = logging.getLogger(__name__)

FOLDER: Final = Path(__file__).resolve().parent
CHECKPOINT_EVERY_S: Final = 1.0
"""Seconds: what a reader that starts reads beyond the checkpoint stays small."""
MEMORY_MS: Final = 600_000
"""How far back a restarting writer recalls what it stored."""
MARK_EVERY_MS: Final = 1_000
DAY_MS: Final = 86_400_000
NEW_DAY_CHECK_S: Final = 3600.0
"""Seconds: how often it is asked whether another day has become old."""


def discover(folder: Path = FOLDER) -> dict[str, SourceProfile]:
    """Find every source by its `*_processor.py`; by name, in alphabetical order."""
    found: dict[str, SourceProfile] = {}
    for path in sorted(folder.glob("*_processor.py")):
        profile: SourceProfile = import_module(f"{__package__}.{path.stem}").SOURCE
        found[profile.name] = profile
    return dict(sorted(found.items()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What becomes of a candidate: the signal to journal, or the stored one that it repeats."""

    signal: Signal | None  # with its final status; None = a duplicate, nothing is stored
    duplicate_of: str = ""
    warnings: tuple[str, ...] = ()


class Fold(Protocol):
    """A source's rules of order and memory; tentative until `keep`."""

    def decide(self, state: SymbolState | None, candidate: Signal) -> Decision:
        """Judge a candidate by what is stored and what was noted; changes nothing."""
        ...

    def note(self, decision: Decision) -> None:
        """Take a decision into account, for now."""
        ...

    def keep(self) -> None:
        """What was noted is durable."""
        ...

    def drop(self) -> None:
        """What was noted was not stored."""
        ...

    def restore(self, recovered: Recovered) -> None:
        """Recall at start."""
        ...

    def document(self) -> Mapping[str, Any]:
        """Give what the journal cannot tell, for the checkpoint."""
        ...


class SignalWriter:
    """The only writer of `raw_signals/<source>/`; bound to the running loop.

    `on_stored` is called after each fdatasync. Files of its journal are compressed when they are
    older than `compress_after_days` UTC days; None = never.
    """

    def __init__(
        self,
        home: Home,
        source: str,
        *,
        clock: Clock,
        fold: Fold,
        on_stored: Callable[[], None] = lambda: None,
        compress_after_days: int | None = None,
    ) -> None:
        self.source = source
        self.folder = home.raw_signals / source
        self._clock = clock
        self._fold = fold
        self._on_stored = on_stored
        self._journal = GroupCommit(
            Journal(self.folder), clock, on_stored=self._keep, on_failed=self._drop
        )
        self._lease: Lease | None = None
        self._states: dict[str, SymbolState] = {}
        self._tentative: dict[str, SymbolState] = {}
        self._covered: Position | None = None
        self._confirmed_at_ms: int | None = None
        self._marks: deque[tuple[int, Position]] = deque()  # where the journal stood, and when
        self._saving: asyncio.Task[None] | None = None
        self._compress_after_days = compress_after_days
        self._compressing: asyncio.Task[None] | None = None
        self._is_dirty = False
        self._is_closing = asyncio.Event()

    @property
    def flush_count(self) -> int:
        """How many fdatasyncs there were."""
        return self._journal.flush_count

    def newest(self) -> dict[str, Signal]:
        """Give the newest accepted signal by source symbol."""
        return {symbol: state.newest for symbol, state in self._states.items()}

    def open(self) -> None:
        """Take the folder's lock and recall what is stored.

        Raises:
            BusyError: another process writes there.
            OSError: the folder cannot be used.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lease = lock_now(self.folder / ".lock", f"raw_signals/{self.source}")
        recovered = recover(self.folder)
        self._states = dict(recovered.states)
        self._covered = recovered.covered
        self._confirmed_at_ms = recovered.confirmed_at_ms
        if recovered.memory_from is not None:
            self._marks.append((self._clock.now_ms(), recovered.memory_from))
        self._fold.restore(recovered)
        if recovered.is_checkpoint_stale:
            self._schedule_checkpoint()
        if self._compress_after_days is not None:
            work = self._compress_each_day(self._compress_after_days)
            self._compressing = asyncio.create_task(work, name="compress")

    async def store(self, candidate: Signal) -> Decision:
        """Judge and store one signal; returns after the fdatasync.

        A caller that is cancelled takes nothing back.

        Raises:
            OSError: it is not stored.
        """
        decided: list[Decision] = []

        def prepare() -> bytes:
            state = self._state(candidate.source_symbol)
            decision = self._fold.decide(state, candidate)
            line = b"" if decision.signal is None else encode_rows([decision.signal.to_row()])
            decided.append(decision)
            self._note(state, decision)
            return line

        await self._journal.commit_late(prepare)
        return decided[0]

    async def record(self, row: Mapping[str, Any]) -> None:
        """Store a row that is no accepted signal, such as a rejection. Raises OSError."""
        await self._journal.commit([row])

    def confirm(self, at_ms: int) -> None:
        """Note that a level source verified its whole state; readers see it in the checkpoint."""
        self._confirmed_at_ms = at_ms
        self._schedule_checkpoint()

    async def close(self) -> None:
        """Store what waits, write the checkpoint, give the lock back.

        A file that is being compressed is finished first: nobody else may write here meanwhile.
        """
        await self._journal.close()
        self._is_closing.set()
        if self._saving is not None:
            await self._saving
        if self._compressing is not None:
            await asyncio.wait([self._compressing])  # raises nothing: it is only housekeeping
        if self._lease is not None:
            self._lease.release()

    def _state(self, symbol: str) -> SymbolState | None:
        return self._tentative.get(symbol) or self._states.get(symbol)

    def _note(self, state: SymbolState | None, decision: Decision) -> None:
        signal = decision.signal
        if signal is not None and signal.status == "accepted":
            self._tentative[signal.source_symbol] = SymbolState.after(state, signal)
        self._fold.note(decision)

    def _keep(self, position: Position) -> None:
        now_ms = self._clock.now_ms()
        before = self._covered or Position(position.file, 0)
        if not self._marks or abs(now_ms - self._marks[-1][0]) >= MARK_EVERY_MS:
            self._marks.append((now_ms, before))
        while len(self._marks) > 1 and abs(now_ms - self._marks[1][0]) >= MEMORY_MS:
            self._marks.popleft()
        self._covered = position
        self._states.update(self._tentative)
        self._tentative.clear()
        self._fold.keep()
        self._schedule_checkpoint()
        self._on_stored()

    def _drop(self) -> None:
        self._tentative.clear()
        self._fold.drop()

    def _schedule_checkpoint(self) -> None:
        self._is_dirty = True
        if self._saving is None or self._saving.done():
            self._saving = asyncio.create_task(self._save_soon(), name="checkpoint")

    async def _save_soon(self) -> None:
        while self._is_dirty:
            with suppress(TimeoutError):
                async with asyncio.timeout(CHECKPOINT_EVERY_S):
                    await self._is_closing.wait()
            await self._save()
            if self._is_closing.is_set():
                return

    async def _compress_each_day(self, after_days: int) -> None:
        done = ""
        while not self._is_closing.is_set():
            today = utc_day(self._clock.now_ms())
            if today != done:
                done = today
                await self._compress(before_day=utc_day(self._clock.now_ms() - after_days * DAY_MS))
            with suppress(TimeoutError):
                async with asyncio.timeout(NEW_DAY_CHECK_S):
                    await self._is_closing.wait()

    async def _compress(self, *, before_day: str) -> None:
        """Compress in a thread; what it must leave alone only ever moves to the newest file."""
        newest = {symbol: state.newest.id for symbol, state in self._states.items()}
        kept = _files_of(self._covered, *(position for _, position in self._marks))

        def work() -> None:
            compress_old_days(
                self.folder,
                before_day=before_day,
                newest=newest,
                kept=kept | _files_of_checkpoint(self.folder),
                is_stopped=self._is_closing.is_set,
            )

        await asyncio.to_thread(work)

    async def _save(self) -> None:
        self._is_dirty = False
        checkpoint = Checkpoint(
            source=self.source,
            states=dict(self._states),
            covered=self._covered,
            memory_from=self._marks[0][1] if self._marks else None,
            confirmed_at_ms=self._confirmed_at_ms,
            fold=dict(self._fold.document()),
        )
        try:
            await asyncio.to_thread(save_checkpoint, self.folder, checkpoint)
        except OSError as error:  # the journal has it all; a later one covers more
            self._is_dirty = True
            log.warning("checkpoint not written", extra={"error": str(error)})


def _files_of(*positions: Position | None) -> set[str]:
    return {position.file for position in positions if position is not None}


def _files_of_checkpoint(folder: Path) -> set[str]:
    """Name the files that who starts from the checkpoint on disk will look into."""
    try:
        checkpoint = load_checkpoint(folder)
    except CheckpointError:
        return set()  # nobody starts from that: the journals are read instead
    if checkpoint is None:
        return set()
    return _files_of(checkpoint.covered, checkpoint.memory_from)
