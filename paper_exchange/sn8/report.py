"""How a validator writes its judgement of miners down: statistics, eliminations, selections.

Pure.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from math import sqrt
from statistics import pstdev

from paper_exchange.sn8.figures import A_YEAR, METRICS, Figures, figures, metrics, ranked, shares
from paper_exchange.sn8.market import Elimination
from paper_exchange.sn8.model import Miner
from paper_exchange.sn8.quotes import DAY_MS
from paper_exchange.sn8.shapes import Json

VERSION = "8.8.9"
BUCKET_DAYS = {"testing": 90, "probation": 60, "plagiarism": 14}
FACTORS = {"success": 1.0, "probation": 0.5}  # of a miner's weight, by bucket
CHECKPOINTS = 14
Marks = Mapping[str, Mapping[str, tuple[float, int, float]]]  # metric -> hotkey -> value, rank, ...


def statistics_json(miners: Sequence[Miner], seed: int, now_ms: int) -> Json:
    """All of the statistics, checkpoints included; best weight first."""
    found = {miner.hotkey: figures(miner, seed, now_ms) for miner in miners}
    ratios = {hotkey: metrics(row) for hotkey, row in found.items()}
    marks: dict[str, dict[str, tuple[float, int, float]]] = {}
    for name in METRICS:
        values = {hotkey: row[name] for hotkey, row in ratios.items()}
        places = ranked(values)
        marks[name] = {hotkey: (values[hotkey], *places[hotkey]) for hotkey in values}
    weights = _weights(miners, ratios)
    places = ranked(weights)
    rows = [
        _row(miner, found[miner.hotkey], marks, now_ms)
        | {
            "weight": {
                "value": weights[miner.hotkey],
                "rank": places[miner.hotkey][0],
                "percentile": places[miner.hotkey][1],
            }
        }
        for miner in miners
    ]
    return {
        "version": VERSION,
        "created_timestamp_ms": now_ms,
        "created_date": _moment(now_ms),
        "data": sorted(rows, key=lambda row: row["weight"]["rank"]),
        "constants": {"lookback_days": 120, "simulated": True},
        "network_data": {"asset_competitiveness": {"crypto": 0.5, "forex": 0.5}},
    }


def eliminations_json(rows: Iterable[Elimination]) -> list[Json]:
    """The eliminations, oldest first."""
    return [
        {
            "hotkey": row.hotkey,
            "reason": row.reason,
            "elimination_initiated_time_ms": row.at_ms,
            "dd": row.drawdown,
        }
        for row in sorted(rows, key=lambda row: row.at_ms)
    ]


def selections_json(miners: Iterable[Miner], now_ms: int) -> Json:
    """Which asset class each miner chose."""
    chosen = {miner.hotkey: miner.asset_class for miner in miners}
    return {"miner_selections": chosen, "total_miners": len(chosen), "timestamp": now_ms}


def _weights(
    miners: Iterable[Miner], ratios: Mapping[str, Mapping[str, float]]
) -> dict[str, float]:
    raw = shares({hotkey: row["sortino"] for hotkey, row in ratios.items()})
    return {row.hotkey: raw[row.hotkey] * FACTORS.get(row.bucket, 0.001) for row in miners}


def _row(miner: Miner, found: Figures, marks: Marks, now_ms: int) -> Json:
    scores = {name: _scores(miner, name, marks) for name in ("overall", "crypto", "forex")}
    rank, pnl = marks["sortino"][miner.hotkey], marks["pnl"][miner.hotkey]
    values = found.values or [0.0]
    penalty = 0.0 if miner.bucket == "plagiarism" else 1.0
    return {
        "hotkey": miner.hotkey,
        "challengeperiod": _challenge(miner, now_ms),
        "scores": scores,
        "augmented_scores": scores,
        "daily_returns": [{"date": _date(day), "value": value * 100} for day, value in found.daily],
        "volatility": {
            "annual": pstdev(values) * sqrt(A_YEAR),
            "annual_downside": pstdev([min(value, 0.0) for value in values]) * sqrt(A_YEAR),
        },
        "drawdowns": {
            "instantaneous_max_drawdown": found.drawdown,
            "daily_max_drawdown": found.daily_drawdown,
        },
        "engagement": {
            "n_checkpoints": 2 * len(found.daily),
            "n_positions": found.n_positions,
            "position_duration": found.duration_ms,
            "checkpoint_durations": len(found.daily) * DAY_MS,
            "minimum_days_boolean": found.is_long_enough,
            "percentage_profitable": found.profitable,
        },
        "risk_profile": {"risk_score": 0.0},
        "asset_class_performance": {
            miner.asset_class: {"score": rank[0], "rank": rank[1], "percentile": rank[2]}
        },
        "pnl_info": {"raw_pnl": pnl[0], "rank": pnl[1], "percentile": pnl[2]},
        "account_size_info": {"account_size_statistics": {"value": miner.account_usd}},
        "plagiarism": 1.0 if miner.bucket == "plagiarism" else 0.0,
        "penalties": {"drawdown_threshold": 1.0, "risk_profile": 1.0, "total": penalty},
        "checkpoints": _checkpoints(found),
    }


def _scores(miner: Miner, asset_class: str, marks: Marks) -> Json:
    if asset_class not in {"overall", miner.asset_class}:
        return {name: {} for name in METRICS}
    found: Json = {}
    for name in METRICS:
        value, rank, percentile = marks[name][miner.hotkey]
        share = percentile if name == "pnl" else 0.0
        found[name] = {
            "value": value,
            "rank": rank,
            "percentile": percentile,
            "overall_contribution": share,
        }
    return found


def _challenge(miner: Miner, now_ms: int) -> Json:
    days = BUCKET_DAYS.get(miner.bucket)
    begin_ms = miner.first_day * DAY_MS
    if days is None:
        return {"status": miner.bucket, "start_time_ms": begin_ms}
    begin_ms = max(begin_ms, now_ms // DAY_MS * DAY_MS - days * DAY_MS // 2)
    return {
        "status": miner.bucket,
        "start_time_ms": begin_ms,
        "remaining_time_ms": max(begin_ms + days * DAY_MS - now_ms, 0),
    }


def _checkpoints(found: Figures) -> list[Json]:
    return [
        {
            "last_update_ms": (day + 1) * DAY_MS,
            "accum_ms": DAY_MS,
            "open_ms": DAY_MS,
            "gain": max(value, 0.0),
            "loss": min(value, 0.0),
            "mdd": found.drawdown,
        }
        for day, value in found.daily[-CHECKPOINTS:]
    ]


def _date(day: int) -> str:
    return datetime.fromtimestamp(day * DAY_MS / 1000, tz=UTC).strftime("%Y-%m-%d")


def _moment(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M:%S")
