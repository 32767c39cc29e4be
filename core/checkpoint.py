"""`latest.json`: the newest signal of each symbol, and how much of the journal it covers.

A source's writer replaces it, its readers load it once: history is never scanned.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from core.errors import ConfigError, TradeEngineError
from core.journal.files import Position
from core.model import Signal
from core.store import atomic_write_json, read_json

CHECKPOINT_NAME: Final = "latest.json"
VERSION: Final = 1


class CheckpointError(TradeEngineError):
    """There is a checkpoint and it cannot be used; the text names the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolState:
    """Where the order fold of one source symbol stands."""

    newest: Signal
    before_newest: int | None = None  # sign of the position that `newest` replaced

    @classmethod
    def after(cls, state: "SymbolState | None", accepted: Signal) -> "SymbolState":
        """Fold one accepted signal in."""
        if state is None:
            return cls(newest=accepted)
        depth = state.newest.depth
        return cls(newest=accepted, before_newest=(depth > 0) - (depth < 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """All of `latest.json`."""

    source: str
    states: Mapping[str, SymbolState]
    covered: Position | None  # the journal up to here is in `states`; None = there was no journal
    memory_from: Position | None = None  # from here on a restarting writer recalls recent rows
    confirmed_at_ms: int | None = None  # level sources: when the whole state was last verified
    fold: Mapping[str, Any] = field(default_factory=dict)  # the writer's own


def accepted_signal(row: Mapping[str, Any]) -> Signal | None:
    """Give the signal of a journal row that counts.

    None for superseded and rejected rows. Raises ValueError for what is no signal line.
    """
    if row.get("status") != "accepted":
        return None
    try:
        return Signal.from_row(row)
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise ValueError(f"not a signal line: {error!r}") from error


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """Load the checkpoint of a source's folder; None = there is none.

    Raises:
        CheckpointError: it is torn, unreadable or of another version.
    """
    path = folder / CHECKPOINT_NAME
    try:
        document = read_json(path)
        if document["v"] != VERSION:
            raise CheckpointError(f"{path} is of version {document['v']}, expected {VERSION}")
        return Checkpoint(
            source=str(document["source"]),
            states={
                str(symbol): SymbolState(
                    newest=Signal.from_row(row["signal"]), before_newest=_sign(row["before_newest"])
                )
                for symbol, row in document["symbols"].items()
            },
            covered=_position(document["covered"]),
            memory_from=_position(document["memory_from"]),
            confirmed_at_ms=document["confirmed_at_ms"],
            fold=dict(document["fold"]),
        )
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ConfigError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise CheckpointError(f"{path} is not a checkpoint: {error!r}") from error


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Replace a source's checkpoint durably. Raises OSError with the old one whole."""
    document = {
        "v": VERSION,
        "source": checkpoint.source,
        "covered": checkpoint.covered and checkpoint.covered._asdict(),
        "memory_from": checkpoint.memory_from and checkpoint.memory_from._asdict(),
        "confirmed_at_ms": checkpoint.confirmed_at_ms,
        "symbols": {
            symbol: {"signal": state.newest.to_row(), "before_newest": state.before_newest}
            for symbol, state in checkpoint.states.items()
        },
        "fold": dict(checkpoint.fold),
    }
    atomic_write_json(folder / CHECKPOINT_NAME, document)


def _sign(value: Any) -> int | None:  # noqa: ANN401 - any JSON value
    if value is not None and value not in (-1, 0, 1):
        raise ValueError(f"not a sign: {value!r}")
    return None if value is None else int(value)


def _position(value: Any) -> Position | None:  # noqa: ANN401 - any JSON value
    if value is None:
        return None
    position = Position(file=value["file"], offset=value["offset"])
    if type(position.file) is not str or type(position.offset) is not int or position.offset < 0:
        raise ValueError(f"not a position: {value!r}")
    return position
