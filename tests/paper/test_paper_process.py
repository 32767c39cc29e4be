"""The server as a process of its own: started from anywhere, killed at any moment."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import aiohttp
import ccxt
import orjson
import pytest

from core.home import CHECKOUT
from paper_exchange.server import PaperServer
from tests.paper.clients import ETH, MAIN, plain_client

SERVER = CHECKOUT / "paper_exchange" / "server.py"
Process = asyncio.subprocess.Process


class At:
    """What a client needs to know of a server elsewhere."""

    def __init__(self, url: str) -> None:
        self.url = url


@asynccontextmanager
async def running(home: Path, elsewhere: Path) -> AsyncIterator[tuple[Process, PaperServer]]:
    """Start the server; whatever happened to it, it is gone afterwards."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(SERVER),
        *("--port", "0", "--home", str(home)),
        cwd=elsewhere,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        assert process.stdout
        url = (await process.stdout.readline()).decode().strip()
        yield process, cast("PaperServer", At(url))
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def give_credentials(home: Path) -> None:
    row = {
        "name": MAIN.name,
        "exchange": "bybit",
        "environment": "paper",
        "enabled": True,
        "api_key": MAIN.api_key,
        "api_secret": MAIN.api_secret,
    }
    (home / "credentials.json").write_bytes(orjson.dumps({"accounts": [row]}))


async def test_its_url_is_its_first_line_and_it_stops_cleanly(tmp_path: Path) -> None:
    async with running(tmp_path / "home", tmp_path) as (process, server):
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"{server.url}/control/ping") as answer,
        ):
            assert await answer.json() == {"ping": "pong"}
        assert process.stdout
        assert b"any key" in await process.stdout.readline()
        process.send_signal(signal.SIGTERM)

        assert await process.wait() == 0


@pytest.mark.parametrize("round_", range(3))
async def test_an_acknowledged_order_survives_sigkill(tmp_path: Path, round_: int) -> None:
    home = tmp_path / "home"
    home.mkdir()
    give_credentials(home)
    acknowledged: list[str] = []
    answered = asyncio.Semaphore(0)
    async with running(home, tmp_path) as (process, server), plain_client(server) as client:
        await client.load_markets()

        async def order(number: int) -> None:
            client_id = f"te{number}"
            try:
                await client.create_order(
                    ETH, "market", "buy", 0.01, None, {"clientOrderId": client_id}
                )
            except ccxt.NetworkError:
                return
            acknowledged.append(client_id)
            answered.release()

        orders = [asyncio.create_task(order(number)) for number in range(9)]
        for _ in range(1 + 3 * round_):
            await answered.acquire()
        process.kill()
        await asyncio.gather(*orders)

    assert acknowledged
    async with running(home, tmp_path) as (_, server), plain_client(server) as client:
        [position] = await client.fetch_positions()
        for client_id in acknowledged:
            [found] = await client.fetch_open_orders(ETH, params={"orderLinkId": client_id})
            assert found["status"] == "closed"

    assert position["contracts"] >= 0.01 * len(acknowledged) - 1e-9
