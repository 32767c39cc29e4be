"""The requests that leave have the shapes that unmodified ccxt was recorded to send."""

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from tests.contract.venue_cases import BTC, ETH, Bench, bench, order

RECORDED = Path(__file__).resolve().parents[3] / "shared/data/ccxt_recorded/bybit.json"


@pytest.fixture
async def kit() -> AsyncIterator[Bench]:
    async with bench() as running:
        yield running


@pytest.fixture(scope="module")
def recorded() -> dict[str, list[dict[str, Any]]]:
    if not RECORDED.exists():
        pytest.skip("the recorded requests are not here")
    return {row["call"]: row["requests"] for row in json.loads(RECORDED.read_text())}


def shape(value: object) -> object:
    """Keys and kinds of a request, without its values."""
    if isinstance(value, dict):
        return {key: shape(part) for key, part in sorted(value.items())}
    if isinstance(value, list):
        return [shape(part) for part in value]
    return type(value).__name__


async def test_our_requests_have_the_recorded_shapes(
    kit: Bench, recorded: dict[str, list[dict[str, Any]]]
) -> None:
    flat = await kit.connected("second")
    venue = await kit.connected()
    await venue.place_orders([order("te01", "0.02")])
    await venue.place_orders([order("te02", "-0.01", reduce_only=True)])
    await venue.place_orders([order("te03", "0.1", symbol=ETH), order("te04", "0.001")])
    await venue.place_orders([order("te05", "0.001", price="60000.1")])
    await venue.set_leverage(BTC, Decimal("5.5"))
    await flat.set_margin_mode(BTC, "isolated")
    await venue.fetch_positions()
    await venue.fetch_equity()
    await kit.market.fetch_tickers([BTC])
    kit.server.add_fault("fill_delay", ms=60_000)
    await venue.place_orders([order("te06", "0.001")])
    await venue.cancel_order(BTC, "te06")
    seen = [
        (row.method, row.path, dict(parse_qsl(row.query)), json.loads(row.body or "null"))
        for row in kit.server.requests()
    ]
    calls = {
        "create_order market buy": 0,
        "create_order market sell reduceOnly": 1,
        "set_leverage(5.5,S)": 4,
        "set_margin_mode('isolated')": 5,
        "fetch_positions()": 6,
        "fetch_balance() 2nd": 7,
        "fetch_tickers()": 8,
        "cancel_order(None,S,{orderLinkId})": 10,
    }
    for call, place in calls.items():
        wanted = recorded[call][-1]
        method, path, query, body = seen[place]

        assert (method, path) == (wanted["method"], wanted["path"]), call
        assert query == wanted["query"], call
        assert shape(body) == shape(wanted["body"]), call

    batch = recorded["create_orders x2"][0]["body"]["request"][0]
    assert [shape(one) for one in seen[2][3]["request"]] == [shape(batch)] * 2
    limit = recorded["create_order limit IOC"][0]["body"]
    assert shape(seen[3][3]) == shape({**limit, "orderLinkId": "x"})
    assert seen[3][3]["timeInForce"] == "IOC"


async def test_requests_are_signed_and_bear_the_window(kit: Bench) -> None:
    venue = await kit.connected()

    equity = await venue.fetch_equity()  # the exchange checks every signature

    assert equity.equity_usdt == 100_000


async def test_b14_sizes_and_prices_are_exact_on_the_wire(kit: Bench) -> None:
    venue = await kit.connected()
    step = Decimal("0.12") - Decimal("0.10")
    await venue.place_orders([order("te01", format(step, "f"), price="59999.9")])
    body = json.loads(kit.server.requests()[0].body)

    assert (body["qty"], body["price"]) == ("0.02", "59999.9")


async def test_loading_sends_no_signed_request_and_two_in_all(kit: Bench) -> None:
    await kit.market.fetch_instruments()
    rows = kit.server.requests()

    assert sorted(row.query for row in rows) == [
        "category=linear&limit=1000",
        "category=linear&limit=1000&status=PreLaunch",
    ]
    assert {row.account for row in rows} == {""}
