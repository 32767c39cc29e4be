"""A venue as it is, with a note of what was seen at first and of every write that was asked for.

For the tables of `plan` and of a single cycle. Changes no answer and adds no request.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from core.errors import TradeEngineError
from core.model import (
    AccountMode,
    Equity,
    KeyFacts,
    OrderRequest,
    OrderState,
    PlacedOrder,
    PositionsRead,
)
from core.ports import MayGo, SendKind, Venue, nothing_against


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One write of a symbol: an order, or a setting before it; `error` None = it was taken."""

    symbol: str
    order: OrderRequest | None = None
    leverage: Decimal | None = None
    margin_mode: str | None = None
    error: TradeEngineError | None = None


class WatchedVenue:
    """Passes everything on."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self.first_positions: PositionsRead | None = None
        self.steps: list[Step] = []

    async def connect(self) -> AccountMode:
        """Make ready."""
        return await self._venue.connect()

    async def fetch_key_facts(self) -> KeyFacts:
        """Read what the venue says of the key."""
        return await self._venue.fetch_key_facts()

    async def fetch_equity(self) -> Equity:
        """Read equity."""
        return await self._venue.fetch_equity()

    async def fetch_positions(self) -> PositionsRead:
        """Read positions, and keep the first read that succeeds."""
        read = await self._venue.fetch_positions()
        self.first_positions = self.first_positions or read
        return read

    async def fetch_order(self, symbol: str, client_id: str) -> OrderState | None:
        """Look one order up."""
        return await self._venue.fetch_order(symbol, client_id)

    async def fetch_open_orders(self) -> Sequence[OrderState]:
        """Read open orders."""
        return await self._venue.fetch_open_orders()

    async def fetch_recent_orders(self, symbol: str) -> Sequence[OrderState]:
        """Read recent orders."""
        return await self._venue.fetch_recent_orders(symbol)

    async def wait_turn(self, kind: SendKind, count: int) -> None:
        """Wait for the rate budget."""
        await self._venue.wait_turn(kind, count)

    def orders_at_once(self, kind: SendKind) -> int:
        """Tell how many orders the rate budget lets go at once."""
        return self._venue.orders_at_once(kind)

    async def place_orders(
        self, orders: Sequence[OrderRequest], *, may_go: MayGo = nothing_against
    ) -> tuple[PlacedOrder | TradeEngineError, ...]:
        """Send orders and note what became of each."""
        results = await self._venue.place_orders(orders, may_go=may_go)
        for order, result in zip(orders, results, strict=True):
            error = result if isinstance(result, TradeEngineError) else None
            self.steps.append(Step(symbol=order.symbol, order=order, error=error))
        return results

    async def cancel_order(self, symbol: str, client_id: str) -> None:
        """Ask for a cancel."""
        await self._venue.cancel_order(symbol, client_id)

    async def set_leverage(self, symbol: str, leverage: Decimal) -> None:
        """Set a leverage and note it."""
        try:
            await self._venue.set_leverage(symbol, leverage)
        except TradeEngineError as error:
            self.steps.append(Step(symbol=symbol, leverage=leverage, error=error))
            raise
        self.steps.append(Step(symbol=symbol, leverage=leverage))

    async def set_margin_mode(self, symbol: str, margin_mode: str) -> None:
        """Set a margin mode and note it."""
        try:
            await self._venue.set_margin_mode(symbol, margin_mode)
        except TradeEngineError as error:
            self.steps.append(Step(symbol=symbol, margin_mode=margin_mode, error=error))
            raise
        self.steps.append(Step(symbol=symbol, margin_mode=margin_mode))

    def deadline_ms(self) -> int:
        """Tell how long after sending an order may still be taken."""
        return self._venue.deadline_ms()

    async def close(self) -> None:
        """Give the venue back."""
        await self._venue.close()
