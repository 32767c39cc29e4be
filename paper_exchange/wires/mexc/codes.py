"""MEXC's codes and words for each reason of the book.

2001 to 2027 as in the venue's list of error codes for futures. 2028 and above are quoted by third
parties, 7002 from an answer that a user of ccxt was given (ccxt issue 12458).
"""

from paper_exchange.orders import BookError, Reason
from paper_exchange.rest import ParamError, VenueError

PARAMETER = "600"
NO_CONTRACT = "1001"
WRONG_SIDE = "2001"
WRONG_OPEN_TYPE = "2002"
PRICE_TOO_HIGH = "2003"
PRICE_TOO_LOW = "2004"
WRONG_LEVERAGE = "2006"
CLOSES_TOO_MUCH = "2008"
NO_POSITION = "2009"
WRONG_QUANTITY = "2011"
TOO_MANY_CANCELS = "2013"
TOO_LARGE_BATCH = "2014"
IN_USE = "2019"
OTHER_LEVERAGE = "2021"
WRONG_POSITION_TYPE = "2022"
LONG_CLIENT_ID = "2030"
NO_ORDER = "2040"
NOT_CANCELLABLE = "2041"
OTHER_POSITION_MODE = "7002"

CODES = {
    Reason.SYMBOL: NO_CONTRACT,
    Reason.NOT_TRADING: "1002",
    Reason.SIZE_INVALID: "2015",
    Reason.SIZE_TOO_SMALL: WRONG_QUANTITY,
    Reason.SIZE_TOO_LARGE: "2028",
    Reason.NOTIONAL_TOO_SMALL: WRONG_QUANTITY,
    Reason.PRICE_INVALID: "2015",
    Reason.PRICE_RANGE: "2007",
    # the only documented code for something sent twice; nobody has told what a second
    # externalOid really gives (venue reference, open points)
    Reason.DUPLICATE_CLIENT_ID: "603",
    Reason.NOTHING_TO_REDUCE: NO_POSITION,
    Reason.MARGIN: "2005",
    Reason.RISK_LIMIT: "2031",
    Reason.POSITION_INDEX: OTHER_POSITION_MODE,
    Reason.TOO_MANY_ORDERS: "2036",
    Reason.UNKNOWN_ORDER: NO_ORDER,
    Reason.LEVERAGE_UNCHANGED: WRONG_LEVERAGE,  # never sent: the same leverage again is fine
    Reason.LEVERAGE_RANGE: WRONG_LEVERAGE,
    Reason.LEVERAGE_MARGIN: "2018",
    Reason.MARGIN_MODE_UNCHANGED: WRONG_OPEN_TYPE,  # never sent: there is no such request
    Reason.MARGIN_MODE_IN_USE: IN_USE,
    Reason.MARGIN_MODE_MISMATCH: "2027",
    Reason.POSITION_MODE_UNCHANGED: OTHER_POSITION_MODE,  # never sent: the same mode is fine
    Reason.POSITION_MODE_HAS_POSITION: IN_USE,
    Reason.POSITION_MODE_HAS_ORDERS: IN_USE,
}
TEXTS = {
    "401": "Not logged in or login has expired",
    "510": "Requests are too frequent, please try again later",
    "513": "Invalid request, please try again later",
    "602": "Signature verification failed!",
    "603": "Repeated request",
    "604": "Sorry, this feature is under maintenance",
    NO_CONTRACT: "Contract does not exist",
    "1002": "Contract not allow place order!",
    WRONG_SIDE: "Order side error",
    WRONG_OPEN_TYPE: "Open type error",
    PRICE_TOO_HIGH: "Bid price is great than max allow price",
    PRICE_TOO_LOW: "Ask price is less than min allow price",
    "2005": "Balance insufficient",
    WRONG_LEVERAGE: "Leverage ratio error",
    "2007": "Order price error",
    CLOSES_TOO_MUCH: "The quantity is insufficient",
    NO_POSITION: "Position is not exists or closed.",
    WRONG_QUANTITY: "Order quantity error, please try to modify.",
    TOO_MANY_CANCELS: "Cancel orders over maximum limit",
    TOO_LARGE_BATCH: "The quantity of batch order exceeds the limit",
    "2015": "Price or quantity accuracy error",
    "2018": "Exceeding the maximum available margin",
    IN_USE: "There is an active open position or order",
    OTHER_LEVERAGE: "The single leverage is not consistent with the existing position leverage",
    WRONG_POSITION_TYPE: "Wrong position type",
    "2027": "There is only one cross or isolated in the same direction",
    "2028": "The order quantity exceeds the maximum",
    LONG_CLIENT_ID: "External order id is too long",
    "2031": "Exceeds the risk limit",
    "2036": "The number of orders exceeds the maximum",
    NO_ORDER: "order not exist",
    NOT_CANCELLABLE: "order state cannot be cancelled",
    OTHER_POSITION_MODE: "Position mode mis match",
}


class Habits:
    """What nobody has told of the venue; tests try the other form."""

    unknown_order_is_null = False  # looked up: success with `data` null, else error 2040
    second_client_id_is_fine = False  # answers the existing order's id, as documented for batches


def refused(code: str) -> VenueError:
    """Make the venue's error of that code, in its words."""
    return VenueError(code, TEXTS[code])


def told(error: VenueError | ParamError | BookError) -> tuple[int, str]:
    """Give code and words of an error, for the rows of a batch."""
    if isinstance(error, ParamError):
        return int(PARAMETER), str(error)
    code = CODES[error.reason] if isinstance(error, BookError) else error.code
    text = TEXTS.get(code, str(error)) if isinstance(error, BookError) else str(error)
    return int(code), text
