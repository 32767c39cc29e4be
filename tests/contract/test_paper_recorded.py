"""What ccxt was seen to send is understood; what we answer has the shape it was seen to parse."""

from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from paper_exchange.server import PaperServer
from tests.contract.paper_clients import MAIN, Json, request_of, send

ROOT = Path(__file__).resolve().parents[2]
RECORDED = ROOT.parent / "shared" / "data" / "ccxt_recorded" / "bybit.json"
SHAPES = orjson.loads((ROOT / "tests" / "data" / "paper" / "bybit_shapes.json").read_bytes())
JSON_TYPES = {"text": str, "number": int, "flag": bool}
NOT_OUR_STATE = {  # business answers to recorded requests that name orders and modes we have not
    "create_order hedged open long": 10001,  # position idx not match position mode
    "create_order hedged close long": 10001,
    "cancel_order(id,S)": 110001,
    "cancel_order(None,S,{orderLinkId})": 110001,
    "cancel_order(None,S,{clientOrderId})": 10001,  # the venue does not know that parameter
    "set_position_mode(False,S)": 110025,  # one-way already
    "set_position_mode(False)": 110025,
}


@pytest.fixture
async def server() -> AsyncIterator[PaperServer]:
    async with PaperServer(accounts=[MAIN], limits=False) as running:
        running.pin(BTCUSDT="60000", ETHUSDT="3328")
        yield running


def recorded_calls() -> list[Any]:
    if not RECORDED.exists():
        reason = "recorded requests are not beside this checkout"
        return [pytest.param(None, marks=pytest.mark.skip(reason=reason))]
    calls = orjson.loads(RECORDED.read_bytes())
    return [pytest.param(call, id=call["call"]) for call in calls if call["requests"]]


@pytest.mark.parametrize("call", recorded_calls())
async def test_recorded_requests_are_understood(server: PaperServer, call: dict[str, Any]) -> None:
    if "reduceOnly" in call["call"]:  # it was recorded while a position was held
        server.exchange.trade_by_hand(MAIN, "BTCUSDT", Decimal("0.05"))
    for request in call["requests"]:
        status, answer = await send(server, request)

        expected = NOT_OUR_STATE.get(call["call"], 0)
        assert (status, answer["retCode"]) == (200, expected), answer["retMsg"]
        assert answer["retMsg"] == "OK" or expected


ETH_ORDER = {"category": "linear", "symbol": "ETHUSDT", "side": "Buy", "qty": "1"}
MARKET = {**ETH_ORDER, "orderType": "Market"}
LIMIT = {**ETH_ORDER, "orderType": "Limit", "price": "3000"}
WALK = [  # one life of an account, past every path
    request_of("GET", "/v5/market/time"),
    request_of("GET", "/v5/market/instruments-info", category="linear"),
    request_of("GET", "/v5/market/tickers", category="linear"),
    request_of("GET", "/v5/asset/coin/query-info"),
    request_of("GET", "/v5/user/query-api"),
    request_of("GET", "/v5/account/info"),
    request_of("POST", "/v5/account/set-margin-mode", setMarginMode="ISOLATED_MARGIN"),
    request_of("POST", "/v5/position/switch-mode", category="linear", coin="USDT", mode=3),
    request_of("POST", "/v5/position/switch-mode", category="linear", coin="USDT", mode=0),
    request_of(
        "POST",
        "/v5/position/set-leverage",
        category="linear",
        symbol="ETHUSDT",
        buyLeverage="5",
        sellLeverage="5",
    ),
    request_of("POST", "/v5/order/create", **MARKET),
    request_of("POST", "/v5/order/create-batch", category="linear", request=[MARKET]),
    request_of("POST", "/v5/order/create", **LIMIT, orderLinkId="rests"),
    request_of("GET", "/v5/account/wallet-balance", accountType="UNIFIED"),
    request_of("GET", "/v5/position/list", category="linear", settleCoin="USDT"),
    request_of("GET", "/v5/order/history", category="linear"),
    request_of("GET", "/v5/order/realtime", category="linear", orderStatus="Filled", openOnly=1),
    request_of("GET", "/v5/execution/list", category="linear"),
    request_of(
        "POST", "/v5/order/cancel", category="linear", symbol="ETHUSDT", orderLinkId="rests"
    ),
    request_of("POST", "/v5/order/create", **LIMIT, orderLinkId="again"),
    request_of("POST", "/v5/order/cancel-all", category="linear", symbol="ETHUSDT"),
]


def differences(shape: Json, found: Json, where: str = "result") -> Iterator[str]:
    if isinstance(shape, str):
        if type(found) is not JSON_TYPES[shape]:
            yield f"{where} is {found!r}, not {shape}"
    elif isinstance(shape, dict):
        for key, inner in shape.items():
            if key not in found:
                yield f"{where}.{key} is missing"
            else:
                yield from differences(inner, found[key], f"{where}.{key}")
    elif shape and not found:
        yield f"{where} is empty"
    else:
        for number, item in enumerate(found if shape else ()):
            yield from differences(shape[0], item, f"{where}[{number}]")


async def test_every_answer_has_the_fields_and_types_that_ccxt_reads(server: PaperServer) -> None:
    seen = set()
    for request in WALK:
        status, answer = await send(server, request)
        name = f"{request['method']} {request['path']}"
        seen.add(name)

        assert (status, answer["retCode"]) == (200, 0), f"{name}: {answer}"
        assert set(answer) == {"retCode", "retMsg", "result", "retExtInfo", "time"}
        assert list(differences(SHAPES["results"][name], answer["result"])) == [], name
    assert seen == set(SHAPES["results"])


async def test_a_query_is_signed_as_it_was_sent(server: PaperServer) -> None:
    request = request_of("GET", "/v5/position/list")
    odd = "category=linear&settleCoin=USDT&note=a,b%2cc~d"
    status, answer = await send(server, {**request, "raw_query": odd})

    assert (status, answer["retMsg"]) == (200, "OK")


async def test_a_path_that_the_venue_has_not_is_404(server: PaperServer) -> None:
    async with aiohttp.ClientSession() as session:
        for path in ("/bybit/v5/no/such", "/nowhere/v5/market/time", "/"):
            async with session.get(server.url + path) as answer:
                assert answer.status == 404
