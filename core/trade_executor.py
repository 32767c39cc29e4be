"""Offers what is wanted to every account's lane and keeps the lanes running.

`execute()` reads settings and signals once, makes one immutable `CycleInputs` and returns; each
lane works at its own pace: accounts ∥ symbols ∥ a symbol's steps. Knows no venue, no source.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from core.cycle import CycleInputs, PassReport
from core.events import Events
from core.home import Home
from core.lanes.account_pass import AccountPass
from core.lanes.lane import Lane
from core.lanes.market_desk import MarketDesk
from core.model import Contribution
from core.nudge import NudgeReceiver
from core.ports import Clock
from core.settings import ConfigProblem, Settings, SettingsReader
from core.settings_gate import SettingsGate
from core.signal_manager import SignalManager

log = logging.getLogger(__name__)

SWEEP_S = 1.0  # a lost nudge costs this much; with nothing new a sweep reads no byte
LANE_RESTART_S = 5.0


class TradeExecutor:
    """All accounts at work."""

    def __init__(  # noqa: PLR0913 # called in one place, which wires everything
        self,
        home: Home,
        *,
        settings: SettingsReader,
        brakes: Callable[[], object],
        signal_manager: SignalManager,
        events: Events,
        clock: Clock,
        markets: Mapping[str, MarketDesk],
    ) -> None:
        self.signal_manager = signal_manager
        self.lanes: list[Lane] = []
        self.cycles = 0
        self.completed_at_ms: int | None = None
        self.completed_cycle: int | None = None
        self.inputs: CycleInputs | None = None
        self.problems: tuple[ConfigProblem, ...] = ()
        self._home = home
        self._settings = settings
        self._gate = SettingsGate()
        self._brakes = brakes  # anything that differs when people's brakes differ
        self._events = events
        self._clock = clock
        self._symbol_details_cache = markets  # instruments by venue, kept an hour
        self._workers: list[asyncio.Task[None]] = []
        self._last: tuple[object, ...] | None = None
        self.on_change: Callable[[], None] = lambda: None

    def add(self, lane: Lane) -> None:
        """Take an account in, at any time; it starts with what is wanted now."""
        self.lanes.append(lane)
        if self.inputs is not None:
            lane.offer(self.inputs)
        self._workers.append(asyncio.ensure_future(self._keep(lane)))

    async def execute(self, *, wait: bool = False) -> CycleInputs:
        """Read what is wanted and offer it to every lane if anything changed.

        With `wait` also await each lane's pass. Raises ConfigError when there is no valid
        configuration and never was.
        """
        contributions, settings = self._load_weight_config()
        mark = (settings.hash, _unconfirmed(contributions, settings, self._clock), self._brakes())
        if self.inputs is not None and mark == self._last:
            self._refresh(contributions)
        else:
            self._last = mark
            generation = 0 if self.inputs is None else self.inputs.generation + 1
            self.inputs = CycleInputs(
                generation=generation, settings=settings, contributions=contributions
            )
            for market in self._symbol_details_cache.values():
                market.watch(row.symbol for row in settings.weights)
            for lane in self.lanes:
                lane.offer(self.inputs)
        self.cycles += 1
        if wait:
            generation = self.inputs.generation
            await asyncio.gather(*(lane.passed(generation) for lane in self.lanes))
        return self.inputs

    def _refresh(self, contributions: tuple[Contribution, ...]) -> None:
        """Hand on new confirmations of old levels; nobody is woken for them."""
        if self.inputs is None or contributions == self.inputs.contributions:
            return
        self.inputs = replace(self.inputs, contributions=contributions)
        for lane in self.lanes:
            lane.refresh(self.inputs)

    async def process_account(
        self, account_pass: AccountPass, *, looks_up_first: bool
    ) -> PassReport:
        """Make one pass of one account and confirm, once, what it saw to be held."""
        report = await account_pass.run(looks_up_first=looks_up_first)
        depths = {s: t.depth for s, t in report.targets.items()}
        self.signal_manager.confirm_execution(report.account, report.confirmed, depths)
        return report

    async def run(self, stopping: asyncio.Event, started: Callable[[], Awaitable[None]]) -> None:
        """Work until `stopping` is set; `started` is called when the loops run."""
        async with NudgeReceiver(self._home) as nudges:
            await self.execute()
            sweeps = asyncio.ensure_future(self._sweep(nudges))
            try:
                await started()
                await _first(stopping, sweeps)
            finally:
                for task in (*self._workers, sweeps):
                    task.cancel()
                await asyncio.gather(*self._workers, sweeps, return_exceptions=True)
                await self._close()

    def reported(self, report: PassReport) -> None:
        """Take note that a lane's pass ended."""
        self.completed_at_ms = self._clock.now_ms()
        self.completed_cycle = report.generation
        self.on_change()

    def _load_weight_config(self) -> tuple[tuple[Contribution, ...], Settings]:
        """Read signals and settings, once a cycle; a large edit counts from its second read."""
        read = self._settings.read()
        manager, gate = self.signal_manager, self._gate
        manager.sweep()
        then_says = manager.contributions(read)
        in_force = gate.in_force
        now_says = then_says if in_force is None else manager.contributions(in_force)
        settings = gate.admit(read, now_says, then_says, self._clock.now_ms())
        contributions = then_says if settings is read else now_says
        manager.remember(contributions)
        if gate.waits_for:
            text = f"an edit waits for its second read: {gate.waits_for}"
            self._events.alert("config_change", text)
        else:
            self._events.clear("config_change")
        if gate.effect:
            self._events.emit("config_changed", f"settings in force now: {gate.effect}")
        self.problems = read.problems  # of the files as they are now, in force or not
        self._tell_problems(read)
        return contributions, settings

    def _tell_problems(self, settings: Settings) -> None:
        texts = {
            f"config/{p.file}/{p.key}": (_problem_text(p), p.severity) for p in settings.problems
        }
        for alert in self._events.standing():
            if alert.key.startswith("config/") and alert.key not in texts:
                self._events.clear(alert.key)
        for key, (text, severity) in texts.items():
            if all(a.key != key or a.text != text for a in self._events.standing()):
                self._events.alert(key, text, severity=severity)

    async def _sweep(self, nudges: NudgeReceiver) -> None:
        while True:
            await nudges.wait(SWEEP_S)
            await self.execute()
            self.on_change()

    async def _keep(self, lane: Lane) -> None:
        """Keep one lane alive: a defect met on one account must not stop the others."""
        while True:
            try:
                await lane.run()
            except Exception as error:  # the outermost loop of a lane
                text = f"a pass of {lane.desk.name} failed: {type(error).__name__}: {error}"
                self._events.alert(
                    f"lane/{lane.desk.name}", text, severity="error", account=lane.desk.name
                )
                log.exception("lane failed", extra={"account": lane.desk.name})
                await self._clock.sleep(LANE_RESTART_S)
            else:
                await self._let_go(lane)
                return

    async def _let_go(self, lane: Lane) -> None:
        """Part with a lane that is over: a disabled account that was closed down."""
        self.lanes.remove(lane)
        await lane.close()
        lane.desk.give_back()
        lane.ended.set()
        self.on_change()

    async def _close(self) -> None:
        await asyncio.gather(*(lane.close() for lane in self.lanes))
        await asyncio.gather(*(m.close() for m in self._symbol_details_cache.values()))
        await self._events.drain()


def _problem_text(problem: ConfigProblem) -> str:
    where = f"{problem.file} {problem.key}" if problem.key else problem.file
    text = problem.text if problem.text.startswith(problem.file) else f"{where}: {problem.text}"
    return f"{text}; {problem.remedy}"


def _unconfirmed(
    contributions: tuple[Contribution, ...], settings: Settings, clock: Clock
) -> tuple[tuple[Contribution, bool], ...]:
    """Leave out when a level was confirmed, and say whether it is fresh: only that wakes lanes."""
    sources, now_ms = settings.engine.sources, clock.now_ms()

    def is_fresh(one: Contribution) -> bool:
        source = sources.get(one.source)
        stale_after_s = 0 if source is None else source.stale_after_s
        heard_at_ms = max(one.received_at_ms, one.confirmed_at_ms or 0)
        return not stale_after_s or now_ms - heard_at_ms <= stale_after_s * 1000

    return tuple((replace(c, confirmed_at_ms=None), is_fresh(c)) for c in contributions)


async def _first(stopping: asyncio.Event, work: asyncio.Future[None]) -> None:
    """Wait for the stop, or for work that ends by an error; that error is raised."""

    async def stopped() -> None:
        await stopping.wait()

    stop = asyncio.ensure_future(stopped())
    try:
        await asyncio.wait({stop, work}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stop.cancel()
    if work.done():
        work.result()
