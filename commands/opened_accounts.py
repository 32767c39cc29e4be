"""Accounts opened for reading, beside the engine: no lock, no lane, nothing is ever sent.

Importing this loads ccxt: do it only where an exchange is asked.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from account_processors import Address, CcxtMarket, Transport, address_of, open_market, open_venue
from account_processors.transport.limiter import COMMAND_SHARE, Limiter
from commands.position_reading import OpenAccount
from commands.position_rows import Row, failed_row
from core.clock import SteadyClock
from core.errors import TradeEngineError
from core.home import Home
from core.process.service_status import read_status
from core.settings import AccountConfig, Settings


@asynccontextmanager
async def open_venues(
    home: Home, settings: Settings
) -> AsyncIterator[tuple[list[OpenAccount], list[Row]]]:
    """Open every enabled account; give those that could be opened, and a row for each other."""
    clock = SteadyClock()
    timeout_s = settings.engine.engine.request_timeout_s
    transport = Transport(
        clock=clock, limiter=Limiter(clock, share=COMMAND_SHARE), timeout_s=timeout_s
    )
    opened: list[OpenAccount] = []
    failed: list[Row] = []
    async with AsyncExitStack() as closing:
        closing.push_async_callback(transport.close)
        markets = _Markets(home, transport, closing)
        for account in settings.accounts:
            if not account.enabled:
                continue
            try:
                market = markets.of(account)
                venue = open_venue(account, market)
            except TradeEngineError as error:
                failed.append(failed_row(account.name, str(error)))
                continue
            closing.push_async_callback(venue.close)
            opened.append(OpenAccount(account=account, venue=venue, market=market))
        yield opened, failed


class _Markets:
    """One market an address, shared by its accounts."""

    def __init__(self, home: Home, transport: Transport, closing: AsyncExitStack) -> None:
        self._paper_url = read_status(home, "paper-exchange").get("url")
        self._transport = transport
        self._closing = closing
        self._markets: dict[tuple[str, Address], CcxtMarket] = {}

    def of(self, account: AccountConfig) -> CcxtMarket:
        address = address_of(account, self._paper_url)
        key = (account.exchange, address)
        if key not in self._markets:
            market = open_market(account.exchange, address, self._transport)
            self._closing.push_async_callback(market.close)
            self._markets[key] = market
        return self._markets[key]
