"""One flatten under one fault: what there was before, what goes wrong, and what must hold then.

`judged` gives every broken promise of a case as a line of text; none means that it held.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from commands.flattening import Outcome
from core.intents import engine_of
from paper_exchange.account import position_key
from paper_exchange.orders import Ticket, TimeInForce
from paper_exchange.pipeline import SeenRequest
from tests.engine.command_house import (
    ENGINE_ID,
    ROUND_TRIP_S,
    SYMBOLS,
    CommandHouse,
    on_virtual_time,
)
from tests.venues import WORDS, Door, OnTheWire, VenueWords
from tests.virtual_time import run_virtually

ME: Final = "main"
BTC, ETH, DOGE = SYMBOLS
FOR_EVER_WAIT_S: Final = 45.0
WAIT_S: Final = 120.0
MENDED_TRIES: Final = 8  # the longest ban is ten minutes
LYING: Final = {"empty", "stale", "fields"}  # of what they say, nothing can be compared

Params = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One run."""

    venue: str
    situation: str
    is_living: bool  # an engine lives; else the command is its own
    kind: str
    params: Params
    place: str
    often: str

    def __str__(self) -> str:
        who = "living" if self.is_living else "own"
        fault = f"{self.kind}{dict(self.params) or ''}"
        return f"{self.venue} {self.situation} {who}: {fault} at {self.place} {self.often}"


NO_ANSWER: Final[list[tuple[str, Params]]] = [
    ("drop_before", {}),
    ("drop_after", {}),
    ("hang_after", {"s": 4}),
    ("hang_after", {}),
    ("latency", {"ms": 2600}),
    ("latency", {"ms": 18_000}),
    ("http", {"status": 502}),
    ("http", {"status": 500, "booked": True}),
    ("garbage", {"shape": "html"}),
    ("garbage", {"shape": "truncated"}),
    ("garbage", {"shape": "empty"}),
    ("maintenance", {}),
    ("rate_limit", {}),
    ("refuse", {"code": "unknown"}),
    ("refuse", {"code": "key"}),
]
LIES: Final[list[tuple[str, Params]]] = [
    ("empty", {}),
    ("stale", {"lag_ms": 3000}),
    ("stale", {}),
    ("fields", {"values": dict.fromkeys(("size", "positions", "currentQty", "holdVol"), "x")}),
]
OF_ALL: Final[list[tuple[str, Params]]] = [
    *NO_ANSWER,
    ("ip_ban", {}),
    ("clock_skew", {"ms": 2000}),
    ("clock_skew", {"ms": -40_000}),
]
OF_ORDERS: Final[list[tuple[str, Params]]] = [
    ("reject_order", {"code": "margin"}),
    ("reject_order", {"code": "price"}),
    ("reject_order", {"code": "nothing_to_reduce"}),
    ("reject_order", {"code": "size"}),
    ("reject_order", {"code": "unknown"}),
    ("late_reject", {"reason": "margin"}),
    ("late_reject", {"reason": "price_range"}),
    ("partial_fill", {"fraction": "0.4"}),
    ("partial_fill", {"fraction": "0"}),
    ("fill_delay", {"ms": 1500}),
    ("fill_delay", {"ms": 7000}),
]
FAULTS: Final[Mapping[str, list[tuple[str, Params]]]] = {
    "orders": [*NO_ANSWER, *OF_ORDERS],
    "positions": [*NO_ANSWER, *LIES],
    "wallet": [*NO_ANSWER, ("empty", {})],
    "tickers": [*NO_ANSWER, ("empty", {})],
    "instruments": [*NO_ANSWER, ("empty", {})],
    "clock": NO_ANSWER,
    "look-up": [*NO_ANSWER, ("empty", {})],
    "other look-up": [*NO_ANSWER, ("empty", {})],
    "cancel": NO_ANSWER,
    "everything": OF_ALL,
}
HOW_OFTEN: Final[Mapping[str, Params]] = {
    "once": {"count": 1},
    "three times": {"count": 3},
    "for 20 s": {},
    "for ever": {},
}


def door_of(words: VenueWords, place: str) -> Params:
    """The fields of a fault that name a place; an account where it has a key."""
    doors = {
        "orders": Door("POST", words.placing),
        "positions": words.positions,
        "wallet": words.wallet,
        "tickers": words.tickers,
        "instruments": words.instruments,
        "clock": words.time,
        "look-up": words.look_up[0],
        "other look-up": words.look_up[-1],
        "cancel": words.cancel,
    }
    return {} if place == "everything" else doors[place].fault


def fault_of(case: Case) -> dict[str, Any]:
    """The fault of a case as the table takes it, but for how often."""
    words, params = WORDS[case.venue], dict(case.params)
    if "code" in params:
        params["code"] = words.codes[params["code"]]
    is_of_order = (case.kind, case.params) in OF_ORDERS
    where = {} if is_of_order else door_of(words, case.place)
    return {"kind": case.kind, **params, **where}


# --- situations
async def _traded(house: CommandHouse, **shares: str) -> None:
    await house.start()
    house.say(**shares)
    await asyncio.sleep(15)
    assert {s for s, _ in house.sizes(ME)} == set(shares)


async def long(house: CommandHouse) -> None:
    await _traded(house, BTCUSDT="0.02")


async def short(house: CommandHouse) -> None:
    await _traded(house, ETHUSDT="-0.03")


async def several(house: CommandHouse) -> None:
    await _traded(house, BTCUSDT="-0.02", ETHUSDT="0.03", DOGEUSDT="0.01")


async def by_hand(house: CommandHouse) -> None:
    paper = house.server.account(ME)
    house.server.exchange.trade_by_hand(paper, BTC, house.lots(ME, BTC, "0.2"))
    house.server.exchange.trade_by_hand(paper, ETH, -house.lots(ME, ETH, "2"))
    await house.start()
    await asyncio.sleep(5)


async def dust(house: CommandHouse) -> None:
    """One step of a contract whose smallest order is more, where the venue has such a thing."""
    instruments = WORDS[house.venues[ME]].instrument
    symbol = next((s for s in SYMBOLS if instruments(s).min_lots > instruments(s).step_lots), DOGE)
    row, paper = instruments(symbol), house.server.account(ME)
    price = row.reference_price * row.contract_size
    smallest = max(row.min_lots, row.min_notional_usdt * 2 / price) // row.step_lots + 1
    house.server.exchange.trade_by_hand(paper, symbol, smallest * row.step_lots)
    state = house.state(ME)
    held = state.positions[position_key(symbol, 0)]
    left = type(held)(**{**_fields(held), "size_lots": row.step_lots})
    after = type(state)(**{**_fields(state), "positions": {position_key(symbol, 0): left}})
    house.server.exchange.change(paper.id, after, house.clock.now_ms())
    await house.start()
    await asyncio.sleep(5)


async def both_sides(house: CommandHouse) -> None:
    house.hedge(ME)
    lots = house.lots(ME, BTC, "0.1")
    for side, sign, count in ((1, 1, 2), (2, -1, 1)):
        ticket = Ticket(symbol=BTC, size_lots=sign * count * lots, side_index=side)
        house.place_directly(ME, ticket, f"hand-{side}")
    await house.start()
    await asyncio.sleep(5)


async def unknown_order(house: CommandHouse) -> None:
    """Ours is held, and more was asked for: the answer is lost and cannot be looked up."""
    words = WORDS[house.venues[ME]]
    await _traded(house, BTCUSDT="0.02")
    door = Door("POST", words.placing)
    lost = [house.server.add_fault("drop_after", account=ME, count=1, **door.fault)]
    lost += [house.server.add_fault("http", **d.fault) for d in words.look_up]
    house.say(BTCUSDT="0.04", ETHUSDT="-0.02")
    await asyncio.sleep(0.4)
    for one in lost:
        house.server.remove_fault(one)


async def resting(house: CommandHouse) -> None:
    """An order of ours that no journal knows waits far below the price, beside a position."""
    paper = house.server.account(ME)
    house.server.exchange.trade_by_hand(paper, BTC, house.lots(ME, BTC, "0.1"))
    row = WORDS[house.venues[ME]].instrument(BTC)
    price = row.reference_price * Decimal("0.8")
    ticket = Ticket(
        symbol=BTC,
        size_lots=house.lots(ME, BTC, "0.1"),
        client_id=f"te{ENGINE_ID}zzzz0lp0000000001",
        limit_price=price - price % row.tick_size,
        time_in_force=TimeInForce.GTC,
    )
    house.place_directly(ME, ticket, "rests-1")
    await house.start()


async def busy(house: CommandHouse) -> None:
    """Signals that open and flip without end."""
    await _traded(house, BTCUSDT="0.02", ETHUSDT="0.02")


SITUATIONS: Final[Mapping[str, Callable[[CommandHouse], Awaitable[None]]]] = {
    "long": long,
    "short": short,
    "several": several,
    "by hand": by_hand,
    "dust": dust,
    "both sides": both_sides,
    "unknown order": unknown_order,
    "resting": resting,
    "busy": busy,
}


def all_cases(venues: tuple[str, ...]) -> list[Case]:
    """Every case there is, in a fixed order."""
    return [
        Case(
            venue=venue,
            situation=situation,
            is_living=is_living,
            kind=kind,
            params=params,
            place=place,
            often=often,
        )
        for venue in venues
        for situation in SITUATIONS
        for is_living in (True, False)
        for place, faults in FAULTS.items()
        for kind, params in faults
        for often in HOW_OFTEN
    ]


def chosen(cases: list[Case], count: int, seed: int = 0) -> list[Case]:
    """Choose so many that many pairs of what they vary in are among them."""
    order = random.Random(seed)  # noqa: S311 - repeatable on purpose
    order.shuffle(cases)
    seen: set[tuple[str, ...]] = set()
    picked: list[Case] = []
    taken: set[int] = set()
    for least in (8, 6, 4, 2, 1, 0):
        for case in cases:
            if len(picked) == count:
                return picked
            pairs = _pairs(case)
            if len(pairs - seen) >= least and id(case) not in taken:
                seen |= pairs
                picked.append(case)
                taken.add(id(case))
    return picked


def _pairs(case: Case) -> set[tuple[str, ...]]:
    fault, who = f"{case.kind}{case.params}", f"living {case.is_living}"
    values = (case.venue, case.situation, who, fault, case.place, case.often)
    return {(a, b) for i, a in enumerate(values) for b in values[i + 1 :]}


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
            self._stream = asyncio.create_task(self._signals())
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
        await asyncio.sleep(20)
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
        """Nothing is wrong any more: one who tries again ends flat, parked accounts and bans too."""
        outcome = first
        for _ in range(MENDED_TRIES):
            outcome = await self.house.flatten(wait_s=WAIT_S)
            self._compare(outcome)
            if outcome.is_flat:
                return
            await self.house.stop()  # a parked account waits for this
        self.broken.append(f"never flat after the fault: {outcome.left}")

    async def _signals(self) -> None:
        wish = random.Random(1)  # noqa: S311 - repeatable on purpose
        while True:
            symbol, share = wish.choice(SYMBOLS), wish.choice(["0.03", "-0.03", "0.01", "-0.02"])
            self.house.say(**{symbol: share})
            await asyncio.sleep(wish.uniform(0.05, 0.8))

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
        held = self._past[-1][1]
        ours = self._resting()
        if outcome.is_flat and (held or ours):
            self.broken.append(f"said flat, held {held}, resting {ours}: {outcome.notes}")
        if outcome.is_flat or any(not row.symbol for row in outcome.left):
            return  # unknown as a whole: it says so
        named = {row.symbol for row in outcome.left}
        if {*held, *ours} - named:
            self.broken.append(f"said {outcome.left}, held {held}, resting {ours}")
        if self.case.kind in LYING:
            return
        for row in outcome.left:
            sizes = [one.get(row.symbol, []) for one in self._lately()]
            if row.lots is None:
                if not any(len(one) == 2 for one in sizes) and row.symbol not in held:
                    self.broken.append(f"unknown, but flat: {row}")
            elif not any(row.lots in (one or [0]) for one in sizes):
                self.broken.append(f"not what is held: {row}, held {sizes}")
            if not row.why:
                self.broken.append(f"no reason: {row}")

    def _see_flat(self) -> None:
        state = self.house.state(ME)
        if state.positions:
            self.broken.append(f"held in the end: {self.house.sizes(ME)}")
        if self._resting():
            self.broken.append(f"still resting: {self._resting()}")

    def _resting(self) -> dict[str, Decimal]:
        """Orders of ours that may still be filled, by symbol."""
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


def _fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}
