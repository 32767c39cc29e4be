"""One thing that a person may be told, and how it is written. Pure values."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, get_args

from core.process.logs import redact
from core.settings.engine import NewsKind

LONGEST: Final = 400
"""Characters of one piece of news: a venue's answer may be a whole page."""
PLURALS: Final[Mapping[NewsKind, str]] = {
    "error": "errors",
    "alert": "alerts",
    "trade": "trades",
    "service": "starts and stops",
}
SINGULARS: Final[Mapping[NewsKind, str]] = {
    "error": "error",
    "alert": "alert",
    "trade": "trade",
    "service": "start or stop",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """One line for a person; news with the same `key` is the same again, "" is always new."""

    kind: NewsKind
    at_ms: int
    text: str
    key: str = ""

    @property
    def line(self) -> str:
        """Write it as one line, its time in UTC first."""
        return f"{clock_text(self.at_ms)} {self.text}"

    def to_row(self) -> dict[str, Any]:
        """Give its JSON object."""
        return {"kind": self.kind, "at_ms": self.at_ms, "text": self.text, "key": self.key}

    @classmethod
    def from_row(cls, row: object) -> "News | None":
        """Read what `to_row` gave; None when it is something else."""
        if not isinstance(row, dict) or row.get("kind") not in get_args(NewsKind):
            return None
        at_ms = row.get("at_ms")
        if not isinstance(at_ms, int):
            return None
        text, key = str(row.get("text", "")), str(row.get("key", ""))
        return cls(kind=row["kind"], at_ms=at_ms, text=text, key=key)


def clock_text(at_ms: int) -> str:
    """Write a time of day, UTC; ??:??:?? for one that no calendar holds."""
    try:
        return datetime.fromtimestamp(at_ms / 1000, tz=UTC).strftime("%H:%M:%S")
    except (ValueError, OverflowError, OSError):  # a file says it, and files say anything
        return "??:??:??"


def counted(counts: Mapping[NewsKind, int]) -> str:
    """Write how much there is of each kind."""
    return ", ".join(
        f"{counts[kind]} {SINGULARS[kind] if counts[kind] == 1 else PLURALS[kind]}"
        for kind in PLURALS
        if counts.get(kind)
    )


def harmless(text: str) -> str:
    """Make a text fit to leave this machine: no secret, no control codes, not endless."""
    shown = "".join(c if c.isprintable() else " " for c in redact(text))
    return shown if len(shown) <= LONGEST else shown[: LONGEST - 3] + "..."
