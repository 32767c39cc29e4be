"""The invariants at the top of `core/planner.py`, as properties."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model import ZERO, Instrument, Order, SetLeverage, SetMarginMode
from core.planner import Gap, plan, within_dead_band
from core.sizing import minimum_lots

STEPS = [Decimal("0.001"), Decimal("0.1"), Decimal(1), Decimal(10)]


@st.composite
def instruments(draw: st.DrawFn) -> Instrument:
    step = draw(st.sampled_from(STEPS))
    return Instrument(
        symbol="BTCUSDT",
        step_lots=step,
        min_lots=step * draw(st.integers(1, 5)),
        max_market_lots=draw(st.one_of(st.none(), st.integers(5, 500).map(lambda n: step * n))),
        min_notional_usdt=Decimal(draw(st.sampled_from([0, 5, 100]))),
        contract_size=draw(st.sampled_from([Decimal(1), Decimal("0.001"), Decimal(100)])),
        tick_size=Decimal("0.1"),
        max_leverage=Decimal(100),
        leverage_step=Decimal("0.01"),
    )


@st.composite
def gaps(draw: st.DrawFn) -> Gap:
    instrument = draw(instruments())
    step = instrument.step_lots
    lots = st.integers(-1000, 1000).map(lambda n: step * n)
    return Gap(
        wanted_lots=draw(lots),
        held_lots=draw(lots),
        instrument=instrument,
        price=draw(st.one_of(st.none(), st.decimals("0.01", "90000", places=2))),
        leverage_wanted=draw(st.sampled_from([None, Decimal(3), Decimal(5)])),
        leverage_held=draw(st.sampled_from([None, Decimal(3), Decimal(5)])),
        margin_mode_wanted=draw(st.sampled_from([None, "cross", "isolated"])),
        margin_mode_held=draw(st.sampled_from([None, "cross", "isolated"])),
        increase_collar=draw(st.sampled_from([None, Decimal("0.005")])),
        reduce_collar=draw(st.sampled_from([None, Decimal("0.05")])),
        max_increase_lots=draw(
            st.one_of(st.none(), st.integers(1, 400).map(lambda n: step * n)),
        ),
    )


def is_reduction(held: Decimal, size: Decimal) -> bool:
    return held * size < 0 and abs(size) <= abs(held)


def orders_of(gap: Gap) -> list[Order]:
    return [a for a in plan(gap).actions if isinstance(a, Order)]


@given(gaps())
def test_no_order_crosses_zero(gap: Gap) -> None:
    held = gap.held_lots
    for order in orders_of(gap):
        after = held + order.size_lots
        assert held * after >= 0
        held = after


@given(gaps())
def test_every_reduction_is_reduce_only_and_no_increase_is(gap: Gap) -> None:
    held = gap.held_lots
    for order in orders_of(gap):
        assert order.reduce_only == is_reduction(held, order.size_lots)
        held += order.size_lots


@given(gaps())
def test_no_order_leaves_the_account_farther_from_zero_than_held_or_wanted(gap: Gap) -> None:
    held = gap.held_lots
    for order in orders_of(gap):
        held += order.size_lots
        assert abs(held) <= max(abs(gap.held_lots), abs(gap.wanted_lots))


@given(gaps())
def test_leverage_is_set_only_when_different_or_unsure_and_before_an_increase(gap: Gap) -> None:
    actions = plan(gap).actions
    is_switched = any(isinstance(a, SetMarginMode) for a in actions)
    if is_switched and gap.leverage_wanted is not None:  # each mode may have its own
        assert isinstance(actions[1], SetLeverage)
    if any(isinstance(a, SetLeverage) for a in actions):
        assert is_switched or gap.leverage_wanted != gap.leverage_held
        orders = [a for a in actions if isinstance(a, Order)]
        assert orders
        assert not any(o.reduce_only for o in orders)
        assert isinstance(actions[-1], Order)


@given(gaps())
def test_margin_mode_changes_only_while_flat_when_different_and_before_all_else(gap: Gap) -> None:
    actions = plan(gap).actions
    changes = [a for a in actions if isinstance(a, SetMarginMode)]
    opens = any(isinstance(a, Order) and not a.reduce_only for a in actions)
    differs = gap.margin_mode_wanted not in (None, gap.margin_mode_held)

    assert bool(changes) == (opens and differs and gap.held_lots == ZERO)
    if changes:
        assert actions[0] == changes[0]
        assert [a.margin_mode for a in changes] == [gap.margin_mode_wanted]


@given(gaps())
def test_leverage_and_margin_mode_ride_on_increases_alone(gap: Gap) -> None:
    for order in orders_of(gap):
        if order.reduce_only:
            assert (order.leverage, order.margin_mode) == (None, None)
        else:
            assert order.leverage == gap.leverage_wanted
            assert order.margin_mode == gap.margin_mode_wanted


@given(gaps())
def test_a_plan_for_what_was_set_sets_nothing(gap: Gap) -> None:
    set_already = replace(
        gap, leverage_held=gap.leverage_wanted, margin_mode_held=gap.margin_mode_wanted
    )

    assert all(isinstance(a, Order) for a in plan(set_already).actions)


@given(gaps())
def test_wanted_equal_to_held_gives_no_action(gap: Gap) -> None:
    assert plan(replace(gap, wanted_lots=gap.held_lots)).actions == ()


@given(gaps())
def test_an_exit_to_flat_is_never_held_back(gap: Gap) -> None:
    orders = orders_of(replace(gap, wanted_lots=ZERO))
    assert sum((o.size_lots for o in orders), ZERO) == -gap.held_lots


@given(gaps())
def test_the_pieces_of_a_split_are_within_the_venue_s_largest_order(gap: Gap) -> None:
    largest = gap.instrument.max_market_lots
    for order in orders_of(gap):
        assert largest is None or abs(order.size_lots) <= max(largest, gap.instrument.step_lots)
        assert order.size_lots % gap.instrument.step_lots == 0


@given(gaps())
def test_repeating_the_plan_until_it_is_done_ends_on_target_or_inside_the_dead_band(
    gap: Gap,
) -> None:
    for _ in range(3):
        held = gap.held_lots + sum((o.size_lots for o in orders_of(gap)), ZERO)
        gap = replace(gap, held_lots=held)
    assert not plan(gap).actions
    price = gap.price
    tiny = gap.instrument.min_lots if price is None else minimum_lots(gap.instrument, price)
    band = max(tiny, gap.instrument.step_lots, abs(gap.wanted_lots) * gap.dead_band)
    assert abs(gap.held_lots - gap.wanted_lots) <= band


@given(gaps())
def test_collars_lie_on_the_losing_side_and_on_the_tick_grid(gap: Gap) -> None:
    for order in orders_of(gap):
        price = order.limit_price
        if price is None or gap.price is None:
            continue
        assert price > 0
        assert price % gap.instrument.tick_size == 0
        if gap.price > 1000:  # else a tick is wider than the collar
            assert (price > gap.price) == (order.size_lots > 0)


def test_a_flip_closes_and_a_second_plan_opens() -> None:
    instrument = Instrument(
        symbol="BTCUSDT",
        step_lots=Decimal("0.001"),
        min_lots=Decimal("0.001"),
        max_market_lots=None,
        min_notional_usdt=Decimal(5),
        contract_size=Decimal(1),
        tick_size=Decimal("0.1"),
        max_leverage=Decimal(100),
        leverage_step=Decimal("0.01"),
    )
    gap = Gap(
        wanted_lots=Decimal(-2), held_lots=Decimal(1), instrument=instrument, price=Decimal(50000)
    )
    (close,) = orders_of(gap)
    (opening,) = orders_of(replace(gap, held_lots=ZERO))

    assert (close.size_lots, close.reduce_only) == (Decimal(-1), True)
    assert (opening.size_lots, opening.reduce_only) == (Decimal(-2), False)


@pytest.mark.parametrize(
    ("held", "wanted", "is_within"),
    [
        pytest.param("1", "1.019", True, id="small-increase"),
        pytest.param("1", "1.03", False, id="increase-of-three-percent"),
        pytest.param("1", "0.985", True, id="small-reduction"),
        pytest.param("0", "0.001", False, id="entry-from-flat"),
        pytest.param("0.001", "0", False, id="exit-to-flat"),
        pytest.param("0.001", "-0.001", False, id="flip"),
    ],
)
def test_the_dead_band_holds_back_small_changes_of_a_held_position_only(
    held: str, wanted: str, *, is_within: bool
) -> None:
    instrument = Instrument(
        symbol="BTCUSDT",
        step_lots=Decimal("0.001"),
        min_lots=Decimal("0.001"),
        max_market_lots=None,
        min_notional_usdt=Decimal(5),
        contract_size=Decimal(1),
        tick_size=Decimal("0.1"),
        max_leverage=Decimal(100),
        leverage_step=Decimal("0.01"),
    )
    gap = Gap(
        wanted_lots=Decimal(wanted),
        held_lots=Decimal(held),
        instrument=instrument,
        price=Decimal(50000),
    )
    assert within_dead_band(gap) is is_within


def test_a28_a_reduction_that_would_leave_dust_closes_the_whole() -> None:
    instrument = Instrument(
        symbol="BTCUSDT",
        step_lots=Decimal("0.001"),
        min_lots=Decimal("0.01"),
        max_market_lots=None,
        min_notional_usdt=Decimal(0),
        contract_size=Decimal(1),
        tick_size=Decimal("0.1"),
        max_leverage=Decimal(100),
        leverage_step=Decimal("0.01"),
    )
    gap = Gap(
        wanted_lots=Decimal("0.004"),
        held_lots=Decimal("0.05"),
        instrument=instrument,
        price=Decimal(50000),
    )
    (order,) = orders_of(gap)
    assert order.size_lots == Decimal("-0.05")
