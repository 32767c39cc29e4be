"""KuCoin Futures: how its requests are signed, and what was recorded of it."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from paper_exchange import book
from paper_exchange.accounts import PaperAccount
from paper_exchange.orders import MarginMode, Ticket, TimeInForce
from paper_exchange.server import PaperServer
from tests.paper.scene import Scene, Signing, Wanted, asked

ACCOUNT = PaperAccount(
    name="kuc", exchange="kucoin", api_key="KEYKUC", api_secret="SECRETKUC", api_passphrase="PASS"
)
HEADERS = {"KC-API-SIGN": "", "KC-API-KEY-VERSION": "2", "Content-Type": "application/json"}
RECORDED_ORDER = "64507d02921f1c0001ff6892"


def get(path: str, **query: Any) -> Wanted:
    return asked("GET", f"/api/{path}", headers=HEADERS, **query)


def post(path: str, body: Any = None, **fields: Any) -> Wanted:
    return asked("POST", f"/api/{path}", fields if body is None else body, HEADERS)


def delete(path: str, body: Any = None, **query: Any) -> Wanted:
    return asked("DELETE", f"/api/{path}", body, HEADERS, **query)


def public(path: str, **query: Any) -> Wanted:
    return asked("GET", f"/api/{path}", **query)


def digest(secret: str, payload: bytes) -> str:
    return base64.b64encode(hmac.new(secret.encode(), payload, hashlib.sha256).digest()).decode()


def sign(signing: Signing, account: PaperAccount) -> Mapping[str, str]:
    stamp, secret = str(signing.at_ms), account.api_secret or ""
    target = signing.path + (f"?{signing.query}" if signing.query else "")
    signed = (stamp + signing.method + target).encode() + signing.body
    return {
        "KC-API-KEY": account.api_key,
        "KC-API-TIMESTAMP": stamp,
        "KC-API-PASSPHRASE": digest(secret, (account.api_passphrase or "").encode()),
        "KC-API-SIGN": digest(secret, signed),
    }


def is_about_cross(call: str) -> bool:
    return "cross" in call or "create_orders" in call


def prepare(server: PaperServer, call: str) -> None:
    """What was recorded had modes, positions and orders behind it."""
    exchange = server.exchange
    at_ms = exchange.clock.now_ms()
    state = exchange.state(ACCOUNT, at_ms)
    if is_about_cross(call) and "set_" not in call:
        state = book.set_margin_mode(state, MarginMode.CROSS, "BTCUSDT")
    if "hedged" in call:
        state = book.set_position_mode(state, is_hedged=True)
        ticket = Ticket(symbol="BTCUSDT", size_lots=Decimal(1), side_index=1)
        state = book.place(
            state, exchange.board("kucoin", at_ms), ticket, order_id="1", at_ms=at_ms
        )
    exchange.change(ACCOUNT.id, state, at_ms)
    if "reduceOnly" in call or "close_position" in call:
        exchange.trade_by_hand(ACCOUNT, "BTCUSDT", Decimal(5))
    if "create_orders" in call:
        exchange.trade_by_hand(ACCOUNT, "ETHUSDT", Decimal(5))
    if call.startswith(("fetch_order(", "cancel_order(")):
        ticket = Ticket(
            symbol="BTCUSDT",
            size_lots=Decimal(1),
            client_id="cid1",
            limit_price=Decimal(58_000),
            time_in_force=TimeInForce.GTC,
        )
        exchange.place(ACCOUNT, ticket, RECORDED_ORDER, at_ms)


ETH_ORDER = {"symbol": "ETHUSDTM", "side": "buy", "size": 10, "leverage": 5}
ETH_ORDER |= {"marginMode": "CROSS"}
MARKET = {**ETH_ORDER, "type": "market"}
LIMIT = {**ETH_ORDER, "type": "limit", "price": "3100"}


def named(request: Wanted, name: str) -> Wanted:
    return {**request, "name": f"{request['method']} /api/{name}"}


WALK = (
    public("v1/timestamp"),
    public("v1/status"),
    public("v1/contracts/active"),
    named(public("v1/contracts/ETHUSDTM"), "v1/contracts/{symbol}"),
    named(public("v1/contracts/risk-limit/ETHUSDTM"), "v1/contracts/risk-limit/{symbol}"),
    public("v1/ticker", symbol="ETHUSDTM"),
    public("v1/allTickers"),
    named(public("v1/mark-price/ETHUSDTM/current"), "v1/mark-price/{symbol}/current"),
    named(public("v1/funding-rate/ETHUSDTM/current"), "v1/funding-rate/{symbol}/current"),
    public("v1/level2/snapshot", symbol="ETHUSDTM"),
    public("v1/level2/depth20", symbol="ETHUSDTM"),
    public("v1/level2/depth100", symbol="ETHUSDTM"),
    public("v3/currencies"),
    public("v2/symbols"),
    public("v1/market/allTickers"),
    get("ua/v1/account/mode"),
    get("v1/user/api-key"),
    get("v3/margin/symbols"),
    get("v1/isolated/symbols"),
    get("v1/hf/accounts/opened"),
    get("v2/position/getPositionMode"),
    post("v2/position/switchPositionMode", positionMode="1"),
    post("v2/position/switchPositionMode", positionMode="0"),
    get("v2/position/getMarginMode", symbol="ETHUSDTM"),
    post("v2/position/changeMarginMode", symbol="ETHUSDTM", marginMode="CROSS"),
    post("v2/changeCrossUserLeverage", symbol="ETHUSDTM", leverage="5"),
    get("v2/getCrossUserLeverage", symbol="ETHUSDTM"),
    get("v1/trade-fees", symbol="ETHUSDTM"),
    get("v1/stopOrders"),
    post("v1/orders/test", **MARKET, clientOid="test"),
    post("v1/orders", **MARKET, clientOid="first"),
    post("v1/orders/multi", [{**MARKET, "clientOid": "second"}]),
    post("v1/orders", **LIMIT, clientOid="rests"),
    get("v1/account-overview", currency="USDT"),
    get("v1/positions"),
    get("v1/position", symbol="ETHUSDTM"),
    get("v1/orders", status="done"),
    get("v1/orders/byClientOid", clientOid="first"),
    get("v1/fills", symbol="ETHUSDTM"),
    get("v1/funding-history", symbol="ETHUSDTM"),
    named(
        delete("v1/orders/client-order/rests", symbol="ETHUSDTM"),
        "v1/orders/client-order/{client_id}",
    ),
    post("v1/orders", **LIMIT, clientOid="again"),
    delete("v1/orders", symbol="ETHUSDTM"),
    post("v1/orders", **LIMIT, clientOid="third"),
    delete(
        "v1/orders/multi-cancel", {"clientOidsList": [{"symbol": "ETHUSDTM", "clientOid": "third"}]}
    ),
)
SCENE = Scene(
    account=ACCOUNT,
    ccxt_id="kucoinfutures",
    options={"uta": False, "hf": False},
    recorded=("kucoinfutures", "kucoin"),
    signed_header="KC-API-SIGN",
    sign=sign,
    code=lambda answer: str(answer["code"]),
    success="200000",
    result=lambda answer: answer["data"],
    envelope=frozenset({"code", "data"}),
    walk=WALK,
    private_headers=HEADERS,
    prepare=prepare,
)
