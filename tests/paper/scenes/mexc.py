"""MEXC: how its requests are signed, and what was recorded of it."""

import hashlib
import hmac
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from paper_exchange import book
from paper_exchange.accounts import PaperAccount
from paper_exchange.orders import Ticket
from paper_exchange.server import PaperServer
from paper_exchange.wires.mexc.rows import order_id
from tests.paper.scene import Json, Scene, Signing, Wanted, asked

ACCOUNT = PaperAccount(name="mex", exchange="mexc", api_key="KEYMEX", api_secret="SECRETMEX")
HEADERS = {"Signature": "", "Content-Type": "application/json", "source": "CCXT"}


def get(path: str, name: str = "", **query: Any) -> Wanted:
    request = asked("GET", f"/api/v1/private/{path}", headers=HEADERS, **query)
    return {**request, "name": f"GET /api/v1/private/{name}"} if name else request


def post(path: str, body: Any = None, **fields: Any) -> Wanted:
    return asked("POST", f"/api/v1/private/{path}", fields if body is None else body, HEADERS)


def public(path: str, **query: Any) -> Wanted:
    return asked("GET", f"/api/{path}", **query)


def sign(signing: Signing, account: PaperAccount) -> Mapping[str, str]:
    stamp = str(signing.at_ms)
    payload = signing.body if signing.method == "POST" else signing.query.encode()
    secret, head = (account.api_secret or "").encode(), (account.api_key + stamp).encode()
    signature = hmac.new(secret, head + payload, hashlib.sha256).hexdigest()
    return {"ApiKey": account.api_key, "Request-Time": stamp, "Signature": signature}


def is_spot(answer: Json) -> bool:
    """The spot API answers without an envelope."""
    return isinstance(answer, list) or "success" not in answer


def code(answer: Json) -> str:
    """The code of the whole, or of the one order that it is about."""
    if is_spot(answer):
        return "0"
    rows = answer.get("data")
    if answer["code"] == 0 and isinstance(rows, list) and rows and "errorMsg" in rows[0]:
        return str(rows[0]["errorCode"])
    return str(answer["code"])


def prepare(server: PaperServer, call: str) -> None:
    """What was recorded had positions and orders behind it."""
    exchange = server.exchange
    at_ms = exchange.clock.now_ms()
    if "reduceOnly hedged" in call:  # both sides are held: ccxt sends the wrong one
        hedged = book.set_position_mode(exchange.state(ACCOUNT, at_ms), is_hedged=True)
        exchange.change(ACCOUNT.id, hedged, at_ms)
        for index, lots in ((1, 10), (2, -10)):
            ticket = Ticket(symbol="BTCUSDT", size_lots=Decimal(lots), side_index=index)
            exchange.place(ACCOUNT, ticket, f"held-{index}", at_ms)
    elif "reduceOnly" in call:
        exchange.trade_by_hand(ACCOUNT, "BTCUSDT", Decimal(10 if "sell" in call else -10))


NOT_OUR_STATE = {  # business answers to recorded requests that name what we have not
    "set_leverage(5,S,{positionId})": "2009",
    "fetch_order(id,S)": "2040",
    "contractPrivateGetOrderExternalSymbolExternalOid": "2040",
    "cancel_order(id,S)": "2040",
}
ETH = {"symbol": "ETH_USDT", "openType": 1, "leverage": 5, "vol": 10}
MARKET = {**ETH, "side": 1, "type": 5}
LIMIT = {**ETH, "side": 1, "type": 1, "price": 3000}
LEVERAGE = {"symbol": "ETH_USDT", "openType": 1, "positionType": 1, "leverage": 5}
OF_ORDER = "order/external/ETH_USDT/first"
OPEN = "order/list/open_orders"
FIRST = order_id(ACCOUNT.id, 0)
WALK = (
    public("v3/exchangeInfo"),
    public("v3/capital/config/getall"),
    public("v3/time"),
    public("v1/contract/ping"),
    public("v1/contract/detail"),
    public("v1/contract/ticker"),
    public("v1/contract/funding_rate/ETH_USDT"),
    post("position/change_position_mode", positionMode=1),
    post("position/change_position_mode", positionMode=2),
    get("position/position_mode"),
    post("position/change_leverage", **LEVERAGE),
    get("position/leverage", symbol="ETH_USDT"),
    post("order/create", **MARKET, externalOid="first"),
    post("order/submit", **MARKET),
    post("order/submit_batch", [MARKET]),
    post("order/create", **LIMIT, externalOid="rests"),
    get("account/assets"),
    get("account/asset/USDT"),
    get("position/open_positions"),
    get("position/list/history_positions"),
    get("position/funding_records"),
    get(OPEN, page_num=1, page_size=20),
    get(f"{OPEN}/ETH_USDT", name=f"{OPEN}/{{symbol}}"),
    get("order/list/history_orders", states="3", symbol="ETH_USDT"),
    get("order/list/order_deals", symbol="ETH_USDT"),
    get("order/list/order_deals/v3", symbol="ETH_USDT"),
    get(OF_ORDER, name="order/external/{symbol}/{external_oid}"),
    post("order/batch_query_with_external", [{"symbol": "ETH_USDT", "externalOid": "first"}]),
    get("order/batch_query", order_ids=FIRST),
    get(f"order/get/{FIRST}", name="order/get/{order_id}"),
    get(f"order/deal_details/{FIRST}", name="order/deal_details/{order_id}"),
    post("order/cancel", [order_id(ACCOUNT.id, 6)]),
    post("order/create", **LIMIT, externalOid="more"),
    post("order/cancel_with_external", symbol="ETH_USDT", externalOid="more"),
    post("order/create", **LIMIT, externalOid="again"),
    post("order/batch_cancel_with_external", [{"symbol": "ETH_USDT", "externalOid": "again"}]),
    post("order/create", **LIMIT),
    post("order/cancel_all", symbol="ETH_USDT"),
    post("position/close_all"),
)
SCENE = Scene(
    account=ACCOUNT,
    ccxt_id="mexc",
    options={"defaultType": "swap"},
    recorded=("mexc",),
    signed_header="Signature",
    sign=sign,
    code=code,
    success="0",
    result=lambda answer: answer if is_spot(answer) else answer.get("data"),
    envelope=frozenset(),  # the spot API has none; test_paper_mexc_door looks at the others'
    walk=WALK,
    private_headers=HEADERS,
    answers=NOT_OUR_STATE,
    prepare=prepare,
)
