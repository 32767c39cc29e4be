"""BloFin's codes: for each reason of the book, and how the outcome of orders is told.

Codes 152xxx are the gateway's, about parameters and the door; the others are the trading system's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from paper_exchange.orders import BookError, Reason, Ticket
from paper_exchange.rest import VenueError

Row = dict[str, Any]

SUCCESS = "0"
ALL_FAILED = "1"
SOME_FAILED = "2"
PARAM_EMPTY = "152001"
PARAM_WRONG = "152002"
PARAM_EITHER = "152003"
NOT_JSON = "152004"
INSTRUMENT = "152014"
POSITION_CLOSED = "102005"
CANCEL_FAILED = "102068"
LEVERAGE_HAS_ORDERS = "110006"

CODES = {
    Reason.SYMBOL: INSTRUMENT,
    Reason.NOT_TRADING: PARAM_WRONG,  # no source
    Reason.SIZE_INVALID: PARAM_WRONG,
    Reason.SIZE_TOO_SMALL: PARAM_WRONG,
    Reason.SIZE_TOO_LARGE: "102015",  # of a market order; of a limit order: `code_of`
    Reason.NOTIONAL_TOO_SMALL: PARAM_WRONG,
    Reason.PRICE_INVALID: PARAM_WRONG,
    Reason.PRICE_RANGE: "102064",  # of a buy; of a sell: `code_of`
    Reason.DUPLICATE_CLIENT_ID: "102002",
    Reason.NOTHING_TO_REDUCE: "102022",
    Reason.MARGIN: "103003",
    Reason.RISK_LIMIT: "542",  # no source says which one it is
    Reason.POSITION_INDEX: "102089",
    Reason.TOO_MANY_ORDERS: "542",  # no source
    Reason.UNKNOWN_ORDER: CANCEL_FAILED,
    Reason.LEVERAGE_UNCHANGED: SUCCESS,  # echoed as a success
    Reason.LEVERAGE_RANGE: PARAM_WRONG,  # no source
    Reason.LEVERAGE_MARGIN: "103003",  # no source
    Reason.MARGIN_MODE_UNCHANGED: SUCCESS,  # echoed as a success
    Reason.MARGIN_MODE_IN_USE: "110019",
    Reason.MARGIN_MODE_MISMATCH: PARAM_WRONG,  # no source
    Reason.POSITION_MODE_UNCHANGED: SUCCESS,  # echoed as a success
    Reason.POSITION_MODE_HAS_POSITION: "110019",
    Reason.POSITION_MODE_HAS_ORDERS: "110019",
}
TEXTS = {
    Reason.SYMBOL: "Instrument ID does not exist",
    Reason.NOT_TRADING: "Parameter instId error.",
    Reason.SIZE_INVALID: "Parameter size error.",
    Reason.SIZE_TOO_SMALL: "Parameter size error.",
    Reason.SIZE_TOO_LARGE: "Market order exceeds maximum order size limit",
    Reason.PRICE_INVALID: "Parameter price error.",
    Reason.PRICE_RANGE: "Buy price is not within the price limit",
    Reason.DUPLICATE_CLIENT_ID: "Duplicate customized order ID",
    Reason.NOTHING_TO_REDUCE: (
        "Failed to place order. You don't have any positions of this contract. "
        "Turn off Reduce-only to continue."
    ),
    Reason.MARGIN: "Order failed. Insufficient USDT margin in account",
    Reason.RISK_LIMIT: "Exceeded the maximum order size limit",
    Reason.TOO_MANY_ORDERS: "Exceeded the maximum order size limit",
    Reason.POSITION_INDEX: "Position mode mismatch",
    Reason.UNKNOWN_ORDER: (
        "Cancel failed as the order has been filled, triggered, canceled or does not exist."
    ),
    Reason.LEVERAGE_RANGE: "Parameter leverage error.",
    Reason.MARGIN_MODE_IN_USE: "Setting failed. Cancel any open orders, and close positions first.",
    Reason.MARGIN_MODE_MISMATCH: "Parameter marginMode error.",
    Reason.POSITION_MODE_HAS_POSITION: (
        "Setting failed. Cancel any open orders, and close positions first."
    ),
    Reason.POSITION_MODE_HAS_ORDERS: (
        "Setting failed. Cancel any open orders, and close positions first."
    ),
}


class SingleRefusal(StrEnum):
    """How the refusal of a single order is told; sources show all three."""

    OUTER_ONE = "outer 1, the reason inside"
    OUTER_ZERO = "outer 0, the reason inside"
    BARE = "the reason outside, nothing inside"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one order, or of each of a batch."""

    rows: Sequence[Row]
    is_batch: bool = False
    is_cancel: bool = False
    is_object: bool = False  # the one row is not in a list


@dataclass(frozen=True, slots=True)
class NoSuchOrder:
    """The answer to a look-up that found nothing."""


def translated(error: BookError, ticket: Ticket | None = None) -> VenueError:
    """The book's refusal in the venue's words."""
    code, text = CODES[error.reason], TEXTS.get(error.reason, str(error))
    if ticket is None:
        return VenueError(code, text)
    if error.reason is Reason.SIZE_TOO_LARGE and ticket.limit_price is not None:
        return VenueError("102014", "Limit order exceeds maximum order size limit")
    if error.reason is Reason.PRICE_RANGE and ticket.size_lots < 0:
        return VenueError("102065", "Sell price is not within the price limit")
    return VenueError(code, text)


def is_gateways(code: str) -> bool:
    """True if it is told outside even for an order: it never reached the trading system."""
    return code.startswith("152") or code == "429"


def taken(order_id: str, client_id: str) -> Row:
    """The row of an order that was taken or cancelled."""
    return {"orderId": order_id, "clientOrderId": client_id, "msg": "success", "code": SUCCESS}


def refused(error: VenueError, order_id: str | None, client_id: str) -> Row:
    """The row of one that was not."""
    row = {"orderId": order_id, "clientOrderId": client_id}
    return {**row, "msg": str(error), "code": error.code}
