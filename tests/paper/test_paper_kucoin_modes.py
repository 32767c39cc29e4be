"""KuCoin's modes through plain ccxt: margin mode and leverage by contract, one-way and hedge."""

from collections.abc import AsyncIterator
from typing import Any

import ccxt
import pytest

from paper_exchange.server import PaperServer
from tests.paper.clients import BTC, ETH, Client, plain_client
from tests.paper.scenes.kucoin import ACCOUNT


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


async def buy(client: Client, symbol: str = ETH, size: int = 10, **params: Any) -> Any:
    return await client.create_order(symbol, "market", "buy", size, None, params)


async def test_a_fresh_contract_is_isolated_and_each_has_its_own_mode(client: Client) -> None:
    await client.set_margin_mode("cross", ETH)
    await client.set_margin_mode("cross", ETH)  # again: taken as done

    assert (await client.fetch_margin_mode(ETH))["marginMode"] == "cross"
    assert (await client.fetch_margin_mode(BTC))["marginMode"] == "isolated"


async def test_an_order_has_the_mode_of_its_contract(client: Client) -> None:
    with pytest.raises(ccxt.InvalidOrder, match="330005"):
        await buy(client, marginMode="CROSS", leverage=5)
    await client.set_margin_mode("cross", ETH)
    with pytest.raises(ccxt.InvalidOrder, match="330005"):
        await buy(client, marginMode="ISOLATED", leverage=5)
    with pytest.raises(ccxt.InvalidOrder, match="330005"):
        await buy(client, leverage=5)  # none named: isolated
    await buy(client, marginMode="CROSS")

    assert (await client.fetch_positions())[0]["marginMode"] == "cross"


async def test_the_mode_stays_while_there_are_orders_or_a_position(client: Client) -> None:
    resting = await client.create_order(ETH, "limit", "buy", 1, 3100, {"leverage": 5})
    with pytest.raises(ccxt.ExchangeError, match="330003"):
        await client.set_margin_mode("cross", ETH)
    await client.cancel_order(resting["id"], ETH)
    await buy(client, leverage=5)
    with pytest.raises(ccxt.ExchangeError, match="330003"):
        await client.set_margin_mode("cross", ETH)
    await client.set_margin_mode("cross", BTC)  # another contract


async def test_cross_leverage_is_set_by_contract_and_that_of_orders_ignored(
    client: Client,
) -> None:
    await client.set_margin_mode("cross", ETH)
    assert (await client.fetch_leverage(ETH))["longLeverage"] == 10
    for _ in range(2):  # again: taken as done
        await client.set_leverage(7, ETH)
    await buy(client, marginMode="CROSS", leverage=3)
    [position] = await client.fetch_positions()

    assert (await client.fetch_leverage(ETH))["longLeverage"] == position["leverage"] == 7
    assert position["initialMargin"] == pytest.approx(332.8 / 7)
    for value in (101, 0):
        with pytest.raises(ccxt.ExchangeError, match=r"300016.*greater than 100"):
            await client.set_leverage(value, ETH)


async def test_isolated_leverage_comes_with_the_order_that_opens(client: Client) -> None:
    await client.set_leverage(20, ETH)  # of cross margin: nothing to do with this
    await buy(client, leverage=4)
    [first] = await client.fetch_positions()
    await buy(client, leverage=8)  # the position keeps what it has
    [second] = await client.fetch_positions()

    assert (await client.fetch_leverage(ETH))["longLeverage"] == 20
    assert first["marginMode"] == "isolated"
    assert first["initialMargin"] == pytest.approx(332.816 / 4)
    assert second["initialMargin"] == pytest.approx(2 * 332.816 / 4)
    with pytest.raises(ccxt.ExchangeError, match=r"300016.*greater than 125"):
        await buy(client, BTC, 1, leverage=126)
    with pytest.raises(ccxt.OrderNotFound, match="Leverage parameter cannot be empty"):
        await client.futuresPrivatePostOrders(
            {"symbol": "XBTUSDTM", "side": "buy", "type": "market", "size": 1, "clientOid": "a"}
        )


async def test_the_leverage_of_an_isolated_position_moves_with_the_price(
    server: PaperServer, client: Client
) -> None:
    await buy(client, leverage=4)
    assert (await client.fetch_positions())[0]["leverage"] == 4
    server.pin(ETHUSDT="3000")

    assert (await client.fetch_positions())[0]["leverage"] == pytest.approx(5.95, abs=0.01)


async def test_too_little_margin_for_a_lower_leverage_is_refused(client: Client) -> None:
    await client.set_margin_mode("cross", BTC)
    await client.set_leverage(10, BTC)
    await buy(client, BTC, 10_000, marginMode="CROSS")
    with pytest.raises(ccxt.InsufficientFunds, match="300003"):
        await client.set_leverage(5, BTC)

    assert (await client.fetch_leverage(BTC))["longLeverage"] == 10


async def test_a_flat_contract_has_a_row_of_its_own(client: Client) -> None:
    flat = await client.fetch_position(ETH)

    assert (flat["contracts"], flat["side"], flat["marginMode"]) == (0, None, "isolated")
    assert await client.fetch_positions() == []


async def test_hedge_mode_holds_both_sides(server: PaperServer, client: Client) -> None:
    await client.set_position_mode(True)
    await client.set_position_mode(True)  # again: taken as done
    assert (await client.fetch_position_mode())["hedged"] is True
    await buy(client, size=10, leverage=5, hedged=True)
    await client.create_order(ETH, "market", "sell", 4, None, {"leverage": 3, "hedged": True})
    rows = await client.fetch_positions()

    assert [(row["side"], row["contracts"]) for row in rows] == [("long", 10), ("short", 4)]
    assert [row["info"]["positionSide"] for row in rows] == ["LONG", "SHORT"]
    await client.create_order(
        ETH, "market", "sell", 99, None, {"leverage": 5, "hedged": True, "reduceOnly": True}
    )
    [short] = await client.fetch_positions()
    assert (short["side"], short["contracts"]) == ("short", 4)
    assert (await client.fetch_position(ETH))["contracts"] == 4
    with pytest.raises(ccxt.ExchangeError, match="330011"):
        await client.close_position(ETH)
    with pytest.raises(ccxt.InvalidOrder, match="300009"):
        await client.close_position(ETH, None, {"positionSide": "LONG"})
    await client.close_position(ETH, None, {"positionSide": "SHORT"})
    assert server.truth("kuc")["sizes"] == {}


async def test_an_order_names_a_side_in_hedge_mode_only(client: Client) -> None:
    with pytest.raises(ccxt.ExchangeError, match="330011"):
        await buy(client, leverage=5, hedged=True)
    await client.set_position_mode(True)
    with pytest.raises(ccxt.ExchangeError, match="330011"):
        await buy(client, leverage=5)


async def test_the_position_mode_stays_while_something_is_open(client: Client) -> None:
    resting = await client.create_order(ETH, "limit", "buy", 1, 3100, {"leverage": 5})
    with pytest.raises(ccxt.ExchangeError, match="330003"):
        await client.set_position_mode(True)
    await client.cancel_order(resting["id"], ETH)
    await buy(client, leverage=5)
    with pytest.raises(ccxt.ExchangeError, match="330003"):
        await client.set_position_mode(True)

    assert (await client.fetch_position_mode())["hedged"] is False


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"side": "up"}, id="side"),
        pytest.param({"type": "stop"}, id="type"),
        pytest.param({"marginMode": "SHARED"}, id="margin-mode"),
        pytest.param({"positionSide": "UP"}, id="position-side"),
        pytest.param({"type": "limit", "price": "3100", "timeInForce": "DAY"}, id="time-in-force"),
        pytest.param({"type": "limit", "price": "much"}, id="price"),
        pytest.param({"stop": "down", "stopPrice": "3000"}, id="stop"),
        pytest.param({"symbol": ""}, id="no-symbol"),
    ],
)
async def test_what_cannot_be_read_is_400100(client: Client, wrong: dict[str, str]) -> None:
    row = {"symbol": "ETHUSDTM", "side": "buy", "type": "market", "size": 1, "leverage": 5}
    with pytest.raises(ccxt.BadRequest, match="400100"):
        await client.futuresPrivatePostOrders({**row, "clientOid": "a", **wrong})


async def test_a_contract_that_is_not_listed_is_100003(client: Client) -> None:
    row = {"symbol": "BTCUSDTM", "side": "buy", "type": "market", "size": 1, "leverage": 5}
    with pytest.raises(ccxt.ExchangeError, match="100003"):
        await client.futuresPrivatePostOrders({**row, "clientOid": "a"})


async def test_funding_is_listed_and_no_fill(server: PaperServer, client: Client) -> None:
    await buy(client, leverage=5)
    account = server.exchange.doorkeeper.find("kucoin", ACCOUNT.api_key)
    assert account is not None
    now = server.exchange.clock.now_ms()
    server.exchange.state(account, now + 8 * 3_600_000)
    [payment] = await client.fetch_funding_history(ETH)

    assert payment["amount"] == pytest.approx(-0.03328)
    assert (payment["fundingRate"], payment["positionQty"]) == (0.0001, 10)
    assert len(await client.fetch_my_trades(ETH)) == 1


async def test_an_order_can_be_tried_without_being_placed(
    server: PaperServer, client: Client
) -> None:
    made = await buy(client, leverage=5, test=True)
    with pytest.raises(ccxt.InsufficientFunds, match="300003"):
        await buy(client, BTC, 9000, leverage=1, test=True)

    assert made["id"].isdigit()
    assert server.truth("kuc")["sizes"] == {}
