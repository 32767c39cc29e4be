"""Plain ccxt trades on the paper exchange as it does on Bybit."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import ccxt
import pytest

from paper_exchange.server import PaperServer
from tests.paper.clients import BTC, ETH, MAIN, Client, plain_client


@pytest.fixture
async def server() -> AsyncIterator[PaperServer]:
    async with PaperServer(accounts=[MAIN]) as running:
        running.pin(BTCUSDT="60000", ETHUSDT="3328")
        yield running


@pytest.fixture
async def client(server: PaperServer) -> AsyncIterator[Client]:
    async with plain_client(server) as plain:
        yield plain


def size(server: PaperServer, symbol: str) -> Decimal:
    return Decimal(server.truth("main")["sizes"].get(symbol, "0"))


async def test_linear_markets_load_in_two_requests(server: PaperServer, client: Client) -> None:
    await client.load_markets()

    assert len(server.requests()) == 2
    assert len(client.markets) == 50
    market = client.market(ETH)
    assert (market["precision"]["amount"], market["precision"]["price"]) == (0.01, 0.01)
    assert (market["limits"]["amount"]["min"], market["limits"]["cost"]["min"]) == (0.01, 5)
    assert market["limits"]["leverage"]["max"] == 100
    assert market["info"]["lotSizeFilter"]["maxMktOrderQty"] == "724"


async def test_a_wholly_default_client_loads_its_markets_too(server: PaperServer) -> None:
    async with plain_client(server, options={}) as untuned:
        untuned.has["fetchCurrencies"] = True
        await untuned.load_markets()
        balance = await untuned.fetch_balance()

    assert set(untuned.symbols) >= {BTC, ETH, "1000PEPE/USDT:USDT", "TAO/USDT:USDT"}
    assert balance["USDT"]["total"] == 100_000


async def test_pages_of_instruments_add_up(client: Client) -> None:
    seen: list[str] = []
    cursor = ""
    for _ in range(3):
        page = await client.publicGetV5MarketInstrumentsInfo(
            {"category": "linear", "limit": 20, "cursor": cursor}
        )
        seen += [row["symbol"] for row in page["result"]["list"]]
        cursor = page["result"]["nextPageCursor"]

    assert cursor == ""
    assert len(seen) == len(set(seen)) == 50


async def test_tickers_have_bid_ask_and_mark(client: Client) -> None:
    tickers = await client.fetch_tickers()

    assert len(tickers) == 50
    assert (tickers[ETH]["bid"], tickers[ETH]["markPrice"]) == (3328, 3328)
    assert tickers[ETH]["ask"] == pytest.approx(3328.16)
    assert (await client.fetch_funding_rate(ETH))["fundingRate"] == 0.0001


async def test_the_clock_can_be_read(server: PaperServer, client: Client) -> None:
    assert abs(await client.fetch_time() - server.exchange.clock.now_ms()) < 2000


async def test_a_market_order_becomes_a_position_and_costs_the_taker_fee(
    server: PaperServer, client: Client
) -> None:
    order = await client.create_order(ETH, "market", "buy", 5.22, None, {"clientOrderId": "te1"})
    [position] = await client.fetch_positions()
    balance = await client.fetch_balance()
    [trade] = await client.fetch_my_trades(ETH)

    assert order["clientOrderId"] == "te1"
    assert (position["side"], position["contracts"], position["leverage"]) == ("long", 5.22, 10)
    assert position["entryPrice"] == 3328.16
    fee = Decimal("5.22") * Decimal("3328.16") * Decimal("0.00055")
    assert Decimal(server.truth("main")["wallet_usdt"]) == 100_000 - fee
    assert Decimal(str(trade["fee"]["cost"])) == fee
    assert balance["info"]["result"]["list"][0]["totalPerpUPL"] == "-0.8352"


async def test_a_flat_symbol_tells_its_leverage(client: Client) -> None:
    await client.set_leverage(3, ETH)
    [flat] = await client.fetch_positions([ETH])

    assert (flat["contracts"], flat["side"], flat["leverage"]) == (0, None, 3)
    assert await client.fetch_positions() == []


async def test_the_same_leverage_again_is_110043(client: Client) -> None:
    await client.set_leverage(3, ETH)

    with pytest.raises(ccxt.BadRequest, match="110043"):
        await client.set_leverage(3, ETH)
    with pytest.raises(ccxt.BadRequest, match="110013"):
        await client.set_leverage(101, ETH)


async def test_margin_mode_is_account_wide_and_fixed_while_a_position_is_held(
    client: Client,
) -> None:
    await client.set_margin_mode("isolated")
    assert (await client.fetch_margin_mode(ETH))["marginMode"] == "isolated"
    await client.set_margin_mode("isolated")  # again: fine on a unified account
    await client.create_order(ETH, "market", "buy", 1)

    with pytest.raises(ccxt.ExchangeError, match="3400045"):
        await client.set_margin_mode("cross")


async def test_position_mode_switches_only_while_flat(client: Client) -> None:
    with pytest.raises(ccxt.NoChange, match="110025"):
        await client.set_position_mode(False, ETH)
    await client.set_position_mode(True)
    with pytest.raises(ccxt.BadRequest, match=r"10001.*position idx"):
        await client.create_order(ETH, "market", "buy", 1)
    await client.create_order(ETH, "market", "buy", 2, None, {"hedged": True})
    await client.create_order(ETH, "market", "sell", 1, None, {"hedged": True})
    sides = {row["side"]: row["contracts"] for row in await client.fetch_positions()}

    assert sides == {"long": 2, "short": 1}
    with pytest.raises(ccxt.BadRequest, match="110024"):
        await client.set_position_mode(False)


async def test_an_ioc_limit_fills_only_across_the_quote(
    server: PaperServer, client: Client
) -> None:
    below = {"timeInForce": "IOC", "clientOrderId": "below"}
    above = {"timeInForce": "IOC", "clientOrderId": "above"}
    await client.create_order(ETH, "limit", "buy", 1, 3327, below)
    await client.create_order(ETH, "limit", "buy", 1, 3340, above)
    [missed] = await client.fetch_open_orders(ETH, params={"orderLinkId": "below"})
    [filled] = await client.fetch_closed_orders(ETH, params={"orderLinkId": "above"})

    assert (missed["status"], missed["filled"]) == ("canceled", 0)
    assert (filled["status"], filled["filled"], filled["average"]) == ("closed", 1, 3328.16)
    assert size(server, "ETHUSDT") == 1


async def test_a_reduction_is_cut_to_the_position_and_never_opens(
    server: PaperServer, client: Client
) -> None:
    reduce = {"reduceOnly": True}
    with pytest.raises(ccxt.InvalidOrder, match="110017"):
        await client.create_order(ETH, "market", "sell", 1, None, reduce)
    await client.create_order(ETH, "market", "buy", 1)
    with pytest.raises(ccxt.InvalidOrder, match="110017"):
        await client.create_order(ETH, "market", "buy", 1, None, reduce)
    await client.create_order(ETH, "market", "sell", 5, None, {**reduce, "clientOrderId": "cut"})
    [order] = await client.fetch_open_orders(ETH, params={"orderLinkId": "cut"})

    assert size(server, "ETHUSDT") == 0
    assert (order["amount"], order["filled"], order["reduceOnly"]) == (1, 1, True)


async def test_a_flip_in_one_order_is_allowed_in_one_way_mode(
    server: PaperServer, client: Client
) -> None:
    await client.create_order(ETH, "market", "buy", 2)
    await client.create_order(ETH, "market", "sell", 5)
    [position] = await client.fetch_positions()

    assert size(server, "ETHUSDT") == -3
    assert (position["side"], position["entryPrice"]) == ("short", 3328)


async def test_a_client_id_is_taken_once(server: PaperServer, client: Client) -> None:
    await client.create_order(ETH, "market", "buy", 1, None, {"clientOrderId": "once"})
    with pytest.raises(ccxt.InvalidOrder, match="110072"):
        await client.create_order(ETH, "market", "buy", 1, None, {"clientOrderId": "once"})

    assert size(server, "ETHUSDT") == 1


async def test_one_bad_order_of_a_batch_spares_the_others(
    server: PaperServer, client: Client
) -> None:
    def order(symbol: str, amount: float, client_id: str) -> dict[str, Any]:
        row = {"symbol": symbol, "type": "market", "side": "buy", "amount": amount}
        return {**row, "params": {"clientOrderId": client_id}}

    good, bad = order(BTC, 0.01, "good"), order(ETH, 700, "bad")
    answers = await client.create_orders([good, bad])

    assert [row["status"] for row in answers] == [None, "rejected"]
    assert answers[0]["id"]
    assert not answers[1]["id"]
    assert answers[1]["info"]["code"] == 110007
    assert server.truth("main")["sizes"] == {"BTCUSDT": "0.01"}


async def test_resting_orders_are_listed_filled_and_cancelled(
    server: PaperServer, client: Client
) -> None:
    await client.create_order(ETH, "limit", "buy", 1, 3300, {"clientOrderId": "rest"})
    far = await client.create_order(BTC, "limit", "buy", 0.01, 50_000)
    assert {row["symbol"] for row in await client.fetch_open_orders()} == {BTC, ETH}
    assert float((await client.fetch_balance())["USDT"]["used"]) == pytest.approx(380)

    server.pin(ETHUSDT="3290")
    [order] = await client.fetch_open_orders(ETH, params={"orderLinkId": "rest"})
    await client.cancel_order(far["id"], BTC)

    assert (order["status"], order["average"]) == ("closed", 3300)
    assert await client.fetch_open_orders() == []
    with pytest.raises(ccxt.OrderNotFound, match="110001"):
        await client.cancel_order(far["id"], BTC)


async def test_cancel_all_cancels_all(client: Client) -> None:
    for price in (3000, 3100):
        await client.create_order(ETH, "limit", "buy", 1, price)
    cancelled = await client.cancel_all_orders()

    assert len(cancelled) == 2
    assert await client.fetch_open_orders(ETH) == []


@pytest.mark.parametrize(
    ("change", "error", "code"),
    [
        pytest.param({"qty": "0.001"}, ccxt.BadRequest, 10001, id="below-the-step"),
        pytest.param({"qty": "725"}, ccxt.BadRequest, 10001, id="above-the-market-maximum"),
        pytest.param({"qty": "-1"}, ccxt.BadRequest, 10001, id="negative"),
        pytest.param({"qty": "NaN"}, ccxt.BadRequest, 10001, id="not-a-number"),
        pytest.param({"symbol": "NOUSDT"}, ccxt.BadRequest, 10001, id="unknown-symbol"),
        pytest.param({"side": "buy"}, ccxt.BadRequest, 10001, id="side-in-small-letters"),
        pytest.param({"positionIdx": 1}, ccxt.BadRequest, 10001, id="hedge-index-in-one-way"),
        pytest.param({"symbol": "XRPUSDT", "qty": "1"}, ccxt.InvalidOrder, 110094, id="too-little"),
        pytest.param({"qty": "700"}, ccxt.InsufficientFunds, 110007, id="no-margin"),
        pytest.param(
            {"orderType": "Limit", "price": "300000"}, ccxt.InvalidOrder, 110003, id="far-price"
        ),
        pytest.param(
            {"orderType": "Limit", "price": "3000.001"}, ccxt.BadRequest, 10001, id="off-the-tick"
        ),
        pytest.param({"orderLinkId": "x" * 37}, ccxt.BadRequest, 10001, id="long-client-id"),
    ],
)
async def test_bad_orders_get_the_venues_own_code(
    server: PaperServer, client: Client, change: dict[str, Any], error: type[Exception], code: int
) -> None:
    order = {"category": "linear", "symbol": "ETHUSDT", "side": "Buy", "orderType": "Market"}

    with pytest.raises(error, match=f'"retCode":{code}'):
        await client.privatePostV5OrderCreate({**order, "qty": "1", **change})
    assert server.truth("main")["orders"] == {}


async def test_a_reduction_below_the_minimum_value_is_taken(
    server: PaperServer, client: Client
) -> None:
    await client.create_order("XRP/USDT:USDT", "market", "buy", 20)
    await client.create_order("XRP/USDT:USDT", "market", "sell", 19, None, {"reduceOnly": True})
    await client.create_order("XRP/USDT:USDT", "market", "sell", 1, None, {"reduceOnly": True})

    assert size(server, "XRPUSDT") == 0


async def test_a_liquidation_takes_the_position_and_says_so(
    server: PaperServer, client: Client
) -> None:
    await client.set_leverage(50, BTC)
    await client.create_order(BTC, "market", "buy", 70)
    [held] = await client.fetch_positions()
    assert 58_000 < held["liquidationPrice"] < 60_000

    server.pin(BTCUSDT="58000")
    assert await client.fetch_positions() == []
    [bust, _] = (await client.privateGetV5ExecutionList({"category": "linear"}))["result"]["list"]
    assert bust["execType"] == "BustTrade"
    assert bust["orderLinkId"] == ""
