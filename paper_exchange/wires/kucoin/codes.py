"""KuCoin's code and words for each reason of the book.

From the venue's table of futures errors, but where a comment says that no source gives one.
"""

from paper_exchange.orders import BookError, MarginMode, Reason
from paper_exchange.rest import VenueError

SUCCESS = "200000"
BAD_PARAM = "400100"
MISSING_PARAM = "100001"
ORDER_UNKNOWN = "100001"  # of a look-up; a cancel says 100004
PRICE_TOO_LOW = "300012"
NO_CROSS_MARGIN = "330008"  # more than margin and leverage let open, under cross margin

CODES = {
    Reason.SYMBOL: "100003",
    Reason.NOT_TRADING: "300002",
    Reason.SIZE_INVALID: "300000",  # of sizes and ticks, no source says more than "illegal"
    Reason.SIZE_TOO_SMALL: "300000",
    Reason.SIZE_TOO_LARGE: "300000",
    Reason.NOTIONAL_TOO_SMALL: "300000",  # no such limit here
    Reason.PRICE_INVALID: "300000",
    Reason.PRICE_RANGE: "300011",
    Reason.DUPLICATE_CLIENT_ID: "300018",
    Reason.NOTHING_TO_REDUCE: "300009",
    Reason.MARGIN: "300003",
    Reason.RISK_LIMIT: "300005",
    Reason.POSITION_INDEX: "330011",
    Reason.TOO_MANY_ORDERS: "300001",
    Reason.UNKNOWN_ORDER: "100004",
    Reason.LEVERAGE_UNCHANGED: SUCCESS,  # no source; taken as the success that it is
    Reason.LEVERAGE_RANGE: "300016",
    Reason.LEVERAGE_MARGIN: "300003",
    Reason.MARGIN_MODE_UNCHANGED: SUCCESS,  # as above
    Reason.MARGIN_MODE_IN_USE: "330003",  # no source for the single change of a mode
    Reason.MARGIN_MODE_MISMATCH: "330005",
    Reason.POSITION_MODE_UNCHANGED: SUCCESS,  # as above
    Reason.POSITION_MODE_HAS_POSITION: "330003",  # no source
    Reason.POSITION_MODE_HAS_ORDERS: "330003",  # no source
}
TEXTS = {
    Reason.SYMBOL: "Contract parameter invalid",
    Reason.NOT_TRADING: "Order placement/cancellation suspended, please try again later.",
    Reason.DUPLICATE_CLIENT_ID: "clientOid parameter repeated",
    Reason.NOTHING_TO_REDUCE: "No open positions to close.",
    Reason.MARGIN: (
        "Balance not enough, please first deposit at least 2 USDT before you go to battle"
    ),
    Reason.POSITION_INDEX: (
        "The order's position mode does not match your selected mode. "
        "Please switch modes and try again."
    ),
    Reason.UNKNOWN_ORDER: "Order is in not cancelable state",
    Reason.LEVERAGE_MARGIN: "Insufficient balance",
    Reason.MARGIN_MODE_IN_USE: "Setting failed due to existing positions or orders",
    Reason.MARGIN_MODE_MISMATCH: (
        "The order's margin mode does not match the selected one. Please switch and try again."
    ),
    Reason.POSITION_MODE_HAS_POSITION: "Setting failed due to existing positions",
    Reason.POSITION_MODE_HAS_ORDERS: "Setting failed due to existing orders",
}
NO_CROSS_MARGIN_TEXT = (
    "Your current margin and leverage have reached the maximum open limit. "
    "Please increase your margin or raise your leverage to open larger positions."
)


def translated(error: BookError, mode: MarginMode | None = None) -> VenueError:
    """The book's refusal in the venue's words; `mode` is the margin mode of an order."""
    if error.reason is Reason.MARGIN and mode is MarginMode.CROSS:
        return VenueError(NO_CROSS_MARGIN, NO_CROSS_MARGIN_TEXT)
    return VenueError(CODES[error.reason], TEXTS.get(error.reason, str(error)))
