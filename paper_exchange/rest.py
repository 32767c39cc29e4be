"""What the wires of REST venues have in common: find the path, check the door, serve.

Errors are answers too. A venue says where its paths are, how its door is checked, what its
envelope looks like and which of its codes stands for which of the book's reasons.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any, ClassVar

import orjson

from paper_exchange.accounts import KeyRights, PaperAccount
from paper_exchange.instruments import Instruments, PaperInstrument
from paper_exchange.orders import BookError, MarginMode, Reason, Ticket
from paper_exchange.rate_limits import Allowance, Budget
from paper_exchange.wire import Call, Reply, Request

Params = Mapping[str, Any]
Serve = Callable[[Call, Params], Any]


class VenueError(Exception):
    """An answer with an error code in the venue's words."""

    def __init__(self, code: int | str, text: str, status: int = 200) -> None:
        super().__init__(text)
        self.code = str(code)
        self.status = status


class ParamError(Exception):
    """A parameter is missing or cannot be read; the text names it."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What serves a path, and whether it needs a key."""

    serve: Serve
    is_private: bool = True


class RestWire(ABC):
    """One venue's REST protocol; implements `Wire`."""

    prefix: ClassVar[str]
    instruments: Instruments
    endpoints: ClassVar[Mapping[tuple[str, str], Endpoint]]  # (method, "/path/{name}")
    codes: ClassVar[Mapping[Reason, str]]  # all reasons
    param_code: ClassVar[str]  # of a parameter that cannot be read
    ip_limits: ClassVar[tuple[tuple[int, int], ...]]  # (requests, window ms) of one address
    key_header: ClassVar[str]
    forbidden: ClassVar[tuple[str, str, int]] = ("403", "permission denied", 403)  # to this key
    takes_lists: ClassVar[bool] = False  # some of its bodies are JSON lists
    start_margin_mode: ClassVar[MarginMode] = MarginMode.CROSS

    @abstractmethod
    def check_door(self, call: Call) -> None:
        """Check key, time and signature of a private request. Raises VenueError."""

    @abstractmethod
    def success(self, call: Call, served: Any) -> Reply:  # noqa: ANN401
        """Put what was served into the venue's envelope."""

    @abstractmethod
    def error(self, code: str, text: str, at_ms: int, status: int = 200) -> Reply:
        """Put an error into the venue's envelope."""

    @abstractmethod
    def budgets(self, request: Request, account: PaperAccount | None) -> Sequence[Budget]:
        """The account limits that a request counts against."""

    @abstractmethod
    def limit_headers(self, allowance: Allowance, at_ms: int) -> Mapping[str, str]:
        """How the venue tells what is left."""

    @abstractmethod
    def rate_limited(self, at_ms: int) -> Reply:
        """Too many requests of one account."""

    @abstractmethod
    def ip_banned(self, at_ms: int) -> Reply:
        """Too many requests of one address."""

    @abstractmethod
    def maintenance(self, at_ms: int) -> Reply:
        """Closed."""

    def api_key(self, headers: Mapping[str, str]) -> str:
        """The key a request bears."""
        return headers.get(self.key_header, "")

    def ip_budgets(self) -> Sequence[Budget]:
        """The limits on one address."""
        return [
            Budget(bucket=f"{self.prefix}:ip:{span_ms}", limit=limit, window_ms=span_ms)
            for limit, span_ms in self.ip_limits
        ]

    def answer(self, call: Call) -> Reply:
        """Serve a request; errors are answers too."""
        found = _find(self.endpoints, call.request)
        if found is None:
            return self.not_found(call)
        endpoint, from_path = found
        try:
            params = {**read_params(call.request, takes_lists=self.takes_lists), **from_path}
            if endpoint.is_private:
                self.check_door(call)
                self._check_rights(call)
            return self.success(call, endpoint.serve(call, params))
        except VenueError as error:
            return self.error(error.code, str(error), call.venue_ms, error.status)
        except BookError as error:
            return self.error(self.codes[error.reason], str(error), call.venue_ms)
        except ParamError as error:
            return self.error(self.param_code, str(error), call.venue_ms)

    def _check_rights(self, call: Call) -> None:
        if call.request.method != "GET" and rights_of(call).is_read_only:
            raise VenueError(*self.forbidden)

    def not_found(self, call: Call) -> Reply:  # noqa: ARG002
        """A path that the venue has not."""
        return Reply(payload="404 page not found", status=404)

    def refusal(self, code: str, text: str, status: int, at_ms: int) -> Reply:
        """An error that a fault asked for."""
        return self.error(code, text, at_ms, status)

    def endpoint_of(self, request: Request) -> Endpoint | None:
        """What serves a request; None if the venue has no such path."""
        found = _find(self.endpoints, request)
        return found[0] if found else None


def place_order(call: Call, ticket: Ticket, order_id: str) -> None:
    """Take one order, under whatever faults are in force. Raises VenueError, BookError."""
    account, request = account_of(call), call.request
    effects = call.exchange.faults.on_order(
        account.name, request.method, request.path, ticket.symbol
    )
    if effects.refuse:
        raise VenueError(*effects.refuse)
    call.exchange.place(account, ticket, order_id, call.at_ms, effects)


def read_params(request: Request, *, takes_lists: bool) -> Params:
    """The query of a GET or DELETE, the JSON object of a POST; a list is under "items".

    Raises ParamError.
    """
    if request.method != "POST":
        return request.query()
    try:
        body = orjson.loads(request.body or b"{}")
    except orjson.JSONDecodeError as error:
        raise ParamError("params error: body is not JSON") from error
    if isinstance(body, list) and takes_lists:
        return {"items": body}
    if not isinstance(body, dict):
        raise ParamError("params error: body is not an object")
    return body


def account_of(call: Call) -> PaperAccount:
    """Whose request it is; the door was checked before."""
    if call.account is None:
        raise ParamError("params error: no account")
    return call.account


def rights_of(call: Call) -> KeyRights:
    """What the key of a request may do; the door was checked before."""
    return call.exchange.doorkeeper.rights(account_of(call))


def number(params: Params, name: str, default: str | None = None) -> Decimal:
    """A finite number, given as text or JSON number. Raises ParamError."""
    raw = params.get(name)
    if raw is None or raw == "":
        raw = default
    try:
        value = Decimal(str(raw))
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite():
        raise ParamError(f"params error: {name} invalid")
    return value


def whole(params: Params, name: str, default: str | None = None) -> int:
    """The same, cut to an integer."""
    return int(number(params, name, default))


def instrument_of(call: Call, params: Params, name: str = "symbol") -> PaperInstrument:
    """The listed instrument that a parameter names by the venue's id. Raises ParamError."""
    found = call.instruments.by_id.get(str(params.get(name, "")))
    if found is None:
        raise ParamError(f"params error: {name} invalid")
    return found


@cache
def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(path)))


def _find(
    endpoints: Mapping[tuple[str, str], Endpoint], request: Request
) -> tuple[Endpoint, dict[str, str]] | None:
    plain = endpoints.get((request.method, request.path))
    if plain is not None:
        return plain, {}
    for (method, path), endpoint in endpoints.items():
        found = _pattern(path).fullmatch(request.path) if method == request.method else None
        if found:
            return endpoint, found.groupdict()
    return None
