"""The gate: the last word before the bytes."""

from dataclasses import replace
from decimal import Decimal

import pytest

from core.gate import Brakes, Gate, Terms, refusal
from core.model import Mode, Order

RUN = Brakes(mode=Mode.RUN, reason="", is_dry_run=False)
TERMS = Terms(
    positions_age_ms=100,
    newer_waits=False,
    pass_is_over=False,
    equity_usdt=Decimal(100_000),
    price=Decimal(50_000),
    contract_size=Decimal(1),
    max_order_share=Decimal("0.25"),
    smallest_lots=Decimal("0.001"),
)
INCREASE = Order(symbol="BTCUSDT", size_lots=Decimal("0.5"), reduce_only=False)
REDUCTION = Order(symbol="BTCUSDT", size_lots=Decimal(-90), reduce_only=True)


def code(order: Order, brakes: Brakes = RUN, terms: Terms = TERMS) -> str:
    reason = refusal(order, brakes, terms)
    return "" if reason is None else reason.code


def test_an_order_within_its_terms_may_leave() -> None:
    assert code(INCREASE) == ""
    assert code(REDUCTION) == ""


@pytest.mark.parametrize(
    ("mode", "increase", "reduction"),
    [
        pytest.param(Mode.PAUSE, "pause", "", id="pause"),
        pytest.param(Mode.FLATTEN, "flatten", "", id="flatten"),
        pytest.param(Mode.HALT, "halted", "halted", id="halt"),
    ],
)
def test_brakes_stop_increases_first_and_reductions_last(
    mode: Mode, increase: str, reduction: str
) -> None:
    brakes = replace(RUN, mode=mode)
    assert code(INCREASE, brakes) == increase
    assert code(REDUCTION, brakes) == reduction


def test_a_live_account_that_is_not_armed_sends_nothing() -> None:
    brakes = replace(RUN, is_dry_run=True)
    assert code(INCREASE, brakes) == code(REDUCTION, brakes) == "dry_run"


def test_what_a_past_pass_planned_is_planned_again_reductions_too() -> None:
    terms = replace(TERMS, pass_is_over=True)
    assert code(INCREASE, terms=terms) == code(REDUCTION, terms=terms) == "pass_over"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"newer_waits": True}, "newer_waits", id="newer-target"),
        pytest.param({"positions_age_ms": 5001}, "old_read", id="old-positions"),
        pytest.param({"equity_usdt": None}, "unpriced", id="no-equity"),
        pytest.param({"price": None}, "unpriced", id="no-price"),
        pytest.param({"equity_usdt": Decimal(90_000)}, "order_cap", id="too-large"),
        pytest.param(
            {"equity_usdt": Decimal(9), "smallest_lots": Decimal("0.5")}, "", id="venue-minimum"
        ),
    ],
)
def test_an_increase_needs_every_light_green_a_reduction_does_not(
    changes: dict[str, object], expected: str
) -> None:
    terms = replace(TERMS, **changes)  # type: ignore[arg-type] # a table of fields
    assert code(INCREASE, terms=terms) == expected
    assert code(REDUCTION, terms=terms) == ""


def test_the_brakes_are_read_anew_at_each_question() -> None:
    standing = [RUN, replace(RUN, mode=Mode.HALT, reason="now")]
    gate = Gate(lambda _account, _symbol: standing.pop(0))
    assert gate.refusal("one", INCREASE, TERMS) is None
    reason = gate.refusal("one", INCREASE, TERMS)
    assert reason is not None
    assert reason.text == "now"
