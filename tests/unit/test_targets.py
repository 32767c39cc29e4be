"""Weighing: what several sources say becomes one target a symbol, caps and staleness included."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model import ZERO, Contribution
from core.targets import Weighing, compute_targets, level_sign, reduces_any

NOW = 1_700_000_000_000
WEIGHING = Weighing(
    weights={
        "BTCUSDT": {"tradingview": Decimal("0.1"), "bittensor": Decimal("0.15")},
        "ETHUSDT": {"tradingview": Decimal("0.1")},
    },
    leverage={"BTCUSDT": Decimal(3), "ETHUSDT": Decimal(3)},
    leverage_override=None,
    stale_after_s={"tradingview": 0, "bittensor": 600},
    max_gross=Decimal(3),
    hears_simulated=False,
)


def said(
    depth: str,
    *,
    symbol: str = "BTCUSDT",
    source: str = "tradingview",
    leverage: str | None = None,
    source_symbol: str = "",
    signal_id: str = "a",
    at_ms: int = NOW,
    is_level: bool = False,
) -> Contribution:
    return Contribution(
        source=source,
        source_symbol=source_symbol or symbol,
        symbol=symbol,
        depth=Decimal(depth),
        leverage=None if leverage is None else Decimal(leverage),
        signal_id=signal_id,
        received_at_ms=at_ms,
        is_level=is_level,
    )


def test_exposure_is_the_sum_of_weight_times_depth_times_leverage() -> None:
    targets = compute_targets(
        [said("0.5"), said("-0.2", source="bittensor", is_level=True)], WEIGHING, now_ms=NOW
    )
    expected = Decimal("0.1") * Decimal("0.5") * 3 - Decimal("0.15") * Decimal("0.2") * 3
    assert targets["BTCUSDT"].exposure == expected
    assert targets["BTCUSDT"].depth == expected / 3


def test_a_symbol_of_which_no_source_spoke_has_no_target() -> None:
    assert "ETHUSDT" not in compute_targets([said("0.5")], WEIGHING, now_ms=NOW)


def test_a_symbol_absent_from_the_weights_has_no_target() -> None:
    assert compute_targets([said("0.5", symbol="XRPUSDT")], WEIGHING, now_ms=NOW) == {}


def test_a_source_absent_from_a_listed_symbol_counts_nothing() -> None:
    heard = [said("0.5", symbol="ETHUSDT", source="bittensor")]
    assert compute_targets(heard, WEIGHING, now_ms=NOW)["ETHUSDT"].exposure == 0


def test_a_signal_asks_for_less_leverage_but_never_gets_more() -> None:
    less = compute_targets([said("0.5", leverage="2")], WEIGHING, now_ms=NOW)["BTCUSDT"]
    more = compute_targets([said("0.5", leverage="50")], WEIGHING, now_ms=NOW)["BTCUSDT"]

    assert (less.leverage, less.exposure) == (Decimal(2), Decimal("0.1"))
    assert (more.leverage, more.exposure) == (Decimal(3), Decimal("0.15"))
    assert more.reasons[0].startswith("leverage_capped")


def test_a19_a_leverage_override_applies_before_sizing() -> None:
    weighing = replace(WEIGHING, leverage_override=Decimal(5))
    target = compute_targets([said("0.5", leverage="2")], weighing, now_ms=NOW)["BTCUSDT"]
    assert (target.leverage, target.exposure) == (Decimal(5), Decimal("0.25"))


def test_b12_two_source_symbols_mapped_to_one_add_up() -> None:
    both = [
        said("0.2", source_symbol="BTCUSD", signal_id="a"),
        said("0.3", source_symbol="BTCUSDC", signal_id="b"),
    ]
    target = compute_targets(both, WEIGHING, now_ms=NOW)["BTCUSDT"]
    assert target.exposure == Decimal("0.1") * 3 * Decimal("0.5")


def test_a8_aliases_cannot_exceed_the_symbol_s_cap() -> None:
    both = [said("1", source_symbol=s, signal_id=s) for s in ("A", "B", "C")]
    target = compute_targets(both, WEIGHING, now_ms=NOW)["BTCUSDT"]
    assert target.exposure == 3 * Decimal("0.25")
    assert any(r.startswith("symbol_cap") for r in target.reasons)


def test_a8_all_targets_together_are_held_to_the_gross_cap_in_proportion() -> None:
    weighing = replace(WEIGHING, max_gross=Decimal("0.3"))
    targets = compute_targets(
        [said("1"), said("-1", symbol="ETHUSDT", signal_id="b")], weighing, now_ms=NOW
    )
    assert targets["BTCUSDT"].exposure == Decimal("0.15")
    assert targets["ETHUSDT"].exposure == Decimal("-0.15")
    assert all("gross_cap" in t.reasons[-1] for t in targets.values())


def test_the_same_numbers_from_a_new_signal_are_a_new_version() -> None:
    first = compute_targets([said("0.5", signal_id="a")], WEIGHING, now_ms=NOW)["BTCUSDT"]
    again = compute_targets([said("0.5", signal_id="a")], WEIGHING, now_ms=NOW + 9)["BTCUSDT"]
    second = compute_targets([said("0.5", signal_id="b")], WEIGHING, now_ms=NOW)["BTCUSDT"]

    assert first.version == again.version
    assert first.version != second.version


def test_a_settings_edit_is_a_new_version() -> None:
    other = replace(
        WEIGHING, weights={**WEIGHING.weights, "BTCUSDT": {"tradingview": Decimal("0.2")}}
    )
    before = compute_targets([said("0.5")], WEIGHING, now_ms=NOW)["BTCUSDT"]
    after = compute_targets([said("0.5")], other, now_ms=NOW)["BTCUSDT"]
    assert before.version != after.version


def test_a_stale_level_source_keeps_its_value_but_is_not_fresh() -> None:
    old = NOW - 601_000
    heard = [said("0.5"), said("0.5", source="bittensor", is_level=True, at_ms=old)]
    target = compute_targets(heard, WEIGHING, now_ms=NOW)["BTCUSDT"]
    assert target.exposure == Decimal("0.375")
    assert target.fresh_exposure == Decimal("0.15")
    assert any(r.startswith("stale") for r in target.reasons)


def test_a_level_that_was_confirmed_lately_is_fresh_although_it_has_not_moved() -> None:
    old = said("0.5", source="bittensor", is_level=True, at_ms=NOW - 9_000_000)
    confirmed = replace(old, confirmed_at_ms=NOW - 1000)
    target = compute_targets([confirmed], WEIGHING, now_ms=NOW)["BTCUSDT"]
    assert target.fresh_exposure == target.exposure


def test_a_last_known_value_adds_nothing() -> None:
    gone = replace(said("0.5"), is_last_known=True)
    target = compute_targets([gone], WEIGHING, now_ms=NOW)["BTCUSDT"]
    assert target.exposure == Decimal("0.15")
    assert target.fresh_exposure == 0


def test_all_zero_targets_have_depth_zero() -> None:
    target = compute_targets([said("0")], WEIGHING, now_ms=NOW)["BTCUSDT"]
    assert target.exposure == target.leverage == target.depth == 0


def test_reduces_any_sees_smaller_gone_and_flipped_targets() -> None:
    long = compute_targets([said("0.5")], WEIGHING, now_ms=NOW)
    smaller = compute_targets([said("0.4")], WEIGHING, now_ms=NOW)
    flipped = compute_targets([said("-0.9")], WEIGHING, now_ms=NOW)
    larger = compute_targets([said("0.6")], WEIGHING, now_ms=NOW)

    assert reduces_any(long, smaller)
    assert reduces_any(long, flipped)
    assert reduces_any(long, {})
    assert not reduces_any(long, larger)
    assert not reduces_any({}, long)


def test_the_sign_of_levels_ignores_instructions() -> None:
    heard = [said("0.9"), said("-0.1", source="bittensor", is_level=True)]
    assert level_sign(heard, WEIGHING, "BTCUSDT") == -1
    assert level_sign(heard[:1], WEIGHING, "BTCUSDT") is None


depths = st.decimals("-1", "1", places=4)


@given(st.lists(st.tuples(depths, st.sampled_from(["BTCUSDT", "ETHUSDT"])), max_size=6))
def test_caps_hold_whatever_is_said(heard: list[tuple[Decimal, str]]) -> None:
    contributions = [
        said(str(depth), symbol=symbol, source_symbol=f"s{i}", signal_id=f"i{i}")
        for i, (depth, symbol) in enumerate(heard)
    ]
    targets = compute_targets(contributions, WEIGHING, now_ms=NOW)
    assert sum((abs(t.exposure) for t in targets.values()), ZERO) <= WEIGHING.max_gross
    for symbol, target in targets.items():
        cap = WEIGHING.leverage[symbol] * sum(WEIGHING.weights[symbol].values(), ZERO)
        assert abs(target.exposure) <= cap
        assert target.leverage <= WEIGHING.leverage[symbol]


@pytest.mark.parametrize(
    ("ahead_ms", "is_fresh"),
    [pytest.param(60_000, True, id="a-minute"), pytest.param(3_600_000, False, id="an-hour")],
)
def test_a_confirmation_from_the_future_is_not_fresh(ahead_ms: int, is_fresh: bool) -> None:
    old = said("0.5", source="bittensor", at_ms=NOW - 3_600_000, is_level=True)
    signal = replace(old, confirmed_at_ms=NOW + ahead_ms)

    target = compute_targets([signal], WEIGHING, now_ms=NOW)["BTCUSDT"]

    assert (target.fresh_exposure > 0) is is_fresh
