"""Losses, jumps of equity and numbers of orders, as values."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.safety.baselines import Baselines
from core.safety.equity_guard import EquitySeen, look
from core.safety.losses import (
    Baseline,
    LossKind,
    Moment,
    losses,
    moved_between,
    rebased,
    rolled,
    shifted,
    tripped,
)
from core.safety.order_budget import OrderLimits, OrderTimes, refusal
from core.trips import Mark

DAY_MS = 86_400_000
LIMIT = Decimal("0.3")
LIMITS: Mapping[LossKind, Decimal] = {"daily_loss": Decimal("0.05"), "drawdown": Decimal("0.1")}
START = Baseline(day="2026-01-01", day_start_usdt=Decimal(100), peak_usdt=Decimal(120))
MARK = Mark(at_ms=5, number=9, until_ms=None)
USDT = st.decimals(min_value=1, max_value=10**9, places=2)


@pytest.mark.parametrize(
    ("reads", "believed"),
    [
        pytest.param([100], 100, id="the-first"),
        pytest.param([100, 129], 129, id="a-small-step"),
        pytest.param([100, 50], 100, id="a-jump-once"),
        pytest.param([100, 50, 50], 50, id="a-jump-twice"),
        pytest.param([100, 50, 44], 44, id="twice-in-a-moving-market"),
        pytest.param([100, 50, 10], 100, id="two-jumps-that-disagree"),
        pytest.param([100, 50, 10, 10], 10, id="then-one-that-agrees"),
        pytest.param([100, 50, 100, 50], 100, id="a-venue-that-flickers"),
        pytest.param([100, 0], 100, id="to-nothing"),
        pytest.param([0, 100], 0, id="from-nothing"),
        pytest.param([0, 100, 100], 100, id="a-first-deposit"),
        pytest.param([100, -20, -20], -20, id="below-zero"),
    ],
)
def test_a_jump_of_equity_is_believed_once_a_second_read_agrees(
    reads: list[int], believed: int
) -> None:
    seen = EquitySeen()
    for equity in reads:
        seen = look(seen, Decimal(equity), LIMIT)

    assert seen.believed_usdt == believed


def test_without_a_limit_every_read_is_believed() -> None:
    assert look(EquitySeen(believed_usdt=Decimal(100)), Decimal(1), Decimal(0)) == EquitySeen(
        believed_usdt=Decimal(1)
    )


@given(start=USDT, reads=st.lists(USDT, min_size=1, max_size=20))
def test_what_is_believed_never_jumps_on_one_read_alone(
    start: Decimal, reads: list[Decimal]
) -> None:
    seen, before = EquitySeen(believed_usdt=start), start
    for equity in reads:
        previous = seen
        seen = look(seen, equity, LIMIT)
        assert seen.believed_usdt is not None
        if abs(seen.believed_usdt - before) > before * LIMIT:
            assert previous.suspect_usdt is not None
            assert abs(equity - previous.suspect_usdt) <= abs(previous.suspect_usdt) * LIMIT
        before = seen.believed_usdt


def test_losses_are_measured_from_the_day_and_from_the_peak() -> None:
    daily, drawdown = losses(START, Decimal(96), LIMITS)

    assert (daily.share, daily.is_over) == (Decimal("0.04"), False)
    assert (drawdown.share, drawdown.is_over) == (Decimal("0.2"), True)


@pytest.mark.parametrize("limit", [Decimal(0)])
def test_a_limit_of_nothing_is_off(limit: Decimal) -> None:
    off: Mapping[LossKind, Decimal] = {"daily_loss": limit, "drawdown": limit}

    assert not any(loss.is_over for loss in losses(START, Decimal(1), off))


def test_a_loss_of_exactly_the_limit_is_over() -> None:
    assert losses(START, Decimal(95), LIMITS)[0].is_over


def test_an_account_that_began_with_nothing_has_lost_nothing() -> None:
    empty = rolled(None, Decimal(0), "2026-01-01")

    assert [loss.share for loss in losses(empty, Decimal(0), LIMITS)] == [0, 0]


def test_a_new_day_moves_the_day_and_keeps_the_peak() -> None:
    after = rolled(START, Decimal(90), "2026-01-02")

    assert after == replace(START, day="2026-01-02", day_start_usdt=Decimal(90))


@given(equities=st.lists(USDT, min_size=1, max_size=30))
def test_the_peak_is_the_highest_equity_ever_believed(equities: list[Decimal]) -> None:
    baseline = None
    for number, equity in enumerate(equities):
        baseline = rolled(baseline, equity, f"2026-01-{1 + number // 5:02d}")

    assert baseline is not None
    assert baseline.peak_usdt == max(equities)
    assert baseline.day_start_usdt == equities[(len(equities) - 1) // 5 * 5]


@pytest.mark.parametrize(
    ("kind", "day_start", "peak"),
    [pytest.param("daily_loss", 80, 120, id="day"), pytest.param("drawdown", 100, 80, id="peak")],
)
def test_a_lifted_stop_measures_its_kind_from_now_on(
    kind: LossKind, day_start: int, peak: int
) -> None:
    after = rebased(tripped(START, kind, MARK), kind, Decimal(80), 7)

    assert after == replace(START, day_start_usdt=Decimal(day_start), peak_usdt=Decimal(peak))


@given(moved=st.decimals(min_value=-99, max_value=10**6, places=2), equity=USDT)
def test_moved_money_changes_a_loss_in_usdt_by_nothing(moved: Decimal, equity: Decimal) -> None:
    after = shifted(START, moved)

    assert after.day_start_usdt - (equity + moved) == START.day_start_usdt - equity
    assert after.peak_usdt - (equity + moved) == START.peak_usdt - equity


LONG = {"BTCUSDT": Decimal(2)}
BEFORE = Moment(
    equity_usdt=Decimal(1_000), unrealized_pnl_usdt=Decimal(50), holdings=LONG, orders=3
)


@pytest.mark.parametrize(
    ("changes", "moved"),
    [
        pytest.param({"equity_usdt": Decimal(700)}, -300, id="withdrawn-beside-a-position"),
        pytest.param({"equity_usdt": Decimal(1_500)}, 500, id="deposited"),
        pytest.param(
            {"equity_usdt": Decimal(700), "unrealized_pnl_usdt": Decimal(-250)}, 0, id="lost"
        ),
        pytest.param({"equity_usdt": Decimal(990)}, 0, id="funding"),
        pytest.param({"equity_usdt": Decimal(700), "orders": 4}, 0, id="an-order-lies-between"),
        pytest.param({"equity_usdt": Decimal(700), "is_settled": False}, 0, id="booked-late"),
        pytest.param({"equity_usdt": Decimal(700), "holdings": {}}, 0, id="liquidated"),
        pytest.param(
            {"equity_usdt": Decimal(700), "unrealized_pnl_usdt": None}, 0, id="profit-unknown"
        ),
    ],
)
def test_only_a_wallet_that_changes_while_nothing_is_traded_was_moved(
    changes: dict[str, object], moved: int
) -> None:
    assert moved_between(BEFORE, replace(BEFORE, **changes)) == moved  # type: ignore[arg-type] # fields


def test_while_nothing_is_held_every_change_was_moved() -> None:
    flat = replace(BEFORE, holdings={}, unrealized_pnl_usdt=None)

    assert moved_between(flat, replace(flat, equity_usdt=Decimal(999))) == -1
    assert moved_between(None, flat) == 0


def test_baselines_survive_a_restart_and_a_torn_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "baselines.json"
    kept = tripped(START, "drawdown", MARK)
    Baselines(path).put("one", kept)
    assert Baselines(path).get("one") == kept
    assert Baselines(path).get("two") is None
    path.write_text('{"accounts": {"one": {}}}')
    lost = Baselines(path)

    assert lost.was_lost
    assert lost.get("one") is None


def test_a_baseline_whose_number_is_damaged_is_told_as_lost(tmp_path: Path) -> None:
    path = tmp_path / "baselines.json"
    Baselines(path).put("one", START)
    path.write_text(path.read_text().replace('"orders_from_ms":', '"orders_from_ms":"x","was":'))

    assert Baselines(path).was_lost


def test_orders_are_counted_once_each_and_forgotten_after_a_day() -> None:
    times = OrderTimes()
    for client_id, at_ms in (("a", 0), ("b", 10), ("a", 20), ("c", DAY_MS + 5)):
        times.add(client_id, at_ms)

    assert times.count == 3
    assert times.between(0, 2 * DAY_MS) == 2  # b and c
    assert times.between(0, DAY_MS) == 1  # the other is of a clock that was ahead


@pytest.mark.parametrize(
    ("now_ms", "pending", "code"),
    [
        pytest.param(DAY_MS + 1_000, 0, None, id="two-of-three"),
        pytest.param(DAY_MS + 1_000, 1, "orders_per_minute", id="and-one-let-go"),
        pytest.param(DAY_MS + 59_999, 1, "orders_per_minute", id="at-the-end-of-the-minute"),
        pytest.param(DAY_MS + 60_000, 1, None, id="a-minute-later"),
        pytest.param(DAY_MS + 60_000, 3, "orders_per_day", id="the-day-is-full"),
        pytest.param(2 * DAY_MS, 2, None, id="the-next-day"),
    ],
)
def test_a_minute_and_a_day_have_room_for_so_many_orders(
    now_ms: int, pending: int, code: str | None
) -> None:
    times = OrderTimes()
    times.add("yesterday", DAY_MS - 120_000)
    times.add("a", DAY_MS)
    times.add("b", DAY_MS + 500)
    limits = OrderLimits(per_minute=3, per_day=5)
    reason = refusal(times, now_ms, limits, pending=pending)

    assert (reason.code if reason else None) == code


def test_limits_of_nothing_let_every_order_go() -> None:
    times = OrderTimes()
    times.add("a", 0)

    assert refusal(times, 0, OrderLimits(per_minute=0, per_day=0), pending=10_000) is None


def test_the_days_count_begins_anew_where_a_person_resumed_the_account() -> None:
    times = OrderTimes()
    for number in range(5):
        times.add(f"id{number}", DAY_MS + number * 1_000)
    now_ms = DAY_MS + 3_600_000

    assert refusal(times, now_ms, OrderLimits(per_minute=0, per_day=5)) is not None
    assert refusal(times, now_ms, OrderLimits(per_minute=0, per_day=5, from_ms=now_ms)) is None


def test_a_clock_that_steps_back_over_midnight_begins_no_day_anew() -> None:
    assert rolled(START, Decimal(90), "2025-12-31") == START
