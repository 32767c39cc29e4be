"""One flatten under one fault, and what must hold then.

`judged` gives every broken promise of a case as a line of text; none means that it held.
"""

import asyncio
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Final

from commands.flattens.waiting import Outcome
from core.intents import engine_of
from core.model import ZERO
from paper_exchange.pipeline import SeenRequest
from tests.engine.command_house import ENGINE_ID, ROUND_TRIP_S, CommandHouse, on_virtual_time
from tests.engine.flatten_cases import HOW_OFTEN, LYING, Case, fault_of
from tests.engine.flatten_situations import ME, SITUATIONS, signals
from tests.venues import OnTheWire
from tests.virtual_time import run_virtually

FOR_EVER_WAIT_S: Final = 30.0
WAIT_S: Final = 120.0
QUIET_S: Final = 8.0  # afterwards, in which nothing may come
LATE_S: Final = 25.0  # the same, where something was on its way
MENDED_AFTER_S: Final = (0, 0, 600, 3_700)  # bans last minutes, one an hour


def judged(case: Case, folder: Path) -> list[str]:
    """Run one case; gives what was broken."""

    async def story() -> list[str]:
        house = CommandHouse(folder, {ME: case.venue})
        with on_virtual_time(house):
            run = Run(case, house)
            try:
                await run.through()
            finally:
                await run.close()
            return run.broken

    return run_virtually(story())


class Run:
    """One case under way."""

    def __init__(self, case: Case, house: CommandHouse) -> None:
        self.case = case
        self.house = house
        self.broken: list[str] = []
        self.decided_at_ms = 0
        self._past: list[tuple[int, dict[str, list[Decimal]]]] = []
        self._stream: asyncio.Task[None] | None = None

    async def through(self) -> None:
        """Bring the situation about, break something, flatten, compare; mend, flatten again."""
        case, house = self.case, self.house
        await SITUATIONS[case.situation](house)
        if not case.is_living:
            await house.stop()
        if case.situation == "busy":
            self._stream = asyncio.create_task(signals(house))
        house.server.exchange.on_change = self._note
        self._note()
        fault = house.server.add_fault(**fault_of(case), **HOW_OFTEN[case.often])
        if case.often == "for 20 s":
            asyncio.get_running_loop().call_later(20, house.server.remove_fault, fault)
        self.decided_at_ms = house.clock.now_ms()
        is_for_ever = case.often == "for ever"
        outcome = await house.flatten(wait_s=FOR_EVER_WAIT_S if is_for_ever else WAIT_S)
        self._compare(outcome)
        house.server.clear_faults()
        if not outcome.is_flat:
            await self._mended(outcome)
        self._see_flat()
        await asyncio.sleep(LATE_S if case.situation == "on the way" else QUIET_S)
        self._see_flat()
        self._see_orders()

    async def close(self) -> None:
        """End what runs."""
        if self._stream is not None:
            self._stream.cancel()
            with suppress(asyncio.CancelledError):
                await self._stream
        await self.house.close()

    async def _mended(self, first: Outcome) -> None:
        """Nothing is wrong any more: who tries again ends flat, also a parked account.

        Many orders without a known end take a rate budget longer than one command lasts.
        """
        outcome = first
        for pause_s in MENDED_AFTER_S:
            await asyncio.sleep(pause_s)
            outcome = await self.house.flatten(wait_s=WAIT_S)
            self._compare(outcome)
            if outcome.is_flat:
                return
            await self.house.stop()  # a parked account waits for this
            if pause_s:
                await self.house.start()
        self.broken.append(f"never flat after the fault: {outcome.left}")

    def _note(self) -> None:
        held: dict[str, list[Decimal]] = {}
        states = self.house.server.exchange.states
        for row in next(iter(states.values())).positions.values():
            held.setdefault(row.symbol, []).append(row.size_lots)
        self._past.append((self.house.clock.now_ms(), held))

    def _lately(self) -> list[dict[str, list[Decimal]]]:
        """The books as they were within the last two seconds."""
        since_ms = self.house.clock.now_ms() - 2_000
        before = [held for at_ms, held in self._past if at_ms < since_ms]
        return [*before[-1:], *(held for at_ms, held in self._past if at_ms >= since_ms)]

    def _compare(self, outcome: Outcome) -> None:
        """What is reported as left must be what the books hold."""
        held, ours = self._past[-1][1], self._resting()
        if outcome.is_flat and (held or ours):
            self.broken.append(f"said flat, held {held}, resting {ours}: {outcome.notes}")
        if outcome.is_flat or any(not row.symbol for row in outcome.left):
            return  # unknown as a whole: it says so
        if {*held, *ours} - {row.symbol for row in outcome.left}:
            self.broken.append(f"said {outcome.left}, held {held}, resting {ours}")
        self.broken.extend(f"no reason: {row}" for row in outcome.left if not row.why)
        if self.case.kind not in LYING:
            self._compare_sizes(outcome)

    def _compare_sizes(self, outcome: Outcome) -> None:
        lately = self._lately()
        for row in outcome.left:
            sizes = [one.get(row.symbol) or [ZERO] for one in lately]
            if row.lots is None and "no known end" in row.why:
                continue
            if row.lots is None or not any(row.lots in one for one in sizes):
                self.broken.append(f"not what is held: {row}, held {sizes}")

    def _see_flat(self) -> None:
        state = self.house.state(ME)
        if state.positions:
            self.broken.append(f"held in the end: {self.house.sizes(ME)}")
        if self._resting():
            self.broken.append(f"still resting: {self._resting()}")

    def _resting(self) -> dict[str, Decimal]:
        """Orders of ours that may still be filled, by symbol."""
        if self.case.kind == "empty" and self.case.place.endswith("look-up"):
            return {}  # a venue that hides open orders cannot be seen through
        return {
            order.ticket.symbol: order.leaves_lots
            for order in self.house.state(ME).open_orders()
            if engine_of(order.ticket.client_id) == ENGINE_ID
        }

    def _see_orders(self) -> None:
        """No order that left after the decision may open anything."""
        for request, order in self.house.sent(ME):
            if self._left_at_ms(request) > self.decided_at_ms and not is_closing(order):
                self.broken.append(f"opened at {request.at_ms}: {order}")

    def _left_at_ms(self, request: SeenRequest) -> float:
        return request.at_ms - ROUND_TRIP_S * 500


def is_closing(order: OnTheWire) -> bool:
    """True for an order that cannot open: reduce-only, or the way out of a hedge side."""
    sign = {"long": -1, "short": 1}.get(order.side, 0)
    return order.reduce_only or order.size_lots * sign > 0
