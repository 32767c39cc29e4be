"""KuCoin's door, limits and refusals, and every kind of fault, through plain ccxt."""

from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import aiohttp
import ccxt
import pytest

from paper_exchange.server import PaperServer
from tests.paper.clients import ETH, Client, StoppedClock, plain_client
from tests.paper.scene import Signing, asked, send
from tests.paper.scenes.kucoin import ACCOUNT, HEADERS, SCENE, get, public, sign

ISOLATED = {"leverage": 5}
ORDERS = "/api/v1/orders"


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
async def server(clock: StoppedClock) -> AsyncIterator[PaperServer]:
    async with PaperServer(accounts=[ACCOUNT], clock=clock) as running:
        running.pin(BTCUSDT="60000", ETHUSDT="3328")
        yield running


@pytest.fixture
async def client(server: PaperServer) -> AsyncIterator[Client]:
    async with plain_client(server, ACCOUNT, timeout=500) as plain:
        await plain.load_markets(params={"marginables": False})
        plain.nonce = plain.milliseconds = server.exchange.clock.now_ms
        yield plain


async def buy(client: Client, size: int = 10, **params: Any) -> Any:
    return await client.create_order(ETH, "market", "buy", size, None, {**ISOLATED, **params})


def size(server: PaperServer) -> Decimal:
    return Decimal(server.truth("kuc")["sizes"].get("ETHUSDT", "0"))


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        pytest.param({"api_key": "NOBODY"}, "400003", id="key"),
        pytest.param({"api_passphrase": "WRONG"}, "400004", id="passphrase"),
        pytest.param({"api_secret": "WRONG"}, "400004", id="secret-signs-the-passphrase-too"),
    ],
)
async def test_wrong_credentials_have_a_code_each(
    server: PaperServer, wrong: dict[str, str], code: str
) -> None:
    async with plain_client(server, replace(ACCOUNT, **wrong)) as client:
        with pytest.raises(ccxt.AuthenticationError, match=code):
            await client.fetch_balance()

    assert server.truth("kuc")["orders"] == {}


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        pytest.param({"KC-API-SIGN": "AAAA"}, 401, "400005", id="signature"),
        pytest.param({"KC-API-SIGN": ""}, 401, "400001", id="no-signature"),
        pytest.param({"KC-API-PASSPHRASE": ""}, 401, "400001", id="no-passphrase"),
        pytest.param({"KC-API-TIMESTAMP": "today"}, 400, "400002", id="time"),
        pytest.param({"KC-API-KEY-VERSION": "1"}, 401, "400004", id="first-version-signs-none"),
    ],
)
async def test_each_header_is_checked(
    server: PaperServer, change: dict[str, str], status: int, code: str
) -> None:
    signing = Signing(
        method="GET",
        path="/api/v1/positions",
        query="",
        body=b"",
        at_ms=server.exchange.clock.now_ms(),
        headers=HEADERS,
    )
    headers = {**HEADERS, **sign(signing, ACCOUNT), **change}
    async with aiohttp.ClientSession() as session:
        url = f"{server.url}/kucoin/api/v1/positions"
        async with session.get(url, headers=headers) as answer:
            payload = await answer.json()

    assert (answer.status, payload["code"]) == (status, code)


async def test_a_body_that_says_it_is_something_else_is_415000(server: PaperServer) -> None:
    headers = {**HEADERS, "Content-Type": "text/plain"}
    status, answer = await send(SCENE, server, asked("POST", ORDERS, {"symbol": "x"}, headers))

    assert (status, answer["code"]) == (415, "415000")


async def test_a_query_and_a_body_are_signed_as_they_were_sent(
    server: PaperServer, client: Client
) -> None:
    odd = {**get("v1/fills"), "raw_query": "symbol=ETHUSDTM&note=a,b%2cc~d"}
    real = client.fetch

    async def meddle(url: str, method: str, headers: object, body: str | None) -> object:
        changed = body.replace("ETHUSDTM", "XBTUSDTM") if body else body
        return await real(url.replace("ETHUSDTM", "XBTUSDTM"), method, headers, changed)

    assert (await send(SCENE, server, odd))[0] == 200
    client.fetch = meddle
    for call in (buy(client), client.fetch_my_trades(ETH)):
        with pytest.raises(ccxt.AuthenticationError, match="400005"):
            await call


async def test_the_first_version_of_keys_sends_its_passphrase_bare(server: PaperServer) -> None:
    request = get("v1/positions")
    signing = Signing(
        method="GET",
        path=request["path"],
        query="",
        body=b"",
        at_ms=server.exchange.clock.now_ms(),
        headers=HEADERS,
    )
    headers = {**sign(signing, ACCOUNT), "KC-API-PASSPHRASE": "PASS"}
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{server.url}/kucoin{request['path']}", headers=headers) as answer,
    ):
        assert answer.status == 200


async def test_without_a_known_secret_any_key_walks_in() -> None:
    async with PaperServer() as server, plain_client(server, ACCOUNT) as client:
        await buy(client)

        assert server.truth(ACCOUNT.api_key)["sizes"] == {"ETHUSDT": "10"}


@pytest.mark.parametrize(
    ("skew_ms", "is_taken"), [(-4900, True), (4900, True), (-5100, False), (5100, False)]
)
async def test_the_window_is_five_seconds_either_way(
    server: PaperServer, client: Client, skew_ms: int, is_taken: bool
) -> None:
    server.add_fault("clock_skew", ms=skew_ms)
    if is_taken:
        await buy(client)
    else:
        with pytest.raises(ccxt.InvalidNonce, match="400002"):
            await buy(client)

    assert bool(size(server)) is is_taken


async def test_a_path_that_the_venue_has_not_is_404000(server: PaperServer) -> None:
    status, answer = await send(SCENE, server, public("v1/no/such"))

    assert (status, answer["code"]) == (404, "404000")


def headers_of(client: Client) -> dict[str, str]:
    return {key.lower(): value for key, value in client.last_response_headers.items()}


async def test_a_pool_of_two_thousand_weights_lasts_thirty_seconds(
    client: Client, clock: StoppedClock
) -> None:
    await client.fetch_positions()  # weight 2: the window begins
    first = headers_of(client)
    clock.ahead_ms += 10_000
    await client.fetch_balance()  # weight 5
    second = headers_of(client)
    for _ in range(99):
        await client.cancel_all_orders()  # weight 10
        clock.ahead_ms += 150
        await client.cancel_all_orders()
    await client.fetch_balance()
    await client.fetch_balance()
    with pytest.raises(ccxt.RateLimitExceeded, match="429000"):
        await client.cancel_all_orders()
    empty = headers_of(client)

    assert first["gw-ratelimit-limit"] == "2000"
    assert (first["gw-ratelimit-remaining"], first["gw-ratelimit-reset"]) == ("1998", "30000")
    assert (second["gw-ratelimit-remaining"], second["gw-ratelimit-reset"]) == ("1993", "20000")
    left_ms = 20_000 - 99 * 150
    assert (empty["gw-ratelimit-remaining"], empty["gw-ratelimit-reset"]) == ("3", str(left_ms))
    await buy(client)  # 2 of the 3
    clock.ahead_ms += left_ms
    await buy(client)
    assert headers_of(client)["gw-ratelimit-remaining"] == "1998"  # all of it is there again
    assert headers_of(client)["gw-ratelimit-reset"] == "30000"


async def test_public_data_has_a_pool_of_its_own(server: PaperServer, clock: StoppedClock) -> None:
    async with aiohttp.ClientSession() as session:
        url = f"{server.url}/kucoin/api/v1/level2/depth100?symbol=ETHUSDTM"  # weight 10
        for _ in range(200):
            async with session.get(url) as answer:
                assert answer.status == 200
        async with session.get(url) as answer:
            assert (answer.status, (await answer.json())["code"]) == (429, "429000")
        assert answer.headers["gw-ratelimit-remaining"] == "0"
        clock.ahead_ms += 30_000
        async with session.get(url) as answer:
            assert answer.status == 200


async def test_an_address_that_asks_too_often_is_shut_out_for_half_a_minute(
    server: PaperServer, client: Client, clock: StoppedClock
) -> None:
    async with aiohttp.ClientSession() as session:
        statuses = []
        for _ in range(500):
            async with session.get(f"{server.url}/kucoin/api/v1/timestamp") as answer:
                statuses.append(answer.status)

    assert statuses.count(200) == 499  # one went into loading the markets
    clock.ahead_ms += 29_000
    with pytest.raises(ccxt.RateLimitExceeded, match="Cloudflare"):
        await buy(client)
    clock.ahead_ms += 1000
    await buy(client)


@pytest.mark.parametrize(
    ("fault", "error", "is_booked"),
    [
        pytest.param({"kind": "drop_before"}, ccxt.ExchangeNotAvailable, False, id="drop-before"),
        pytest.param({"kind": "drop_after"}, ccxt.ExchangeNotAvailable, True, id="drop-after"),
        pytest.param({"kind": "hang_after"}, ccxt.RequestTimeout, True, id="never-answered"),
        pytest.param({"kind": "http"}, ccxt.ExchangeNotAvailable, False, id="502"),
        pytest.param({"kind": "rate_limit"}, ccxt.RateLimitExceeded, False, id="429000"),
        pytest.param({"kind": "ip_ban"}, ccxt.RateLimitExceeded, False, id="1015"),
        pytest.param({"kind": "maintenance"}, ccxt.ExchangeError, False, id="900001"),
        pytest.param(
            {"kind": "refuse", "code": "411100", "text": "User is frozen."},
            ccxt.AccountSuspended,
            False,
            id="any-code",
        ),
        pytest.param(
            {"kind": "reject_order", "code": "300005"}, ccxt.ExchangeError, False, id="one-order"
        ),
    ],
)
async def test_a_fault_on_an_order(
    server: PaperServer,
    client: Client,
    fault: dict[str, Any],
    error: type[Exception],
    is_booked: bool,
) -> None:
    server.add_fault(**fault, endpoint=ORDERS, count=1)
    with pytest.raises(error):
        await buy(client)

    assert bool(size(server)) is is_booked


async def test_a_rate_limit_by_fault_bears_the_headers(server: PaperServer, client: Client) -> None:
    server.add_fault("rate_limit", count=1)
    with pytest.raises(ccxt.RateLimitExceeded, match="429000"):
        await buy(client)

    assert headers_of(client)["gw-ratelimit-remaining"] == "0"


async def test_a_partial_fill_leaves_the_rest_cancelled(
    server: PaperServer, client: Client
) -> None:
    server.add_fault("partial_fill", fraction="0.47")
    made = await buy(client, 10)
    seen = await client.fetch_order(made["id"], ETH)

    assert (seen["filled"], seen["remaining"], seen["status"]) == (4, 6, "canceled")
    assert size(server) == 4


async def test_orders_are_filled_later_than_they_are_taken(
    server: PaperServer, client: Client, clock: StoppedClock
) -> None:
    server.exchange.fill_delay_ms = 300
    made = await buy(client, 10)
    waiting = await client.fetch_order(made["id"], ETH)
    before = await client.fetch_positions()
    clock.ahead_ms += 300
    filled = await client.fetch_order(made["id"], ETH)

    assert (waiting["status"], waiting["filled"], before) == ("open", 0, [])
    assert (filled["status"], filled["filled"]) == ("closed", 10)


async def test_an_order_may_be_rejected_after_it_was_taken(
    server: PaperServer, client: Client
) -> None:
    server.add_fault("late_reject", reason="margin")
    made = await buy(client)
    seen = await client.fetch_order(made["id"], ETH)

    assert (seen["status"], seen["filled"]) == ("canceled", 0)
    assert not size(server)


async def test_one_order_of_a_batch_is_refused_alone(server: PaperServer, client: Client) -> None:
    row = {"symbol": ETH, "type": "market", "side": "buy", "amount": 1, "params": ISOLATED}
    server.add_fault("reject_order", code="300005", text="risk limit", count=1)
    made = await client.create_orders([row, row])

    assert [one["info"]["code"] for one in made] == ["300005", "200000"]
    assert size(server) == 1


async def test_reads_may_be_stale_empty_or_rubbish(
    server: PaperServer, client: Client, clock: StoppedClock
) -> None:
    stale = server.add_fault("stale", endpoint="/api/v1/positions")
    clock.ahead_ms += 1
    await buy(client)
    assert await client.fetch_positions() == []
    server.remove_fault(stale)
    empty = server.add_fault("empty", endpoint="/api/v1/positions")
    assert await client.fetch_positions() == []
    server.remove_fault(empty)
    strange = server.add_fault("fields", values={"avgEntryPrice": None})
    assert (await client.fetch_positions())[0]["info"]["avgEntryPrice"] is None
    server.remove_fault(strange)
    server.add_fault("garbage", endpoint=ORDERS)

    assert (await buy(client))["id"] is None
    assert size(server) == 20
