"""What a venue file may state: a frozen `Profile`, nothing else, and at most three hooks.

Rows are read by these tables and not by ccxt's unified parsers, which turn what they cannot read
into None and every size into a float. An empty field name means that the venue has no such field.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from core.model import Equity, OrderRequest, OrderStatus

Row = Mapping[str, object]
BudgetScope = Literal["ip", "account"]
MarginMode = Literal["cross", "isolated", "portfolio"]

# what a venue's code means for what we do next; see classify.py
Meaning = Literal[
    "margin", "nothing_to_reduce", "duplicate_id", "price", "size", "risk_limit", "symbol", "mode",
    "not_found", "other", "key", "signature", "permission", "ip", "expired", "region", "banned",
    "account_type", "rate_limit", "ip_rate_limit", "clock", "nonce", "maintenance", "unknown",
    "already_so",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How many requests (orders, for a write group) a venue allows in a sliding window.

    The group `ip` counts every request; several budgets may bear one group's name.
    """

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
    params: Mapping[str, object] = field(default_factory=dict)
    rows: tuple[str, ...] | None = None  # where its list is; None = where the venue's lists are
    is_object: bool = False  # one object stands where others have a list
    is_filtered: bool = True  # a look-up here answers about the asked order alone
    is_null_absent: bool = False  # null where the list should be says that there is none


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeRead:
    """Where a mode is told, and what the venue's words for it mean."""

    endpoint: Endpoint
    path: tuple[str, ...]  # into the envelope; a number is a place in a list
    words: Mapping[str, str]  # cross, isolated, portfolio; hedge, one_way


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentFields:
    """Paths into a raw instrument row, parts divided by dots."""

    step: str
    minimum: str
    max_market: str
    tick: str
    max_leverage: str
    status: str
    trading_status: str
    min_notional: str = ""
    leverage_step: str = ""  # 1 where empty
    contract_size: str = ""  # 1 where empty
    allowed: str = ""  # must be true there for orders by API


@dataclass(frozen=True, slots=True, kw_only=True)
class TickerFields:
    """Names in a raw ticker row; without a mark price the middle of bid, ask and last is it."""

    symbol: str
    last: str
    bid: str
    ask: str
    mark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionFields:
    """Names in a raw position row.

    `sides` gives the sign of an unsigned size, 0 where the size is signed already.
    """

    symbol: str
    size: str
    entry: str
    leverage: str
    side: str = ""
    sides: Mapping[str, int] = field(default_factory=dict)
    mark: str = ""
    unrealized_pnl: str = ""
    margin_mode: str = ""
    margin_modes: Mapping[str, str] = field(default_factory=dict)  # their words: ours
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
    statuses: Mapping[str, OrderStatus]  # "filled" short of the size is canceled
    average_price: str
    reduce_only: str
    updated_ms: str
    reason: str = ""
    reduces: frozenset[str] = frozenset({"true"})  # values of `reduce_only` that mean yes
    no_reason: str = ""  # what stands there when all is well
    origin: str = ""  # who made the order
    liquidations: frozenset[str] = frozenset()  # values there that mean the venue took it away
    fees: tuple[str, ...] = ()  # paths whose sum was paid in USDT, parts divided by dots
    fee_coin: str = ""  # must be USDT there


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFields:
    """Where the venue tells what an API key may do: paths, parts divided by dots.

    Rights are a list, names divided by commas, or lists by group ("group.right").
    """

    endpoint: Endpoint
    read_only: str = ""  # 1 or true there: it writes nothing
    rights: str = ""
    reads: frozenset[str] = frozenset()  # any of them; () = a key that is known reads
    trades: tuple[frozenset[str], ...] = ()  # all of one set; () = whatever is not read-only
    withdraws: frozenset[str] = frozenset()  # any of them; () = the venue does not say
    expires: str = ""  # milliseconds or ISO 8601
    ips: str = ""  # a list, or addresses divided by commas
    every_ip: frozenset[str] = frozenset()  # what stands there for "from everywhere"


@dataclass(frozen=True, slots=True, kw_only=True)
class TakingRead:
    """Fills that tell what the venue took away, where its orders do not."""

    endpoint: Endpoint
    kind: str  # a fill's field, and the values in it that mean so
    liquidations: frozenset[str]
    order_id: str
    symbol: str
    side: str
    sides: Mapping[str, int]
    size: str
    at_ms: str


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
    request_window_s: int  # how long after its timestamp a request may still be taken
    markets: Endpoint  # ccxt's own method that reads the contracts
    equity: Endpoint
    positions: Endpoint
    tickers: Endpoint
    open_orders: Endpoint
    recent_orders: tuple[Endpoint, ...]  # what rests before what ended: orders go that way
    order_lookup: tuple[Endpoint, ...]  # asked in turn; none knows the id = unknown to the venue
    lookup_param: str  # names the client id there
    cancel: Endpoint
    cancel_param: str  # names the client id there
    instrument: InstrumentFields
    ticker: TickerFields
    position: PositionFields
    order: OrderFields
    read_equity: Callable[[Sequence[Row], str], Equity]  # hook: rows, scope `usdt` or `account`
    # hook: what goes with an order; margin mode, leverage and side are filled in
    order_params: Callable[[OrderRequest], Mapping[str, object]]
    # hook: one set of parameters a request that sets leverage, by margin mode and hedge mode
    leverage_params: Callable[[str | None, bool], tuple[Mapping[str, object], ...]]
    costs: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # group: {budget: tokens}
    phrases: Mapping[str, Mapping[str, Meaning]] = field(default_factory=dict)  # code: {text: ...}
    wrappers: frozenset[str] = frozenset()  # codes that say "see the rows"
    order_rows: tuple[str, ...] = ()  # where a reply to orders has a row for each
    cursor: tuple[str, ...] = ()  # where the next page's cursor is; () = one page
    cursor_param: str = ""
    listing_requests: int = 1  # what reading the contracts sends
    batch_size: int = 1  # most orders in one request; 1 = no batch endpoint
    batches_one_symbol: bool = False  # the orders of a batch must be of one symbol
    client_id_param: str = "clientOrderId"  # how a client id is told to ccxt's create_order
    ioc_type: str = "limit"  # how ccxt's create_order is told of an immediate-or-cancel order
    ioc_params: Mapping[str, object] = field(default_factory=lambda: {"timeInForce": "IOC"})
    holds_sides: bool = True  # False: accounts in hedge mode open nothing
    symbol_param: str = "symbol"
    server_time: Endpoint | None = None
    server_time_ms: tuple[str, ...] = ()  # path to the clock; () = the reply's Date header
    margin_mode: ModeRead | None = None  # account-wide; None = by symbol
    symbol_margin_mode: ModeRead | None = None  # of a flat symbol
    position_mode: ModeRead | None = None
    # where orders go that ccxt's create_order does not know; "{symbol}" and the like are filled in
    place: Endpoint | None = None
    reduce: Endpoint | None = None
    close_all: Endpoint | None = None  # a whole position, whatever its size
    placed_ids: tuple[str, ...] = ()  # paths to an order's id in their replies' rows
    takings: TakingRead | None = None  # None = its orders tell a liquidation
    knows_client_ids: bool = True  # False: orders are found by the id that the venue gave them
    set_leverage: Endpoint | None = None  # None = ccxt's own
    copy_trading: "Profile | None" = None  # of a lead trader's copy-trading account
    orders_bear_mode: bool = False  # the margin mode goes with each order
    sets_margin_mode: bool = True  # False: it is chosen with the order that opens
    flat_margin_mode: MarginMode | None = None  # what an order gets where nothing else says
    demo: Literal["", "demo_trading", "sandbox"] = ""  # ccxt's switch
    limit_headers: Mapping[str, str] = field(default_factory=dict)  # limit, remaining, reset_ms
    time_slack_ms: int = 0  # a process's times lie up to so much back, where they are nonces too
    resets_from_now: bool = False  # reset_ms is a span, not a time
    ip_silence_s: int = 1  # asked of an address that sent too much, where no header says it
    silences_s: Mapping[str, int] = field(default_factory=dict)  # likewise, by code
    refusal: tuple[str, ...] = ()  # path in a reply of success; false or a list there is a no
    batch_code: str = "code"  # names in one order's row of a batch reply
    batch_message: str = "msg"
    key: KeyFields | None = None  # None = the venue says nothing of its keys
    docs: str = ""  # where the venue explains its keys

    def meaning(self, code: str, message: str = "") -> Meaning | None:
        """Tell what a code of this venue means; None = a code nobody described to us."""
        for phrase, meaning in self.phrases.get(code, {}).items():
            if re.search(phrase, message, re.IGNORECASE):
                return meaning
        return next((m for m, codes in self.codes.items() if code in codes.split()), None)
