"""Acme, USDT perpetuals: what is particular to it."""

from collections.abc import Sequence

from account_processors.transport.profile import (
    Budget,
    Endpoint,
    InstrumentFields,
    OrderFields,
    PositionFields,
    Profile,
    Row,
    TickerFields,
)
from account_processors.transport.rows import number
from core.model import Equity, OrderStatus


def read_equity(rows: Sequence[Row], scope: str) -> Equity:  # noqa: ARG001 - USDT is all
    """Read the one purse."""
    names = ("worth", "free", "used", "pnl")
    worth, free, used, pnl = (number(rows[0].get(name)) for name in names)
    return Equity(
        equity_usdt=worth, free_margin_usdt=free, used_margin_usdt=used, unrealized_pnl_usdt=pnl
    )


ORDERS = Endpoint("privateGetOrders", "ip")
PROFILE = Profile(
    exchange="acme",
    ccxt_id="acme",
    credentials={"apiKey": "api_key", "secret": "api_secret"},
    options={},
    budgets=(
        Budget(group="ip", limit=100, scope="ip", reserve=10, source="its rules, page 1"),
        Budget(group="order", limit=20, reserve=2, source="its rules, page 2"),
    ),
    costs={"leverage": {"order": 1}, "margin_mode": {}},
    codes={
        "margin": "E5",
        "nothing_to_reduce": "E6",
        "duplicate_id": "E7",
        "size": "E8",
        "other": "E1",
        "key": "E2",
        "ip": "E4",
        "rate_limit": "E9",
        "clock": "E3",
    },
    success=("ok", "true"),
    code_field="code",
    message_field="text",
    rows=("list",),
    request_window_s=5,
    holds_sides=False,
    symbol_param="name",
    client_id_param="client",
    ioc_params={},
    server_time=Endpoint("publicGetClock", "ip"),
    server_time_ms=("now",),
    markets=Endpoint("fetch_markets", "ip"),
    tickers=Endpoint("publicGetPrices", "ip"),
    equity=Endpoint("privateGetMoney", "ip"),
    positions=Endpoint("privateGetPositions", "ip"),
    open_orders=ORDERS,
    order_lookup=(ORDERS,),
    lookup_param="client",
    recent_orders=(ORDERS,),
    cancel=Endpoint("privatePostCancel", "order"),
    cancel_param="client",
    instrument=InstrumentFields(
        step="step", minimum="step", max_market="most", tick="tick", max_leverage="leverage",
        contract_size="worth", status="state", trading_status="on",
    ),
    ticker=TickerFields(symbol="name", mark="mark", last="mark", bid="bid", ask="ask"),
    position=PositionFields(symbol="name", size="size", entry="entry", leverage="leverage"),
    order=OrderFields(
        order_id="id", client_id="client", symbol="name", side="side", sides={"buy": 1, "sell": -1},
        size="size", filled="filled", status="state", average_price="average",
        statuses={"open": OrderStatus.OPEN, "done": OrderStatus.FILLED},
        reduce_only="reduceOnly", updated_ms="at",
    ),
    read_equity=read_equity,
    order_params=lambda _order: {},
    leverage_params=lambda _mode, _is_hedged: ({},),
)  # fmt: skip
