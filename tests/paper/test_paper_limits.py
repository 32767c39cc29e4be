"""The venue's rate limits hold, with its codes and headers; the clock is turned, not waited for."""

from collections.abc import AsyncIterator

import aiohttp
import ccxt
import pytest

from paper_exchange.server import PaperServer
from tests.paper.clients import ETH, MAIN, Client, StoppedClock, plain_client


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
async def server(clock: StoppedClock) -> AsyncIterator[PaperServer]:
    async with PaperServer(accounts=[MAIN], clock=clock) as running:
        yield running


@pytest.fixture
async def client(server: PaperServer) -> AsyncIterator[Client]:
    async with plain_client(server) as plain:
        await plain.load_markets()
        plain.nonce = server.exchange.clock.now_ms
        plain.milliseconds = server.exchange.clock.now_ms
        yield plain


async def test_the_eleventh_order_of_a_second_is_10006(
    server: PaperServer, client: Client, clock: StoppedClock
) -> None:
    for _ in range(10):
        await client.create_order(ETH, "market", "buy", 0.01)
    with pytest.raises(ccxt.RateLimitExceeded, match="10006"):
        await client.create_order(ETH, "market", "buy", 0.01)
    headers = {key.lower(): value for key, value in client.last_response_headers.items()}
    await client.fetch_positions()  # another budget
    clock.ahead_ms += 1000
    await client.create_order(ETH, "market", "buy", 0.01)

    assert (headers["x-bapi-limit"], headers["x-bapi-limit-status"]) == ("10", "0")
    assert int(headers["x-bapi-limit-reset-timestamp"]) == clock.now_ms()
    assert server.truth("main")["sizes"] == {"ETHUSDT": "0.11"}


async def test_a_batch_counts_each_of_its_orders(server: PaperServer, client: Client) -> None:
    row = {"symbol": ETH, "type": "market", "side": "buy", "amount": 0.01}
    await client.create_orders([row] * 8)
    with pytest.raises(ccxt.RateLimitExceeded, match="10006"):
        await client.create_orders([row] * 3)
    await client.create_orders([row] * 2)

    assert server.truth("main")["sizes"] == {"ETHUSDT": "0.1"}


async def test_an_address_that_asks_too_often_is_shut_out(
    server: PaperServer, client: Client, clock: StoppedClock
) -> None:
    async with aiohttp.ClientSession() as session:
        statuses = []
        for _ in range(600):
            async with session.get(f"{server.url}/bybit/v5/market/time") as answer:
                statuses.append(answer.status)

    assert statuses.count(200) == 598  # two went into loading the markets
    clock.ahead_ms += 6000
    with pytest.raises(ccxt.RateLimitExceeded, match="access too frequent"):
        await client.create_order(ETH, "market", "buy", 0.01)
    clock.ahead_ms += 600_000
    await client.create_order(ETH, "market", "buy", 0.01)


async def test_limits_can_be_switched_off() -> None:
    async with PaperServer(accounts=[MAIN], limits=False) as server, plain_client(server) as client:
        for _ in range(30):
            await client.create_order(ETH, "market", "buy", 0.01)

        assert server.truth("main")["sizes"] == {"ETHUSDT": "0.3"}
