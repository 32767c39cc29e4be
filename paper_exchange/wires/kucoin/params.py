"""How KuCoin's parameters are read: names of sides and modes, ids, sizes, pages."""

import re
from collections.abc import Mapping, Sequence
from decimal import ROUND_FLOOR, Decimal
from typing import Any

from paper_exchange.instruments import PaperInstrument
from paper_exchange.orders import BookError, MarginMode, Reason, TimeInForce
from paper_exchange.rest import ParamError, Params, VenueError, number, whole
from paper_exchange.wire import Call
from paper_exchange.wires.kucoin.codes import MISSING_PARAM, translated

Row = dict[str, Any]

MARGIN_MODES = {"ISOLATED": MarginMode.ISOLATED, "CROSS": MarginMode.CROSS}
POSITION_SIDES = {"BOTH": 0, "LONG": 1, "SHORT": 2}
TIMES_IN_FORCE = {"GTC": TimeInForce.GTC, "IOC": TimeInForce.IOC, "FOK": TimeInForce.FOK}
SIGNS = {"buy": 1, "sell": -1}
CLIENT_ID = re.compile(r"[A-Za-z0-9_-]{1,40}")
MOST_ROWS = 1000


def instrument(call: Call, params: Params) -> PaperInstrument:
    """The contract that `symbol` names. Raises ParamError, VenueError."""
    name = params.get("symbol")
    if not name:
        raise ParamError("symbol cannot be empty")
    found = call.instruments.by_id.get(str(name))
    if found is None:
        raise translated(BookError(Reason.SYMBOL, ""))
    return found


def margin_mode(params: Params, default: str = "") -> MarginMode:
    """CROSS or ISOLATED. Raises ParamError."""
    found = MARGIN_MODES.get(str(params.get("marginMode") or default))
    if found is None:
        raise ParamError("marginMode must be CROSS or ISOLATED")
    return found


def side_index(params: Params) -> int:
    """0 for BOTH or none, 1 LONG, 2 SHORT. Raises ParamError."""
    found = POSITION_SIDES.get(str(params.get("positionSide") or "BOTH"))
    if found is None:
        raise ParamError("positionSide must be BOTH, LONG or SHORT")
    return found


def sign(params: Params) -> int:
    """1 to buy, -1 to sell. Raises ParamError."""
    found = SIGNS.get(str(params.get("side")))
    if found is None:
        raise ParamError("side must be buy or sell")
    return found


def client_id(params: Params) -> str:
    """The id that every order must have. Raises ParamError."""
    found = params.get("clientOid")
    if not found:
        raise ParamError("validation.createOrder.clientOidIsRequired")
    if not CLIENT_ID.fullmatch(str(found)):
        raise ParamError("clientOid: at most 40 letters, digits, underlines and hyphens")
    return str(found)


def lots(params: Params, row: PaperInstrument, price: Decimal) -> Decimal:
    """Contracts: `size` as it is, or as many whole ones as `qty` (coin), `valueQty` (USDT) buy."""
    if params.get("size") not in {None, ""}:
        return number(params, "size")
    for name, unit in (("qty", row.contract_size), ("valueQty", row.contract_size * price)):
        if params.get(name) not in {None, ""}:
            return (number(params, name) / unit).to_integral_value(ROUND_FLOOR)
    raise VenueError(MISSING_PARAM, "Quantity parameter cannot be empty.")


def is_true(params: Params, name: str) -> bool:
    """A flag, as JSON or text."""
    return params.get(name) in {True, "true"}


def page(found: Sequence[Row], params: Params) -> Row:
    """One page of rows."""
    size = max(1, min(MOST_ROWS, whole(params, "pageSize", "50")))
    current = max(1, whole(params, "currentPage", "1"))
    start = (current - 1) * size
    return {
        "currentPage": current,
        "pageSize": size,
        "totalNum": len(found),
        "totalPage": -(-len(found) // size),
        "items": list(found[start : start + size]),
    }


def has(row: Row, params: Params, names: Mapping[str, str]) -> bool:
    """True if a row has what was asked for: its fields by the names of the parameters."""
    return all(row[key] == params[name] for name, key in names.items() if params.get(name))
