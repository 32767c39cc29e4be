"""How BloFin reads parameters: what it says when one is missing, empty or wrong."""

import re
from decimal import Decimal

from paper_exchange.instruments import PaperInstrument
from paper_exchange.orders import MarginMode
from paper_exchange.rest import ParamError, Params, VenueError, number, whole
from paper_exchange.wire import Call
from paper_exchange.wires.blofin.codes import INSTRUMENT, PARAM_EMPTY, PARAM_WRONG

MARGIN_MODES = {"cross": MarginMode.CROSS, "isolated": MarginMode.ISOLATED}
POSITION_MODES = {"net_mode": False, "long_short_mode": True}
SIDE_INDEXES = {"net": 0, "long": 1, "short": 2}
MAX_INSTRUMENTS = 20
CLIENT_ID = re.compile(r"[A-Za-z0-9_]{0,32}", re.ASCII)
FAR_MS = 10**15
BUY_LIMITS = Decimal("0.2"), Decimal("1.05")  # of mark, worked out of the documents' example
SELL_LIMITS = Decimal("0.95"), Decimal(5)  # no source: the mirror image


def wrong(name: str) -> VenueError:
    """The error of a parameter that cannot be what it is."""
    return VenueError(PARAM_WRONG, f"Parameter {name} error.")


def text(params: Params, name: str) -> str:
    """A parameter that must be there. Raises VenueError."""
    value = str(params.get(name) or "")
    if not value:
        raise VenueError(PARAM_EMPTY, f"Parameter {name} cannot be empty.")
    return value


def amount(params: Params, name: str) -> Decimal:
    """A number that must be there. Raises VenueError."""
    text(params, name)
    try:
        return number(params, name)
    except ParamError as error:
        raise wrong(name) from error


def count(params: Params, name: str, default: int) -> int:
    """A whole number, or the default. Raises VenueError."""
    try:
        return whole(params, name, str(default))
    except ParamError as error:
        raise wrong(name) from error


def instrument(call: Call, params: Params) -> PaperInstrument:
    """The contract that `instId` names. Raises VenueError."""
    return _listed(call, text(params, "instId"))


def instruments(call: Call, params: Params) -> list[PaperInstrument]:
    """Up to 20, parted by commas. Raises VenueError."""
    ids = text(params, "instId").split(",")
    if len(ids) > MAX_INSTRUMENTS:
        message = f"Number of instId values exceeds the maximum limit of {MAX_INSTRUMENTS}"
        raise VenueError("152015", message)
    return [_listed(call, name.strip()) for name in ids]


def margin_mode(params: Params) -> MarginMode:
    """Cross or isolated. Raises VenueError."""
    found = MARGIN_MODES.get(text(params, "marginMode"))
    if found is None:
        raise wrong("marginMode")
    return found


def side_index(params: Params) -> int:
    """0 net, 1 long, 2 short; net when it is not said. Raises VenueError."""
    found = SIDE_INDEXES.get(str(params.get("positionSide") or "net"))
    if found is None:
        raise wrong("positionSide")
    return found


def client_id(params: Params) -> str:
    """Our own id of an order, "" for none. Raises VenueError."""
    found = str(params.get("clientOrderId") or "")
    if CLIENT_ID.fullmatch(found) is None:
        message = (
            "clientOrderId must be a combination of numbers, letters, or underscores, "
            "and the maximum length of characters is 32."
        )
        raise VenueError("152009", message)
    return found


def price_limits(call: Call, symbol: str, sign: int) -> tuple[Decimal, Decimal]:
    """The lowest and the highest price of a limit order: sign 1 to buy, -1 to sell."""
    mark = call.board[symbol].mark
    lowest, highest = BUY_LIMITS if sign > 0 else SELL_LIMITS
    return mark * lowest, mark * highest


def _listed(call: Call, name: str) -> PaperInstrument:
    found = call.instruments.by_id.get(name)
    if found is None:
        raise VenueError(INSTRUMENT, "Instrument ID does not exist")
    return found
