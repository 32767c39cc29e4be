"""Bybit: how its requests are signed, and what was recorded of it."""

import hashlib
import hmac
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from paper_exchange.accounts import PaperAccount
from paper_exchange.server import PaperServer
from tests.paper.scene import Scene, Signing, Wanted, asked

ACCOUNT = PaperAccount(name="main", exchange="bybit", api_key="KEYMAIN", api_secret="SECRETMAIN")
HEADERS = {"X-BAPI-SIGN": "", "X-BAPI-RECV-WINDOW": "5000", "Content-Type": "application/json"}
LINEAR = {
    "defaultType": "swap",
    "fetchMarkets": {"types": ["linear"]},
    "enableUnifiedMargin": False,
    "enableUnifiedAccount": True,
    "unifiedMarginStatus": 6,
}


def get(path: str, **query: Any) -> Wanted:
    return asked("GET", path, headers=HEADERS, **query)


def post(path: str, **body: Any) -> Wanted:
    return asked("POST", path, body, HEADERS)


def sign(signing: Signing, account: PaperAccount) -> Mapping[str, str]:
    stamp = str(signing.at_ms)
    head = stamp + account.api_key + signing.headers["X-BAPI-RECV-WINDOW"]
    payload = signing.query.encode() if signing.method == "GET" else signing.body
    secret = (account.api_secret or "").encode()
    signature = hmac.new(secret, head.encode() + payload, hashlib.sha256).hexdigest()
    return {
        "X-BAPI-API-KEY": account.api_key,
        "X-BAPI-TIMESTAMP": stamp,
        "X-BAPI-SIGN": signature,
    }


def prepare(server: PaperServer, call: str) -> None:
    if "reduceOnly" in call:  # it was recorded while a position was held
        server.exchange.trade_by_hand(ACCOUNT, "BTCUSDT", Decimal("0.05"))


NOT_OUR_STATE = {  # business answers to recorded requests that name orders and modes we have not
    "create_order hedged open long": "10001",  # position idx not match position mode
    "create_order hedged close long": "10001",
    "cancel_order(id,S)": "110001",
    "cancel_order(None,S,{orderLinkId})": "110001",
    "cancel_order(None,S,{clientOrderId})": "10001",  # the venue does not know that parameter
    "set_position_mode(False,S)": "110025",  # one-way already
    "set_position_mode(False)": "110025",
}
ETH_ORDER = {"category": "linear", "symbol": "ETHUSDT", "side": "Buy", "qty": "1"}
MARKET = {**ETH_ORDER, "orderType": "Market"}
LIMIT = {**ETH_ORDER, "orderType": "Limit", "price": "3000"}
WALK = (
    get("/v5/market/time"),
    get("/v5/market/instruments-info", category="linear"),
    get("/v5/market/tickers", category="linear"),
    get("/v5/asset/coin/query-info"),
    get("/v5/user/query-api"),
    get("/v5/account/info"),
    post("/v5/account/set-margin-mode", setMarginMode="ISOLATED_MARGIN"),
    post("/v5/position/switch-mode", category="linear", coin="USDT", mode=3),
    post("/v5/position/switch-mode", category="linear", coin="USDT", mode=0),
    post(
        "/v5/position/set-leverage",
        category="linear",
        symbol="ETHUSDT",
        buyLeverage="5",
        sellLeverage="5",
    ),
    post("/v5/order/create", **MARKET),
    post("/v5/order/create-batch", category="linear", request=[MARKET]),
    post("/v5/order/create", **LIMIT, orderLinkId="rests"),
    get("/v5/account/wallet-balance", accountType="UNIFIED"),
    get("/v5/position/list", category="linear", settleCoin="USDT"),
    get("/v5/order/history", category="linear"),
    get("/v5/order/realtime", category="linear", orderStatus="Filled", openOnly=1),
    get("/v5/execution/list", category="linear"),
    post("/v5/order/cancel", category="linear", symbol="ETHUSDT", orderLinkId="rests"),
    post("/v5/order/create", **LIMIT, orderLinkId="again"),
    post("/v5/order/cancel-all", category="linear", symbol="ETHUSDT"),
)
SCENE = Scene(
    account=ACCOUNT,
    ccxt_id="bybit",
    options=LINEAR,
    recorded=("bybit",),
    signed_header="X-BAPI-SIGN",
    sign=sign,
    code=lambda answer: str(answer["retCode"]),
    success="0",
    result=lambda answer: answer["result"],
    envelope=frozenset({"retCode", "retMsg", "result", "retExtInfo", "time"}),
    walk=WALK,
    private_headers=HEADERS,
    answers=NOT_OUR_STATE,
    prepare=prepare,
)
