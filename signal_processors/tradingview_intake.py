"""One authenticated alert from bytes to answer: understand, store durably, say what became of it.

Never calls an exchange. "ok" is said after the fdatasync only.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from itertools import count
from typing import Any, Final

from core.model import Signal
from core.ports import Clock
from signal_processors.base import Decision, SignalWriter
from signal_processors.tradingview_fold import TradingViewFold
from signal_processors.tradingview_message import preview
from signal_processors.tradingview_processor import (
    SOURCE,
    ParsedAlert,
    Rejection,
    parse,
    to_signal,
)

log = logging.getLogger(__name__)

ANSWER_WITHIN_S: Final = 2.5
"""TradingView gives up after 3 s and does not send again; a 503 before that it does."""


@dataclass(slots=True, kw_only=True)
class Counters:
    """What happened since the start, for the status part."""

    accepted: int = 0
    superseded: int = 0
    duplicates: int = 0
    rejected: int = 0
    refused: int = 0  # answered 503
    unauthorized: int = 0
    rate_limited: int = 0
    last_signal_at_ms: int | None = None
    problem: str = ""  # why the last alert was not stored; "" = it was


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer before it is bytes."""

    status: int
    document: Mapping[str, Any]
    headers: tuple[tuple[bytes, bytes], ...] = field(default=())


class Intake:
    """Takes alerts for as long as its writer is open."""

    def __init__(
        self,
        *,
        writer: SignalWriter,
        fold: TradingViewFold,
        mapping: Callable[[], Mapping[str, str]],
        clock: Clock,
        answer_within_s: float = ANSWER_WITHIN_S,
    ) -> None:
        self.counters = Counters()
        self._writer = writer
        self._fold = fold
        self._mapping = mapping
        self._clock = clock
        self._answer_within_s = answer_within_s
        self._numbers = count()
        self._run = os.urandom(3).hex()  # keeps ids apart across restarts within one millisecond

    async def take(self, body: bytes, *, content_type: str, secret: str) -> Answer:
        """Store an alert and answer it; `secret` is masked in what is stored."""
        now_ms = self._clock.now_ms()
        alert = parse(body, received_at_ms=now_ms, content_type=content_type, secret=secret)
        if isinstance(alert, Rejection):
            return await self._reject(alert, body, now_ms, secret)
        signal = self._signal(alert)
        try:
            async with asyncio.timeout(self._answer_within_s):
                decision = await self._writer.store(signal)
        except (OSError, RuntimeError) as error:  # disk, time-out; already closing
            return self._refuse(signal, error)
        return self._told(decision, alert, signal)

    def status(self) -> dict[str, Any]:
        """Give the counters as JSON values."""
        return asdict(self.counters)

    def _signal(self, alert: ParsedAlert) -> Signal:
        symbol = self._mapping().get(alert.source_symbol, "")
        if not symbol:
            warning = (
                f"{alert.source_symbol} is not mapped: stored, but no target comes of it until "
                f'"{SOURCE.name}" in asset_mapping_config.json maps "{alert.source_symbol}"'
            )
            alert = replace(alert, warnings=(*alert.warnings, warning))
        return to_signal(alert, signal_id=self._new_id(alert.received_at_ms), symbol=symbol)

    def _new_id(self, now_ms: int) -> str:
        return f"tv-{now_ms}-{self._run}-{next(self._numbers)}"

    def _told(self, decision: Decision, alert: ParsedAlert, signal: Signal) -> Answer:
        stored = decision.signal
        outcome = "duplicate" if stored is None else stored.status
        match outcome:
            case "duplicate":
                self.counters.duplicates += 1
            case "superseded":
                self.counters.superseded += 1
            case _:
                self.counters.accepted += 1
        self.counters.last_signal_at_ms = signal.received_at_ms
        self.counters.problem = ""
        fields = {"outcome": outcome, "id": signal.id, "symbol": signal.source_symbol}
        log.info("alert", extra={**fields, "depth": format(signal.depth, "f")})
        document = {
            "status": "ok",
            "id": signal.id if stored is not None else decision.duplicate_of,
            "warnings": list(decision.warnings),
            "ignored": list(alert.ignored),
        }
        return Answer(status=200, document=document)

    def _refuse(self, signal: Signal, error: Exception) -> Answer:
        reason = str(error) or "the disk does not answer"
        self._fold.note_refused(signal)
        self.counters.refused += 1
        self.counters.problem = f"alert not stored: {reason}"
        log.error(
            "alert not stored; TradingView sends it again",
            extra={"id": signal.id, "symbol": signal.source_symbol, "reason": reason},
        )
        return Answer(
            status=503,
            document={"status": "unavailable", "reason": "the alert could not be stored"},
            headers=((b"retry-after", b"5"),),
        )

    async def _reject(self, rejection: Rejection, body: bytes, now_ms: int, secret: str) -> Answer:
        self.counters.rejected += 1
        log.warning("alert rejected", extra={"field": rejection.field, "reason": rejection.reason})
        if self._fold.may_record_rejection(now_ms):
            row = _rejected_row(rejection, body, self._new_id(now_ms), now_ms, secret)
            try:
                async with asyncio.timeout(self._answer_within_s):
                    await self._writer.record(row)
            except (OSError, RuntimeError) as error:  # the answer is the same
                log.warning("rejection not stored", extra={"reason": str(error)})
        document = {"status": "rejected", "reason": rejection.reason, "field": rejection.field}
        return Answer(status=422, document=document)


def _rejected_row(
    rejection: Rejection, body: bytes, signal_id: str, now_ms: int, secret: str
) -> dict[str, Any]:
    """A line that no reader can take for a signal: what it wants is unknown, not flat."""
    return {
        "v": 1,
        "id": signal_id,
        "source": SOURCE.name,
        "source_symbol": "",
        "symbol": "",
        "depth": None,
        "leverage": None,
        "price": None,
        "fired_at_ms": None,
        "received_at_ms": now_ms,
        "sequence": None,
        "strategy": "",
        "status": "rejected",
        "reason": rejection.reason,
        "meta": {
            "field": rejection.field,
            "body_sha256": sha256(body).hexdigest(),
            "raw_text": preview(body, secret),
        },
    }
