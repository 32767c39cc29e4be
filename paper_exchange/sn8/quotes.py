"""What the simulated miners trade, and at which prices: pairs, and a seeded walk in time.

Pure: the same (seed, pair, time) always gives the same price, past and future, so that a history
can be made to fit it.
"""

import hashlib
import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import exp
from types import MappingProxyType
from typing import Final

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS
OCTAVES: Final = range(4, 18)  # swings of 16 minutes up to 91 days
DAY_SWING: Final = 45.0  # how far a day moves, in amplitudes of a swing of one minute


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One market of the subnet."""

    id: str
    name: str
    asset_class: str  # crypto or forex
    reference_price: float  # quote currency; the walk wanders around it
    daily_volatility: float  # 0.025 = 2.5 % a day
    shown_fee: float  # as the payload has it, not what is charged
    fee: float  # charged, of the leverage traded
    min_leverage: float
    max_leverage: float


def _crypto(id_: str, price: float, volatility: float) -> Pair:
    return Pair(
        id=id_,
        name=f"{id_[:-3]}/USD" if id_.endswith("USD") else f"{id_[:-4]}/USDC",
        asset_class="crypto",
        reference_price=price,
        daily_volatility=volatility,
        shown_fee=0.003,
        fee=0.001,
        min_leverage=0.01,
        max_leverage=0.5,
    )


def _forex(id_: str, price: float) -> Pair:
    return Pair(
        id=id_,
        name=f"{id_[:3]}/{id_[3:]}",
        asset_class="forex",
        reference_price=price,
        daily_volatility=0.004,
        shown_fee=0.00007,
        fee=0.00007,
        min_leverage=0.1,
        max_leverage=5.0,
    )


PAIRS: Final[Mapping[str, Pair]] = MappingProxyType(
    {
        pair.id: pair
        for pair in (
            _crypto("BTCUSD", 60_000, 0.022),
            _crypto("ETHUSD", 3328, 0.028),
            _crypto("SOLUSD", 150, 0.035),
            _crypto("XRPUSD", 0.52, 0.033),
            _crypto("DOGEUSD", 0.12, 0.038),
            _crypto("ADAUSD", 0.45, 0.034),
            _crypto("BTCUSDC", 60_000, 0.022),  # what newer validators call BTCUSD; by hand only
            _forex("EURUSD", 1.08),
            _forex("GBPUSD", 1.27),
            _forex("USDJPY", 149.0),
            _forex("AUDUSD", 0.66),
        )
    }
)


def dice(*words: object) -> random.Random:
    """Give chance that depends on the words alone."""
    return random.Random(":".join(map(str, words)))  # noqa: S311 - repeatable on purpose


@lru_cache(maxsize=65_536)
def _lattice(seed: int, pair: str, octave: int, index: int) -> float:
    """Noise in -1..1 that depends on its arguments alone."""
    digest = hashlib.blake2b(f"{seed}:{pair}:{octave}:{index}".encode(), digest_size=4).digest()
    return int.from_bytes(digest) / 0x7FFF_FFFF - 1


@lru_cache(maxsize=65_536)
def price(seed: int, pair: str, at_ms: int) -> float:
    """Price of a pair at a time, quote currency."""
    market = PAIRS[pair]
    moved = 0.0
    for octave in OCTAVES:
        index, into = divmod(at_ms / MINUTE_MS, 1 << octave)
        share = into / (1 << octave)
        here = _lattice(seed, pair, octave, int(index))
        there = _lattice(seed, pair, octave, int(index) + 1)
        moved += (here + (there - here) * share) * 2 ** (octave / 2)
    return market.reference_price * exp(moved * market.daily_volatility / DAY_SWING)
