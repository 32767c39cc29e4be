"""From a multiple of equity to lots, and back to what an order may be.

Pure arithmetic on Decimal. Rounds toward zero, always: a target is never made larger to reach a
venue's minimum.
"""

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, Decimal

from core.model import ZERO, Instrument

BELOW_MINIMUM = "below_minimum"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sized:
    """Lots for a target, and why they are 0 where they are."""

    lots: Decimal
    reason: str = ""


def toward_zero(size: Decimal, step: Decimal) -> Decimal:
    """Round a signed size to a multiple of `step`, toward zero."""
    return (size / step).to_integral_value(ROUND_DOWN) * step


def notional_usdt(lots: Decimal, price: Decimal, instrument: Instrument) -> Decimal:
    """Signed worth of `lots` at `price`."""
    return lots * price * instrument.contract_size


def minimum_lots(instrument: Instrument, price: Decimal) -> Decimal:
    """Smallest size the venue takes at `price`, a multiple of the step, > 0."""
    smallest = max(instrument.min_lots, instrument.step_lots)
    if instrument.min_notional_usdt > 0:
        needed = instrument.min_notional_usdt / (price * instrument.contract_size)
        steps = (needed / instrument.step_lots).to_integral_value(ROUND_CEILING)
        smallest = max(smallest, steps * instrument.step_lots)
    return smallest


def size_target(
    exposure: Decimal, equity_usdt: Decimal, mark_price: Decimal, instrument: Instrument
) -> Sized:
    """Size a signed multiple of equity in lots, toward zero; below the venue's minimum it is 0."""
    exact = equity_usdt * exposure / (mark_price * instrument.contract_size)
    lots = toward_zero(exact, instrument.step_lots)
    if exposure and abs(lots) < minimum_lots(instrument, mark_price):
        return Sized(lots=ZERO, reason=BELOW_MINIMUM)
    return Sized(lots=lots)


def split_lots(size: Decimal, largest: Decimal | None, step: Decimal) -> tuple[Decimal, ...]:
    """Cut a signed size into pieces of at most `largest`; their sum is `size`, never clamped."""
    if largest is None or abs(size) <= largest:
        return (size,) if size else ()
    most = max(toward_zero(largest, step), step)
    count = int((abs(size) / most).to_integral_value(ROUND_CEILING))
    each = toward_zero(size / count, step)  # even pieces: no tail below the venue's minimum
    larger = int(abs(size - each * count) / step)
    return (each + step.copy_sign(size),) * larger + (each,) * (count - larger)


def collar_price(
    mark_price: Decimal, share: Decimal, *, is_buy: bool, tick_size: Decimal, widen: bool
) -> Decimal:
    """Price at the collar, `share` away from the mark on the losing side, on the tick grid.

    `widen` rounds away from the mark (reductions), else toward it (increases). At least one tick.
    """
    price = mark_price * (1 + share if is_buy else 1 - share)
    away = ROUND_CEILING if is_buy else ROUND_FLOOR
    toward = ROUND_FLOOR if is_buy else ROUND_CEILING
    ticks = (price / tick_size).to_integral_value(away if widen else toward)
    return max(ticks, Decimal(1)) * tick_size
