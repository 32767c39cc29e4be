"""Freezes the lots of a target version from one snapshot, and keeps them (semantics §3)."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from core.decision import Frozen
from core.model import ZERO, Instrument, Target
from core.sizing import size_target


class Sizer:
    """One pass's equity and prices, as lots."""

    def __init__(
        self,
        *,
        equity_usdt: Decimal | None,
        prices: Mapping[str, Decimal],
        instruments: Mapping[str, Instrument],
        drift: Decimal,
        resizes_on_drift: bool,
    ) -> None:
        self._equity_usdt = equity_usdt
        self._prices = prices
        self._instruments = instruments
        self._drift = drift
        self._resizes_on_drift = resizes_on_drift

    def freeze(
        self, target: Target, before: Frozen | None, held_lots: Decimal | None, *, is_ours: bool
    ) -> Frozen:
        """Give the frozen lots of `target`: those of before, or new ones for a new version."""
        fresh = self._fresh(target)
        if before is not None and before.version == target.version and before.lots is not None:
            if not self._has_drifted(target, before.lots):
                return replace(before, fresh_lots=fresh)
            return replace(self._sized(target), started=before.started, fresh_lots=fresh)
        sized = replace(self._sized(target), fresh_lots=fresh)
        is_lost = before is None and is_ours and bool(held_lots)
        if is_lost and held_lots is not None and self._is_near(held_lots, sized.lots):
            return replace(sized, lots=held_lots, started=True)
        return sized

    def _sized(self, target: Target) -> Frozen:
        frozen = Frozen(
            version=target.version, exposure=target.exposure, leverage=target.leverage, lots=None
        )
        if not target.exposure:
            return replace(frozen, lots=ZERO)
        sized = self._lots(target.symbol, target.exposure)
        return frozen if sized is None else replace(frozen, lots=sized[0], reason=sized[1])

    def _lots(self, symbol: str, exposure: Decimal) -> tuple[Decimal, str] | None:
        instrument, price = self._instruments.get(symbol), self._prices.get(symbol)
        equity = self._equity_usdt
        if instrument is None or price is None or equity is None or equity <= 0:
            return None
        sized = size_target(exposure, equity, price, instrument)
        return sized.lots, sized.reason

    def _fresh(self, target: Target) -> Decimal | None:
        if target.fresh_exposure == target.exposure:
            return None
        sized = self._lots(target.symbol, target.fresh_exposure)
        return ZERO if sized is None else sized[0]

    def _has_drifted(self, target: Target, lots: Decimal) -> bool:
        if not self._resizes_on_drift:
            return False
        now = self._lots(target.symbol, target.exposure)
        return now is not None and not self._is_near(lots, now[0])

    def _is_near(self, lots: Decimal, wanted: Decimal | None) -> bool:
        if not wanted:
            return wanted == lots
        return abs(lots - wanted) <= abs(wanted) * self._drift
