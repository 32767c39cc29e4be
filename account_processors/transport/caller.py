"""Sends one call: its turn, the right time, the bytes, then what the answer means.

Reads are repeated once when that may help; writes never. Every error that leaves is one of ours.
"""

import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import stamina

from account_processors.transport.classify import Failure, Verdict, classify
from account_processors.transport.limiter import Limiter, Route
from account_processors.transport.profile import Endpoint, Profile, Row
from account_processors.transport.raw_client import RawClient, Trip, implicit, on_trip
from account_processors.transport.rows import dig, rows_at, text
from account_processors.transport.server_clock import ServerClock
from account_processors.transport.windows import Priority
from core.errors import NotPlacedError, RateLimitedError, TradeEngineError, TransientError

READ_TRIES: Final = 2
MOST_PAGES: Final = 50
# an attempt to connect that failed sent nothing: aiohttp's name for it, and the resolver's
NEVER_CONNECTED: Final = frozenset({"ClientConnectorError", "gaierror"})
# what ccxt's parsers raise on replies that nobody foresaw, and what a closed session raises
GARBAGE_ERRORS: Final = (
    AttributeError, TypeError, ValueError, LookupError, ArithmeticError, OSError, RuntimeError,
)  # fmt: skip


class NoAnswerError(TransientError):
    """The venue did not answer in time: asking again at once would double the wait."""


class NotFoundError(TransientError):
    """The venue's own code says that it does not know what was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A proper envelope, and when its request left (our clock)."""

    envelope: Row
    began_at_ms: int
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What came back from a write: ccxt's unchecked result, and the venue's own reply."""

    result: object = None
    envelope: object = None
    error: TradeEngineError | None = None  # the reply has rows that say more than this
    was_so_already: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Calls one venue in the name of one account, or of nobody."""

    profile: Profile
    base_error: type[Exception]
    limiter: Limiter
    venue: str  # the address that is limited
    account: str
    server_clock: ServerClock
    secrets: tuple[str, ...] = field(default=(), repr=False)
    measure_clock: Callable[[], Awaitable[None]] | None = None  # None: calls that bear no time

    def route(self, group: str) -> Route:
        """Name the budget of a group of endpoints."""
        return Route(self.venue, self.account, group)

    async def read(
        self, client: RawClient, endpoint: Endpoint, params: Mapping[str, object] | None = None
    ) -> Answer:
        """Call an endpoint and check the envelope.

        Raises TransientError, RateLimitedError, MaintenanceError, CredentialsError.
        """
        method = implicit(client, endpoint.method)
        query = {**endpoint.params, **(params or {})}
        async for attempt in stamina.retry_context(
            on=_is_worth_repeating,
            attempts=READ_TRIES,
            timeout=None,
            wait_initial=0.05,
            wait_max=0.2,
            wait_jitter=0.05,
        ):
            with attempt:
                return await self._read_once(endpoint.group, lambda: method(query))
        raise TransientError(f"{self.profile.exchange}: not read")  # never reached

    async def read_listing(self, client: RawClient) -> None:
        """Have ccxt read the contracts into its markets; raises as `read` does."""
        endpoint = self.profile.markets
        for _ in range(self.profile.listing_requests - 1):
            await self.limiter.take(self.route(endpoint.group), Priority.READ)
        fetch = implicit(client, endpoint.method)
        markets, _ = await self._ask(endpoint.group, lambda: fetch(dict(endpoint.params)))
        if not isinstance(markets, list) or not markets:
            msg = f"{self.profile.exchange}: the reply lists no contract: it was not read"
            raise TransientError(msg)
        client.set_markets(markets)

    async def read_rows(
        self, client: RawClient, endpoint: Endpoint, params: Mapping[str, object], what: str
    ) -> tuple[list[Row], int]:
        """Read all pages of a list; gives the rows and when the first request left."""
        profile, query = self.profile, dict[str, object](params)
        path = profile.rows if endpoint.rows is None else endpoint.rows
        rows: list[Row] = []
        began_at_ms = None
        for _ in range(MOST_PAGES):
            answer = await self.read(client, endpoint, query)
            began_at_ms = answer.began_at_ms if began_at_ms is None else began_at_ms
            if endpoint.is_null_absent and dig(answer.envelope, path) is None:
                return rows, began_at_ms
            page = rows_at(answer.envelope, path, what, is_object=endpoint.is_object)
            rows += page
            cursor = text(dig(answer.envelope, profile.cursor)) if profile.cursor else ""
            if not cursor or not page:
                return rows, began_at_ms
            query[profile.cursor_param] = cursor
        msg = f"{what}: more than {MOST_PAGES} pages: they were not all read"
        raise TransientError(msg)

    async def write(
        self,
        group: str,
        priority: Priority,
        send: Callable[[], Awaitable[object]],
        *,
        orders: int = 0,
        is_setting: bool = False,
    ) -> Written:
        """Send a write, once.

        `orders` > 0 uses up what was reserved for them; the error of several whose reply has a row
        for each is handed back, not raised. Raises UnknownOutcomeError, RejectedError,
        NotPlacedError or a child of it, CredentialsError.
        """
        route = self.route(group)
        try:
            await self._have_the_time()
        except NoAnswerError as error:
            if priority is not Priority.REDUCE:  # by a wrong time it is refused, no worse
                raise NotPlacedError(str(error)) from None
        if orders:
            await self.limiter.take_reserved(route, priority, orders)
        else:
            await self.limiter.take(route, priority)
        result, trip, verdict = await self._send(route, send, is_write=True)
        if verdict is None:
            return Written(result=result, envelope=trip.value)
        if is_setting and verdict.meaning == "already_so":
            return Written(was_so_already=True)
        if orders > 1 and isinstance(dig(trip.value, self.profile.order_rows or ("",)), list):
            return Written(envelope=trip.value, error=verdict.error)
        raise verdict.error

    async def _have_the_time(self) -> None:
        if self.measure_clock is None or not self.server_clock.is_stale:
            return
        try:
            await self.measure_clock()
        except TransientError as error:
            # it was tried twice already
            msg = f"not sent, as the venue's clock could not be read: {error}"
            raise NoAnswerError(msg) from None

    async def _read_once(self, group: str, send: Callable[[], Awaitable[object]]) -> Answer:
        result, trip = await self._ask(group, send)
        name, value = self.profile.success
        if not isinstance(result, Mapping) or text(result.get(name)) != value:
            msg = f"{self.profile.exchange}: the reply to a read has no {name} {value}"
            raise TransientError(msg)
        return Answer(envelope=result, began_at_ms=trip.began_at_ms or 0, headers=trip.headers)

    async def _ask(self, group: str, send: Callable[[], Awaitable[object]]) -> tuple[object, Trip]:
        await self._have_the_time()
        route = self.route(group)
        await self.limiter.take(route, Priority.READ)
        result, trip, verdict = await self._send(route, send, is_write=False)
        if verdict is not None:
            raise verdict.error
        if trip.is_garbled or trip.began_at_ms is None:
            msg = f"{self.profile.exchange}: the reply to a read was no JSON"
            raise TransientError(msg)
        return result, trip

    async def _send(
        self, route: Route, send: Callable[[], Awaitable[object]], *, is_write: bool
    ) -> tuple[object, Trip, Verdict | None]:
        # the verdict is handed back and raised by the caller: raised here, it would have ccxt's
        # own error as its context, whose text may quote the key
        result: object = None
        failure: Failure | None = None
        with on_trip() as trip:
            try:
                result = await send()
            except (self.base_error, *GARBAGE_ERRORS) as error:
                failure = self._failure(error, trip, is_write=is_write)
            finally:
                if trip.status is None:
                    self.limiter.unanswered(route)
        verdict = None if failure is None else self._judged(failure)
        if trip.status is not None:
            self._learn(route, trip, verdict)
        return result, trip, verdict

    def _failure(self, error: Exception, trip: Trip, *, is_write: bool) -> Failure:
        cause_names = {kind.__name__ for kind in type(error.__cause__).__mro__}
        return Failure(
            names=frozenset(kind.__name__ for kind in type(error).__mro__),
            text=f"{type(error).__name__}: {error}",
            is_write=is_write,
            has_left=trip.began_at_ms is not None and not (cause_names & NEVER_CONNECTED),
            status=trip.status,
            retry_after_s=self._retry_after_s(trip),
            secrets=self.secrets,
        )

    def _judged(self, failure: Failure) -> Verdict:
        verdict = classify(failure, self.profile)
        if verdict.meaning == "clock":
            self.server_clock.doubt()
        if type(verdict.error) is not TransientError:
            return verdict
        kind: type[TransientError] = TransientError
        if "RequestTimeout" in failure.names:
            kind = NoAnswerError
        elif verdict.meaning == "not_found":
            kind = NotFoundError
        return Verdict(error=kind(str(verdict.error)), meaning=verdict.meaning)

    def _learn(self, route: Route, trip: Trip, verdict: Verdict | None) -> None:
        """Tell the limiter what the reply said of the budget."""
        self.limiter.observe(
            route,
            limit=self._header(trip, "limit"),
            remaining=self._header(trip, "remaining"),
            reset_in_ms=self._reset_in_ms(trip),
        )
        if verdict is not None and isinstance(verdict.error, RateLimitedError):
            self.limiter.refused(route, verdict.limits, verdict.error.retry_after_s)
        else:
            self.limiter.succeeded(route)

    def _retry_after_s(self, trip: Trip) -> int | None:
        said = trip.headers.get("retry-after", "")
        if said.isascii() and said.isdigit():
            return max(1, int(said))
        reset_in_ms = self._reset_in_ms(trip)
        # a reset in the past says nothing of how long to wait
        return math.ceil(reset_in_ms / 1000) if reset_in_ms and reset_in_ms > 0 else None

    def _reset_in_ms(self, trip: Trip) -> int | None:
        reset_ms = self._header(trip, "reset_ms")
        if reset_ms is None or self.profile.resets_from_now:
            return reset_ms
        return reset_ms - self.server_clock.now_ms()

    def _header(self, trip: Trip, what: str) -> int | None:
        said = trip.headers.get(self.profile.limit_headers.get(what, "").lower(), "")
        return int(said) if said.isascii() and said.isdigit() else None


def _is_worth_repeating(error: Exception) -> bool:
    return isinstance(error, TransientError) and not isinstance(
        error, NoAnswerError | NotFoundError
    )
