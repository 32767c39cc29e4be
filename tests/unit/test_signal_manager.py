"""Contributions: what sources say, and what is held when they fall silent."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

import pytest

from core.events import Events
from core.home import Home
from core.model import Signal
from core.settings import Settings
from core.signal_manager import SignalManager
from tests.engine.harness import MemoryLog, paper_account, settings_for

NOW = 1_700_000_000_000


class StillClock:
    def now_ms(self) -> int:
        return NOW

    def monotonic_ms(self) -> int:
        return NOW

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError


@dataclass
class FakeSource:
    """Obeys the `SignalSource` port."""

    name: str = "tradingview"
    is_level: bool = False
    newest: Mapping[str, Signal] | None = field(default_factory=dict)

    def sweep(self) -> Mapping[str, Signal] | None:
        return self.newest

    def confirmed_at_ms(self) -> int | None:
        return NOW - 5 if self.is_level else None


def signal(depth: str, symbol: str = "BTCUSDT", *, signal_id: str = "a") -> Signal:
    return Signal(
        id=signal_id,
        source="tradingview",
        source_symbol=symbol,
        symbol="",
        depth=Decimal(depth),
        leverage=None,
        price=None,
        fired_at_ms=None,
        received_at_ms=NOW - 1000,
    )


@pytest.fixture
def settings() -> Settings:
    return settings_for(("BTCUSDT", "ETHUSDT"), account=paper_account())


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    home.make_folders()
    return home


def manager_of(home: Home, source: FakeSource) -> tuple[SignalManager, Events]:
    events = Events(MemoryLog(), StillClock())
    return SignalManager(home, [source], StillClock(), events), events


def mapped_to(settings: Settings, mapping: Mapping[str, str]) -> Settings:
    return replace(settings, mapping={"tradingview": mapping})


async def test_a_signal_becomes_a_contribution_under_our_symbol(
    home: Home, settings: Settings
) -> None:
    manager, _ = manager_of(home, FakeSource(newest={"BTCUSDT.P": signal("0.5", "BTCUSDT.P")}))
    (found,) = manager.collect(mapped_to(settings, {"BTCUSDT.P": "BTCUSDT"}))

    assert (found.symbol, found.source_symbol, found.depth) == (
        "BTCUSDT",
        "BTCUSDT.P",
        Decimal("0.5"),
    )
    assert manager.signal_age_s() == {"tradingview": 1}


async def test_an_unmapped_symbol_contributes_nothing_until_a_mapping_comes(
    home: Home, settings: Settings
) -> None:
    manager, _ = manager_of(home, FakeSource(newest={"X": signal("0.5", "X")}))
    assert manager.collect(settings) == ()
    (found,) = manager.collect(mapped_to(settings, {"X": "ETHUSDT"}))
    assert found.symbol == "ETHUSDT"


@pytest.mark.parametrize("gone", [None, {}], ids=["unreadable", "empty"])
async def test_a7_a_source_whose_files_vanished_keeps_its_last_known_value(
    home: Home, settings: Settings, gone: Mapping[str, Signal] | None
) -> None:
    source = FakeSource(newest={"BTCUSDT": signal("0.5")})
    manager, events = manager_of(home, source)
    manager.collect(settings)
    source.newest = gone
    (found,) = manager.collect(settings)

    assert (found.depth, found.is_last_known) == (Decimal("0.5"), True)
    assert "last_known/tradingview" in {a.key for a in events.standing()}
    source.newest = {"BTCUSDT": signal("0")}
    (back,) = manager.collect(settings)
    assert (back.depth, back.is_last_known) == (Decimal(0), False)
    assert events.standing() == ()
    await events.drain()


async def test_a7_the_last_known_value_survives_a_restart(home: Home, settings: Settings) -> None:
    manager, _ = manager_of(home, FakeSource(newest={"BTCUSDT": signal("0.5")}))
    manager.collect(settings)
    again, events = manager_of(home, FakeSource(newest={}))
    (found,) = again.collect(settings)

    assert (found.depth, found.is_last_known) == (Decimal("0.5"), True)
    await events.drain()


async def test_a_mapping_that_vanished_holds_and_a_mapping_that_moved_moves(
    home: Home, settings: Settings
) -> None:
    manager, events = manager_of(home, FakeSource(newest={"BTCUSDT": signal("0.5")}))
    manager.collect(settings)
    (held,) = manager.collect(mapped_to(settings, {}))
    assert (held.symbol, held.depth, held.is_last_known) == ("BTCUSDT", Decimal("0.5"), True)
    moved = manager.collect(mapped_to(settings, {"BTCUSDT": "ETHUSDT"}))
    assert {(c.symbol, c.depth) for c in moved} == {
        ("ETHUSDT", Decimal("0.5")),
        ("BTCUSDT", Decimal(0)),
    }
    assert manager.collect(mapped_to(settings, {"BTCUSDT": "ETHUSDT"})) == moved
    await events.drain()


async def test_a_level_source_carries_its_confirmation(home: Home, settings: Settings) -> None:
    source = FakeSource(is_level=True, newest={"BTCUSDT": signal("0.5")})
    manager, _ = manager_of(home, source)
    (found,) = manager.collect(settings)
    assert found.is_level
    assert found.confirmed_at_ms == NOW - 5


async def test_a12_a_torn_depth_hint_is_begun_anew_and_decides_nothing(
    home: Home, settings: Settings
) -> None:
    home.account_asset_depths.write_text('{"one": {"BTC')
    manager, _ = manager_of(home, FakeSource(newest={"BTCUSDT": signal("0.5")}))
    assert manager.collect(settings)[0].depth == Decimal("0.5")
    manager.confirm_execution("one", {"BTCUSDT": "v"}, {"BTCUSDT": Decimal("0.05")})
    assert home.account_asset_depths.read_text().replace(" ", "").replace("\n", "") == (
        '{"one":{"BTCUSDT":"0.05"}}'
    )
    manager.confirm_execution("one", {}, {})


async def test_a_torn_contributions_file_is_told(home: Home, settings: Settings) -> None:
    (home.state / "contributions.json").write_text('{"tradingview": 5}')
    manager, events = manager_of(home, FakeSource())
    assert manager.collect(settings) == ()
    assert "contributions_lost" in {a.key for a in events.standing()}
    await events.drain()


async def test_what_is_unchanged_is_not_written_again(home: Home, settings: Settings) -> None:
    manager, _ = manager_of(home, FakeSource(newest={"BTCUSDT": signal("0.5")}))
    manager.collect(settings)
    before = (home.state / "contributions.json").stat().st_mtime_ns
    manager.collect(settings)
    assert (home.state / "contributions.json").stat().st_mtime_ns == before


async def test_a_removed_mapping_is_held_until_a_resume_that_came_after(
    home: Home, settings: Settings
) -> None:
    manager, events = manager_of(home, FakeSource(newest={"BTCUSDT": signal("0.5")}))
    resumed = {"BTCUSDT": NOW - 1}  # for something else, earlier
    manager.lifted_at_ms = resumed.get
    manager.collect(settings)
    without = mapped_to(settings, {})
    for _ in range(2):
        (held,) = manager.collect(without)
        assert (held.depth, held.is_last_known) == (Decimal("0.5"), True)
    resumed["BTCUSDT"] = NOW
    (gone,) = manager.collect(without)
    assert (gone.depth, gone.is_last_known) == (Decimal(0), False)
    assert events.standing() == ()
    again, _ = manager_of(home, FakeSource(newest={"BTCUSDT": signal("0.5")}))
    again.lifted_at_ms = resumed.get
    assert again.collect(without) == (gone,)
    (back,) = again.collect(settings)

    assert (back.depth, back.is_last_known) == (Decimal("0.5"), False)
    await events.drain()


async def test_a_resume_lets_nothing_go_whose_files_are_unreadable(
    home: Home, settings: Settings
) -> None:
    source = FakeSource(newest={"BTCUSDT": signal("0.5")})
    manager, events = manager_of(home, source)
    manager.lifted_at_ms = lambda _: NOW + 1_000
    manager.collect(settings)
    source.newest = None
    for at in (settings, mapped_to(settings, {})):
        for _ in range(2):
            (held,) = manager.collect(at)
            assert (held.depth, held.is_last_known) == (Decimal("0.5"), True)

    await events.drain()
