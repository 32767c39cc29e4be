"""Who the ranking `risk_adjusted` keeps, by what, and what it does without."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from signal_processors.bittensor_config import ProcessorConfig, parse_processor_config
from signal_processors.bittensor_model import (
    MS_A_DAY,
    ClosedTrade,
    Miner,
    MinerStatistics,
    Neuron,
    RankedMiner,
    Ranking,
    Registry,
    Statistics,
)
from signal_processors.bittensor_ranking import REASONS, RankingInputs, rank
from tests.unit.sn8_scene import NOW_MS, PAIRS, hotkey, position, ranking

TODAY = NOW_MS // MS_A_DAY
DEFAULTS = ProcessorConfig()
STEADY = (0.004, -0.002, 0.003, 0.001, -0.001)


def config(ranking: str = "risk_adjusted", **parts: Mapping[str, Any]) -> ProcessorConfig:
    return parse_processor_config({"ranking": ranking, **parts})


def closed(miner: int, days_ago: int, result: float, *, pair: str = "BTCUSD") -> ClosedTrade:
    """Make a position that was open for an hour, and closed at noon that many days ago."""
    closed_ms = (TODAY - days_ago) * MS_A_DAY + MS_A_DAY // 2
    return ClosedTrade(
        uuid=f"{miner}-{days_ago}-{pair}",
        pair=pair,
        opened_at_ms=closed_ms - 3_600_000,
        closed_at_ms=closed_ms,
        result=result,
    )


def miner(number: int, *trades: ClosedTrade, key: str = "") -> Miner:
    """Make a miner with these trades, without any a crypto one that holds a position."""
    held = () if trades else (position(number, "0.1"),)
    return Miner(hotkey=key or hotkey(number), positions=held, trades=trades)


def daily(returns: Sequence[float], *, last_day: int = TODAY - 1) -> tuple[tuple[int, float], ...]:
    first = last_day - len(returns) + 1
    return tuple((first + number, value) for number, value in enumerate(returns))


def figures(number: int, returns: Sequence[float] = STEADY * 12, **changed: Any) -> MinerStatistics:
    """Make the statistics of a miner that is accepted."""
    whole = MinerStatistics(
        hotkey=hotkey(number),
        bucket="success",
        daily_returns=daily(returns),
        drawdown=0.03,
        penalty=1.0,
        asset_class="crypto",
    )
    return replace(whole, **changed)


def statistics(*rows: MinerStatistics) -> Statistics:
    return Statistics(created_at_ms=NOW_MS, miners={row.hotkey: row for row in rows})


def neuron(number: int, **changed: Any) -> Neuron:
    whole = Neuron(
        hotkey=hotkey(number),
        uid=number,
        coldkey=f"owner-{number}",
        incentive=0.0,
        registered_at_ms=NOW_MS - 1000 * MS_A_DAY,
    )
    return replace(whole, **changed)


def registry(*neurons: Neuron) -> Registry:
    return Registry(block=1, fetched_at_ms=NOW_MS, neurons={row.hotkey: row for row in neurons})


def inputs(*miners: Miner, **changed: Any) -> RankingInputs:
    whole = RankingInputs(
        miners={row.hotkey: row for row in miners},
        statistics=None,
        eliminated={},
        registry=None,
        is_registry_stale=False,
        crypto_pairs=PAIRS,
        previous=None,
        now_ms=NOW_MS,
    )
    return replace(whole, **changed)


def of(ranking: Ranking, number: int) -> RankedMiner:
    (row,) = [row for row in ranking.rows if row.hotkey == hotkey(number)]
    return row


def codes(row: RankedMiner) -> set[str]:
    return {reason.partition(":")[0] for reason in row.reasons}


def judged(changed: Mapping[str, Any], *, settings: ProcessorConfig = DEFAULTS) -> RankedMiner:
    """Judge a good miner with such statistics."""
    given = inputs(miner(0), statistics=statistics(figures(0, **changed)), registry=KNOWN)
    return of(rank(given, settings), 0)


KNOWN = registry(*(neuron(number) for number in range(40)))


def test_a_good_miner_is_kept_without_a_word() -> None:
    row = judged({})

    assert (row.weight, row.rank, row.reasons) == (Decimal("0.1"), 1, ())
    assert row.score > 0


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        pytest.param({"bucket": "testing"}, "bucket", id="in-its-challenge-period"),
        pytest.param({"bucket": "PLAGIARISM"}, "bucket", id="plagiarism"),
        pytest.param({"bucket": "subaccount"}, "bucket", id="unknown-bucket"),
        pytest.param({"bucket": ""}, "bucket", id="no-bucket"),
        pytest.param({"drawdown": 0.0801}, "drawdown", id="fell-too-far"),
        pytest.param({"drawdown": float("inf")}, "drawdown", id="impossible-drawdown"),
        pytest.param({"returns": STEADY * 5}, "short_history", id="29-days-and-less"),
        pytest.param({"returns": [-0.001] * 60}, "no_skill", id="loses"),
        pytest.param({"returns": [0.0] * 60}, "no_skill", id="does-nothing"),
        pytest.param({"returns": [float("nan")] * 60}, "bad_history", id="no-numbers"),
        pytest.param({"penalty": 0.0}, "penalty", id="penalty-takes-all"),
        pytest.param({"penalty": float("nan")}, "penalty", id="penalty-is-no-number"),
        pytest.param({"penalty": 5e-324}, "no_skill", id="nothing-left-by-rounding"),
    ],
)
def test_a_miner_is_dropped_for(changed: dict[str, Any], code: str) -> None:
    row = judged(changed)

    assert codes(row) == {code}
    assert row.rank is None
    assert row.weight == 0
    assert row.score == 0


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"bucket": "SUCCESS"}, id="bucket-in-capitals"),
        pytest.param({"bucket": " MainComp "}, id="newer-name"),
        pytest.param({"drawdown": 0.08}, id="fell-as-far-as-allowed"),
        pytest.param({"returns": STEADY * 6}, id="30-days"),
        pytest.param({"penalty": None}, id="no-penalty-told"),
    ],
)
def test_a_miner_is_kept_with(changed: dict[str, Any]) -> None:
    assert judged(changed).reasons == ()


def test_probation_and_penalties_take_their_part_of_the_score() -> None:
    whole = judged({}).score

    assert judged({"bucket": "probation"}).score == pytest.approx(whole / 2)
    assert judged({"penalty": 0.25}).score == pytest.approx(whole / 4)
    assert judged({"penalty": 7.0}).score == whole


def test_a_probation_factor_of_nothing_drops_who_is_on_probation() -> None:
    settings = config(risk_adjusted={"probation_factor": 0})

    assert codes(judged({"bucket": "probation"}, settings=settings)) == {"bucket"}


@pytest.mark.parametrize(
    ("asset_class", "pair", "is_crypto"),
    [
        pytest.param("crypto", "EURUSD", True, id="chose-it"),
        pytest.param("forex", "EURUSD", False, id="chose-otherwise"),
        pytest.param("forex", "BTCUSD", True, id="trades-it-all-the-same"),
        pytest.param("", "BTCUSD", True, id="says-nothing-but-trades-it"),
        pytest.param("", "EURUSD", False, id="says-nothing-and-does-not"),
    ],
)
def test_only_who_trades_crypto_is_followed(asset_class: str, pair: str, is_crypto: bool) -> None:
    trades, row = closed(0, 3, 1.01, pair=pair), figures(0, asset_class=asset_class)

    found = of(rank(inputs(miner(0, trades), statistics=statistics(row)), DEFAULTS), 0)

    assert ("not_crypto" not in codes(found)) is is_crypto


def test_an_open_position_is_enough_to_trade_crypto() -> None:
    row = statistics(figures(0, asset_class="forex"))

    assert rank(inputs(miner(0), statistics=row), DEFAULTS).weights
    assert not rank(inputs(miner(0), statistics=row, crypto_pairs=frozenset()), DEFAULTS).weights


@pytest.mark.parametrize(
    ("bucket", "left"),
    [
        pytest.param("plagiarism", "0", id="copies-others"),
        pytest.param("testing", "0.066667", id="is-tested-again"),
    ],
)
def test_who_copies_others_leaves_at_once_and_who_is_tested_again_does_not(
    bucket: str, left: str
) -> None:
    rows = statistics(
        figures(0, bucket=bucket), figures(1, bucket="testing"), figures(2, bucket="testing")
    )
    before = ranking({0: "0.1", 1: "0.1", 2: "0.1"})
    given = inputs(*(miner(n) for n in range(3)), statistics=rows, registry=KNOWN)

    found = rank(replace(given, previous=before), DEFAULTS)

    assert of(found, 0).weight == Decimal(left)
    assert of(found, 1).weight > 0


def test_days_to_come_are_not_history() -> None:
    dull, promised = [0.0] * 60, daily([0.02] * 30, last_day=TODAY + 30)
    row = statistics(figures(0, (), daily_returns=(*daily(dull), *promised)))

    found = of(rank(inputs(miner(0), statistics=row), DEFAULTS), 0)

    assert codes(found) == {"no_skill"}
    assert found.figures["days"] == 60


def test_who_is_eliminated_or_unknown_to_the_chain_is_dropped_in_both_rankings() -> None:
    trades = {n: [closed(n, day, 1.01 if day % 3 else 0.999) for day in range(60)] for n in (0, 1)}
    given = inputs(
        *(miner(n, *rows) for n, rows in trades.items()),
        eliminated={hotkey(0): "MAX_TOTAL_DRAWDOWN"},
        registry=registry(neuron(0)),
    )

    for name in ("risk_adjusted", "classic"):
        ranking = rank(given, config(name))
        assert codes(of(ranking, 0)) - {"no_statistics"} == {"eliminated"}
        assert "eliminated: MAX_TOTAL_DRAWDOWN" in of(ranking, 0).reasons
        assert codes(of(ranking, 1)) - {"no_statistics"} == {"not_registered"}
        assert ranking.weights == {}


def test_an_entity_s_synthetic_key_is_registered_by_its_parent() -> None:
    key = f"{hotkey(0)}_7"
    row = replace(figures(0), hotkey=key)
    given = inputs(miner(0, key=key), statistics=statistics(row), registry=registry(neuron(0)))

    assert rank(given, DEFAULTS).weights == {key: Decimal("0.1")}


def test_days_before_its_registration_are_somebody_else_s() -> None:
    lucky_then_dull = [0.02] * 40 + [0.001, -0.002] * 20
    first_day_of_its_own = TODAY - 40
    for registered_at_ms, code in (
        (first_day_of_its_own * MS_A_DAY, "no_skill"),
        ((first_day_of_its_own - 40) * MS_A_DAY, None),
        ((TODAY - 20) * MS_A_DAY, "short_history"),
        ((TODAY - 30) * MS_A_DAY + 1, "short_history"),  # that day had begun before
        (NOW_MS, "no_history"),
    ):
        chain = registry(neuron(0, registered_at_ms=registered_at_ms))
        row = statistics(figures(0, lucky_then_dull))
        found = codes(of(rank(inputs(miner(0), statistics=row, registry=chain), DEFAULTS), 0))

        assert code in found if code else not found


def test_old_days_count_less_and_short_histories_are_drawn_toward_nothing() -> None:
    good, dull = [0.01, -0.002] * 15, [0.002, -0.002] * 15

    assert judged({"returns": dull + good}).score > 1.5 * judged({"returns": good + dull}).score
    assert judged({"returns": good * 3}).score > 1.4 * judged({"returns": good}).score


def test_the_skill_is_the_shrunk_sortino_ratio_of_a_day() -> None:
    settings = config(risk_adjusted={"half_life_days": 1000, "shrinkage_days": 60})
    found = judged({"returns": [0.01, -0.005] * 20}, settings=settings).figures["skill"]

    mean, downside = 0.0025, (0.5 * 0.005**2 + 0.001**2) ** 0.5
    assert found == pytest.approx(mean / downside * 40 / 100, rel=0.01)


def test_one_enormous_day_counts_as_a_good_one() -> None:
    usual = [0.004, -0.004] * 30

    assert judged({"returns": [*usual, 1e308]}) == judged({"returns": [*usual, 0.25]})
    assert judged({"returns": [*usual, 0.24]}).score < judged({"returns": [*usual, 0.25]}).score


def test_incentive_adds_a_small_part_in_proportion_to_the_best_of_the_eligible() -> None:
    chain = registry(
        neuron(0, incentive=0.02),
        neuron(1, incentive=0.01),
        neuron(2),
        neuron(3, incentive=0.9),  # not eligible: it has no history
    )
    rows = statistics(*(figures(n) for n in range(3)), figures(3, []))
    given = inputs(*(miner(n) for n in range(4)), statistics=rows, registry=chain)

    scores = [of(rank(given, DEFAULTS), n).score for n in range(4)]

    assert scores[0] == pytest.approx(1.2 * scores[2])
    assert scores[1] == pytest.approx(1.1 * scores[2])
    assert scores[3] == 0


@pytest.mark.parametrize("told", [None, float("nan"), -0.5])
def test_a_drawdown_that_is_not_told_is_that_of_the_daily_returns(told: float | None) -> None:
    fell = [*(STEADY * 8), -0.05, -0.05, *(STEADY * 4)]

    assert "drawdown" in codes(judged({"returns": fell, "drawdown": told}))
    assert judged({"drawdown": told}).figures["drawdown"] == pytest.approx(0.002)


def test_what_it_had_to_do_without_is_flagged() -> None:
    rows = statistics(figures(0))

    assert rank(inputs(miner(0)), DEFAULTS).flags == ("no_chain", "no_statistics")
    assert rank(inputs(miner(0)), config("classic")).flags == ("no_chain",)
    stale = inputs(miner(0), statistics=rows, registry=KNOWN, is_registry_stale=True)
    assert rank(stale, DEFAULTS).flags == ("chain_stale",)
    assert rank(replace(stale, registry=None), DEFAULTS).flags == ("no_chain",)
    assert rank(replace(stale, is_registry_stale=False), DEFAULTS).flags == ()


def test_without_the_chain_the_cap_is_halved_and_with_a_stale_one_it_is_not() -> None:
    known = inputs(miner(0), statistics=statistics(figures(0)), registry=KNOWN)
    stale, none = replace(known, is_registry_stale=True), replace(known, registry=None)

    assert rank(stale, DEFAULTS).weights == {hotkey(0): Decimal("0.1")}
    assert rank(none, DEFAULTS).weights == {hotkey(0): Decimal("0.05")}


def test_rows_are_best_first_then_the_dropped_by_hotkey() -> None:
    drift = {0: 0.001, 1: 0.003, 2: 0.002}
    rows = statistics(
        *(figures(n, [value + part for part in STEADY * 12]) for n, value in drift.items()),
        *(figures(n, bucket="testing") for n in (3, 4, 5)),
    )
    given = inputs(*(miner(n) for n in range(6)), statistics=rows, registry=KNOWN)

    ranking = rank(given, DEFAULTS)

    order = [hotkey(1), hotkey(2), hotkey(0), *sorted(hotkey(n) for n in (3, 4, 5))]
    assert [row.hotkey for row in ranking.rows] == order
    assert [row.rank for row in ranking.rows] == [1, 2, 3, None, None, None]
    assert (ranking.name, ranking.made_at_ms) == ("risk_adjusted", NOW_MS)


def test_every_code_has_a_meaning_and_is_one_word() -> None:
    assert all(meaning and ":" not in code and " " not in code for code, meaning in REASONS.items())
