"""Depths as signals: stored when they moved enough, never growing faster than allowed.

Writes through the source's `SignalWriter` only. A depth that was never spoken of and is 0 is not
published: "no word" and "flat" are different things to the engine.
"""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from core.checkpoint import SymbolState
from core.model import Signal
from core.ports import Clock
from signal_processors.base import Decision, SignalWriter
from signal_processors.bittensor_config import Publishing
from signal_processors.bittensor_exposure import (
    PairDepth,
    explained,
    is_worth_publishing,
    next_depth,
)
from signal_processors.bittensor_model import ZERO
from signal_processors.journal_recovery import Recovered

MINUTE_MS: Final = 60_000


class LevelFold:
    """A level source has nothing to put in order: what it says last is what holds."""

    def decide(self, state: SymbolState | None, candidate: Signal) -> Decision:  # noqa: ARG002
        """Take every signal."""
        return Decision(signal=candidate)

    def note(self, decision: Decision) -> None:
        """Remember nothing."""

    def keep(self) -> None:
        """Remember nothing."""

    def drop(self) -> None:
        """Remember nothing."""

    def restore(self, recovered: Recovered) -> None:
        """Need nothing of the past."""

    def document(self) -> Mapping[str, Any]:
        """Have nothing to add to the checkpoint."""
        return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast depths may grow now: away from zero, per minute; 0 = not at all."""

    per_minute: Decimal
    reason: str = ""  # why it is not what is configured


@dataclass(slots=True)
class _Bucket:
    allowance: Decimal
    at_ms: int


class Publisher:
    """The published depths of one source."""

    def __init__(
        self, writer: SignalWriter, clock: Clock, *, source: str, is_simulated: bool = False
    ) -> None:
        self._writer = writer
        self._clock = clock
        self._source = source
        self._is_simulated = is_simulated
        self._buckets: dict[str, _Bucket] = {}
        self._run = os.urandom(3).hex()  # keeps ids apart across restarts within one millisecond
        self._count = 0

    def published(self) -> dict[str, Decimal]:
        """Give the newest stored depth by pair."""
        return {pair: signal.depth for pair, signal in self._writer.newest().items()}

    async def publish(
        self,
        wanted: Mapping[str, PairDepth],
        targets: Mapping[str, str],
        pace: Pace,
        *,
        config: Publishing,
        meta: Mapping[str, Any],
    ) -> list[Signal]:
        """Store what moved; gives what was stored. Raises OSError: what moved is not all stored.

        `targets` maps pairs to our symbols; pairs spoken of before count too.
        """
        newest = self._writer.newest()
        signals = []
        for pair in sorted({*wanted, *newest}):
            aim = wanted.get(pair)
            depth = self._depth(pair, newest.get(pair), aim, pace, config)
            if depth is not None:
                signals.append(self._signal(pair, depth, targets.get(pair, ""), aim, meta))
        outcomes = await asyncio.gather(
            *(self._writer.store(signal) for signal in signals), return_exceptions=True
        )
        failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        for signal, outcome in zip(signals, outcomes, strict=True):
            if not isinstance(outcome, BaseException):
                self._spend(signal, newest.get(signal.source_symbol))
        if failures:
            raise failures[0]
        return signals

    def _depth(
        self,
        pair: str,
        before: Signal | None,
        wanted: PairDepth | None,
        pace: Pace,
        config: Publishing,
    ) -> Decimal | None:
        """Tell what to publish of a pair; None = nothing."""
        depth = ZERO if before is None else before.depth
        aim = ZERO if wanted is None else wanted.depth
        reached = next_depth(depth, aim, self._allowance(pair, pace))
        is_same_kind = before is None or self._is_simulated == _is_simulated(before)
        if is_same_kind and not is_worth_publishing(depth, reached, config.min_publish_change):
            return None
        return reached

    def _signal(
        self,
        pair: str,
        depth: Decimal,
        symbol: str,
        wanted: PairDepth | None,
        meta: Mapping[str, Any],
    ) -> Signal:
        """Make the signal, with what people need to understand it."""
        now_ms = self._clock.now_ms()
        self._count += 1
        return Signal(
            id=f"{now_ms:x}-{self._run}-{self._count:x}",
            source=self._source,
            source_symbol=pair,
            symbol=symbol,
            depth=depth,
            leverage=None,
            price=None,
            fired_at_ms=None if wanted is None else wanted.newest_at_ms,
            received_at_ms=now_ms,
            meta={
                **meta,
                **({"simulated": True} if self._is_simulated else {}),
                **explained(wanted),
            },
        )

    def _allowance(self, pair: str, pace: Pace) -> Decimal:
        """Tell how far a depth may grow now; a minute's worth gathers at most."""
        now_ms = self._clock.monotonic_ms()
        bucket = self._buckets.get(pair)
        if bucket is None:
            bucket = self._buckets[pair] = _Bucket(allowance=pace.per_minute, at_ms=now_ms)
        gained = pace.per_minute * (now_ms - bucket.at_ms) / MINUTE_MS
        bucket.allowance = min(pace.per_minute, bucket.allowance + gained)
        bucket.at_ms = now_ms
        return bucket.allowance

    def _spend(self, signal: Signal, before: Signal | None) -> None:
        depth = ZERO if before is None else before.depth
        start = abs(depth) if depth * signal.depth > 0 else ZERO
        grown = max(ZERO, abs(signal.depth) - start)
        bucket = self._buckets[signal.source_symbol]
        bucket.allowance = max(ZERO, bucket.allowance - grown)


def _is_simulated(signal: Signal) -> bool:
    return signal.meta.get("simulated") is True
