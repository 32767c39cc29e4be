"""Looks at one account at the end of a flatten: what is held, and which orders of ours rest there.

Unknown is never flat: a read that failed, and one that lists nothing while margin is in use or may
be, say nothing. Sends nothing.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import cast

from commands.position_reading import OpenAccount
from core.control import Scope
from core.errors import TradeEngineError, TransientError
from core.intents import engine_of
from core.lanes.snapshot import lists_nothing
from core.model import OrderState, PositionsRead
from core.ports import Venue


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One look; a text in `error` or `orders_error` = that part is unknown."""

    held: tuple[tuple[str, Decimal | None], ...] = ()  # symbol, signed lots; None = unreadable
    error: str = ""
    resting: tuple[OrderState, ...] = ()  # ours
    orders_error: str = ""

    @property
    def is_flat(self) -> bool:
        """Tell whether it is known that nothing is held and nothing of ours rests."""
        return not (self.held or self.error or self.resting or self.orders_error)


async def look(
    one: OpenAccount, scope: Scope, engine_id: str | None, *, is_seen_flat: bool
) -> Seen:
    """Look once; `is_seen_flat` = the engine saw it flat, so an empty list needs no other proof."""
    venue = cast("Venue", one.venue)  # it is opened whole, for reading
    try:
        await venue.connect()
    except TradeEngineError as error:
        return Seen(error=str(error), orders_error=str(error))
    positions, orders = await asyncio.gather(
        _positions(venue, is_seen_flat=is_seen_flat), _open_orders(venue)
    )
    known, states = isinstance(positions, PositionsRead), not isinstance(orders, TradeEngineError)
    return Seen(
        held=_held(positions, scope) if isinstance(positions, PositionsRead) else (),
        error="" if known else str(positions),
        resting=()
        if isinstance(orders, TradeEngineError)
        else tuple(o for o in orders if _is_ours(o, scope, engine_id)),
        orders_error="" if states else str(orders),
    )


async def _positions(venue: Venue, *, is_seen_flat: bool) -> PositionsRead | TradeEngineError:
    try:
        read = await venue.fetch_positions()
        if is_seen_flat or not lists_nothing(read):
            return read
        used = (await venue.fetch_equity()).used_margin_usdt
    except TradeEngineError as error:
        return error
    if used is None:
        return TransientError("the venue lists no positions, and does not tell the margin in use")
    if used:
        return TransientError(f"the venue lists no positions while {used} USDT of margin is in use")
    return read


async def _open_orders(venue: Venue) -> Sequence[OrderState] | TradeEngineError:
    try:
        return await venue.fetch_open_orders()
    except TradeEngineError as error:
        return error


def _held(read: PositionsRead, scope: Scope) -> tuple[tuple[str, Decimal | None], ...]:
    """Give what is held; in hedge mode both sides of a symbol, one after the other."""
    rows: list[tuple[str, Decimal | None]] = [
        (symbol, None) for symbol in read.unreadable if symbol not in read.both_sides
    ]
    rows += [(symbol, lots) for symbol, sides in read.both_sides.items() for lots in sides]
    rows += [(symbol, row.size_lots) for symbol, row in read.positions.items() if row.size_lots]
    return tuple(sorted((row for row in rows if scope.symbol in (None, row[0])), key=_symbol))


def _symbol(row: tuple[str, Decimal | None]) -> str:
    return row[0]


def _is_ours(order: OrderState, scope: Scope, engine_id: str | None) -> bool:
    is_open = not order.is_terminal and scope.symbol in (None, order.symbol)
    return is_open and engine_id is not None and engine_of(order.client_id) == engine_id
