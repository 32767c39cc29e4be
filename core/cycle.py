"""What one cycle hands to every account: settings and contributions, read once, never changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from core.decision import Policy, Reason
from core.model import Contribution, Target
from core.settings import AccountConfig, Settings
from core.targets import Weighing


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleInputs:
    """One generation of what is wanted."""

    generation: int
    settings: Settings
    contributions: tuple[Contribution, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolReport:
    """How one symbol of one account stood when a pass ended."""

    symbol: str
    held_lots: Decimal | None
    target_lots: Decimal | None
    version: str = ""
    verified: bool = False
    hold: str = ""
    reasons: tuple[Reason, ...] = ()
    retry_at_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PassReport:
    """One pass of one account, for status, tests and the lane's timetable."""

    account: str
    generation: int
    began_at_ms: int
    ended_at_ms: int
    equity_usdt: Decimal | None = None
    symbols: Mapping[str, SymbolReport]
    targets: Mapping[str, Target]
    confirmed: Mapping[str, str]  # version by symbol, confirmed in this pass
    read_failures: tuple[str, ...] = ()
    positions_failed: bool = False
    is_unsettled: bool = False  # something must be looked up or read again soon
    unreadable: tuple[str, ...] = ()  # symbols whose row could not be read
    retry_after_s: int | None = None  # the venue asked for this pause
    looks_again: bool = False  # equity is to be read once more, soon


def weighing_for(settings: Settings, account: AccountConfig) -> Weighing:
    """Take from the settings what weighs one account's targets."""
    return Weighing(
        weights={
            row.symbol: {source.source: source.weight for source in row.sources}
            for row in settings.weights
        },
        leverage={row.symbol: row.leverage for row in settings.weights},
        leverage_override=account.leverage_override,
        stale_after_s={
            name: int(source.stale_after_s) for name, source in settings.engine.sources.items()
        },
        max_gross=settings.engine.engine.max_gross_exposure,
        hears_simulated=account.is_paper,
    )


def policy_for(settings: Settings) -> Policy:
    """Take from the settings what decides about a symbol."""
    limits = settings.engine.engine
    return Policy(
        dead_band=limits.dead_band,
        collar=limits.collar if limits.order_type == "collar" else None,
        reduce_collars=limits.reduce_collars,
        max_spread=limits.max_spread,
        max_mark_gap=limits.max_mark_gap,
        max_order_share=limits.max_order_share,
        max_entry_age_s=int(limits.max_entry_age_s),
        closes_orphans=limits.orphan_policy == "close",
    )
