"""A venue's public side, shared by all its accounts: listing, prices, clock.

Whoever asks at the same time shares one request; a failure is everybody's and is not kept (B2).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Final

from account_processors.transport.caller import Caller
from account_processors.transport.ccxt_loading import LoadedVenue, load
from account_processors.transport.limiter import Limiter
from account_processors.transport.listing import Listing, read_listing
from account_processors.transport.profile import Profile, Row
from account_processors.transport.raw_client import Address, RawClient, make_client
from account_processors.transport.rows import dig, number, read_ticker, rows_at, text
from account_processors.transport.server_clock import ServerClock
from account_processors.transport.session import HttpPool
from account_processors.transport.single_flight import SingleFlight
from core.errors import TransientError
from core.model import Instrument, Ticker
from core.ports import Clock

LISTING_AGE_MS: Final = 60_000  # callers of one start share a reading; the engine caches an hour
TICKERS_AGE_MS: Final = 1_000  # lanes of one pass share a reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Transport:
    """What all venues of a process share."""

    clock: Clock
    limiter: Limiter
    pool: HttpPool = field(default_factory=HttpPool)
    timeout_s: float = 10.0

    async def close(self) -> None:
        """Give connections back."""
        await self.limiter.close()
        await self.pool.close()


class CcxtMarket:
    """The public side of one venue at one address; implements the port `Market`."""

    def __init__(self, profile: Profile, address: Address, transport: Transport) -> None:
        self.profile = profile
        self.address = address
        self.transport = transport
        self.name = f"{profile.exchange}@{address.name}"
        self.loaded: LoadedVenue = load(profile.ccxt_id)
        self.server_clock = ServerClock(transport.clock)
        transport.limiter.add_venue(self.name, profile.budgets, profile.costs)
        self._caller = self.caller_for("")
        self._client: RawClient | None = None
        self._listing: Listing | None = None
        self._loading = SingleFlight(self._load)
        self._measuring = SingleFlight(self._measure)
        self._pricing = SingleFlight(self._price)
        self._prices: tuple[list[Row], int, int] = ([], 0, -TICKERS_AGE_MS)

    async def fetch_instruments(self) -> Mapping[str, Instrument]:
        """All USDT perpetuals by our symbol. Raises TransientError, RateLimitedError."""
        return (await self.listing(LISTING_AGE_MS)).instruments

    async def fetch_tickers(self, symbols: Collection[str]) -> Mapping[str, Ticker]:
        """Prices of those `symbols` that have a readable row, from one request for all.

        Callers within a second share it. Raises TransientError, RateLimitedError.
        """
        names = (await self.listing()).symbols
        if self._monotonic_ms() - self._prices[2] > TICKERS_AGE_MS:
            await self._pricing.join()
        rows, began_at_ms, _ = self._prices
        wanted = frozenset(symbols)
        found: dict[str, Ticker] = {}
        for row in rows:
            symbol = names.get(text(row.get(self.profile.ticker.symbol)), "")
            if symbol in wanted:
                ticker = read_ticker(row, self.profile.ticker, symbol, began_at_ms)
                found |= {} if ticker is None else {symbol: ticker}
        return found

    async def listing(self, max_age_ms: int | None = None) -> Listing:
        """Give what is listed, read at most `max_age_ms` ago (None: ever)."""
        known = self._listing
        if known is None or (
            max_age_ms is not None and self._monotonic_ms() - known.read_at_ms > max_age_ms
        ):
            return await self._loading.join()
        return known

    @property
    def known_listing(self) -> Listing | None:
        """Give the listing read last, without asking."""
        return self._listing

    async def id_of(self, symbol: str) -> str:
        """Give the venue's name of our symbol; one that is not listed keeps its own."""
        names = (await self.listing()).symbols
        return next((raw for raw, ours in names.items() if ours == symbol), symbol)

    def symbol_of(self, raw_symbol: str) -> str:
        """Name a venue's symbol; one that is not a listed USDT perpetual keeps its own name."""
        known = self._listing
        return known.symbols.get(raw_symbol, raw_symbol) if known else raw_symbol

    async def measure_clock(self) -> None:
        """Measure the venue's clock against ours. Raises TransientError."""
        await self._measuring.join()

    def caller_for(self, account: str, secrets: tuple[str, ...] = ()) -> Caller:
        """Make the caller of an account, or of nobody for public data."""
        return Caller(
            profile=self.profile,
            base_error=self.loaded.base_error,
            limiter=self.transport.limiter,
            venue=self.name,
            account=account,
            server_clock=self.server_clock,
            secrets=secrets,
            measure_clock=self.measure_clock if account else None,
        )

    def make_client(self, keys: Mapping[str, str]) -> RawClient:
        """Build a ccxt instance at this address; needs a running loop, sends nothing."""
        return make_client(
            self.loaded,
            self.profile,
            keys=keys,
            address=self.address,
            server_clock=self.server_clock,
            pool=self.transport.pool,
            timeout_s=self.transport.timeout_s,
        )

    async def close(self) -> None:
        """End what is on its way."""
        for flight in (self._loading, self._measuring, self._pricing):
            await flight.close()
        if self._client is not None:
            await self._client.close()
        if self._listing is not None:
            await self._listing.client.close()
        self._client = self._listing = None

    async def _load(self) -> Listing:
        # a new instance each time: ccxt takes garbage for an empty list and would keep that
        client = self.make_client({})
        old = self._listing
        listing = None
        try:
            await self._caller.read_listing(client)
            listing = self._listing = read_listing(client, self.profile, self._monotonic_ms())
        finally:
            if listing is None:  # it failed, or the engine is being stopped
                await client.close()
        if old is not None:
            await old.client.close()
        return listing

    async def _measure(self) -> None:
        path = self.profile.server_time_ms
        endpoint = self.profile.server_time or self.profile.tickers
        answer = await self._caller.read(self._public(), endpoint)
        answered_at_ms = self.transport.clock.now_ms()
        server_ms = number(dig(answer.envelope, path)) if path else _date_ms(answer.headers)
        if server_ms is None:
            msg = f"{self.profile.exchange}: the reply does not tell the venue's time"
            raise TransientError(msg)
        self.server_clock.set(
            server_ms=int(server_ms), sent_at_ms=answer.began_at_ms, answered_at_ms=answered_at_ms
        )

    async def _price(self) -> None:
        began_ms = self._monotonic_ms()
        answer = await self._caller.read(self._public(), self.profile.tickers)
        path = self.profile.tickers.rows or self.profile.rows
        rows = rows_at(answer.envelope, path, "tickers")
        self._prices = (rows, answer.began_at_ms, began_ms)

    def _public(self) -> RawClient:
        if self._client is None:
            self._client = self.make_client({})
        return self._client

    def _monotonic_ms(self) -> int:
        return self.transport.clock.monotonic_ms()


def _date_ms(headers: Mapping[str, str]) -> int | None:
    """Read the reply's Date: the second in which it was made, so half a second is its error."""
    try:
        made_at = parsedate_to_datetime(headers.get("date", ""))
    except ValueError:
        return None
    return int(made_at.timestamp()) * 1000 + 500
