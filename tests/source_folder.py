"""A source's folder with its real writer and reader, at a time that the test sets."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from core.clock import SystemClock
from core.home import Home
from core.model import Signal
from core.source_reader import SourceReader
from signal_processors.base import SignalWriter
from signal_processors.tradingview_fold import TradingViewFold

DAY = 86_400_000
T0 = 20_000 * DAY


class FixedClock(SystemClock):
    """A clock that the test sets."""

    now = T0

    def now_ms(self) -> int:
        return self.now


def signal(n: int, symbol: str = "ETHUSDT", **fields: Any) -> Signal:
    values: dict[str, Any] = {
        "id": f"tv-{n}",
        "source": "one",
        "source_symbol": symbol,
        "symbol": symbol,
        "depth": Decimal(n) / 100,
        "leverage": None,
        "price": None,
        "fired_at_ms": None,
        "received_at_ms": T0 + n * 1000,
        "meta": {"body_sha256": str(n)},
    }
    return Signal(**values | fields)


@asynccontextmanager
async def writing(home: Home, **kwargs: Any) -> AsyncIterator[SignalWriter]:
    clock = kwargs.pop("clock", FixedClock())
    writer = SignalWriter(home, "one", clock=clock, fold=TradingViewFold(), **kwargs)
    writer.open()
    try:
        yield writer
    finally:
        await writer.close()


def folder(home: Home) -> Path:
    return home.raw_signals / "one"


def depths(reader: SourceReader) -> dict[str, str] | None:
    seen = reader.sweep()
    return None if seen is None else {symbol: str(row.depth) for symbol, row in seen.items()}


async def stored(home: Home) -> SourceReader:
    """A source with two days of signals, and a reader that saw them."""
    clock = FixedClock()
    async with writing(home, clock=clock) as writer:
        await writer.store(signal(5))
        clock.now += DAY
        await writer.store(signal(2, "BTCUSDT"))
        await writer.store(signal(3, "BTCUSDT"))
    reader = SourceReader(home, "one")
    assert depths(reader) == {"ETHUSDT": "0.05", "BTCUSDT": "0.03"}
    return reader
