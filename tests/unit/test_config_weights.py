"""The weights wizard: what becomes of the weights, and what it asks."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.editing import Opened
from config.signal_weights import (
    Change,
    Weights,
    WeightsWizard,
    apply,
    apply_changes,
    read_leverage,
    read_weight,
    shown,
    summary_of,
    to_document,
)
from core.errors import ConfigError
from core.settings.signals import SourceWeight, SymbolWeights, parse_weights
from core.store import parse_json, to_json
from tests.unit.config_talk import Script

MAPPING = {
    "tradingview": {"BTCUSDT": "BTCUSDT", "TAOUSDT": "TAOUSDT"},
    "bittensor": {"BTCUSD": "BTCUSDT", "TAOUSD": "TAOUSDT"},
}
ASK_LEVERAGE = "Enter leverage for BTCUSDT (press Enter for current value: 3):"
ASK_TRADINGVIEW = (
    "Assign weight for BTCUSDT from tradingview "
    "(remaining weight: 1.00, press Enter for current value: 0.10):"
)
ASK_BITTENSOR = (
    "Assign weight for BTCUSDT from bittensor "
    "(remaining weight: 0.90, press Enter for current value: 0.15):"
)
ENTER_BTC = [(ASK_LEVERAGE, ""), (ASK_TRADINGVIEW, ""), (ASK_BITTENSOR, "")]
SKIP_TAO = ("Enter leverage for TAOUSDT:", "")


def row(symbol: str = "BTCUSDT", leverage: str = "3", **weights: str) -> SymbolWeights:
    sources = tuple(
        SourceWeight(source=name, weight=Decimal(weight)) for name, weight in weights.items()
    )
    return SymbolWeights(symbol=symbol, leverage=Decimal(leverage), sources=sources)


BEFORE = (row(tradingview="0.1", bittensor="0.15"),)


def asked(talk: Script, before: Weights = BEFORE, mapping: Any = None) -> list[dict[str, Any]]:
    wizard = WeightsWizard(talk=talk, mapping=MAPPING if mapping is None else mapping)
    document = wizard.ask(Opened(document=None, content=before, seen=b""))

    assert talk.lines == []
    return document


weights_text = st.integers(0, 10**6).map(lambda n: str(Decimal(n) / 10**6))
rows = st.builds(
    row,
    st.sampled_from(["AAUSDT", "BBUSDT", "CCUSDT"]),
    st.integers(1, 20).map(str),
    tradingview=weights_text,
    bittensor=weights_text,
)


@given(st.lists(rows))
def test_order_is_kept_sums_stay_within_one_and_what_is_saved_is_what_was_made(
    steps: list[SymbolWeights],
) -> None:
    weights: Weights = BEFORE
    for step in steps:
        before = weights
        try:
            weights = apply(weights, step)
        except ConfigError:
            assert sum(one.weight for one in step.sources) > 1
            continue
        assert [one.symbol for one in weights][: len(before)] == [one.symbol for one in before]
        assert all(sum(one.weight for one in each.sources) <= 1 for each in weights)
    saved = parse_json(to_json(to_document(weights)), Path("saved"))

    assert parse_weights(saved) == weights


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("0.1", id="tenth"),
        pytest.param("0.123456789012345678", id="more-digits-than-a-float-has"),
        pytest.param("0.000001", id="millionth"),
        pytest.param("1", id="one"),
    ],
)
def test_a_weight_is_saved_exactly(text: str) -> None:
    saved = parse_json(to_json(to_document([row(tradingview=text)])), Path("saved"))

    assert parse_weights(saved)[0].sources[0].weight == Decimal(text)


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        pytest.param("0", "at least 1", id="zero"),
        pytest.param("20.1", "at most 20, was 20.1", id="too-much"),
        pytest.param("three", "must be a", id="word"),
        pytest.param("NaN", "must be a", id="not-a-number"),
    ],
)
def test_a_leverage_outside_1_to_20_is_refused(typed: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        read_leverage(typed)


def test_more_weight_than_remains_is_refused_with_what_is_left() -> None:
    assert read_weight("0.05", Decimal("0.05")) == Decimal("0.05")
    with pytest.raises(ConfigError, match=r"0\.05 is left, was 0\.06"):
        read_weight("0.06", Decimal("0.05"))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param("1", "1.00", id="whole"),
        pytest.param("0.1", "0.10", id="short"),
        pytest.param("0.90", "0.90", id="two"),
        pytest.param("0.125", "0.125", id="long"),
        pytest.param("10", "10.00", id="ten"),
    ],
)
def test_weights_are_shown_with_two_digits_at_least(value: str, text: str) -> None:
    assert shown(Decimal(value)) == text


def test_a_new_pair_is_asked_for_as_the_readme_says() -> None:
    talk = Script(
        *ENTER_BTC,
        ("Enter leverage for TAOUSDT:", "3"),
        ("Assign weight for TAOUSDT from tradingview (remaining weight: 1.00):", "0.10"),
        ("Assign weight for TAOUSDT from bittensor (remaining weight: 0.90):", "0.15"),
    )

    assert asked(talk) == [
        *to_document(BEFORE),
        {
            "symbol": "TAOUSDT",
            "leverage": 3,
            "sources": [
                {"source": "tradingview", "weight": 0.1},
                {"source": "bittensor", "weight": 0.15},
            ],
        },
    ]
    assert "Configuring TAOUSDT" in talk.said
    assert talk.rows[1] == (
        "TAOUSDT",
        "3",
        "tradingview 0.10, bittensor 0.15",
        "0.25",
        "0.75 x equity",
    )


def test_what_is_refused_is_asked_again_and_zero_disables() -> None:
    talk = Script(
        (ASK_LEVERAGE, "21"),
        (ASK_LEVERAGE, "5"),
        (ASK_TRADINGVIEW, "0.9"),
        (ASK_BITTENSOR.replace("0.90,", "0.10,"), ""),  # 0.15 does not fit any more
        (ASK_BITTENSOR.replace("0.90,", "0.10,"), "0"),
        SKIP_TAO,
    )

    assert asked(talk)[0]["sources"] == [
        {"source": "tradingview", "weight": 0.9},
        {"source": "bittensor", "weight": 0},
    ]
    assert "leverage must be at most 20, was 21" in talk.text
    assert "0.10 is left, was 0.15" in talk.text


def test_enter_at_a_new_symbol_leaves_it_out() -> None:
    talk = Script(*ENTER_BTC, SKIP_TAO)

    assert asked(talk) == to_document(BEFORE)
    assert "TAOUSDT stays out" in talk.text


def test_a_source_is_asked_about_only_where_it_speaks_of_the_symbol() -> None:
    talk = Script(
        ("Enter leverage for XUSDT:", "2"),
        ("Assign weight for XUSDT from bittensor (remaining weight: 1.00):", ""),
    )
    mapping = {"tradingview": {}, "bittensor": {"XUSD": "XUSDT"}}

    assert asked(talk, before=(), mapping=mapping) == [
        {"symbol": "XUSDT", "leverage": 2, "sources": []}
    ]


@pytest.mark.parametrize(
    ("answer", "count"),
    [pytest.param("", 1, id="enter-keeps"), pytest.param("r", 0, id="remove")],
)
def test_weights_without_a_mapping_are_kept_or_removed_as_the_person_says(
    answer: str, count: int
) -> None:
    talk = Script(("Keep/Remove (k/r)?", answer))

    assert len(asked(talk, mapping={})) == count
    assert "no mapping leads to it" in talk.text


def test_single_numbers_are_judged_together() -> None:
    changes = [
        Change.read("BTCUSDT", "tradingview", "0.85"),
        Change.read("BTCUSDT", "bittensor", "0.15"),
        Change.read("ETHUSDT", "bittensor", "0.2"),
        Change.read("ETHUSDT", "leverage", "2"),
    ]

    assert apply_changes(BEFORE, changes) == (
        row(tradingview="0.85", bittensor="0.15"),
        row("ETHUSDT", "2", bittensor="0.2"),
    )
    with pytest.raises(ConfigError, match="must not exceed 1 together"):
        apply_changes(BEFORE, [*changes[:1], Change.read("BTCUSDT", "bittensor", "0.16")])
    with pytest.raises(ConfigError, match="ETHUSDT is new and needs a leverage"):
        apply_changes(BEFORE, changes[2:3])


def test_the_summary_tells_the_largest_position() -> None:
    assert summary_of((row(leverage="20", tradingview="1"),))[0][-2:] == ("1.00", "20.00 x equity")
