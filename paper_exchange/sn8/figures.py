"""What the validator works out about miners: returns day by day, risk, ranks.

Pure. Everything follows from the positions, so that statistics and history never disagree.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, sqrt
from statistics import mean, pstdev

from paper_exchange.sn8.model import Miner, daily_results, result
from paper_exchange.sn8.quotes import DAY_MS

A_YEAR = 365
ENOUGH_DAYS = 60
WITHIN_A_DAY = 0.998  # an equity curve by the minute falls a little deeper than one by the day


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One miner's figures."""

    daily: tuple[tuple[int, float], ...]  # (day since 1970, 0.01 = +1 %), complete days only
    daily_drawdown: float  # multiplier: 0.97 = 3 % below the peak
    n_positions: int
    profitable: float  # share of the closed ones
    duration_ms: int  # of all positions together
    account_usd: float

    @property
    def values(self) -> list[float]:
        """Daily returns alone."""
        return [value for _, value in self.daily]

    @property
    def drawdown(self) -> float:
        """The worst moment, as a multiplier."""
        return self.daily_drawdown * WITHIN_A_DAY if self.daily_drawdown < 1 else 1.0

    @property
    def is_long_enough(self) -> bool:
        """True if the history is long enough to be judged."""
        return len(self.daily) >= ENOUGH_DAYS


def figures(miner: Miner, seed: int, now_ms: int) -> Figures:
    """Work out one miner's figures, of the days that are over."""
    today = now_ms // DAY_MS
    by_day: dict[int, float] = dict.fromkeys(range(miner.first_day, today), 0.0)
    for position in miner.positions:
        for day, value in daily_results(position, seed, today * DAY_MS).items():
            if day in by_day:
                by_day[day] += value
    won = sum(result(row, seed, now_ms) > 1 for row in miner.history)
    ends = [row.updated_ms for row in miner.history] + [now_ms] * len(miner.holding)
    begins = [row.open_ms for row in miner.positions]
    return Figures(
        daily=tuple(sorted(by_day.items())),
        daily_drawdown=_drawdown(list(by_day.values())),
        n_positions=len(miner.positions),
        profitable=won / len(miner.history) if miner.history else 0.0,
        duration_ms=sum(ends) - sum(begins),
        account_usd=miner.account_usd,
    )


def metrics(found: Figures) -> dict[str, float]:
    """The network's ratios."""
    values = found.values
    if not values:
        return dict.fromkeys((*METRICS,), 0.0)
    average, spread = mean(values), pstdev(values)
    below = sqrt(mean([min(value, 0.0) ** 2 for value in values]))
    gains = sum(value for value in values if value > 0)
    losses = -sum(value for value in values if value < 0)
    fall = max(1 - found.daily_drawdown, 0.005)
    return {
        "omega": gains / max(losses, 0.001),
        "sharpe": average / max(spread, 0.001) * sqrt(A_YEAR),
        "sortino": average / max(below, 0.001) * sqrt(A_YEAR),
        "calmar": average * A_YEAR / fall,
        "statistical_confidence": average / max(spread, 0.001) * sqrt(len(values)),
        "return": sum(values),
        "pnl": sum(values) * found.account_usd,
    }


METRICS = ("omega", "sharpe", "sortino", "calmar", "statistical_confidence", "return", "pnl")


def ranked(values: Mapping[str, float]) -> dict[str, tuple[int, float]]:
    """Rank (1 = best) and percentile (1 = best) by name."""
    names = sorted(values, key=lambda name: (-values[name], name))
    last = max(len(names) - 1, 1)
    return {name: (rank + 1, 1 - rank / last) for rank, name in enumerate(names)}


def shares(skills: Mapping[str, float]) -> dict[str, float]:
    """Weights that sum to 1, more for the better ones."""
    best = max(skills.values(), default=0.0)
    raw = {name: exp(min(value - best, 0.0)) for name, value in skills.items()}
    total = sum(raw.values()) or 1.0
    return {name: value / total for name, value in raw.items()}


def _drawdown(values: Sequence[float]) -> float:
    equity = peak = worst = 1.0
    for value in values:
        equity *= 1 + value
        peak = max(peak, equity)
        worst = min(worst, equity / peak)
    return worst
