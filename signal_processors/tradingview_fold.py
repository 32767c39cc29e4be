"""Alerts folded in the order of their journal: duplicates, copies of refused ones, late arrivals.

Knows no file, clock or network. What is noted is tentative until `keep`: a flush that fails leaves
no trace, so that a rebuild from the journal gives what the live process gave.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from core.checkpoint import SymbolState
from core.clock import utc_day
from core.model import Signal
from signal_processors.base import Decision
from signal_processors.journal_recovery import Recovered
from signal_processors.tradingview_memory import Refusals, Stored, StoredAlerts
from signal_processors.tradingview_order import judge

REPEAT_WITHIN_MS: Final = 60_000
MOST_REJECTED: Final = 1_000
"""Rejections stored in a day: a wrong alert that fires each second must not fill the disk."""
AMBIGUOUS: Final = (
    "order_ambiguous: a flat right after a reversal may be the late exit of the position before; "
    'taken as the newer. Add "timenow": "{{timenow}}" to the alert to make it certain'
)


class TradingViewFold:
    """Implements `signal_processors.base.Fold`."""

    def __init__(self) -> None:
        self._stored = StoredAlerts()
        self._refusals = Refusals()
        self._rejected_on = ("", 0)  # day, count

    def decide(self, state: SymbolState | None, candidate: Signal) -> Decision:
        """Judge one alert; see semantics of redelivery and order in docs/signals.md."""
        repeated = self._repeated(state, candidate)
        if repeated:
            text = f"duplicate of {repeated}: nothing new is stored"
            return Decision(signal=None, duplicate_of=repeated, warnings=(text,))
        first_ms = self._refusals.first_arrival_ms(candidate)
        meta = dict(candidate.meta)
        if first_ms is not None:
            meta["first_arrival_ms"] = first_ms
            candidate = replace(candidate, meta=meta)
        newest, before = (None, None) if state is None else (state.newest, state.before_newest)
        verdict = judge(newest, before, candidate)
        warnings = [*_texts(meta.get("warnings")), *self._event_warnings(candidate)]
        if verdict.is_ambiguous:
            warnings.append(AMBIGUOUS)
        reason = ""
        if newest is not None and not verdict.is_newer:
            reason = f"older than {newest.id} by {verdict.reason}"
            warnings.append(f"superseded: {reason}")
        signal = replace(
            candidate,
            status="accepted" if verdict.is_newer else "superseded",
            reason=reason,
            meta={**meta, "warnings": warnings},
        )
        return Decision(signal=signal, warnings=tuple(warnings))

    def note(self, decision: Decision) -> None:
        """Remember a stored alert, for now."""
        if decision.signal is not None:
            self._stored.note(Stored.of(decision.signal))
            self._refusals.note_stored(decision.signal)

    def keep(self) -> None:
        """What was noted is durable."""
        self._stored.keep()
        self._refusals.keep()

    def drop(self) -> None:
        """What was noted was not stored."""
        self._stored.drop()
        self._refusals.drop()

    def note_refused(self, candidate: Signal) -> None:
        """Remember an alert that was answered 503: TradingView sends it again."""
        self._refusals.add(candidate)

    def may_record_rejection(self, at_ms: int) -> bool:
        """Count one rejection of that day; False when the day has had enough of them."""
        day = utc_day(at_ms)
        count = self._rejected_on[1] if self._rejected_on[0] == day else 0
        if count >= MOST_REJECTED:
            return False
        self._rejected_on = (day, count + 1)
        return True

    def restore(self, recovered: Recovered) -> None:
        """Recall at start from the checkpoint and the recent part of the journal."""
        self._refusals.restore(recovered.fold.get("refused"))
        match recovered.fold.get("rejected_on"):
            case [str(day), int(count)]:
                self._rejected_on = (day, count)
        for row in recovered.new_rows:
            at_ms = row.get("received_at_ms")
            if row.get("status") == "rejected" and type(at_ms) is int:
                self.may_record_rejection(at_ms)
        for signal in _signals(recovered.recent_rows):
            self._stored.note(Stored.of(signal))
        self._stored.keep()

    def document(self) -> Mapping[str, Any]:
        """Give what the journal cannot tell."""
        return {"refused": self._refusals.document(), "rejected_on": list(self._rejected_on)}

    def _repeated(self, state: SymbolState | None, candidate: Signal) -> str:
        """Give the id of the stored alert that the candidate certainly repeats, else ""."""
        body = candidate.meta.get("body_sha256")
        if state is not None and body and state.newest.meta.get("body_sha256") == body:
            apart_ms = candidate.received_at_ms - state.newest.received_at_ms
            if abs(apart_ms) <= REPEAT_WITHIN_MS:
                return state.newest.id
        return self._stored.same_firing(Stored.of(candidate))

    def _event_warnings(self, candidate: Signal) -> Iterable[str]:
        other = self._stored.other_body(Stored.of(candidate))
        if other:
            yield (
                f"event_id {candidate.meta.get('event_id')!r} came before with another body "
                f"({other}): it is no id of an alert"
            )


def _texts(value: object) -> list[str]:
    return [str(text) for text in value] if isinstance(value, list) else []


def _signals(rows: Iterable[Mapping[str, Any]]) -> Iterable[Signal]:
    for row in rows:
        if row.get("status") in ("accepted", "superseded"):
            try:
                yield Signal.from_row(row)
            except (KeyError, TypeError, ValueError, ArithmeticError):
                continue  # told by the reader that folds
