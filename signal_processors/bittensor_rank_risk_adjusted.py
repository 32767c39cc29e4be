"""The ranking `risk_adjusted`: who earns steadily, by days, after what it risked.

Pure: no I/O, clock or chance. A better day never makes a worse score. History from before a key
was registered is somebody else's. Drawdowns here are 0 or above: 0.08 = 8 % under the peak.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import exp2, fsum, inf, isfinite, log1p, sqrt
from typing import Final

from signal_processors.bittensor_config import ProcessorConfig, RiskAdjusted
from signal_processors.bittensor_model import MS_A_DAY, Miner, MinerStatistics, Neuron
from signal_processors.bittensor_rank_classic import (
    BAD_HISTORY,
    closed_trades,
    growth_by_day,
    has_numbers,
    worst_fall,
)
from signal_processors.bittensor_weighing import Judged, RankingInputs, expulsions

ACCEPTED: Final = frozenset({"success", "maincomp"})
PROBATION: Final = "probation"
PLAGIARISM: Final = "plagiarism"
CRYPTO: Final = "crypto"
BEST_DAY: Final = 0.25
"""A day beyond +25 % is an error or a bet, and counts as that."""
WORST_DAY: Final = -1.0
LEAST_DOWNSIDE: Final = 0.001
"""Per day, added in squares: never to have lost yet does not make a ratio without bounds."""
TOLERANCE: Final = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class _Past:
    """A miner's credited history; `returns` by days since 1970, those that it lacks being 0."""

    returns: Mapping[int, float]
    whole_weight: float  # of all its days, those without a return among them
    days: int  # it spans
    known_days: int  # on which something happened
    drawdown: float
    problem: str = ""


NOTHING: Final = _Past(returns={}, whole_weight=0.0, days=0, known_days=0, drawdown=0.0)


def judge_risk_adjusted(inputs: RankingInputs, config: ProcessorConfig) -> list[Judged]:
    """Judge every miner; the order of the result says nothing.

    score = skill x the validator's penalty x the factor of its bucket x a bonus for incentive;
    skill = mean of its daily returns / (their deviation below 0 + a floor) x n / (n + shrinkage),
    where a day counts half after each half-life and n is the number of days.
    """
    judged = [_judge(hotkey, inputs, config) for hotkey in sorted(inputs.miners)]
    most = max((row.figures["incentive"] for row in judged if row.is_eligible), default=0.0)
    prior = float(config.risk_adjusted.incentive_prior)
    return [_with_bonus(row, most, prior) if row.is_eligible else row for row in judged]


def _judge(hotkey: str, inputs: RankingInputs, config: ProcessorConfig) -> Judged:
    settings = config.risk_adjusted
    known = None if inputs.statistics is None else inputs.statistics.miners.get(hotkey)
    neuron = None if inputs.registry is None else inputs.registry.neuron(hotkey)
    bucket = None if known is None else known.bucket.strip().lower() or None
    expelled = expulsions(hotkey, inputs)
    past = _past(inputs.miners[hotkey], known, neuron, inputs, settings)
    skill = _skill(past, inputs.now_ms // MS_A_DAY, settings)
    factor = _factor(bucket, settings)
    penalty = 1.0 if known is None or known.penalty is None else _share(known.penalty)
    reasons = [
        *expelled,
        *_of_bucket(bucket, factor),
        *_of_naming(hotkey, known, inputs),
        *_of_asset(inputs.miners[hotkey], known, inputs.crypto_pairs),
        *_of_past(past, skill, settings),
        *([] if penalty > 0 else ["penalty: the validator leaves nothing of its score"]),
    ]
    score = skill * penalty * factor
    if not reasons and not score > 0:
        reasons.append("no_skill: too small to be told from nothing")  # the product underflows
    told = [] if known else ["no_statistics: judged by its closed positions, bucket unknown"]
    return Judged(
        hotkey=hotkey,
        is_eligible=not reasons,
        is_expelled=bool(expelled) or bucket == PLAGIARISM,
        score=0.0 if reasons else score,
        reasons=(*reasons, *told),
        figures={
            "skill": skill,
            "days": float(past.days),
            "drawdown": past.drawdown,
            "penalty": penalty,
            "bucket_factor": factor,
            "incentive": 0.0 if neuron is None else _share(neuron.incentive),
        },
    )


def _with_bonus(row: Judged, most: float, prior: float) -> Judged:
    share = row.figures["incentive"] / most if most > 0 else 0.0
    return replace(row, score=row.score * (1 + prior * share))


def _past(
    miner: Miner,
    known: MinerStatistics | None,
    neuron: Neuron | None,
    inputs: RankingInputs,
    settings: RiskAdjusted,
) -> _Past:
    registered_at_ms = 0 if neuron is None else neuron.registered_at_ms
    if known is None or not known.daily_returns:
        past = _traded(miner, registered_at_ms, inputs, settings)
    else:
        past = _published(known, registered_at_ms, inputs.now_ms, settings)
    fall = None if known is None else known.drawdown
    if fall is not None and fall >= 0:  # which NaN is not
        past = replace(past, drawdown=min(fall, 1.0))
    return past


def _published(
    known: MinerStatistics, registered_at_ms: int, now_ms: int, settings: RiskAdjusted
) -> _Past:
    today = now_ms // MS_A_DAY
    days = {
        day: value
        for day, value in sorted(known.daily_returns)
        if 0 <= day <= today and day * MS_A_DAY >= registered_at_ms
    }
    if not days:
        return NOTHING
    if not all(isfinite(value) for value in days.values()):
        return replace(NOTHING, problem="bad_history: a daily return is no number")
    returns = _bounded(days)
    return _Past(
        returns=returns,
        whole_weight=fsum(_fresh(today - day, settings) for day in returns),
        days=len(returns),
        known_days=len(returns),
        drawdown=abs(worst_fall(_logarithm(value) for value in returns.values())),
    )


def _traded(
    miner: Miner, registered_at_ms: int, inputs: RankingInputs, settings: RiskAdjusted
) -> _Past:
    """Make daily returns of closed positions; days without a close count as 0, also the last."""
    trades = [
        trade
        for trade in closed_trades(miner, inputs.crypto_pairs)
        if trade.opened_at_ms >= registered_at_ms
    ]
    if not trades:
        return NOTHING
    if not has_numbers(trades):
        return replace(NOTHING, problem=BAD_HISTORY)
    today, growths = inputs.now_ms // MS_A_DAY, growth_by_day(trades)
    first, last = min(growths), max(growths)
    ended = max(last, today - 1)  # today is not over
    return _Past(
        returns=_bounded(growths),
        whole_weight=_fresh_between(today - ended, today - first, settings),
        days=last - first + 1,
        known_days=len(growths),
        drawdown=abs(worst_fall(growths.values())),
    )


def _skill(past: _Past, today: int, settings: RiskAdjusted) -> float:
    """Give the shrunk Sortino ratio of a day; 0 without history."""
    if not past.whole_weight > 0:
        return 0.0
    weights = {day: _fresh(today - day, settings) for day in past.returns}
    mean = fsum(weights[day] * value for day, value in past.returns.items()) / past.whole_weight
    below = fsum(weights[day] * min(value, 0.0) ** 2 for day, value in past.returns.items())
    downside = sqrt(below / past.whole_weight + LEAST_DOWNSIDE**2)
    shrinkage = past.known_days / (past.known_days + float(settings.shrinkage_days))
    return mean / downside * shrinkage


def _fresh(age_days: int, settings: RiskAdjusted) -> float:
    return exp2(-max(0, age_days) / float(settings.half_life_days))


def _fresh_between(newest_days: int, oldest_days: int, settings: RiskAdjusted) -> float:
    """Add up `_fresh` over all ages between, both included, without walking through them."""
    kept = _fresh(1, settings)
    return (_fresh(newest_days, settings) - _fresh(oldest_days + 1, settings)) / (1 - kept)


def _bounded(returns: Mapping[int, float]) -> dict[int, float]:
    return {day: max(WORST_DAY, min(BEST_DAY, value)) for day, value in returns.items()}


def _logarithm(value: float) -> float:
    return log1p(value) if value > WORST_DAY else -inf


def _share(value: float) -> float:
    """Bring a share within 0..1; what is no number is nothing."""
    return max(0.0, min(1.0, value)) if isfinite(value) else 0.0


def _factor(bucket: str | None, settings: RiskAdjusted) -> float:
    if bucket is None or bucket in ACCEPTED:
        return 1.0
    return float(settings.probation_factor) if bucket == PROBATION else 0.0


def _of_bucket(bucket: str | None, factor: float) -> Iterable[str]:
    if factor <= 0:
        yield f"bucket: {bucket or 'unknown'}"


def _of_naming(hotkey: str, known: MinerStatistics | None, inputs: RankingInputs) -> Iterable[str]:
    """Take nobody up of whom the statistics are silent: it may be a plagiarist; who is in stays."""
    is_followed = inputs.previous is not None and hotkey in inputs.previous.weights
    is_silent = inputs.statistics is not None and (known is None or not known.bucket.strip())
    if is_silent and not is_followed:
        yield "bucket: unknown, the statistics do not name it"


def _of_asset(miner: Miner, known: MinerStatistics | None, pairs: frozenset[str]) -> Iterable[str]:
    chosen = "" if known is None else known.asset_class.strip().lower()
    if chosen == CRYPTO:
        return
    if any(row.pair in pairs for rows in (miner.trades, miner.positions) for row in rows):
        return
    yield f"not_crypto: it trades {chosen or 'other things'}"


def _of_past(past: _Past, skill: float, settings: RiskAdjusted) -> Iterable[str]:
    if past.problem:
        yield past.problem
    elif not past.days:
        yield "no_history: nothing since its key was registered"
    elif past.days < settings.min_daily_returns:
        yield f"short_history: {past.days} of {settings.min_daily_returns} days"
    if past.drawdown > float(settings.max_drawdown) + TOLERANCE:
        yield f"drawdown: {past.drawdown:.3f}, at most {settings.max_drawdown}"
    if past.days and not skill > 0:
        yield "no_skill: its returns are not better than nothing"
