"""What a source's writer knows when it starts: its checkpoint, and what the journal says since.

Reads only; the caller holds the folder's lock.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.checkpoint import (
    Checkpoint,
    CheckpointError,
    SymbolState,
    accepted_signal,
    load_checkpoint,
)
from core.journal import JournalLostError, JournalTail, Position, journal_names

log = logging.getLogger(__name__)

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """The state of a source at the start of its writer."""

    states: Mapping[str, SymbolState]
    covered: Position | None
    memory_from: Position | None
    confirmed_at_ms: int | None = None
    fold: Mapping[str, Any] = field(default_factory=dict)  # the fold's own, as of the checkpoint
    new_rows: Rows = ()  # journaled after the checkpoint
    recent_rows: Rows = ()  # journaled within the memory's reach, the new ones among them
    is_checkpoint_stale: bool = False


def recover(folder: Path) -> Recovered:
    """Recall a source from its folder; what is lost is said, and the checkpoint's word stands."""
    try:
        checkpoint = load_checkpoint(folder)
    except CheckpointError as error:
        log.warning("reading all journals instead of the checkpoint", extra={"reason": str(error)})
        checkpoint = None
    if checkpoint is None:
        tail = JournalTail(folder)
        rows = tail.read_new()
        return Recovered(
            states=_folded({}, rows),
            covered=tail.position,
            memory_from=tail.position and Position(tail.position.file, 0),
            new_rows=rows,
            recent_rows=rows,
            is_checkpoint_stale=bool(rows),
        )
    return _since(folder, checkpoint)


def _since(folder: Path, checkpoint: Checkpoint) -> Recovered:
    tail = JournalTail(folder, position=checkpoint.covered)
    is_lost = False
    try:
        rows = tail.read_new()
    except JournalLostError as error:
        log.warning(
            "the journal behind the checkpoint is lost: going on from the checkpoint",
            extra={"reason": str(error)},
        )
        is_lost = True
        tail = JournalTail(folder, position=_behind(folder, checkpoint.covered))
        rows = tail.read_new()
    return Recovered(
        states=_folded(checkpoint.states, rows),
        covered=tail.position,
        memory_from=checkpoint.memory_from,
        confirmed_at_ms=checkpoint.confirmed_at_ms,
        fold=checkpoint.fold,
        new_rows=rows,
        recent_rows=_recent(folder, checkpoint.memory_from) or rows,
        is_checkpoint_stale=is_lost or bool(rows),
    )


def _behind(folder: Path, covered: Position | None) -> Position | None:
    """Find where unread rows begin when the covered file is gone or was changed.

    Its own rows are passed over: they were folded already, or put back by a person.
    """
    names = [name for name in journal_names(folder) if covered is None or name >= covered.file]
    if not names:
        return None
    if covered is None or names[0] != covered.file:
        return Position(names[0], 0)
    return Position(names[0], (folder / names[0]).read_bytes().rfind(b"\n") + 1)


def _recent(folder: Path, memory_from: Position | None) -> Rows:
    if memory_from is None:
        return ()
    try:
        return JournalTail(folder, position=memory_from).read_new()
    except JournalLostError as error:
        log.warning("recent signals not recalled", extra={"reason": str(error)})
        return ()


def _folded(states: Mapping[str, SymbolState], rows: Rows) -> dict[str, SymbolState]:
    folded = dict(states)
    for row in rows:
        try:
            signal = accepted_signal(row)
        except ValueError as error:
            log.warning("line skipped", extra={"reason": str(error)})
            continue
        if signal is not None:
            symbol = signal.source_symbol
            folded[symbol] = SymbolState.after(folded.get(symbol), signal)
    return folded
