"""Watches the books of the exchange: every fill and every increase of ours, as it happens."""

from collections import defaultdict
from decimal import Decimal

from core.intents import engine_of
from paper_exchange.account import AccountState
from paper_exchange.accounts import venue_of
from paper_exchange.orders import ZERO, BookOrder, Execution, Origin
from tests.engine.harness import ENGINE_ID
from tests.engine.in_process_house import House


class Judge:
    """Collects what was wrong; looks again at every change of the books."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.broken: list[str] = []
        self._fills_seen: dict[str, int] = defaultdict(int)
        self._held: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        self._began: set[str] = set()  # orders that were judged as a whole
        self.look()
        house.server.exchange.on_change = self.look

    def look(self) -> None:
        """Judge what is new in the books."""
        for account_id, state in self.house.server.exchange.states.items():
            fills = state.executions[self._fills_seen[account_id] :]
            self._fills_seen[account_id] = len(state.executions)
            for fill in fills:
                self._see(account_id, state, fill)

    def sent_twice(self, account: str) -> list[str]:
        """Client ids that an account put on the wire more than once."""
        ids = [order.client_id for order in self.house.orders(account)]
        return sorted({one for one in ids if ids.count(one) > 1})

    def _see(self, account_id: str, state: AccountState, fill: Execution) -> None:
        if fill.origin is Origin.FUNDING:
            return
        key = (account_id, fill.symbol)
        before = self._held[key]
        self._held[key] = after = before + fill.size_lots
        if fill.origin is not Origin.API:
            return
        order, where = state.orders[fill.order_id], f"{account_id} {fill.symbol}"
        what = f"{where}: {fill.size_lots} of {order.ticket.size_lots} at {before}"
        if engine_of(fill.client_id) != ENGINE_ID:
            self.broken.append(f"a foreign id: {what}")
            return
        if before * after < 0:
            self.broken.append(f"crossed zero: {what}")
        if before * fill.size_lots < 0 and not order.ticket.only_closes:
            self.broken.append(f"a reduction that is not reduce-only: {what}")
        if not order.ticket.only_closes:
            self._judge_increase(account_id, before, order, what)

    def _judge_increase(
        self, account_id: str, before: Decimal, order: BookOrder, what: str
    ) -> None:
        """Judge an increase by what it asked for, filled or not, when its first fill comes."""
        if order.order_id in self._began:
            return
        self._began.add(order.order_id)
        ticket = order.ticket
        after = before + ticket.size_lots
        wanted = self.house.lots_by_version[self._version(ticket.client_id)]
        step = self.house.server.exchange.instruments[venue_of(account_id)][ticket.symbol].step_lots
        if before * after < 0:
            self.broken.append(f"would have crossed zero: {what}")
        if abs(after) > max(abs(before), abs(wanted)) + step:
            self.broken.append(f"bought twice: {what}, {wanted} wanted")
        if wanted == ZERO or after * wanted < 0:
            self.broken.append(f"on the wrong side: {what}, {wanted} wanted")

    def _version(self, client_id: str) -> str:
        return next(
            str(row["version"])
            for row in self.house.disk.rows
            if row.get("client_id") == client_id and row["t"] == "intent"
        )
