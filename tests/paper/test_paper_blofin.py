"""Plain ccxt trades on the paper exchange as it does on BloFin."""

from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import ccxt
import pytest

from paper_exchange.server import PaperServer
from tests.paper.clients import BTC, ETH, Client, plain_client
from tests.paper.scenes.blofin import ACCOUNT, spaced

CROSS = {"marginMode": "cross"}
ISOLATED = {"marginMode": "isolated"}


@pytest.fixture
async def server() -> AsyncIterator[PaperServer]:
    async with PaperServer(accounts=[ACCOUNT], limits=False) as running:
        running.pin(BTCUSDT="60000", ETHUSDT="3328")
        yield running


@pytest.fixture
async def client(server: PaperServer) -> AsyncIterator[Client]:
    async with plain_client(server, ACCOUNT) as plain:
        yield spaced(plain)


def size(server: PaperServer, symbol: str) -> Decimal:
    return Decimal(server.truth(ACCOUNT.name)["sizes"].get(symbol, "0"))


async def detail(client: Client, client_id: str, inst: str = "ETH-USDT") -> Any:
    request = {"instId": inst, "clientOrderId": client_id}
    return (await client.privateGetTradeOrderDetail(request))["data"]


async def test_markets_load_in_one_request(server: PaperServer, client: Client) -> None:
    await client.load_markets()

    assert [row.path for row in server.requests()] == ["/api/v1/market/instruments"]
    assert len(client.markets) == len(server.exchange.instruments["blofin"]) >= 28
    market = client.market(BTC)
    assert (market["id"], market["contractSize"]) == ("BTC-USDT", 0.001)
    assert (market["precision"]["amount"], market["limits"]["amount"]["min"]) == (0.1, 0.1)
    assert (market["limits"]["leverage"]["max"], market["taker"]) == (150, 0.0006)
    assert market["info"]["maxMarketSize"] == "100000"
    assert {"PEPE/USDT:USDT", "1000BONK/USDT:USDT", "TAO/USDT:USDT"} <= set(client.symbols)


async def test_a_wholly_default_client_asks_for_the_coins_first(server: PaperServer) -> None:
    async with plain_client(server, ACCOUNT, options={}) as untuned:
        spaced(untuned)
        untuned.has["fetchCurrencies"] = True
        await untuned.load_markets()
        balance = await untuned.fetch_balance()

    paths = [row.path for row in server.requests()]
    assert paths[:2] == ["/api/v1/asset/currencies", "/api/v1/market/instruments"]
    assert balance["USDT"]["total"] == 100_000


async def test_prices_are_told_by_tickers_mark_and_funding(client: Client) -> None:
    tickers = await client.fetch_tickers()
    mark = await client.fetch_mark_price(ETH)
    funding = await client.fetch_funding_rate(ETH)
    book = await client.fetch_order_book(ETH)

    assert (tickers[ETH]["bid"], tickers[ETH]["ask"]) == (3328, 3328.16)
    assert (await client.fetch_ticker(BTC))["last"] == 60_000
    assert mark["markPrice"] == 3328
    assert funding["fundingRate"] == 0.0001
    assert (book["bids"][0][0], book["asks"][0][0]) == (3328, 3328.16)


async def test_a_market_order_becomes_a_position_and_costs_the_taker_fee(
    server: PaperServer, client: Client
) -> None:
    order = await client.create_order(ETH, "market", "buy", 100, None, {"clientOrderId": "te1"})
    [position] = await client.fetch_positions()
    balance = await client.fetch_balance()
    [trade] = await client.fetch_my_trades(ETH)
    done = await detail(client, "te1")

    assert (order["id"].isdigit(), order["clientOrderId"]) == (True, "te1")
    assert (position["side"], position["contracts"], position["hedged"]) == ("long", 100, False)
    assert (position["entryPrice"], position["leverage"]) == (3328.16, 10)
    assert (position["marginMode"], position["notional"]) == ("cross", 3328)
    fee = Decimal("3328.16") * Decimal("0.0006")  # 100 contracts of 0.01 ETH
    assert Decimal(server.truth(ACCOUNT.name)["wallet_usdt"]) == 100_000 - fee
    assert Decimal(str(trade["fee"]["cost"])) == Decimal(done["fee"]) == fee
    assert balance["USDT"]["total"] == pytest.approx(float(100_000 - fee) - 0.16)
    assert balance["USDT"]["free"] == pytest.approx(balance["USDT"]["total"] - 332.8)
    assert (done["state"], done["filledSize"]) == ("filled", "100." + "0" * 18)
    assert (done["averagePrice"], done["reduceOnly"]) == ("3328.16" + "0" * 16, "false")


@pytest.mark.parametrize(
    ("opens", "closes", "sign"), [("buy", "sell", 1), ("sell", "buy", -1)], ids=["long", "short"]
)
async def test_a_position_is_opened_added_to_reduced_and_closed(
    server: PaperServer, client: Client, opens: str, closes: str, sign: int
) -> None:
    reduce = {"reduceOnly": True}
    await client.create_order(ETH, "market", opens, 10)
    await client.create_order(ETH, "market", opens, 5.5)
    [held] = (await client.privateGetAccountPositions())["data"]
    await client.create_order(ETH, "market", closes, 10, None, reduce)
    left = size(server, "ETHUSDT")
    await client.create_order(ETH, "market", closes, 50, None, {**reduce, "clientOrderId": "cut"})

    assert held["positions"] == str(sign * Decimal("15.5"))
    assert left == sign * Decimal("5.5")
    assert size(server, "ETHUSDT") == 0
    assert Decimal((await detail(client, "cut"))["size"]) == Decimal("5.5")
    assert await client.fetch_positions() == []
    with pytest.raises(ccxt.ExchangeError, match='"code":"102022"'):
        await client.create_order(ETH, "market", closes, 1, None, reduce)


async def test_a_flip_in_one_order_is_allowed_in_one_way_mode(
    server: PaperServer, client: Client
) -> None:
    await client.create_order(ETH, "market", "buy", 20)
    await client.create_order(ETH, "market", "sell", 50)
    position = await client.fetch_position(ETH)

    assert size(server, "ETHUSDT") == -30
    assert (position["side"], position["contracts"]) == ("short", 30)


async def test_a_position_is_closed_by_its_own_path(server: PaperServer, client: Client) -> None:
    await client.create_order(ETH, "market", "sell", 7, None, ISOLATED)
    with pytest.raises(ccxt.InvalidOrder, match="102005"):
        await client.close_position(ETH, None, CROSS)
    await client.close_position(ETH, None, {**ISOLATED, "clientOrderId": "shut"})

    assert size(server, "ETHUSDT") == 0
    assert (await detail(client, "shut"))["reduceOnly"] == "true"
    with pytest.raises(ccxt.InvalidOrder, match="102005"):
        await client.close_position(ETH, None, ISOLATED)


async def test_dust_below_the_step_is_closed_by_that_path_only(
    server: PaperServer, client: Client
) -> None:
    await client.create_order(ETH, "market", "buy", 1)
    exchange, at_ms = server.exchange, server.exchange.clock.now_ms()
    state = exchange.state(ACCOUNT, at_ms)
    dust = {key: replace(row, size_lots=Decimal("0.05")) for key, row in state.positions.items()}
    exchange.change(ACCOUNT.id, replace(state, positions=dust), at_ms)
    with pytest.raises(ccxt.BadRequest, match=r"152002.*size"):
        await client.create_order(ETH, "market", "sell", 0.1, None, {"size": "0.05"})
    await client.close_position(ETH)

    assert size(server, "ETHUSDT") == 0


async def test_each_margin_mode_has_its_own_leverage(client: Client) -> None:
    await client.set_leverage(5, ETH, CROSS)
    await client.set_leverage(20, ETH, ISOLATED)
    again = await client.set_leverage(5, ETH, CROSS)  # echoed, not an error
    found = await client.fetch_leverages([ETH, BTC], ISOLATED)

    assert again["data"]["leverage"] == "5"
    assert (await client.fetch_leverage(ETH))["longLeverage"] == 5
    assert {name: row["longLeverage"] for name, row in found.items()} == {ETH: 20, BTC: 10}
    with pytest.raises(ccxt.BadRequest, match=r"152002.*leverage"):
        await client.set_leverage(76, "XRP/USDT:USDT")


async def test_isolated_margin_follows_its_leverage(server: PaperServer, client: Client) -> None:
    await client.set_leverage(4, ETH, ISOLATED)
    await client.create_order(ETH, "market", "buy", 100, None, ISOLATED)
    [row] = (await client.privateGetAccountPositions())["data"]
    [held] = await client.fetch_positions()
    balance = (await client.privateGetAccountBalance())["data"]["details"][0]

    assert (row["marginMode"], row["leverage"], "initialMargin" in row) == ("isolated", "4", False)
    assert held["collateral"] == pytest.approx(3328.16 / 4 - 0.16)
    assert Decimal(balance["isolatedEquity"]) == Decimal("832.04") - Decimal("0.16")
    with pytest.raises(ccxt.BadRequest, match=r"152002.*marginMode"):
        await client.create_order(ETH, "market", "buy", 1, None, CROSS)
    assert size(server, "ETHUSDT") == 100


async def test_modes_change_only_while_flat_and_leverage_without_orders(
    client: Client,
) -> None:
    await client.set_margin_mode("isolated")
    await client.set_margin_mode("isolated")  # again is fine
    assert (await client.fetch_margin_mode(ETH))["marginMode"] == "isolated"
    order = await client.create_order(ETH, "limit", "buy", 1, 3000)
    with pytest.raises(ccxt.InvalidOrder, match="110006"):
        await client.set_leverage(3, ETH)
    with pytest.raises(ccxt.InvalidOrder, match="110019"):
        await client.set_margin_mode("cross")
    await client.cancel_order(order["id"], ETH)
    await client.create_order(ETH, "market", "buy", 1)
    with pytest.raises(ccxt.InvalidOrder, match="110019"):
        await client.set_position_mode(True)

    await client.set_leverage(3, ETH)  # with a position: fine
    assert (await client.fetch_position_mode())["hedged"] is False
    assert (await client.fetch_positions())[0]["leverage"] == 3


async def test_hedge_mode_holds_both_sides(client: Client) -> None:
    await client.set_position_mode(True)
    assert (await client.fetch_position_mode())["hedged"] is True
    with pytest.raises(ccxt.ExchangeError, match='"code":"102089"'):
        await client.create_order(ETH, "market", "buy", 1)
    await client.create_order(ETH, "market", "buy", 30, None, {"hedged": True})
    await client.create_order(ETH, "market", "sell", 20, None, {"hedged": True})
    close = {"positionSide": "long", "reduceOnly": True}
    await client.create_order(ETH, "market", "sell", 10, None, close)
    rows = {row["side"]: row["contracts"] for row in await client.fetch_positions()}
    raw = (await client.privateGetAccountPositions())["data"]
    await client.close_position(ETH, None, {"positionSide": "short"})

    assert rows == {"long": 20, "short": 20}
    assert [row["positions"] for row in raw] == ["20", "20"]
    assert [row["side"] for row in await client.fetch_positions()] == ["long"]
    with pytest.raises(ccxt.ExchangeError, match='"code":"102022"'):
        await client.create_order(ETH, "market", "buy", 1, None, {"positionSide": "short"})


async def test_isolated_sides_of_hedge_mode_have_leverages_of_their_own(client: Client) -> None:
    await client.set_position_mode(True)
    with pytest.raises(ccxt.BadRequest, match=r"152001.*positionSide"):
        await client.set_leverage(5, ETH, ISOLATED)
    await client.set_leverage(5, ETH, {**ISOLATED, "positionSide": "long"})
    await client.set_leverage(7, ETH, {**ISOLATED, "positionSide": "short"})
    request = {"instId": "ETH-USDT", "marginMode": "isolated"}
    found = (await client.privateGetAccountBatchLeverageInfo(request))["data"]

    assert [(row["positionSide"], row["leverage"]) for row in found] == [
        ("long", "5"),
        ("short", "7"),
    ]


async def test_a_client_id_is_taken_once(server: PaperServer, client: Client) -> None:
    once = {"clientOrderId": "once"}
    await client.create_order(ETH, "market", "buy", 1, None, once)
    with pytest.raises(ccxt.ExchangeError, match='"code":"102002"'):
        await client.create_order(ETH, "market", "buy", 1, None, once)

    assert size(server, "ETHUSDT") == 1


async def test_an_order_that_never_was_is_null(client: Client) -> None:
    await client.load_markets()
    await client.create_order(ETH, "market", "buy", 1, None, {"clientOrderId": "there"})

    assert await detail(client, "nowhere") is None
    assert await detail(client, "there", "BTC-USDT") is None
    with pytest.raises(ccxt.BadRequest, match="152003"):
        await client.privateGetTradeOrderDetail({"instId": "ETH-USDT"})


async def test_resting_orders_are_listed_filled_and_cancelled(
    server: PaperServer, client: Client
) -> None:
    await client.create_order(ETH, "limit", "buy", 100, 3300, {"clientOrderId": "rest"})
    far = await client.create_order(BTC, "limit", "sell", 1, 70_000)
    pending = await client.fetch_open_orders()
    used = (await client.fetch_balance())["USDT"]["used"]
    server.pin(ETHUSDT="3290")
    filled = await detail(client, "rest")
    cancelled = await client.cancel_order(far["id"], BTC)
    closed = await client.fetch_closed_orders()
    last = next(row for row in closed if row["id"] == far["id"])

    # ccxt sorts by time, and both may be of the same millisecond
    assert {(row["symbol"], row["status"]) for row in pending} == {(ETH, "open"), (BTC, "open")}
    assert float(used) == pytest.approx(337)
    assert (filled["state"], Decimal(filled["averagePrice"])) == ("filled", Decimal(3300))
    assert cancelled["id"] == far["id"]
    assert (last["status"], last["info"]["cancelSource"]) == ("canceled", "user_canceled")
    assert await client.fetch_open_orders() == []
    with pytest.raises(ccxt.ExchangeError, match='"code":"102068"'):
        await client.cancel_order(far["id"], BTC)


async def test_a_limit_may_be_immediate_only(server: PaperServer, client: Client) -> None:
    """Only the type `ioc` says so: a timeInForce never leaves ccxt."""
    await client.create_order(ETH, "ioc", "buy", 1, 3327, {"clientOrderId": "below"})
    await client.create_order(ETH, "ioc", "buy", 1, 3340, {"clientOrderId": "above"})
    await client.create_order(ETH, "limit", "buy", 1, 3327, {"timeInForce": "IOC"})
    [rests] = await client.fetch_open_orders(ETH)

    assert (await detail(client, "below"))["state"] == "canceled"
    assert (await detail(client, "above"))["state"] == "filled"
    assert rests["info"]["orderType"] == "limit"
    assert size(server, "ETHUSDT") == 1


async def test_a_partial_fill_says_so(server: PaperServer, client: Client) -> None:
    server.add_fault("partial_fill", fraction="0.55")
    await client.create_order(ETH, "market", "buy", 10, None, {"clientOrderId": "part"})
    done = await detail(client, "part")

    assert (done["state"], Decimal(done["filledSize"])) == ("partially_canceled", Decimal("5.5"))
    assert size(server, "ETHUSDT") == Decimal("5.5")


async def test_a_late_rejection_is_seen_in_the_order(server: PaperServer, client: Client) -> None:
    server.add_fault("late_reject", reason="margin")
    await client.create_order(ETH, "market", "buy", 10, None, {"clientOrderId": "late"})

    assert (await detail(client, "late"))["state"] == "order_failed"
    assert size(server, "ETHUSDT") == 0


@pytest.mark.parametrize(
    ("change", "error", "code"),
    [
        pytest.param({"size": "0.05"}, ccxt.BadRequest, "152002", id="below-the-step"),
        pytest.param({"size": "-1"}, ccxt.BadRequest, "152002", id="negative"),
        pytest.param({"size": "NaN"}, ccxt.BadRequest, "152002", id="not-a-number"),
        pytest.param({"size": ""}, ccxt.BadRequest, "152001", id="no-size"),
        pytest.param({"side": "Buy"}, ccxt.BadRequest, "152002", id="side-in-capitals"),
        pytest.param({"orderType": "stop"}, ccxt.BadRequest, "152002", id="order-type"),
        pytest.param({"marginMode": ""}, ccxt.BadRequest, "152001", id="no-margin-mode"),
        pytest.param({"marginMode": "both"}, ccxt.BadRequest, "152002", id="margin-mode"),
        pytest.param({"positionSide": "up"}, ccxt.BadRequest, "152002", id="position-side"),
        pytest.param({"instId": "NO-USDT"}, ccxt.BadRequest, "152014", id="unknown-contract"),
        pytest.param({"clientOrderId": "a-b"}, ccxt.InvalidOrder, "152009", id="client-id"),
        pytest.param({"clientOrderId": "x" * 33}, ccxt.InvalidOrder, "152009", id="long-id"),
        pytest.param({"size": "200000.1"}, ccxt.ExchangeError, "102015", id="too-large"),
        pytest.param({"size": "60000"}, ccxt.ExchangeError, "103003", id="no-margin"),
        pytest.param({"positionSide": "long"}, ccxt.ExchangeError, "102089", id="hedge-side"),
        pytest.param(
            {"orderType": "limit", "price": "3000", "size": "600001"},
            ccxt.ExchangeError,
            "102014",
            id="too-large-a-limit",
        ),
        pytest.param(
            {"orderType": "limit", "price": "3600"}, ccxt.ExchangeError, "102064", id="dear-buy"
        ),
        pytest.param(
            {"orderType": "limit", "price": "3000", "side": "sell"},
            ccxt.ExchangeError,
            "102065",
            id="cheap-sell",
        ),
        pytest.param(
            {"orderType": "limit", "price": "3000.001"},
            ccxt.BadRequest,
            "152002",
            id="off-the-tick",
        ),
    ],
)
async def test_bad_orders_get_the_venues_own_code(
    server: PaperServer, client: Client, change: dict[str, Any], error: type[Exception], code: str
) -> None:
    order = {"instId": "ETH-USDT", "marginMode": "cross", "side": "buy", "orderType": "market"}

    with pytest.raises(error, match=f'"code":"{code}"'):
        await client.privatePostTradeOrder({**order, "size": "1", **change})
    assert server.truth(ACCOUNT.name)["orders"] == {}


async def test_a_liquidation_takes_the_position_and_says_so(
    server: PaperServer, client: Client
) -> None:
    await client.set_leverage(100, BTC)
    await client.create_order(BTC, "market", "buy", 100_000)
    [held] = await client.fetch_positions()
    server.pin(BTCUSDT="59000")
    [_, bust] = await client.fetch_closed_orders(BTC)

    assert 59_000 < held["liquidationPrice"] < 60_000
    assert await client.fetch_positions() == []
    assert bust["info"]["orderCategory"] == "full_liquidation"


async def test_an_account_without_money_has_no_rows(server: PaperServer, client: Client) -> None:
    server.exchange.deposit(ACCOUNT, Decimal(-100_000))

    assert (await client.privateGetAccountBalance())["data"]["details"] == []
