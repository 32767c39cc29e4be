"""BloFin's door, limits, envelopes and batches; what it says when it says no."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from typing import Any

import aiohttp
import ccxt
import pytest

from paper_exchange.accounts import PaperAccount
from paper_exchange.server import PaperServer
from paper_exchange.wires.blofin import WIRE
from paper_exchange.wires.blofin.codes import SingleRefusal
from tests.paper.clients import ETH, Client, StoppedClock, plain_client
from tests.paper.scene import Wanted
from tests.paper.scene import send as sent
from tests.paper.scenes.blofin import ACCOUNT, SCENE, get, post, public, sign, spaced

ORDER = {"instId": "ETH-USDT", "marginMode": "cross", "side": "buy", "size": "1"}
MARKET = {**ORDER, "orderType": "market"}
LIMIT = {**ORDER, "orderType": "limit", "price": "3000"}
TOO_MUCH = {**MARKET, "size": "60000"}
READ = get("account/balance")


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
async def server(clock: StoppedClock) -> AsyncIterator[PaperServer]:
    async with PaperServer(accounts=[ACCOUNT], clock=clock) as running:
        running.pin(ETHUSDT="3328")
        yield running


async def asked(server: PaperServer, request: Wanted, **account: str) -> tuple[int, Any]:
    return await sent(SCENE, server, request, replace(ACCOUNT, **account))


@pytest.mark.parametrize(
    ("account", "code"),
    [
        pytest.param({"api_key": "NOBODY"}, "152401", id="unknown-key"),
        pytest.param({"api_secret": "WRONG"}, "152409", id="wrong-secret"),
        pytest.param({"api_passphrase": "WRONG"}, "152408", id="wrong-passphrase"),
    ],
)
async def test_a_stranger_is_told_what_is_wrong(
    server: PaperServer, account: dict[str, str], code: str
) -> None:
    status, answer = await asked(server, post("trade/order", **MARKET), **account)

    assert (status, answer["code"], "data" in answer) == (200, code, False)
    assert server.truth(ACCOUNT.name)["orders"] == {}
    stranger = replace(ACCOUNT, **account)
    async with plain_client(server, stranger) as client:
        with pytest.raises(ccxt.AuthenticationError, match=code):
            await client.fetch_balance()


async def test_a_signature_is_over_path_query_and_body(server: PaperServer) -> None:
    async with plain_client(server, ACCOUNT) as client:
        await client.load_markets()
        real_fetch = client.fetch

        async def meddle(url: str, method: str, headers: object, body: str | None) -> object:
            body = body.replace('"1"', '"2"') if body else body
            return await real_fetch(url.replace("ETH", "BTC"), method, headers, body)

        client.fetch = meddle
        with pytest.raises(ccxt.AuthenticationError, match="152409"):
            await client.create_order(ETH, "market", "buy", 1)
        with pytest.raises(ccxt.AuthenticationError, match="152409"):
            await client.fetch_position(ETH)


@pytest.mark.parametrize(
    ("skew_ms", "is_taken"), [(-59_000, True), (-61_000, False), (59_000, True), (61_000, False)]
)
async def test_the_window_is_a_minute_either_way(
    server: PaperServer, skew_ms: int, is_taken: bool
) -> None:
    server.add_fault("clock_skew", ms=skew_ms)
    _, answer = await asked(server, post("trade/order", **MARKET))

    assert answer["code"] == ("0" if is_taken else "152405")
    assert bool(server.truth(ACCOUNT.name)["orders"]) is is_taken


async def test_a_time_that_is_none_is_152410(server: PaperServer) -> None:
    async with plain_client(server, ACCOUNT) as client:
        client.milliseconds = lambda: "soon"
        with pytest.raises(ccxt.InvalidNonce, match="152410"):
            await client.privateGetAccountBalance()


async def test_parallel_requests_of_plain_ccxt_share_a_nonce_and_one_is_refused(
    server: PaperServer, clock: StoppedClock
) -> None:
    """Its nonce is the millisecond."""
    async with plain_client(server, ACCOUNT) as client:
        client.milliseconds = clock.now_ms
        calls = [client.privateGetAccountBalance() for _ in range(2)]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        clock.ahead_ms += 1
        await client.privateGetAccountBalance()

    refused = [row for row in answers if isinstance(row, ccxt.InvalidNonce)]
    assert ["152407" in str(row) for row in refused] == [True]


async def test_a_nonce_may_come_again_after_a_minute(
    server: PaperServer, clock: StoppedClock
) -> None:
    same = replace(SCENE, sign=partial(sign, nonce="always"))
    codes = []
    for ahead_ms in (0, 59_999, 59_999, 60_000):
        clock.ahead_ms += ahead_ms
        codes.append((await sent(same, server, READ))[1]["code"])
    other = PaperAccount(name="b", exchange="blofin", api_key="B", api_secret="S")
    server.exchange.open_account(other)
    _, answer = await sent(same, server, READ, other)

    assert codes == ["0", "152407", "152407", "0"]  # a refused one counts as well
    assert answer["code"] == "0"  # another key, another list


async def test_the_thirty_first_trading_request_in_ten_seconds_is_429(
    server: PaperServer, clock: StoppedClock
) -> None:
    for number in range(30):
        path = "trade/orders-pending" if number % 2 else "copytrading/trade/orders-pending"
        assert (await asked(server, get(path)))[0] == 200
    status, answer = await asked(server, post("trade/order", **MARKET))
    setting = post("account/set-position-mode", positionMode="net_mode")
    assert (await asked(server, setting))[0] == 429
    assert (await asked(server, READ))[0] == 200  # reads of the account are not counted
    async with plain_client(server, ACCOUNT) as client:
        with pytest.raises(ccxt.RateLimitExceeded, match='"code":"429"'):
            await client.create_order(ETH, "market", "buy", 1)
    clock.ahead_ms += 10_000
    _, again = await asked(server, post("trade/order", **MARKET))

    assert (status, answer["code"], again["code"]) == (429, "429", "0")
    assert answer["msg"].startswith("Rate limit reached")


async def many(server: PaperServer, times: int) -> list[int]:
    async with aiohttp.ClientSession() as session:
        statuses = []
        for _ in range(times):
            url = f"{server.url}/blofin/api/v1/market/funding-rate?instId=ETH-USDT"
            async with session.get(url) as answer:
                statuses.append(answer.status)
    return statuses


async def test_an_address_that_asks_too_often_is_shut_out_for_five_minutes(
    server: PaperServer, clock: StoppedClock
) -> None:
    statuses = await many(server, 501)
    clock.ahead_ms += 299_000
    still = await many(server, 1)
    async with plain_client(server, ACCOUNT) as client:
        with pytest.raises(ccxt.ExchangeNotAvailable, match=r"403.*Cloudflare"):
            await client.fetch_balance()
    clock.ahead_ms += 2_000

    assert (statuses.count(200), statuses[-1], still) == (500, 403, [403])
    assert await many(server, 1) == [200]


async def test_more_than_fifteen_hundred_in_five_minutes_cost_an_hour(
    server: PaperServer, clock: StoppedClock
) -> None:
    for _ in range(3):
        assert set(await many(server, 500)) == {200}
        clock.ahead_ms += 61_000
    assert await many(server, 1) == [403]
    clock.ahead_ms += 3_500_000
    assert await many(server, 1) == [403]
    clock.ahead_ms += 200_000

    assert await many(server, 1) == [200]


@pytest.mark.parametrize(
    ("kind", "status", "error"),
    [
        ("maintenance", 503, ccxt.ExchangeNotAvailable),
        ("ip_ban", 403, ccxt.ExchangeNotAvailable),
        ("rate_limit", 429, ccxt.RateLimitExceeded),
    ],
)
async def test_refusals_of_the_whole_venue(
    server: PaperServer, kind: str, status: int, error: type[Exception]
) -> None:
    server.add_fault(kind)
    async with plain_client(server, ACCOUNT) as client:
        client.markets = {}
        with pytest.raises(error, match=str(status)):
            await client.fetch_balance()


@pytest.mark.parametrize("form", list(SingleRefusal))
async def test_a_single_refusal_has_three_forms(
    server: PaperServer, monkeypatch: pytest.MonkeyPatch, form: SingleRefusal
) -> None:
    monkeypatch.setattr(WIRE, "single_refusal", form)
    status, answer = await asked(server, post("trade/order", **TOO_MUCH, clientOrderId="c1"))
    inner = {
        "orderId": None,
        "clientOrderId": "c1",
        "msg": "Order failed. Insufficient USDT margin in account",
        "code": "103003",
    }
    expected = {
        SingleRefusal.OUTER_ONE: {"code": "1", "msg": "All operations failed", "data": [inner]},
        SingleRefusal.OUTER_ZERO: {"code": "0", "msg": "success", "data": [inner]},
        SingleRefusal.BARE: {"code": "103003", "msg": inner["msg"]},
    }

    assert (status, answer) == (200, expected[form])
    async with plain_client(server, ACCOUNT) as client:
        named = ccxt.ExchangeError if form is SingleRefusal.OUTER_ONE else ccxt.InsufficientFunds
        with pytest.raises(named, match="103003"):
            await client.create_order(ETH, "market", "buy", 60_000)


async def test_a_batch_is_told_row_by_row(server: PaperServer) -> None:
    _, some = await asked(server, post("trade/batch-orders", [MARKET, TOO_MUCH, {**MARKET}]))
    _, none = await asked(server, post("trade/batch-orders", [TOO_MUCH, {**MARKET, "size": "x"}]))
    _, full = await asked(server, post("trade/batch-orders", [MARKET, MARKET]))

    assert [some["code"], none["code"], full["code"]] == ["2", "1", "0"]
    assert [row["code"] for row in some["data"]] == ["0", "103003", "0"]
    assert [row["code"] for row in none["data"]] == ["103003", "152002"]
    assert server.truth(ACCOUNT.name)["sizes"] == {"ETHUSDT": "4"}


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("trade/batch-orders", [MARKET] * 21, "152006"),
        ("trade/batch-orders", [MARKET, {**MARKET, "instId": "BTC-USDT"}], "152007"),
        ("trade/batch-orders", [MARKET, {**MARKET, "marginMode": "isolated"}], "152007"),
        ("trade/batch-orders", [], "152004"),
        ("trade/batch-orders", [1], "152004"),
        ("trade/batch-orders", {"instId": "ETH-USDT"}, "152004"),
        ("trade/cancel-batch-orders", [{"orderId": "1"}, {"clientOrderId": "a"}], "152008"),
        ("trade/cancel-order", {"instId": "ETH-USDT"}, "152003"),
        ("account/set-margin-mode", {"marginMode": "both"}, "152002"),
        ("account/set-position-mode", {"positionMode": "both"}, "152002"),
        ("account/set-leverage", {"instId": "ETH-USDT", "marginMode": "cross"}, "152001"),
    ],
)
async def test_wrong_bodies_are_told_outside(
    server: PaperServer, path: str, body: Any, code: str
) -> None:
    status, answer = await asked(server, post(path, body))

    assert (status, answer["code"]) == (200, code)
    assert server.truth(ACCOUNT.name)["orders"] == {}


async def test_wrong_reads_are_told_too(server: PaperServer) -> None:
    ids = ",".join(["ETH-USDT"] * 21)
    wanted = {
        "152015": get("account/batch-leverage-info", instId=ids, marginMode="cross"),
        "152014": public("market/tickers", instId="NO-USDT"),
        "152001": get("asset/balances"),
        "152002": get("asset/balances", accountType="pocket"),
        "404": get("no/such"),
    }
    for code, request in wanted.items():
        status, answer = await asked(server, request)
        assert (status, answer["code"]) == (200, code)

    assert (await asked(server, get("asset/balances", accountType="funding")))[1]["data"] == []


async def test_cancels_are_told_row_by_row(server: PaperServer) -> None:
    for name in ("a", "b"):
        await asked(server, post("trade/order", **LIMIT, clientOrderId=name))
    rows = [{"instId": "ETH-USDT", "clientOrderId": name} for name in ("a", "nobody")]
    _, some = await asked(server, post("trade/cancel-batch-orders", rows))
    _, none = await asked(server, post("trade/cancel-batch-orders", rows))
    _, unknown = await asked(server, post("trade/cancel-order", clientOrderId="nobody"))

    assert [some["code"], none["code"], unknown["code"]] == ["2", "1", "1"]
    assert [row["code"] for row in some["data"]] == ["0", "102068"]
    assert unknown["data"][0]["code"] == "102068"


async def test_a_cancel_may_be_told_as_an_object(
    server: PaperServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in the documents; ccxt reads neither id nor reason out of it."""
    await asked(server, post("trade/order", **LIMIT, clientOrderId="a"))
    monkeypatch.setattr(WIRE, "cancel_data_is_list", False)
    _, answer = await asked(server, post("trade/cancel-order", clientOrderId="a"))

    assert (answer["data"]["clientOrderId"], answer["data"]["code"]) == ("a", "0")


async def test_a_look_up_that_finds_nothing_may_be_an_error(
    server: PaperServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = get("trade/order-detail", instId="ETH-USDT", orderId="1")
    _, null = await asked(server, request)
    monkeypatch.setattr(WIRE, "missing_order_code", "102068")
    _, error = await asked(server, request)

    assert (null["code"], null["data"], error["code"]) == ("0", None, "102068")


async def test_faults_of_orders_are_told_as_the_venue_would(server: PaperServer) -> None:
    server.add_fault("reject_order", code="103013", text="Internal error", count=1)
    _, inner = await asked(server, post("trade/order", **MARKET))
    server.add_fault("refuse", code="152406", text="IP", count=1)
    _, outer = await asked(server, post("trade/order", **MARKET))
    server.add_fault("fill_delay", ms=1000, count=1)
    await asked(server, post("trade/order", **MARKET, clientOrderId="slow"))
    _, waits = await asked(server, get("trade/orders-pending"))

    assert (inner["code"], inner["data"][0]["code"], outer["code"]) == ("1", "103013", "152406")
    assert [row["state"] for row in waits["data"]] == ["live"]
    assert server.truth(ACCOUNT.name)["sizes"] == {}


async def test_pages_follow_each_other_newest_first(server: PaperServer) -> None:
    for number in range(25):
        order = {**LIMIT, "size": "0.1", "clientOrderId": f"n{number}"}
        await asked(server, post("trade/batch-orders", [order]))
        server._pipeline.reset_limits()  # the clock stands still
    _, first = await asked(server, get("trade/orders-pending"))
    last = first["data"][-1]["orderId"]
    _, rest = await asked(server, get("trade/orders-pending", after=last))
    _, newer = await asked(server, get("trade/orders-pending", before=last, limit="100"))
    _, named = await asked(server, get("trade/orders-pending", clientOrderId="n3", limit="3"))

    names = [row["clientOrderId"] for page in (first, rest) for row in page["data"]]
    assert names == [f"n{number}" for number in range(24, -1, -1)]
    assert (len(first["data"]), len(newer["data"])) == (20, 19)
    assert len(named["data"]) == 3  # an id is no parameter of it: ignored


async def test_without_credentials_any_key_and_passphrase_open_an_account() -> None:
    walk_in = PaperAccount(
        name="any", exchange="blofin", api_key="any", api_secret="any", api_passphrase="any"
    )
    async with PaperServer() as server, plain_client(server, walk_in) as client:
        await spaced(client).create_order(ETH, "market", "buy", 1)

        assert server.truth("any")["sizes"] == {"ETHUSDT": "1"}


async def test_a_client_that_is_told_html_does_not_take_it_for_an_order(
    server: PaperServer,
) -> None:
    client: Client
    async with plain_client(server, ACCOUNT) as client:
        await client.load_markets()
        server.add_fault("garbage", shape="html", count=1)
        order = await client.create_order(ETH, "market", "buy", 1)

    assert order["id"] is None
    assert server.truth(ACCOUNT.name)["sizes"] == {"ETHUSDT": "1"}
