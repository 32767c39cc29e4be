"""A venue whose misfortunes are chosen one by one, for drills that need minutes: virtual time."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from core.errors import RejectedError, TradeEngineError, TransientError, UnknownOutcomeError
from core.model import (
    ZERO,
    Equity,
    Instrument,
    OrderRequest,
    OrderState,
    OrderStatus,
    PlacedOrder,
    Position,
    PositionsRead,
)
from tests.engine.fake_venue import MARK, FakeVenue
from tests.engine.harness import Engine

Sending = Literal["answered", "taken_unanswered", "lost", "late"]


@dataclass
class ScriptedVenue(FakeVenue):
    """Does what it is told; by default everything is honest and quick."""

    sending: Sending = "answered"
    answer_after_s: float = 0
    instruments_fail: int = 0  # so many times
    positions_fail: bool = False
    positions_as_of_ms: int | None = None  # reads show this moment
    positions_empty: bool = False
    shows_margin: bool = False
    refuses: RejectedError | None = None
    refuses_reductions: bool = False
    liquidated: str = ""

    async def fetch_instruments(self) -> Mapping[str, Instrument]:
        if self.instruments_fail:
            self.instruments_fail -= 1
            await self._travel("instruments")
            raise TransientError("502")
        return await super().fetch_instruments()

    async def fetch_positions(self) -> PositionsRead:
        if self.positions_fail:
            await self._travel("positions")
            raise TransientError("502")
        read = await super().fetch_positions()
        if self.positions_empty:
            return replace(read, positions={})
        as_of = self.positions_as_of_ms
        if as_of is None:
            return read
        held = {s: self._held_at(s, as_of) for s in self.history}
        rows = {s: Position(symbol=s, size_lots=lots) for s, lots in held.items() if lots}
        return replace(read, positions=rows)

    async def fetch_equity(self) -> Equity:
        equity = await super().fetch_equity()
        used = sum((abs(x) * MARK / 10 for x in self.held.values()), ZERO)
        return replace(equity, used_margin_usdt=used if self.shows_margin else None)

    async def fetch_recent_orders(self, symbol: str) -> Sequence[OrderState]:
        found = list(await super().fetch_recent_orders(symbol))
        if self.liquidated == symbol:
            taken = OrderState(
                client_id="",
                order_id="liq",
                symbol=symbol,
                size_lots=Decimal(-1),
                filled_lots=Decimal(-1),
                status=OrderStatus.FILLED,
                updated_at_ms=self.clock.now_ms(),
                is_liquidation=True,
            )
            found.insert(0, taken)
        return found

    def sent(self, *, reduce_only: bool | None = None) -> list[OrderRequest]:
        """What was sent, all or of one kind."""
        return [o for o in self.placed if reduce_only in (None, o.reduce_only)]

    async def _place(self, order: OrderRequest) -> PlacedOrder | TradeEngineError:
        if self.refuses is not None and (self.refuses_reductions or not order.reduce_only):
            self.placed.append(order)
            await self._travel("place")
            return self.refuses
        if self.sending == "answered":
            return await super()._place(order)
        self.placed.append(order)
        await self._travel("place")
        if self.sending != "lost":
            self._execute(order)
        await asyncio.sleep(self.answer_after_s)
        if self.sending == "late":
            return PlacedOrder(client_id=order.client_id, order_id=f"v{len(self.placed)}")
        return UnknownOutcomeError("no answer")


def scripted(tmp_path: Path, **options: Any) -> tuple[Engine, ScriptedVenue]:
    """An engine of one account, not started yet, and its venue."""
    engine = Engine(tmp_path, **options)
    venue = ScriptedVenue(clock=engine.clock, rng=engine.rng, symbols=engine.venue.symbols)
    engine.venue = venue
    return engine, venue
