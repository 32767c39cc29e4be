"""One symbol's decision where modes come in: margin mode, leverage, both sides held at once."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.attempts import Attempts, increase_sent, reduction_sent, reopening_helped
from core.decision import Decision, Frozen, Reason
from core.ledger import Hold, HoldKind, SymbolLedger, Trust
from core.model import (
    ZERO,
    Mode,
    Order,
    Position,
    PositionsRead,
    SetLeverage,
    SetMarginMode,
    Target,
)
from core.reconcile import decide
from core.reopening import in_step
from tests.engine.fake_venue import INSTRUMENT
from tests.unit.reconcile_scene import NOW, TARGET, codes, sizes, view

OTHER_MODE = {"margin_mode_wanted": "isolated", "margin_mode_held": "cross"}
REOPENS = {**OTHER_MODE, "allows_reopen": True}
FROZEN = Frozen(version="v", exposure=Decimal("0.1"), leverage=Decimal(3), lots=Decimal(1))


def on_both_sides(
    long: str, short: str, *, expected: str = "0", wanted: str | None = "1", **changes: Any
) -> Decision:
    ledger = SymbolLedger(symbol="BTCUSDT", baseline_lots=Decimal(expected), is_ours=True)
    return decide(
        view(
            None,
            wanted,
            **{
                "both_sides": (Decimal(long), Decimal(short)),
                "trust": Trust.UNREADABLE,
                "ledger": ledger,
                **changes,
            },
        )
    )


# --- margin mode
def test_another_margin_mode_stops_increases_only() -> None:
    assert codes(decide(view("1", "2", **OTHER_MODE))) == ["margin_mode"]
    assert sizes(decide(view("1", "2", **OTHER_MODE))) == []
    assert sizes(decide(view("2", "1", **OTHER_MODE))) == [(Decimal(-1), True)]
    assert sizes(decide(view("1", "1", **OTHER_MODE))) == []
    assert sizes(decide(view("1", "-1", **OTHER_MODE))) == [(Decimal(-1), True)]


def test_while_flat_the_margin_mode_is_set_before_leverage_and_order() -> None:
    actions = decide(view("0", "1", **OTHER_MODE)).actions  # 3x was what the other mode had

    assert [type(a) for a in actions] == [SetMarginMode, SetLeverage, Order]
    assert actions[0] == SetMarginMode(symbol="BTCUSDT", margin_mode="isolated")


def test_a_margin_mode_that_is_so_already_is_not_set() -> None:
    (only,) = decide(view("0", "1", margin_mode_wanted="cross", margin_mode_held="cross")).actions

    assert isinstance(only, Order)
    assert only.margin_mode == "cross"


def test_a_margin_mode_that_is_kept_is_not_named_in_orders() -> None:
    (only,) = decide(view("0", "1", margin_mode_held="cross")).actions

    assert isinstance(only, Order)
    assert only.margin_mode is None


def test_in_portfolio_margin_nothing_is_set_and_a_wanted_mode_stops_increases() -> None:
    portfolio = {
        "sets_leverage": False,
        "margin_mode_wanted": "isolated",
        "margin_mode_held": "portfolio",
    }

    assert decide(view("0", "1", **portfolio)).actions == ()
    assert codes(decide(view("0", "1", **portfolio))) == ["margin_mode"]
    assert sizes(decide(view("2", "1", **portfolio))) == [(Decimal(-1), True)]
    keeps = {**portfolio, "margin_mode_wanted": None}
    assert sizes(decide(view("0", "1", **keeps))) == [(Decimal(1), False)]


@pytest.mark.parametrize(
    "changes",
    [
        {"positions": {"ETHUSDT": Position(symbol="ETHUSDT", size_lots=Decimal(1))}},
        {"unreadable": frozenset({"ETHUSDT"})},
    ],
    ids=["held", "unreadable"],
)
def test_an_entry_waits_unstarted_while_the_account_s_mode_cannot_change(
    changes: dict[str, Any],
) -> None:
    entry = decide(view("0", "1", **OTHER_MODE))
    flat = PositionsRead(began_at_ms=NOW, positions={})
    (waits,) = in_step({"BTCUSDT": entry}, replace(flat, **changes), lambda _: entry).values()

    assert (waits.actions, codes(waits), waits.starts) == ((), ["margin_mode"], False)
    assert in_step({"BTCUSDT": entry}, flat, lambda _: entry) == {"BTCUSDT": entry}
    assert in_step({"BTCUSDT": entry}, None, lambda _: entry) == {"BTCUSDT": entry}


# --- closing to open again
@pytest.mark.parametrize("wanted", ["1", "2", "0.5"])
def test_where_it_may_reopen_the_whole_is_closed_first(wanted: str) -> None:
    frozen = replace(FROZEN, lots=Decimal(wanted))
    decision = decide(view("1", wanted, frozen=frozen, **REOPENS))

    assert sizes(decision) == [(Decimal(-1), True)]
    assert codes(decision) == ["reopens"]
    assert decision.reopens
    assert decision.starts  # or it might be too old to be opened again
    assert not decision.verified


def test_what_is_flat_then_is_opened_under_the_new_mode() -> None:
    actions = decide(view("0", "1", **REOPENS)).actions

    assert [type(a) for a in actions] == [SetMarginMode, SetLeverage, Order]


def test_an_exit_and_a_flip_are_not_reopenings() -> None:
    assert not decide(view("1", "0", **REOPENS)).reopens
    assert not decide(view("1", "-1", **REOPENS)).reopens
    assert codes(decide(view("1", "0", **REOPENS))) == []


HOLD = Hold(kind=HoldKind.EXTERNAL, at_ms=NOW, text="not by us")
OLD: Target = replace(TARGET, newest_signal_at_ms=NOW - 901_000)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"allows_reopen": False}, id="not-allowed"),
        pytest.param({"mode": Mode.PAUSE}, id="paused"),
        pytest.param({"mode": Mode.HALT}, id="halted"),
        pytest.param(
            {
                "ledger": SymbolLedger(
                    symbol="BTCUSDT", baseline_lots=Decimal(1), is_ours=True, hold=HOLD
                )
            },
            id="held",
        ),
        pytest.param({"target": OLD}, id="too-old"),
        pytest.param({"frozen": replace(FROZEN, expired=True)}, id="expired"),
        pytest.param({"frozen": replace(FROZEN, fresh_lots=ZERO)}, id="stale-source"),
        pytest.param({"equity_usdt": None}, id="equity-unknown"),
        pytest.param({"ticker": None}, id="no-price"),
        pytest.param({"instrument": replace(INSTRUMENT, is_trading=False)}, id="not-trading"),
        pytest.param(
            {"instrument": replace(INSTRUMENT, min_lots=Decimal(2))}, id="below-the-minimum"
        ),
        pytest.param({"blockers": (Reason(code="clock_skew", text="6 s"),)}, id="clock-skew"),
        pytest.param(
            {"attempts": Attempts(version="v", increase_not_before_ms=NOW + 1)}, id="back-off"
        ),
        pytest.param({"attempts": Attempts(version="v", reopened="isolated")}, id="done-in-vain"),
    ],
)
def test_it_stays_as_it_is_while_anything_stands_against_opening(changes: dict[str, Any]) -> None:
    decision = decide(view("1", "1", **{**REOPENS, **changes}))

    assert sizes(decision) == []
    assert not decision.reopens


def test_what_it_was_reopened_for_before_does_not_stand_against_another_cause() -> None:
    attempts = Attempts(version="v", reopened=Decimal(5))

    assert decide(view("1", "1", attempts=attempts, **REOPENS)).reopens == "isolated"


def test_a_reopening_that_waits_for_its_answer_is_not_confirmed() -> None:
    attempts = reduction_sent(Attempts(version="v", reopening="isolated"), now_ms=NOW)
    decision = decide(view("1", "1", attempts=attempts, **REOPENS))

    assert codes(decision) == ["reopens", "reduction_waits"]
    assert not decision.verified


def test_a_reopening_goes_on_after_a_part_of_the_close() -> None:
    attempts = Attempts(version="v", reopening="isolated")

    assert sizes(decide(view("0.4", "1", attempts=attempts, **REOPENS))) == [
        (Decimal("-0.4"), True)
    ]


def test_the_increase_of_a_reopening_ends_it() -> None:
    closing = Attempts(reopening="isolated")
    opened = increase_sent(closing, is_shrunk=False)

    assert (opened.reopening, opened.reopened) == ("", "isolated")
    assert increase_sent(opened, is_shrunk=False) == opened
    assert increase_sent(Attempts(), is_shrunk=False).reopened == ""


def test_a_reopening_may_be_done_again_once_it_was_seen_to_help() -> None:
    opened = Attempts(reopened=Decimal(5))

    assert reopening_helped(opened, margin_mode="cross", leverage=None) == opened
    assert reopening_helped(opened, margin_mode=None, leverage=Decimal(3)) == opened
    assert reopening_helped(opened, margin_mode=None, leverage=Decimal("5.0")).reopened == ""
    moded = Attempts(reopened="isolated")
    assert reopening_helped(moded, margin_mode="isolated", leverage=None).reopened == ""


# --- a leverage that the venue refuses while something is held
REFUSED = Attempts(version="v", leverage_refused=Decimal(3))


def test_a18_a_changed_leverage_is_changed_in_place_before_the_increase() -> None:
    first, second = decide(view("1", "2", leverage_held=Decimal(10), allows_reopen=True)).actions

    assert first == SetLeverage(symbol="BTCUSDT", leverage=Decimal(3))
    assert isinstance(second, Order)
    assert not second.reduce_only
    assert second.leverage == 3


def test_a18_a_refused_leverage_closes_and_reopens_only_where_allowed_and_due() -> None:
    other = {"leverage_held": Decimal(10), "attempts": REFUSED}

    assert decide(view("1", "2", allows_reopen=True, **other)).reopens
    assert not decide(view("1", "2", **other)).reopens
    assert not decide(view("1", "1", allows_reopen=True, **other)).reopens  # no increase is due
    assert not decide(view("1", "0.5", allows_reopen=True, **other)).reopens
    assert decide(view("1", "2", allows_reopen=True, **other)).reopens == 3
    in_vain = {**other, "attempts": replace(REFUSED, reopened=Decimal(3))}
    assert not decide(view("1", "2", allows_reopen=True, **in_vain)).reopens
    elsewhere = replace(REFUSED, leverage_refused=Decimal(5))
    again = decide(view("1", "2", allows_reopen=True, **{**other, "attempts": elsewhere}))
    assert not again.reopens


# --- both sides at once
def test_a15_with_both_sides_held_nothing_opens_and_it_says_why() -> None:
    decision = on_both_sides("1", "-1", expected="1", wanted="3")

    assert decision.actions == ()
    assert codes(decision) == ["both_sides"]
    assert "long 1 and short 1" in decision.reasons[0].text
    assert not decision.verified


@pytest.mark.parametrize(
    ("expected", "wanted", "size"),
    [
        pytest.param("1", "0", "-1", id="our-long"),
        pytest.param("-1", "0", "1", id="our-short"),
        pytest.param("1", "-3", "-1", id="a-flip-closes"),
        pytest.param("5", "0", "-2", id="no-more-than-the-side-holds"),
        pytest.param("-5", "0", "4", id="nor-of-the-short-side"),
        pytest.param("0", "0", None, id="nothing-is-ours"),
        pytest.param("1", "0.5", None, id="no-partial-reduction"),
        pytest.param("1", None, None, id="not-sized"),
    ],
)
def test_a15_a_close_of_what_is_ours_goes_all_the_same(
    expected: str, wanted: str | None, size: str | None
) -> None:
    decision = on_both_sides("2", "-4", expected=expected, wanted=wanted)

    assert sizes(decision) == ([] if size is None else [(Decimal(size), True)])
    assert codes(decision)[0] == "both_sides"


def test_a15_what_is_not_ours_is_not_closed() -> None:
    foreign = SymbolLedger(symbol="BTCUSDT", baseline_lots=Decimal(1))

    assert on_both_sides("2", "-4", wanted="0", ledger=foreign).actions == ()


def test_a15_a_flatten_closes_both_sides() -> None:
    decision = on_both_sides("2", "-4", mode=Mode.FLATTEN)

    assert sizes(decision) == [(Decimal(-2), True), (Decimal(4), True)]


@pytest.mark.parametrize("mode", [Mode.FLATTEN, Mode.RUN])
def test_a15_a_close_on_its_way_is_not_sent_again_at_once(mode: Mode) -> None:
    attempts = reduction_sent(Attempts(version="v"), now_ms=NOW)
    decision = on_both_sides("2", "-4", expected="2", wanted="0", mode=mode, attempts=attempts)

    assert decision.actions == ()
    assert codes(decision) == ["both_sides", "reduction_waits"]


def test_a15_a_halt_and_a_question_go_before_both_sides() -> None:
    adopt = Hold(kind=HoldKind.ADOPT, at_ms=NOW, text="asked")
    ledger = SymbolLedger(symbol="BTCUSDT", baseline_lots=ZERO, hold=adopt)

    assert codes(on_both_sides("2", "-4", mode=Mode.HALT)) == ["halted"]
    assert codes(on_both_sides("2", "-4", ledger=ledger)) == ["adopt"]


lots = st.integers(1, 40).map(lambda n: Decimal(n) / 10)
signed = st.integers(-40, 40).map(lambda n: Decimal(n) / 10)


@given(lots, lots, signed, signed, st.sampled_from(list(Mode)))
def test_a15_no_order_on_both_sides_opens_or_closes_more_than_its_side(
    long: Decimal, short: Decimal, expected: Decimal, wanted: Decimal, mode: Mode
) -> None:
    decision = on_both_sides(
        str(long), str(-short), expected=str(expected), wanted=str(wanted), mode=mode
    )
    closed = {"long": ZERO, "short": ZERO}
    for order in decision.orders:
        assert order.reduce_only
        closed["long" if order.size_lots < 0 else "short"] += abs(order.size_lots)

    assert closed["long"] <= long
    assert closed["short"] <= short
    assert not decision.verified
    if mode is Mode.FLATTEN:
        assert closed == {"long": long, "short": short}
