"""Alerts become positions under the real PM2; a kill between order and bookkeeping buys once."""

import socket
import time
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

import pytest

from tests.process.whole_house import House, Row, call, wait_for, whole_house

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]
CREATE = "/v5/order/create*"


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    """Give one house to the tests of this file; each leaves its own symbol as it likes."""
    with whole_house() as house:
        house.up()
        yield house


def intents(house: House, symbol: str) -> list[Row]:
    """List the order intents journaled for a symbol; one restated at midnight counts once."""
    rows = house.journaled()
    found = {r["client_id"]: r for r in rows if r["t"] == "intent" and r["symbol"] == symbol}
    return list(found.values())


def look_ups(house: House, client_id: str) -> list[Row]:
    """List the engine's questions after one order."""
    return [row for row in house.requests("GET") if client_id in row["query"]]


def test_long_short_flat_end_flat_in_exactly_four_orders(house: House) -> None:
    house.pin(ETHUSDT="3328.25")
    before = len(house.requests())
    equity = Decimal(house.books()["equity_usdt"])
    lots = house.bring("ETHUSDT", "long")
    time.sleep(1)
    short = house.bring("ETHUSDT", "short")
    time.sleep(1)
    house.bring("ETHUSDT", "flat")

    exact = equity * Decimal("0.058") * Decimal("0.1") * 3 / Decimal("3328.25")
    assert lots == Decimal("0.52") == round(exact - Decimal("0.005"), 2)
    rows = house.orders("ETHUSDT")
    assert [(Decimal(row["filled_lots"]), row["ticket"]["reduce_only"]) for row in rows] == [
        (lots, False),
        (-lots, True),
        (short, False),
        (-short, True),
    ]
    posts = [row for row in house.requests("POST") if row["number"] > before]
    assert Counter(row["path"] for row in posts) == {
        "/v5/order/create": 4,
        "/v5/position/set-leverage": 1,
    }


def test_monitor_and_receiver_answer_while_the_engine_is_dead(house: House) -> None:
    killed = house.kill("trade-engine")
    document = house.status()
    assert call(f"{house.monitor}/ping") == {"ping": "pong"}
    assert call(f"{house.webhook}/ping") == {"ping": "pong"}
    acknowledged = house.send("ETHUSDT", "long")
    was_dead = not house.is_ready("trade-engine", other_than=killed)

    assert killed
    assert was_dead
    assert document["executor_running"] is False
    assert document["services"]["trade-engine"]["state"] == "dead"
    assert acknowledged in {row["id"] for row in house.rows("raw_signals/tradingview/*.jsonl")}
    wait_for("the alert of that time is held", lambda: house.lots("ETHUSDT") > 0)
    house.bring("ETHUSDT", "flat")


def test_a26_killed_while_the_reply_hangs_the_order_is_found_and_not_sent_again(
    house: House,
) -> None:
    lots = house.wanted_lots("BTCUSDT")
    house.fault("hang_after", endpoint=CREATE, count=1, s=20)
    house.send("BTCUSDT", "long")
    wait_for("the order is in the books", lambda: house.lots("BTCUSDT") == lots)
    assert [row["status"] for row in house.journaled() if "order_id" in row][-1:] != ["placed"]
    killed = house.kill("trade-engine")
    wait_for("a new engine", lambda: house.is_ready("trade-engine", other_than=killed))
    wait_for("it is settled", lambda: house.is_settled("BTCUSDT", lots))

    (order,) = house.orders("BTCUSDT")
    (intent,) = intents(house, "BTCUSDT")
    client_id = order["ticket"]["client_id"]
    assert (intent["client_id"], Decimal(order["filled_lots"])) == (client_id, lots)
    assert look_ups(house, client_id)
    ends = [row for row in house.journaled() if row.get("status") == "closed"]
    assert [Decimal(r["filled_lots"]) for r in ends if r["client_id"] == client_id] == [lots]
    house.bring("BTCUSDT", "flat")


def test_a26_killed_before_the_order_lands_it_is_waited_for_and_not_sent_again(
    house: House,
) -> None:
    known = {row["client_id"] for row in intents(house, "BTCUSDT")}
    before = len(house.orders("BTCUSDT"))
    house.fault("latency", endpoint=CREATE, count=1, ms=8_000)
    house.send("BTCUSDT", "short")
    wait_for("the intent is on disk", lambda: len(intents(house, "BTCUSDT")) > len(known))
    (client_id,) = {row["client_id"] for row in intents(house, "BTCUSDT")} - known
    sent = [row for row in house.requests("POST") if client_id in row["body"]]
    wait_for("it was sent", lambda: any(client_id in r["body"] for r in house.requests("POST")))
    killed = house.kill("trade-engine")
    wait_for("a new engine", lambda: house.is_ready("trade-engine", other_than=killed))
    asked_in_vain = 0
    while len(house.orders("BTCUSDT")) == before:
        asked_in_vain = len(look_ups(house, client_id))
        time.sleep(0.02)
    lots = house.lots("BTCUSDT")
    wait_for("it is settled", lambda: house.is_settled("BTCUSDT", lots))

    assert len(sent) <= 1
    assert asked_in_vain
    assert lots < 0
    (order,) = house.orders("BTCUSDT")[before:]
    assert order["ticket"]["client_id"] == client_id
    assert {row["client_id"] for row in intents(house, "BTCUSDT")} == {*known, client_id}
    assert house.status()["frozen_positions"] == []


def take_the_place_of(house: House, address: tuple[str, int]) -> tuple[int, socket.socket]:
    """Kill the exchange and take its port before PM2 brings it back; at times PM2 is quicker."""
    for _ in range(10):
        killed = house.kill("paper-exchange")
        try:
            return killed, socket.create_server(address)
        except OSError:
            wait_for("a new one", lambda: house.is_ready("paper-exchange"))
    raise AssertionError("PM2 was quicker each time")


def test_an_exchange_that_comes_back_on_another_port_is_found_again(house: House) -> None:
    house.bring("ETHUSDT", "long")
    address = ("127.0.0.1", int(house.paper.rpartition(":")[2]))
    killed, taken = take_the_place_of(house, address)
    with taken:
        wait_for("the exchange", lambda: house.is_ready("paper-exchange", other_than=killed))
    house.paper = house.part("paper-exchange")["url"]
    assert house.send("ETHUSDT", "flat") is not None

    wait_for("flat", lambda: house.is_settled("ETHUSDT", Decimal(0)), limit_s=8)
