"""A simulated source drives paper accounts only: to any other account it never spoke."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.cycle import weighing_for
from core.events import Events
from core.home import Home
from core.model import Contribution, Signal, Target
from core.settings import AccountConfig, Settings, SourceWeight, SymbolWeights
from core.settings_gate import SettingsGate
from core.signal_manager import SignalManager
from core.targets import Weighing, compute_targets, level_sign
from tests.engine.harness import Engine, MemoryLog, paper_account, settings_for
from tests.virtual_time import VirtualClock, run_virtually

NOW = 1_700_000_000_000
SN8 = "bittensor"
TOLD = "simulated_source: bittensor is simulated; only paper accounts follow it"
LIVE = Weighing(
    weights={
        "BTCUSDT": {"tradingview": Decimal("0.1"), SN8: Decimal("0.15")},
        "ETHUSDT": {"tradingview": Decimal("0.1")},
    },
    leverage={"BTCUSDT": Decimal(3), "ETHUSDT": Decimal(3)},
    leverage_override=None,
    stale_after_s={SN8: 600},
    max_gross=Decimal("0.4"),
    hears_simulated=False,
)
PAPER = replace(LIVE, hears_simulated=True)


def said(depth: str | Decimal, source: str = "tradingview", **changes: Any) -> Contribution:
    values: dict[str, Any] = {
        "source": source,
        "source_symbol": "BTCUSDT",
        "symbol": "BTCUSDT",
        "depth": Decimal(depth),
        "leverage": None,
        "signal_id": "a",
        "received_at_ms": NOW,
    }
    return Contribution(**values | changes)


def simulated(depth: str, **changes: Any) -> Contribution:
    row = {"is_level": True, "is_simulated": True, "signal_id": "sim", **changes}
    return said(depth, SN8, **row)


def test_a_simulated_source_alone_makes_a_target_for_a_paper_account_only() -> None:
    heard = [simulated("0.5")]

    assert compute_targets(heard, LIVE, now_ms=NOW) == {}
    assert compute_targets(heard, PAPER, now_ms=NOW)["BTCUSDT"].exposure == Decimal("0.225")


def test_beside_a_real_source_it_is_told_and_counts_nothing() -> None:
    alone = compute_targets([said("0.5")], LIVE, now_ms=NOW)["BTCUSDT"]
    both = compute_targets([simulated("-1"), said("0.5")], LIVE, now_ms=NOW)["BTCUSDT"]

    assert both == replace(alone, reasons=(TOLD,))


def test_it_is_told_once_however_many_of_its_symbols_speak() -> None:
    heard = [simulated("1"), simulated("1", source_symbol="BTCUSDC"), said("0.5")]

    assert compute_targets(heard, LIVE, now_ms=NOW)["BTCUSDT"].reasons == (TOLD,)


def test_a_paper_account_is_told_nothing() -> None:
    heard = [simulated("0.5"), said("0.5")]

    assert compute_targets(heard, PAPER, now_ms=NOW)["BTCUSDT"].reasons == ()


def test_that_a_source_is_simulated_changes_no_version_of_a_paper_account() -> None:
    made_up, real = simulated("0.5"), simulated("0.5", is_simulated=False)

    assert compute_targets([made_up], PAPER, now_ms=NOW) == compute_targets(
        [real], PAPER, now_ms=NOW
    )


def test_a_simulated_level_has_no_sign_for_a_live_account() -> None:
    heard = [simulated("-0.5")]

    assert level_sign(heard, LIVE, "BTCUSDT") is None
    assert level_sign(heard, PAPER, "BTCUSDT") == -1
    assert level_sign([*heard, simulated("0.1", is_simulated=False)], LIVE, "BTCUSDT") == 1


depths = st.decimals("-1", "1", places=3)
contributions = st.builds(
    said,
    depths,
    st.sampled_from(["tradingview", SN8]),
    symbol=st.sampled_from(["BTCUSDT", "ETHUSDT", "XRPUSDT"]),
    source_symbol=st.sampled_from(["A", "B"]),
    signal_id=st.text("ab", max_size=2),
    leverage=st.none() | st.decimals("1", "5", places=0),
    received_at_ms=st.integers(NOW - 1_000_000, NOW),
    confirmed_at_ms=st.none() | st.integers(NOW - 900_000, NOW),
    is_level=st.booleans(),
    is_last_known=st.booleans(),
)
made_up = contributions.map(lambda one: replace(one, is_simulated=True))


def untold(targets: Mapping[str, Target]) -> dict[str, Target]:
    return {
        symbol: replace(t, reasons=tuple(r for r in t.reasons if "simulated_source" not in r))
        for symbol, t in targets.items()
    }


@given(st.lists(contributions, max_size=5), st.lists(made_up, max_size=5), st.randoms())
def test_simulated_words_never_change_what_a_live_account_shall_hold(
    real: list[Contribution], sims: list[Contribution], rng: Any
) -> None:
    mixed = [*real, *sims]
    rng.shuffle(mixed)
    real_in_order = [one for one in mixed if not one.is_simulated]
    expected = compute_targets(real_in_order, LIVE, now_ms=NOW)

    assert untold(compute_targets(mixed, LIVE, now_ms=NOW)) == expected
    for symbol in ("BTCUSDT", "ETHUSDT"):
        assert level_sign(mixed, LIVE, symbol) == level_sign(real_in_order, LIVE, symbol)


@pytest.mark.parametrize(
    ("environment", "hears"), [("paper", True), ("demo", False), ("live", False)]
)
def test_only_paper_accounts_hear_simulated_sources(environment: str, hears: bool) -> None:
    account = paper_account(environment=environment)

    assert weighing_for(settings_for(account=account), account).hears_simulated is hears


def following_sn8(account: AccountConfig, weight: str, mark: str) -> Settings:
    sources = (SourceWeight(source=SN8, weight=Decimal(weight)),)
    row = SymbolWeights(symbol="BTCUSDT", leverage=Decimal(3), sources=sources)
    return replace(settings_for(account=account), weights=(row,), hash=mark)


@pytest.mark.parametrize(
    ("environment", "waits"), [("paper", True), ("demo", False), ("live", False)]
)
def test_an_edit_is_judged_by_what_each_account_hears(environment: str, waits: bool) -> None:
    account, gate, heard = paper_account(environment=environment), SettingsGate(), [simulated("1")]
    gate.admit(following_sn8(account, "0.1", "a"), heard, heard, NOW)
    gate.admit(following_sn8(account, "0.9", "b"), heard, heard, NOW)

    assert bool(gate.waits_for) is waits


@dataclass
class FakeSource:
    """Obeys the `SignalSource` port."""

    newest: Mapping[str, Signal] | None = field(default_factory=dict)
    name: str = "tradingview"
    is_level: bool = True

    def sweep(self) -> Mapping[str, Signal] | None:
        return self.newest

    def confirmed_at_ms(self) -> int | None:
        return None


def manager_of(home: Home, source: FakeSource) -> tuple[SignalManager, Events]:
    clock = VirtualClock()
    events = Events(MemoryLog(), clock)
    return SignalManager(home, [source], clock, events), events


def signal(meta: Mapping[str, Any]) -> Signal:
    return Signal(
        id="a",
        source="tradingview",
        source_symbol="BTCUSDT",
        symbol="",
        depth=Decimal("0.5"),
        leverage=None,
        price=None,
        fired_at_ms=None,
        received_at_ms=NOW,
        meta=meta,
    )


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    home.make_folders()
    return home


@pytest.fixture
def settings() -> Settings:
    return settings_for(("BTCUSDT", "ETHUSDT"), account=paper_account())


@pytest.mark.parametrize(
    ("meta", "expected"),
    [
        pytest.param({"simulated": True}, True, id="said"),
        pytest.param({"simulated": False}, False, id="denied"),
        pytest.param({}, False, id="unsaid"),
        pytest.param({"raw": {"simulated": True}}, False, id="in-an-alert"),
    ],
)
async def test_a_signal_says_that_it_is_simulated(
    home: Home, settings: Settings, meta: Mapping[str, Any], expected: bool
) -> None:
    manager, events = manager_of(home, FakeSource({"BTCUSDT": signal(meta)}))
    (found,) = manager.collect(settings)
    await events.drain()

    assert found.is_simulated is expected


async def test_the_last_known_word_of_a_simulation_stays_one_across_a_restart(
    home: Home, settings: Settings
) -> None:
    manager, _ = manager_of(home, FakeSource({"BTCUSDT": signal({"simulated": True})}))
    manager.collect(settings)
    again, events = manager_of(home, FakeSource(None))
    (found,) = again.collect(settings)
    moved = again.collect(replace(settings, mapping={"tradingview": {"BTCUSDT": "ETHUSDT"}}))
    await events.drain()

    assert (found.is_last_known, found.is_simulated) == (True, True)
    assert [one.is_simulated for one in moved] == [True]


async def test_a_contributions_file_of_before_speaks_of_real_sources(
    home: Home, settings: Settings
) -> None:
    manager, _ = manager_of(home, FakeSource({"BTCUSDT": signal({"simulated": True})}))
    manager.collect(settings)
    file = home.state / "contributions.json"
    content = orjson.loads(file.read_bytes())
    assert content["tradingview"]["BTCUSDT"]["BTCUSDT"].pop("is_simulated") is True
    file.write_bytes(orjson.dumps(content))
    again, events = manager_of(home, FakeSource(None))
    (found,) = again.collect(settings)
    await events.drain()

    assert (found.is_last_known, found.is_simulated) == (True, False)


@pytest.mark.parametrize(("environment", "sends"), [("paper", True), ("live", False)])
def test_an_account_that_is_not_on_paper_sends_nothing_for_a_simulation(
    tmp_path: Path, environment: str, sends: bool
) -> None:
    async def story() -> None:
        engine = Engine(tmp_path, account=paper_account(environment=environment))
        engine.start()
        engine.want(lots=2)
        engine.depths["BTCUSDT"] = replace(engine.depths["BTCUSDT"], is_simulated=True)
        engine.nudge()
        await asyncio.sleep(130)

        assert bool(engine.venue.placed) is sends
        await engine.stop()

    run_virtually(story())
