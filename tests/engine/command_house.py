"""The whole program but PM2 on virtual time: the living engine, and commands that take its place.

Engine, lanes, files, ccxt and the venues' wires are the real ones. The journal is written without
its thread and fsync (a virtual clock would run away from them), HTTP is `in_process.Session`.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from account_processors.transport.market import Transport
from commands import opened_accounts, wiring
from commands.engine_world import RealWorld
from commands.flattens import waiting as flattening
from commands.flattens.waiting import Outcome
from commands.wiring import run_engine
from core.clock import utc_day
from core.control import EVERYTHING, Scope
from core.control.file import set_mode
from core.home import Home
from core.journal.files import encode_rows, journal_name
from core.model import Mode, Signal
from core.nudge import send_nudge
from core.ports import Clock
from core.process.lease import Lease, lock_now
from core.process.service import Service
from core.process.service_status import replace_status
from core.settings import AccountConfig
from core.store import atomic_write_json
from paper_exchange import book
from paper_exchange.account import EVERY_SYMBOL, AccountState
from paper_exchange.accounts import PaperAccount
from paper_exchange.orders import Ticket
from paper_exchange.pipeline import SeenRequest
from paper_exchange.prices import FixedPrices
from paper_exchange.server import PaperServer
from tests.engine.in_process import BASE_URL, InProcessPool, Session
from tests.venues import WORDS, OnTheWire
from tests.virtual_time import VirtualClock

ENGINE_ID = "abcde"
ROUND_TRIP_S = 0.05
SYMBOLS = ("BTCUSDT", "ETHUSDT", "DOGEUSDT")


def key_of(account: str) -> str:
    """Give an account's API key: no word that anybody says, as keys are masked from then on."""
    return f"k3y-of-{account}"


def secret_of(account: str) -> str:
    """Give an account's secret."""
    return f"s3cret-of-{account}"


class PlainLog:
    """Appends rows to the day's file at once."""

    def __init__(self, folder: Path, prefix: str, clock: Clock, disk_s: float) -> None:
        self._folder, self._prefix, self._clock = folder, prefix, clock
        self._disk_s = disk_s

    async def commit(self, rows: Sequence[Mapping[str, Any]]) -> None:
        await asyncio.sleep(self._disk_s)
        path = self._folder / journal_name(self._prefix, utc_day(self._clock.now_ms()))
        with path.open("ab") as file:
            file.write(encode_rows(rows))

    async def close(self) -> None:
        """Nothing waits."""


class PlainWorld(RealWorld):
    """The real world, but for what costs a thread or belongs to the whole host."""

    def __init__(self, home: Home, *, disk_s: float) -> None:
        super().__init__(home)
        self._disk_s = disk_s

    def log(self, prefix: str, clock: Clock) -> PlainLog:
        return PlainLog(self.home.state, prefix, clock, self._disk_s)

    def lease(self, account: AccountConfig) -> Lease | None:
        del account
        return None


class CommandHouse:
    """One home with accounts by name, and the exchange that they trade on."""

    def __init__(
        self, folder: Path, accounts: Mapping[str, str], *, disk_s: float = 0.0003, **row: Any
    ) -> None:
        self.home = Home(folder)
        self.home.make_folders()
        self.clock = VirtualClock()
        self.disk_s = disk_s
        self.venues = dict(accounts)
        self._write_configuration(row)
        self.server = PaperServer(
            accounts=[_paper(name, venue) for name, venue in accounts.items()],
            prices=FixedPrices(prices={}),
            clock=self.clock,
        )
        self.session = Session(self.server, lambda _: ROUND_TRIP_S)
        self.session.keys = frozenset(key_of(name) for name in accounts)
        self._signals = 0
        self._life: asyncio.Task[None] | None = None
        self._service: Any = None

    # --- the living engine
    async def start(self) -> None:
        """Let an engine live, under its lock, until `stop`."""
        self._service = SimpleNamespace(
            home=self.home,
            stopping=asyncio.Event(),
            ended_uncleanly=False,
            ready=partial(asyncio.sleep, 0),
            write_status=self._write_status,
        )
        self._life = asyncio.create_task(self._live())
        await asyncio.sleep(0)

    async def _live(self) -> None:
        with lock_now(self.home.state / "trade-engine.lock", "trade-engine"):
            await run_engine(cast("Service", self._service))

    def _write_status(self, part: Mapping[str, Any]) -> None:
        heard_at_ms = time.time_ns() // 1_000_000  # commands look at the wall for this
        replace_status(self.home, "trade-engine", {**part, "refreshed_at_ms": heard_at_ms})

    async def stop(self) -> None:
        """End the engine as SIGTERM would; its orders land first."""
        if self._life is None:
            return
        self._service.stopping.set()
        await self._life
        self._life = None

    async def close(self) -> None:
        """End everything."""
        self.server.clear_faults()
        await self.stop()
        await self.session.close()

    # --- what people do
    def say(self, **shares: Decimal | str) -> None:
        """Append one signal a symbol: signed shares of equity, before leverage."""
        now_ms = self.clock.now_ms()
        rows = []
        for symbol, depth in shares.items():
            self._signals += 1
            signal = Signal(
                id=f"s{self._signals}",
                source="tradingview",
                source_symbol=symbol,
                symbol=symbol,
                depth=Decimal(depth),
                leverage=None,
                price=None,
                fired_at_ms=now_ms,
                received_at_ms=now_ms,
                sequence=self._signals,
                strategy="",
                status="accepted",
                reason="",
                meta={},
            )
            rows.append(signal.to_row())
        folder = self.home.raw_signals / "tradingview"
        folder.mkdir(exist_ok=True)
        with (folder / journal_name("", utc_day(now_ms))).open("ab") as file:
            file.write(encode_rows(rows))
        send_nudge(self.home)

    def decide(self, mode: Mode, scope: Scope = EVERYTHING) -> str:
        """Write a decision as the commands do; gives its id."""
        control = set_mode(self.home, scope, mode, who="test", now_ms=self.clock.now_ms())
        send_nudge(self.home)
        entry = control.mode_of(scope)
        return "" if entry is None else entry.id

    async def flatten(self, scope: Scope = EVERYTHING, *, wait_s: float = 120) -> Outcome:
        """Do what the command does between its question and its answer."""
        flatten_id = self.decide(Mode.FLATTEN, scope)
        return await flattening.flatten_and_look(self.home, scope, flatten_id, wait_s=wait_s)

    # --- what the exchange knows
    def state(self, account: str) -> AccountState:
        """An account's books now."""
        return self.server.exchange.state(self.server.account(account), self.clock.now_ms())

    def sizes(self, account: str) -> dict[tuple[str, int], Decimal]:
        """Signed lots by symbol and side, as the books have them; flat ones are absent."""
        rows = self.state(account).positions.values()
        return {(row.symbol, row.side_index): row.size_lots for row in rows}

    def lots(self, account: str, symbol: str, base: str) -> Decimal:
        """Base coins in lots of the account's venue."""
        return WORDS[self.venues[account]].lots(symbol, base)

    def place_directly(self, account: str, ticket: Ticket, order_id: str) -> None:
        """Put an order into the books without a request."""
        exchange, paper = self.server.exchange, self.server.account(account)
        at_ms = self.clock.now_ms()
        board = exchange.board(paper.exchange, at_ms)
        state = exchange.state(paper, at_ms)
        after = book.place(state, board, ticket, order_id=order_id, at_ms=at_ms)
        exchange.change(paper.id, after, at_ms)

    def hedge(self, account: str) -> None:
        """Switch an account that is flat to hedge mode."""
        exchange, paper = self.server.exchange, self.server.account(account)
        at_ms = self.clock.now_ms()
        after = replace(exchange.state(paper, at_ms), hedged={EVERY_SYMBOL: True})
        exchange.change(paper.id, after, at_ms)

    def sent(self, account: str) -> Iterator[tuple[SeenRequest, OnTheWire]]:
        """Every order that reached the exchange, with its request."""
        words = WORDS[self.venues[account]]
        for request in self.server.requests(account=account):
            for order in words.on_the_wire(request):
                yield request, order

    def _write_configuration(self, changes: Mapping[str, Any]) -> None:
        rows = [
            {
                "name": name,
                "exchange": venue,
                "api_key": key_of(name),
                "api_secret": secret_of(name),
                "api_passphrase": WORDS[venue].passphrase,
                "environment": "paper",
                "base_url": f"{BASE_URL}/{venue}",
                **changes,
            }
            for name, venue in self.venues.items()
        ]
        home = self.home
        atomic_write_json(home.credentials, {"accounts": rows})
        home.credentials.chmod(0o600)
        atomic_write_json(home.state / "engine.json", {"engine_id": ENGINE_ID})
        atomic_write_json(home.asset_mapping, {"tradingview": {s: s for s in SYMBOLS}})
        sources = [{"source": "tradingview", "weight": 1}]
        weights = [{"symbol": s, "leverage": 3, "sources": sources} for s in SYMBOLS]
        atomic_write_json(home.signal_weights, weights)


def _paper(name: str, venue: str) -> PaperAccount:
    return PaperAccount(
        name=name,
        exchange=venue,
        api_key=key_of(name),
        api_secret=secret_of(name),
        api_passphrase=WORDS[venue].passphrase,
    )


@contextmanager
def on_virtual_time(house: CommandHouse) -> Iterator[None]:
    """Give every engine of this process the virtual clock and the exchange without sockets."""
    transport = partial(Transport, pool=InProcessPool(house.session))
    with pytest.MonkeyPatch.context() as patch:
        for module in (wiring, opened_accounts):
            patch.setattr(module, "Transport", transport)
            patch.setattr(module, "SteadyClock", VirtualClock)
        patch.setattr(wiring, "SystemClock", VirtualClock)
        patch.setattr(wiring, "RealWorld", partial(PlainWorld, disk_s=house.disk_s))
        yield
