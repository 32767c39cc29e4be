"""Bybit v5, unified trading account, linear USDT perpetuals: what is particular to it.

A lot is one base coin; margin mode is account-wide, leverage per symbol, orders are asynchronous.
"""

from collections.abc import Sequence

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
from account_processors.transport.rows import dig, number
from core.model import Equity, OrderRequest, OrderStatus

LINEAR = {"category": "linear"}
USDT = {"settleCoin": "USDT", **LINEAR}
SIDES = {"Buy": 1, "Sell": -1}
MODES = {"REGULAR_MARGIN": "cross", "ISOLATED_MARGIN": "isolated", "PORTFOLIO_MARGIN": "portfolio"}
STATUSES = {
    OrderStatus.OPEN: "Created New PartiallyFilled Untriggered Triggered Active",
    OrderStatus.CANCELED: "Cancelled PartiallyFilledCanceled Deactivated Expired",
    OrderStatus.FILLED: "Filled",
    OrderStatus.REJECTED: "Rejected",
}
RULES = "bybit-exchange.github.io/docs/v5/rate-limit"
TIER = f"{RULES}/rules-for-vips, futures, default; a batch counts each of its orders"
ORDER, CLOSED = "privateGetV5OrderRealtime", "privateGetV5OrderHistory"
POSITIONS = "privateGetV5PositionList"


def read_equity(rows: Sequence[Row], scope: str) -> Equity:
    """Read the account's row: `usdt` = the USDT coin's equity, `account` = the whole, in USD.

    Account-wide figures are "" in isolated margin; the coin's own then tell what is free.
    """
    row, found = rows[0], rows[0].get("coin")
    coins = found if isinstance(found, list) else []
    usdt: Row = next((coin for coin in coins if dig(coin, ("coin",)) == "USDT"), {})
    used = number(usdt.get("totalPositionIM"))
    free = number(row.get("totalAvailableBalance"))
    if free is None:
        parts = [number(usdt.get(k)) for k in ("walletBalance", "locked", "totalOrderIM")]
        known = [part for part in parts if part is not None]
        if used is not None and len(known) == len(parts):
            free = known[0] - known[1] - known[2] - used
    is_whole = scope == "account"
    return Equity(
        equity_usdt=number(row.get("totalEquity") if is_whole else usdt.get("equity")),
        free_margin_usdt=free,
        used_margin_usdt=used,
        unrealized_pnl_usdt=number(
            row.get("totalPerpUPL") if is_whole else usdt.get("unrealisedPnl")
        ),
    )


def order_params(order: OrderRequest) -> Row:
    """Name the side of a hedge-mode account; ccxt's own `hedged` would drop reduce-only."""
    return (
        {"positionIdx": {"long": 1, "short": 2}[order.position_side]} if order.position_side else {}
    )


PROFILE = Profile(
    exchange="bybit",
    ccxt_id="bybit",
    credentials={"apiKey": "api_key", "secret": "api_secret"},
    options={
        "defaultType": "swap",
        "defaultSettle": "USDT",
        "recvWindow": 5000,
        "fetchMarkets": {"types": ["linear"]},  # 2 requests instead of 12
        # an account of another kind is told apart by 10028; asking costs two signed requests
        "enableUnifiedMargin": False,
        "enableUnifiedAccount": True,
        "unifiedMarginStatus": 6,
    },
    budgets=(
        Budget(group="ip", limit=600, window_ms=5000, scope="ip", reserve=60, source=RULES),
        # create, cancel and amend are counted apart by the venue, together here
        Budget(group="order", limit=10, reserve=2, is_shared=False, source=TIER),
        Budget(group="leverage", limit=10, is_shared=False, source=RULES),
        Budget(group="margin_mode", limit=5, is_shared=False, source="undocumented: a guess"),
        Budget(group="positions", limit=50, source=RULES),
        Budget(group="wallet", limit=50, source=RULES),
        Budget(group="orders_read", limit=50, source=RULES),
        Budget(group="account", limit=50, source=RULES),
        Budget(group="key", limit=10, source=RULES),
    ),
    codes={
        "margin": "110004 110006 110007 110012 110014 110044 110045 110051 110052 110053 170131",
        "nothing_to_reduce": "110017 110034",
        "duplicate_id": "110072 110030",
        "price": "110003 110092 110093",
        "size": "110094",
        "risk_limit": "110011 110013 110016 110021 110023 110039 110040 110042 110090",
        "symbol": "10029 110037 110066 110074",
        "mode": "110015 110024 110028 110029 110036 110038 110073 3400045",
        "not_found": "110001 110008 110010",
        "other": "10001 10017 10032 110005 110009 110018 110019 110020 110022 110032 110063",
        "key": "10003 10007",
        "signature": "10004",
        "permission": "10005",
        "ip": "10010",
        "expired": "33004 -2015",
        "region": "10024",
        "banned": "10008 10027 110068 110069",
        "account_type": "10020 10028 100028 110067",
        "rate_limit": "10006 429",
        "ip_rate_limit": "10009 10018",
        "clock": "10002 -1",
        # the venue's own word that it does not know itself; 10014 repeats a request we know of
        "unknown": "10000 10014 10016 3400214",
        "already_so": "110025 110026 110043",
    },
    success=("retCode", "0"),
    code_field="retCode",
    message_field="retMsg",
    rows=("result", "list"),
    cursor=("result", "nextPageCursor"),
    cursor_param="cursor",
    refusal=("result", "reasons"),
    phrases={"10001": {r"position\s*(idx|mode)": "mode"}},
    limit_headers={
        "limit": "X-Bapi-Limit",
        "remaining": "X-Bapi-Limit-Status",
        "reset_ms": "X-Bapi-Limit-Reset-Timestamp",
    },
    request_window_s=5,
    batch_size=10,
    demo="demo_trading",
    markets=Endpoint("fetch_markets", "ip"),
    listing_requests=2,
    cancel=Endpoint("privatePostV5OrderCancel", "order", LINEAR),
    cancel_param="orderLinkId",
    lookup_param="orderLinkId",
    server_time=Endpoint("publicGetV5MarketTime", "ip"),
    server_time_ms=("time",),
    tickers=Endpoint("publicGetV5MarketTickers", "ip", LINEAR),
    order_rows=("result",),
    close_all=Endpoint(  # size 0 with both flags is the venue's way to say all
        "privatePostV5OrderCreate", "order",
        {
            **LINEAR, "symbol": "{symbol}", "side": "{Side}", "orderType": "Market", "qty": "0",
            "reduceOnly": True, "closeOnTrigger": True, "orderLinkId": "{client_id}",
            "positionIdx": "{position_index}",
        },
    ),
    margin_mode=ModeRead(
        endpoint=Endpoint("privateGetV5AccountInfo", "account"),
        path=("result", "marginMode"), words=MODES,
    ),
    position_mode=ModeRead(
        endpoint=Endpoint(POSITIONS, "positions", {**LINEAR, "symbol": "BTCUSDT"}),
        path=("result", "list", "0", "positionIdx"),
        words={"0": "one_way", "1": "hedge", "2": "hedge"},
    ),
    equity=Endpoint("privateGetV5AccountWalletBalance", "wallet", {"accountType": "UNIFIED"}),
    positions=Endpoint(POSITIONS, "positions", {**USDT, "limit": "200"}),
    open_orders=Endpoint(ORDER, "orders_read", {**USDT, "limit": "50"}),
    # asked by id, realtime knows lately closed orders too, but loses them when it restarts
    order_lookup=(Endpoint(ORDER, "orders_read", LINEAR), Endpoint(CLOSED, "orders_read", LINEAR)),
    recent_orders=(
        Endpoint(CLOSED, "orders_read", {**LINEAR, "limit": "50"}),
        Endpoint(ORDER, "orders_read", {**LINEAR, "limit": "50"}),
        Endpoint(ORDER, "orders_read", {**LINEAR, "limit": "50", "openOnly": "1"}),
    ),
    instrument=InstrumentFields(
        step="lotSizeFilter.qtyStep", minimum="lotSizeFilter.minOrderQty",
        max_market="lotSizeFilter.maxMktOrderQty", min_notional="lotSizeFilter.minNotionalValue",
        tick="priceFilter.tickSize", max_leverage="leverageFilter.maxLeverage",
        leverage_step="leverageFilter.leverageStep", status="status", trading_status="Trading",
    ),
    ticker=TickerFields(
        symbol="symbol", mark="markPrice", last="lastPrice", bid="bid1Price", ask="ask1Price",
    ),
    position=PositionFields(
        symbol="symbol", size="size", side="side", sides=SIDES, entry="avgPrice", mark="markPrice",
        leverage="leverage", unrealized_pnl="unrealisedPnl", hedge="positionIdx",
        one_way=frozenset({"0"}),
    ),
    order=OrderFields(
        order_id="orderId", client_id="orderLinkId", symbol="symbol", side="side", sides=SIDES,
        size="qty", filled="cumExecQty", status="orderStatus", average_price="avgPrice",
        statuses={name: ours for ours, names in STATUSES.items() for name in names.split()},
        reduce_only="reduceOnly", updated_ms="updatedTime", reason="rejectReason",
        no_reason="EC_NoError", origin="createType",
        liquidations=frozenset(
            ("CreateByLiq", "CreateByTakeOver_PassThrough", "CreateByAdl_PassThrough")
        ),
        fees=("cumFeeDetail.USDT",),
    ),
    key=KeyFields(
        endpoint=Endpoint("privateGetV5UserQueryApi", "key", rows=("result",)),
        read_only="readOnly", rights="permissions",
        trades=(
            frozenset(("ContractTrade.Order", "ContractTrade.Position")),
            frozenset(("Derivatives.DerivativesTrade",)),
        ),
        withdraws=frozenset(("Wallet.Withdraw",)), expires="expiredAt", ips="ips",
        every_ip=frozenset(("*",)),
    ),
    read_equity=read_equity,
    order_params=order_params,
    leverage_params=lambda _mode, _is_hedged: ({},),
)  # fmt: skip
