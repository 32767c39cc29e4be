"""A venue as the engine has it, over HTTP against the paper exchange; for the tests of the port."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal

from pydantic import SecretStr

from account_processors import CcxtMarket, CcxtVenue, Transport, address_of, open_market, open_venue
from account_processors.transport.limiter import Limiter
from core.clock import SystemClock
from core.model import OrderRequest
from core.ports import Clock, Market, Venue
from core.settings import AccountConfig
from paper_exchange.accounts import PaperAccount
from paper_exchange.server import PaperServer

NAMES = ("main", "second", "third", "fourth", "fifth")
SECRETS = {name: f"SECRET{name.upper()}00" for name in NAMES}
BTC, ETH = "BTCUSDT", "ETHUSDT"
CREATE, BATCH = "/v5/order/create", "/v5/order/create-batch"
POSITIONS, WALLET = "/v5/position/list", "/v5/account/wallet-balance"
INSTRUMENTS, TICKERS = "/v5/market/instruments-info", "/v5/market/tickers"
TIME, REALTIME, HISTORY = "/v5/market/time", "/v5/order/realtime", "/v5/order/history"


class TurnedClock(SystemClock):
    """The system's clock, set wrong by tests."""

    def __init__(self) -> None:
        self.wrong_by_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.wrong_by_ms


@dataclass
class Bench:
    """A running paper exchange, one market and the venues of its accounts."""

    server: PaperServer
    transport: Transport
    market: CcxtMarket
    clock: TurnedClock
    venues: list[CcxtVenue] = field(default_factory=list)

    def venue(self, name: str = "main", **changes: object) -> CcxtVenue:
        venue = open_venue(account_of(name, **changes), self.market)
        self.venues.append(venue)
        return venue

    async def connected(self, name: str = "main", **changes: object) -> CcxtVenue:
        venue = self.venue(name, **changes)
        await venue.connect()
        self.server.forget_requests()
        return venue

    def paths(self) -> list[str]:
        return [request.path for request in self.server.requests()]

    def size(self, symbol: str = BTC, name: str = "main") -> Decimal:
        return Decimal(self.server.truth(name)["sizes"].get(symbol, "0"))


def account_of(name: str = "main", **changes: object) -> AccountConfig:
    return AccountConfig.model_validate(
        {
            "name": name,
            "exchange": "bybit",
            "api_key": SecretStr(f"KEY{name.upper()}"),
            "api_secret": SecretStr(SECRETS[name]),
            "environment": "paper",
            **changes,
        }
    )


def paper_accounts() -> list[PaperAccount]:
    return [
        PaperAccount(
            name=name, exchange="bybit", api_key=f"KEY{name.upper()}", api_secret=SECRETS[name]
        )
        for name in NAMES
    ]


@asynccontextmanager
async def bench(*, timeout_s: float = 5.0, limits: bool = True) -> AsyncIterator[Bench]:
    """Start everything at known prices, and close everything."""
    clock = TurnedClock()
    async with PaperServer(accounts=paper_accounts(), limits=limits) as server:
        server.pin(BTCUSDT="60000", ETHUSDT="3000")
        transport = Transport(clock=clock, limiter=Limiter(clock), timeout_s=timeout_s)
        market = open_market("bybit", address_of(account_of(), server.url), transport)
        running = Bench(server=server, transport=transport, market=market, clock=clock)
        try:
            yield running
        finally:
            for venue in running.venues:
                await venue.close()
            await market.close()
            await transport.close()


def order(
    client_id: str = "te0001",
    size: str = "0.01",
    *,
    symbol: str = BTC,
    reduce_only: bool = False,
    price: str | None = None,
) -> OrderRequest:
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
