"""Sources that restate a level: what their word, their weight and their confirmations do."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

import orjson
import pytest

from core.events import Events
from core.home import Home
from core.model import Contribution, Signal
from core.settings import SettingsReader, SourceWeight, SymbolWeights
from core.signal_manager import SignalManager
from core.trade_executor import TradeExecutor
from tests.engine.fake_venue import MARK
from tests.engine.harness import Engine, MemoryLog
from tests.engine.scenes import S
from tests.virtual_time import VirtualClock, run_virtually

LEVEL = "bittensor"
STALE_AFTER_S = 1800


def heard(tmp_path: Path, level_weight: str) -> Engine:
    """Start an engine that hears an instruction source and a level source, by weight."""
    engine = Engine(tmp_path)
    weight = Decimal(level_weight)
    sources = (
        SourceWeight(source="tradingview", weight=1 - weight),
        SourceWeight(source=LEVEL, weight=weight),
    )
    row = SymbolWeights(symbol=S, leverage=Decimal(3), sources=sources)
    engine.settings = replace(engine.settings, weights=(row,))
    engine.start()
    return engine


def say_level(
    engine: Engine, lots: int, *, moved_at_ms: int, confirmed_at_ms: int | None = None
) -> None:
    engine.depths[LEVEL] = Contribution(
        source=LEVEL,
        source_symbol=S,
        symbol=S,
        depth=lots * MARK / engine.venue.equity_usdt / 3,
        leverage=None,
        signal_id=f"level-{moved_at_ms}",
        received_at_ms=moved_at_ms,
        confirmed_at_ms=confirmed_at_ms,
        is_level=True,
    )
    engine.nudge()


def instruct_otherwise(engine: Engine, lots: int) -> None:
    """Let the second source speak as one that gives instructions."""
    now_ms = engine.clock.now_ms()
    say_level(engine, lots, moved_at_ms=now_ms)
    engine.depths[LEVEL] = replace(engine.depths[LEVEL], is_level=False)
    engine.nudge()


def test_a_source_of_weight_zero_lifts_no_hold(tmp_path: Path) -> None:
    async def story() -> None:
        engine = heard(tmp_path, "0")
        engine.want(lots=2)
        await engine.settled()
        await asyncio.sleep(20)
        engine.venue.trade_by_hand(S, Decimal(-2))
        await asyncio.sleep(100)
        assert engine.desk.ledger(S).hold is not None
        instruct_otherwise(engine, 1)
        await asyncio.sleep(100)

        assert engine.desk.ledger(S).hold is not None
        assert engine.held() == 0
        await engine.stop()

    run_virtually(story())


def test_a_source_of_weight_zero_sizes_nothing_anew(tmp_path: Path) -> None:
    async def story() -> None:
        engine = heard(tmp_path, "0")
        engine.want(lots=2)
        await engine.settled()
        await asyncio.sleep(20)
        engine.venue.equity_usdt *= 2
        sent = len(engine.venue.placed)
        instruct_otherwise(engine, 1)
        await asyncio.sleep(100)

        assert len(engine.venue.placed) == sent
        await engine.stop()

    run_virtually(story())


@pytest.mark.parametrize(
    ("confirmed_ago_s", "held"),
    [pytest.param(0, 2, id="confirmed-now"), pytest.param(3000, 0, id="confirmed-long-ago")],
)
def test_the_age_of_a_level_counts_from_its_confirmation(
    tmp_path: Path, confirmed_ago_s: int, held: int
) -> None:
    async def story() -> None:
        engine = heard(tmp_path, "1")
        now_ms = engine.clock.now_ms()
        say_level(
            engine,
            2,
            moved_at_ms=now_ms - 3_600_000,
            confirmed_at_ms=now_ms - confirmed_ago_s * 1000,
        )
        await asyncio.sleep(100)

        assert engine.held() == held
        await engine.stop()

    run_virtually(story())


def test_a_level_that_is_confirmed_after_it_was_stale_is_held_as_before(tmp_path: Path) -> None:
    async def story() -> None:
        engine = heard(tmp_path, "1")
        moved_at_ms = engine.clock.now_ms()
        say_level(engine, 2, moved_at_ms=moved_at_ms, confirmed_at_ms=moved_at_ms)
        await engine.settled()
        sent = len(engine.venue.placed)
        await asyncio.sleep(STALE_AFTER_S + 100)
        engine.nudge()
        await asyncio.sleep(70)
        say_level(engine, 2, moved_at_ms=moved_at_ms, confirmed_at_ms=engine.clock.now_ms())
        await asyncio.sleep(100)

        assert engine.held() == 2
        assert len(engine.venue.placed) == sent
        await engine.stop()

    run_virtually(story())


def test_confirmations_every_second_do_not_starve_an_entry(tmp_path: Path) -> None:
    async def story() -> None:
        engine = heard(tmp_path, "0.5")
        engine.venue.faults.max_latency_s = 1.0
        began_ms = engine.clock.now_ms()
        engine.want(lots=2)
        while not engine.held() and engine.clock.now_ms() - began_ms < 60_000:
            say_level(engine, 0, moved_at_ms=began_ms, confirmed_at_ms=engine.clock.now_ms())
            await asyncio.sleep(1)

        assert engine.clock.now_ms() - began_ms < 10_000
        await engine.stop()

    run_virtually(story())


@dataclass
class LevelSource:
    """Obeys the `SignalSource` port; a test says what it states and when it verified that."""

    clock: VirtualClock
    signals: dict[str, Signal] = field(default_factory=dict)
    confirmed: int | None = None
    name: str = LEVEL
    is_level: bool = True

    def sweep(self) -> Mapping[str, Signal] | None:
        return dict(self.signals)

    def confirmed_at_ms(self) -> int | None:
        return self.confirmed

    def state(self, lots: int, engine: Engine) -> None:
        now_ms = self.confirmed = self.clock.now_ms()
        depth = lots * MARK / engine.venue.equity_usdt / 3
        self.signals[S] = Signal(
            id=f"level-{now_ms}",
            source=LEVEL,
            source_symbol=S,
            symbol=S,
            depth=depth,
            leverage=None,
            price=None,
            fired_at_ms=None,
            received_at_ms=now_ms,
        )


def executor_for(engine: Engine, source: LevelSource, root: Path) -> TradeExecutor:
    """Wire the executor on real configuration files; the lane is the engine's own."""
    home = Home(root)
    home.make_folders()
    account = {"name": "one", "exchange": "bybit", "api_key": "k", "api_secret": "s"}
    weights = {"symbol": S, "leverage": 3, "sources": [{"source": LEVEL, "weight": 1}]}
    for path, content in (
        (home.credentials, {"accounts": [{**account, "environment": "paper"}]}),
        (home.asset_mapping, {LEVEL: {S: S}}),
        (home.signal_weights, [weights]),
        (home.engine_config, {"sources": {LEVEL: {"stale_after_s": STALE_AFTER_S}}}),
    ):
        path.write_bytes(orjson.dumps(content))
        path.chmod(0o600)
    events = Events(MemoryLog(), engine.clock)
    executor = TradeExecutor(
        home,
        settings=SettingsReader(home),
        brakes=lambda: None,
        signal_manager=SignalManager(home, [source], engine.clock, events),
        events=events,
        clock=engine.clock,
        markets={},
    )
    executor.lanes.append(engine.lane)  # which runs already
    return executor


def test_confirmations_cost_no_generation_and_no_requests(tmp_path: Path) -> None:
    async def story() -> None:
        engine = Engine(tmp_path)
        engine.start()
        source = LevelSource(engine.clock)
        executor = executor_for(engine, source, tmp_path / "home")
        source.state(2, engine)
        first = await executor.execute(wait=True)
        await asyncio.sleep(30)
        assert engine.held() == 2
        requests = len(engine.venue.requests)
        newest = first
        for _ in range(60):
            source.confirmed = engine.clock.now_ms()
            newest = await executor.execute()
            await asyncio.sleep(1)

        assert newest.generation == first.generation
        assert newest.contributions[0].confirmed_at_ms == source.confirmed
        assert len(engine.venue.requests) - requests <= 3  # the resync
        await engine.stop()

    run_virtually(story())


def test_a_level_that_falls_silent_and_is_heard_again_wakes_the_lanes_twice(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        engine = Engine(tmp_path)
        engine.start()
        source = LevelSource(engine.clock)
        executor = executor_for(engine, source, tmp_path / "home")
        source.state(2, engine)
        first = await executor.execute()
        await asyncio.sleep(STALE_AFTER_S + 5)
        silent = await executor.execute()
        again = await executor.execute()
        assert (silent.generation, again.generation) == (first.generation + 1,) * 2
        source.confirmed = engine.clock.now_ms()

        assert (await executor.execute()).generation == first.generation + 2
        await engine.stop()

    run_virtually(story())
