"""The real engine and unmodified ccxt against the paper exchange, under whatever hypothesis thinks
of: targets, positions found, prices, crashes, and every fault of the table that makes sense.

Every fill is judged as it comes. When the faults stop, the account must soon be where it should be
or say why not, and then be quiet.
"""

import asyncio
import tempfile
from collections.abc import Coroutine, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import event, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from core.cycle import PassReport
from paper_exchange.wires import find_wires
from tests.engine.in_process_house import House
from tests.engine.in_process_judge import Judge
from tests.venues import WORDS, Door, VenueWords, exchanges
from tests.virtual_time import VirtualLoop

ME = "main"
VENUES = tuple(v for v in exchanges() if v in find_wires())
SYMBOLS = ("BTCUSDT", "ETHUSDT", "DOGEUSDT")
MOST_PASSES = 5
AT_REST_S = 1500  # the longest ban is ten minutes; back-off and an unknown order take less
RESYNC_S = 70
DEAD_BAND = Decimal("0.02")
EXCUSES = {"below_minimum", "dust", "expired_entry", "margin"}
WAITS = {"backoff", "reduction_waits", "rate_limited", "clock_skew"}

EXPOSURES = st.sampled_from(
    ["0", "0", "0.05", "-0.05", "0.2", "-0.2", "0.7", "-0.7", "0.00003", "-0.00002", "0.052"]
)
FOUND = st.sampled_from([0, 0, 1, -1, 40, -70])  # smallest orders held before the engine came
SECONDS = st.sampled_from([0.01, 0.06, 0.2, 1.0, 2.5, 12.0, 40.0])
HOW_OFTEN: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [{"count": 1}, {"count": 3}, {"probability": 0.4}, {"skip": 1, "count": 2}]
)
NO_ANSWER: list[tuple[str, dict[str, Any]]] = [
    ("drop_before", {}),
    ("drop_after", {}),
    ("hang_after", {"s": 4}),
    ("hang_after", {}),
    ("latency", {"ms": 2600}),
    ("latency", {"ms": 18_000}),  # taken long after we gave up, in time for the venue
    ("http", {"status": 502}),
    ("http", {"status": 500, "booked": True}),
    ("garbage", {"shape": "html"}),
    ("garbage", {"shape": "truncated"}),
    ("garbage", {"shape": "empty"}),
    ("maintenance", {}),
    ("rate_limit", {}),
]
OF_ORDERS: list[tuple[str, dict[str, Any]]] = [
    ("partial_fill", {"fraction": "0.4"}),
    ("partial_fill", {"fraction": "0"}),
    ("fill_delay", {"ms": 1500}),
    ("fill_delay", {"ms": 7000}),
    ("late_reject", {"reason": "margin"}),
    ("late_reject", {"reason": "price_range"}),
]
REFUSALS = ("margin", "price", "risk_limit", "unknown")  # by the venue's own code
OF_POSITIONS: list[tuple[str, dict[str, Any]]] = [("empty", {}), ("stale", {"lag_ms": 3000})]
OF_ALL: list[tuple[str, dict[str, Any]]] = [
    ("ip_ban", {}),
    ("clock_skew", {"ms": 2000}),
    ("clock_skew", {"ms": -40_000}),
]

T = TypeVar("T")


def doors_of(words: VenueWords) -> Mapping[str, tuple[Door, str]]:
    """Where things may break: the door, and the account that knocks there."""
    return {
        "positions": (words.positions, ME),
        "wallet": (words.wallet, ME),
        "tickers": (words.tickers, ""),
        "clock": (words.time, ""),
        "leverage": (words.leverage, ME),
        "orders": (Door("POST", words.placing), ME),
        "one look-up": (words.look_up[0], ME),
        "the other look-up": (words.look_up[-1], ME),
    }


class Trading(RuleBasedStateMachine):
    """One account at one venue."""

    venue = ""

    def __init__(self) -> None:
        super().__init__()
        self.words = WORDS[self.venue]
        self.folder = tempfile.TemporaryDirectory()
        self.runner = asyncio.Runner(loop_factory=VirtualLoop)
        self.house: House = self.run(self._opened())
        self.judge = Judge(self.house)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    async def _opened(self) -> House:
        return House(
            Path(self.folder.name),
            {ME: self.venue},
            SYMBOLS,
            round_trip_s=0.05,
            max_entry_age_s=0,  # what waits for the end of a ban shall open all the same
        )

    @initialize(found=st.lists(FOUND, min_size=len(SYMBOLS), max_size=len(SYMBOLS)))
    def begin(self, found: list[int]) -> None:
        async def began() -> None:
            exchange, paper = self.house.server.exchange, self.house.server.account(ME)
            for symbol, count in zip(SYMBOLS, found, strict=True):
                row = self.words.instrument(symbol)
                price = row.reference_price * row.contract_size
                steps = max(row.min_lots, row.min_notional_usdt * 2 / price) // row.step_lots + 1
                if count:
                    exchange.trade_by_hand(paper, symbol, count * steps * row.step_lots)
            self.house.start()

        self.run(began())

    @rule(symbol=st.sampled_from(SYMBOLS), exposure=EXPOSURES, wait_s=SECONDS)
    def want(self, symbol: str, exposure: str, wait_s: float) -> None:
        self.run(self._want(wait_s, **{symbol: exposure}))

    @rule(seconds=SECONDS)
    def wait(self, seconds: float) -> None:
        self.run(asyncio.sleep(seconds))

    @rule(symbol=st.sampled_from(SYMBOLS), percent=st.integers(-2, 2))
    def move(self, symbol: str, percent: int) -> None:
        price = self.words.instrument(symbol).reference_price * (100 + percent) / 100
        self.house.server.pin(**{symbol: price})

    @rule(
        where=st.sampled_from(sorted(doors_of(WORDS["bybit"]))),
        fault=st.sampled_from(NO_ANSWER),
        often=HOW_OFTEN,
    )
    def lose_answers(
        self, where: str, fault: tuple[str, dict[str, Any]], often: dict[str, Any]
    ) -> None:
        door, account = doors_of(self.words)[where]
        self._break(fault, account=account, **door.fault, **often)

    @rule(
        fault=st.sampled_from([*NO_ANSWER, *OF_ORDERS]),
        exposures=st.lists(EXPOSURES, min_size=len(SYMBOLS), max_size=len(SYMBOLS)),
        wait_s=SECONDS,
    )
    def trade_badly(
        self, fault: tuple[str, dict[str, Any]], exposures: list[str], wait_s: float
    ) -> None:
        where = {} if fault in OF_ORDERS else Door("POST", self.words.placing).fault
        self._break(fault, account=ME, count=1, **where)
        self.run(self._want(wait_s, **dict(zip(SYMBOLS, exposures, strict=True))))

    @rule(fault=st.sampled_from(OF_ORDERS), often=HOW_OFTEN, symbol=st.sampled_from(SYMBOLS))
    def spoil_orders(
        self, fault: tuple[str, dict[str, Any]], often: dict[str, Any], symbol: str
    ) -> None:
        self._break(fault, account=ME, symbol=symbol, **often)

    @rule(code=st.sampled_from(REFUSALS), often=HOW_OFTEN, symbol=st.sampled_from(SYMBOLS))
    def refuse_orders(self, code: str, often: dict[str, Any], symbol: str) -> None:
        refusal = ("reject_order", {"code": self.words.codes[code]})
        self._break(refusal, account=ME, symbol=symbol, **often)

    @rule(fault=st.sampled_from(OF_POSITIONS), often=HOW_OFTEN)
    def lie_about_positions(self, fault: tuple[str, dict[str, Any]], often: dict[str, Any]) -> None:
        self._break(fault, account=ME, **self.words.positions.fault, **often)

    @rule(fault=st.sampled_from(OF_ALL), often=HOW_OFTEN)
    def break_everything(self, fault: tuple[str, dict[str, Any]], often: dict[str, Any]) -> None:
        self._break(fault, account=ME, **often)

    @rule()
    def mend(self) -> None:
        self.house.server.clear_faults()

    @rule(seconds=st.sampled_from([1.0, 30.0]))  # a start takes a second
    def restart(self, seconds: float) -> None:
        async def restarted() -> None:
            await self.house.crash()
            await asyncio.sleep(seconds)
            self.house.start()

        self.run(restarted())

    @invariant()
    def nothing_is_broken(self) -> None:
        self.house.check_lanes()
        assert not self.judge.broken
        assert not self.judge.sent_twice(ME)

    def teardown(self) -> None:
        try:
            if self.house.lanes:
                self.run(self._come_to_rest())
        finally:
            self.run(self.house.stop())
            self.runner.close()
            self.folder.cleanup()

    async def _want(self, wait_s: float, **exposures: str) -> None:
        self.house.want(**exposures)
        await asyncio.sleep(wait_s)

    def _break(self, fault: tuple[str, dict[str, Any]], **where: Any) -> None:
        async def broken() -> None:
            kind, params = fault
            self.house.server.add_fault(kind, **params, **where)

        self.run(broken())

    async def _come_to_rest(self) -> None:
        house = self.house
        house.server.clear_faults()
        house.reports.clear()
        await asyncio.sleep(AT_REST_S)
        self.nothing_is_broken()
        excuses = [self._judge_end(symbol) for symbol in house.depths]
        if not any(excuses):
            assert passes_to_work(house.reports) <= MOST_PASSES
        house.forget()
        house.offer()
        await asyncio.sleep(RESYNC_S)
        assert house.orders(ME) == [], "the next pass with the same inputs sent orders"

    def _judge_end(self, symbol: str) -> str:
        """Judge where one symbol ended; gives the reason why it is not on its target."""
        house = self.house
        report = house.lanes[ME].report
        assert report is not None
        held, wanted = house.held(ME, symbol), house.want_lots(ME, symbol)
        row = self.words.instrument(symbol)
        slack = max(row.step_lots, row.min_lots, abs(wanted) * DEAD_BAND)
        slack = max(slack, row.min_notional_usdt * 2 / (row.reference_price * row.contract_size))
        codes = {reason.code for reason in report.symbols[symbol].reasons}
        excuse = next(iter(sorted(codes & EXCUSES)), "")
        event(f"ended {excuse or 'on its target'}")
        assert held * wanted >= 0, f"{symbol} ended on the wrong side: {held}, {wanted} wanted"
        assert abs(held) <= abs(wanted) + slack, f"{held} held, {wanted} wanted: {codes}"
        if not excuse:
            assert abs(held - wanted) <= slack, f"{held} held, {wanted} wanted: {codes}"
            assert report.symbols[symbol].verified, codes
        return excuse


def passes_to_work(reports: list[PassReport]) -> int:
    """How many passes did something, or could have, until everything was verified."""
    count = 0
    for report in reports:
        rows = [row for row in report.symbols.values() if row.version]  # has a target
        if all(row.verified for row in rows):
            return count + 1
        waits = any(reason.code in WAITS for row in rows for reason in row.reasons)
        count += not (report.is_unsettled or report.positions_failed or waits)
    return count


@pytest.mark.timeout(150)
@pytest.mark.parametrize("venue", VENUES)
def test_whatever_happens_nothing_is_bought_twice_and_the_account_ends_on_its_targets(
    venue: str,
) -> None:
    class Here(Trading):
        pass

    Here.venue = venue
    run_state_machine_as_test(
        Here, settings=settings(max_examples=60, stateful_step_count=12, deadline=None)
    )
