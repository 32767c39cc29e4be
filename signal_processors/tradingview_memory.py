"""What the receiver recalls of the last minutes: what it stored, and what it could not store.

Pure; bounded in time and number. Both memories hold news back until `keep`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from core.model import Signal

STORED_FOR_MS: Final = 600_000
REFUSED_FOR_MS: Final = 60_000
MOST: Final = 20_000
"""Entries of each memory; the oldest go first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What is recalled of one alert."""

    id: str
    body: str  # sha256
    event_id: str
    is_one_firing: bool  # a fire time or a number makes an equal body the same firing
    at_ms: int

    @classmethod
    def of(cls, signal: Signal) -> "Stored":
        """Take from a signal what is recalled of it."""
        return cls(
            id=signal.id,
            body=str(signal.meta.get("body_sha256") or ""),
            event_id=str(signal.meta.get("event_id") or ""),
            is_one_firing=signal.fired_at_ms is not None or signal.sequence is not None,
            at_ms=signal.received_at_ms,
        )


class StoredAlerts:
    """Alerts with an `event_id`, stored within the last 10 minutes."""

    def __init__(self) -> None:
        self._by_event: dict[str, Stored] = {}  # the last one of each event id
        self._by_body: dict[str, Stored] = {}
        self._noted: dict[str, Stored] = {}  # by id

    def same_firing(self, alert: Stored) -> str:
        """Give the id of the stored alert that this one repeats for certain, else ""."""
        if not alert.event_id or not alert.is_one_firing or not alert.body:
            return ""
        kept = self._by_body.get(alert.body)
        found = self._latest(kept, lambda s: s.is_one_firing and s.body == alert.body)
        return found.id if found is not None and _is_recent(found, alert) else ""

    def other_body(self, alert: Stored) -> str:
        """Give the id of the last stored alert with this `event_id` and another body, else ""."""
        if not alert.event_id:
            return ""
        event_id = alert.event_id
        found = self._latest(self._by_event.get(event_id), lambda s: s.event_id == event_id)
        if found is None or found.body == alert.body or not _is_recent(found, alert):
            return ""
        return found.id

    def note(self, alert: Stored) -> None:
        """Recall an alert, for now."""
        if alert.event_id:
            self._noted[alert.id] = alert

    def keep(self) -> None:
        """What was noted is stored."""
        for alert in self._noted.values():
            _put(self._by_event, alert.event_id, alert)
            if alert.is_one_firing:
                _put(self._by_body, alert.body, alert)
        self._noted.clear()

    def drop(self) -> None:
        """What was noted is not stored."""
        self._noted.clear()

    def _latest(self, kept: Stored | None, fits: Callable[[Stored], bool]) -> Stored | None:
        noted = [alert for alert in self._noted.values() if fits(alert)]
        return noted[-1] if noted else kept


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refusal:
    first_ms: int
    ids: tuple[str, ...]  # of the tries that were refused


class Refusals:
    """Alerts answered 503 within the last minute; the first copy that is stored uses one up."""

    def __init__(self) -> None:
        self._refused: dict[str, _Refusal] = {}  # by body
        self._used: set[str] = set()

    def add(self, alert: Signal) -> None:
        """Recall that this try was refused."""
        body = _body(alert)
        before = self._valid(body, alert.received_at_ms)
        first_ms = alert.received_at_ms if before is None else before.first_ms
        ids = (alert.id,) if before is None else (*before.ids, alert.id)
        self._refused.pop(body, None)
        self._refused[body] = _Refusal(first_ms=first_ms, ids=ids)
        if len(self._refused) > MOST:
            del self._refused[next(iter(self._refused))]

    def first_arrival_ms(self, alert: Signal) -> int | None:
        """Tell when this alert first came, if this is a copy of a refused one."""
        refusal = self._valid(_body(alert), alert.received_at_ms)
        if refusal is None or alert.id in refusal.ids or _body(alert) in self._used:
            return None
        return refusal.first_ms

    def note_stored(self, alert: Signal) -> None:
        """Use the memory up, for now, if this is the copy of a refused alert."""
        if self.first_arrival_ms(alert) is not None:
            self._used.add(_body(alert))

    def keep(self) -> None:
        """What was noted is stored."""
        for body in self._used:
            self._refused.pop(body, None)
        self._used.clear()

    def drop(self) -> None:
        """What was noted is not stored."""
        self._used.clear()

    def document(self) -> dict[str, list[Any]]:
        """Give the memory as JSON values."""
        return {body: [refusal.first_ms, *refusal.ids] for body, refusal in self._refused.items()}

    def restore(self, value: object) -> None:
        """Recall a memory that `document` gave; what is not one is passed over."""
        if not isinstance(value, dict):
            return
        for body, row in value.items():
            match row:
                case [int(first_ms), *ids]:
                    kept = tuple(str(one) for one in ids)
                    self._refused[str(body)] = _Refusal(first_ms=first_ms, ids=kept)

    def _valid(self, body: str, at_ms: int) -> _Refusal | None:
        refusal = self._refused.get(body)
        if refusal is None or abs(at_ms - refusal.first_ms) > REFUSED_FOR_MS:
            return None
        return refusal


def _body(alert: Signal) -> str:
    return str(alert.meta.get("body_sha256") or "")


def _is_recent(stored: Stored, alert: Stored) -> bool:
    return abs(alert.at_ms - stored.at_ms) <= STORED_FOR_MS


def _put(memory: dict[str, Stored], key: str, alert: Stored) -> None:
    memory.pop(key, None)  # the newest goes last
    memory[key] = alert
    while len(memory) > MOST or not _is_recent(next(iter(memory.values())), alert):
        del memory[next(iter(memory))]
