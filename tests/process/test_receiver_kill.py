"""The real receiver process, killed at random moments under load: what it acknowledged stays."""

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from core.clock import utc_day
from core.home import CHECKOUT, HOME_VARIABLE, Home
from core.journal import Journal, JournalTail, journal_names
from core.nudge import NudgeReceiver
from core.process.service_status import read_status
from core.source_reader import SourceReader

pytestmark = pytest.mark.process

NAME = "tradingview-endpoint"
ENTRY = CHECKOUT / "signal_processors" / "tradingview_endpoint.py"
TOKEN = "t0k3n-of-the-tests"
KILLS = 10
CLIENTS = 8


@asynccontextmanager
async def receiver(home: Home) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """Start the endpoint as PM2 does, from another folder, and wait until it is ready."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    log = home.root / "endpoint.log"
    with log.open("ab") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(ENTRY),
            cwd="/",
            env=environment | {HOME_VARIABLE: str(home.root)},
            stdout=out,
            stderr=out,
        )
    try:
        yield process, await _ready_url(home, process, log)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _ready_url(home: Home, process: asyncio.subprocess.Process, log: Path) -> str:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        status = read_status(home, NAME)
        if status.get("pid") == process.pid and status.get("ready"):
            return str(status["url"])
        assert process.returncode is None, _text(log)
        await asyncio.sleep(0.01)
    raise AssertionError(f"not ready: {_text(log)}")


def _text(path: Path) -> str:
    return path.read_text()


@pytest.fixture
def configured(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    home.make_folders()
    config = {"webhook": {"port": 0, "token": TOKEN}}
    home.engine_config.write_bytes(orjson.dumps(config))
    home.engine_config.chmod(0o600)
    home.asset_mapping.write_bytes(orjson.dumps({"tradingview": {"S1": "BTCUSDT"}}))
    return home


class Acknowledged:
    """The ids of alerts that were answered 200."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.goal = 0
        self.reached = asyncio.Event()

    def add(self, signal_id: str) -> None:
        self.ids.append(signal_id)
        if len(self.ids) >= self.goal:
            self.reached.set()

    async def more(self, count: int) -> None:
        """Wait until there are `count` more of them."""
        self.goal = len(self.ids) + count
        self.reached.clear()
        async with asyncio.timeout(10):
            await self.reached.wait()


async def send_until_killed(url: str, numbers: Any, acknowledged: Acknowledged) -> None:
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        with suppress(httpx.TransportError):
            while True:
                n = next(numbers)
                alert = {
                    "symbol": f"S{n % 7}",
                    "direction": "long",
                    "size": f"{n % 99 + 1}",
                    "event_id": str(n),
                    "signal_seq": n,
                }
                response = await client.post(f"/webhook/{TOKEN}", json=alert)
                assert response.status_code == 200, response.text
                acknowledged.add(response.json()["id"])


async def test_sigkill_at_any_moment_loses_no_acknowledged_alert(configured: Home) -> None:
    chance = random.Random(20)
    numbers = iter(range(1, 10**9))
    acknowledged = Acknowledged()
    for _ in range(KILLS):
        async with receiver(configured) as (process, url):
            clients = [
                asyncio.create_task(send_until_killed(url, numbers, acknowledged))
                for _ in range(CLIENTS)
            ]
            await acknowledged.more(chance.randint(1, 60))
            await asyncio.sleep(chance.uniform(0, 0.004))  # somewhere within the next flush
            process.kill()
            await asyncio.gather(*clients)
            await process.wait()
    async with receiver(configured) as (process, _):
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0

    tail = JournalTail(configured.raw_signals / "tradingview")
    rows = tail.read_new()
    stored = [row["id"] for row in rows]
    assert len(acknowledged.ids) >= KILLS
    assert set(acknowledged.ids) <= set(stored)
    assert len(stored) == len(set(stored))
    newest = {row["source_symbol"]: row["id"] for row in rows if row["status"] == "accepted"}
    seen = SourceReader(configured, "tradingview").sweep()
    assert seen is not None
    assert {symbol: row.id for symbol, row in seen.items()} == newest


async def test_the_process_nudges_stops_cleanly_and_says_how_it_stands(configured: Home) -> None:
    async with NudgeReceiver(configured) as nudges, receiver(configured) as (process, url):
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
            alert = {"symbol": "S1", "direction": "flat"}
            response = await client.post(f"/webhook/{TOKEN}", json=alert)
            assert response.json()["warnings"] == []
            assert await nudges.wait(10)
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0

    status = read_status(configured, NAME)
    assert (status["accepted"], status["ready"]) == (1, False)
    everything = [
        path.read_bytes()
        for path in configured.root.rglob("*")
        if path.is_file() and path.name != "engine_config.json"
    ]
    assert not any(TOKEN.encode() in content for content in everything)


async def test_without_a_token_the_process_says_how_to_make_one(configured: Home) -> None:
    configured.engine_config.write_bytes(orjson.dumps({"webhook": {"port": 0}}))
    async with receiver(configured) as (_, url):
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
            alert = {"symbol": "S1", "direction": "flat"}
            assert (await client.post("/webhook/", json=alert)).status_code == 401
            assert (await client.get("/ping")).json() == {"ping": "pong"}

        assert "trade-engine up" in read_status(configured, NAME)["problems"][0]


async def test_the_receiver_compresses_what_is_older_than_its_source_says(
    configured: Home,
) -> None:
    folder = configured.raw_signals / "tradingview"
    old, recent = (int(time.time() * 1000) - days * 86_400_000 for days in (62, 58))
    for at_ms in (old, recent):
        Journal(folder).append_sync([{"status": "rejected"}], at_ms=at_ms)
    deadline = time.monotonic() + 10
    async with receiver(configured):
        while time.monotonic() < deadline:
            if len(journal_names(folder)) == 1:
                break
            await asyncio.sleep(0.01)

    assert journal_names(folder) == [f"{utc_day(recent)}.jsonl"]
    assert (folder / f"{utc_day(old)}.jsonl.gz").exists()
