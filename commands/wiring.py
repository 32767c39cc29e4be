"""Builds the parts from the settings: the only place that knows all of them."""

import asyncio
import hashlib
from collections.abc import Collection, Iterable
from typing import Final

from account_processors import (
    CcxtMarket,
    Transport,
    address_of,
    open_market,
    open_venue,
)
from account_processors.transport.limiter import Limiter
from commands.engine_world import RealWorld, World
from core.clock import SteadyClock, SystemClock
from core.control import EVERYTHING, Scope, strictest
from core.control.file import ControlReader, halt_file_exists, halt_path
from core.errors import TransientError
from core.events import Events
from core.gate import Brakes, Gate
from core.home import Home
from core.intents import ClientIds, OrdersJournal
from core.lanes.account_desk import AccountDesk
from core.lanes.lane import Lane
from core.lanes.market_desk import MarketDesk
from core.lanes.roster import Roster
from core.model import Mode
from core.orders_history import newest_rows
from core.process.lease import Lease
from core.process.logs import register_secret
from core.process.loop_lag import LoopLag
from core.process.service import Service
from core.process.service_status import read_status
from core.safety.restarts import keep_ends, unclean_ends
from core.safety.watch import Watch
from core.settings import AccountConfig, SettingsReader
from core.source_reader import SourceReader
from core.status.engine_part import engine_status
from core.trade_executor import TradeExecutor
from signal_processors.base import discover

PAPER: Final = "paper-exchange"
PAPER_LOOK_S: Final = 2.0
STATUS_EVERY_S: Final = 0.2  # passes that end together are told together


class Engine:
    """Everything of the trade-engine process; built once, closed once."""

    def __init__(
        self,
        home: Home,
        world: World | None = None,
        *,
        sends: Collection[Scope] = (EVERYTHING,),
        opens: Collection[Scope] = (EVERYTHING,),
    ) -> None:
        self.home = home
        self.sends = tuple(sends)  # outside of these scopes nothing is sent
        self.world = world or RealWorld(home)
        self.clock = SteadyClock()
        self.wall = SystemClock()
        self.started_at_ms = self.wall.now_ms()
        self.reader = self.world.settings()
        self.settings = self.reader.read()
        self.control = ControlReader(home)
        self.engine_id = self.world.engine_id()
        self._events_log = self.world.log("events-", self.clock)
        self.events = Events(self._events_log, self.wall)
        self._orders_log = self.world.log("orders-", self.clock)
        self.journal = OrdersJournal(self._orders_log, self.clock)
        self.frozen = self.world.targets()
        self.trips = self.world.trips(self.wall, self.events, self.control.read)
        self.baselines = self.world.baselines()
        self.flattens = self.world.flattens()
        self.transport = Transport(
            clock=self.clock,
            limiter=Limiter(self.clock, share=self.world.share),
            timeout_s=float(self.settings.engine.engine.request_timeout_s),
        )
        self.restarts = 0  # unclean ends within the restart window
        self._markets: dict[str, CcxtMarket] = {}
        self._desks: dict[str, MarketDesk] = {}
        self._key_leases: list[Lease] = []
        self.manager = self.world.signals(
            [
                SourceReader(home, name, is_level=profile.is_level)
                for name, profile in discover().items()
            ],
            self.wall,
            self.events,
        )
        self.manager.lifted_at_ms = self._lifted_at_ms
        self.executor = TradeExecutor(
            home,
            settings=self.reader,
            brakes=lambda: (
                self.control.read(),
                halt_file_exists(home),
                self.trips.standing(),
            ),
            signal_manager=self.manager,
            events=self.events,
            clock=self.wall,
            markets=self._desks,
        )
        self.roster = Roster(
            [
                account
                for account in self.world.chosen(self.settings.accounts)
                if any(scope.account in (None, account.name) for scope in opens)
            ],
            self.open_account,
            self.events,
            self.clock,
            self.journal,
            configured=[account.name for account in self.settings.accounts],
        )

        self.loop_lag = LoopLag(self.clock, self._tell_lag)

    def _tell_lag(self, lag_ms: int) -> None:
        text = f"the engine stood still for {lag_ms} ms: is this host overloaded?"
        self.events.emit("loop_lag", text, severity="warning")

    def replay(self) -> None:
        """Rebuild the ledgers from the newest two orders journals."""
        is_new = not self.home.state.is_dir()  # a rehearsal makes no folders
        rows, torn = ([], 0) if is_new else newest_rows(self.home.state, "orders-")
        skipped = torn + self.journal.replay(rows)
        if skipped:
            self.events.alert("orders_skipped", f"{skipped} lines of the orders journal are torn")
        if self.frozen.was_lost:
            self.events.alert("targets_lost", "state/targets.json was unreadable: sized anew")
        if self.baselines.was_lost:
            text = "state/baselines.json was unreadable: losses are measured from now on"
            self.events.alert("baselines_lost", text)

    def note_start(self, *, was_unclean: bool) -> None:
        """Count the unclean ends of late; after too many, start halted."""
        limits, path = self.settings.engine.safety, self.home.state / "starts.json"
        ends = unclean_ends(
            path,
            was_unclean=was_unclean,
            now_ms=self.wall.now_ms(),
            window_s=limits.restart_window_s,
        )
        self.restarts = len(ends)
        try:
            keep_ends(path, ends)
        except OSError as error:
            self.events.alert("disk/starts", f"state/starts.json: {error}", severity="error")
        if was_unclean and limits.max_restarts and self.restarts >= limits.max_restarts:
            text = (
                f"the engine ended uncleanly {self.restarts} times within "
                f"{limits.restart_window_s} s: nothing is sent until you looked why "
                "(./trade-engine logs trade-engine) and said ./trade-engine resume"
            )
            self.trips.stop(None, "crash_loop", text, mode=Mode.HALT)

    def open_account(self, account: AccountConfig) -> Lane:
        """Build one account's lane. Raises ConfigError, BusyError or TransientError."""
        market = self._market_of(account)
        venue = open_venue(account, market)
        lease = self.world.lease(account)
        if lease is not None:
            self._key_leases.append(lease)
        market_desk = self._desks[market.name]
        desk = AccountDesk(
            account=account,
            venue=self.world.venue(account, venue, market_desk, self.clock),
            market=market_desk,
            journal=self.journal,
            frozen=self.frozen,
            gate=Gate(
                lambda _name, symbol: self.brakes(account, symbol),
                lambda: self._flattens(account.name),
            ),
            events=self.events,
            ids=ClientIds(self.engine_id, _tag(account.name), self.clock),
            engine_id=self.engine_id,
            clock=self.clock,
            watch=Watch(
                account,
                baselines=self.baselines,
                trips=self.trips,
                events=self.events,
                orders=self.journal.order_times(account.name),
                now_ms=self.clock.now_ms,
                wall_ms=self.wall.now_ms,
            ),
            resumed_at_ms=lambda symbol: self.control.read().resumed_at_ms(account.name, symbol),
            strangers_since_ms=lambda: self._strangers_since_ms(account.name),
            wall_ms=self.wall.now_ms,
            trip=lambda code, text: self.trips.stop(account.name, code, text),
            flattened=self.flattens.of(account.name),
            keep_flattened=lambda ids: self.flattens.put(account.name, ids),
            give_back=lambda: None if lease is None else lease.release(),
            errands=self.world.errands(self.control.read),
        )
        return Lane(desk, process=self.executor.process_account, on_report=self.executor.reported)

    def _lifted_at_ms(self, symbol: str) -> int | None:
        resumed = self.control.read().resumed_scope(Scope(symbol=symbol))
        return None if resumed is None else resumed.when_ms

    def _strangers_since_ms(self, account: str) -> int:
        """Older orders of other engines are history: before our start, or before a resume."""
        return max(self.started_at_ms, self.control.read().resumed_at_ms(account) or 0)

    def brakes(self, account: AccountConfig, symbol: str) -> Brakes:
        """Read every brake now: HALT file, people's control, our own trips, arming."""
        control = self.control.read()
        is_dry_run = self.world.is_dry_run(control, account)
        if halt_file_exists(self.home):
            reason = f"{halt_path(self.home)} exists: remove it to go on"
            return Brakes(mode=Mode.HALT, reason=reason, is_dry_run=is_dry_run)
        if not any(scope.covers(account.name, symbol or None) for scope in self.sends):
            reason = f"only {', '.join(map(str, self.sends))} is worked on here"
            return Brakes(mode=Mode.HALT, reason=reason, is_dry_run=is_dry_run)
        now_ms = self.wall.now_ms()
        held = control.mode_for(account.name, symbol or None, now_ms=now_ms)
        mode, reason = strictest(held, self.trips.held(account.name))
        ids = tuple(
            one
            for one, named in self._flattens(account.name).items()
            if named in (None, symbol or None)
        )
        return Brakes(mode=mode, reason=reason, is_dry_run=is_dry_run, flattens=ids)

    def _flattens(self, account: str) -> dict[str, str | None]:
        """Give an account's flattens by id, people's and our own, with the symbol each names."""
        people = self.control.read().flatten_ids(account, now_ms=self.wall.now_ms())
        ours = {t.id: None for t in self.trips.standing() if t.flattens(account)}
        return {  # what is wider than our scope is not done by us
            one: named
            for one, named in {**people, **ours}.items()
            if any(scope.covers(account, named) for scope in self.sends)
        }

    def status(self) -> dict[str, object]:
        """Say how the engine stands."""
        status = engine_status(
            self.executor,
            self.roster,
            self.events,
            self.control.read(),
            self.engine_id,
            self.trips,
        )
        return {**status, "restarts": self.restarts, "loop_lag_ms": self.loop_lag.worst_ms}

    async def close(self) -> None:
        """Give everything back."""
        for desk in self._desks.values():
            await desk.close()
        for market in self._markets.values():
            await market.close()
        await self.transport.close()
        await self.events.drain()
        await self._orders_log.close()
        await self._events_log.close()
        for lease in self._key_leases:
            lease.release()

    def _market_of(self, account: AccountConfig) -> CcxtMarket:
        address = address_of(account, _paper_url(self.home, account))
        key = f"{account.exchange}@{address.name}"
        if key not in self._markets:
            market = open_market(account.exchange, address, self.transport)
            max_age_s = self.settings.engine.engine.ticker_max_age_s
            self._desks[market.name] = MarketDesk(market, self.clock, ticker_max_age_s=max_age_s)
            self._markets[key] = market
        return self._markets[key]


def mask_keys(accounts: Iterable[AccountConfig]) -> None:
    """Have every account's key masked in whatever this process says from now on."""
    for account in accounts:
        for secret in (account.api_key, account.api_secret, account.api_passphrase):
            if secret is not None and secret.get_secret_value():
                register_secret(secret.get_secret_value())


async def run_engine(service: Service) -> None:
    """Be the trade-engine process until it is asked to stop."""
    mask_keys(SettingsReader(service.home).read().accounts)
    engine = Engine(service.home)
    engine.replay()
    engine.note_start(was_unclean=service.ended_uncleanly)
    teller = _Teller(service, engine)
    engine.executor.on_change = teller.soon
    filling: set[asyncio.Task[None]] = set()

    async def started() -> None:
        filling.add(asyncio.create_task(engine.roster.fill(engine.executor.add)))
        filling.add(asyncio.create_task(engine.loop_lag.watch()))
        teller.tell()
        await service.ready()

    following = asyncio.create_task(_follow_paper_exchange(service, engine))
    filling.add(following)
    try:
        await engine.executor.run(service.stopping, started)
    finally:
        for task in filling:
            task.cancel()
        await asyncio.gather(*filling, return_exceptions=True)
        teller.tell()
        await engine.close()


async def _follow_paper_exchange(service: Service, engine: Engine) -> None:
    """End this process when the paper exchange listens elsewhere: PM2 starts it anew."""
    if not any(a.environment == "paper" and not a.base_url for a in engine.settings.accounts):
        return
    known = str(read_status(service.home, PAPER).get("url") or "")
    while True:
        await asyncio.sleep(PAPER_LOOK_S)
        url = str(read_status(service.home, PAPER).get("url") or "")
        if known and url and url != known:
            engine.events.emit(
                "paper_moved", f"the paper exchange moved to {url}: trade-engine starts again"
            )
            service.stopping.set()
            return
        known = url or known


class _Teller:
    """Writes the status soon after a change, not at every one."""

    def __init__(self, service: Service, engine: Engine) -> None:
        self._service = service
        self._engine = engine
        self._waiting: asyncio.TimerHandle | None = None

    def tell(self) -> None:
        """Write it now."""
        if self._waiting is not None:
            self._waiting.cancel()
        self._waiting = None
        self._service.write_status(self._engine.status())

    def soon(self) -> None:
        """Write it within `STATUS_EVERY_S` seconds."""
        if self._waiting is None:
            loop = asyncio.get_running_loop()
            self._waiting = loop.call_later(STATUS_EVERY_S, self.tell)


def _paper_url(home: Home, account: AccountConfig) -> str | None:
    if account.environment != "paper" or account.base_url:
        return None
    url = read_status(home, PAPER).get("url")
    if not url:
        raise TransientError("waits for the paper exchange to start")
    return str(url)


def _tag(name: str) -> str:
    digest = int(hashlib.sha256(name.encode()).hexdigest(), 16)
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    tag = ""
    for _ in range(4):
        digest, rest = divmod(digest, 36)
        tag += digits[rest]
    return tag
