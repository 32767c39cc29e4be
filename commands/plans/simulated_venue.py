"""A venue whose reads are real and whose writes happen here alone: for `plan` and `--simulate`.

Knows of the real venue only how to read (`Readable`), so nothing can be sent by mistake. An order
is filled at once at the mark, where its limit, the lot step and the venue's sizes allow it; what
was filled is laid over the positions, margin and orders that are really there. No fees.
"""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final, Protocol

from core.errors import NotPlacedError, RejectedError, TradeEngineError
from core.lanes.market_desk import MarketDesk
from core.model import (
    ZERO,
    AccountMode,
    Equity,
    KeyFacts,
    OrderRequest,
    OrderState,
    OrderStatus,
    PlacedOrder,
    Position,
    PositionsRead,
)
from core.ports import Clock, MayGo, SendKind, nothing_against
from core.sizing import minimum_lots, notional_usdt

AT_ONCE: Final = 20  # no rate budget binds here


class Readable(Protocol):
    """The part of `core.ports.Venue` that changes nothing."""

    async def connect(self) -> AccountMode:
        """Make ready."""
        ...

    async def fetch_key_facts(self) -> KeyFacts:
        """Read what the venue says of the key."""
        ...

    async def fetch_equity(self) -> Equity:
        """Read equity."""
        ...

    async def fetch_positions(self) -> PositionsRead:
        """Read positions."""
        ...

    async def fetch_order(self, symbol: str, client_id: str) -> OrderState | None:
        """Look one order up."""
        ...

    async def fetch_open_orders(self) -> Sequence[OrderState]:
        """Read open orders."""
        ...

    async def fetch_recent_orders(self, symbol: str) -> Sequence[OrderState]:
        """Read recent orders."""
        ...

    def deadline_ms(self) -> int:
        """Tell how long after sending an order may still be taken."""
        ...

    async def close(self) -> None:
        """Give connections back."""
        ...


class SimulatedVenue:
    """Implements `core.ports.Venue`; `market` tells marks and instruments."""

    def __init__(self, real: Readable, market: MarketDesk, clock: Clock) -> None:
        self._real = real
        self._market = market
        self._clock = clock
        self._read: PositionsRead | None = None  # as the venue said it last
        self._moved: dict[str, tuple[Decimal, Decimal]] = {}  # by symbol: of long, of short
        self._orders: dict[str, OrderState] = {}
        self._leverage: dict[str, Decimal] = {}
        self._margin_modes: dict[str, str] = {}

    # --- reads: what is really there, and what was filled here
    async def connect(self) -> AccountMode:
        """Make ready."""
        return await self._real.connect()

    async def fetch_key_facts(self) -> KeyFacts:
        """Read what the venue says of the key."""
        return await self._real.fetch_key_facts()

    async def fetch_equity(self) -> Equity:
        """Read equity; what was filled at the mark moves margin alone."""
        equity = await self._real.fetch_equity()
        moved = self._margin_moved()
        if not moved:
            return equity
        used, free = equity.used_margin_usdt, equity.free_margin_usdt
        return replace(
            equity,
            used_margin_usdt=None if used is None else self._used(used + moved),
            free_margin_usdt=None if free is None else free - moved,
        )

    async def fetch_positions(self) -> PositionsRead:
        """Read positions, with what was filled here."""
        self._read = await self._real.fetch_positions()
        return self._overlaid(self._read)

    async def fetch_order(self, symbol: str, client_id: str) -> OrderState | None:
        """Look one order up, here or at the venue."""
        if client_id in self._orders:
            return self._orders[client_id]
        return await self._real.fetch_order(symbol, client_id)

    async def fetch_open_orders(self) -> Sequence[OrderState]:
        """Read open orders: those of here never rest."""
        return await self._real.fetch_open_orders()

    async def fetch_recent_orders(self, symbol: str) -> Sequence[OrderState]:
        """Read recent orders, those of here first."""
        ours = [one for one in self._orders.values() if one.symbol == symbol]
        return [*reversed(ours), *await self._real.fetch_recent_orders(symbol)]

    # --- writes: here alone
    async def wait_turn(self, kind: SendKind, count: int) -> None:
        """Return at once: nothing is sent."""

    def orders_at_once(self, kind: SendKind) -> int:
        """Give the same for every kind."""
        del kind
        return AT_ONCE

    async def place_orders(
        self, orders: Sequence[OrderRequest], *, may_go: MayGo = nothing_against
    ) -> tuple[PlacedOrder | TradeEngineError, ...]:
        """Fill what can be filled at the mark, refuse what the venue would refuse."""
        return tuple(
            NotPlacedError(against) if (against := may_go(order)) else self._placed(order)
            for order in orders
        )

    async def cancel_order(self, symbol: str, client_id: str) -> None:
        """Cancel nothing: what rests at the venue stays there."""

    async def set_leverage(self, symbol: str, leverage: Decimal) -> None:
        """Note it for the positions opened here."""
        self._leverage[symbol] = leverage

    async def set_margin_mode(self, symbol: str, margin_mode: str) -> None:
        """Note it for the positions opened here."""
        self._margin_modes[symbol] = margin_mode

    def deadline_ms(self) -> int:
        """Give the venue's, for orders that are really under way."""
        return self._real.deadline_ms()

    async def close(self) -> None:
        """Give the venue back."""
        await self._real.close()

    def _placed(self, order: OrderRequest) -> PlacedOrder | TradeEngineError:
        price = self._market.last_price(order.symbol)
        error = self._refusal(order, price)
        if error is not None:
            return error
        filled = self._fill(order, price)
        order_id = f"simulated-{len(self._orders) + 1}"
        is_whole = filled == order.size_lots
        self._orders[order.client_id] = OrderState(
            client_id=order.client_id,
            order_id=order_id,
            symbol=order.symbol,
            size_lots=order.size_lots,
            filled_lots=filled,
            status=OrderStatus.FILLED if is_whole else OrderStatus.CANCELED,
            average_price=price,
            reduce_only=order.reduce_only,
            updated_at_ms=self._clock.now_ms(),
        )
        self._move(order.symbol, filled, reduce_only=order.reduce_only)
        if order.leverage is not None:
            self._leverage[order.symbol] = order.leverage
        if order.margin_mode is not None:
            self._margin_modes[order.symbol] = order.margin_mode
        return PlacedOrder(client_id=order.client_id, order_id=order_id)

    def _refusal(self, order: OrderRequest, price: Decimal | None) -> RejectedError | None:
        symbol, size = order.symbol, abs(order.size_lots)
        instrument = self._market.last_instruments().get(symbol)
        if instrument is None or not instrument.is_trading:
            return RejectedError(f"simulated: {symbol} is not traded here", kind="symbol")
        if size % instrument.step_lots:
            text = f"simulated: {size} is no multiple of the lot step {instrument.step_lots}"
            return RejectedError(text, kind="size")
        if instrument.max_market_lots is not None and size > instrument.max_market_lots:
            text = f"simulated: {size} lots in one order, at most {instrument.max_market_lots}"
            return RejectedError(text, kind="size")
        if order.reduce_only:
            if not self._reducible(order):
                text = f"simulated: no {symbol} to reduce"
                return RejectedError(text, kind="nothing_to_reduce")
        elif price is not None and size < minimum_lots(instrument, price):
            text = f"simulated: {size} lots are less than {minimum_lots(instrument, price)}"
            return RejectedError(text, kind="size")
        return None

    def _fill(self, order: OrderRequest, price: Decimal | None) -> Decimal:
        limit = order.limit_price
        if price is not None and limit is not None:
            is_beyond = price > limit if order.size_lots > 0 else price < limit
            if is_beyond:
                return ZERO
        if not order.reduce_only:
            return order.size_lots
        return min(self._reducible(order), abs(order.size_lots)).copy_sign(order.size_lots)

    def _reducible(self, order: OrderRequest) -> Decimal:
        """Give how much a reduction can take away; a size that is unknown is as large as asked."""
        read = None if self._read is None else self._overlaid(self._read)
        if read is None:
            return abs(order.size_lots)
        long_lots, short_lots = read.both_sides.get(order.symbol, (ZERO, ZERO))
        held: Decimal | None = short_lots if order.size_lots > 0 else long_lots
        if order.symbol not in read.both_sides:
            held = read.size_lots(order.symbol)
        if held is None:
            return abs(order.size_lots)
        return abs(held) if held * order.size_lots < 0 else ZERO

    def _move(self, symbol: str, lots: Decimal, *, reduce_only: bool) -> None:
        """Note a fill on the side that it opens or closes."""
        long_lots, short_lots = self._moved.get(symbol, (ZERO, ZERO))
        is_of_long = (lots > 0) is not reduce_only
        moved = (long_lots + lots, short_lots) if is_of_long else (long_lots, short_lots + lots)
        self._moved[symbol] = moved

    def _overlaid(self, read: PositionsRead) -> PositionsRead:
        positions, both, unreadable = (
            dict(read.positions),
            dict(read.both_sides),
            set(read.unreadable),
        )
        for symbol, (long_moved, short_moved) in self._moved.items():
            long_lots, short_lots = both.pop(symbol, (ZERO, ZERO))
            long_lots, short_lots = long_lots + long_moved, short_lots + short_moved
            if symbol in read.both_sides and long_lots and short_lots:
                both[symbol] = (long_lots, short_lots)
                continue
            if symbol in read.both_sides:
                unreadable.discard(symbol)
            row = positions.pop(symbol, None)
            size = long_lots + short_lots + (ZERO if row is None else row.size_lots)
            if size:
                positions[symbol] = self._row(symbol, size, row)
        return replace(read, positions=positions, both_sides=both, unreadable=frozenset(unreadable))

    def _row(self, symbol: str, size_lots: Decimal, row: Position | None) -> Position:
        if row is None:
            price = self._market.last_price(symbol)
            row = Position(symbol=symbol, size_lots=size_lots, entry_price=price, mark_price=price)
        return replace(
            row,
            size_lots=size_lots,
            leverage=self._leverage.get(symbol, row.leverage),
            margin_mode=self._margin_modes.get(symbol, row.margin_mode),
        )

    def _margin_moved(self) -> Decimal:
        """Give the initial margin that the fills of here use, negative where they free some."""
        if self._read is None:
            return ZERO
        overlaid, moved = self._overlaid(self._read), ZERO
        for symbol in self._moved:
            price = self._market.last_price(symbol)
            instrument = self._market.last_instruments().get(symbol)
            before, after = self._read.size_lots(symbol), overlaid.size_lots(symbol)
            if price is None or instrument is None or before is None or after is None:
                continue
            row = overlaid.positions.get(symbol) or self._read.positions.get(symbol)
            leverage = self._leverage.get(symbol) or (None if row is None else row.leverage)
            worth = notional_usdt(abs(after) - abs(before), price, instrument)
            moved += worth / leverage if leverage else ZERO
        return moved

    def _used(self, usdt: Decimal) -> Decimal:
        """Give the margin in use; none where nothing is held any more, whatever the rounding."""
        read = None if self._read is None else self._overlaid(self._read)
        is_held = read is None or bool(read.positions or read.unreadable)
        return max(usdt, ZERO) if is_held else ZERO
