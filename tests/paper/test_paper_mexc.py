"""Plain ccxt trades on the paper exchange as it does on MEXC."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import ccxt
import pytest

from paper_exchange.server import PaperServer
from tests.paper.clients import BTC, ETH, SCENES, Client, plain_client

ACCOUNT = SCENES["mexc"].account
CROSS = {"type": 5, "openType": 2, "leverage": 10}
ISOLATED = {"type": 5, "openType": 1, "leverage": 10}
CLOSES = {"type": 5, "openType": 2, "reduceOnly": True}


@pytest.fixture
async def server() -> AsyncIterator[PaperServer]:
    async with PaperServer(accounts=[ACCOUNT], limits=False) as running:
        running.pin(BTCUSDT="60000", ETHUSDT="3328")
        yield running


@pytest.fixture
async def client(server: PaperServer) -> AsyncIterator[Client]:
    async with plain_client(server, ACCOUNT) as plain:
        yield plain


def size(server: PaperServer, symbol: str = "ETHUSDT") -> Decimal:
    return Decimal(server.truth("mex")["sizes"].get(symbol, "0"))


def rows_of(answer: Any) -> list[dict[str, Any]]:
    return list(answer["data"])


async def test_markets_load_in_two_requests_and_the_swaps_alone_in_one(
    server: PaperServer, client: Client
) -> None:
    await client.load_markets()
    assert [row.path for row in server.requests()] == [
        "/api/v3/exchangeInfo",
        "/api/v1/contract/detail",
    ]

    swaps = await client.fetch_swap_markets()
    market = client.market(ETH)
    assert len(server.requests()) == 3
    assert len(swaps) == len(client.markets) == 46
    assert (market["id"], market["contractSize"]) == ("ETH_USDT", 0.01)
    assert (market["precision"]["amount"], market["precision"]["price"]) == (1, 0.01)
    assert (market["limits"]["amount"]["max"], market["limits"]["leverage"]["max"]) == (82_000, 200)
    assert (market["taker"], market["maker"]) == (0.0002, 0)


async def test_a_wholly_default_client_loads_its_markets_too(server: PaperServer) -> None:
    async with plain_client(server, ACCOUNT, options={}) as untuned:
        untuned.has["fetchCurrencies"] = True
        await untuned.load_markets()
        balance = await untuned.fetch_balance({"type": "swap"})

    assert set(untuned.symbols) >= {BTC, ETH, "PEPE/USDT:USDT", "TAO/USDT:USDT"}
    assert balance["USDT"]["total"] == 100_000


async def test_one_contract_is_told_that_orders_by_api_are_not_taken(client: Client) -> None:
    closed = [row for row in await client.fetch_swap_markets() if not row["info"]["apiAllowed"]]

    assert [row["id"] for row in closed] == ["ZRX_USDT"]
    with pytest.raises(ccxt.InvalidOrder, match="1002"):
        await client.create_order("ZRX/USDT:USDT", "market", "buy", 100, None, CROSS)


async def test_tickers_clock_and_funding_can_be_read(server: PaperServer, client: Client) -> None:
    tickers = await client.fetch_tickers()
    [one] = (await client.fetch_tickers([ETH])).values()

    assert len(tickers) == 46
    assert (one["bid"], one["last"], one["info"]["fairPrice"]) == (3328, 3328, 3328)
    assert one["ask"] == pytest.approx(3328.16)
    assert tickers[BTC]["timestamp"] <= await client.fetch_time()
    assert abs(await client.fetch_time() - server.exchange.clock.now_ms()) < 2000
    assert (await client.fetch_funding_rate(ETH))["fundingRate"] == 0.0001


async def test_a_market_order_becomes_a_position_and_costs_the_taker_fee(
    server: PaperServer, client: Client
) -> None:
    order = await client.create_order(
        ETH, "market", "buy", 522, None, {**CROSS, "externalOid": "a"}
    )
    position = await client.fetch_position(ETH)
    [asset] = rows_of(await client.contractPrivateGetAccountAssets())
    [trade] = await client.fetch_my_trades(ETH)

    assert len(order["id"]) == 18
    assert (position["side"], position["contracts"], position["leverage"]) == ("long", 522, 10)
    assert (position["marginMode"], position["entryPrice"]) == ("cross", 3328.16)
    fee = Decimal("5.22") * Decimal("3328.16") * Decimal("0.0002")
    assert Decimal(server.truth("mex")["wallet_usdt"]) == 100_000 - fee
    assert Decimal(str(trade["fee"]["cost"])) == fee
    assert (trade["takerOrMaker"], trade["side"], trade["order"]) == ("taker", "buy", order["id"])
    assert asset["unrealized"] == pytest.approx(-0.8352)
    assert asset["equity"] == pytest.approx(100_000 - float(fee) - 0.8352)
    assert asset["positionMargin"] == pytest.approx(5.22 * 332.8)
    assert asset["availableOpen"] == pytest.approx(100_000 - float(fee) - 0.8352 - 5.22 * 332.8)


async def test_a_position_is_added_to_reduced_and_closed_long_and_short(
    server: PaperServer, client: Client
) -> None:
    for opens, closes, sign in (("buy", "sell", 1), ("sell", "buy", -1)):
        for side, lots, params, after in (
            (opens, 10, CROSS, 10),
            (opens, 5, CROSS, 15),
            (closes, 4, CLOSES, 11),
            (closes, 11, CLOSES, 0),
        ):
            await client.create_order(ETH, "market", side, lots, None, params)
            assert size(server) == sign * after

    assert await client.fetch_positions() == []


async def test_the_side_codes_say_what_an_order_is_for(client: Client) -> None:
    await client.create_order(ETH, "market", "buy", 10, None, CROSS)
    await client.create_order(ETH, "market", "sell", 10, None, CLOSES)
    await client.create_order(ETH, "market", "sell", 10, None, CROSS)
    await client.create_order(ETH, "market", "buy", 10, None, CLOSES)
    orders = rows_of(await client.contractPrivateGetOrderListHistoryOrders({"symbol": "ETH_USDT"}))
    deals = rows_of(await client.contractPrivateGetOrderListOrderDeals({"symbol": "ETH_USDT"}))

    assert [row["side"] for row in orders] == [row["side"] for row in deals] == [2, 3, 4, 1]
    assert {row["positionMode"] for row in orders} == {2}
    assert [row["reduceOnly"] for row in orders] == [True, False, True, False]


async def test_a_close_is_not_cut_to_the_position(server: PaperServer, client: Client) -> None:
    with pytest.raises(ccxt.InvalidOrder, match="2009"):
        await client.create_order(ETH, "market", "sell", 1, None, CLOSES)
    await client.create_order(ETH, "market", "buy", 10, None, CROSS)
    with pytest.raises(ccxt.InvalidOrder, match="2009"):
        await client.create_order(ETH, "market", "buy", 1, None, CLOSES)
    with pytest.raises(ccxt.ExchangeError, match="2008"):
        await client.create_order(ETH, "market", "sell", 11, None, CLOSES)
    rest = {"type": 1, "openType": 2, "reduceOnly": True}
    await client.create_order(ETH, "limit", "sell", 4, 3400, rest)
    with pytest.raises(ccxt.ExchangeError, match="2008"):  # four are frozen
        await client.create_order(ETH, "market", "sell", 7, None, CLOSES)
    [held] = rows_of(await client.contractPrivateGetPositionOpenPositions())

    assert (held["holdVol"], held["frozenVol"]) == (10, 4)
    assert size(server) == 10


async def test_the_reduce_only_flag_does_as_well_in_one_way_mode(
    server: PaperServer, client: Client
) -> None:
    await client.create_order(ETH, "market", "buy", 10, None, CROSS)
    order = {"symbol": "ETH_USDT", "vol": 10, "side": 3, "type": 5, "openType": 2}
    await client.contractPrivatePostOrderCreate({**order, "reduceOnly": True})

    with pytest.raises(ccxt.InvalidOrder, match="2009"):
        await client.contractPrivatePostOrderCreate({**order, "reduceOnly": True})
    assert size(server) == 0


async def test_a_plain_sale_beyond_a_long_turns_it_round(client: Client) -> None:
    await client.create_order(ETH, "market", "buy", 2, None, CROSS)
    await client.create_order(ETH, "market", "sell", 5, None, CROSS)
    [held] = rows_of(await client.contractPrivateGetPositionOpenPositions())

    assert (held["positionType"], held["holdVol"], held["holdAvgPrice"]) == (2, 3, 3328)


async def test_an_ioc_limit_fills_only_across_the_quote(
    server: PaperServer, client: Client
) -> None:
    ioc = {**CROSS, "type": 3}
    missed = await client.create_order(ETH, "limit", "buy", 10, 3327, ioc)
    filled = await client.create_order(ETH, "limit", "buy", 10, 3340, ioc)
    missed = (await client.fetch_order(missed["id"], ETH))["info"]
    filled = (await client.fetch_order(filled["id"], ETH))["info"]

    assert (missed["state"], missed["dealVol"], missed["errorCode"]) == (4, 0, 18)
    assert (filled["state"], filled["dealVol"], filled["dealAvgPrice"]) == (3, 10, 3328.16)
    assert (filled["orderType"], filled["price"]) == (3, 3340)
    assert size(server) == 10


async def test_a_partial_fill_is_told_as_it_is(server: PaperServer, client: Client) -> None:
    server.add_fault("partial_fill", fraction="0.45", count=2)
    market = await client.create_order(ETH, "market", "buy", 10, None, CROSS)
    limit = await client.create_order(ETH, "limit", "buy", 10, 3400, {**CROSS, "type": 1})
    server.pin(ETHUSDT="3500")  # nobody sells any more
    market, limit = [(await client.fetch_order(row["id"], ETH))["info"] for row in (market, limit)]
    [resting] = await client.fetch_open_orders()

    assert (market["state"], market["dealVol"], market["vol"]) == (4, 4, 10)
    assert (limit["state"], limit["dealVol"]) == (2, 4)
    assert (resting["id"], resting["remaining"]) == (limit["orderId"], 6)


async def test_an_order_that_is_late_is_uninformed_and_one_that_fails_invalid(
    server: PaperServer, client: Client
) -> None:
    server.add_fault("fill_delay", ms=60_000, count=1)
    late = await client.create_order(ETH, "market", "buy", 10, None, CROSS)
    server.add_fault("late_reject", count=1)
    bad = await client.create_order(ETH, "market", "buy", 10, None, CROSS)
    late, bad = [(await client.fetch_order(row["id"], ETH))["info"] for row in (late, bad)]

    assert (late["state"], late["dealVol"]) == (1, 0)
    assert (bad["state"], bad["errorCode"]) == (5, 2)
    assert size(server) == 0


async def test_an_order_can_be_refused_with_any_code(server: PaperServer, client: Client) -> None:
    server.add_fault("reject_order", code="2039", text="seen before", count=1)
    with pytest.raises(ccxt.ExchangeError, match='"code":2039,"message":"seen before"'):
        await client.create_order(ETH, "market", "buy", 1, None, CROSS)
    server.add_fault("refuse", code="702", text="no", count=1)
    with pytest.raises(ccxt.PermissionDenied, match="702"):
        await client.create_order(ETH, "market", "buy", 1, None, CROSS)

    assert server.truth("mex")["orders"] == {}


async def test_resting_orders_are_listed_filled_and_cancelled(
    server: PaperServer, client: Client
) -> None:
    limit = {**CROSS, "type": 1}
    rest = await client.create_order(ETH, "limit", "buy", 100, 3300, limit)
    far = await client.create_order(BTC, "limit", "buy", 100, 55_000, limit)
    by_symbol = await client.contractPrivateGetOrderListOpenOrdersSymbol({"symbol": "BTC_USDT"})
    assert {row["symbol"] for row in await client.fetch_open_orders()} == {BTC, ETH}
    assert [row["orderId"] for row in rows_of(by_symbol)] == [far["id"]]
    assert (await client.fetch_balance())["USDT"]["used"] == pytest.approx(385)

    server.pin(ETHUSDT="3290")
    filled = await client.fetch_order(rest["id"], ETH)
    await client.cancel_order(far["id"], BTC)

    assert (filled["status"], filled["average"], filled["info"]["makerFee"]) == ("closed", 3300, 0)
    assert await client.fetch_open_orders() == []
    with pytest.raises(ccxt.InvalidOrder, match="order state cannot be cancelled"):
        await client.cancel_order(far["id"], BTC)
    with pytest.raises(ccxt.InvalidOrder, match="order not exist"):
        await client.cancel_order("1", BTC)


async def test_cancel_all_cancels_a_contract_or_everything(client: Client) -> None:
    limit = {**CROSS, "type": 1}
    for symbol, price in ((ETH, 3000), (ETH, 3100), (BTC, 59_000)):
        await client.create_order(symbol, "limit", "buy", 1, price, limit)
    await client.cancel_all_orders(ETH)
    assert [row["symbol"] for row in await client.fetch_open_orders()] == [BTC]
    await client.cancel_all_orders()

    assert await client.fetch_open_orders() == []
    assert len(await client.fetch_canceled_orders(ETH)) == 2


async def test_close_all_closes_both_sides_of_everything(
    server: PaperServer, client: Client
) -> None:
    await client.create_order(ETH, "market", "buy", 10, None, CROSS)
    await client.create_order(BTC, "market", "sell", 10, None, ISOLATED)
    await client.close_all_positions()

    assert server.truth("mex")["sizes"] == {}


async def test_lists_of_orders_and_fills_come_in_pages(client: Client) -> None:
    for _ in range(5):
        await client.create_order(ETH, "market", "buy", 1, None, CROSS)
    of_eth = {"symbol": "ETH_USDT", "page_size": 2}
    pages = [
        [row["orderId"] for row in rows_of(await read({**of_eth, "page_num": number}))]
        for read in (
            client.contractPrivateGetOrderListHistoryOrders,
            client.contractPrivateGetOrderListOrderDeals,
        )
        for number in (1, 2, 3, 4)
    ]

    assert [len(page) for page in pages] == [2, 2, 1, 0] * 2
    assert len({order for page in pages[:4] for order in page}) == 5
    assert pages[:4] == pages[4:]


async def test_a_liquidation_takes_an_isolated_position_and_says_so(
    server: PaperServer, client: Client
) -> None:
    await client.create_order(BTC, "market", "buy", 10_000, None, {**ISOLATED, "leverage": 50})
    [held] = await client.fetch_positions()
    assert 58_000 < held["liquidationPrice"] < 60_000

    server.pin(BTCUSDT="58000")
    assert await client.fetch_positions() == []
    [order, _] = rows_of(await client.contractPrivateGetOrderListHistoryOrders())
    assert (order["category"], order["side"], order["externalOid"]) == (2, 4, "")
    assert Decimal(server.truth("mex")["wallet_usdt"]) > 97_000
