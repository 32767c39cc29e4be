"""BloFin, USDT perpetuals: what is particular to it.

A lot is one contract; the margin mode is account-wide and goes with each order, and a refusal is
told in the order's own row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

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
    TickerFields,
)
from account_processors.transport.rows import number
from core.model import Equity, OrderRequest, OrderStatus

RULES = "docs.blofin.com, rate limit"
STATUSES = {
    OrderStatus.OPEN: "live partially_filled",
    OrderStatus.CANCELED: "canceled partially_canceled",
    OrderStatus.FILLED: "filled effective",
    OrderStatus.REJECTED: "order_failed",
}


def read_equity(rows: Sequence[Row], scope: str) -> Equity:
    """Read the balance: `usdt` = the USDT row's equity, `account` = the whole, in USD."""
    details = rows[0].get("details")
    coins = (
        [row for row in details if isinstance(row, Mapping)] if isinstance(details, list) else []
    )
    usdt: Row = next((row for row in coins if row.get("currency") == "USDT"), {})
    frozen, for_orders = number(usdt.get("frozen")), number(usdt.get("orderFrozen"))
    return Equity(
        equity_usdt=number(
            rows[0].get("totalEquity") if scope == "account" else usdt.get("equity")
        ),
        free_margin_usdt=number(usdt.get("available")),
        used_margin_usdt=None if frozen is None or for_orders is None else frozen - for_orders,
        unrealized_pnl_usdt=None,
    )


def order_params(order: OrderRequest) -> Mapping[str, object]:
    """Give margin mode and side with each order; ccxt's own `hedged` takes the wrong side."""
    side = {"positionSide": order.position_side} if order.position_side else {}
    reduces = {"reduceOnly": "true"} if order.reduce_only else {}
    return {"marginMode": order.margin_mode or "cross", **side, **reduces}


def leverage_params(mode: str | None, is_hedged: bool) -> tuple[Mapping[str, object], ...]:
    """Set the account's margin mode's leverage; each side's where isolated and hedged."""
    params = {"marginMode": mode or "cross"}
    if mode == "isolated" and is_hedged:
        return tuple({**params, "positionSide": side} for side in ("long", "short"))
    return (params,)


ORDINARY = Profile(
    exchange="blofin",
    ccxt_id="blofin",
    credentials={"apiKey": "api_key", "secret": "api_secret", "password": "api_passphrase"},
    options={"defaultType": "swap"},
    budgets=(
        Budget(group="ip", limit=500, window_ms=60_000, scope="ip", reserve=50, source=RULES),
        Budget(group="ip", limit=1500, window_ms=300_000, scope="ip", reserve=150, source=RULES),
        Budget(
            group="order", limit=30, window_ms=10_000, reserve=5, is_shared=False,
            source=f"{RULES}: trading endpoints 30 in 10 s; a batch counts each of its orders",
        ),
    ),
    costs={
        "cancel": {"order": 1}, "leverage": {"order": 1}, "margin_mode": {"order": 1}, "read": {},
    },
    codes={
        "margin": "103003 150004",
        "nothing_to_reduce": "102022 102005",
        "duplicate_id": "102002 102148 150003 152420",
        "price": "102064 102065 102066",
        "size": "102014 102015",
        "risk_limit": "542 102013 102098 102115",
        "symbol": "152014 102097",
        "mode": "102089 110006 110019",
        "not_found": "1000 102068",
        "other": "152001 152002 152003 152004 152006 152007 152008 152009 152012",
        "key": "152401 152402",
        "signature": "152408 152409",
        "permission": "152404",
        "ip": "152406",
        "rate_limit": "429",
        "clock": "152405 152410",
        "nonce": "152407",
        "unknown": "500 103013",
    },
    phrases={"152002": {"size": "size", "price": "price"}},
    wrappers=frozenset({"1", "2"}),
    success=("code", "0"),
    code_field="code",
    message_field="msg",
    rows=("data",),
    order_rows=("data",),
    request_window_s=60,
    time_slack_ms=20_000,  # a request's time is its nonce: other processes with the key have others
    batch_size=20,
    batches_one_symbol=True,
    demo="sandbox",
    ioc_type="ioc",  # as a limit order with a time in force it would rest
    ioc_params={},
    orders_bear_mode=True,
    symbol_param="instId",
    markets=Endpoint("fetch_markets", "read"),
    server_time=Endpoint("publicGetMarketMarkPrice", "read", {"instId": "BTC-USDT"}),
    tickers=Endpoint("publicGetMarketTickers", "read"),
    close_all=Endpoint(
        "privatePostTradeClosePosition", "order",
        {
            "instId": "{symbol}", "marginMode": "{margin_mode}",
            "positionSide": "{position_side}", "clientOrderId": "{client_id}",
        },
    ),
    margin_mode=ModeRead(
        endpoint=Endpoint("privateGetAccountMarginMode", "read"),
        path=("data", "marginMode"), words={"cross": "cross", "isolated": "isolated"},
    ),
    position_mode=ModeRead(
        endpoint=Endpoint("privateGetAccountPositionMode", "read"),
        path=("data", "positionMode"),
        words={"net_mode": "one_way", "long_short_mode": "hedge"},
    ),
    equity=Endpoint("privateGetAccountBalance", "read", is_object=True),
    positions=Endpoint("privateGetAccountPositions", "read"),
    open_orders=Endpoint("privateGetTradeOrdersPending", "read", {"limit": "100"}),
    order_lookup=(
        Endpoint("privateGetTradeOrderDetail", "read", is_object=True, is_null_absent=True),
        Endpoint("privateGetTradeOrdersPending", "read", {"limit": "100"}, is_filtered=False),
        Endpoint("privateGetTradeOrdersHistory", "read", {"limit": "100"}, is_filtered=False),
    ),
    lookup_param="clientOrderId",
    recent_orders=(
        Endpoint("privateGetTradeOrdersPending", "read", {"limit": "100"}),
        Endpoint("privateGetTradeOrdersHistory", "read", {"limit": "100"}),
    ),
    cancel=Endpoint("privatePostTradeCancelOrder", "cancel"),
    cancel_param="clientOrderId",
    instrument=InstrumentFields(
        step="lotSize", minimum="minSize", max_market="maxMarketSize", tick="tickSize",
        max_leverage="maxLeverage", contract_size="contractValue", status="state",
        trading_status="live",
    ),
    ticker=TickerFields(symbol="instId", last="last", bid="bidPrice", ask="askPrice"),
    position=PositionFields(
        symbol="instId", size="positions", side="positionSide",
        sides={"net": 0, "long": 1, "short": -1}, entry="averagePrice", mark="markPrice",
        leverage="leverage", unrealized_pnl="unrealizedPnl", margin_mode="marginMode",
        hedge="positionSide", one_way=frozenset({"net"}),
    ),
    order=OrderFields(
        order_id="orderId", client_id="clientOrderId", symbol="instId", side="side",
        sides={"buy": 1, "sell": -1}, size="size", filled="filledSize", status="state",
        statuses={name: ours for ours, names in STATUSES.items() for name in names.split()},
        average_price="averagePrice", reduce_only="reduceOnly", updated_ms="updateTime",
        reason="cancelSourceReason", origin="orderCategory",
        liquidations=frozenset({"full_liquidation", "partial_liquidation", "adl"}), fees=("fee",),
    ),
    key=KeyFields(  # it does not tell the rights one by one
        endpoint=Endpoint("privateGetUserQueryApikey", "read"),
        read_only="readOnly", expires="expireTime", ips="ips",
    ),
    read_equity=read_equity,
    order_params=order_params,
    leverage_params=leverage_params,
)  # fmt: skip
COPY = "privateGetCopytrading"
COPY_ORDERS = (
    Endpoint(f"{COPY}TradeOrdersPending", "read", {"limit": "100"}, is_filtered=False),
    Endpoint(f"{COPY}TradeOrdersHistory", "read", {"limit": "20"}, is_filtered=False),
)
# its own account and paths; they know no client id and no reduce-only, so that an order is known
# by the id in its reply, and a position is reduced by the path that can only close
COPY_TRADING = replace(
    ORDINARY,
    margin_mode=None,  # there is no account-wide one
    sets_margin_mode=False,
    flat_margin_mode="cross",
    position_mode=ModeRead(
        endpoint=Endpoint(f"{COPY}AccountPositionMode", "read"),
        path=("data", "positionMode"),
        words={"net_mode": "one_way", "long_short_mode": "hedge"},
    ),
    equity=Endpoint(f"{COPY}AccountBalance", "read", is_object=True),
    positions=Endpoint(f"{COPY}AccountPositionsByContract", "read"),
    open_orders=COPY_ORDERS[0],
    order_lookup=COPY_ORDERS,
    recent_orders=COPY_ORDERS,
    knows_client_ids=False,
    placed_ids=("orderId", "orderIds.0"),
    batch_size=1,
    place=Endpoint(
        "privatePostCopytradingTradePlaceOrder", "order",
        {
            "instId": "{symbol}", "marginMode": "{margin_mode}", "positionSide": "{position_side}",
            "side": "{side}", "orderType": "{order_type}", "price": "{price}", "size": "{size}",
        },
    ),
    reduce=Endpoint(
        "privatePostCopytradingTradeClosePositionByContract", "order",
        {
            "instId": "{symbol}", "marginMode": "{margin_mode}", "positionSide": "{position_side}",
            "closeType": "pnl", "size": "{size}",
        },
    ),
    close_all=Endpoint(
        "privatePostCopytradingTradeClosePositionByContract", "order",
        {
            "instId": "{symbol}", "marginMode": "{margin_mode}", "positionSide": "{position_side}",
            "closeType": "fixedRatio", "size": "1",
        },
    ),
    set_leverage=Endpoint("privatePostCopytradingAccountSetLeverage", "leverage"),
    cancel=Endpoint("privatePostCopytradingTradeCancelOrder", "cancel"),
    cancel_param="orderId",
)  # fmt: skip
PROFILE = replace(ORDINARY, copy_trading=COPY_TRADING)
