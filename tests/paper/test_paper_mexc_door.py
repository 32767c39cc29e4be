"""MEXC's door and limits, and whether its answers have what ccxt's own examples of them have."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import ccxt
import orjson
import pytest

from paper_exchange.accounts import PaperAccount
from paper_exchange.server import PaperServer
from tests.paper.clients import ETH, SCENES, Client, StoppedClock, plain_client
from tests.paper.scene import Json, send

SCENE = SCENES["mexc"]
ACCOUNT = SCENE.account
CROSS = {"type": 5, "openType": 2}
EXAMPLES = Path(__file__).resolve().parents[3] / "shared" / "data" / "ccxt_examples" / "mexc.json"
EXAMPLE_OF = {  # a path of the walk: the method of ccxt whose comment shows its answer
    "GET /api/v1/contract/detail": "fetch_swap_markets",
    "GET /api/v1/contract/ticker": "fetch_tickers",
    "GET /api/v1/contract/funding_rate/ETH_USDT": "fetch_funding_rate",
    "GET /api/v1/contract/ping": "fetch_time",
    "GET /api/v1/private/account/assets": "fetch_balance",
    "GET /api/v1/private/position/open_positions": "fetch_positions",
    "GET /api/v1/private/position/leverage": "fetch_leverage",
    "GET /api/v1/private/position/position_mode": "fetch_position_mode",
    "POST /api/v1/private/position/change_position_mode": "set_position_mode",
    "GET /api/v1/private/position/funding_records": "fetch_funding_history",
    "POST /api/v1/private/position/close_all": "close_all_positions",
    "POST /api/v1/private/order/create": "create_swap_order",
    "GET /api/v1/private/order/get/{order_id}": "fetch_order",
    "GET /api/v1/private/order/list/history_orders": "fetch_orders",
    "GET /api/v1/private/order/batch_query": "fetch_orders_by_ids",
    "GET /api/v1/private/order/list/order_deals": "fetch_my_trades",
    "GET /api/v1/private/order/deal_details/{order_id}": "fetch_order_trades",
    "POST /api/v1/private/order/cancel": "cancel_order",
    "POST /api/v1/private/order/cancel_all": "cancel_all_orders",
}


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
async def server(clock: StoppedClock) -> AsyncIterator[PaperServer]:
    async with PaperServer(accounts=[ACCOUNT], clock=clock) as running:
        yield running


@pytest.fixture
async def client(server: PaperServer) -> AsyncIterator[Client]:
    async with plain_client(server, ACCOUNT) as plain:
        await plain.load_markets()
        plain.nonce = plain.milliseconds = server.exchange.clock.now_ms
        yield plain


@pytest.mark.parametrize(
    ("key", "secret", "code"), [("NOBODY", "S", 401), (ACCOUNT.api_key, "WRONG", 602)]
)
async def test_an_unknown_key_is_401_and_a_wrong_secret_602(
    server: PaperServer, key: str, secret: str, code: int
) -> None:
    stranger = PaperAccount(name="x", exchange="mexc", api_key=key, api_secret=secret)
    async with plain_client(server, stranger) as client:
        with pytest.raises(ccxt.AuthenticationError, match=f'"code":{code}'):
            await client.create_order(ETH, "market", "buy", 1, None, CROSS)

    assert server.truth("mex")["orders"] == {}


async def test_a_signature_is_over_the_bytes_of_body_and_query(client: Client) -> None:
    real_fetch = client.fetch

    async def meddle(url: str, method: str, headers: object, body: str | None) -> object:
        body = body.replace('"vol":1.0', '"vol":2.0') if body else body
        return await real_fetch(url.replace("size=100", "size=99"), method, headers, body)

    client.fetch = meddle
    with pytest.raises(ccxt.AuthenticationError, match="602"):
        await client.create_order(ETH, "market", "buy", 1, None, CROSS)
    with pytest.raises(ccxt.AuthenticationError, match="602"):
        await client.fetch_open_orders(params={"page_size": 100})


@pytest.mark.parametrize(
    ("skew_ms", "window", "is_taken"),
    [
        (9_900, None, True),
        (-9_900, None, True),
        (10_100, None, False),
        (-10_100, None, False),
        (3_000, "2", False),  # seconds
        (3_000, "2500", False),  # milliseconds
        (50_000, "60", True),
        (61_000, "90000", False),
    ],
)
async def test_the_window_is_ten_seconds_both_ways_unless_asked_otherwise(
    server: PaperServer, client: Client, skew_ms: int, window: str | None, is_taken: bool
) -> None:
    client.headers = {"Recv-Window": window} if window else {}
    server.add_fault("clock_skew", ms=skew_ms)
    if is_taken:
        await client.create_order(ETH, "market", "buy", 1, None, CROSS)
    else:
        with pytest.raises(ccxt.BadRequest, match="513"):
            await client.create_order(ETH, "market", "buy", 1, None, CROSS)

    assert bool(server.truth("mex")["orders"]) is is_taken


async def test_the_twenty_first_request_of_two_seconds_is_510(
    server: PaperServer, client: Client, clock: StoppedClock
) -> None:
    for _ in range(20):
        await client.create_order(ETH, "market", "buy", 1, None, CROSS)
    with pytest.raises(ccxt.RateLimitExceeded, match='"code":510'):
        await client.create_order(ETH, "market", "buy", 1, None, CROSS)
    assert not [name for name in client.last_response_headers if "limit" in name.lower()]
    await client.fetch_positions()  # another path, another limit
    clock.ahead_ms += 2000
    await client.create_order(ETH, "market", "buy", 1, None, CROSS)

    assert len(server.truth("mex")["orders"]) == 21


async def test_lookups_of_different_orders_share_one_limit(
    client: Client, clock: StoppedClock
) -> None:
    clock.ahead_ms += 2000
    for number in range(20):
        with pytest.raises(ccxt.ExchangeError, match="2040"):
            await client.fetch_order(str(number), ETH)
    with pytest.raises(ccxt.RateLimitExceeded, match="510"):
        await client.fetch_order("20", ETH)


async def test_the_list_of_contracts_can_be_read_by_each_of_many_clients(
    server: PaperServer, client: Client
) -> None:
    for _ in range(10):
        await client.fetch_swap_markets()

    assert len(server.requests()) == 12


async def test_an_address_that_asks_too_often_meets_the_firewall(
    server: PaperServer, client: Client, clock: StoppedClock
) -> None:
    async with aiohttp.ClientSession() as session:
        for _ in range(500):
            async with session.get(f"{server.url}/mexc/api/v1/contract/ping") as answer:
                await answer.read()
    with pytest.raises(ccxt.ExchangeNotAvailable, match=r"403.*Access Denied"):
        await client.create_order(ETH, "market", "buy", 1, None, CROSS)

    clock.ahead_ms += 600_001
    await client.create_order(ETH, "market", "buy", 1, None, CROSS)


@pytest.mark.parametrize(
    ("fault", "error", "text"),
    [
        ("maintenance", ccxt.OnMaintenance, '"code":604'),
        ("rate_limit", ccxt.RateLimitExceeded, '"code":510'),
        ("ip_ban", ccxt.ExchangeNotAvailable, "Access Denied"),
    ],
)
async def test_the_venue_refuses_in_its_own_words(
    server: PaperServer, client: Client, fault: str, error: type[Exception], text: str
) -> None:
    server.add_fault(fault)
    with pytest.raises(error, match=text):
        await client.create_order(ETH, "market", "buy", 1, None, CROSS)

    assert server.truth("mex")["orders"] == {}


async def test_a_path_that_the_venue_has_not_is_404(server: PaperServer) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{server.url}/mexc/api/v1/private/no/such") as answer,
    ):
        assert (answer.status, (await answer.json())["code"]) == (404, 404)


def swap_example(method: str) -> Json:
    """The contract API's answer among the examples of a method: the first that has rows."""
    found = [
        row["json"]
        for row in orjson.loads(EXAMPLES.read_bytes())
        if row["method"] == method and isinstance(row.get("json"), dict)
    ]
    swaps = [row for row in found if row.get("success") is True]
    return max(swaps, key=lambda row: isinstance(row.get("data"), dict | list))


def kind(value: Json) -> str:
    """What ccxt reads it as: most examples quote their numbers."""
    if isinstance(value, bool):
        return "flag"
    try:
        float(value)
    except (TypeError, ValueError):
        return type(value).__name__
    return "number"


def lacks(example: Json, ours: Json, where: str = "") -> Iterator[str]:
    if isinstance(example, dict):
        for key, inner in example.items():
            if not isinstance(ours, dict) or key not in ours:
                yield f"{where}.{key} is missing"
            else:
                yield from lacks(inner, ours[key], f"{where}.{key}")
    elif isinstance(example, list):
        if not isinstance(ours, list):
            yield f"{where} is no list"
        elif example and ours:
            yield from lacks(example[0], ours[0], f"{where}[0]")
    elif kind(example) != kind(ours):
        yield f"{where} is {ours!r}, the example has {example!r}"


async def test_answers_have_what_ccxts_examples_of_them_have() -> None:
    if not EXAMPLES.exists():
        pytest.skip("ccxt's example responses are not beside this checkout")
    seen: dict[str, Any] = {}
    async with PaperServer(accounts=[ACCOUNT], limits=False) as server:
        for request in SCENE.walk:
            name = request.get("name") or f"{request['method']} {request['path']}"
            _, seen[name] = await send(SCENE, server, request)

    assert set(seen) >= set(EXAMPLE_OF)
    for name, method in EXAMPLE_OF.items():
        assert list(lacks(swap_example(method), seen[name])) == [], name
        assert set(seen[name]) >= {"success", "code"}


async def test_funding_is_paid_by_longs_and_told(client: Client, clock: StoppedClock) -> None:
    await client.create_order(ETH, "market", "buy", 100, None, CROSS)
    clock.ahead_ms += 8 * 3_600_000
    [paid] = await client.fetch_funding_history(ETH)

    assert paid["amount"] == pytest.approx(-paid["info"]["positionValue"] * 0.0001)
    assert (paid["info"]["rate"], paid["info"]["positionType"]) == (0.0001, 1)
    assert len(await client.fetch_my_trades(ETH)) == 1  # it is no fill
