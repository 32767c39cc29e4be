"""MEXC contract v1, USDT perpetuals: what is particular to it.

A lot is one contract; side and open type are numbers, and both modes are chosen with the order.
"""

from collections.abc import Mapping, Sequence

from account_processors.transport.profile import (
    Budget,
    Endpoint,
    InstrumentFields,
    ModeRead,
    OrderFields,
    PositionFields,
    Profile,
    Row,
    TickerFields,
)
from account_processors.transport.rows import number
from core.model import Equity, OrderRequest, OrderStatus

RULES = "mexc.com/api-docs/futures: 20 requests in 2 s by endpoint"
ONE_ROW = ("data",)
OPEN_TYPES = {"isolated": 1, "cross": 2}
SIDES = {"1": 1, "2": 1, "3": -1, "4": -1}  # open long, close short, open short, close long
STATUSES = {
    "1": OrderStatus.OPEN, "2": OrderStatus.OPEN, "3": OrderStatus.FILLED,
    "4": OrderStatus.CANCELED, "5": OrderStatus.REJECTED,
}  # fmt: skip
OPEN = "contractPrivateGetOrderListOpenOrders"
HISTORY = "contractPrivateGetOrderListHistoryOrders"


def read_equity(rows: Sequence[Row], scope: str) -> Equity:  # noqa: ARG001 - margins in USDT
    """Read the USDT asset; the venue tells no sum over coins."""
    row: Row = next((found for found in rows if found.get("currency") == "USDT"), {})
    return Equity(
        equity_usdt=number(row.get("equity")),
        free_margin_usdt=number(row.get("availableOpen", row.get("availableBalance"))),
        used_margin_usdt=number(row.get("positionMargin")),
        unrealized_pnl_usdt=number(row.get("unrealized")),
    )


def order_params(order: OrderRequest) -> Mapping[str, object]:
    """Number side, order type and open type ourselves; ccxt's hedge-mode sides are swapped."""
    opens = {"side": 1 if order.size_lots > 0 else 3}
    closes = {"side": 2 if order.size_lots > 0 else 4}
    return {
        **(closes if order.reduce_only else opens),
        "type": 5 if order.limit_price is None else 3,  # market; immediate or cancel
        "openType": OPEN_TYPES.get(order.margin_mode or "", 1),
        "leverage": int(order.leverage or 1),
        "positionMode": 1 if order.position_side else 2,
    }


def leverage_params(mode: str | None, _is_hedged: bool) -> tuple[Mapping[str, object], ...]:
    """Set both sides: the venue keeps one for each, in one-way mode too."""
    open_type = OPEN_TYPES.get(mode or "", 1)
    return tuple({"openType": open_type, "positionType": side} for side in (1, 2))


def _every(*groups: str) -> tuple[Budget, ...]:
    return tuple(
        Budget(group=group, limit=20, window_ms=2000, reserve=2, source=RULES) for group in groups
    )


PROFILE = Profile(
    exchange="mexc",
    ccxt_id="mexc",
    credentials={"apiKey": "api_key", "secret": "api_secret"},
    options={"defaultType": "swap"},
    budgets=(
        Budget(
            group="ip", limit=500, window_ms=10_000, scope="ip", reserve=50,
            source="undocumented for contracts; the spot API's 500 in 10 s",
        ),
        Budget(group="tickers", limit=20, window_ms=2000, scope="ip", source=RULES),
        Budget(group="detail", limit=1, window_ms=5000, scope="ip", source=f"{RULES}; once in 5 s"),
        *_every("order", "cancel", "leverage", "margin_mode", "wallet", "positions"),
        *_every("mode_read", "order_by_id", "open_orders", "orders_read"),
    ),
    codes={
        "margin": "2005 2018",
        "nothing_to_reduce": "2008 2009",
        "duplicate_id": "603 2039",
        "price": "2003 2004 2007 2010 2012",
        "size": "2011 2015 2028",
        "risk_limit": "2006 2013 2023 2025 2031 2032 2036 2038",
        "symbol": "1001 1002 1003 1004",
        "mode": "2001 2002 2019 2021 2022 2026 2027 2029 7002",
        "not_found": "2040 2041 2042",
        "other": "600 2030",
        "key": "401",
        "signature": "602",
        "permission": "403 701 702 703 704",
        "ip": "406",
        "expired": "402",
        "banned": "6001 6026",
        "rate_limit": "510 2037 429",
        "clock": "513",
        "maintenance": "604",
        "unknown": "500 501",
    },
    success=("success", "true"),
    code_field="code",
    message_field="message",
    rows=ONE_ROW,
    order_rows=ONE_ROW,
    batch_code="errorCode",
    batch_message="errorMsg",
    request_window_s=10,
    client_id_param="externalOid",
    ioc_params={},
    orders_bear_mode=True,
    sets_margin_mode=False,
    flat_margin_mode="isolated",
    markets=Endpoint("fetch_swap_markets", "detail"),
    server_time=Endpoint("contractPublicGetPing", "tickers"),
    server_time_ms=("data",),
    tickers=Endpoint("contractPublicGetTicker", "tickers"),
    position_mode=ModeRead(
        endpoint=Endpoint("contractPrivateGetPositionPositionMode", "mode_read"),
        path=("data",), words={"1": "hedge", "2": "one_way"},
    ),
    equity=Endpoint("contractPrivateGetAccountAssets", "wallet"),
    positions=Endpoint("contractPrivateGetPositionOpenPositions", "positions"),
    open_orders=Endpoint(OPEN, "open_orders", {"page_size": "100"}),
    order_lookup=(
        Endpoint(
            "contractPrivateGetOrderExternalSymbolExternalOid", "order_by_id",
            is_object=True, is_null_absent=True,
        ),
        Endpoint(OPEN, "open_orders", {"page_size": "100"}, is_filtered=False),
        Endpoint(HISTORY, "orders_read", {"page_size": "100"}, is_filtered=False),
    ),
    lookup_param="external_oid",
    recent_orders=(
        Endpoint(OPEN, "open_orders", {"page_size": "100"}),
        Endpoint(HISTORY, "orders_read", {"page_size": "100"}),
    ),
    cancel=Endpoint("contractPrivatePostOrderCancelWithExternal", "cancel"),
    cancel_param="externalOid",
    instrument=InstrumentFields(
        step="volUnit", minimum="minVol", max_market="maxVol", tick="priceUnit",
        max_leverage="maxLeverage", contract_size="contractSize", status="state",
        trading_status="0", allowed="apiAllowed",
    ),
    ticker=TickerFields(
        symbol="symbol", mark="fairPrice", last="lastPrice", bid="bid1", ask="ask1",
    ),
    position=PositionFields(
        symbol="symbol", size="holdVol", side="positionType", sides={"1": 1, "2": -1},
        entry="holdAvgPrice", leverage="leverage", margin_mode="openType",
        margin_modes={"1": "isolated", "2": "cross"},
    ),
    order=OrderFields(
        order_id="orderId", client_id="externalOid", symbol="symbol", side="side", sides=SIDES,
        size="vol", filled="dealVol", status="state", statuses=STATUSES,
        average_price="dealAvgPrice", reduce_only="side", reduces=frozenset({"2", "4"}),
        updated_ms="updateTime", reason="errorCode", no_reason="0", origin="category",
        liquidations=frozenset({"2", "4"}),  # taken over by the system, auto-deleveraged
        fees=("takerFee", "makerFee"), fee_coin="feeCurrency",
    ),
    read_equity=read_equity,
    order_params=order_params,
    leverage_params=leverage_params,
)  # fmt: skip
