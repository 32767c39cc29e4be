"""Wrong requests get 10001 in the venue's envelope; what is not traded here is empty."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from paper_exchange.server import PaperServer
from tests.paper.clients import MAIN, SCENES
from tests.paper.scene import send as sent
from tests.paper.scenes.bybit import get, post

ETH = {"category": "linear", "symbol": "ETHUSDT"}
ORDER = {**ETH, "side": "Buy", "orderType": "Limit", "qty": "1", "price": "3000"}


@pytest.fixture
async def server() -> AsyncIterator[PaperServer]:
    async with PaperServer(accounts=[MAIN], limits=False) as running:
        running.pin(ETHUSDT="3328")
        yield running


@pytest.mark.parametrize(
    ("path", "params"),
    [
        pytest.param("position/set-leverage", {**ETH, "buyLeverage": "5"}, id="no-sell-leverage"),
        pytest.param(
            "position/set-leverage", {**ETH, "buyLeverage": "5", "sellLeverage": "6"}, id="unequal"
        ),
        pytest.param("account/set-margin-mode", {"setMarginMode": "BOTH"}, id="margin-mode"),
        pytest.param("position/switch-mode", {**ETH, "mode": 1}, id="position-mode"),
        pytest.param("position/switch-mode", {"category": "linear", "mode": 3}, id="mode-of-what"),
        pytest.param("order/cancel-all", {"category": "linear"}, id="cancel-all-of-what"),
        pytest.param("order/create-batch", {"category": "linear"}, id="batch-of-nothing"),
        pytest.param(
            "order/create-batch", {"category": "linear", "request": [ORDER] * 21}, id="long-batch"
        ),
        pytest.param("order/create", {**ORDER, "category": "spot"}, id="category"),
        pytest.param("order/create", {**ORDER, "orderType": "Stop"}, id="order-type"),
        pytest.param("order/create", {**ORDER, "timeInForce": "soon"}, id="time-in-force"),
        pytest.param("order/create", {**ORDER, "positionIdx": 3}, id="position-index"),
        pytest.param("order/create", {**ORDER, "price": ""}, id="limit-without-price"),
        pytest.param("order/create", {**ORDER, "qty": "1", "side": None}, id="no-side"),
    ],
)
async def test_wrong_parameters_are_10001(
    server: PaperServer, path: str, params: dict[str, Any]
) -> None:
    status, answer = await sent(SCENES["bybit"], server, post(f"/v5/{path}", **params))

    assert (status, answer["retCode"], answer["result"]) == (200, 10001, {})
    assert server.truth("main")["orders"] == {}


@pytest.mark.parametrize("body", [b"{half", b"[1]"])
async def test_a_body_that_is_no_object_is_10001(server: PaperServer, body: bytes) -> None:
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{server.url}/bybit/v5/order/create", data=body) as answer,
    ):
        assert (answer.status, (await answer.json())["retCode"]) == (200, 10001)


async def test_a_read_of_positions_says_of_what(server: PaperServer) -> None:
    _, answer = await sent(SCENES["bybit"], server, get("/v5/position/list", category="linear"))

    assert answer["retCode"] == 10001


@pytest.mark.parametrize("category", ["spot", "inverse", "option"])
@pytest.mark.parametrize("path", ["market/instruments-info", "market/tickers", "position/list"])
async def test_other_categories_are_empty(server: PaperServer, category: str, path: str) -> None:
    _, answer = await sent(SCENES["bybit"], server, get(f"/v5/{path}", category=category))

    assert (answer["retCode"], answer["result"]["list"]) == (0, [])


async def test_a_batch_of_cancels_answers_each_by_itself(server: PaperServer) -> None:
    await sent(SCENES["bybit"], server, post("/v5/order/create", **ORDER, orderLinkId="a"))
    items = [{"symbol": "ETHUSDT", "orderLinkId": name} for name in ("a", "nobody")]
    batch = post("/v5/order/cancel-batch", category="linear", request=[*items, 7])
    _, answer = await sent(SCENES["bybit"], server, batch)

    codes = [row["code"] for row in answer["retExtInfo"]["list"]]
    assert codes == [0, 110001, 10001]
    assert answer["result"]["list"][0]["orderId"]


async def test_pages_of_orders_follow_each_other(server: PaperServer) -> None:
    for _ in range(25):
        await sent(SCENES["bybit"], server, post("/v5/order/create", **{**ORDER, "qty": "0.1"}))
    listing = {**ETH, "limit": 20}
    _, first = await sent(SCENES["bybit"], server, get("/v5/order/realtime", **listing))
    cursor = first["result"]["nextPageCursor"]
    following = get("/v5/order/realtime", **listing, cursor=cursor)
    _, rest = await sent(SCENES["bybit"], server, following)

    seen = {row["orderId"] for page in (first, rest) for row in page["result"]["list"]}
    assert (len(first["result"]["list"]), len(seen)) == (20, 25)
    assert rest["result"]["nextPageCursor"] == ""
