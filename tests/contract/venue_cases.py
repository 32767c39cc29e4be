"""A venue as the engine has it, over HTTP against the paper exchange; for the tests of the port."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal

from pydantic import SecretStr

from account_processors import (
    CcxtMarket,
    CcxtVenue,
    Transport,
    address_of,
    open_market,
    open_venue,
    venue_profiles,
)
from account_processors.transport.limiter import Limiter
from account_processors.transport.profile import Profile
from core.clock import SystemClock
from core.model import OrderRequest, PlacedOrder
from core.ports import Clock, Market, Venue
from core.settings import AccountConfig
from paper_exchange import book
from paper_exchange.account import AccountState
from paper_exchange.accounts import PaperAccount
from paper_exchange.orders import MarginMode
from paper_exchange.server import PaperServer
from tests.contract.capabilities import cell
from tests.venues import WORDS, Door, OnTheWire, VenueWords

NAMES = ("main", "second", "third", "fourth", "fifth")
SECRETS = {name: f"SECRET{name.upper()}00" for name in NAMES}
BTC, ETH = "BTCUSDT", "ETHUSDT"


class TurnedClock(SystemClock):
    """The system's clock: tests set it wrong, and let time pass without waiting for it."""

    def __init__(self) -> None:
        self.wrong_by_ms = 0
        self.passed_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.passed_ms + self.wrong_by_ms

    def monotonic_ms(self) -> int:
        return super().monotonic_ms() + self.passed_ms


@dataclass
class Bench:
    """A running paper exchange, one venue's market and the venues of its accounts."""

    exchange: str
    server: PaperServer
    transport: Transport
    market: CcxtMarket
    clock: TurnedClock
    their_clock: TurnedClock
    venues: list[CcxtVenue] = field(default_factory=list)

    @property
    def words(self) -> VenueWords:
        return WORDS[self.exchange]

    @property
    def profile(self) -> Profile:
        return venue_profiles()[self.exchange]

    def shows(self, capability: str, observed: object) -> None:
        """Compare what a case saw with what the table of capabilities says."""
        assert cell(self.profile, capability) == str(observed)

    def later(self, seconds: int) -> None:
        """Let time pass, here and at the venue: budgets are free again."""
        self.clock.passed_ms += seconds * 1000
        self.their_clock.passed_ms += seconds * 1000

    # --- our side
    def venue(self, name: str = "main", **changes: object) -> CcxtVenue:
        venue = open_venue(account_of(name, exchange=self.exchange, **changes), self.market)
        self.venues.append(venue)
        return venue

    async def connected(self, name: str = "main", **changes: object) -> CcxtVenue:
        venue = self.venue(name, **changes)
        await venue.connect()
        self.server.forget_requests()
        return venue

    def order(
        self,
        client_id: str = "te0001",
        coins: str = "0.01",
        *,
        symbol: str = BTC,
        reduce_only: bool = False,
        price: str | None = None,
    ) -> OrderRequest:
        """An order of so many coins, in the venue's lots."""
        lots = format(self.words.lots(symbol, coins), "f")
        return order(client_id, lots, symbol=symbol, reduce_only=reduce_only, price=price)

    async def open(
        self, venue: CcxtVenue, coins: str, *, symbol: str = BTC, client_id: str = "open1"
    ) -> None:
        """Hold a position, opened by an order of ours."""
        (placed,) = await venue.place_orders([self.order(client_id, coins, symbol=symbol)])
        assert isinstance(placed, PlacedOrder), placed

    # --- the other side
    def paths(self) -> list[str]:
        return [request.path for request in self.server.requests()]

    def to(self, *doors: Door) -> int:
        """How many requests came to these doors."""
        requests = self.server.requests()
        return sum(any(door.is_met_by(request) for door in doors) for request in requests)

    def on_the_wire(self) -> list[OnTheWire]:
        """The orders that came, in order."""
        return [o for request in self.server.requests() for o in self.words.on_the_wire(request)]

    def sent(self) -> list[list[OnTheWire]]:
        """The same, by request."""
        found = (self.words.on_the_wire(request) for request in self.server.requests())
        return [orders for orders in found if orders]

    def break_at(self, door: Door, kind: str, **spec: object) -> int:
        """Inject a fault at one door."""
        return self.server.add_fault(kind, **door.fault, **spec)

    def break_orders(self, kind: str, **spec: object) -> int:
        """Inject a fault wherever orders are placed."""
        return self.server.add_fault(kind, **self.words.creates, **spec)

    def coins(self, symbol: str = BTC, name: str = "main", side: int = 0) -> Decimal:
        """What is held by the books, in coins."""
        lots = self.state(name).size_lots(symbol, side)
        return lots * self.words.instrument(symbol).contract_size

    def size(self, symbol: str = BTC, name: str = "main") -> Decimal:
        """What is held by the books, in lots."""
        return self.state(name).size_lots(symbol)

    def state(self, name: str = "main") -> AccountState:
        exchange = self.server.exchange
        return exchange.state(self.server.account(name), exchange.clock.now_ms())

    def put(self, after: AccountState, name: str = "main") -> None:
        """Put another state in force, as a person at the venue's own page would."""
        exchange = self.server.exchange
        exchange.change(self.server.account(name).id, after, exchange.clock.now_ms())

    def hedge(self, name: str = "main") -> None:
        """Switch the account to hedge mode."""
        self.put(book.set_position_mode(self.state(name), is_hedged=True), name)

    def isolate(self, symbol: str = "", name: str = "main") -> None:
        """Switch the account, or a symbol, to isolated margin."""
        self.put(book.set_margin_mode(self.state(name), MarginMode.ISOLATED, symbol), name)

    def shrink(self, symbol: str, lots: Decimal, name: str = "main") -> None:
        """Leave so much of a position, however odd."""
        state = self.state(name)
        left = {
            key: replace(row, size_lots=lots if row.size_lots > 0 else -lots)
            for key, row in state.positions.items()
            if row.symbol == symbol
        }
        self.put(replace(state, positions={**state.positions, **left}), name)

    def impoverish(self, name: str = "main") -> None:
        """Leave 10 USDT in the wallet."""
        self.server.exchange.deposit(self.server.account(name), Decimal(-99_990))


def account_of(name: str = "main", *, exchange: str = "bybit", **changes: object) -> AccountConfig:
    passphrase = WORDS[exchange].passphrase
    return AccountConfig.model_validate(
        {
            "name": name,
            "exchange": exchange,
            "api_key": SecretStr(f"KEY{name.upper()}"),
            "api_secret": SecretStr(SECRETS[name]),
            "api_passphrase": SecretStr(passphrase) if passphrase else None,
            "environment": "paper",
            **changes,
        }
    )


def paper_accounts(exchange: str = "bybit") -> Iterator[PaperAccount]:
    for name in NAMES:
        yield PaperAccount(
            name=name,
            exchange=exchange,
            api_key=f"KEY{name.upper()}",
            api_secret=SECRETS[name],
            api_passphrase=WORDS[exchange].passphrase,
        )


@asynccontextmanager
async def bench(
    exchange: str = "bybit", *, timeout_s: float = 5.0, limits: bool = True
) -> AsyncIterator[Bench]:
    """Start everything at known prices, and close everything."""
    clock, their_clock = TurnedClock(), TurnedClock()
    accounts = paper_accounts(exchange)
    async with PaperServer(accounts=accounts, limits=limits, clock=their_clock) as server:
        server.pin(BTCUSDT="60000", ETHUSDT="3000")
        transport = Transport(clock=clock, limiter=Limiter(clock), timeout_s=timeout_s)
        address = address_of(account_of(exchange=exchange), server.url)
        market = open_market(exchange, address, transport)
        running = Bench(exchange, server, transport, market, clock, their_clock)
        try:
            yield running
        finally:
            for venue in running.venues:
                await venue.close()
            await market.close()
            await transport.close()


async def until(condition: Callable[[], object]) -> None:
    """Give the loop turns until something is so; pytest's time-out ends what never is."""
    while not condition():  # noqa: ASYNC110 - nothing tells us
        await asyncio.sleep(0)


def order(
    client_id: str = "te0001",
    size: str = "0.01",
    *,
    symbol: str = BTC,
    reduce_only: bool = False,
    price: str | None = None,
) -> OrderRequest:
    """An order of so many lots."""
    return OrderRequest(
        client_id=client_id,
        symbol=symbol,
        size_lots=Decimal(size),
        reduce_only=reduce_only,
        limit_price=None if price is None else Decimal(price),
    )


def as_ports(
    market: CcxtMarket, venue: CcxtVenue, clock: SystemClock
) -> tuple[Market, Venue, Clock]:
    """Have the type checker compare the classes with the ports."""
    return market, venue, clock
