"""The names, lines and positions that a journal's writer and its readers agree on."""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from core.errors import TradeEngineError


class JournalLostError(TradeEngineError):
    """What a reader had read is gone, changed or unreadable: the journal is unknown, not empty."""


class Position(NamedTuple):
    """A place between two lines of a journal: everything before it is covered."""

    file: str  # name within the journal's folder
    offset: int  # bytes


def journal_name(prefix: str, day: str) -> str:
    """Name the file of one UTC day (`YYYY-MM-DD`)."""
    return f"{prefix}{day}.jsonl"


def journal_names(folder: Path, prefix: str = "") -> list[str]:
    """List a journal's files, oldest first; swap files and foreign names are not in it.

    Raises:
        OSError: the folder is missing or unreadable.
    """
    pattern = re.compile(re.escape(prefix) + r"\d{4}-\d{2}-\d{2}\.jsonl", re.ASCII)
    with os.scandir(folder) as entries:
        return sorted(e.name for e in entries if pattern.fullmatch(e.name) and e.is_file())


def encode_rows(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Render rows as lines. Raises TypeError for what JSON cannot hold."""
    return b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows)
