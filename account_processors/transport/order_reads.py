"""Reads what the venue says of orders: one by its id, what rests, what lately ended."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

from account_processors.transport.caller import NotFoundError
from account_processors.transport.market import CcxtMarket
from account_processors.transport.profile import Endpoint, Profile, Row
from account_processors.transport.rows import read_orders, read_takings, text
from core.errors import TransientError
from core.model import OrderState, OrderStatus, PlacedOrder

ReadRows = Callable[[Endpoint, Mapping[str, object], str], Awaitable[tuple[list[Row], int]]]


class OrderReads:
    """One account's orders; raises what reads raise."""

    def __init__(self, profile: Profile, market: CcxtMarket, read_rows: ReadRows) -> None:
        self._profile = profile
        self._market = market
        self._read_rows = read_rows
        self._ids: dict[str, str] = {}  # by client id, where the venue does not keep those

    async def one(self, symbol: str, client_id: str) -> OrderState | None:
        """Look one order up by client id; None = every place to look said that it is not there."""
        named = {self._profile.symbol_param: await self._market.id_of(symbol)}
        asked = {**named, self._profile.lookup_param: client_id}
        for endpoint in self._profile.order_lookup:
            query = asked if endpoint.is_filtered else named
            try:
                rows, _ = await self._read_rows(endpoint, query, f"order {client_id}")
            except NotFoundError:
                continue
            if not endpoint.is_filtered:  # rows of other orders say nothing, readable or not
                rows = [row for row in rows if self._may_be_it(row, client_id)]
            orders = self._read(rows, f"order {client_id}")
            found = next((order for order in orders if self._is_it(order, client_id)), None)
            if found is not None:
                return replace(found, client_id=client_id)
            if orders and endpoint.is_filtered:
                msg = f"order {client_id}: the reply is about other orders: it was not read"
                raise TransientError(msg)
        return None

    async def resting(self) -> Sequence[OrderState]:
        """All open orders of the account, foreign ones too."""
        orders = await self._orders(self._profile.open_orders, {}, "open orders")
        return [order for order in orders if order.status is OrderStatus.OPEN]

    async def recent(self, symbol: str) -> Sequence[OrderState]:
        """Open and lately closed orders of a symbol, newest first, foreign ones too."""
        query = {self._profile.symbol_param: await self._market.id_of(symbol)}
        found: dict[str, OrderState] = {}
        for endpoint in self._profile.recent_orders:  # a later reading replaces
            for order in await self._orders(endpoint, query, f"recent orders of {symbol}"):
                found[order.order_id] = order
        takings = self._profile.takings
        if takings is not None:
            rows, _ = await self._read_rows(takings.endpoint, query, f"recent fills of {symbol}")
            taken = read_takings(rows, takings, self._market.symbol_of)
            found |= {order.order_id: order for order in taken}
        # some venues do not listen to the symbol
        ours = (order for order in found.values() if order.symbol == symbol)
        return sorted(ours, key=lambda order: order.updated_at_ms or 0, reverse=True)

    def note(self, placed: PlacedOrder) -> None:
        """Remember the venue's id of an order, where the venue does not keep ours."""
        if not self._profile.knows_client_ids:
            self._ids[placed.client_id] = placed.order_id

    def known_as(self, client_id: str) -> str:
        """Give the id by which the venue knows an order of ours; "" = it never told us."""
        return client_id if self._profile.knows_client_ids else self._ids.get(client_id, "")

    def _may_be_it(self, row: Row, client_id: str) -> bool:
        fields = self._profile.order
        name = fields.client_id if self._profile.knows_client_ids else fields.order_id
        return row.get(name) is None or text(row.get(name)) == self.known_as(client_id)

    def _is_it(self, order: OrderState, client_id: str) -> bool:
        if self._profile.knows_client_ids:
            return order.client_id == client_id
        return order.order_id == self._ids.get(client_id)

    async def _orders(
        self, endpoint: Endpoint, query: Mapping[str, object], what: str
    ) -> list[OrderState]:
        rows, _ = await self._read_rows(endpoint, query, what)
        return self._read(rows, what)

    def _read(self, rows: list[Row], what: str) -> list[OrderState]:
        return read_orders(rows, self._profile.order, self._market.symbol_of, what)
