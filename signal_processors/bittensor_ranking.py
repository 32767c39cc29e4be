"""Who of SN8 is followed, and how much each counts: the door to both rankings.

Pure: no I/O, clock or chance. The same inputs give the same ranking, in whatever order the miners
come. Every miner of the snapshot gets a row that says why it is kept or dropped.
"""

from collections.abc import Sequence
from typing import Final

from signal_processors.bittensor_config import ProcessorConfig
from signal_processors.bittensor_model import Ranking
from signal_processors.bittensor_rank_classic import judge_classic
from signal_processors.bittensor_rank_risk_adjusted import judge_risk_adjusted
from signal_processors.bittensor_weighing import Judged, RankingInputs, weigh

__all__ = ["REASONS", "RankingInputs", "rank"]

REASONS: Final = {
    "eliminated": "the validator eliminated it; its weight ends at once",
    "not_registered": "the chain does not know its key; its weight ends at once",
    "bucket": "not past its challenge period; for plagiarism its weight ends at once",
    "not_crypto": "no history in a mapped pair, and crypto is not what it chose to trade",
    "no_history": "nothing to judge it by, in mapped pairs and since its key was registered",
    "bad_history": "its history holds what is no number",
    "short_history": "fewer days of history than `risk_adjusted.min_daily_returns`",
    "drawdown": "its equity fell further than allowed",
    "penalty": "the validator's penalties leave nothing of its score",
    "no_skill": "its returns are not better than nothing",
    "few_trades": "fewer closed positions than `filtering.min_trades`",
    "few_trades_per_asset": "not followed in pairs in which it closed too few positions",
    "old": "its last close is longer ago than `asset_filtering.max_trade_age_days`",
    "profitable_rate": "too few of its positions won",
    "total_return": "its positions together returned too little",
    "no_statistics": "for your information: judged by its closed positions alone",
    "behind": "eligible, but others are better",
    "same_coldkey_cap": "the keys of its owner share one cap",
    "no_room": "eligible, but what is left for it rounds to nothing",
    "limited_change": "its weight is on its way; all together move only so far at one ranking",
    "absent": "followed before and not in the snapshot; its weight stays for now",
}
"""What each code of a reason means."""


def rank(inputs: RankingInputs, config: ProcessorConfig) -> Ranking:
    """Judge all miners and weigh them as `config.ranking` says."""
    if config.ranking == "classic":
        rows = weigh(judge_classic(inputs, config), _by_place, inputs, config.following)
    else:
        rows = weigh(judge_risk_adjusted(inputs, config), _by_score, inputs, config.following)
    return Ranking(
        name=config.ranking,
        made_at_ms=inputs.now_ms,
        rows=rows,
        flags=_flags(inputs, config),
    )


def _by_place(chosen: Sequence[Judged]) -> list[float]:
    return [float(len(chosen) - place) for place in range(len(chosen))]


def _by_score(chosen: Sequence[Judged]) -> list[float]:
    return [row.score for row in chosen]


def _flags(inputs: RankingInputs, config: ProcessorConfig) -> tuple[str, ...]:
    found = []
    if inputs.registry is None:
        found.append("no_chain")
    elif inputs.is_registry_stale:
        found.append("chain_stale")
    if inputs.statistics is None and config.ranking == "risk_adjusted":
        found.append("no_statistics")
    return tuple(found)
