"""An edit that moves much money counts only when it was read twice."""

from dataclasses import replace
from decimal import Decimal

from core.model import Contribution
from core.settings import Settings, SourceWeight, SymbolWeights
from core.settings_gate import SettingsGate
from tests.engine.harness import paper_account, settings_for

NOW = 1_700_000_000_000
HEARD = [
    Contribution(
        source="tradingview",
        source_symbol="BTCUSDT",
        symbol="BTCUSDT",
        depth=Decimal("0.5"),
        leverage=None,
        signal_id="a",
        received_at_ms=NOW,
    )
]


def weighing(weight: str, mark: str) -> Settings:
    """Settings with one weight; `mark` is their hash."""
    base = settings_for(account=paper_account())
    row = SymbolWeights(
        symbol="BTCUSDT",
        leverage=Decimal(3),
        sources=(SourceWeight(source="tradingview", weight=Decimal(weight)),),
    )
    return replace(base, weights=(row,), hash=mark)


def test_the_first_settings_are_in_force_at_once() -> None:
    first = weighing("0.1", "a")
    assert SettingsGate().admit(first, HEARD, HEARD, NOW) is first


def test_a_small_edit_is_in_force_at_once_and_says_so() -> None:
    gate = SettingsGate()
    gate.admit(weighing("0.1", "a"), HEARD, HEARD, NOW)
    small = weighing("0.12", "b")
    assert gate.admit(small, HEARD, HEARD, NOW) is small
    assert gate.effect


def test_a_large_edit_waits_for_an_identical_read_two_seconds_later() -> None:
    gate = SettingsGate()
    first, large = weighing("0.1", "a"), weighing("0.9", "b")
    gate.admit(first, HEARD, HEARD, NOW)
    assert gate.admit(large, HEARD, HEARD, NOW + 1) is first
    assert "BTCUSDT" in gate.waits_for
    assert gate.admit(large, HEARD, HEARD, NOW + 1500) is first
    assert gate.admit(large, HEARD, HEARD, NOW + 2001) is large
    assert "BTCUSDT" in gate.effect
    assert gate.waits_for == ""


def test_an_edit_that_closes_everything_waits_however_small_it_is() -> None:
    gate = SettingsGate()
    first, closing = weighing("0.01", "a"), weighing("0", "b")
    gate.admit(first, HEARD, HEARD, NOW)
    assert gate.admit(closing, HEARD, HEARD, NOW) is first


def test_an_edit_of_an_edit_starts_waiting_anew() -> None:
    gate = SettingsGate()
    first = weighing("0.1", "a")
    gate.admit(first, HEARD, HEARD, NOW)
    gate.admit(weighing("0.9", "b"), HEARD, HEARD, NOW)
    assert gate.admit(weighing("0.8", "c"), HEARD, HEARD, NOW + 2500) is first


def test_an_edit_that_is_taken_back_is_forgotten() -> None:
    gate = SettingsGate()
    first, large = weighing("0.1", "a"), weighing("0.9", "b")
    gate.admit(first, HEARD, HEARD, NOW)
    gate.admit(large, HEARD, HEARD, NOW)
    assert gate.admit(first, HEARD, HEARD, NOW + 1000) is first
    assert gate.admit(large, HEARD, HEARD, NOW + 2500) is first
