"""The ledger: a fold of the journal, and when a read may be believed."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.intents import decode, encode
from core.ledger import (
    SETTLE_MS,
    Held,
    Hold,
    HoldKind,
    Intended,
    Learned,
    Row,
    Said,
    SymbolLedger,
    Trust,
    all_filled,
    as_of_restart,
    fold,
    is_lifted,
    judge,
    replay,
    reread,
    restated,
)
from core.model import ZERO

T = 1_000_000
ONE = Decimal(1)


def held(lots: str, at_ms: int = T, *, hold: Hold | None = None, is_ours: bool = True) -> Held:
    return Held(symbol="B", lots=Decimal(lots), at_ms=at_ms, is_ours=is_ours, hold=hold)


def intended(client_id: str, size: str, at_ms: int = T, *, reduce_only: bool = False) -> Intended:
    return Intended(
        symbol="B",
        client_id=client_id,
        size_lots=Decimal(size),
        reduce_only=reduce_only,
        version="v",
        at_ms=at_ms,
    )


def learned(client_id: str, status: str, filled: str = "0", at_ms: int = T) -> Learned:
    return Learned(
        symbol="B",
        client_id=client_id,
        status=status,  # type: ignore[arg-type] # one of four
        at_ms=at_ms,
        filled_lots=Decimal(filled),
    )


def after(*rows: Row) -> SymbolLedger:
    return replay("B", rows)


def test_expected_is_the_baseline_and_own_fills_since() -> None:
    ledger = after(held("2"), intended("a", "1"), learned("a", "closed", "0.4"))
    assert ledger.expected_lots == Decimal("2.4")
    assert not ledger.open


def test_a_new_baseline_forgets_fills_before_it() -> None:
    ledger = after(held("2"), intended("a", "1"), learned("a", "closed", "1"), held("3"))
    assert ledger.expected_lots == 3


def test_without_any_read_nothing_is_expected() -> None:
    assert after().expected_lots is None


def test_an_id_from_the_venue_outlives_a_later_doubt() -> None:
    ledger = after(held("0"), intended("a", "1"), learned("a", "placed"), learned("a", "unknown"))
    assert ledger.open[0].status == "placed"


def test_a_fill_that_is_found_later_counts_by_what_was_missed() -> None:
    ledger = after(
        held("0"), intended("a", "1"), learned("a", "closed", "0.3"), learned("a", "closed", "1")
    )
    assert ledger.expected_lots == 1
    assert fold(ledger, learned("a", "closed", "1")).expected_lots == 1


def test_a_late_word_on_an_unknown_order_changes_nothing() -> None:
    ledger = after(held("0"))
    assert fold(ledger, learned("x", "placed")) == ledger


def test_a_read_equal_to_expected_counts() -> None:
    assert judge(after(held("2")), Decimal(2), T + 1) is Trust.COUNTS


def test_a_row_that_cannot_be_read_never_counts() -> None:
    assert judge(after(held("2")), None, T + 1) is Trust.UNREADABLE


def test_nothing_counts_while_an_order_is_open() -> None:
    ledger = after(held("0"), intended("a", "1"), learned("a", "placed"))
    assert judge(ledger, ZERO, T + 1) is Trust.OPEN


def test_a_read_that_began_before_an_order_was_known_to_be_over_does_not_count() -> None:
    ledger = after(held("0"), intended("a", "1"), learned("a", "closed", "1", at_ms=T + 50))
    assert judge(ledger, ONE, T + 50) is Trust.OPEN
    assert judge(ledger, ONE, T + 51) is Trust.COUNTS


def test_a31_a_difference_soon_after_our_fill_is_too_early_to_believe() -> None:
    ledger = after(held("0"), intended("a", "1"), learned("a", "closed", "1", at_ms=T))
    assert judge(ledger, ZERO, T + SETTLE_MS - 1) is Trust.EARLY
    assert judge(ledger, ZERO, T + SETTLE_MS) is Trust.REREAD
    assert judge(reread(ledger, T + SETTLE_MS + 9), ZERO, T + SETTLE_MS) is Trust.COUNTS
    assert judge(reread(ledger, T + SETTLE_MS - 1), ZERO, T + SETTLE_MS) is Trust.REREAD


def test_a_symbol_that_is_not_ours_is_simply_read() -> None:
    assert judge(after(held("2", is_ours=False)), Decimal(5), T + 1) is Trust.COUNTS


def test_an_order_found_absent_counts_as_over_for_reads_that_began_later() -> None:
    ledger = after(held("0"), intended("a", "1"), learned("a", "absent", at_ms=T + 5))
    assert judge(ledger, ZERO, T + 5) is Trust.OPEN
    assert judge(ledger, ZERO, T + 6) is Trust.COUNTS


def placed_on(lots: str, size: str) -> SymbolLedger:
    return after(held(lots), intended("a", size), learned("a", "placed", at_ms=T + 5))


def test_a_position_that_moved_by_the_whole_order_proves_the_fill() -> None:
    assert all_filled(placed_on("1", "2"), Decimal(3), T + 6)
    assert not all_filled(placed_on("1", "2"), Decimal("2.9"), T + 6)
    assert not all_filled(placed_on("1", "2"), Decimal(3), T + 5)
    assert not all_filled(placed_on("1", "2"), None, T + 6)


def test_an_order_without_an_id_is_never_taken_as_filled() -> None:
    ledger = after(held("0"), intended("a", "1"), learned("a", "unknown", at_ms=T))
    assert not all_filled(ledger, ONE, T + 6)


def test_orders_on_both_sides_prove_nothing() -> None:
    ledger = after(
        held("0"),
        intended("a", "1"),
        intended("b", "-1"),
        learned("a", "placed"),
        learned("b", "placed"),
    )
    assert not all_filled(ledger, ZERO, T + 6)


def test_a_size_that_was_held_a_moment_ago_proves_nothing_for_the_read_may_be_old() -> None:
    ledger = after(
        held("0"),
        intended("a", "1"),
        learned("a", "closed", "1", at_ms=T + 100),
        intended("b", "-1", at_ms=T + 200, reduce_only=True),
        learned("b", "placed", at_ms=T + 300),
    )
    assert not all_filled(ledger, ZERO, T + 400)
    assert all_filled(ledger, ZERO, T + 100 + SETTLE_MS)


def test_after_a_restart_intents_count_as_sent_now_and_no_time_lies_ahead() -> None:
    ledger = after(
        held("0"),
        intended("a", "1", at_ms=T - 99),
        intended("b", "1"),
        learned("b", "closed", "1", at_ms=T + 10**9),
    )
    later = as_of_restart(ledger, T + 50)
    assert (later.open[0].sent_at_ms, later.open[0].status) == (T + 50, "unknown")
    assert later.last_fill_at_ms == T + 50


HOLD = Hold(kind=HoldKind.EXTERNAL, at_ms=T, text="x", level_sign=1)


@pytest.mark.parametrize(
    ("kind", "resumed", "instructed", "sign", "is_lifted_now"),
    [
        pytest.param("external", None, None, 1, False, id="stands"),
        pytest.param("external", T + 1, None, 1, True, id="resume"),
        pytest.param("external", T - 1, None, 1, False, id="an-old-resume"),
        pytest.param("external", None, T + 1, 1, True, id="a-new-instruction"),
        pytest.param("external", None, T - 1, 1, False, id="an-instruction-that-waited"),
        pytest.param("external", None, None, -1, True, id="a-level-that-changed-sign"),
        pytest.param("external", None, None, 0, False, id="a-level-that-went-flat"),
        pytest.param("liquidation", None, T + 1, -1, False, id="liquidation-waits-for-a-person"),
        pytest.param("liquidation", T + 1, None, 1, True, id="liquidation-resumed"),
        pytest.param("adopt", None, T + 1, 1, False, id="adoption-waits-for-a-person"),
    ],
)
def test_what_lifts_a_hold(
    kind: str,
    resumed: int | None,
    instructed: int | None,
    sign: int,
    is_lifted_now: bool,
) -> None:
    hold = Hold(kind=HoldKind(kind), at_ms=T, text="x", level_sign=1)
    assert (
        is_lifted(
            hold,
            resumed_at_ms=resumed,
            said=Said(instructed_at_ms=instructed, instruction_id="new", level_sign=sign),
        )
        is is_lifted_now
    )


@st.composite
def histories(draw: st.DrawFn) -> list[Row]:
    rows: list[Row] = []
    minted = 0
    at_ms = T
    for _ in range(draw(st.integers(0, 14))):
        at_ms += draw(st.integers(0, 20_000))
        kind = draw(st.sampled_from(["held", "intent", "learned"]))
        lots = Decimal(draw(st.integers(-50, 50))) / 10
        if kind == "held":
            hold = draw(st.sampled_from([None, HOLD]))
            rows.append(held(str(lots), at_ms, hold=hold))
        elif kind == "intent":
            minted += 1
            rows.append(intended(f"c{minted}", str(lots), at_ms, reduce_only=draw(st.booleans())))
        elif minted:
            client_id = f"c{draw(st.integers(1, minted))}"
            status = draw(st.sampled_from(["placed", "unknown", "absent", "closed"]))
            rows.append(learned(client_id, status, str(lots), at_ms))
    return rows


@given(histories())
def test_a_restatement_rebuilds_what_matters(rows: list[Row]) -> None:
    ledger = after(*rows)
    again = replay("B", [*restated(ledger, T + 10**6)])
    assert again.expected_lots == ledger.expected_lots
    if ledger.expected_lots is not None:
        assert again.hold == ledger.hold
    assert [i.client_id for i in again.open] == [i.client_id for i in ledger.open]
    assert [i.size_lots for i in again.open] == [i.size_lots for i in ledger.open]


@given(histories())
def test_a_restatement_in_the_middle_changes_nothing_that_matters(rows: list[Row]) -> None:
    half = len(rows) // 2
    first = after(*rows[:half])
    again = first
    for row in (*restated(first, T), *rows[half:]):
        again = fold(again, row)
    whole = after(*rows)
    assert again.expected_lots == whole.expected_lots
    assert {i.client_id for i in again.open} == {i.client_id for i in whole.open}


@given(histories())
def test_rows_survive_the_disk(rows: list[Row]) -> None:
    assert [decode(encode("one", row)) for row in rows] == [("one", row) for row in rows]
