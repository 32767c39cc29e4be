"""The real engine of many accounts at many venues, on virtual time and without sockets.

Lanes, desks, passes, limiter, ccxt and the venues' wires are the real ones; files are memory, HTTP
is `in_process.Session`. The exchange stays when the engine dies.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from account_processors import Address, CcxtMarket, Transport, open_venue, venue_profiles
from account_processors.transport.limiter import Limiter
from account_processors.transport.profile import Profile
from core.control import Control
from core.control import Held as HeldMode
from core.cycle import CycleInputs, PassReport
from core.events import Events
from core.gate import Brakes, Gate
from core.intents import ClientIds, OrdersJournal
from core.lanes.account_desk import AccountDesk
from core.lanes.account_pass import AccountPass
from core.lanes.lane import Lane
from core.lanes.market_desk import MarketDesk
from core.model import Contribution, Mode
from core.settings import AccountConfig, Settings
from core.trips import Trips
from paper_exchange.accounts import PaperAccount
from paper_exchange.prices import FixedPrices
from paper_exchange.server import PaperServer
from tests.engine.harness import (
    ENGINE_ID,
    MemoryLog,
    RecordedTargets,
    paper_account,
    settings_for,
    watch_for,
)
from tests.engine.in_process import BASE_URL, InProcessPool, Session, Travel
from tests.venues import WORDS, OnTheWire
from tests.virtual_time import VirtualClock

SECRET = "secret"


def account_at(name: str, exchange: str) -> AccountConfig:
    """An account whose key is its name."""
    words = WORDS[exchange]
    return paper_account(
        name=name,
        exchange=exchange,
        api_key=name,
        api_secret=SECRET,
        api_passphrase=words.passphrase,
        base_url=f"{BASE_URL}/{exchange}",
    )


def unbudgeted(profile: Profile) -> Profile:
    """The same venue with budgets so large that none binds."""
    wide = tuple(replace(b, limit=b.limit * 10_000, reserve=0) for b in profile.budgets)
    return replace(profile, budgets=wide)


class House:
    """One engine, its accounts by name, and the exchange that they trade on."""

    def __init__(
        self,
        folder: Path,
        accounts: Mapping[str, str],
        symbols: Sequence[str],
        *,
        round_trip_s: float = 0.05,
        has_budgets: bool = True,
        timeout_s: float = 10,
        **limits: Any,
    ) -> None:
        self.clock = VirtualClock()
        self.accounts = {name: account_at(name, venue) for name, venue in accounts.items()}
        self.symbols = tuple(symbols)
        self.server = PaperServer(
            accounts=[_paper(account) for account in self.accounts.values()],
            prices=FixedPrices(prices={}),
            clock=self.clock,
            limits=has_budgets,
        )
        self.session = Session(self.server, lambda _: round_trip_s)
        self.session.keys = frozenset(self.accounts)
        self.settings: Settings = replace(
            settings_for(symbols, account=next(iter(self.accounts.values())), **limits),
            accounts=tuple(self.accounts.values()),
        )
        self.disk, self.events_disk = MemoryLog(), MemoryLog()
        self.mode: HeldMode = (Mode.RUN, "")
        self.depths: dict[str, Contribution] = {}
        self.generation = -1
        self.reports: list[PassReport] = []
        self.lots_by_version: dict[str, Decimal] = {}
        self.trips: list[tuple[str, str]] = []
        self._file, self._folder = folder / "targets.json", folder
        self._has_budgets = has_budgets
        self._timeout_s = timeout_s
        self._signals = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._markets: dict[str, CcxtMarket] = {}
        self._market_desks: dict[str, MarketDesk] = {}
        self.desks: dict[str, AccountDesk] = {}
        self.lanes: dict[str, Lane] = {}

    # --- the engine's process
    def start(self) -> None:
        """Start a process: replay the journal, open the lanes."""
        self.journal = OrdersJournal(self.disk, self.clock)
        assert self.journal.replay(self.disk.rows) == 0
        self.events = Events(self.events_disk, self.clock)
        self.frozen = RecordedTargets(self._file)
        self.frozen.lots_by_version = self.lots_by_version
        self.tripping = Trips(self._folder / "trips.json", self.clock, self.events, Control)
        self._transport = Transport(
            clock=self.clock,
            limiter=Limiter(self.clock),
            pool=InProcessPool(self.session),
            timeout_s=self._timeout_s,
        )
        self._markets, self._market_desks = {}, {}
        self.desks = {name: self._desk(account) for name, account in self.accounts.items()}
        self.lanes = {
            name: Lane(desk, process=self._process, on_report=self.reports.append)
            for name, desk in self.desks.items()
        }
        for market in self._market_desks.values():
            market.watch(self.symbols)
        self._tasks = [asyncio.ensure_future(lane.run()) for lane in self.lanes.values()]
        self.offer()  # as the executor does before it takes a lane in

    async def crash(self) -> None:
        """SIGKILL: tasks vanish between two awaits; what is on the wire arrives all the same."""
        tasks = [*self._tasks, *(t for d in self.desks.values() for t in d.in_flight)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for desk in self.desks.values():
            await desk.venue.close()
            await desk.market.close()
        for market in self._markets.values():
            await market.close()
        await self._transport.close()
        self._tasks = []

    async def stop(self) -> None:
        """End the engine and the exchange."""
        if self._tasks:
            await self.crash()
        await self.events.drain()
        await self.session.close()

    def check_lanes(self) -> None:
        """Raise what a lane died of."""
        for task in self._tasks:
            if task.done():
                task.result()

    # --- what is wanted
    def want(self, **exposures: Decimal | str | int) -> None:
        """One signal a symbol, all in one generation: signed multiples of equity."""
        for symbol, exposure in exposures.items():
            self._signals += 1
            self.depths[symbol] = Contribution(
                source="tradingview",
                source_symbol=symbol,
                symbol=symbol,
                depth=Decimal(exposure) / self.settings.weights[0].leverage,
                leverage=None,
                signal_id=f"s{self._signals}",
                received_at_ms=self.clock.now_ms(),
            )
        self.offer()

    def gear(self, leverage: int) -> None:
        """Let the settings say another leverage, from the next signal on."""
        rows = [
            row.model_copy(update={"leverage": Decimal(leverage)}) for row in self.settings.weights
        ]
        self.settings = replace(self.settings, weights=tuple(rows))

    def want_lots(self, account: str, symbol: str) -> Decimal:
        """The frozen lots of the newest version that this account has sized."""
        found = self.frozen.get(account, symbol)
        return Decimal(0) if found is None or found.lots is None else found.lots

    def offer(self) -> None:
        """Offer what is wanted as a newer generation."""
        self.generation += 1
        inputs = CycleInputs(
            generation=self.generation,
            settings=self.settings,
            contributions=tuple(self.depths.values()),
        )
        for lane in self.lanes.values():
            lane.offer(inputs)

    # --- what came of it
    def held(self, account: str, symbol: str) -> Decimal:
        """Lots as the books have them now."""
        paper = self.server.account(account)
        state = self.server.exchange.state(paper, self.clock.now_ms())
        return state.size_lots(symbol)

    def words(self, account: str) -> Any:
        """What tests know of an account's venue."""
        return WORDS[self.accounts[account].exchange]

    def orders(self, account: str) -> list[OnTheWire]:
        """All orders of an account that reached the exchange, also those it never looked at."""
        words = self.words(account)
        return [
            order
            for request in self.server.requests(account=account)
            for order in words.on_the_wire(request)
        ]

    def travels(self, account: str | None = None) -> list[Travel]:
        """All requests since `forget`; of one account, or "" = those that need no key."""
        return [t for t in self.session.travels if account in {None, t.account}]

    def forget(self) -> None:
        """Begin to count anew."""
        self.server.forget_requests()
        self.session.travels.clear()
        self.reports.clear()

    def is_settled(self, *accounts: str) -> bool:
        """Every symbol of these accounts (or of all) was verified at the newest generation."""
        for name in accounts or self.lanes:
            report = self.lanes[name].report
            if report is None or report.generation < self.generation or not report.symbols:
                return False
            if not all(s.verified for s in report.symbols.values()):
                return False
        return True

    async def settled(self, *accounts: str, within_s: float = 200) -> None:
        """Wait until `is_settled`."""
        await self.until(lambda: self.is_settled(*accounts), within_s=within_s)

    async def until(self, is_so: Callable[[], object], *, within_s: float = 200) -> None:
        """Wait on virtual time until something is so."""
        deadline_ms = self.clock.now_ms() + int(within_s * 1000)
        while not is_so():
            self.check_lanes()
            if self.clock.now_ms() > deadline_ms:
                message = f"never: {[lane.report for lane in self.lanes.values()]}"
                raise AssertionError(message)
            await asyncio.sleep(0.005)

    # --- parts
    def _desk(self, account: AccountConfig) -> AccountDesk:
        market = self._market_of(account)
        return AccountDesk(
            account=account,
            venue=open_venue(account, market),
            market=self._market_desks[account.exchange],
            journal=self.journal,
            frozen=self.frozen,
            gate=Gate(lambda *_: Brakes(mode=self.mode[0], reason=self.mode[1], is_dry_run=False)),
            events=self.events,
            ids=ClientIds(ENGINE_ID, f"{list(self.accounts).index(account.name):04d}", self.clock),
            engine_id=ENGINE_ID,
            clock=self.clock,
            watch=watch_for(account, self.journal, self.tripping, self.events, self._folder),
            resumed_at_ms=lambda _: None,
            strangers_since_ms=lambda: 0,
            wall_ms=self.clock.now_ms,
            trip=lambda code, text: self.trips.append((code, text)),
        )

    def _market_of(self, account: AccountConfig) -> CcxtMarket:
        exchange = account.exchange
        if exchange not in self._markets:
            profile = venue_profiles()[exchange]
            market = CcxtMarket(
                profile if self._has_budgets else unbudgeted(profile),
                Address(base_url=account.base_url),
                self._transport,
            )
            max_age_s = self.settings.engine.engine.ticker_max_age_s
            self._markets[exchange] = market
            self._market_desks[exchange] = MarketDesk(
                market, self.clock, ticker_max_age_s=max_age_s
            )
        return self._markets[exchange]

    async def _process(self, account_pass: AccountPass, *, looks_up_first: bool) -> PassReport:
        return await account_pass.run(looks_up_first=looks_up_first)


def _paper(account: AccountConfig) -> PaperAccount:
    passphrase = account.api_passphrase
    return PaperAccount(
        name=account.name,
        exchange=account.exchange,
        api_key=account.name,
        api_secret=account.api_secret.get_secret_value(),
        api_passphrase=None if passphrase is None else passphrase.get_secret_value(),
    )
