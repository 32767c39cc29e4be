"""What Bybit's requests carry, read with Bybit's own complaints; shared by its reads and writes."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from paper_exchange.accounts import PaperAccount
from paper_exchange.wire import Call, Request

Result = dict[str, Any]
Params = Mapping[str, Any]


class VenueError(Exception):
    """An answer with a code other than 0."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def read_params(request: Request) -> Params:
    """The query of a GET, the JSON object of a POST. Raises VenueError 10001."""
    if request.method == "GET":
        return request.query()
    try:
        body = orjson.loads(request.body or b"{}")
    except orjson.JSONDecodeError as error:
        raise VenueError(10001, "params error: body is not JSON") from error
    if not isinstance(body, dict):
        raise VenueError(10001, "params error: body is not an object")
    return body


def account_of(call: Call) -> PaperAccount:
    """Whose request it is. Raises VenueError 10003."""
    if call.account is None:
        raise VenueError(10003, "API key is invalid.")
    return call.account


def number(params: Params, name: str, default: str | None = None) -> Decimal:
    """A finite number, given as text or JSON number. Raises VenueError 10001."""
    raw = params.get(name)
    if raw is None or raw == "":
        raw = default
    try:
        value = Decimal(str(raw))
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite():
        raise VenueError(10001, f"params error: {name} invalid")
    return value


def whole(params: Params, name: str, default: str | None = None) -> int:
    """The same, cut to an integer."""
    return int(number(params, name, default))


def known_symbol(call: Call, params: Params) -> str:
    """A symbol that is listed. Raises VenueError 10001."""
    symbol = str(params.get("symbol", ""))
    if symbol not in call.exchange.instruments:
        raise VenueError(10001, "params error: symbol invalid")
    return symbol


def is_linear(params: Params) -> bool:
    """True for the one category that has instruments here."""
    return bool(params.get("category", "linear") == "linear")
