"""The ranking `risk_adjusted` where the validator publishes no daily returns: closed positions."""

from dataclasses import replace

import pytest

from signal_processors.bittensor_ranking import rank
from tests.unit.test_bittensor_ranking import (
    DEFAULTS,
    KNOWN,
    closed,
    codes,
    figures,
    inputs,
    miner,
    neuron,
    of,
    registry,
    statistics,
)


def test_positions_opened_before_its_registration_are_somebody_else_s() -> None:
    own = [closed(0, day, 1.001) for day in range(1, 41)]
    taken_over = replace(own[-1], uuid="old", opened_at_ms=own[-1].opened_at_ms - 1, result=0.5)
    chain = registry(neuron(0, registered_at_ms=own[-1].opened_at_ms))

    both = of(rank(inputs(miner(0, *own, taken_over), registry=chain), DEFAULTS), 0)
    alone = of(rank(inputs(miner(0, *own), registry=chain), DEFAULTS), 0)

    assert both == alone
    assert both.is_kept


def test_without_statistics_closed_positions_are_the_history() -> None:
    trades = [closed(0, day, 1.006 if day % 4 else 0.997) for day in range(1, 61)]

    ranking = rank(inputs(miner(0, *trades), registry=KNOWN), DEFAULTS)

    row = of(ranking, 0)
    assert ranking.flags == ("no_statistics",)
    assert row.is_kept
    assert codes(row) == {"no_statistics"}
    assert row.figures["days"] == 60
    assert row.figures["drawdown"] == pytest.approx(0.003)


def test_who_is_followed_and_missing_in_the_statistics_is_judged_by_its_closed_positions() -> None:
    trades = [closed(1, day, 1.006 if day % 4 else 0.997) for day in range(1, 61)]
    miners = (miner(0), miner(1, *trades))
    before = rank(inputs(*miners, registry=KNOWN), DEFAULTS)
    known = {"statistics": statistics(figures(0)), "registry": KNOWN}

    ranking = rank(inputs(*miners, **known, previous=before), DEFAULTS)

    assert ranking.flags == ()
    assert codes(of(ranking, 0)) <= {"limited_change"}
    assert codes(of(ranking, 1)) == {"no_statistics"}
    assert of(ranking, 1).is_kept


def test_nobody_is_taken_up_of_whom_the_statistics_are_silent() -> None:
    trades = [closed(1, day, 1.006 if day % 4 else 0.997) for day in range(1, 61)]
    rows = statistics(figures(0))

    ranking = rank(inputs(miner(0), miner(1, *trades), statistics=rows, registry=KNOWN), DEFAULTS)

    assert codes(of(ranking, 1)) == {"bucket", "no_statistics"}
    assert not of(ranking, 1).is_kept


@pytest.mark.parametrize(
    ("trades", "code"),
    [
        pytest.param([], "no_history", id="none"),
        pytest.param([(day, 1.01, "EURUSD") for day in range(60)], "no_history", id="not-mapped"),
        pytest.param([(day, 1.01, "BTCUSD") for day in range(29)], "short_history", id="29-days"),
        pytest.param(
            [(300 + day, 1.01, "BTCUSD") for day in range(29)], "short_history", id="29-days-ago"
        ),
        pytest.param([(day, 0.99, "BTCUSD") for day in range(60)], "no_skill", id="loses"),
        pytest.param(
            [(day, 0.9 if day == 9 else 1.02, "BTCUSD") for day in range(60)],
            "drawdown",
            id="fell-once",
        ),
        pytest.param(
            [(day, -3.0 if day == 9 else 1.02, "BTCUSD") for day in range(60)],
            "drawdown",
            id="lost-more-than-everything",
        ),
        pytest.param(
            [(day, float("inf"), "BTCUSD") for day in range(60)], "bad_history", id="no-numbers"
        ),
    ],
)
def test_without_statistics_a_miner_is_dropped_for(
    trades: list[tuple[int, float, str]], code: str
) -> None:
    rows = [closed(0, day, result, pair=pair) for day, result, pair in trades]

    assert code in codes(of(rank(inputs(miner(0, *rows)), DEFAULTS), 0))


def test_days_without_a_close_count_as_nothing_earned() -> None:
    results = (1.006, 1.002, 0.997, 1.004)
    busy = [closed(0, day, results[day % 4]) for day in range(1, 41)]
    idle = [closed(1, 2 * day - 1, results[day % 4]) for day in range(1, 41)]
    retired = [closed(2, 60 + day, results[day % 4]) for day in range(1, 41)]
    given = inputs(miner(0, *busy), miner(1, *idle), miner(2, *retired), registry=KNOWN)

    scores = [of(rank(given, DEFAULTS), n).score for n in range(3)]

    assert scores[0] > scores[1] > scores[2] > 0
    assert scores[2] < scores[0] / 3


def test_two_closes_far_apart_are_little_history() -> None:
    steady = [closed(0, day, 1.002) for day in range(1, 41)]
    rare = [closed(1, 1, 1.04), closed(1, 40, 1.04)]

    ranking = rank(inputs(miner(0, *steady), miner(1, *rare), registry=KNOWN), DEFAULTS)

    assert of(ranking, 1).figures["days"] == 40
    assert of(ranking, 1).score < of(ranking, 0).score / 5


def test_statistics_without_daily_returns_leave_closed_positions_to_judge_by() -> None:
    trades = [closed(0, day, 1.006 if day % 4 else 0.997) for day in range(1, 61)]
    row = statistics(figures(0, [], drawdown=None))
    tested = statistics(figures(0, [], bucket="testing"))
    given = inputs(miner(0, *trades), registry=KNOWN)

    assert rank(replace(given, statistics=row), DEFAULTS).weights
    assert codes(of(rank(replace(given, statistics=tested), DEFAULTS), 0)) == {"bucket"}
