"""One ccxt instance, its code unmodified, with our session, clock, address and eyes on it.

ccxt keeps what it saw last in attributes of the instance, which lie as soon as two requests
overlap. What a request met is noted in a `Trip` of the calling task instead, by a context variable.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from decimal import localcontext
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

from account_processors.transport.ccxt_loading import LoadedVenue
from account_processors.transport.profile import Profile
from account_processors.transport.server_clock import ServerClock
from account_processors.transport.session import HttpPool

Method = Callable[[object], Awaitable[object]]


@dataclass(slots=True)
class Trip:
    """What became of one call: when it left, and what the replies looked like."""

    began_at_ms: int | None = None  # our clock; None = nothing left this process
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)  # names in lower case
    replies: int = 0
    parsed: int = 0
    value: object = None  # of the last reply that was JSON

    @property
    def is_garbled(self) -> bool:
        """True when a reply was no JSON, which ccxt passes on as if it were empty."""
        return self.parsed < self.replies


class RawClient(Protocol):
    """The part of a ccxt instance that we use; what it returns is to be checked, hence object."""

    markets: Mapping[str, Mapping[str, object]] | None
    set_markets: Callable[[list[object]], object]
    set_markets_from_exchange: Callable[["RawClient"], None]
    amount_to_precision: Callable[[str, str], str]
    price_to_precision: Callable[[str, str], str]
    create_order: Callable[..., Awaitable[object]]  # by name: symbol, type, side, amount, price
    create_orders: Callable[[list[dict[str, object]]], Awaitable[object]]
    set_leverage: Callable[[int | str, str, Mapping[str, object]], Awaitable[object]]
    set_margin_mode: Callable[[str, str], Awaitable[object]]
    close: Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a venue is: its own hosts, its demo hosts, or any host that speaks its protocol."""

    base_url: str | None = None
    is_demo: bool = False

    @property
    def name(self) -> str:
        """Tell addresses apart: each has its own markets, clock and budgets."""
        return self.base_url or ("demo" if self.is_demo else "live")


_TRIP: ContextVar[Trip | None] = ContextVar("trip", default=None)


@contextmanager
def on_trip() -> Iterator[Trip]:
    """Collect what the requests inside meet; ccxt's changes to decimal rounding stay inside too."""
    trip = Trip()
    token = _TRIP.set(trip)
    try:
        with localcontext():
            yield trip
    finally:
        _TRIP.reset(token)


def implicit(client: RawClient, name: str) -> Method:
    """Give ccxt's method for one of the venue's own endpoints."""
    return cast("Method", getattr(client, name))


def make_client(  # noqa: PLR0913 - the parts of one client
    loaded: LoadedVenue,
    profile: Profile,
    *,
    keys: Mapping[str, str],
    address: Address,
    server_clock: ServerClock,
    pool: HttpPool,
    timeout_s: float,
) -> RawClient:
    """Build an instance; needs a running loop, sends nothing."""
    options = {name: _copied(value) for name, value in profile.options.items()}
    client: Any = loaded.venue_class(
        {
            **keys,
            "enableRateLimit": False,
            "timeout": int(timeout_s * 1000),
            "session": pool.session,
            "options": options,
        }
    )
    client.ssl_context = pool.ssl_context
    client.timeout_on_exit = 0  # it waits for sockets of its own; these are shared
    client.verbose = False  # prints keys and signatures
    client.enableLastHttpResponse = client.enableLastJsonResponse = False
    client.enableLastResponseHeaders = False
    client.has["fetchCurrencies"] = False  # the only switch for a signed call in load_markets
    client.milliseconds = server_clock.times_of(keys.get("apiKey", ""), profile.time_slack_ms)
    if address.is_demo and not address.base_url:  # overwrites the URLs, so before the redirect
        switch = {"demo_trading": "enable_demo_trading", "sandbox": "set_sandbox_mode"}
        getattr(client, switch[profile.demo])(True)
    if address.base_url:
        client.urls["api"] = _redirected(client.urls["api"], address.base_url)
    _watch(client, server_clock)
    return cast("RawClient", client)


def _watch(client: Any, server_clock: ServerClock) -> None:  # noqa: ANN401 - ccxt is untyped
    send, parse = client.fetch, client.on_json_response

    async def fetch(*arguments: object, **named: object) -> object:
        trip = _TRIP.get()
        if trip is not None and trip.began_at_ms is None:
            trip.began_at_ms = server_clock.now_ms() - server_clock.offset_ms
        return await send(*arguments, **named)

    def on_rest_response(*seen: Any) -> object:  # noqa: ANN401
        trip = _TRIP.get()
        if trip is not None:
            trip.status, trip.replies = seen[0], trip.replies + 1
            trip.headers = {name.lower(): value for name, value in seen[4].items()}
        return seen[5].strip()

    def on_json_response(text: str) -> object:
        value = parse(text)
        trip = _TRIP.get()
        if trip is not None:
            trip.parsed += 1
            trip.value = value
        return value

    client.fetch, client.on_rest_response = fetch, on_rest_response
    client.on_json_response = on_json_response


def _redirected(urls: object, base_url: str) -> object:
    if isinstance(urls, dict):
        return {name: _redirected(url, base_url) for name, url in urls.items() if name != "ws"}
    path = urlsplit(str(urls).replace("{hostname}", "x.com")).path.rstrip("/")
    return f"{base_url.rstrip('/')}{path}"


def _copied(value: object) -> object:
    """Copy an option: ccxt writes into its options."""
    if isinstance(value, Mapping):
        return {name: _copied(part) for name, part in value.items()}
    return list(value) if isinstance(value, list | tuple) else value
