"""From *wanted* and *held* to the actions that close the gap.

Pure: the same inputs give the same actions. Knows no I/O, clock, journal or trust; what it is given
as held is believed. Invariants, each a property test in `tests/unit/test_planner.py`:

1. No order crosses zero: a flip closes reduce-only and opens in a later plan, once seen flat.
2. Every reduction is reduce-only; no increase is.
3. No order leaves the account farther from zero than max(|held|, |wanted|).
4. Leverage is set only when it differs, or may after a switch of the margin mode, and only before
   an increase.
5. Margin mode changes only while flat.
6. wanted = held gives no action; an exit to flat is never held back.
7. The pieces of a split sum to the whole; each is at most `max_order_lots`.
"""

from dataclasses import dataclass
from decimal import Decimal

from core.model import ZERO, Action, Instrument, Order, SetLeverage, SetMarginMode
from core.sizing import collar_price, minimum_lots, split_lots

DEAD_BAND = "dead_band"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """One symbol's distance between wanted and held, and the terms on which it may be closed.

    Sizes are signed lots. A collar is the share of the mark price that an IOC order may give away;
    None = at market. `price` is for the dead band and collars; without it an order goes at market
    and the dead band is the smallest lot. `max_increase_lots` None = no cap but the venue's.
    """

    wanted_lots: Decimal
    held_lots: Decimal
    instrument: Instrument
    price: Decimal | None
    dead_band: Decimal = Decimal("0.02")
    leverage_wanted: Decimal | None = None
    leverage_held: Decimal | None = None
    margin_mode_wanted: str | None = None  # None = keep
    margin_mode_held: str | None = None
    increase_collar: Decimal | None = None
    reduce_collar: Decimal | None = None
    max_increase_lots: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Actions in the order in which they must happen, and why there are none where a gap stays."""

    actions: tuple[Action, ...] = ()
    reason: str = ""


def plan(gap: Gap) -> Plan:
    """Plan the next actions for one symbol; a flip needs a second plan after it was seen flat."""
    held, wanted = gap.held_lots, gap.wanted_lots
    if wanted == held:
        return Plan()
    if _reduces(held, wanted):
        return _reduction(gap)
    return _increase(gap)


def within_dead_band(gap: Gap) -> bool:
    """True when the change of a held position is too small to send; never for an entry or exit."""
    if not gap.held_lots or not gap.wanted_lots or gap.held_lots * gap.wanted_lots < 0:
        return gap.held_lots == gap.wanted_lots
    change = abs(gap.wanted_lots - gap.held_lots)
    return change < max(_minimum(gap), abs(gap.wanted_lots) * gap.dead_band)


def _reduces(held: Decimal, wanted: Decimal) -> bool:
    return held != ZERO and (held * wanted <= 0 or abs(wanted) < abs(held))


def _reduction(gap: Gap) -> Plan:
    held, wanted = gap.held_lots, gap.wanted_lots
    if within_dead_band(gap):
        return Plan(reason=DEAD_BAND)
    keeps = wanted if held * wanted > 0 else ZERO
    if abs(keeps) < _minimum(gap):
        keeps = ZERO  # a remainder below the minimum could neither be closed nor ignored
    return Plan(actions=_orders(gap, keeps - held, reduce_only=True))


def _increase(gap: Gap) -> Plan:
    if within_dead_band(gap):
        return Plan(reason=DEAD_BAND)
    actions: list[Action] = []
    symbol = gap.instrument.symbol
    mode, leverage_held = gap.margin_mode_wanted, gap.leverage_held
    if mode is not None and gap.held_lots == ZERO and mode != gap.margin_mode_held:
        actions.append(SetMarginMode(symbol=symbol, margin_mode=mode))
        leverage_held = None  # some venues keep one for each mode
    if gap.leverage_wanted is not None and gap.leverage_wanted != leverage_held:
        actions.append(SetLeverage(symbol=symbol, leverage=gap.leverage_wanted))
    actions.extend(_orders(gap, gap.wanted_lots - gap.held_lots, reduce_only=False))
    return Plan(actions=tuple(actions))


def _orders(gap: Gap, size: Decimal, *, reduce_only: bool) -> tuple[Action, ...]:
    instrument = gap.instrument
    largest = instrument.max_market_lots
    if not reduce_only and gap.max_increase_lots is not None:
        largest = gap.max_increase_lots if largest is None else min(largest, gap.max_increase_lots)
    collar = gap.reduce_collar if reduce_only else gap.increase_collar
    price = None
    if collar is not None and gap.price is not None:
        price = collar_price(
            gap.price,
            collar,
            is_buy=size > 0,
            tick_size=instrument.tick_size,
            widen=reduce_only,
        )
    return tuple(
        Order(
            symbol=instrument.symbol,
            size_lots=piece,
            reduce_only=reduce_only,
            limit_price=price,
            leverage=None if reduce_only else gap.leverage_wanted,
            margin_mode=None if reduce_only else gap.margin_mode_wanted,
        )
        for piece in split_lots(size, largest, instrument.step_lots)
    )


def _minimum(gap: Gap) -> Decimal:
    if gap.price is None:
        return max(gap.instrument.min_lots, gap.instrument.step_lots)
    return minimum_lots(gap.instrument, gap.price)
