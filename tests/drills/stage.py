"""The stage of the drills: the real engine and the real receiver over HTTP on a paper exchange.

Everything is real but PM2: configuration files, the ASGI door, journals, ccxt, sockets. Waiting is
on conditions; what must not happen is asserted after passes that could have done it.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from commands.wiring import Engine
from core.cycle import PassReport
from core.home import Home
from core.lanes.lane import Lane
from core.store import atomic_write_bytes
from paper_exchange.server import PaperServer
from tests.drills.receiving import BTC, ETH, TOKEN, Receiving
from tests.drills.venue_side import Site, VenueSide, open_site, share
from tests.venues import OnTheWire

__all__ = ["BTC", "ETH", "Stage", "share", "stage"]

WITHIN_S = 20.0
PACE_S = 0.1  # a venue would not have more passes than that

T = TypeVar("T")


class Stage(VenueSide, Receiving):
    """One home, its receiver and, between `start` and `stop`, its engine."""

    def __init__(
        self, root: Path, exchange: str, server: PaperServer, sites: Mapping[str, Site]
    ) -> None:
        VenueSide.__init__(self, exchange, server, sites)
        self.reports: list[PassReport] = []
        self.newest: dict[str, PassReport] = {}
        self.first_with: dict[str, int] = {}  # the generation that first knew a signal, by its id
        self.engine: Engine
        self._running: asyncio.Task[None] | None = None
        self._filling: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        Receiving.__init__(self, Home(root))

    # --- configuration
    def write(self, name: str, content: object) -> None:
        """Replace a configuration file as the wizards do."""
        atomic_write_bytes(self.home.root / name, json.dumps(content).encode())

    def write_accounts(self, **changes: Mapping[str, Any]) -> None:
        """Write the accounts as they are, some of them changed."""
        rows = [{**site.row, **changes.get(name, {})} for name, site in self.sites.items()]
        self.write("credentials.json", {"accounts": rows})
        (self.home.root / "credentials.json").chmod(0o600)

    def weigh(self, *symbols: str, leverage: int = 3, weight: float = 1) -> None:
        """Let TradingView decide these symbols alone."""
        sources = [{"source": "tradingview", "weight": weight}]
        self.write(
            "signal_weight_config.json",
            [{"symbol": s, "leverage": leverage, "sources": sources} for s in symbols],
        )

    # --- the engine
    async def start(self) -> None:
        """Start the engine's process, without a process."""
        self.reports.clear()
        self.newest.clear()
        self.first_with.clear()
        self.engine = Engine(self.home)
        self.engine.replay()
        self.engine.executor.on_change = self._collect
        self._stopping = asyncio.Event()
        ready = asyncio.Event()

        async def started() -> None:
            roster = self.engine.roster
            self._filling = asyncio.create_task(roster.fill(self.engine.executor.add))
            ready.set()

        self._running = asyncio.create_task(self.engine.executor.run(self._stopping, started))
        await self.until(ready.is_set, "ready")

    async def stop(self) -> None:
        """Stop the engine as SIGTERM would."""
        await self._end()

    async def kill(self) -> None:
        """Stop it as SIGKILL would: what is on the wire is forgotten, nothing more is written."""
        if self._running is None:
            return
        for lane in self.engine.executor.lanes:
            for task in list(lane.desk.in_flight):
                task.cancel()
        self._running.cancel()
        await self._end()

    async def _end(self) -> None:
        if self._running is None:
            return
        self._stopping.set()
        if self._filling is not None:
            self._filling.cancel()
        await asyncio.gather(self._running, self._filling or _nothing(), return_exceptions=True)
        self._running = None
        await self.engine.close()

    # --- what the engine says
    def lane(self, account: str = "main") -> Lane:
        """The lane of an account; it must be open."""
        return next(one for one in self.engine.executor.lanes if one.desk.name == account)

    def status(self, account: str = "main") -> dict[str, Any]:
        """An account's part of the engine's status."""
        rows: Any = self.engine.status()["accounts"]
        return next(dict(row) for row in rows if row["name"] == account)

    def symbol_status(self, symbol: str = BTC, account: str = "main") -> dict[str, Any]:
        """A symbol's part of the status; without reason and hold when it is not there."""
        rows = self.status(account)["symbols"]
        none = {"reason": "", "hold": "", "target_lots": None}
        return next((dict(row) for row in rows if row["symbol"] == symbol), none)

    @property
    def generation(self) -> int:
        """How often what is wanted has changed."""
        inputs = self.engine.executor.inputs
        return -1 if inputs is None else inputs.generation

    def target(self, symbol: str = BTC, account: str = "main") -> Decimal | None:
        """What the engine wants to hold, in base coins; None = not known."""
        lots = self.symbol_status(symbol, account)["target_lots"]
        return None if lots is None else self.coins(str(lots), symbol, account)

    def alerts(self) -> dict[str, str]:
        """The alerts that stand: text by key."""
        return {alert.key: alert.text for alert in self.engine.events.standing()}

    def events(self) -> list[dict[str, Any]]:
        """Every event on disk."""
        files = sorted(self.home.state.glob("events-*.jsonl"))
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]

    def codes(self) -> list[str]:
        """The codes of all events on disk."""
        return [row["code"] for row in self.events()]

    def passes(self, account: str = "main") -> list[PassReport]:
        """All passes of an account since `start` or `forget`."""
        return [report for report in self.reports if report.account == account]

    def forget(self) -> None:
        """Begin to count passes and requests anew."""
        self.reports.clear()
        self.forget_requests()

    # --- waiting
    async def until(
        self, condition: Callable[[], T | None], what: str, *, within_s: float = WITHIN_S
    ) -> T:
        """Wait until a condition is true; fails with what the engine says when it never is."""
        deadline = time.monotonic() + within_s
        while not (value := condition()):
            if self._running is not None and self._running.done():
                self._running.result()
            if time.monotonic() > deadline:
                message = f"never: {what}; {self._situation()}"
                raise AssertionError(message)
            await asyncio.sleep(0.005)
        return value

    async def settled(
        self, signal_id: str, *, account: str = "main", within_s: float = WITHIN_S
    ) -> PassReport:
        """Wait until a pass that knew this signal verified every symbol."""
        return await self.until(
            lambda: self._verified(signal_id, account), f"settled {signal_id}", within_s=within_s
        )

    async def passed(
        self,
        count: int = 1,
        *,
        since: str = "",
        account: str = "main",
        where: Callable[[PassReport], bool] = lambda _: True,
        within_s: float = WITHIN_S,
    ) -> list[PassReport]:
        """Wait for so many passes that knew the signal `since` and satisfy `where`."""

        def enough() -> list[PassReport]:
            first = self._generation_of(since)
            found = [
                r
                for r in self.passes(account)
                if first is not None and r.generation >= first and where(r)
            ]
            return found if len(found) >= count else []

        return await self.until(enough, f"{count} passes", within_s=within_s)

    async def again(
        self,
        count: int = 1,
        *,
        account: str = "main",
        where: Callable[[PassReport], bool] = lambda _: True,
        within_s: float = WITHIN_S,
    ) -> None:
        """Let so many more passes begin and end, as a resync would, without waiting for it."""
        await self.until(lambda: self._is_open(account), "its lane")
        for _ in range(count):
            await self._one_more(account, where, within_s)

    async def _one_more(
        self, account: str, where: Callable[[PassReport], bool], within_s: float
    ) -> None:
        lane = self.lane(account)
        known = self.passes(account)
        is_at_work = lane._targets_at_work is not None  # on a pass that began before now

        woken_at = float("-inf")

        def came() -> bool:
            nonlocal woken_at
            if time.monotonic() - woken_at > PACE_S:
                woken_at = time.monotonic()
                lane.desk.wake()
            new = [r for r in self.passes(account) if all(r is not one for one in known)]
            return any(where(r) for r in new[1 if is_at_work else 0 :])

        await self.until(came, "one more pass", within_s=within_s)

    def _is_open(self, account: str) -> bool:
        lanes = self.engine.executor.lanes
        return any(one.desk.name == account and one.state == "ready" for one in lanes)

    async def price_of(self, symbol: str, mark: str) -> None:
        """Let passes go by until one has read this price."""
        market = self.lane().desk.market
        await self.again(where=lambda _: is_near(market.last_price(symbol), Decimal(mark)))

    def _generation_of(self, signal_id: str) -> int | None:
        if not signal_id:
            return 0
        return self.first_with.get(signal_id)

    def _verified(self, signal_id: str, account: str) -> PassReport | None:
        first = self._generation_of(signal_id)
        for report in reversed(self.passes(account)):
            if first is None or report.generation < first:
                return None
            if report.symbols and all(s.verified for s in report.symbols.values()):
                return report
        return None

    def _collect(self) -> None:
        inputs = self.engine.executor.inputs
        for one in inputs.contributions if inputs is not None else ():
            self.first_with.setdefault(one.signal_id, inputs.generation if inputs else 0)
        for lane in self.engine.executor.lanes:
            report = lane.report
            if report is not None and report is not self.newest.get(lane.desk.name):
                self.newest[lane.desk.name] = report
                self.reports.append(report)

    def _situation(self) -> str:
        try:
            accounts = self.engine.status()["accounts"]
        except AttributeError:
            return "no engine yet"
        return f"alerts {self.alerts()}; {accounts}; orders {self.orders_of_all()}"

    def orders_of_all(self) -> list[OnTheWire]:
        """The orders of every account."""
        return [order for name in self.sites for order in self.orders(name)]


def is_near(price: Decimal | None, mark: Decimal) -> bool:
    """True for a venue's mark too: some show none, and the middle of their quotes is taken."""
    return price is not None and abs(price - mark) <= mark / 500


@asynccontextmanager
async def stage(
    tmp_path: Path,
    venue: str = "bybit",
    *,
    accounts: Mapping[str, Mapping[str, Any]] | None = None,
    symbols: Sequence[str] = (BTC, ETH),
    server: PaperServer | None = None,
    **limits: Any,
) -> AsyncIterator[Stage]:
    """Set everything up but the engine: `await start()`; `limits` are EngineLimits' fields.

    Accounts are at `venue` unless they name an `exchange`. BTC is 60,000 and ETH 3,000 USDT, an
    account owns 100,000: with weight 1 and leverage 3 an alert of 2 % is 0.1 BTC.
    """
    Home(tmp_path).make_folders()
    async with PaperServer() as own:
        used = server or own
        used.pin(BTCUSDT="60000", ETHUSDT="3000")
        sites = {
            name: open_site(name, venue, used, changes)
            for name, changes in (accounts or {"main": {}}).items()
        }
        here = Stage(tmp_path, venue, used, sites)
        here.write_accounts()
        here.write("asset_mapping_config.json", {"tradingview": {s: s for s in symbols}})
        here.write(
            "engine_config.json",
            {"engine": {"request_timeout_s": 2, **limits}, "webhook": {"token": TOKEN}},
        )
        here.weigh(*symbols)
        try:
            yield here
        finally:
            for one in here.servers():
                one.clear_faults()
            await here.kill()
            await here.close_receiver()


async def _nothing() -> None:
    return None
