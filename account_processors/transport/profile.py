"""What a venue file may state: a frozen `Profile`, nothing else, and at most three hooks.

Rows are read by these tables and not by ccxt's unified parsers, which turn what they cannot read
into None and every size into a float. An empty field name means that the venue has no such field.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from core.model import AccountMode, Equity, OrderRequest, OrderStatus

Row = Mapping[str, object]
BudgetScope = Literal["ip", "account"]

# what a venue's code means for what we do next; see classify.py
Meaning = Literal[
    "margin", "nothing_to_reduce", "duplicate_id", "price", "size", "risk_limit", "symbol", "mode",
    "not_found", "other", "key", "signature", "permission", "ip", "expired", "region", "banned",
    "account_type", "rate_limit", "ip_rate_limit", "clock", "maintenance", "unknown", "already_so",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How many requests (orders, for a write group) a venue allows in a sliding window."""

    group: str
    limit: int
    source: str  # where the figure comes from
    window_ms: int = 1_000
    scope: BudgetScope = "account"
    reserve: int = 0  # kept free for reductions; twice as much is kept free of reads
    is_shared: bool = True  # commands beside the engine draw on it too


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One implicit ccxt method, the budget it uses and its fixed parameters."""

    method: str
    group: str
    params: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentFields:
    """Paths into a raw instrument row, parts divided by dots."""

    step: str
    minimum: str
    max_market: str
    min_notional: str
    tick: str
    max_leverage: str
    leverage_step: str
    status: str
    trading_status: str
    contract_size: str = ""  # 1 where empty


@dataclass(frozen=True, slots=True, kw_only=True)
class TickerFields:
    """Names in a raw ticker row."""

    symbol: str
    mark: str
    last: str
    bid: str
    ask: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionFields:
    """Names in a raw position row; `sides` gives the sign of an unsigned size."""

    symbol: str
    size: str
    side: str
    sides: Mapping[str, int]
    entry: str
    mark: str
    leverage: str
    unrealized_pnl: str
    margin_mode: str = ""
    hedge: str = ""  # holds one of `one_way` unless the account is in hedge mode
    one_way: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFields:
    """Names in a raw order row."""

    order_id: str
    client_id: str
    symbol: str
    side: str
    sides: Mapping[str, int]
    size: str
    filled: str
    status: str
    statuses: Mapping[str, OrderStatus]
    average_price: str
    reduce_only: str
    updated_ms: str
    reason: str
    no_reason: str = ""  # what stands there when all is well
    origin: str = ""  # who made the order
    liquidations: frozenset[str] = frozenset()  # values there that mean the venue took it away


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """All that is particular to one venue."""

    exchange: str  # our name, and the path prefix at a paper exchange
    ccxt_id: str
    credentials: Mapping[str, str]  # ccxt's name: field of AccountConfig
    options: Mapping[str, object]
    budgets: tuple[Budget, ...]
    codes: Mapping[Meaning, str]  # the venue's codes by meaning, divided by spaces
    success: tuple[str, str]  # a proper envelope has this field with this value
    code_field: str
    message_field: str
    rows: tuple[str, ...]  # where in an envelope the list is
    cursor: tuple[str, ...]  # and the next page's cursor; () = one page
    cursor_param: str
    request_window_s: int  # how long after its timestamp a request may still be taken
    batch_size: int  # most orders in one request; 1 = no batch endpoint
    client_id_param: str  # how a client id is told to ccxt's create_order
    cancel_id_param: str  # and to its cancel_order
    server_time: Endpoint
    server_time_ms: tuple[str, ...]  # path to the venue's clock in that reply
    equity: Endpoint
    positions: Endpoint
    tickers: Endpoint
    order_lookup: tuple[Endpoint, ...]  # asked in turn; none knows the id = unknown to the venue
    open_orders: Endpoint
    recent_orders: tuple[Endpoint, ...]
    account_mode: Endpoint
    instrument: InstrumentFields
    ticker: TickerFields
    position: PositionFields
    order: OrderFields
    read_equity: Callable[[Row, str], Equity]  # hook: a row and the scope `usdt` or `account`
    read_account_mode: Callable[[Row], AccountMode]  # hook: the whole envelope
    has_demo: bool = False
    listing_requests: int = 1  # what ccxt's load_markets sends
    lookup_param: str = "clientOrderId"  # of the endpoints that look an order up
    symbol_param: str = "symbol"
    limit_headers: Mapping[str, str] = field(default_factory=dict)  # limit, remaining, reset_ms
    refusal_reasons: tuple[str, ...] = ()  # path in a reply of success whose list tells refusals
    batch_code: str = "code"  # names in one order's row of a batch reply
    batch_message: str = "msg"
    hedge_probe: Endpoint | None = None  # tells the position mode while nothing is held
    order_params: Callable[[OrderRequest], Mapping[str, object]] | None = None  # hook

    def meaning(self, code: str) -> Meaning | None:
        """Tell what a code of this venue means; None = a code nobody described to us."""
        return next((m for m, codes in self.codes.items() if code in codes.split()), None)
