"""What holds for every ranking, whatever the miners did and whatever was said of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from math import isfinite
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signal_processors.bittensor_config import ProcessorConfig
from signal_processors.bittensor_model import (
    Miner,
    MinerStatistics,
    Neuron,
    RankedMiner,
    Ranking,
    Registry,
    Statistics,
)
from signal_processors.bittensor_ranking import REASONS, RankingInputs, rank
from signal_processors.bittensor_weighing import cap_of, owner_of
from tests.unit.sn8_scene import hotkey
from tests.unit.test_bittensor_ranking import (
    KNOWN,
    TODAY,
    closed,
    codes,
    config,
    daily,
    figures,
    inputs,
    miner,
    neuron,
    of,
    registry,
    statistics,
)

COUNT: Final = 8
KEYS: Final = (*(hotkey(n) for n in range(COUNT - 2)), f"{hotkey(0)}_1", f"{hotkey(0)}_2")
STEP: Final = Decimal("0.000001")
NAMES = st.sampled_from(["risk_adjusted", "classic"])
SANE = st.floats(-0.03, 0.04)
GARBAGE = st.one_of(
    st.floats(), st.sampled_from([1e308, -1e308, 5e-324, -0.0, 0.0, -1.0, 1.0, float("inf")])
)
SOME_PAIRS = st.sampled_from(["BTCUSD", "ETHUSD", "EURUSD"])
BUCKETS = st.sampled_from(["success", "MAINCOMP", "probation", "testing", "plagiarism", "", "x"])


@st.composite
def histories(draw: st.DrawFn, values: st.SearchStrategy[float]) -> Miner:
    days = draw(st.lists(st.integers(0, 50), max_size=12, unique=True))
    trades = (closed(0, day, 1 + draw(values), pair=draw(SOME_PAIRS)) for day in days)
    return Miner(hotkey="", positions=(), trades=tuple(trades))


@st.composite
def told(draw: st.DrawFn, values: st.SearchStrategy[float]) -> MinerStatistics:
    days = draw(st.lists(st.tuples(st.integers(TODAY - 40, TODAY + 2), values), max_size=12))
    return MinerStatistics(
        hotkey="",
        bucket=draw(BUCKETS),
        daily_returns=tuple(days),
        drawdown=draw(st.none() | values),
        penalty=draw(st.none() | values),
        asset_class=draw(st.sampled_from(["", "crypto", "forex"])),
    )


@st.composite
def neurons(draw: st.DrawFn, values: st.SearchStrategy[float]) -> Neuron:
    return neuron(
        0,
        coldkey=draw(st.sampled_from(["a", "b", "c", "d", ""])),
        incentive=draw(values),
        registered_at_ms=(TODAY - draw(st.integers(0, 80))) * 86_400_000,
    )


@st.composite
def befores(draw: st.DrawFn) -> Ranking | None:
    if draw(st.booleans()):
        return None
    keys = [*KEYS, *(hotkey(n) for n in range(30, 34))]
    parts = draw(st.lists(st.integers(0, 100_000), min_size=len(keys), max_size=len(keys)))
    rows = (
        RankedMiner(hotkey=key, weight=part * STEP) for key, part in zip(keys, parts, strict=True)
    )
    return Ranking(name="x", made_at_ms=0, rows=tuple(rows))


@st.composite
def worlds(draw: st.DrawFn, values: st.SearchStrategy[float] = SANE) -> RankingInputs:
    """Draw miners with little history, and what is said of them."""
    there = draw(st.lists(st.sampled_from(KEYS), unique=True, min_size=3))
    some = st.lists(st.sampled_from(KEYS), unique=True)
    miners = {key: replace(draw(histories(values)), hotkey=key) for key in there}
    rows = {key: replace(draw(told(values)), hotkey=key) for key in draw(some)}
    keys = [hotkey(n) for n in range(COUNT - 2) if n == 0 or draw(st.integers(0, 5))]
    chain = {key: replace(draw(neurons(values)), hotkey=key) for key in keys}
    return inputs(
        miners=miners,
        statistics=draw(st.sampled_from([None, Statistics(created_at_ms=0, miners=rows)])),
        registry=draw(st.sampled_from([None, Registry(block=1, fetched_at_ms=0, neurons=chain)])),
        eliminated=dict.fromkeys(draw(some) if draw(st.integers(0, 3)) == 0 else (), "in a test"),
        previous=draw(befores()),
    )


@st.composite
def configs(draw: st.DrawFn) -> ProcessorConfig:
    """Draw settings under which little history is enough."""
    return config(
        draw(NAMES),
        filtering={
            "min_trades": 1,
            "max_drawdown": -1,
            "min_profitable_rate": draw(st.sampled_from([0, 0.5])),
            "min_total_return": -1,
        },
        scoring={"drawdown_exponent": draw(st.sampled_from([0, 6]))},
        asset_filtering={
            "max_trade_age_days": 60,
            "min_trades_per_asset": draw(st.integers(0, 3)),
        },
        risk_adjusted={
            "min_daily_returns": 5,
            "max_drawdown": 1,
            "shrinkage_days": draw(st.sampled_from([0, 60])),
        },
        following={
            "max_weight": draw(st.sampled_from(["0.1", "0.25", "0.0123456789", "1"])),
            "max_weight_change": draw(st.sampled_from(["0.01", "0.1", "0.5", "2"])),
            **draw(st.sampled_from([{}, {"max_miners": 3, "join_rank": 2, "leave_rank": 4}])),
        },
    )


def changes(ranking: Ranking, before: Ranking, *, without: set[str]) -> Decimal:
    old, new = before.weights, ranking.weights
    keys = (old.keys() | new.keys()) - without
    return sum(
        (abs(new.get(key, Decimal(0)) - old.get(key, Decimal(0))) for key in keys), Decimal()
    )


def expelled(ranking: Ranking) -> set[str]:
    ends = ("eliminated", "not_registered", "bucket: plagiarism")
    return {row.hotkey for row in ranking.rows if any(r.startswith(ends) for r in row.reasons)}


def excess(world: RankingInputs, settings: ProcessorConfig, without: set[str]) -> Decimal:
    """Tell how much of what was followed the caps take away, at least."""
    cap = cap_of(world, settings.following)
    held: dict[str, Decimal] = {}
    for key, weight in (world.previous.weights if world.previous else {}).items():
        if key not in without:
            owner = owner_of(key, world.registry)
            held[owner] = held.get(owner, Decimal(0)) + weight
    return sum((max(Decimal(0), weight - cap) for weight in held.values()), Decimal(0))


@given(worlds(), configs())
def test_weights_keep_every_limit(world: RankingInputs, settings: ProcessorConfig) -> None:
    ranking = rank(world, settings)

    cap = cap_of(world, settings.following)
    owners: dict[str, Decimal] = {}
    for row in ranking.rows:
        assert 0 <= row.weight <= cap
        assert row.weight == row.weight.quantize(STEP)
        owner = owner_of(row.hotkey, world.registry)
        owners[owner] = owners.get(owner, Decimal(0)) + row.weight
    assert max(owners.values()) <= cap
    assert sum(owners.values()) <= 1


@given(worlds(), configs())
def test_weights_move_no_further_than_allowed(
    world: RankingInputs, settings: ProcessorConfig
) -> None:
    if world.previous is None:
        world = replace(world, previous=rank(world, settings))
    ranking = rank(world, settings)

    assert world.previous is not None
    gone = expelled(ranking)
    moved = changes(ranking, world.previous, without=gone)
    taken = excess(world, settings, gone)
    assert moved <= max(settings.following.max_weight_change, taken + len(ranking.rows) * STEP)
    assert gone.isdisjoint(ranking.weights)
    if gone & world.previous.weights.keys():
        old = world.previous.weights
        assert [key for key, weight in ranking.weights.items() if weight > old.get(key, 0)] == []


@given(worlds(), configs(), st.randoms(use_true_random=False))
def test_the_order_in_which_miners_come_says_nothing(
    world: RankingInputs, settings: ProcessorConfig, chance: Any
) -> None:
    def shuffled(table: Mapping[str, Any]) -> dict[str, Any]:
        return dict(chance.sample(sorted(table.items(), key=lambda row: row[0]), len(table)))

    other = replace(world, miners=shuffled(world.miners), eliminated=shuffled(world.eliminated))
    if world.statistics and world.registry:
        rows, keys = shuffled(world.statistics.miners), shuffled(world.registry.neurons)
        other = replace(other, statistics=replace(world.statistics, miners=rows))
        other = replace(other, registry=replace(world.registry, neurons=keys))
    if world.previous:
        before = tuple(chance.sample(world.previous.rows, len(world.previous.rows)))
        other = replace(other, previous=replace(world.previous, rows=before))

    assert rank(other, settings) == rank(world, settings)


@given(worlds(), configs())
def test_every_miner_has_one_row_that_says_why(
    world: RankingInputs, settings: ProcessorConfig
) -> None:
    ranking = rank(world, settings)

    followed = set() if world.previous is None else set(world.previous.weights)
    keys = [row.hotkey for row in ranking.rows]
    assert sorted(keys) == sorted({*world.miners, *followed})
    for row in ranking.rows:
        assert codes(row) <= REASONS.keys()
        assert row.is_kept or row.reasons
        assert row.rank is not None or row.reasons
    places = [row.rank for row in ranking.rows if row.rank is not None]
    assert places == list(range(1, len(places) + 1))
    scores = [row.score for row in ranking.rows][: len(places)]
    assert scores == sorted(scores, reverse=True)


@given(worlds(GARBAGE), configs())
def test_garbage_gives_neither_errors_nor_scores_without_end(
    world: RankingInputs, settings: ProcessorConfig
) -> None:
    ranking = rank(world, settings)

    for row in ranking.rows:
        assert isfinite(row.score)
        assert all(isfinite(value) for value in row.figures.values())
    assert sum(ranking.weights.values()) <= 1


@given(worlds(), configs())
def test_rankings_of_the_same_arrive_and_then_rest(
    world: RankingInputs, settings: ProcessorConfig
) -> None:
    state = rank(world, settings)
    for _ in range(400):
        before, state = state, rank(replace(world, previous=state), settings)
        if before.weights == state.weights:
            break
    again = rank(replace(world, previous=state), settings)

    assert again == state
    assert "limited_change" not in {code for row in again.rows for code in codes(row)}


RETURNS = st.lists(st.floats(-0.9, 0.25), min_size=6, max_size=15)
LOSSES = st.lists(st.floats(0, 0.5), min_size=15, max_size=15)
LENIENT = config(risk_adjusted={"min_daily_returns": 5, "max_drawdown": 0.5})


def two(better: Sequence[float], worse: Sequence[float], *, is_told: bool, swaps: bool) -> Ranking:
    """Rank two miners that differ in their returns alone, among others; 0 or 1 is the better."""
    past = {0: better, 1: worse} if not swaps else {1: better, 0: worse}
    past |= {n: [0.003 * n, -0.004] * 5 for n in range(2, 6)}
    if is_told:
        rows = [figures(n, returns, drawdown=None) for n, returns in past.items()]
        given = inputs(*(miner(n) for n in past), statistics=statistics(*rows), registry=KNOWN)
    else:
        trades = {n: [closed(n, d, 1 + r) for d, r in enumerate(v)] for n, v in past.items()}
        given = inputs(*(miner(n, *rows) for n, rows in trades.items()), registry=KNOWN)
    return rank(given, replace_following(LENIENT))


def replace_following(settings: ProcessorConfig) -> ProcessorConfig:
    return settings.model_copy(
        update={"following": settings.following.model_copy(update={"max_weight": Decimal("0.3")})}
    )


@pytest.mark.parametrize("is_told", [pytest.param(True, id="told"), pytest.param(False, id="own")])
@given(better=RETURNS, losses=LOSSES, swaps=st.booleans())
def test_a_worse_history_never_weighs_more_than_a_better_one(
    is_told: bool, better: list[float], losses: list[float], swaps: bool
) -> None:
    worse = [max(-1.0, value - loss) for value, loss in zip(better, losses, strict=False)]

    side_by_side = two(better, worse, is_told=is_told, swaps=swaps)
    instead = two(worse, worse, is_told=is_told, swaps=swaps)

    good, bad = (1, 0) if swaps else (0, 1)
    assert of(side_by_side, good).weight >= of(side_by_side, bad).weight
    assert of(side_by_side, good).score >= of(side_by_side, bad).score
    assert of(side_by_side, good).weight >= of(instead, good).weight


@given(st.lists(st.floats(-0.2, 0.2), max_size=12), NAMES, st.integers(0, 11))
def test_no_single_miner_moves_the_weights_further_than_allowed(
    returns: list[float], name: str, number: int
) -> None:
    settings = config(name, risk_adjusted={"min_daily_returns": 5}, filtering={"min_trades": 3})
    histories = {n: [0.004 + 0.0005 * n, -0.002, 0.003] * 4 for n in range(12)}

    def ranked(past: Mapping[int, Sequence[float]], previous: Ranking | None) -> Ranking:
        rows = statistics(*(figures(n, (), daily_returns=daily(v)) for n, v in past.items()))
        miners = [
            miner(n, *(closed(n, d, 1 + r) for d, r in enumerate(v))) for n, v in past.items()
        ]
        chain = registry(*(neuron(n) for n in past))
        known = inputs(*miners, statistics=rows, registry=chain, previous=previous)
        return rank(known, settings)

    before = ranked(histories, None)
    after = ranked(histories | {number: returns}, before)

    assert len(before.weights) == 12
    assert changes(after, before, without=set()) <= settings.following.max_weight_change
