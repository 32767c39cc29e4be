"""Each injected fault reaches a plain ccxt client as the trouble it stands for."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import aiohttp
import ccxt
import pytest

from paper_exchange.server import PaperServer
from tests.paper.clients import BTC, ETH, MAIN, Client, TurnedClock, plain_client


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture
async def server(clock: TurnedClock) -> AsyncIterator[PaperServer]:
    async with PaperServer(accounts=[MAIN], clock=clock) as running:
        running.pin(BTCUSDT="60000", ETHUSDT="3328")
        yield running


@pytest.fixture
async def client(server: PaperServer) -> AsyncIterator[Client]:
    async with plain_client(server, timeout=400) as plain:
        await plain.load_markets()
        yield plain


def size(server: PaperServer) -> Decimal:
    return Decimal(server.truth("main")["sizes"].get("ETHUSDT", "0"))


@pytest.mark.parametrize(
    ("fault", "error", "is_booked"),
    [
        pytest.param({"kind": "drop_before"}, ccxt.ExchangeNotAvailable, False, id="drop-before"),
        pytest.param({"kind": "drop_after"}, ccxt.ExchangeNotAvailable, True, id="drop-after"),
        pytest.param({"kind": "hang_after"}, ccxt.RequestTimeout, True, id="never-answered"),
        pytest.param({"kind": "hang_after", "s": 0.8}, ccxt.RequestTimeout, True, id="late"),
        pytest.param({"kind": "latency", "ms": 800}, ccxt.RequestTimeout, None, id="slow"),
        pytest.param({"kind": "http"}, ccxt.ExchangeNotAvailable, False, id="502"),
        pytest.param(
            {"kind": "http", "status": 500, "booked": True},
            ccxt.ExchangeNotAvailable,
            True,
            id="500-after-it-was-taken",
        ),
        pytest.param(
            {"kind": "http", "status": 429}, ccxt.RateLimitExceeded, False, id="system-429"
        ),
        pytest.param({"kind": "rate_limit"}, ccxt.RateLimitExceeded, False, id="10006"),
        pytest.param({"kind": "ip_ban"}, ccxt.RateLimitExceeded, False, id="403"),
        pytest.param({"kind": "maintenance"}, ccxt.ExchangeError, False, id="maintenance"),
        pytest.param(
            {"kind": "refuse", "code": 33004, "text": "expired"},
            ccxt.AuthenticationError,
            False,
            id="any-code",
        ),
        pytest.param(
            {"kind": "reject_order", "code": 110090}, ccxt.ExchangeError, False, id="one-order"
        ),
    ],
)
async def test_a_fault_on_an_order(
    server: PaperServer,
    client: Client,
    fault: dict[str, Any],
    error: type[Exception],
    is_booked: bool | None,
) -> None:
    server.add_fault(**fault, endpoint="/v5/order/*", count=1)

    with pytest.raises(error):
        await client.create_order(ETH, "market", "buy", 1, None, {"clientOrderId": "te1"})
    if is_booked is None:  # slow: it is taken after the client gave up
        for _ in range(100):
            if size(server):
                break
            await asyncio.sleep(0.02)
        is_booked = True
    assert size(server) == (1 if is_booked else 0)
    found = await client.fetch_open_orders(ETH, params={"orderLinkId": "te1"})
    assert [row["clientOrderId"] for row in found] == (["te1"] if is_booked else [])


@pytest.mark.parametrize("shape", ["html", "truncated", "empty"])
async def test_rubbish_after_the_order_was_taken_has_no_id(
    server: PaperServer, client: Client, shape: str
) -> None:
    server.add_fault("garbage", shape=shape, endpoint="/v5/order/create", count=1)
    order = await client.create_order(ETH, "market", "buy", 1)

    assert order["id"] is None
    assert size(server) == 1


async def test_an_empty_read_says_200_and_nothing(server: PaperServer, client: Client) -> None:
    await client.create_order(ETH, "market", "buy", 1)
    server.add_fault("empty", endpoint="/v5/position/list", count=1)

    assert await client.fetch_positions() == []
    assert (await client.fetch_balance())["USDT"]["used"] > 0
    assert len(await client.fetch_positions()) == 1


async def test_a_stale_read_shows_the_past(
    server: PaperServer, client: Client, clock: TurnedClock
) -> None:
    frozen = server.add_fault("stale", endpoint="/v5/position/list")
    await client.create_order(ETH, "market", "buy", 1)
    assert await client.fetch_positions() == []
    server.remove_fault(frozen)
    assert len(await client.fetch_positions()) == 1

    server.add_fault("stale", endpoint="/v5/position/list", lag_ms=900)
    await client.create_order(BTC, "market", "buy", 0.01)
    assert len(await client.fetch_positions()) < 2
    clock.ahead_ms = 950
    assert len(await client.fetch_positions()) == 2


async def test_a_portfolio_account_has_no_leverage(server: PaperServer, client: Client) -> None:
    await client.create_order(ETH, "market", "buy", 1)
    server.add_fault(
        "fields", endpoint="/v5/position/list", values={"leverage": "", "liqPrice": None}
    )
    [position] = await client.fetch_positions()

    assert (position["leverage"], position["contracts"]) == (None, 1)


async def test_a_partial_fill_leaves_the_rest_cancelled(
    server: PaperServer, client: Client
) -> None:
    server.add_fault("partial_fill", fraction="0.4", symbol="ETHUSDT", count=1)
    await client.create_order(ETH, "market", "buy", 1.11, None, {"clientOrderId": "part"})
    [order] = await client.fetch_open_orders(ETH, params={"orderLinkId": "part"})

    assert (order["filled"], order["status"]) == (0.44, "canceled")
    assert size(server) == Decimal("0.44")


async def test_a_delayed_fill_is_seen_when_it_falls_due(
    server: PaperServer, client: Client, clock: TurnedClock
) -> None:
    server.add_fault("fill_delay", ms=900, count=1)
    await client.create_order(ETH, "market", "buy", 1, None, {"clientOrderId": "late"})
    [order] = await client.fetch_open_orders(ETH)
    assert (order["status"], order["filled"]) == ("open", 0)
    assert await client.fetch_positions() == []

    clock.ahead_ms = 900
    assert len(await client.fetch_positions()) == 1
    assert await client.fetch_open_orders(ETH) == []


async def test_an_accepted_order_may_be_rejected_later(
    server: PaperServer, client: Client, clock: TurnedClock
) -> None:
    server.exchange.fill_delay_ms = 500
    server.add_fault("late_reject", reason="margin", count=1)
    accepted = await client.create_order(ETH, "market", "buy", 1, None, {"clientOrderId": "no"})
    clock.ahead_ms = 500
    [order] = await client.fetch_open_orders(ETH, params={"orderLinkId": "no"})

    assert accepted["id"] == order["id"]
    assert (order["status"], order["info"]["rejectReason"]) == ("rejected", "EC_NoEnoughBalance")
    assert size(server) == 0


async def test_a_fault_meets_its_own_account_and_count_only(
    server: PaperServer, client: Client
) -> None:
    server.add_fault("drop_before", account="other")
    server.add_fault("drop_before", endpoint="/v5/order/create", skip=1, count=1)

    await client.create_order(ETH, "market", "buy", 1)
    with pytest.raises(ccxt.ExchangeNotAvailable):
        await client.create_order(ETH, "market", "buy", 1)
    await client.create_order(ETH, "market", "buy", 1)

    assert size(server) == 2


async def test_a_dropped_read_is_repeated_by_the_http_client_itself(
    server: PaperServer, client: Client
) -> None:
    await client.fetch_positions()
    server.forget_requests()
    server.add_fault("drop_before", endpoint="/v5/position/list", count=1)

    assert await client.fetch_positions() == []  # aiohttp repeats a GET on a reused connection
    assert len(server.requests("/v5/position/list")) == 2


async def test_a_batch_item_can_be_refused_by_symbol(server: PaperServer, client: Client) -> None:
    server.add_fault("reject_order", code=110007, symbol="BTCUSDT")
    rows = [
        {"symbol": symbol, "type": "market", "side": "buy", "amount": 1} for symbol in (BTC, ETH)
    ]
    answers = await client.create_orders(rows)

    assert [row["status"] for row in answers] == ["rejected", None]
    assert size(server) == 1


async def test_the_control_api_does_the_same_over_http(server: PaperServer, client: Client) -> None:
    async with aiohttp.ClientSession(server.url) as http:

        async def call(method: str, path: str, **body: object) -> Any:
            async with http.request(method, f"/control/{path}", json=body or None) as answer:
                return answer.status, await answer.json()

        assert await call("GET", "ping") == (200, {"ping": "pong"})
        status, fault = await call("POST", "faults", kind="empty", endpoint="/v5/position/*")
        assert (status, len((await call("GET", "faults"))[1])) == (200, 1)
        assert (await call("POST", "faults", kind="nonsense"))[0] == 400
        await call("DELETE", f"faults/{fault['id']}")
        assert await call("POST", "prices", ETHUSDT="3000") == (200, {})
        assert (await call("POST", "prices", NOUSDT="1"))[0] == 400
        trade = {"account": "main", "symbol": "ETHUSDT", "size_lots": "-2"}
        assert (await call("POST", "trade", **trade))[0] == 200
        [position] = await client.fetch_positions()
        assert (position["side"], position["entryPrice"]) == ("short", 3000)
        await call("POST", "deposit", account="main", amount_usdt="500")
        await call("POST", "liquidate", account="main", symbol="ETHUSDT")
        _, truth = await call("GET", "accounts")
        assert truth["accounts"][0]["sizes"] == {}
        new = {"name": "two", "api_key": "K2", "api_secret": "S2", "balance_usdt": "7"}
        assert (await call("POST", "accounts", **new))[0] == 200
        assert server.truth("two")["wallet_usdt"] == "7"
        await call("POST", "settings", limits_enforced=False, fill_delay_ms=5)
        assert server.exchange.fill_delay_ms == 5
        _, log = await call("GET", "requests")

    assert log["requests"][-1]["path"] == "/v5/position/list"
    assert log["requests"][-1]["account"] == "main"


async def test_a_manual_trade_bears_no_client_id(server: PaperServer, client: Client) -> None:
    server.exchange.trade_by_hand(MAIN, "ETHUSDT", Decimal(1))
    [order] = (await client.privateGetV5OrderHistory({"category": "linear", "symbol": "ETHUSDT"}))[
        "result"
    ]["list"]

    assert (order["orderLinkId"], order["orderStatus"]) == ("", "Filled")


async def test_control_wants_its_token_where_one_is_set() -> None:
    async with (
        PaperServer(token="letmein") as server,
        aiohttp.ClientSession(server.url) as http,
    ):
        async with http.get("/control/ping") as answer:
            assert answer.status == 401
        token = {"Authorization": "Bearer letmein"}
        async with http.get("/control/ping", headers=token) as answer:
            assert answer.status == 200
