"""One symbol's decision, row by row."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.attempts import (
    Attempts,
    increase_failed,
    increase_sent,
    margin_refused,
    margin_still_refused,
    no_position,
    reduction_failed,
    reduction_sent,
    reduction_succeeded,
)
from core.decision import Decision, Frozen
from core.ledger import Hold, HoldKind, OpenIntent, SymbolLedger, Trust
from core.model import ZERO, Mode, Order, SetLeverage
from core.reconcile import decide, leverage_to_set, no_farther
from tests.engine.fake_venue import INSTRUMENT, MARK
from tests.unit.reconcile_scene import NOW, TARGET, TICKER, codes, sizes, view


def test_an_entry_is_ordered_and_starts_the_version() -> None:
    decision = decide(view())
    assert sizes(decision) == [(Decimal(1), False)]
    assert decision.starts
    assert not decision.verified


def test_what_is_held_as_wanted_is_verified() -> None:
    decision = decide(view("1", "1"))
    assert decision.actions == ()
    assert decision.verified


def test_leverage_is_set_before_the_order_when_it_differs() -> None:
    first, second = decide(view(leverage_held=Decimal(10))).actions
    assert first == SetLeverage(symbol="BTCUSDT", leverage=Decimal(3))
    assert isinstance(second, Order)


def test_under_portfolio_margin_leverage_is_never_set() -> None:
    (only,) = decide(view(leverage_held=None, sets_leverage=False)).actions
    assert isinstance(only, Order)


@pytest.mark.parametrize(
    ("asked", "is_set"), [("3", "3"), ("2.001", "2.01"), ("400", "100"), ("0.001", "0.01")]
)
def test_leverage_is_rounded_up_to_the_step_and_held_to_the_maximum(
    asked: str, is_set: str
) -> None:
    assert leverage_to_set(Decimal(asked), INSTRUMENT) == Decimal(is_set)


def test_a16_the_reason_of_a_target_below_the_minimum_is_shown() -> None:
    frozen = Frozen(
        version="v",
        exposure=Decimal("0.00001"),
        leverage=Decimal(3),
        lots=ZERO,
        reason="below_minimum",
    )
    decision = decide(view("0", "0.0002", frozen=frozen))
    assert decision.verified
    assert codes(decision) == ["below_minimum"]


def test_a_stale_source_adds_at_most_what_fresh_sources_want() -> None:
    stale = Frozen(
        version="v",
        exposure=Decimal("0.5"),
        leverage=Decimal(3),
        lots=Decimal(10),
        fresh_lots=Decimal(4),
    )
    assert sizes(decide(view("1", "10", frozen=stale))) == [(Decimal(3), False)]
    assert sizes(decide(view("6", "10", frozen=stale))) == []
    assert sizes(decide(view("12", "10", frozen=stale))) == [(Decimal(-2), True)]
    other_side = replace(stale, fresh_lots=Decimal(-4))
    assert sizes(decide(view("0", "10", frozen=other_side))) == []
    assert "stale_source" in codes(decide(view("0", "10", frozen=other_side)))
    enough = replace(stale, fresh_lots=Decimal(12))
    assert sizes(decide(view("0", "4", frozen=replace(enough, lots=Decimal(4))))) == [
        (Decimal(4), False)
    ]


def test_an_unsized_target_closes_the_wrong_side_and_nothing_else() -> None:
    assert sizes(decide(view("-2", None))) == [(Decimal(2), True)]
    assert sizes(decide(view("2", None))) == []
    assert codes(decide(view("2", None)))[0] == "unsized"


def test_a_flat_target_needs_no_size() -> None:
    assert sizes(decide(view("2", "0", frozen=None))) == [(Decimal(-2), True)]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        pytest.param({"mode": Mode.PAUSE, "mode_reason": "by me"}, "paused", id="pause"),
        pytest.param({"equity_usdt": None}, "equity_unknown", id="equity-unknown"),
        pytest.param({"equity_usdt": Decimal(-1)}, "no_equity", id="no-equity"),
        pytest.param({"ticker": None}, "no_price", id="no-price"),
        pytest.param(
            {"instrument": replace(INSTRUMENT, is_trading=False)}, "not_trading", id="not-trading"
        ),
        pytest.param(
            {
                "attempts": increase_failed(
                    Attempts(version="v"), now_ms=NOW, error="no", first_s=5, longest_s=120
                )
            },
            "backoff",
            id="backoff",
        ),
    ],
)
def test_what_stops_increases_never_stops_reductions(changes: dict[str, Any], code: str) -> None:
    stopped = decide(view("0", "1", **changes))
    assert sizes(stopped) == []
    assert code in codes(stopped)
    assert not stopped.verified
    assert sizes(decide(view("2", "1", **changes))) == [(Decimal(-1), True)]
    assert sizes(decide(view("2", "-1", **changes))) == [(Decimal(-2), True)]


def test_an_entry_that_comes_too_late_expires_and_is_done_with() -> None:
    old = replace(TARGET, newest_signal_at_ms=NOW - 901_000)
    late = decide(view(target=old))
    assert late.expires
    assert late.verified
    assert sizes(late) == []
    started = Frozen(
        version="v",
        exposure=Decimal("0.1"),
        leverage=Decimal(3),
        lots=Decimal(1),
        started=True,
    )
    assert sizes(decide(view(target=old, frozen=started))) == [(Decimal(1), False)]
    off = replace(view().policy, max_entry_age_s=0)
    assert sizes(decide(view(target=old, policy=off))) == [(Decimal(1), False)]


def test_a_version_that_expired_still_reduces() -> None:
    expired = Frozen(
        version="v",
        exposure=Decimal("0.1"),
        leverage=Decimal(3),
        lots=Decimal(1),
        expired=True,
    )
    assert sizes(decide(view("2", "1", frozen=expired))) == [(Decimal(-1), True)]
    assert decide(view("0", "1", frozen=expired)).verified


EXTERNAL = SymbolLedger(
    symbol="BTCUSDT",
    baseline_lots=ZERO,
    is_ours=True,
    hold=Hold(kind=HoldKind.EXTERNAL, at_ms=NOW, text="not by us"),
)


def test_a_hold_stops_increases_but_flatten_goes_through_it() -> None:
    assert sizes(decide(view("0", "1", ledger=EXTERNAL))) == []
    assert codes(decide(view("0", "1", ledger=EXTERNAL))) == ["external"]
    flatten = decide(view("3", "5", ledger=EXTERNAL, mode=Mode.FLATTEN))
    assert sizes(flatten) == [(Decimal(-3), True)]


def test_halt_stops_everything() -> None:
    decision = decide(view("3", "0", mode=Mode.HALT, mode_reason="state/HALT"))
    assert sizes(decision) == []
    assert codes(decision) == ["halted"]


def test_a_symbol_that_is_not_listed_is_left_alone_with_a_reason() -> None:
    assert codes(decide(view(instrument=None))) == ["not_listed"]
    assert codes(decide(view(instrument=None, lists_instruments=False))) == ["no_instrument"]


def doubtful(read: str | None, expected: str, wanted: str, **changes: Any) -> Decision:
    ledger = SymbolLedger(symbol="BTCUSDT", baseline_lots=Decimal(expected), is_ours=True)
    trust = Trust.UNREADABLE if read is None else Trust.EARLY
    return decide(view(read, wanted, **{"ledger": ledger, "trust": trust, **changes}))


@pytest.mark.parametrize(
    ("read", "expected", "wanted", "size"),
    [
        pytest.param("0", "2", "3", None, id="no-increase-on-a-doubtful-read"),
        pytest.param("0", "2", "0", "-2", id="close-from-the-farther-expected"),
        pytest.param("5", "2", "0", "-5", id="close-from-the-farther-read"),
        pytest.param("-1", "2", "0", "1", id="signs-differ-the-read-first"),
        pytest.param("4", "3", "1", "-2", id="partial-from-the-nearer"),
        pytest.param("4", "1", "1", None, id="nearer-is-at-the-target"),
        pytest.param("4", "0.5", "1", None, id="nearer-is-inside-the-target"),
        pytest.param("2", "3", "-1", "-3", id="a-flip-closes"),
        pytest.param(None, "2", "0", "-2", id="a-failed-read-still-closes-expected"),
        pytest.param(None, "2", "1", None, id="a-failed-read-reduces-nothing-partially"),
        pytest.param("0", "0", "0", None, id="nothing-known-nothing-sent"),
    ],
)
def test_on_a_doubtful_read(read: str | None, expected: str, wanted: str, size: str | None) -> None:
    decision = doubtful(read, expected, wanted)
    assert sizes(decision) == ([] if size is None else [(Decimal(size), True)])
    assert not decision.verified


def test_no_position_is_not_asked_again_while_nothing_changed() -> None:
    attempts = no_position(Attempts(version="v"), Decimal(2))
    assert sizes(doubtful("0", "2", "0", attempts=attempts)) == []
    assert sizes(doubtful("0", "3", "0", attempts=attempts)) == [(Decimal(-3), True)]
    assert sizes(doubtful("1", "2", "0", attempts=attempts)) == [(Decimal(-2), True)]


def test_behind_an_unknown_reduction_only_a_close_may_go() -> None:
    intent = OpenIntent(
        client_id="x", size_lots=Decimal(-1), reduce_only=True, version="", sent_at_ms=NOW
    )
    ledger = SymbolLedger(symbol="BTCUSDT", baseline_lots=Decimal(4), is_ours=True, open=(intent,))
    changes = {"ledger": ledger, "trust": Trust.OPEN}
    assert sizes(decide(view("4", "2", **changes))) == []
    assert sizes(decide(view("4", "0", **changes))) == [(Decimal(-4), True)]


def test_a_reduction_on_its_way_is_not_sent_again_at_once() -> None:
    attempts = reduction_sent(Attempts(version="v"), now_ms=NOW)
    waiting = decide(view("2", "0", attempts=attempts))
    assert sizes(waiting) == []
    assert codes(waiting) == ["reduction_waits"]
    assert sizes(decide(view("2", "0", attempts=attempts, now_ms=NOW + 1000))) == [
        (Decimal(-2), True)
    ]


def test_each_failed_reduction_gives_away_more_and_the_last_goes_at_market() -> None:
    prices = []
    attempts = Attempts(version="v")
    for _ in range(5):
        (order,) = decide(view("2", "0", attempts=attempts, now_ms=NOW + 10**6)).orders
        prices.append(order.limit_price)
        attempts = reduction_failed(reduction_sent(attempts, now_ms=NOW), now_ms=NOW)

    assert prices[:3] == [MARK * Decimal(s) for s in ("0.995", "0.985", "0.95")]
    assert prices[3:] == [None, None]
    assert reduction_succeeded(attempts).reductions_failed == 0


def test_an_increase_refused_for_margin_is_shrunk_once_to_what_is_free() -> None:
    refused = margin_refused(Attempts(version="v"), equity_usdt=Decimal(1_000_000), price=MARK)
    shrunk = decide(view("0", "4", attempts=refused, free_margin_usdt=Decimal(50_000)))
    assert sizes(shrunk) == [(Decimal("2.850"), False)]
    assert codes(shrunk) == ["shrunk"]
    again = margin_refused(
        increase_sent(refused, is_shrunk=True), equity_usdt=Decimal(1_000_000), price=MARK
    )
    assert codes(decide(view("0", "4", attempts=again))) == ["margin"]
    moved = decide(view("0", "4", attempts=again, equity_usdt=Decimal(1_020_000)))
    assert "margin" not in codes(moved)
    assert sizes(decide(view("0", "4", attempts=refused, free_margin_usdt=ZERO))) == []


def test_a_margin_refusal_stands_while_nothing_moved() -> None:
    refusal = margin_refused(Attempts(), equity_usdt=Decimal(100), price=None).margin
    assert refusal is not None
    assert margin_still_refused(refusal, equity_usdt=Decimal(101), price=Decimal(1))
    assert not margin_still_refused(refusal, equity_usdt=Decimal(102), price=None)


lots = st.integers(-40, 40).map(lambda n: Decimal(n) / 10)


@given(lots, lots)
def test_no_farther_never_adds_and_never_crosses(wanted: Decimal, held: Decimal) -> None:
    capped = no_farther(wanted, held)
    assert abs(capped) <= abs(held)
    assert capped * held >= 0
    assert abs(capped) <= abs(wanted) or not capped


@given(
    lots,
    lots,
    lots,
    st.sampled_from(list(Trust)),
    st.sampled_from(list(Mode)),
    st.booleans(),
    st.one_of(st.none(), st.just(Decimal(5_000_000))),
)
def test_whatever_is_known_no_decision_breaks_the_invariants(  # noqa: PLR0917
    read: Decimal,
    expected: Decimal,
    wanted: Decimal,
    trust: Trust,
    mode: Mode,
    has_price: bool,
    equity: Decimal | None,
) -> None:
    ledger = SymbolLedger(symbol="BTCUSDT", baseline_lots=expected, is_ours=True)
    shown = view(
        str(read),
        str(wanted),
        ledger=ledger,
        trust=trust,
        mode=mode,
        equity_usdt=equity,
        ticker=TICKER if has_price else None,
    )
    decision = decide(shown)
    for order in decision.orders:
        if not order.reduce_only:
            assert trust is Trust.COUNTS
            assert mode is Mode.RUN
            assert equity is not None
            assert has_price
            assert read * order.size_lots >= 0
            assert abs(read + order.size_lots) <= max(abs(read), abs(wanted))
        else:
            assert mode is not Mode.HALT
            assert any(x * order.size_lots < 0 for x in (read, expected))
    if decision.verified:
        assert not decision.actions
        assert trust is Trust.COUNTS
