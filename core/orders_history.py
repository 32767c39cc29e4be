"""Reads the newest two days of an engine journal: enough, since each new day restates the last."""

from pathlib import Path
from typing import Any

from core.errors import ConfigError
from core.journal import JournalLostError, JournalTail, Position, journal_names

DAYS = 2


def newest_rows(folder: Path, prefix: str) -> tuple[list[dict[str, Any]], int]:
    """Give the rows in order, and how many lines were torn.

    Raises:
        ConfigError: the files are there but cannot be read. Going on without them would forget
            orders that may be at the venue.
    """
    try:
        names = [n for n in journal_names(folder, prefix) if _has_rows(folder / n)][-DAYS:]
        if not names:
            return [], 0
        tail = JournalTail(folder, prefix, Position(names[0], 0))
        return tail.read_new(), tail.skipped
    except (OSError, JournalLostError) as error:
        msg = f"{folder}/{prefix}*.jsonl cannot be read: {error}; make it readable, then start"
        raise ConfigError(msg) from error


def _has_rows(path: Path) -> bool:
    """Tell a day that was begun from one that a full disk left without a whole line."""
    with path.open("rb") as file:
        return any(line.startswith(b"{") and line.endswith(b"}\n") for line in file)
