"""Bybit's code for each reason of the book."""

from paper_exchange.orders import Reason

CODES = {
    Reason.SYMBOL: "10001",
    Reason.NOT_TRADING: "110074",
    Reason.SIZE_INVALID: "10001",
    Reason.SIZE_TOO_SMALL: "10001",
    Reason.SIZE_TOO_LARGE: "10001",
    Reason.NOTIONAL_TOO_SMALL: "110094",
    Reason.PRICE_INVALID: "10001",
    Reason.PRICE_RANGE: "110003",
    Reason.DUPLICATE_CLIENT_ID: "110072",
    Reason.NOTHING_TO_REDUCE: "110017",
    Reason.MARGIN: "110007",
    Reason.RISK_LIMIT: "110090",
    Reason.POSITION_INDEX: "10001",
    Reason.TOO_MANY_ORDERS: "110020",
    Reason.UNKNOWN_ORDER: "110001",
    Reason.LEVERAGE_UNCHANGED: "110043",
    Reason.LEVERAGE_RANGE: "110013",
    Reason.LEVERAGE_MARGIN: "110044",
    Reason.MARGIN_MODE_UNCHANGED: "110026",
    Reason.MARGIN_MODE_IN_USE: "3400045",
    Reason.MARGIN_MODE_MISMATCH: "10001",
    Reason.POSITION_MODE_UNCHANGED: "110025",
    Reason.POSITION_MODE_HAS_POSITION: "110024",
    Reason.POSITION_MODE_HAS_ORDERS: "110028",
}
