"""The stage of the drills: the real engine and the real receiver over HTTP on a paper exchange.

Everything is real but PM2: configuration files, the ASGI door, journals, ccxt, sockets. Waiting is
on conditions; what must not happen is asserted after passes that could have done it.
"""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx

from commands.wiring import Engine
from core.clock import SystemClock
from core.cycle import PassReport
from core.home import Home
from core.lanes.lane import Lane
from core.nudge import send_nudge
from core.settings.engine import WebhookConfig
from core.store import atomic_write_bytes
from paper_exchange.accounts import PaperAccount
from paper_exchange.server import PaperServer
from signal_processors.base import SignalWriter
from signal_processors.tradingview_door import Door
from signal_processors.tradingview_fold import TradingViewFold
from signal_processors.tradingview_intake import Intake

BTC, ETH = "BTCUSDT", "ETHUSDT"
CREATE, BATCH = "/v5/order/create", "/v5/order/create-batch"
CREATES = "/v5/order/create*"  # as faults name endpoints
POSITIONS, WALLET = "/v5/position/list", "/v5/account/wallet-balance"
LEVERAGE, INSTRUMENTS = "/v5/position/set-leverage", "/v5/market/instruments-info"
TICKERS = "/v5/market/tickers"
TOKEN = "drill-token"
WITHIN_S = 8.0

T = TypeVar("T")


class ShiftedClock(SystemClock):
    """The receiver's clock: alerts seconds apart without waiting for them."""

    def __init__(self) -> None:
        self.shift_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.shift_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class OnTheWire:
    """An order as its bytes had it; `size_lots` is signed."""

    symbol: str
    size_lots: Decimal
    reduce_only: bool
    client_id: str
    price: Decimal | None
    time_in_force: str


class Stage:
    """One home, its receiver and, between `start` and `stop`, its engine."""

    def __init__(self, root: Path, server: PaperServer, accounts: Sequence[dict[str, Any]]) -> None:
        self.home = Home(root)
        self.server = server
        self.rows = accounts
        self.clock = ShiftedClock()
        self.reports: list[PassReport] = []
        self.newest: dict[str, PassReport] = {}
        self.first_with: dict[str, int] = {}  # the generation that first knew a signal, by its id
        self.engine: Engine
        self._numbers = iter(range(1_000_000))
        self._running: asyncio.Task[None] | None = None
        self._filling: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._writer: SignalWriter | None = None
        self.open_receiver()

    # --- configuration
    def write(self, name: str, content: object) -> None:
        """Replace a configuration file as the wizards do."""
        atomic_write_bytes(self.home.root / name, json.dumps(content).encode())

    def weigh(self, *symbols: str, leverage: int = 3, weight: float = 1) -> None:
        """Let TradingView decide these symbols alone."""
        sources = [{"source": "tradingview", "weight": weight}]
        self.write(
            "signal_weight_config.json",
            [{"symbol": s, "leverage": leverage, "sources": sources} for s in symbols],
        )

    # --- the receiver
    def open_receiver(self) -> None:
        """Take the journal's lock and open the door."""
        fold = TradingViewFold()
        self._writer = SignalWriter(
            self.home,
            "tradingview",
            clock=self.clock,
            fold=fold,
            on_stored=partial(send_nudge, self.home),
        )
        self._writer.open()
        intake = Intake(writer=self._writer, fold=fold, mapping=dict, clock=self.clock)
        config = WebhookConfig.model_validate({"token": TOKEN})
        self.door = Door(intake=intake, config=lambda: config)

    async def close_receiver(self) -> None:
        """Write the checkpoint and give the journal back."""
        if self._writer is not None:
            await self._writer.close()
            self._writer = None

    async def post(self, body: object) -> tuple[int, dict[str, Any]]:
        """Send an alert to the door; gives status and answer."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        transport = httpx.ASGITransport(app=self.door)
        async with httpx.AsyncClient(transport=transport, base_url="http://door") as client:
            answer = await client.post(f"/webhook/{TOKEN}", content=content)
        return answer.status_code, answer.json()

    async def alert(
        self, direction: str, size: str = "", *, symbol: str = BTC, **fields: object
    ) -> str:
        """Send an alert that is no copy of another; gives its id."""
        body = {"symbol": symbol, "direction": direction, "note": next(self._numbers), **fields}
        status, answer = await self.post({**body, "size": size} if size else body)
        assert status == 200, answer
        return str(answer["id"])

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
        for lane in self.engine.executor.lanes:
            for task in list(lane.desk.in_flight):
                task.cancel()
        if self._running is not None:
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
        self.server.forget_requests()

    # --- what the exchange says
    def held(self, symbol: str = BTC, account: str = "main") -> Decimal:
        """The books' size: the truth."""
        return Decimal(self.server.truth(account)["sizes"].get(symbol, "0"))

    def orders(self, account: str = "main") -> list[OnTheWire]:
        """All orders that reached the door of the exchange, taken or not, in order."""
        found: list[OnTheWire] = []
        for request in self.server.requests(account=account):
            if request.path == CREATE:
                found.append(_wire(json.loads(request.body)))
            elif request.path == BATCH:
                found += [_wire(row) for row in json.loads(request.body)["request"]]
        return found

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

    async def price_of(self, symbol: str, mark: str) -> None:
        """Wait until the engine has read this price."""
        market = self.lane().desk.market
        await self.until(lambda: market.last_price(symbol) == Decimal(mark), "the new price")

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
        return [order for row in self.rows for order in self.orders(str(row["name"]))]


@asynccontextmanager
async def stage(
    tmp_path: Path,
    *,
    accounts: Mapping[str, Mapping[str, Any]] | None = None,
    symbols: Sequence[str] = (BTC, ETH),
    server: PaperServer | None = None,
    **limits: Any,
) -> AsyncIterator[Stage]:
    """Set everything up but the engine: `await start()`; `limits` are EngineLimits' fields.

    BTC is 60,000 and ETH 3,000 USDT, an account owns 100,000: with weight 1 and leverage 3 an alert
    of 2 % is 0.1 BTC.
    """
    Home(tmp_path).make_folders()
    async with PaperServer() as own:
        own.pin(BTCUSDT="60000", ETHUSDT="3000")
        rows = [
            _account(name, server or own, changes)
            for name, changes in (accounts or {"main": {}}).items()
        ]
        here = Stage(tmp_path, server or own, rows)
        here.write("credentials.json", {"accounts": rows})
        (tmp_path / "credentials.json").chmod(0o600)
        here.write("asset_mapping_config.json", {"tradingview": {s: s for s in symbols}})
        here.write(
            "engine_config.json",
            {"engine": {"request_timeout_s": 2, **limits}, "webhook": {"token": TOKEN}},
        )
        here.weigh(*symbols)
        try:
            yield here
        finally:
            here.server.clear_faults()
            await here.stop()
            await here.close_receiver()


def _account(name: str, server: PaperServer, changes: Mapping[str, Any]) -> dict[str, Any]:
    row = {
        "name": name,
        "exchange": "bybit",
        "api_key": f"K{secrets.token_hex(8)}",  # leases of keys are the whole host's
        "api_secret": f"S{secrets.token_hex(8)}",
        "environment": "paper",
        "base_url": f"{server.url}/bybit",
        **changes,
    }
    if row["api_key"]:
        server.exchange.open_account(
            PaperAccount(
                name=name,
                exchange="bybit",
                api_key=str(row["api_key"]),
                api_secret=str(row["api_secret"]),
            )
        )
    return row


def _wire(row: Mapping[str, Any]) -> OnTheWire:
    sign = 1 if row["side"] == "Buy" else -1
    return OnTheWire(
        symbol=row["symbol"],
        size_lots=Decimal(row["qty"]) * sign,
        reduce_only=row.get("reduceOnly") is True,
        client_id=row.get("orderLinkId", ""),
        price=Decimal(row["price"]) if row.get("price") else None,
        time_in_force=row.get("timeInForce", ""),
    )


async def _nothing() -> None:
    return None
