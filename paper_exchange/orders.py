"""Orders, fills and the reasons for which a venue says no.

Values and checks only: no I/O, clock or chance. Sizes are in lots, signed: buy > 0, sell < 0.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from paper_exchange.instruments import PaperInstrument

ZERO = Decimal(0)
ONE = Decimal(1)


class Reason(StrEnum):
    """Why something was refused; each venue's wire maps these to its own codes."""

    SYMBOL = "symbol"
    NOT_TRADING = "not_trading"
    SIZE_INVALID = "size_invalid"  # zero, or not a multiple of the step
    SIZE_TOO_SMALL = "size_too_small"
    SIZE_TOO_LARGE = "size_too_large"
    NOTIONAL_TOO_SMALL = "notional_too_small"
    PRICE_INVALID = "price_invalid"  # not a multiple of the tick
    PRICE_RANGE = "price_range"
    DUPLICATE_CLIENT_ID = "duplicate_client_id"
    NOTHING_TO_REDUCE = "nothing_to_reduce"
    MARGIN = "margin"
    RISK_LIMIT = "risk_limit"
    POSITION_INDEX = "position_index"
    TOO_MANY_ORDERS = "too_many_orders"
    UNKNOWN_ORDER = "unknown_order"
    LEVERAGE_UNCHANGED = "leverage_unchanged"
    LEVERAGE_RANGE = "leverage_range"
    LEVERAGE_MARGIN = "leverage_margin"
    MARGIN_MODE_UNCHANGED = "margin_mode_unchanged"
    MARGIN_MODE_IN_USE = "margin_mode_in_use"
    MARGIN_MODE_MISMATCH = "margin_mode_mismatch"  # an order's against its position's or symbol's
    POSITION_MODE_UNCHANGED = "position_mode_unchanged"
    POSITION_MODE_HAS_POSITION = "position_mode_has_position"
    POSITION_MODE_HAS_ORDERS = "position_mode_has_orders"


class BookError(Exception):
    """The book refused, and nothing changed."""

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class MarginMode(StrEnum):
    """Whether positions share the wallet."""

    CROSS = "cross"
    ISOLATED = "isolated"
    PORTFOLIO = "portfolio"


class TimeInForce(StrEnum):
    """How long an order waits."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    POST_ONLY = "PostOnly"


class OrderStatus(StrEnum):
    """Where an order stands."""

    NEW = "new"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELED = "canceled"  # possibly after a partial fill
    REJECTED = "rejected"  # after it had been accepted


class Origin(StrEnum):
    """Who caused an order or a fill."""

    API = "api"
    MANUAL = "manual"  # a person, outside of the API key
    LIQUIDATION = "liquidation"
    FUNDING = "funding"


OPEN = frozenset((OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """What a client asks for."""

    symbol: str
    size_lots: Decimal  # signed
    client_id: str = ""
    reduce_only: bool = False
    limit_price: Decimal | None = None  # None = market
    time_in_force: TimeInForce = TimeInForce.IOC
    side_index: int = 0  # 0 one-way; hedge mode: 1 the long side, 2 the short side
    closes_all: bool = False  # the whole position, whatever its size
    leverage: Decimal | None = None  # what comes with the order; None = as set
    margin_mode: MarginMode | None = None
    origin: Origin = Origin.API

    @property
    def only_closes(self) -> bool:
        """True if it may not open: reduce-only, or the closing direction of a hedge side."""
        closing_sign = {0: 0, 1: -1, 2: 1}[self.side_index]
        return self.reduce_only or self.size_lots * closing_sign > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BookOrder:
    """An order that was accepted, with what became of it."""

    order_id: str
    ticket: Ticket  # `size_lots` already cut to the position where it only closes
    status: OrderStatus
    filled_lots: Decimal = ZERO  # signed like the size
    filled_cost: Decimal = ZERO  # sum of unsigned lots x price; times contract size it is USDT
    fee_usdt: Decimal = ZERO
    due_ms: int = 0  # not matched before
    fill_fraction: Decimal = ONE  # of the size that the first match gives
    doomed: Reason | None = None  # rejected with this at the first match
    reason: str = ""
    created_ms: int
    updated_ms: int

    @property
    def is_open(self) -> bool:
        """True while more may be filled."""
        return self.status in OPEN

    @property
    def leaves_lots(self) -> Decimal:
        """What is not filled yet, signed; 0 once the order is final."""
        return self.ticket.size_lots - self.filled_lots if self.is_open else ZERO

    @property
    def average_price(self) -> Decimal | None:
        """Mean price of the fills; None before the first."""
        return self.filled_cost / abs(self.filled_lots) if self.filled_lots else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One fill, or one funding payment (size 0 lots traded)."""

    exec_id: str
    sequence: int
    order_id: str
    client_id: str
    symbol: str
    side_index: int
    size_lots: Decimal  # signed
    closed_lots: Decimal  # unsigned
    price: Decimal
    value_usdt: Decimal
    fee_usdt: Decimal  # paid > 0
    realized_usdt: Decimal
    is_maker: bool
    origin: Origin
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How the venue will treat an order; anything but the default is an injected fault or delay."""

    due_ms: int = 0
    fill_fraction: Decimal = ONE
    doomed: Reason | None = None


def check_ticket(ticket: Ticket, instrument: PaperInstrument, price: Decimal) -> None:
    """Check an order against steps and limits; `price` values a market order. Raises BookError."""
    size = abs(ticket.size_lots)
    if instrument.status != "Trading":
        raise BookError(Reason.NOT_TRADING, "This contract is not live")
    if ticket.closes_all:
        return
    if size <= 0 or size % instrument.step_lots:
        raise BookError(Reason.SIZE_INVALID, f"Qty invalid: step is {instrument.step_lots}")
    if size < instrument.min_lots:
        raise BookError(
            Reason.SIZE_TOO_SMALL, "The number of contracts exceeds minimum limit allowed"
        )
    limit = ticket.limit_price
    if size > (instrument.max_market_lots if limit is None else instrument.max_lots):
        text = "The number of contracts exceeds maximum limit allowed: too large"
        raise BookError(Reason.SIZE_TOO_LARGE, text)
    if limit is not None:
        _check_price(limit, instrument)
    notional = size * instrument.contract_size * (price if limit is None else limit)
    if notional < instrument.min_notional_usdt and not ticket.only_closes:
        text = f"Order does not meet minimum order value {instrument.min_notional_usdt}USDT"
        raise BookError(Reason.NOTIONAL_TOO_SMALL, text)


def _check_price(limit: Decimal, instrument: PaperInstrument) -> None:
    if not instrument.min_price <= limit <= instrument.max_price:
        raise BookError(Reason.PRICE_RANGE, "Order price exceeds the allowable range.")
    if limit % instrument.tick_size:
        raise BookError(Reason.PRICE_INVALID, f"Price invalid: tick is {instrument.tick_size}")
