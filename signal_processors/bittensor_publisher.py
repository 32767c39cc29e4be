"""Depths as signals: stored when they moved enough, never growing faster than allowed.

Writes through the source's `SignalWriter` only. A depth that was never spoken of and is 0 is not
published: "no word" and "flat" are different things to the engine.
"""

import asyncio
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from typing import Any, Final

from core.checkpoint import SymbolState
from core.model import Signal
from core.ports import Clock
from signal_processors.base import Decision, SignalWriter
from signal_processors.bittensor_config import Publishing
from signal_processors.bittensor_exposure import (
    DEPTH_STEP,
    ONE,
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
        depths: dict[str, Decimal] = {}
        for symbol, pairs in sorted(_by_symbol({*wanted, *newest}, targets).items()):
            depths |= self._depths(symbol, pairs, newest, wanted, pace, config)
        signals = [
            self._signal(pair, depth, targets.get(pair, ""), wanted.get(pair), meta)
            for pair, depth in depths.items()
            if self._is_news(depth, newest.get(pair), config)
        ]
        outcomes = await asyncio.gather(
            *(self._writer.store(signal) for signal in signals), return_exceptions=True
        )
        for symbol, pairs in _by_symbol({s.source_symbol for s in signals}, targets).items():
            self._spend(symbol, pairs, newest, depths)  # stored or not: the slower is the safer
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        return signals

    def _depths(
        self,
        symbol: str,
        pairs: list[str],
        newest: Mapping[str, Signal],
        wanted: Mapping[str, PairDepth],
        pace: Pace,
        config: Publishing,
    ) -> dict[str, Decimal]:
        """Tell how far each pair of one symbol may go now: together within the symbol's pace."""
        before = {pair: self._start(newest.get(pair)) for pair in pairs}
        aims = {pair: wanted[pair].depth if pair in wanted else ZERO for pair in pairs}
        total, aim = sum(before.values(), ZERO), sum(aims.values(), ZERO)
        heard_at_ms = max((newest[p].received_at_ms for p in pairs if p in newest), default=None)
        reached = next_depth(total, aim, self._allowance(symbol, pace, heard_at_ms))
        part = ONE if reached == aim else (reached - total) / (aim - total)
        return {
            pair: _entered(before[pair] + (aims[pair] - before[pair]) * part, aims[pair], config)
            for pair in pairs
        }

    def _start(self, before: Signal | None) -> Decimal:
        """Give where a depth grows from: what only paper accounts followed is 0 for the others."""
        if before is None or self._is_simulated != _is_simulated(before):
            return ZERO
        return before.depth

    def _is_news(self, depth: Decimal, before: Signal | None, config: Publishing) -> bool:
        published = ZERO if before is None else before.depth
        is_other_kind = before is not None and self._is_simulated != _is_simulated(before)
        return is_other_kind or is_worth_publishing(published, depth, config.min_publish_change)

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

    def _allowance(self, symbol: str, pace: Pace, heard_at_ms: int | None) -> Decimal:
        """Tell how far a symbol's depth may grow now; a minute's worth gathers at most.

        A new process gathers from the newest signal on: starting again and again gains nothing.
        """
        now_ms = self._clock.monotonic_ms()
        bucket = self._buckets.get(symbol)
        if bucket is None:
            idle_ms = MINUTE_MS if heard_at_ms is None else self._clock.now_ms() - heard_at_ms
            bucket = _Bucket(allowance=ZERO, at_ms=now_ms - max(0, min(MINUTE_MS, idle_ms)))
            self._buckets[symbol] = bucket
        gained = pace.per_minute * max(0, now_ms - bucket.at_ms) / MINUTE_MS
        bucket.allowance = min(pace.per_minute, bucket.allowance + gained)
        bucket.at_ms = now_ms
        return bucket.allowance

    def _spend(
        self,
        symbol: str,
        pairs: list[str],
        newest: Mapping[str, Signal],
        depths: Mapping[str, Decimal],
    ) -> None:
        before = sum((self._start(newest.get(pair)) for pair in pairs), ZERO)
        after = sum((depths[pair] for pair in pairs), ZERO)
        start = abs(before) if before * after > 0 else ZERO
        bucket = self._buckets[symbol]
        bucket.allowance = max(ZERO, bucket.allowance - max(ZERO, abs(after) - start))


def _by_symbol(pairs: Iterable[str], targets: Mapping[str, str]) -> dict[str, list[str]]:
    """Put pairs together that move one symbol; one that is not mapped stands for itself."""
    found: dict[str, list[str]] = {}
    for pair in sorted(pairs):
        found.setdefault(targets.get(pair, pair), []).append(pair)
    return found


def _entered(depth: Decimal, aim: Decimal, config: Publishing) -> Decimal:
    """Cut a depth to its step; one too small to be published is none.

    Or a book that is nearly even would change its sign with every order.
    """
    cut = depth if depth == aim else depth.quantize(DEPTH_STEP, ROUND_DOWN)
    return ZERO if abs(cut) < config.min_publish_change else max(-ONE, min(ONE, cut))


def _is_simulated(signal: Signal) -> bool:
    return signal.meta.get("simulated") is True
