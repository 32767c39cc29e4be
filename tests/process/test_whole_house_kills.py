"""SIGKILL of any service, and of PM2, under a stream of alerts: nothing lost, nothing twice.

The verdict comes from the exchange's books and from journals, after everything is back.
"""

import random
import threading
import time
from collections import Counter
from contextlib import suppress
from decimal import Decimal
from functools import partial

import pytest

from tests.process.installation import NAMES
from tests.process.whole_house import EXPOSURE, House, Row, wait_for, whole_house

pytestmark = [pytest.mark.process, pytest.mark.timeout(150)]
SEED = 41
KILLS = 14
SYMBOLS = ("ETHUSDT", "BTCUSDT")
STEPS = {"ETHUSDT": Decimal("0.01"), "BTCUSDT": Decimal("0.001")}
TURNS = {"long": ("short", "flat"), "short": ("long", "flat"), "flat": ("long", "short")}
DRIFT = Decimal("1.02")  # of price and equity during the test; a second order would be 2.0
SETTLES_S = 60.0  # an order that the exchange lost in its own death is given up after some 30 s


class Stream(threading.Thread):
    """Sends alert after alert, each until it is acknowledged; every one changes the target."""

    def __init__(self, house: House, seed: int) -> None:
        super().__init__(daemon=True)
        self.acknowledged: list[str] = []
        self.newest: dict[str, tuple[str, str]] = {}  # symbol: id, direction
        self.unanswered = 0
        self.stopping = threading.Event()
        self.failure: BaseException | None = None
        self._house = house
        self._chance = random.Random(seed)

    def run(self) -> None:
        try:
            while not self.stopping.is_set():
                self._next(self._chance.choice(SYMBOLS))
                self.stopping.wait(self._chance.uniform(0, 0.3))
        except BaseException as error:  # told by the test
            self.failure = error
            raise

    def wait_for_next(self) -> None:
        """Wait until one more alert is acknowledged."""
        seen = len(self.acknowledged)
        wait_for("the next alert", lambda: len(self.acknowledged) > seen)

    def _next(self, symbol: str) -> None:
        _, before = self.newest.get(symbol, ("", "flat"))
        direction = self._chance.choice(TURNS[before])
        deadline = time.monotonic() + 30
        while (alert_id := self._house.send(symbol, direction)) is None:
            self.unanswered += 1
            assert time.monotonic() < deadline, "the receiver does not come back"
            time.sleep(0.05)
        self.acknowledged.append(alert_id)
        self.newest[symbol] = (alert_id, direction)


def slow_down(house: House) -> None:
    """Make orders take some time, so that a kill finds them on their way; lost with the process."""
    with suppress(OSError):
        house.fault("latency", endpoint="/v5/order/create*", ms=40)
        house.fault("hang_after", endpoint="/v5/order/create*", s=0.04)


def kill_at_random(house: House, stream: Stream, chance: random.Random, kills: int) -> int:
    """Kill one service after the other while alerts come in; how often one was hit."""
    hit = 0
    while hit < kills:
        if chance.random() < 0.6:  # soon after an alert: something is on its way
            stream.wait_for_next()
            time.sleep(chance.uniform(0, 0.15))
        else:
            time.sleep(chance.uniform(0.1, 1.2))
        name = chance.choice(NAMES)
        hit += bool(house.kill(name))
        if name == "paper-exchange":
            wait_for("the exchange is back", partial(house.is_ready, name))
            slow_down(house)
    return hit


def test_sigkill_of_any_service_loses_no_alert_and_buys_nothing_twice() -> None:
    with whole_house() as house:
        house.up()
        slow_down(house)
        stream = Stream(house, SEED)
        stream.start()
        chance = random.Random(SEED)
        hit = kill_at_random(house, stream, chance, KILLS // 2)
        house.kill_daemon()
        house.up()  # takes all services over, while alerts come in
        slow_down(house)
        hit += kill_at_random(house, stream, chance, KILLS // 2)
        stream.stopping.set()
        stream.join(40)
        assert stream.failure is None
        house.kill("trade-engine")  # with the last alert on its way
        wait_for("PM2 brought every service back", house.all_ready)
        for symbol, (_, direction) in stream.newest.items():
            wait_until_held(house, symbol, direction)

        assert hit >= KILLS
        assert_no_alert_was_lost(house, stream)
        for symbol in SYMBOLS:
            assert_fills_add_up(house, symbol)
        assert_one_order_an_intent(house)
        assert_nothing_was_called_external(house)


def wait_until_held(house: House, symbol: str, direction: str) -> None:
    """Wait until the books and the engine agree on the side last acknowledged."""
    sign = {"long": 1, "short": -1, "flat": 0}[direction]

    def is_held() -> bool:
        lots = house.lots(symbol)
        side = (lots > 0) - (lots < 0)
        return side == sign and house.is_settled(symbol, lots)

    wait_for(f"{symbol} {direction}", is_held, SETTLES_S)


def assert_no_alert_was_lost(house: House, stream: Stream) -> None:
    rows = house.rows("raw_signals/tradingview/*.jsonl")
    stored = [row["id"] for row in rows]
    newest = {row["symbol"]: row["id"] for row in rows if row["status"] == "accepted"}

    assert set(stream.acknowledged) <= set(stored)
    assert len(stored) == len(set(stored))
    assert newest == {symbol: alert_id for symbol, (alert_id, _) in stream.newest.items()}


def assert_fills_add_up(house: House, symbol: str) -> None:
    """Walk through the fills: each stays within what was held or wanted, none crosses zero."""
    fills = [row for row in house.books()["executions"] if row["symbol"] == symbol]
    held = Decimal(0)
    for fill in fills:
        size, price = Decimal(fill["size_lots"]), Decimal(fill["price"])
        wanted = Decimal(100_000) * EXPOSURE / price * DRIFT
        after = held + size
        assert fill["origin"] == "api"
        assert abs(after) <= max(abs(held), wanted) + STEPS[symbol], fill
        assert after * held >= 0, fill
        held = after
    assert held == house.lots(symbol)


def assert_one_order_an_intent(house: House) -> None:
    """Check that each order has an intent, and each version of a target one increase at most."""
    rows = house.journaled()
    intents = {row["client_id"]: row for row in rows if row["t"] == "intent"}
    orders = house.orders()
    ids = [order["ticket"]["client_id"] for order in orders]
    opened = Counter(
        version_of(intents[order["ticket"]["client_id"]])
        for order in orders
        if Decimal(order["filled_lots"]) and not order["ticket"]["reduce_only"]
    )

    assert len(ids) == len(set(ids))
    assert set(ids) <= set(intents)
    assert opened
    assert {key: count for key, count in opened.items() if count > 1} == {}


def version_of(intent: Row) -> tuple[str, str]:
    return intent["symbol"], intent["version"]


def assert_nothing_was_called_external(house: House) -> None:
    rows = house.journaled()
    events = house.rows("state/events-*.jsonl")

    assert [row for row in rows if row.get("hold")] == []
    assert [row for row in events if row["code"].startswith(("external", "lane/"))] == []
    assert house.status()["frozen_positions"] == []
    assert [row for name in NAMES for row in house.tracebacks(name)] == []
