"""What a check found, one line at a time, and what it adds up to. Values only."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """How one thing stands; only FAIL makes the check fail."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"
    UNKNOWN = "unknown"  # nobody tells: neither good nor bad


WORST = (State.OK, State.UNKNOWN, State.WARN, State.FAIL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the check."""

    where: str  # an account, a source, or "engine"
    what: str
    state: State
    detail: str  # with the remedy, where something is wrong

    def to_row(self) -> dict[str, str]:
        """Give its JSON object."""
        return {
            "where": self.where,
            "what": self.what,
            "state": str(self.state),
            "detail": self.detail,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Makes the findings of one place."""

    where: str

    def ok(self, what: str, detail: str) -> Finding:
        """Say that it is as it should be."""
        return Finding(where=self.where, what=what, state=State.OK, detail=detail)

    def warn(self, what: str, detail: str) -> Finding:
        """Say that somebody should look at it some day."""
        return Finding(where=self.where, what=what, state=State.WARN, detail=detail)

    def fail(self, what: str, detail: str) -> Finding:
        """Say that it does not work."""
        return Finding(where=self.where, what=what, state=State.FAIL, detail=detail)

    def unknown(self, what: str, detail: str) -> Finding:
        """Say that nobody tells."""
        return Finding(where=self.where, what=what, state=State.UNKNOWN, detail=detail)


def worst(states: Iterable[State]) -> State:
    """Pick the worst; ok when there is none."""
    return max(states, key=WORST.index, default=State.OK)


def failed(findings: Iterable[Finding]) -> list[Finding]:
    """Give those that failed."""
    return [row for row in findings if row.state is State.FAIL]


def verdict(findings: Sequence[Finding]) -> str:
    """Put everything in one line: `All ok, 2 warnings`, or what failed."""
    bad = failed(findings)
    if bad:
        names = ", ".join(f"{row.where} {row.what}" for row in bad)
        return f"{_count(len(bad), 'check')} failed: {names}"
    parts = ["All ok"]
    if warnings := sum(row.state is State.WARN for row in findings):
        parts.append(_count(warnings, "warning"))
    if unknown := sum(row.state is State.UNKNOWN for row in findings):
        parts.append(f"{unknown} unknown")
    return ", ".join(parts)


def document(findings: Sequence[Finding]) -> dict[str, Any]:
    """Give the JSON object of the whole check."""
    counts = {
        key: sum(row.state is state for row in findings)
        for key, state in (
            ("failed", State.FAIL),
            ("warnings", State.WARN),
            ("unknown", State.UNKNOWN),
        )
    }
    rows = [row.to_row() for row in findings]
    return {"ok": not counts["failed"], **counts, "verdict": verdict(findings), "findings": rows}


def ago(age_ms: int) -> str:
    """Say how long ago: `0:03:12 ago`."""
    return f"{timedelta(seconds=max(0, age_ms) // 1000)} ago"


def listed(names: Iterable[str], most: int = 5) -> str:
    """Name some, and count the others."""
    found = sorted(names)
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return f"{', '.join(found[:most])}{more}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
