"""What is known of SN8: miners, their positions, how they are ranked; frozen values only.

Pure: no I/O, clock or chance. Sign everywhere: long > 0, short < 0. A *pair* is SN8's name of a
market (`BTCUSD`), which is our `source_symbol`. Scores are statistics and therefore floats;
leverage, weights and depths are what positions are sized by and therefore Decimal.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

ZERO: Final = Decimal(0)
MS_A_DAY: Final = 86_400_000


def parent_of(hotkey: str) -> str:
    """Give the registered hotkey behind an entity's synthetic one (`SS58_3`); else the same."""
    return hotkey.partition("_")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class MinerPosition:
    """A position as the validator showed it last: open, or closed a moment ago."""

    hotkey: str
    uuid: str  # of its first order
    pair: str
    net_leverage: Decimal  # signed multiple of the miner's account; 0 once closed
    opened_at_ms: int
    updated_at_ms: int  # when its newest order was processed
    is_closed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedTrade:
    """A closed position, as history."""

    uuid: str
    pair: str
    opened_at_ms: int
    closed_at_ms: int
    result: float  # multiplier after fees: 1.02 = +2 %


@dataclass(frozen=True, slots=True, kw_only=True)
class Miner:
    """One miner of a snapshot."""

    hotkey: str
    positions: tuple[MinerPosition, ...]  # open ones
    trades: tuple[ClosedTrade, ...]  # closed ones, oldest first


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One whole payload of `/miner-positions` that was understood.

    `dropped` are miners of which something was wrong, with the reason: they are unknown, not flat.
    """

    miners: Mapping[str, Miner]
    dropped: Mapping[str, str] = field(default_factory=dict)
    watermark_ms: int = 0  # newest order of the whole network

    @property
    def count(self) -> int:
        """How many miners the payload named."""
        return len(self.miners) + len(self.dropped)


@dataclass(frozen=True, slots=True, kw_only=True)
class MinerStatistics:
    """What `/statistics` says of a miner; None = it does not say."""

    hotkey: str
    bucket: str = ""  # challenge period: success, testing, probation, plagiarism ...
    daily_returns: tuple[tuple[int, float], ...] = ()  # (days since 1970, 0.01 = +1 %), ascending
    drawdown: float | None = None  # worst instantaneous one, 0.08 = 8 % below the peak
    penalty: float | None = None  # factor 0..1, 1 = none
    asset_class: str = ""  # what the miner chose: crypto, forex ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """All of `/statistics`."""

    created_at_ms: int  # the validator's own stamp
    miners: Mapping[str, MinerStatistics]


@dataclass(frozen=True, slots=True, kw_only=True)
class Neuron:
    """One registered key of the subnet."""

    hotkey: str
    uid: int
    coldkey: str
    incentive: float  # mean over 30 days, as a share of all miners' (sum 1)
    registered_at_ms: int  # when this key took its place; from its block
    is_validator: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """Who is registered on the subnet, by hotkey."""

    block: int
    fetched_at_ms: int
    neurons: Mapping[str, Neuron]

    def neuron(self, hotkey: str) -> Neuron | None:
        """Find a key; an entity's synthetic hotkey is found by its parent."""
        return self.neurons.get(parent_of(hotkey))


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedMiner:
    """What the ranking says of one miner, kept or dropped, and why."""

    hotkey: str
    weight: Decimal = ZERO  # share of the depth that follows this miner, 0..1
    score: float = 0.0  # comparable within one ranking only
    rank: int | None = None  # 1 = best; None = not eligible
    reasons: tuple[str, ...] = ()  # codes, then words: "few_trades: 3 of 10"
    refused_pairs: frozenset[str] = frozenset()  # in which it is not followed
    figures: Mapping[str, float] = field(default_factory=dict)  # what it was judged by

    @property
    def is_kept(self) -> bool:
        """Tell whether its positions count."""
        return self.weight > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """All miners, best first, then those that were dropped."""

    name: str
    made_at_ms: int
    rows: tuple[RankedMiner, ...]
    flags: tuple[str, ...] = ()  # what it had to do without: no_chain, chain_stale, no_statistics

    @property
    def weights(self) -> dict[str, Decimal]:
        """Weights by hotkey, of those that are kept; together at most 1."""
        return {row.hotkey: row.weight for row in self.rows if row.is_kept}
