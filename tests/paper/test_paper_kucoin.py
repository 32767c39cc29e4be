"""Plain ccxt trades on the paper exchange as it does on KuCoin Futures."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import ccxt
import pytest

from paper_exchange.server import PaperServer
from tests.paper.clients import BTC, ETH, Client, plain_client
from tests.paper.scenes.kucoin import ACCOUNT

CROSS = {"marginMode": "CROSS", "leverage": 5}
ISOLATED = {"marginMode": "ISOLATED", "leverage": 5}


@pytest.fixture
async def server() -> AsyncIterator[PaperServer]:
    async with PaperServer(accounts=[ACCOUNT]) as running:
        running.pin(BTCUSDT="60000", ETHUSDT="3328")
        yield running


@pytest.fixture
async def client(server: PaperServer) -> AsyncIterator[Client]:
    async with plain_client(server, ACCOUNT) as plain:
        await plain.load_markets(params={"marginables": False})
        yield plain


@pytest.fixture
async def cross(client: Client) -> Client:
    """The same, with cross margin for ETH, at leverage 5."""
    await client.set_margin_mode("cross", ETH)
    await client.set_leverage(5, ETH)
    return client


def sizes(server: PaperServer) -> dict[str, str]:
    return dict(server.truth("kuc")["sizes"])


async def order(client: Client, side: str, size: float, **params: Any) -> Any:
    return await client.create_order(ETH, "market", side, size, None, {**CROSS, **params})


async def test_markets_load_in_one_request(server: PaperServer, client: Client) -> None:
    market = client.market(ETH)

    assert [row.path for row in server.requests()] == ["/api/v1/contracts/active"]
    assert len(client.markets) == len(server.exchange.instruments["kucoin"]) == 40
    assert (market["id"], market["contractSize"], market["type"]) == ("ETHUSDTM", 0.01, "swap")
    assert (market["precision"]["amount"], market["precision"]["price"]) == (1, 0.01)
    assert (market["limits"]["amount"]["min"], market["limits"]["leverage"]["max"]) == (1, 100)
    assert (market["taker"], market["maker"]) == (0.0006, 0.0002)
    assert market["info"]["marketMaxOrderQty"] == 1_000_000
    assert (client.market(BTC)["id"], client.market(BTC)["baseId"]) == ("XBTUSDTM", "XBT")
    assert "PEPE/USDT:USDT" in client.markets  # no 1000 before it, at this venue


async def test_a_wholly_default_client_loads_its_markets_too(server: PaperServer) -> None:
    async with plain_client(server, ACCOUNT, options={}) as untuned:
        untuned.has["fetchCurrencies"] = True
        await untuned.load_markets()
        balance = await untuned.fetch_balance()

    assert balance["USDT"]["total"] == 100_000
    paths = [row.path for row in server.requests()]
    assert "/api/ua/v1/account/mode" in paths
    assert "/api/v3/margin/symbols" in paths


async def test_tickers_have_bid_ask_and_mark(client: Client) -> None:
    quotes = await client.fetch_bids_asks()
    rows = await client.fetch_tickers([ETH])
    one = await client.fetch_ticker(ETH)

    assert (quotes[ETH]["bid"], quotes[ETH]["ask"]) == (3328, 3328.16)
    assert rows[ETH]["markPrice"] == (await client.fetch_mark_price(ETH))["markPrice"] == 3328
    assert (one["bid"], one["ask"], one["info"]["price"]) == (3328, 3328.16, "3328")
    assert (await client.fetch_funding_rate(ETH))["fundingRate"] == 0.0001
    assert (await client.fetch_order_book(ETH))["asks"] == [[3328.16, 1_000_000]]
    assert (await client.fetch_market_leverage_tiers(ETH))[0]["maxLeverage"] == 100
    assert (await client.fetch_status())["status"] == "ok"


async def test_the_clock_can_be_read(server: PaperServer, client: Client) -> None:
    assert abs(await client.fetch_time() - server.exchange.clock.now_ms()) < 2000


async def test_a_market_order_becomes_a_position_and_costs_the_taker_fee(
    server: PaperServer, cross: Client
) -> None:
    made = await order(cross, "buy", 10, clientOrderId="te1")
    [position] = await cross.fetch_positions()
    balance = await cross.fetch_balance()
    [trade] = await cross.fetch_my_trades(ETH)

    assert (made["clientOrderId"], len(made["id"]), made["id"].isdigit()) == ("te1", 18, True)
    assert (position["side"], position["contracts"], position["leverage"]) == ("long", 10, 5)
    assert (position["entryPrice"], position["marginMode"]) == (3328.16, "cross")
    assert position["info"]["positionSide"] == "BOTH"
    fee = Decimal("0.1") * Decimal("3328.16") * Decimal("0.0006")
    assert Decimal(str(trade["fee"]["cost"])) == fee
    assert Decimal(server.truth("kuc")["wallet_usdt"]) == 100_000 - fee
    pnl = Decimal("-0.016")
    assert Decimal(str(balance["USDT"]["total"])) == 100_000 - fee + pnl
    assert balance["info"]["data"]["positionMargin"] == pytest.approx(66.56)


async def test_long_and_short_are_opened_added_to_reduced_and_closed(
    server: PaperServer, cross: Client
) -> None:
    for way, back in (("buy", "sell"), ("sell", "buy")):
        await order(cross, way, 10)
        await order(cross, way, 5)
        await order(cross, back, 6, reduceOnly=True)
        [position] = await cross.fetch_positions()
        assert (position["contracts"], position["side"] == "short") == (9, way == "sell")
        await order(cross, back, 9, reduceOnly=True)
        assert await cross.fetch_positions() == []
    assert sizes(server) == {}


async def test_one_order_may_flip_a_position(server: PaperServer, cross: Client) -> None:
    await order(cross, "buy", 10)
    await order(cross, "sell", 25)

    assert sizes(server) == {"ETHUSDT": "-15"}


async def test_a_reduction_beyond_the_position_is_cut_to_it(
    server: PaperServer, cross: Client
) -> None:
    await order(cross, "buy", 3)
    made = await order(cross, "sell", 100, reduceOnly=True)
    closed = await cross.fetch_order(made["id"], ETH)

    assert sizes(server) == {}
    assert (closed["amount"], closed["filled"], closed["status"]) == (3, 3, "closed")
    with pytest.raises(ccxt.InvalidOrder, match="300009"):
        await order(cross, "sell", 1, reduceOnly=True)


async def test_close_order_closes_whatever_is_held(server: PaperServer, client: Client) -> None:
    await client.create_order(BTC, "market", "sell", 7, None, ISOLATED)
    made = await client.close_position(BTC)  # ccxt reads no id in what it answers

    assert (made["id"], sizes(server)) == (None, {})
    assert made["info"]["data"]["orderId"].isdigit()
    with pytest.raises(ccxt.InvalidOrder, match="300009"):
        await client.close_position(BTC)


async def test_the_venue_closes_in_the_margin_mode_that_is_named(
    server: PaperServer, cross: Client
) -> None:
    await order(cross, "buy", 7)
    with pytest.raises(ccxt.InvalidOrder, match="330005"):
        await cross.close_position(ETH)
    await cross.close_position(ETH, None, {"marginMode": "CROSS"})

    assert sizes(server) == {}


async def test_sizes_are_whole_contracts_within_the_limits(cross: Client) -> None:
    raw = {"symbol": "ETHUSDTM", "side": "buy", "type": "market", "marginMode": "CROSS"}
    with pytest.raises(ccxt.InvalidOrder, match="minimum contract order amount is 1"):
        await order(cross, "buy", 0.5)  # ccxt's own check
    for size in (0, "0.5"):
        with pytest.raises(ccxt.InvalidOrder, match="300000"):
            await cross.futuresPrivatePostOrders({**raw, "size": size, "clientOid": "a"})
    with pytest.raises(ccxt.OrderNotFound, match="Quantity parameter cannot be empty"):
        await cross.futuresPrivatePostOrders({**raw, "clientOid": "a"})
    with pytest.raises(ccxt.InvalidOrder, match=r"300000.*too large"):
        await order(cross, "buy", 1_000_001)


@pytest.mark.parametrize(("name", "amount"), [("qty", "0.129"), ("valueQty", "400")])
async def test_a_size_may_be_given_in_coins_or_dollars(
    server: PaperServer, cross: Client, name: str, amount: str
) -> None:
    row = {"symbol": "ETHUSDTM", "side": "buy", "type": "market", "marginMode": "CROSS"}
    await cross.futuresPrivatePostOrders({**row, "clientOid": "a", name: amount})

    assert sizes(server) == {"ETHUSDT": "12"}


async def test_without_the_margin_an_order_is_refused(server: PaperServer, client: Client) -> None:
    with pytest.raises(ccxt.InsufficientFunds, match="300003"):  # isolated
        await client.create_order(BTC, "market", "buy", 9000, None, ISOLATED)
    await client.set_margin_mode("cross", BTC)
    with pytest.raises(ccxt.InsufficientFunds, match="330008"):  # cross
        await client.create_order(BTC, "market", "buy", 17_000, None, CROSS)

    assert sizes(server) == {}


async def test_a_client_id_is_taken_once(server: PaperServer, cross: Client) -> None:
    await order(cross, "buy", 1, clientOrderId="once")
    with pytest.raises(ccxt.ExchangeError, match="300018"):
        await order(cross, "buy", 1, clientOrderId="once")
    with pytest.raises(ccxt.BadRequest, match="clientOidIsRequired"):
        await cross.futuresPrivatePostOrders({"symbol": "ETHUSDTM"})
    with pytest.raises(ccxt.BadRequest, match="400100"):
        await order(cross, "buy", 1, clientOrderId="x" * 41)

    assert sizes(server) == {"ETHUSDT": "1"}


async def test_an_order_is_found_by_either_id(cross: Client) -> None:
    made = await order(cross, "buy", 2, clientOrderId="find-me")
    by_client_id = await cross.fetch_order(None, ETH, {"clientOrderId": "find-me"})
    by_id = await cross.fetch_order(made["id"], ETH)

    assert by_id == by_client_id
    assert (by_id["id"], by_id["filled"], by_id["average"]) == (made["id"], 2, 3328.16)
    assert (by_id["status"], by_id["type"], by_id["side"]) == ("closed", "market", "buy")
    assert by_id["cost"] == pytest.approx(66.5632)
    assert (by_id["info"]["filledValue"], by_id["info"]["leverage"]) == ("66.5632", "5")
    for name in ({}, {"clientOrderId": "never"}):
        with pytest.raises(ccxt.OrderNotFound, match="orderNotExist"):
            await cross.fetch_order("1", ETH, name)


async def test_limit_orders_rest_and_are_cancelled(server: PaperServer, cross: Client) -> None:
    first, _, third = [
        await cross.create_order(ETH, "limit", "buy", 10, 3100, {**CROSS, "clientOrderId": name})
        for name in ("one", "two", "three")
    ]
    names = {row["clientOrderId"] for row in await cross.fetch_open_orders(ETH)}
    assert names == {"one", "two", "three"}
    assert (await cross.fetch_balance())["info"]["data"]["orderMargin"] == pytest.approx(186)
    await cross.cancel_order(first["id"], ETH)
    await cross.cancel_order(None, ETH, {"clientOrderId": "two"})
    with pytest.raises(ccxt.BadRequest, match="100004"):
        await cross.cancel_order(first["id"], ETH)
    with pytest.raises(ccxt.BadRequest, match="100004"):
        await cross.cancel_order("no-such-order", ETH)
    answer = await cross.cancel_all_orders()

    assert answer[0]["info"]["cancelledOrderIds"] == [third["id"]]
    assert await cross.fetch_open_orders() == []
    done = await cross.fetch_closed_orders(ETH)
    assert {row["status"] for row in done} == {"canceled"}
    assert sizes(server) == {}


async def test_several_are_cancelled_at_once(cross: Client) -> None:
    made = [await cross.create_order(ETH, "limit", "buy", 1, 3100, CROSS) for _ in range(3)]
    ids = [row["id"] for row in made]
    answer = await cross.cancel_orders([*ids[:2], "unknown"], ETH)

    assert [row["info"]["code"] for row in answer] == ["200", "200", "100004"]
    assert [row["id"] for row in await cross.fetch_open_orders(ETH)] == ids[2:]
    by_client_id = {"clientOrderIds": [made[2]["clientOrderId"]]}
    await cross.cancel_orders([], ETH, by_client_id)
    assert await cross.fetch_open_orders(ETH) == []


async def test_a_batch_takes_each_order_by_itself(server: PaperServer, cross: Client) -> None:
    row = {"symbol": ETH, "type": "market", "side": "buy", "amount": 2, "params": CROSS}
    wrong = {**row, "params": {"marginMode": "ISOLATED", "leverage": 5}}
    made = await cross.create_orders([row, wrong, row])

    assert [one["id"] is not None for one in made] == [True, False, True]
    assert [one["info"]["code"] for one in made] == ["200000", "330005", "200000"]
    assert sizes(server) == {"ETHUSDT": "4"}
    with pytest.raises(ccxt.BadRequest, match="1 to 20"):
        await cross.create_orders([row] * 21)


async def test_limits_far_from_the_mark_are_refused(cross: Client) -> None:
    for side, price, code in (("buy", 3700, "300011"), ("sell", 2900, "300012")):
        with pytest.raises(ccxt.InvalidOrder, match=code):
            await cross.create_order(ETH, "limit", side, 1, price, CROSS)
    raw = {"symbol": "ETHUSDTM", "side": "buy", "type": "limit", "marginMode": "CROSS"}
    with pytest.raises(ccxt.InvalidOrder, match=r"300000.*tick"):
        await cross.futuresPrivatePostOrders(
            {**raw, "size": 1, "price": "3100.001", "clientOid": "a"}
        )


async def test_a_post_only_order_does_not_take(cross: Client) -> None:
    taker = await cross.create_order(ETH, "limit", "buy", 1, 3400, {**CROSS, "postOnly": True})
    maker = await cross.create_order(ETH, "limit", "buy", 1, 3100, {**CROSS, "postOnly": True})

    assert (await cross.fetch_order(taker["id"], ETH))["status"] == "canceled"
    resting = await cross.fetch_order(maker["id"], ETH)
    assert (resting["status"], resting["postOnly"]) == ("open", True)


async def test_a_contract_has_a_hundred_resting_orders_at_most(
    server: PaperServer, cross: Client
) -> None:
    for _ in range(100):
        await cross.create_order(ETH, "limit", "buy", 1, 3100, CROSS)
    with pytest.raises(ccxt.ExchangeError, match=r"300001.*limit: 100"):
        await cross.create_order(ETH, "limit", "buy", 1, 3100, CROSS)
    await order(cross, "buy", 1)

    assert len(await cross.fetch_open_orders(ETH, params={"pageSize": 1000})) == 100
    pages = [await cross.fetch_open_orders(ETH, params={"currentPage": page}) for page in (1, 2, 3)]
    assert [len(page) for page in pages] == [50, 50, 0]
    assert sizes(server) == {"ETHUSDT": "1"}


async def test_orders_and_fills_are_listed_newest_first(cross: Client) -> None:
    made = [await order(cross, side, 1) for side in ("buy", "buy", "sell")]
    ids = [row["id"] for row in made]
    raw = await cross.futuresPrivateGetOrders({"status": "done", "side": "buy"})
    page = await cross.futuresPrivateGetFills({"pageSize": 2})

    assert [row["id"] for row in raw["data"]["items"]] == ids[1::-1]
    assert [row["orderId"] for row in page["data"]["items"]] == ids[:0:-1]
    assert (page["data"]["totalNum"], page["data"]["totalPage"]) == (3, 2)
    assert [row["order"] for row in await cross.fetch_order_trades(ids[1], ETH)] == [ids[1]]


async def test_a_liquidation_is_told_by_its_fill(server: PaperServer, cross: Client) -> None:
    await order(cross, "buy", 10)
    account = server.exchange.doorkeeper.find("kucoin", ACCOUNT.api_key)
    assert account is not None
    server.exchange.liquidate(account)
    [newest, first] = (await cross.futuresPrivateGetFills())["data"]["items"]

    assert (newest["tradeType"], first["tradeType"]) == ("liquidation", "trade")
    assert await cross.fetch_positions() == []
    [done, _] = (await cross.futuresPrivateGetOrders({"status": "done"}))["data"]["items"]
    assert (done["id"], done["clientOid"], done["reduceOnly"]) == (newest["orderId"], None, True)
