"""The SN8 service as it runs, against the simulated validator: real files, HTTP and websocket.

Only its longest waits are shortened. What it publishes is read as the engine reads it.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from typing import Any

import pytest

from core.clock import SystemClock
from core.events import Events
from core.home import Home
from core.nudge import NudgeReceiver
from core.process.service import Service
from core.process.service_status import read_status, replace_status
from core.process.supervisor import Supervisor
from core.signal_manager import SignalManager
from core.source_reader import SourceReader
from paper_exchange.server import PaperServer
from paper_exchange.sn8.options import Sn8Options
from signal_processors import bittensor_following
from signal_processors.bittensor_config import FILE
from signal_processors.bittensor_service import PAPER, follow_sn8
from tests.engine.harness import MemoryLog

KEY = "a-key-of-the-tests"
STOPS_WITHIN_S = 2.0
SOON_S = 10.0
QUIET_S = 2.5  # longer than between two polls where the websocket is not trusted
TARGETS = {"BTCUSD": "BTCUSDT", "ETHUSD": "ETHUSDT"}
QUICK: Mapping[str, Any] = {
    "publishing": {"slew_per_minute": 10, "min_publish_change": 0.001},
    "fetching": {"poll_interval_s": 2, "poll_interval_with_push_s": 300},
}


class House:
    """One home with its service and whoever reads what that publishes."""

    def __init__(self, home: Home, server: PaperServer) -> None:
        self.home = home
        self.server = server
        self.sn8 = server.sn8
        self.nudges = NudgeReceiver(home)
        self.reader = SourceReader(home, "bittensor", is_level=True)
        clock = SystemClock()
        self.manager = SignalManager(home, [self.reader], clock, Events(MemoryLog(), clock))
        self.service = Service("bittensor-signals", home, Supervisor(None))
        self._running: asyncio.Task[None] | None = None

    @property
    def running(self) -> asyncio.Task[None]:
        """The service's body."""
        assert self._running is not None
        return self._running

    def start(self) -> None:
        self.service = Service("bittensor-signals", self.home, Supervisor(None))
        self._running = asyncio.create_task(follow_sn8(self.service))

    async def stop(self) -> float:
        """End it as PM2 does; gives the seconds that took, and raises what it ended by."""
        running, self._running = self._running, None
        if running is None:
            return 0.0
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        self.service.stopping.set()
        await asyncio.wait_for(running, SOON_S)
        return loop.time() - began_s

    async def until(self, holds: Callable[[], bool], what: str = "it") -> None:
        """Look again and again until something is so."""
        loop = asyncio.get_running_loop()
        end_s = loop.time() + SOON_S
        while not holds():
            assert self._running is None or not self._running.done(), self._running
            assert loop.time() < end_s, f"{what} never came to be: {self.status()}"
            await self.nudges.wait(0.01)

    # --- what it is given
    def put_key(self, **changes: Any) -> None:
        row = {"api_key": KEY, "environment": "paper", **changes}
        self.home.credentials.write_text(json.dumps({"bittensor_sn8": row, "accounts": []}))
        self.home.credentials.chmod(0o600)

    def put_config(self, *, ranking: str = "risk_adjusted", **groups: Mapping[str, Any]) -> None:
        """Save the settings, those of `QUICK` where nothing else is said."""
        document = {"ranking": ranking, **QUICK}
        for name, group in groups.items():
            document[name] = {**QUICK.get(name, {}), **group}
        self.put_config_text(json.dumps(document))

    def put_config_text(self, text: str) -> None:
        """Save the settings as an editor does that replaces the file."""
        fresh = self.home.root / f"{FILE}.new"
        fresh.write_text(text)
        fresh.replace(self.home.root / FILE)

    def put_paper(self) -> None:
        replace_status(self.home, PAPER, {"url": self.server.url})

    def hold(self, net: float, pair: str = "BTCUSD") -> None:
        """Have all miners hold this much of a pair."""
        for hotkey in self.sn8.hotkeys:
            self.sn8.set_position(pair, net, hotkey=hotkey)

    # --- what is seen of it
    def status(self) -> dict[str, Any]:
        return read_status(self.home, "bittensor-signals")

    def ranking(self) -> str:
        """Name the ranking in force; "" = nobody was ranked yet."""
        return str((self.status().get("ranking") or {}).get("name", ""))

    def problems(self) -> str:
        """Give all words of the problems that are told."""
        return json.dumps(self.status().get("problems", []))

    def depths(self) -> dict[str, Decimal]:
        """Give what the engine sees now."""
        self.manager.sweep()
        newest = self.manager.previous_signals["bittensor"]
        return {pair: signal.depth for pair, signal in newest.items()}

    def lines(self) -> list[dict[str, Any]]:
        """Give every line of the journal."""
        paths = sorted((self.home.raw_signals / "bittensor").glob("*.jsonl"))
        return [json.loads(line) for path in paths for line in path.read_text().splitlines()]

    def weights(self) -> dict[str, Decimal]:
        """Give the weights that are in force, as the newest signal of BTCUSD tells them."""
        self.manager.sweep()
        signal = self.manager.previous_signals["bittensor"].get("BTCUSD")
        rows = [] if signal is None else signal.meta["miners"]
        return {row["hotkey"]: Decimal(row["weight"]) for row in rows}

    def expected(self, pair: str = "BTCUSD", limit: str = "0.5") -> Decimal:
        """Add up what the followed miners really hold."""
        total, one = Decimal(0), Decimal(1)
        for hotkey, weight in self.weights().items():
            share = Decimal(str(self.sn8.held(pair, hotkey=hotkey))) / Decimal(limit)
            total += weight * max(-one, min(one, share))
        return total

    def is_in_step(self) -> bool:
        """Tell whether the published depth of BTCUSD is what the followed miners hold."""
        return self.is_in_step_at("0.5")

    def is_in_step_at(self, limit: str) -> bool:
        """Tell the same under another limit."""
        depth = self.depths().get("BTCUSD", Decimal(0))
        return abs(depth - self.expected("BTCUSD", limit)) < Decimal("0.0015")

    async def settle(self, net: float = 0.25) -> None:
        """Start, and wait until what all miners hold is published."""
        self.hold(net)
        self.sn8.rebuild()
        self.start()
        await self.until(lambda: self.depths().get("BTCUSD", 0) != 0, "the first depth")
        await self.until(lambda: self.status().get("push", {}).get("live") is True, "push")
        await self.until(self.is_in_step, "the depth")

    async def look(self) -> None:
        """Have it read a snapshot now, and wait until that was answered."""
        before = len(self.sn8.requests("/miner-positions"))
        self.sn8.garbage()
        await self.until(lambda: len(self.sn8.requests("/miner-positions")) > before, "a look")

    async def quiet(self) -> None:
        """Wait until it trusts the websocket alone: no snapshot is asked for between."""
        loop = asyncio.get_running_loop()
        seen, since_s = -1, loop.time()

        def is_quiet() -> bool:
            nonlocal seen, since_s
            count = len(self.sn8.requests("/miner-positions"))
            if count != seen:
                seen, since_s = count, loop.time()
            return loop.time() - since_s > QUIET_S

        await self.until(is_quiet, "quiet")


@asynccontextmanager
async def house(
    home: Home, monkeypatch: pytest.MonkeyPatch, *, settled_ms: int = 0, **options: Any
) -> AsyncIterator[House]:
    """Make a home with a key, and a validator of twelve miners that trade when told.

    So long after a gap the websocket is trusted again.
    """
    monkeypatch.setattr(bittensor_following, "SETTLED_MS", settled_ms)
    monkeypatch.setattr(bittensor_following, "RETRY_MAX_S", 0.1)
    monkeypatch.setattr(bittensor_following, "TICK_S", 0.05)
    monkeypatch.setattr(bittensor_following, "REST_S", 0.05)
    monkeypatch.setattr(bittensor_following, "GAP_REST_S", 0.05)
    chosen = {"seed": 1, "miners": 12, "change_every_s": 0.0, "rebuild_every_s": 0.2, **options}
    async with PaperServer(sn8=Sn8Options(**chosen)) as server:
        made = House(home, server)
        made.put_key()
        made.put_config()
        made.put_paper()
        home.asset_mapping.write_text(json.dumps({"bittensor": TARGETS}))
        async with made.nudges:
            try:
                yield made
            finally:
                with suppress(TimeoutError):
                    assert await made.stop() < STOPS_WITHIN_S
