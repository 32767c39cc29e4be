"""A lead trader's copy-trading account: paths, money and positions of its own."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from paper_exchange.server import PaperServer
from tests.paper.clients import BTC, ETH, Client, plain_client
from tests.paper.scene import Wanted
from tests.paper.scene import send as sent
from tests.paper.scenes.blofin import ACCOUNT, SCENE, get, post, spaced

COPY = f"{ACCOUNT.name}-copy"
SIDE = {"instId": "ETH-USDT", "marginMode": "cross", "positionSide": "net"}
MARKET = {**SIDE, "side": "buy", "orderType": "market", "size": "10"}


@pytest.fixture
async def server() -> AsyncIterator[PaperServer]:
    async with PaperServer(accounts=[ACCOUNT], limits=False) as running:
        running.pin(BTCUSDT="60000", ETHUSDT="3328")
        yield running


@pytest.fixture
async def client(server: PaperServer) -> AsyncIterator[Client]:
    async with plain_client(server, ACCOUNT) as plain:
        yield spaced(plain)


async def asked(server: PaperServer, request: Wanted) -> Any:
    return (await sent(SCENE, server, request))[1]


async def test_the_two_books_are_separate(server: PaperServer, client: Client) -> None:
    await client.create_order(BTC, "market", "buy", 5)
    await client.privatePostCopytradingTradePlaceOrder(MARKET)
    [held] = (await client.privateGetCopytradingAccountPositionsByContract())["data"]
    futures = await client.fetch_positions()
    copied = await client.fetch_balance({"accountType": "copy_trading"})
    balance = (await client.privateGetCopytradingAccountBalance())["data"]

    assert (held["instId"], held["positions"], held["positionSide"]) == ("ETH-USDT", "10", "net")
    assert [row["symbol"] for row in futures] == [BTC]
    assert server.truth(COPY)["sizes"] == {"ETHUSDT": "10"}
    fee = Decimal("332.816") * Decimal("0.0006")
    assert Decimal(balance["details"][0]["balance"]) == 100_000 - fee
    assert copied["USDT"]["total"] == pytest.approx(float(100_000 - fee))
    assert server.truth(ACCOUNT.name)["sizes"] == {"BTCUSDT": "5"}


async def test_its_modes_and_leverage_are_its_own(server: PaperServer, client: Client) -> None:
    await asked(server, post("copytrading/account/set-leverage", **SIDE, leverage="3"))
    await client.privatePostCopytradingAccountSetPositionMode({"positionMode": "long_short_mode"})
    query = {"instId": "ETH-USDT,BTC-USDT", "marginMode": "cross"}
    found = (await client.privateGetCopytradingAccountLeverageInfo(query))["data"]
    mode = (await client.privateGetCopytradingAccountPositionMode())["data"]["positionMode"]

    assert [row["leverage"] for row in found] == ["3", "10"]
    assert mode == "long_short_mode"
    assert (await client.fetch_position_mode())["hedged"] is False
    assert (await client.fetch_leverage(ETH))["longLeverage"] == 10


async def test_a_position_is_reduced_by_contracts_or_by_a_share(
    server: PaperServer, client: Client
) -> None:
    await client.privatePostCopytradingTradePlaceOrder(MARKET)
    close = client.privatePostCopytradingTradeClosePositionByContract
    some = await close({**SIDE, "closeType": "pnl", "size": "2.5"})
    share = await close({**SIDE, "closeType": "fixedRatio", "size": "0.1"})
    left = server.truth(COPY)["sizes"]
    await close({**SIDE, "closeType": "pnl", "size": "50"})
    history = (await client.privateGetCopytradingTradeOrdersHistory())["data"]

    assert (len(some["data"]["orderIds"]), len(share["data"]["orderIds"])) == (1, 1)
    assert left == {"ETHUSDT": "6.8"}  # 7.5 less 0.75, cut to the step
    assert server.truth(COPY)["sizes"] == {}
    assert [Decimal(row["filledSize"]) for row in history[:3]] == [
        Decimal("6.8"),
        Decimal("0.7"),
        Decimal("2.5"),
    ]
    assert "clientOrderId" not in history[0]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({}, "102005"),
        ({"positionSide": "long"}, "102089"),
        ({"closeType": "all"}, "152002"),
        ({"size": ""}, "152001"),
        ({"instId": "NO-USDT"}, "152014"),
    ],
)
async def test_a_bad_close_is_told_outside(
    server: PaperServer, change: dict[str, str], code: str
) -> None:
    body = {**SIDE, "closeType": "pnl", "size": "1", **change}
    answer = await asked(server, post("copytrading/trade/close-position-by-contract", body))

    assert answer["code"] == code


async def test_a_share_of_less_than_a_step_closes_nothing(server: PaperServer) -> None:
    await asked(server, post("copytrading/trade/place-order", **{**MARKET, "size": "0.1"}))
    body = {**SIDE, "closeType": "fixedRatio", "size": "0.5"}
    answer = await asked(server, post("copytrading/trade/close-position-by-contract", body))

    assert answer["code"] == "152002"
    assert server.truth(COPY)["sizes"] == {"ETHUSDT": "0.1"}


async def test_what_the_documents_do_not_name_is_ignored(server: PaperServer) -> None:
    """No clientOrderId, so no protection against doubles; no reduceOnly, so it may open."""
    order = post("copytrading/trade/place-order", **MARKET, clientOrderId="a", reduceOnly="true")
    first, second = await asked(server, order), await asked(server, order)

    assert [row["data"][0]["code"] for row in (first, second)] == ["0", "0"]
    assert first["data"][0]["clientOrderId"] == ""
    assert server.truth(COPY)["sizes"] == {"ETHUSDT": "20"}


async def test_an_order_rests_is_listed_and_cancelled(server: PaperServer) -> None:
    limit = {**MARKET, "orderType": "limit", "price": "3000"}
    placed = await asked(server, post("copytrading/trade/place-order", **limit))
    order_id = placed["data"][0]["orderId"]
    pending = (await asked(server, get("copytrading/trade/orders-pending")))["data"]
    futures = (await asked(server, get("trade/orders-pending")))["data"]
    cancel = post("copytrading/trade/cancel-order", orderId=order_id)
    done, again = await asked(server, cancel), await asked(server, cancel)

    assert [(row["orderId"], row["instId"], row["state"]) for row in pending] == [
        (order_id, "ETH-USDT", "live")
    ]
    assert futures == []
    assert done == {"code": "0", "msg": "success", "data": {"code": "0", "msg": None}}
    assert (again["code"], again["data"]["code"]) == ("1", "102068")


async def test_too_much_is_refused_as_on_the_futures_account(server: PaperServer) -> None:
    order = post("copytrading/trade/place-order", **{**MARKET, "size": "60000"})
    answer = await asked(server, order)

    assert (answer["code"], answer["data"][0]["code"]) == ("1", "103003")
    assert await asked(server, get("copytrading/trade/order-detail")) == {
        "code": "404",
        "msg": "not found",
    }


async def test_the_copy_book_is_traded_by_hand_under_its_own_name(server: PaperServer) -> None:
    await asked(server, get("copytrading/account/balance"))  # opens it
    server.exchange.trade_by_hand(server.account(COPY), "ETHUSDT", Decimal(-3))
    held = (await asked(server, get("copytrading/account/positions-by-contract")))["data"]

    assert held[0]["positions"] == "-3"
