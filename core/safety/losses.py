"""How much an account has lost: since the day began, and from its peak.

Pure. Baselines are stored when a day begins and when the peak grows, so that a restart measures
from the same mark. Money that somebody moved in or out shifts them: it is neither loss nor gain.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Literal

from core.model import ZERO
from core.trips import Mark

MOVED = Decimal("0.02")
"""Share of equity: with positions held, funding and fees may change a wallet by less than this."""

LossKind = Literal["daily_loss", "drawdown"]
StopKind = Literal["daily_loss", "drawdown", "orders_per_day"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """From where an account is measured; `tripped` are the limits whose stop was not lifted yet."""

    day: str  # UTC
    day_start_usdt: Decimal
    peak_usdt: Decimal
    orders_from_ms: int = 0  # orders before it do not count against the day's
    tripped: Mapping[StopKind, Mark] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One believed look at an account: what tells a transfer from a gain or loss."""

    equity_usdt: Decimal
    unrealized_pnl_usdt: Decimal | None
    holdings: Mapping[str, Decimal]  # lots by symbol, non-zero ones
    orders: int  # of ours so far: a fill may lie between two looks
    is_settled: bool = True  # nothing changed lately that the wallet may not show yet

    @property
    def wallet_usdt(self) -> Decimal | None:
        """Equity without what open positions are up or down; None = unknown."""
        pnl = self.unrealized_pnl_usdt if self.holdings else ZERO
        return None if pnl is None else self.equity_usdt - pnl


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """One loss as it stands: a share of its baseline, never below 0."""

    kind: LossKind
    baseline_usdt: Decimal
    share: Decimal
    limit: Decimal  # 0 = off

    @property
    def is_over(self) -> bool:
        """Tell whether the limit is reached."""
        return bool(self.limit) and self.share >= self.limit


def rolled(baseline: Baseline | None, equity_usdt: Decimal, day: str) -> Baseline:
    """Begin a day, and let the peak follow equity."""
    if baseline is None:
        return Baseline(day=day, day_start_usdt=equity_usdt, peak_usdt=equity_usdt)
    peak = max(baseline.peak_usdt, equity_usdt)
    if day <= baseline.day:  # a clock that stepped back begins no day anew
        return replace(baseline, peak_usdt=peak)
    return replace(baseline, day=day, day_start_usdt=equity_usdt, peak_usdt=peak)


def rebased(baseline: Baseline, kind: StopKind, equity_usdt: Decimal, now_ms: int) -> Baseline:
    """Measure one kind from now on: its stop was lifted."""
    left = replace(baseline, tripped={k: m for k, m in baseline.tripped.items() if k != kind})
    match kind:
        case "daily_loss":
            return replace(left, day_start_usdt=equity_usdt)
        case "drawdown":
            return replace(left, peak_usdt=equity_usdt)
        case "orders_per_day":
            return replace(left, orders_from_ms=now_ms)


def tripped(baseline: Baseline, kind: StopKind, mark: Mark) -> Baseline:
    """Note that a limit was reached and the account stopped for it."""
    return replace(baseline, tripped={**baseline.tripped, kind: mark})


def shifted(baseline: Baseline, moved_usdt: Decimal) -> Baseline:
    """Move the marks by money that came (> 0) or went (< 0)."""
    return replace(
        baseline,
        day_start_usdt=max(baseline.day_start_usdt + moved_usdt, ZERO),
        peak_usdt=max(baseline.peak_usdt + moved_usdt, ZERO),
    )


def moved_between(before: Moment | None, now: Moment) -> Decimal:
    """Tell what somebody moved between two looks, USDT; 0 where it may as well be trading.

    Only the wallet counts, and only while nothing was traded and the venue had time to book what
    was. Funding and fees of a position are told apart by their size.
    """
    if before is None or not (before.is_settled and now.is_settled) or is_traded(before, now):
        return ZERO
    then, after = before.wallet_usdt, now.wallet_usdt
    if then is None or after is None:
        return ZERO
    moved = after - then
    return moved if not now.holdings or abs(moved) > MOVED * before.equity_usdt else ZERO


def is_traded(before: Moment, now: Moment) -> bool:
    """Tell whether something was traded between two looks, as far as they show."""
    return before.orders != now.orders or before.holdings != now.holdings


def losses(
    baseline: Baseline, equity_usdt: Decimal, limits: Mapping[LossKind, Decimal]
) -> tuple[Loss, ...]:
    """Measure every kind of loss."""
    marks: dict[LossKind, Decimal] = {
        "daily_loss": baseline.day_start_usdt,
        "drawdown": baseline.peak_usdt,
    }
    return tuple(
        Loss(
            kind=kind,
            baseline_usdt=mark,
            share=max(mark - equity_usdt, ZERO) / mark if mark > 0 else ZERO,
            limit=limits[kind],
        )
        for kind, mark in marks.items()
    )
