"""Where prices come from: a seeded walk, a recorded file, or a person's pin. Time is an argument.

No source keeps state that depends on when it was asked: the same (source, symbol, time) always
gives the same quote, so that a run can be repeated.
"""

import csv
import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from core.errors import ConfigError
from paper_exchange.instruments import PaperInstrument

STEP_MS = 1000
OCTAVES = 13  # the slowest swing takes 2**12 s; all together stay within about 1 % of the anchor
FASTEST_MILLI_BP = 500  # amplitude of the fastest octave: half a basis point each second
SPREAD_RATE = Decimal("0.00005")  # half a basis point, at least one tick


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """Prices of one symbol at one moment, USDT per base coin; all multiples of the tick."""

    symbol: str
    bid: Decimal
    ask: Decimal
    mark: Decimal


class PriceSource(Protocol):
    """Anything that knows a price for every listed symbol at any time."""

    def price(self, instrument: PaperInstrument, at_ms: int) -> Decimal:
        """Price at `at_ms`, USDT, not yet rounded to the tick."""
        ...


def quote(instrument: PaperInstrument, price: Decimal) -> Quote:
    """Put bid and ask around a price: mark and bid on the tick below it, ask a spread above."""
    tick = instrument.tick_size
    mark = max(tick, (price / tick).to_integral_value(ROUND_FLOOR) * tick)
    spread = max(tick, (mark * SPREAD_RATE / tick).to_integral_value(ROUND_FLOOR) * tick)
    return Quote(symbol=instrument.symbol, bid=mark, ask=mark + spread, mark=mark)


@lru_cache(maxsize=65_536)
def _lattice(seed: int, symbol: str, octave: int, index: int) -> int:
    """Noise in -1000..1000 that depends on its arguments alone."""
    digest = hashlib.blake2b(f"{seed}:{symbol}:{octave}:{index}".encode(), digest_size=4).digest()
    return int.from_bytes(digest) % 2001 - 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomWalk:
    """A slow wander around each symbol's reference price, about one basis point a second."""

    seed: int = 0

    def price(self, instrument: PaperInstrument, at_ms: int) -> Decimal:
        """Reference price moved by a sum of octaves of value noise; a new price each second."""
        step = at_ms // STEP_MS
        moved = 0  # thousandths of a thousandth of a basis point
        for octave in range(OCTAVES):
            period = 1 << octave
            index, into = divmod(step, period)
            here = _lattice(self.seed, instrument.symbol, octave, index)
            there = _lattice(self.seed, instrument.symbol, octave, index + 1)
            amplitude = FASTEST_MILLI_BP * (1 << (octave // 2))
            moved += amplitude * (here * (period - into) + there * into) // period
        return instrument.reference_price * (1 + Decimal(moved) / 10_000_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedPrices:
    """Prices that stand still; symbols without one stay at their reference price."""

    prices: Mapping[str, Decimal]

    def price(self, instrument: PaperInstrument, at_ms: int) -> Decimal:  # noqa: ARG002
        """The symbol's price, whatever the time."""
        return self.prices.get(instrument.symbol, instrument.reference_price)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedPrices:
    """A recording played back: at each time the last row at or before it, else the first."""

    rows: Mapping[str, tuple[tuple[int, Decimal], ...]]  # by symbol, ascending in time (ms)

    @classmethod
    def from_csv(cls, path: Path) -> "RecordedPrices":
        """Read `at_ms,symbol,price` lines with a header. Raises ConfigError naming the line."""
        rows: dict[str, list[tuple[int, Decimal]]] = {}
        with path.open(newline="") as file:
            for number, row in enumerate(csv.DictReader(file), start=2):
                try:
                    entry = (int(row["at_ms"]), Decimal(row["price"]))
                    rows.setdefault(row["symbol"], []).append(entry)
                except (KeyError, ValueError, ArithmeticError) as error:
                    message = f"line {number} is not at_ms,symbol,price: {row} ({path.name})"
                    raise ConfigError(message) from error
        return cls(rows={symbol: tuple(sorted(found)) for symbol, found in rows.items()})

    def price(self, instrument: PaperInstrument, at_ms: int) -> Decimal:
        """The recorded price in force at `at_ms`; the reference price for an unrecorded symbol."""
        rows = self.rows.get(instrument.symbol)
        if not rows:
            return instrument.reference_price
        return rows[max(0, bisect_right(rows, at_ms, key=lambda row: row[0]) - 1)][1]


class Board(Mapping[str, Quote]):
    """The quotes of one moment, worked out when asked for; pinned prices win over the source."""

    __slots__ = ("_at_ms", "_found", "_pins", "_source", "instruments")

    def __init__(
        self,
        instruments: Mapping[str, PaperInstrument],
        source: PriceSource,
        at_ms: int,
        pins: Mapping[str, Decimal] | None = None,
    ) -> None:
        self.instruments = instruments
        self._source = source
        self._at_ms = at_ms
        self._pins = pins or {}
        self._found: dict[str, Quote] = {}

    def __getitem__(self, symbol: str) -> Quote:
        found = self._found.get(symbol)
        if found is None:
            instrument = self.instruments[symbol]
            price = self._pins.get(symbol)
            if price is None:
                price = self._source.price(instrument, self._at_ms)
            found = self._found[symbol] = quote(instrument, price)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self.instruments)

    def __len__(self) -> int:
        return len(self.instruments)
