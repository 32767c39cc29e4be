"""The ranking `classic`: thresholds on the closed positions, then one score made of their figures.

Pure: no I/O, clock or chance. Only closed positions in mapped pairs are history; open ones have no
result yet. A result is a multiplier of the whole account, so results multiply; they are added as
logarithms, which cannot overflow. Drawdowns here are 0 or below: -0.12 = 12 % under the peak.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import expm1, fsum, inf, isfinite, log, log1p, sqrt
from typing import Final

from signal_processors.bittensor_config import AssetFiltering, Filtering, ProcessorConfig, Scoring
from signal_processors.bittensor_model import MS_A_DAY, ClosedTrade, Miner
from signal_processors.bittensor_weighing import Judged, RankingInputs, expulsions

HIGHEST_GROWTH: Final = 20.0
"""As a logarithm; half a billionfold. What is beyond counts as that, so that nothing overflows."""
LEAST_DEVIATION: Final = 0.0001
"""A basis point a day: returns that hardly differ do not make a ratio without bounds."""
TOLERANCE: Final = 1e-9  # of thresholds, for what rounding does to products
BAD_HISTORY: Final = "bad_history: a closed position has a result that is no number"


def closed_trades(miner: Miner, pairs: Collection[str]) -> list[ClosedTrade]:
    """Give its closed positions in these pairs, in order of closing."""
    found = [trade for trade in miner.trades if trade.pair in pairs]
    found.sort(key=lambda trade: (trade.closed_at_ms, trade.uuid))
    return found


def has_numbers(trades: Iterable[ClosedTrade]) -> bool:
    """Tell whether every result is a number that can be judged."""
    return all(isfinite(trade.result) for trade in trades)


def growth(result: float) -> float:
    """Give a result as a logarithm; -inf where everything was lost."""
    return log(result) if result > 0 else -inf


def growth_by_day(trades: Iterable[ClosedTrade]) -> dict[int, float]:
    """Add up the logarithms of results by UTC day of closing (days since 1970), ascending."""
    days: dict[int, list[float]] = {}
    for trade in trades:
        days.setdefault(trade.closed_at_ms // MS_A_DAY, []).append(growth(trade.result))
    return {day: fsum(found) for day, found in sorted(days.items())}


def as_return(logarithm: float) -> float:
    """Give the return that a logarithm of growth stands for: -1 = everything was lost."""
    return expm1(min(logarithm, HIGHEST_GROWTH))


def worst_fall(growths: Iterable[float]) -> float:
    """Give the worst fall of the equity that logarithms of growth make, from 1 on: 0 .. -1."""
    equity = peak = worst = 0.0
    for step in growths:
        equity += step
        peak = max(peak, equity)
        worst = min(worst, equity - peak)
    return expm1(worst)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Figures:
    trades: int
    total_return: float
    drawdown: float
    profitable_rate: float
    sharpe: float
    age_days: float
    refused_pairs: frozenset[str]

    def shown(self) -> dict[str, float]:
        return {
            "trades": float(self.trades),
            "total_return": self.total_return,
            "drawdown": self.drawdown,
            "profitable_rate": self.profitable_rate,
            "sharpe": self.sharpe,
            "age_days": self.age_days,
            "refused_pairs": float(len(self.refused_pairs)),
        }


def judge_classic(inputs: RankingInputs, config: ProcessorConfig) -> list[Judged]:
    """Judge every miner; the order of the result says nothing.

    The score is a sum of five terms, each finite; percentiles are among the miners that pass:

    1. `(1 + drawdown) ^ drawdown_exponent`, 0..1: 1 = never fell.
    2. `percentile(sharpe) ^ sharpe_exponent`, 0..1: mean by deviation of the daily returns.
    3. `total_return / (1 + |total_return|)`, -0.5..1: bounded, so that one enormous return cannot
       outweigh everything else; near 0 it is the return itself.
    4. `profitable_rate ^ profitable_rate_exponent`, 0..1.
    5. `percentile(n) * log1p(n) / position_count_divisor` for n closed positions, 0 or above.
    """
    figures: dict[str, _Figures] = {}
    reasons: dict[str, list[str]] = {}
    for hotkey, miner in sorted(inputs.miners.items()):
        reasons[hotkey] = list(expulsions(hotkey, inputs))
        trades = closed_trades(miner, inputs.crypto_pairs)
        if not trades:
            reasons[hotkey].append("no_history: no closed position in a mapped pair")
        elif not has_numbers(trades):
            reasons[hotkey].append(BAD_HISTORY)
        else:
            found = _figures(trades, inputs, config.asset_filtering)
            figures[hotkey] = found
            reasons[hotkey] += _failures(found, config.filtering, config.asset_filtering)
            if found.refused_pairs == inputs.crypto_pairs:
                reasons[hotkey].append("few_trades_per_asset: in no pair does it have enough")
    passing = {hotkey: row for hotkey, row in figures.items() if not reasons[hotkey]}
    scores = _scores(passing, config.scoring)
    return [
        Judged(
            hotkey=hotkey,
            is_eligible=hotkey in scores,
            is_expelled=bool(expulsions(hotkey, inputs)),
            score=scores.get(hotkey, 0.0),
            reasons=(*found_reasons, *_refusal(figures.get(hotkey), hotkey in scores)),
            refused_pairs=figures[hotkey].refused_pairs if hotkey in figures else frozenset(),
            figures=figures[hotkey].shown() if hotkey in figures else {},
        )
        for hotkey, found_reasons in reasons.items()
    ]


def _figures(
    trades: Sequence[ClosedTrade], inputs: RankingInputs, filtering: AssetFiltering
) -> _Figures:
    growths = [growth(trade.result) for trade in trades]
    counts = Counter(trade.pair for trade in trades)
    return _Figures(
        trades=len(trades),
        total_return=as_return(fsum(growths)),
        drawdown=worst_fall(growths),
        profitable_rate=sum(trade.result > 1 for trade in trades) / len(trades),
        sharpe=_sharpe([as_return(total) for total in growth_by_day(trades).values()]),
        age_days=(inputs.now_ms - trades[-1].closed_at_ms) / MS_A_DAY,
        refused_pairs=frozenset(
            pair for pair in inputs.crypto_pairs if counts[pair] < filtering.min_trades_per_asset
        ),
    )


def _sharpe(returns: Sequence[float]) -> float:
    if len(returns) < 2:  # noqa: PLR2004 - one day deviates from nothing
        return 0.0
    mean = fsum(returns) / len(returns)
    variance = fsum((value - mean) ** 2 for value in returns) / (len(returns) - 1)
    return mean / max(sqrt(variance), LEAST_DEVIATION)


def _failures(row: _Figures, filtering: Filtering, assets: AssetFiltering) -> list[str]:
    found = []
    if row.trades < filtering.min_trades:
        found.append(f"few_trades: {row.trades} of {filtering.min_trades}")
    if row.drawdown < float(filtering.max_drawdown) - TOLERANCE:
        found.append(f"drawdown: {row.drawdown:.3f}, at worst {filtering.max_drawdown}")
    if row.profitable_rate < float(filtering.min_profitable_rate):
        least = filtering.min_profitable_rate
        found.append(f"profitable_rate: {row.profitable_rate:.3f}, at least {least}")
    if row.total_return < float(filtering.min_total_return) - TOLERANCE:
        found.append(f"total_return: {row.total_return:.3f}, at least {filtering.min_total_return}")
    if row.age_days > assets.max_trade_age_days:
        found.append(
            f"old: last close {row.age_days:.1f} days ago, at most {assets.max_trade_age_days}"
        )
    return found


def _refusal(row: _Figures | None, is_eligible: bool) -> list[str]:
    if row is None or not is_eligible or not row.refused_pairs:
        return []
    return [f"few_trades_per_asset: not followed in {', '.join(sorted(row.refused_pairs))}"]


def _scores(passing: Mapping[str, _Figures], scoring: Scoring) -> dict[str, float]:
    sharpes = sorted(row.sharpe for row in passing.values())
    counts = sorted(row.trades for row in passing.values())
    found = {}
    for hotkey, row in passing.items():
        of_sharpe = bisect_right(sharpes, row.sharpe) / len(sharpes)
        of_count = bisect_right(counts, row.trades) / len(counts)
        found[hotkey] = fsum(
            (
                (1 + row.drawdown) ** float(scoring.drawdown_exponent),
                of_sharpe ** float(scoring.sharpe_exponent),
                row.total_return / (1 + abs(row.total_return)),
                row.profitable_rate ** float(scoring.profitable_rate_exponent),
                of_count * log1p(row.trades) / float(scoring.position_count_divisor),
            )
        )
    return found
