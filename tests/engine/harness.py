"""One account's real lane on virtual time: everything of the core but files, PM2 and HTTP.

What a crash loses is thrown away (`crash`), what is on disk is kept: the journal's rows and
`targets.json`.
"""

import asyncio
import random
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from core.control import Control, Resumed, Scope, strictest
from core.control import Held as HeldMode
from core.cycle import CycleInputs, PassReport
from core.decision import Frozen
from core.events import Events
from core.frozen_targets import FrozenTargets
from core.gate import Brakes, Gate
from core.intents import ClientIds, OrdersJournal
from core.lanes.account_desk import AccountDesk
from core.lanes.account_pass import AccountPass
from core.lanes.lane import Lane
from core.lanes.market_desk import MarketDesk
from core.lanes.roster import Roster
from core.model import Contribution, Mode
from core.safety.baselines import Baselines
from core.safety.watch import Watch
from core.settings import (
    AccountConfig,
    EngineConfig,
    EngineLimits,
    SafetyLimits,
    Settings,
    SourceWeight,
    SymbolWeights,
)
from core.trips import Trips
from tests.engine.fake_venue import FakeVenue
from tests.virtual_time import VirtualClock

ENGINE_ID = "abcde"


@dataclass
class MemoryLog:
    """A disk that keeps rows, or refuses them."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    is_full: bool = False

    async def commit(self, rows: Sequence[Mapping[str, Any]]) -> None:
        await asyncio.sleep(0.0003)
        if self.is_full:
            raise OSError(28, "No space left on device")
        self.rows.extend(dict(r) for r in rows)


def settings_for(
    symbols: Sequence[str] = ("BTCUSDT",), *, account: AccountConfig, **limits: Any
) -> Settings:
    weights = tuple(
        SymbolWeights(
            symbol=s,
            leverage=Decimal(3),
            sources=(SourceWeight(source="tradingview", weight=Decimal(1)),),
        )
        for s in symbols
    )
    safety = {key: limits.pop(key) for key in list(limits) if key in SafetyLimits.model_fields}
    engine = EngineConfig(engine=EngineLimits(**limits), safety=SafetyLimits(**safety))
    mapping = {"tradingview": {s: s for s in symbols}}
    return Settings(accounts=(account,), mapping=mapping, weights=weights, engine=engine)


def paper_account(**changes: Any) -> AccountConfig:
    row: dict[str, Any] = {
        "name": "one",
        "exchange": "bybit",
        "api_key": "k",
        "api_secret": "s",
        "environment": "paper",
    }
    return AccountConfig(**{**row, **changes})


def watch_for(
    account: AccountConfig, journal: OrdersJournal, trips: Trips, events: Events, folder: Path
) -> Watch:
    """Build an account's watch, its baselines in a folder, on virtual time."""
    clock = VirtualClock()
    return Watch(
        account,
        baselines=Baselines(folder / "baselines.json"),
        trips=trips,
        events=events,
        orders=journal.order_times(account.name),
        now_ms=clock.now_ms,
        wall_ms=clock.now_ms,
    )


class RecordedTargets(FrozenTargets):
    """Frozen targets that remember the lots of every version, also of those replaced since."""

    lots_by_version: dict[str, Decimal]

    def put(
        self,
        account: str,
        changed: Mapping[str, Frozen],
        *,
        only: Container[str] | None = None,
        proves_disk: bool = False,
    ) -> bool:
        self.lots_by_version.update(
            {f.version: f.lots for f in changed.values() if f.lots is not None}
        )
        return super().put(account, changed, only=only, proves_disk=proves_disk)


class Engine:
    """The engine of one account, with a venue that stays when the engine dies."""

    def __init__(
        self,
        tmp_path: Path,
        *,
        seed: int = 0,
        symbols: tuple[str, ...] = ("BTCUSDT",),
        account: AccountConfig | None = None,
        **limits: Any,
    ) -> None:
        self.clock = VirtualClock()
        self.rng = random.Random(seed)
        self.venue = FakeVenue(clock=self.clock, rng=self.rng, symbols=symbols)
        self.account = account or paper_account()
        self.settings = settings_for(symbols, account=self.account, **limits)
        self.disk = MemoryLog()
        self.events_disk = MemoryLog()
        self.mode: HeldMode = (Mode.RUN, "")
        self.is_dry_run = False
        self.resumed: dict[str, int] = {}
        self.trips: list[tuple[str, str]] = []
        self.depths: dict[str, Contribution] = {}
        self.generation = -1
        self.reports: list[PassReport] = []
        self.confirmed: dict[str, str] = {}
        self.lots_by_version: dict[str, Decimal] = {}
        self._targets_file = tmp_path / "targets.json"
        self._tasks: list[asyncio.Task[None]] = []
        self._signals = 0
        self.market: MarketDesk

    def start(self) -> None:
        """Start a process: replay the journal, open the lane."""
        self.journal = OrdersJournal(self.disk, self.clock)
        assert self.journal.replay(self.disk.rows) == 0
        self.events = Events(self.events_disk, self.clock)
        self.market = MarketDesk(self.venue, self.clock, ticker_max_age_s=5)
        self.frozen = RecordedTargets(self._targets_file)
        self.frozen.lots_by_version = self.lots_by_version
        self.tripping = Trips(
            self._targets_file.with_name("trips.json"),
            self.clock,
            self.events,
            self._control,
        )
        self.watch = watch_for(
            self.account, self.journal, self.tripping, self.events, self._targets_file.parent
        )
        self.desk = AccountDesk(
            account=self.account,
            venue=self.venue,
            market=self.market,
            journal=self.journal,
            frozen=self.frozen,
            gate=Gate(self._brakes),
            events=self.events,
            ids=ClientIds(ENGINE_ID, "acct", self.clock),
            engine_id=ENGINE_ID,
            clock=self.clock,
            watch=self.watch,
            resumed_at_ms=self.resumed.get,
            strangers_since_ms=lambda: 0,
            wall_ms=self.clock.now_ms,
            trip=lambda code, text: self.trips.append((code, text)),
        )
        self.lane = Lane(self.desk, process=self._process, on_report=self.reports.append)
        self.roster = Roster(
            [self.account], lambda _: self.lane, self.events, self.clock, self.journal
        )
        self._tasks = [asyncio.ensure_future(self.roster.fill(self._join))]

    async def crash(self) -> None:
        """SIGKILL: tasks vanish between two awaits, whatever they were about to write."""
        tasks = [*self._tasks, *self.desk.in_flight]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.market.close()
        self._tasks = []

    async def stop(self) -> None:
        if self._tasks:
            await self.crash()
        await self.events.drain()
        await self.venue.settle()

    def want(self, symbol: str = "BTCUSDT", *, lots: Decimal | str | int) -> str:
        """Send a signal whose target is `lots`; gives its id."""
        self._signals += 1
        exposure = Decimal(lots) * Decimal(50000) / self.venue.equity_usdt
        self.depths[symbol] = Contribution(
            source="tradingview",
            source_symbol=symbol,
            symbol=symbol,
            depth=exposure / 3,
            leverage=None,
            signal_id=f"s{self._signals}",
            received_at_ms=self.clock.now_ms(),
        )
        self._offer()
        return f"s{self._signals}"

    def nudge(self) -> None:
        """Offer the same inputs again: nothing new."""
        self._offer()

    def limit(self, **limits: Any) -> None:
        """Edit the settings while the engine runs."""
        symbols = tuple(row.symbol for row in self.settings.weights)
        self.settings = settings_for(symbols, account=self.account, **limits)
        self._offer()

    def held(self, symbol: str = "BTCUSDT") -> Decimal:
        return self.venue.held.get(symbol, Decimal(0))

    def alerts(self) -> set[str]:
        return {a.key for a in self.events.standing()}

    def codes(self) -> list[str]:
        return [row["code"] for row in self.events_disk.rows]

    async def settled(self, *, within_s: float = 200) -> None:
        """Wait until the newest generation is verified on every symbol."""
        deadline = self.clock.now_ms() + int(within_s * 1000)
        while self.clock.now_ms() < deadline:
            await asyncio.sleep(0.05)
            report = self.lane.report
            if report is None or report.generation < self.generation:
                continue
            if report.symbols and all(s.verified for s in report.symbols.values()):
                return
        message = f"not settled: {self.lane.report}"
        raise AssertionError(message)

    def _join(self, lane: Lane) -> None:
        self._tasks.append(asyncio.ensure_future(self._keep(lane)))
        if self.generation >= 0:
            self._offer()

    async def _keep(self, lane: Lane) -> None:
        """Do what the executor does with a lane."""
        await lane.run()
        await lane.close()
        lane.ended.set()

    def _offer(self) -> None:
        self.generation += 1
        self.lane.offer(
            CycleInputs(
                generation=self.generation,
                settings=self.settings,
                contributions=tuple(self.depths.values()),
            )
        )

    def _control(self) -> Control:
        """What people decided: a resume of the account, under "account one" in `resumed`."""
        at_ms = self.resumed.get(f"account {self.account.name}")
        scope = Scope(account=self.account.name)
        rows = () if at_ms is None else (Resumed(scope=scope, who="ann", when_ms=at_ms, id="r"),)
        return Control(resumed=rows)

    def _brakes(self, _account: str, _symbol: str) -> Brakes:
        mode, reason = strictest(self.mode, self.tripping.held(self.account.name))
        return Brakes(mode=mode, reason=reason, is_dry_run=self.is_dry_run)

    async def _process(self, account_pass: AccountPass, *, looks_up_first: bool) -> PassReport:
        report = await account_pass.run(looks_up_first=looks_up_first)
        self.confirmed.update(report.confirmed)
        return report
