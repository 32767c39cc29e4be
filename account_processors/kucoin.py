"""KuCoin Futures, classic account, USDT perpetuals: what is particular to it.

A lot is one contract; margin mode is kept by symbol, isolated leverage comes with the order.
"""

from collections.abc import Mapping, Sequence

from account_processors.transport.profile import (
    Budget,
    Endpoint,
    InstrumentFields,
    KeyFields,
    ModeRead,
    OrderFields,
    PositionFields,
    Profile,
    Row,
    TakingRead,
    TickerFields,
)
from account_processors.transport.rows import number
from core.model import Equity, OrderRequest, OrderStatus

RULES = "kucoin.com/docs-new/rate-limit, VIP 0"
POOL = f"{RULES}: futures pool, tokens by endpoint"
MODES = {"CROSS": "cross", "ISOLATED": "isolated"}
DATA, ITEMS = ("data",), ("data", "items")
ORDERS = "futuresPrivateGetOrders"


def read_equity(rows: Sequence[Row], scope: str) -> Equity:  # noqa: ARG001 - a USDT account
    """Read the account's overview; the USDT account is all there is to it."""
    row = rows[0]
    return Equity(
        equity_usdt=number(row.get("accountEquity")),
        free_margin_usdt=number(row.get("availableBalance")),
        used_margin_usdt=number(row.get("positionMargin")),
        unrealized_pnl_usdt=number(row.get("unrealisedPNL")),
    )


def order_params(order: OrderRequest) -> Mapping[str, object]:
    """Give margin mode, leverage and side; without them the venue takes isolated at 1x."""
    params: dict[str, object] = {"leverage": int(order.leverage or 1)}
    if order.margin_mode:
        params["marginMode"] = order.margin_mode.upper()
    if order.position_side:
        params["positionSide"] = order.position_side.upper()
    return params


def leverage_params(mode: str | None, _is_hedged: bool) -> tuple[Mapping[str, object], ...]:
    """Set cross leverage only: isolated leverage comes with the order."""
    return () if mode == "isolated" else ({},)


PROFILE = Profile(
    exchange="kucoin",
    ccxt_id="kucoinfutures",
    credentials={"apiKey": "api_key", "secret": "api_secret", "password": "api_passphrase"},
    options={"uta": False, "hf": False},  # asking costs signed requests
    budgets=(
        Budget(
            group="ip", limit=500, window_ms=10_000, scope="ip", reserve=50,
            source="the venue's edge, code 1015: 500 requests in 10 s, then 30 s of silence",
        ),
        Budget(group="public", limit=2000, window_ms=30_000, scope="ip", source=RULES),
        Budget(group="pool", limit=2000, window_ms=30_000, reserve=100, source=POOL),
        Budget(
            group="management", limit=2000, window_ms=30_000,
            source=f"{RULES}: management pool, of the spot host; weights as in ccxt",
        ),
    ),
    costs={
        "time": {"public": 2}, "tickers": {"public": 5}, "contracts": {"public": 3},
        "order": {"pool": 2}, "cancel": {"pool": 1}, "leverage": {"pool": 2},
        "margin_mode": {"pool": 2}, "mode_read": {"pool": 2}, "wallet": {"pool": 5},
        "positions": {"pool": 2}, "orders_read": {"pool": 2}, "order_by_id": {"pool": 5},
        "key": {"management": 20},
    },
    codes={
        "margin": "200003 230003 300003 300007 330008",
        "nothing_to_reduce": "300009",
        "duplicate_id": "300018",
        "price": "300006 300008 300011 300012",
        "size": "100003",
        "risk_limit": "200005 300000 300001 300004 300005 300016",
        "symbol": "200001 300002 404000",
        "mode": "330003 330005 330006 330011 330012 300010",
        "other": "300013 400100 415000",
        "not_found": "100004 100006",
        "key": "400003 400001",
        "signature": "400004 400005",
        "permission": "400007",
        "ip": "400006",
        "banned": "411100",
        "rate_limit": "429000 200002",
        "ip_rate_limit": "1015",
        "clock": "400002",
        "maintenance": "900001",
        "unknown": "500000",
    },
    phrases={
        "100001": {"not.?exist": "not_found", ".": "other"},  # one code for two things
        "300000": {"size|quantity": "size"},
    },
    success=("code", "200000"),
    code_field="code",
    message_field="msg",
    rows=DATA,
    order_rows=DATA,
    placed_ids=("orderId",),
    refusal=DATA,  # a setting that was not taken answers false
    limit_headers={
        "limit": "gw-ratelimit-limit",
        "remaining": "gw-ratelimit-remaining",
        "reset_ms": "gw-ratelimit-reset",
    },
    resets_from_now=True,
    ip_silence_s=30,
    silences_s={"200002": 10},
    request_window_s=5,
    batch_size=10,
    orders_bear_mode=True,
    markets=Endpoint("fetch_markets", "contracts", {"marginables": False}),
    server_time=Endpoint("futuresPublicGetTimestamp", "time"),
    server_time_ms=DATA,
    tickers=Endpoint("futuresPublicGetAllTickers", "tickers"),
    close_all=Endpoint(
        "futuresPrivatePostOrders", "order",
        {
            "symbol": "{symbol}", "clientOid": "{client_id}", "closeOrder": True, "type": "market",
        },
    ),
    position_mode=ModeRead(
        endpoint=Endpoint("futuresPrivateGetPositionGetPositionMode", "mode_read"),
        path=("data", "positionMode"), words={"0": "one_way", "1": "hedge"},
    ),
    symbol_margin_mode=ModeRead(
        endpoint=Endpoint("futuresPrivateGetPositionGetMarginMode", "mode_read"),
        path=("data", "marginMode"), words=MODES,
    ),
    equity=Endpoint(
        "futuresPrivateGetAccountOverview", "wallet", {"currency": "USDT"}, is_object=True
    ),
    positions=Endpoint("futuresPrivateGetPositions", "positions", {"currency": "USDT"}),
    open_orders=Endpoint(
        ORDERS, "orders_read", {"status": "active", "pageSize": "200"}, ITEMS
    ),
    order_lookup=(
        Endpoint("futuresPrivateGetOrdersByClientOid", "order_by_id", is_object=True),
        Endpoint(ORDERS, "orders_read", {"status": "active"}, ITEMS, is_filtered=False),
        Endpoint(ORDERS, "orders_read", {"status": "done"}, ITEMS, is_filtered=False),
    ),
    lookup_param="clientOid",
    recent_orders=(
        Endpoint(ORDERS, "orders_read", {"status": "active"}, ITEMS),
        Endpoint(ORDERS, "orders_read", {"status": "done"}, ITEMS),
    ),
    takings=TakingRead(
        endpoint=Endpoint("futuresPrivateGetFills", "order_by_id", {}, ITEMS),
        kind="tradeType", liquidations=frozenset({"liquidation", "liquid", "adl"}),
        order_id="orderId", symbol="symbol", side="side", sides={"buy": 1, "sell": -1},
        size="size", at_ms="createdAt",
    ),
    cancel=Endpoint("futuresPrivateDeleteOrdersClientOrderClientOid", "cancel"),
    cancel_param="clientOid",
    instrument=InstrumentFields(
        step="lotSize", minimum="lotSize", max_market="maxOrderQty", tick="tickSize",
        max_leverage="maxLeverage", contract_size="multiplier", status="status",
        trading_status="Open",
    ),
    ticker=TickerFields(
        symbol="symbol", last="price", bid="bestBidPrice", ask="bestAskPrice",
    ),
    position=PositionFields(
        symbol="symbol", size="currentQty", entry="avgEntryPrice", mark="markPrice",
        leverage="leverage", unrealized_pnl="unrealisedPnl", margin_mode="marginMode",
        margin_modes=MODES, hedge="positionSide", one_way=frozenset({"BOTH"}),
    ),
    order=OrderFields(
        order_id="id", client_id="clientOid", symbol="symbol", side="side",
        sides={"buy": 1, "sell": -1}, size="size", filled="filledSize", status="status",
        statuses={"open": OrderStatus.OPEN, "done": OrderStatus.FILLED},
        average_price="avgDealPrice", reduce_only="reduceOnly", updated_ms="updatedAt",
    ),
    key=KeyFields(  # on the spot host; "Transfer" covers withdrawals, "InnerTransfer" does not
        endpoint=Endpoint("privateGetUserApiKey", "key"),
        rights="permission", reads=frozenset(("General",)), trades=(frozenset(("Futures",)),),
        withdraws=frozenset(("Transfer", "Withdrawal")), ips="ipWhitelist",
    ),
    read_equity=read_equity,
    order_params=order_params,
    leverage_params=leverage_params,
)  # fmt: skip
