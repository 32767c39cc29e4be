"""One cycle of the engine: one pass of every account until it is verified, then an account of it.

The parts are the engine's own (`commands.wiring.Engine`); whether anything is written or sent is
decided by the world it is built into. Importing this loads ccxt's callers: do it late.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from commands.engine_world import RealWorld
from commands.plans.rehearsal import Rehearsal
from commands.plans.watched_venue import Step, WatchedVenue
from commands.wiring import Engine, mask_keys
from core.clock import SteadyClock
from core.cycle import CycleInputs, PassReport
from core.events import Alert
from core.home import Home
from core.lanes.lane import Lane
from core.lanes.market_desk import MarketDesk
from core.lanes.roster import Place
from core.model import Mode, PositionsRead
from core.ports import Venue
from core.settings import AccountConfig

PASS_LIMIT_S: Final = 60.0  # no account is waited for any longer
LOOK_S: Final = 0.05  # an account that cannot be opened wakes nobody
REHEARSED_LIMIT_S: Final = 5.0  # for an order of the living engine that has no known end yet
SETTLED_LIMIT_S: Final = 45.0  # an order without an answer is settled by then


class WatchedWorld(RealWorld):
    """The real world, with every account's venue watched."""

    def __init__(self, home: Home) -> None:
        super().__init__(home)
        self.watched: dict[str, WatchedVenue] = {}

    def venue(
        self, account: AccountConfig, venue: Venue, market: MarketDesk, clock: SteadyClock
    ) -> Venue:
        """Watch it."""
        del market, clock
        self.watched[account.name] = WatchedVenue(venue)
        return self.watched[account.name]


CycleWorld = WatchedWorld | Rehearsal


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountCycle:
    """What one account saw and did; `report` None = it came to no pass, and `failures` say why.

    `filled` has signed lots by client id, `frozen` the lots of the newest version by symbol.
    """

    account: AccountConfig
    state: str
    is_armed: bool
    brake: Mode
    brake_reason: str
    failures: tuple[str, ...]
    took_ms: int | None
    report: PassReport | None
    first_positions: PositionsRead | None
    steps: tuple[Step, ...]
    filled: Mapping[str, Decimal]
    frozen: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    """A whole cycle."""

    inputs: CycleInputs
    accounts: tuple[AccountCycle, ...]
    alerts: tuple[Alert, ...]


async def run_cycle(world: CycleWorld) -> Cycle:
    """Run one cycle and close everything. Raises ConfigError when there is no configuration."""
    engine = Engine(world.home, world)
    mask_keys(engine.settings.accounts)
    try:
        engine.replay()
        runner = _Runner(engine, world)
        inputs = await engine.executor.execute()
        await runner.run(inputs)
        return Cycle(
            inputs=inputs, accounts=tuple(runner.accounts()), alerts=engine.events.standing()
        )
    finally:
        await engine.close()


class _Runner:
    """Runs every lane until its pass is verified, or it is clear that it will not be."""

    def __init__(self, engine: Engine, world: CycleWorld) -> None:
        self._engine = engine
        self._world = world
        self._inputs: CycleInputs | None = None
        self._changed = asyncio.Event()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._first_report_ms: dict[str, int] = {}
        self._began_ms = engine.clock.now_ms()
        is_rehearsal = isinstance(world, Rehearsal)
        self._settled_ms = int(1000 * (REHEARSED_LIMIT_S if is_rehearsal else SETTLED_LIMIT_S))
        engine.executor.on_change = self._changed.set

    async def run(self, inputs: CycleInputs) -> None:
        """Open every account and wait for them."""
        self._inputs = inputs
        places = self._engine.roster.places
        filling = asyncio.create_task(self._engine.roster.fill(self._join))
        try:
            while not self._are_over(places) and self._is_in_time():
                self._changed.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S):
                        await self._changed.wait()
        finally:
            filling.cancel()
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(filling, *self._tasks.values(), return_exceptions=True)
            await asyncio.gather(*(p.lane.close() for p in places if p.lane is not None))

    def accounts(self) -> Iterator[AccountCycle]:
        """Give what became of each account."""
        engine = self._engine
        control = engine.control.read()
        for place in engine.roster.places:
            name, lane = place.account.name, place.lane
            report = None if lane is None else lane.report
            watched = self._world.watched.get(name)
            brakes = engine.brakes(place.account, "")
            state, _ = place.standing
            ledgers = [engine.journal.ledger(name, s) for s in engine.journal.symbols(name)]
            frozen = engine.frozen.of_account(name)
            yield AccountCycle(
                account=place.account,
                state=state,
                is_armed=control.is_armed(place.account),
                brake=brakes.mode,
                brake_reason=brakes.reason,
                failures=tuple(self._failures(place)),
                took_ms=None if report is None else report.ended_at_ms - self._began_ms,
                report=report,
                first_positions=None if watched is None else watched.first_positions,
                steps=() if watched is None else tuple(watched.steps),
                filled={c.client_id: c.filled_lots for one in ledgers for c in one.closed},
                frozen={s: f.lots for s, f in frozen.items() if f.lots is not None},
            )

    def _join(self, lane: Lane) -> None:
        if self._inputs is not None:
            lane.offer(self._inputs)
        self._tasks[lane.desk.name] = asyncio.create_task(lane.run())

    def _is_in_time(self) -> bool:
        return self._engine.clock.now_ms() - self._began_ms < PASS_LIMIT_S * 1000

    def _are_over(self, places: Sequence[Place]) -> bool:
        over = [self._is_over(place) for place in places]  # each of them is looked at
        return all(over)

    def _is_over(self, place: Place) -> bool:
        task = self._tasks.get(place.account.name)
        if task is None or place.lane is None:
            return bool(place.reason)
        if not task.done() and self._is_lane_over(place.lane):
            task.cancel()  # it has done its pass: a second one is nobody's wish
            return True
        return task.done()

    def _is_lane_over(self, lane: Lane) -> bool:
        if lane.report is None:
            return lane.state != "ready" and bool(lane.reason)
        now_ms = self._engine.clock.now_ms()
        first_ms = self._first_report_ms.setdefault(lane.desk.name, now_ms)
        is_settled = not (lane.report.is_unsettled or lane.report.looks_again)
        return is_settled or now_ms - first_ms > self._settled_ms

    def _defect(self, name: str) -> BaseException | None:
        """Give what an account's lane died of."""
        task = self._tasks.get(name)
        return (
            task.exception() if task is not None and task.done() and not task.cancelled() else None
        )

    def _failures(self, place: Place) -> Iterator[str]:
        """Say what could not be read or opened; a disabled account that is left alone is fine."""
        lane = place.lane
        if lane is None:
            if place.account.enabled or place.closing:
                yield place.reason or "it was not opened in time"
            return
        error = self._defect(place.account.name)
        if error is not None:
            yield f"its pass failed: {type(error).__name__}: {error}"
            return
        report = lane.report
        if report is None:
            yield lane.reason or f"no pass ended within {PASS_LIMIT_S:.0f} s"
            return
        if lane.state == "parked":
            yield lane.reason
        yield from report.read_failures
        for symbol in report.unreadable if not report.positions_failed else ():
            yield f"positions: the row of {symbol} cannot be read"
