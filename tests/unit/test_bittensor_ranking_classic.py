"""What the ranking `classic` makes of closed positions, figure by figure and term by term."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from math import log1p
from typing import Any

import pytest

from signal_processors.bittensor_model import ClosedTrade, RankedMiner, Ranking
from signal_processors.bittensor_ranking import rank
from tests.unit.sn8_scene import NOW_MS, PAIRS, hotkey, position
from tests.unit.test_bittensor_ranking import (
    KNOWN,
    TODAY,
    closed,
    codes,
    config,
    figures,
    inputs,
    miner,
    of,
    statistics,
)

GOOD = (1.02, 0.99, 1.01)
OPEN_DOORS = {
    "min_trades": 1,
    "max_drawdown": -1,
    "min_profitable_rate": 0,
    "min_total_return": -1,
}


def trades(number: int, results: Sequence[float], *, last: int = 1) -> list[ClosedTrade]:
    """Give closed positions, one a day, the last of them so many days ago."""
    count = len(results)
    return [closed(number, last + count - 1 - n, result) for n, result in enumerate(results)]


def classic(*histories: Sequence[ClosedTrade], **parts: Any) -> Ranking:
    given = inputs(*(miner(n, *rows) for n, rows in enumerate(histories)), registry=KNOWN)
    return rank(given, config("classic", **parts))


def judged(results: Sequence[float], **parts: Any) -> RankedMiner:
    return of(classic(trades(0, results), **parts), 0)


def shown(results: Sequence[float], name: str) -> float:
    return judged(results, filtering=OPEN_DOORS).figures[name]


def test_a_good_miner_is_kept_without_a_word() -> None:
    row = judged(GOOD * 4)

    assert (row.weight, row.rank, row.reasons) == (Decimal("0.1"), 1, ())


def test_results_multiply() -> None:
    assert shown([1.1, 1.1, 0.9], "total_return") == pytest.approx(1.1 * 1.1 * 0.9 - 1)


def test_the_profitable_rate_is_the_share_that_earned_something() -> None:
    assert shown([1.1, 1.0, 0.9, 1.0001], "profitable_rate") == 0.5


def test_drawdown_is_the_worst_fall_of_the_equity_that_results_make() -> None:
    assert shown([1.1, 0.9, 0.95, 1.3, 0.9], "drawdown") == pytest.approx(0.9 * 0.95 - 1)
    assert shown([0.9, 1.3], "drawdown") == pytest.approx(-0.1)
    assert shown([1.1, 1.2], "drawdown") == 0


def test_drawdown_follows_the_order_of_closing() -> None:
    apart, together = trades(0, [0.9, 1.2, 0.9]), trades(1, [0.9, 0.9, 1.2])

    ranking = classic(apart[::-1], together[::-1], filtering=OPEN_DOORS)

    assert of(ranking, 0).figures["drawdown"] == pytest.approx(-0.1)
    assert of(ranking, 1).figures["drawdown"] == pytest.approx(-0.19)


def test_the_sharpe_ratio_is_of_days_not_of_positions() -> None:
    noon = closed(0, 3, 1.1)
    same_day = replace(noon, uuid="b", closed_at_ms=noon.closed_at_ms + 3_600_000, result=0.95)
    next_day = closed(0, 2, 1.02)

    row = of(classic([noon, same_day, next_day], filtering=OPEN_DOORS), 0)

    first, second = 1.1 * 0.95 - 1, 0.02
    deviation = abs(first - second) / 2**0.5
    assert row.figures["sharpe"] == pytest.approx((first + second) / 2 / deviation)


def test_days_are_utc_days_of_closing() -> None:
    midnight = (TODAY - 2) * 86_400_000
    late = replace(closed(0, 3, 1.1), closed_at_ms=midnight - 1)
    early = replace(closed(0, 2, 1.1), closed_at_ms=midnight, opened_at_ms=midnight - 60_000)

    apart = of(classic([late, early], filtering=OPEN_DOORS), 0)
    together = of(
        classic([late, replace(early, closed_at_ms=midnight - 1)], filtering=OPEN_DOORS), 0
    )

    assert apart.figures["sharpe"] == pytest.approx(0.1 / 0.0001)  # days that are all the same
    assert together.figures["sharpe"] == 0  # one day tells nothing


@pytest.mark.parametrize(
    ("results", "parts", "code"),
    [
        pytest.param(GOOD * 3, {}, "few_trades", id="9-of-10"),
        pytest.param([1.02] * 9 + [0.49], {}, "drawdown", id="fell-by-half"),
        pytest.param([1.02, 0.99] * 5, {}, "profitable_rate", id="half-of-them-won"),
        pytest.param([1.01] * 8 + [0.9] * 2, {}, "total_return", id="lost-altogether"),
        pytest.param([1.02] * 9 + [float("nan")], {}, "bad_history", id="no-number"),
        pytest.param([1.02] * 9 + [float("inf")], {}, "bad_history", id="infinite"),
        pytest.param([1.02] * 9 + [-5.0], {}, "drawdown", id="less-than-nothing-left"),
        pytest.param([], {}, "no_history", id="none"),
        pytest.param(
            GOOD * 4, {"filtering": {"min_total_return": 0.2}}, "total_return", id="return-asked"
        ),
        pytest.param(
            GOOD * 4, {"asset_filtering": {"min_trades_per_asset": 13}},
            "few_trades_per_asset", id="in-no-pair-enough",
        ),
    ],
)  # fmt: skip
def test_a_miner_is_dropped_for(results: list[float], parts: dict[str, Any], code: str) -> None:
    row = judged(results, **parts)

    assert code in codes(row)
    assert row.rank is None
    assert row.weight == 0


@pytest.mark.parametrize(
    ("results", "parts"),
    [
        pytest.param([1.02] * 6 + [0.99] * 4, {}, id="rate-just-enough"),
        pytest.param([1.2, 0.5, 1.7, *([1.001] * 7)], {}, id="fall-just-allowed"),
        pytest.param([1.3, 1 / 1.3] * 5, {"filtering": {"min_profitable_rate": 0}}, id="even"),
        pytest.param([1.7, 0.7, *([1.001] * 8)], {"filtering": {"max_drawdown": -0.3}}, id="fall"),
    ],
)
def test_a_threshold_that_is_just_met_is_met(results: list[float], parts: dict[str, Any]) -> None:
    assert judged(results, **parts).reasons == ()


@pytest.mark.parametrize(
    ("hours", "is_old"),
    [
        pytest.param(14 * 24, False, id="14-days"),
        pytest.param(14 * 24 + 1, True, id="an-hour-more"),
    ],
)
def test_the_last_close_may_be_so_old(hours: int, is_old: bool) -> None:
    rows = trades(0, GOOD * 4, last=40)
    rows[-1] = replace(rows[-1], closed_at_ms=NOW_MS - hours * 3_600_000)

    assert ("old" in codes(of(classic(rows), 0))) is is_old


def test_open_positions_and_unmapped_pairs_are_no_history() -> None:
    rows = trades(0, GOOD * 4)
    more = [replace(row, uuid=f"fx-{row.uuid}", pair="EURUSD", result=0.5) for row in rows]
    plain = miner(0, *rows)
    busy = replace(plain, trades=(*more, *rows), positions=(position(0, "0.4", at_ms=NOW_MS),))

    found = [of(rank(inputs(one), config("classic")), 0) for one in (plain, busy)]

    assert found[0] == found[1]
    assert found[0].is_kept


def test_a_miner_is_followed_only_in_pairs_in_which_it_closed_enough() -> None:
    rows = trades(0, GOOD * 4)
    rows[0] = replace(rows[0], pair="ETHUSD")

    row = of(classic(rows, asset_filtering={"min_trades_per_asset": 2}), 0)

    assert row.is_kept
    assert row.refused_pairs == PAIRS - {"BTCUSD"}
    assert row.reasons == ("few_trades_per_asset: not followed in BTCUSDC, ETHUSD",)
    assert of(classic(rows), 0).refused_pairs == frozenset()


def test_statistics_do_not_matter() -> None:
    given = inputs(miner(0, *trades(0, GOOD * 4)))
    known = replace(given, statistics=statistics(figures(0, bucket="testing", drawdown=0.5)))

    assert rank(given, config("classic")) == rank(known, config("classic"))


def test_the_score_is_the_sum_of_its_terms() -> None:
    rows = [trades(0, [1.02, 0.9, 1.3, 1.01]), trades(1, [1.01, 1.02] * 4), trades(2, [0.99, 1.2])]
    scoring = {
        "drawdown_exponent": 3,
        "sharpe_exponent": 2,
        "profitable_rate_exponent": 4,
        "position_count_divisor": 10,
    }

    ranking = classic(*rows, filtering=OPEN_DOORS, scoring=scoring)

    found = [of(ranking, n) for n in range(3)]
    sharpes = sorted(row.figures["sharpe"] for row in found)
    counts = sorted(row.figures["trades"] for row in found)
    for row in found:
        figure = row.figures
        of_sharpe = (sharpes.index(figure["sharpe"]) + 1) / 3
        of_count = (counts.index(figure["trades"]) + 1) / 3
        assert row.score == pytest.approx(
            (1 + figure["drawdown"]) ** 3
            + of_sharpe**2
            + figure["total_return"] / (1 + abs(figure["total_return"]))
            + figure["profitable_rate"] ** 4
            + of_count * log1p(figure["trades"]) / 10
        )


def test_no_return_however_large_outweighs_everything_else() -> None:
    rows = [trades(0, [1e308] * 12), trades(1, GOOD * 4)]

    ranking = classic(*rows)

    assert of(ranking, 0).score - of(ranking, 1).score < 5
    assert of(ranking, 0).figures["total_return"] < 1e9


def test_weights_fall_evenly_with_the_rank() -> None:
    rows = [trades(n, [1.02, 0.99 - 0.01 * n, 1.03] * 4) for n in range(4)]

    ranking = classic(*rows, following={"max_weight": 1})

    assert [row.hotkey for row in ranking.rows] == [hotkey(n) for n in range(4)]
    assert [row.weight for row in ranking.rows] == [Decimal(n) / 10 for n in (4, 3, 2, 1)]


def test_weights_are_spread_over_the_followed_not_over_all_that_pass() -> None:
    rows = [trades(n, [1.02, 0.99 - 0.001 * n, 1.03] * 4) for n in range(12)]

    ranking = classic(*rows, following={"max_weight": 1, "max_miners": 4})

    assert [row.weight for row in ranking.rows[:5]] == [Decimal(n) / 10 for n in (4, 3, 2, 1, 0)]
    assert codes(ranking.rows[4]) == {"behind"}
