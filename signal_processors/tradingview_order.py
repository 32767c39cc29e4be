"""Which of two alerts of one symbol is the newer: a later one may arrive first.

Pure and total: any two signals, also those written by hand, get an answer. The first of the keys
that both carry with different values decides; no other guess is made.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from core.model import Signal

SEQUENCE_WITHIN_MS: Final = 30_000
"""Farther apart, a smaller number is a counter that was reset."""
LATE_EXIT_WITHIN_MS: Final = 5_000
AMBIGUOUS_WITHIN_MS: Final = 5_000

SIGNS: Final = {"long": 1, "short": -1, "flat": 0}
CLOSED_BY: Final = {"sell": 1, "buy": -1}
"""The sign of the position that an exit's action closes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the fold does with a candidate."""

    is_newer: bool
    reason: str  # the key that decided
    is_ambiguous: bool = False


def supersedes(newest: Signal, candidate: Signal) -> tuple[bool, str]:
    """Tell whether `candidate`, journaled after `newest`, takes its place; and by which key."""
    for name, key in KEYS:
        is_newer = key(newest, candidate)
        if is_newer is not None:
            return is_newer, name
    return True, "arrival"


def judge(newest: Signal | None, before_newest: int | None, candidate: Signal) -> Verdict:
    """Fold one alert in; `before_newest` is the sign of the position that `newest` replaced."""
    if newest is None:
        return Verdict(is_newer=True, reason="first")
    is_newer, reason = supersedes(newest, candidate)
    has_reversed = before_newest is not None and before_newest * position(newest) < 0
    is_ambiguous = (
        reason == "arrival"
        and has_reversed
        and position(candidate) == 0
        and _closes(candidate) != position(newest)  # its action says what it closes
        and _apart_ms(newest, candidate) <= AMBIGUOUS_WITHIN_MS
    )
    return Verdict(is_newer=is_newer, reason=reason, is_ambiguous=is_ambiguous)


def position(signal: Signal) -> int:
    """Give the sign of what the signal wants: 1 long, -1 short, 0 flat."""
    return (signal.depth > 0) - (signal.depth < 0)


def arrived_at_ms(signal: Signal) -> int:
    """Tell when an alert first reached us: a copy of one that we could not store came before."""
    first = signal.meta.get("first_arrival_ms")
    return first if type(first) is int else signal.received_at_ms


def _by_timenow(newest: Signal, candidate: Signal) -> bool | None:
    return _larger(newest.fired_at_ms, candidate.fired_at_ms)


def _by_sequence(newest: Signal, candidate: Signal) -> bool | None:
    if not _are_close(newest, candidate, SEQUENCE_WITHIN_MS):
        return None
    return _larger(newest.sequence, candidate.sequence)


def _by_chain(newest: Signal, candidate: Signal) -> bool | None:
    """Tell by the position that each alert found: the one leads to the other."""
    before_newest, before_candidate = _previous(newest), _previous(candidate)
    if before_newest is None or before_candidate is None:
        return None
    if not _are_close(newest, candidate, SEQUENCE_WITHIN_MS):
        return None
    is_before = before_newest == position(candidate)
    is_after = before_candidate == position(newest)
    return None if is_before == is_after else is_after


def _by_late_exit(newest: Signal, candidate: Signal) -> bool | None:
    """Tell an exit of the position before from an exit of the newest one, by its action."""
    closed = _closes(candidate)
    if position(candidate) != 0 or position(newest) == 0 or closed is None:
        return None
    if not _are_close(newest, candidate, LATE_EXIT_WITHIN_MS):
        return None
    return None if closed == position(newest) else False


def _by_first_arrival(newest: Signal, candidate: Signal) -> bool | None:
    """A copy of what we could not store loses to what came after its first try."""
    is_copy = candidate.meta.get("first_arrival_ms") is not None
    return False if is_copy and arrived_at_ms(newest) > arrived_at_ms(candidate) else None


KEYS: Final[tuple[tuple[str, Callable[[Signal, Signal], bool | None]], ...]] = (
    ("timenow", _by_timenow),
    ("signal_seq", _by_sequence),
    ("chain", _by_chain),
    ("late_exit", _by_late_exit),
    ("first_arrival", _by_first_arrival),
)
"""In this order; each gives True (candidate newer), False (older) or None (does not count)."""


def _larger(newest: int | None, candidate: int | None) -> bool | None:
    if newest is None or candidate is None or newest == candidate:
        return None
    return candidate > newest


def _are_close(newest: Signal, candidate: Signal, within_ms: int) -> bool:
    return newest.strategy == candidate.strategy and _apart_ms(newest, candidate) <= within_ms


def _apart_ms(newest: Signal, candidate: Signal) -> int:
    return abs(arrived_at_ms(candidate) - arrived_at_ms(newest))


def _closes(signal: Signal) -> int | None:
    return CLOSED_BY.get(str(signal.meta.get("action")))


def _previous(signal: Signal) -> int | None:
    return SIGNS.get(str(signal.meta.get("previous")))
