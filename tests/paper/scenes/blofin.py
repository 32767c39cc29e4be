"""BloFin: how its requests are signed, and what was recorded of it."""

import base64
import hashlib
import hmac
import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from paper_exchange import book
from paper_exchange.accounts import PaperAccount
from paper_exchange.orders import MarginMode, Ticket, TimeInForce
from paper_exchange.server import PaperServer
from tests.paper.scene import Json, Scene, Signing, Wanted, asked

ACCOUNT = PaperAccount(
    name="blo", exchange="blofin", api_key="KEYBLO", api_secret="SECRETBLO", api_passphrase="PASS"
)
HEADERS = {"ACCESS-SIGN": "", "Content-Type": "application/json"}


def get(path: str, **query: Any) -> Wanted:
    return asked("GET", f"/api/v1/{path}", headers=HEADERS, **query)


def post(path: str, body: Any = None, **fields: Any) -> Wanted:
    return asked("POST", f"/api/v1/{path}", fields if body is None else body, HEADERS)


def public(path: str, **query: Any) -> Wanted:
    return asked("GET", f"/api/v1/{path}", **query)


def sign(signing: Signing, account: PaperAccount, nonce: str = "") -> Mapping[str, str]:
    stamp, nonce = str(signing.at_ms), nonce or uuid.uuid4().hex
    path = signing.path + (f"?{signing.query}" if signing.query else "")
    signed = (path + signing.method + stamp + nonce).encode() + signing.body
    secret = (account.api_secret or "").encode()
    digest = hmac.new(secret, signed, hashlib.sha256).hexdigest()
    return {
        "ACCESS-KEY": account.api_key,
        "ACCESS-PASSPHRASE": account.api_passphrase or "",
        "ACCESS-TIMESTAMP": stamp,
        "ACCESS-NONCE": nonce,
        "ACCESS-SIGN": base64.b64encode(digest.encode()).decode(),
    }


def spaced(client: Any) -> Any:
    """Give each request of a ccxt client a millisecond of its own.

    Its nonce is the time, and on loopback two requests in a row fall within one millisecond.
    """
    real, last = client.milliseconds, 0

    def next_ms() -> int:
        nonlocal last
        last = max(int(real()), last + 1)
        return last

    client.milliseconds = next_ms
    return client


def code(answer: Json) -> str:
    """The code inside where all of the answer failed, else the one outside."""
    rows = answer.get("data")
    inner = rows[0]["code"] if answer["code"] == "1" and rows else answer["code"]
    return str(inner)


def prepare(server: PaperServer, call: str) -> None:
    """What was recorded had positions and orders behind it."""
    exchange = server.exchange
    at_ms = exchange.clock.now_ms()
    if "isolated" in call and "reduceOnly" in call:
        state = book.set_margin_mode(exchange.state(ACCOUNT, at_ms), MarginMode.ISOLATED)
        exchange.change(ACCOUNT.id, state, at_ms)
    if "reduceOnly" in call or "close_position" in call:
        exchange.trade_by_hand(ACCOUNT, "BTCUSDT", Decimal(50))
    if "OrderDetail" in call:
        ticket = Ticket(
            symbol="BTCUSDT",
            size_lots=Decimal(1),
            client_id="cid1",
            limit_price=Decimal(50_000),
            time_in_force=TimeInForce.GTC,
        )
        exchange.place(ACCOUNT, ticket, "28150801", at_ms)


NOT_OUR_STATE = {  # business answers to recorded requests that name orders and modes we have not
    "create_order hedged open long": "102089",  # the account is in one-way mode
    "create_order hedged close long (hedged+reduceOnly)": "102089",
    "create_order hedged close long (positionSide)": "102089",
    "create_orders x2": "152007",  # two contracts in one batch, which the documents forbid
    "cancel_order(id,S)": "102068",
    "cancel_order(clientOrderId)": "102068",
    "cancel_orders([..],S)": "102068",
}
ETH_ORDER = {"instId": "ETH-USDT", "marginMode": "cross", "side": "buy", "size": "10"}
MARKET = {**ETH_ORDER, "orderType": "market"}
LIMIT = {**ETH_ORDER, "orderType": "limit", "price": "3000"}
LEVERAGE = {"instId": "ETH-USDT", "marginMode": "cross"}
COPY_SIDE = {"positionSide": "net"}
WALK = (
    public("market/instruments"),
    public("market/tickers"),
    public("market/mark-price"),
    public("market/funding-rate", instId="ETH-USDT"),
    public("market/books", instId="ETH-USDT"),
    get("asset/currencies"),
    get("account/config"),
    get("user/query-apikey"),
    get("account/margin-mode"),
    get("account/position-mode"),
    post("account/set-margin-mode", marginMode="isolated"),
    post("account/set-margin-mode", marginMode="cross"),
    post("account/set-position-mode", positionMode="long_short_mode"),
    post("account/set-position-mode", positionMode="net_mode"),
    post("account/set-leverage", **LEVERAGE, leverage="5"),
    get("account/leverage-info", **LEVERAGE),
    get("account/batch-leverage-info", **LEVERAGE),
    post("trade/order", **MARKET, clientOrderId="first"),
    post("trade/batch-orders", [MARKET]),
    post("trade/order", **LIMIT, clientOrderId="rests"),
    get("account/balance"),
    get("asset/balances", accountType="futures"),
    get("account/positions"),
    get("trade/order-detail", instId="ETH-USDT", clientOrderId="first"),
    get("trade/orders-pending"),
    get("trade/orders-history", instId="ETH-USDT"),
    get("trade/fills-history", instId="ETH-USDT"),
    get("trade/order/price-range", instId="ETH-USDT", side="buy"),
    get("trade/orders-tpsl-pending"),
    get("trade/orders-algo-pending", orderType="trigger"),
    post("trade/cancel-order", instId="ETH-USDT", clientOrderId="rests"),
    post("trade/order", **LIMIT, clientOrderId="again"),
    post("trade/cancel-batch-orders", [{"instId": "ETH-USDT", "clientOrderId": "again"}]),
    post("trade/close-position", **LEVERAGE),
    get("copytrading/instruments"),
    get("copytrading/config"),
    get("copytrading/account/position-mode"),
    post("copytrading/account/set-position-mode", positionMode="net_mode"),
    post("copytrading/account/set-leverage", **LEVERAGE, leverage="3"),
    get("copytrading/account/leverage-info", **LEVERAGE),
    post("copytrading/trade/place-order", **MARKET, **COPY_SIDE),
    post("copytrading/trade/place-order", **LIMIT, **COPY_SIDE),
    get("copytrading/account/balance"),
    get("copytrading/account/positions-by-contract"),
    get("copytrading/trade/orders-pending"),
    get("copytrading/trade/orders-history"),
    get("copytrading/trade/pending-tpsl-by-contract"),
    post(
        "copytrading/trade/close-position-by-contract",
        **LEVERAGE,
        **COPY_SIDE,
        closeType="pnl",
        size="10",
    ),
)
SCENE = Scene(
    account=ACCOUNT,
    ccxt_id="blofin",
    options={"defaultType": "swap"},
    recorded=("blofin",),
    signed_header="ACCESS-SIGN",
    sign=sign,
    code=code,
    success="0",
    result=lambda answer: answer["data"],
    envelope=frozenset({"code", "msg", "data"}),
    walk=WALK,
    private_headers=HEADERS,
    answers=NOT_OUR_STATE,
    prepare=prepare,
)
