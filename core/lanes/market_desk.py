"""One venue's public data, read once and shared by all its accounts.

Instruments are kept an hour, tickers for seconds; failures are never kept (B2). Concurrent askers
share one request.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Generic, TypeVar

from core.errors import TradeEngineError
from core.model import Instrument, Ticker
from core.ports import Clock, Market

INSTRUMENTS_MAX_AGE_MS = 3_600_000

Answer = TypeVar("Answer")


class _Shared(Generic[Answer]):
    """A value that is read by whoever needs it first."""

    def __init__(self, read: Callable[[], Awaitable[Answer]], clock: Clock) -> None:
        self._read = read
        self._clock = clock
        self._under_way: asyncio.Task[Answer] | None = None
        self._read_at_ms = 0
        self.value: Answer | None = None

    def is_younger(self, max_age_ms: int) -> bool:
        return self.value is not None and (
            self._clock.monotonic_ms() - self._read_at_ms <= max_age_ms
        )

    async def refreshed(self) -> Answer:
        if self._under_way is None:
            self._under_way = asyncio.ensure_future(self._refresh())
            self._under_way.add_done_callback(self._forget)
        return await asyncio.shield(self._under_way)

    async def _refresh(self) -> Answer:
        began = self._clock.monotonic_ms()
        answer = await self._read()
        self.value, self._read_at_ms = answer, began
        return answer

    def _forget(self, task: asyncio.Task[Answer]) -> None:
        self._under_way = None
        if not task.cancelled():
            task.exception()  # the askers have it; nobody may be left to retrieve it

    async def close(self) -> None:
        if self._under_way is not None:
            self._under_way.cancel()
            with suppress(asyncio.CancelledError, TradeEngineError):
                await self._under_way


class MarketDesk:
    """Instruments and prices of one venue."""

    def __init__(self, market: Market, clock: Clock, *, ticker_max_age_s: float) -> None:
        self._market = market
        self._ticker_max_age_ms = int(ticker_max_age_s * 1000)
        self._watched: set[str] = set()
        self._asked: frozenset[str] = frozenset()  # symbols of the last read that succeeded
        self._instruments = _Shared(market.fetch_instruments, clock)
        self._tickers = _Shared(self._read_tickers, clock)
        self._last_prices: dict[str, Decimal] = {}

    def watch(self, symbols: Iterable[str]) -> None:
        """Name symbols whose prices the next read shall bring."""
        self._watched.update(symbols)

    async def instruments(self) -> Mapping[str, Instrument]:
        """All instruments; raises what the venue's read raises when none are known well enough."""
        if self._instruments.value is not None and self._instruments.is_younger(
            INSTRUMENTS_MAX_AGE_MS
        ):
            return self._instruments.value
        return await self._instruments.refreshed()

    def last_instruments(self) -> Mapping[str, Instrument]:
        """The last instruments known, of any age: good enough to close with."""
        return self._instruments.value or {}

    async def tickers(self, symbols: Iterable[str]) -> Mapping[str, Ticker]:
        """Prices within their age limit, of those symbols that have one."""
        wanted = set(symbols)
        fresh = self._tickers.is_younger(self._ticker_max_age_ms) and wanted <= self._asked
        self.watch(wanted)
        value = self._tickers.value
        if not fresh or value is None:
            value = await self._tickers.refreshed()
            if not wanted <= self._asked:  # joined a read that had left before we asked
                value = await self._tickers.refreshed()
        return {s: value[s] for s in wanted if s in value}

    def last_price(self, symbol: str) -> Decimal | None:
        """The last mark price read, of any age."""
        return self._last_prices.get(symbol)

    async def close(self) -> None:
        """Give up reads that are under way."""
        await self._instruments.close()
        await self._tickers.close()

    async def _read_tickers(self) -> Mapping[str, Ticker]:
        asked = frozenset(self._watched)
        tickers = await self._market.fetch_tickers(asked)
        self._asked = asked
        self._last_prices.update({s: t.mark_price for s, t in tickers.items()})
        return tickers
