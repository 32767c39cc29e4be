"""A small quiet validator on a clock that tests turn, and plain clients of it."""

import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson

from paper_exchange.server import PaperServer
from paper_exchange.sn8.options import Sn8Options
from tests.paper.clients import StoppedClock

KEY = "full-key"
BEARER = {"Authorization": f"Bearer {KEY}"}
Socket = aiohttp.ClientWebSocketResponse
SUBSCRIBE = {"type": "subscribe", "all": True, "sender_timestamp": 77}


class Answer:
    """What came back: status, headers, the body as it was on the wire."""

    def __init__(self, status: int, headers: Any, raw: bytes) -> None:
        self.status, self.headers, self.raw = status, headers, raw

    @property
    def body(self) -> bytes:
        is_packed = self.headers.get("Content-Encoding") == "gzip"
        return gzip.decompress(self.raw) if is_packed else self.raw

    def json(self) -> Any:
        return orjson.loads(self.body)


class Bench:
    """A running server with its clock and an HTTP session that unpacks nothing."""

    def __init__(
        self, server: PaperServer, clock: StoppedClock, http: aiohttp.ClientSession
    ) -> None:
        self.server, self.clock, self.http = server, clock, http
        self.sn8 = server.sn8

    async def get(self, path: str, **options: Any) -> Answer:
        options.setdefault("headers", BEARER)
        async with self.http.get(f"{self.server.url}/sn8{path}", **options) as answer:
            return Answer(answer.status, answer.headers, await answer.read())

    async def post(self, body: Any) -> Answer:
        async with self.http.post(f"{self.server.url}/control/sn8", json=body) as answer:
            return Answer(answer.status, answer.headers, await answer.read())

    async def positions(self, tier: int = 100) -> dict[str, Any]:
        answer = await self.get(f"/miner-positions?tier={tier}")
        assert answer.status == 200, answer.raw
        found: dict[str, Any] = answer.json()
        return found

    async def nets(self, index: int = 0) -> dict[str, float]:
        """Give a miner's leverage by pair, as the file shows it."""
        miner = (await self.positions())[self.sn8.hotkeys[index]]
        rows = [row for row in miner["positions"] if not row["is_closed_position"]]
        return {row["trade_pair"][0]: row["net_leverage"] for row in rows}


@asynccontextmanager
async def bench(home: Any = None, token: str = "", **options: Any) -> AsyncIterator[Bench]:
    """Start a validator of eight miners that trade only when told."""
    clock = StoppedClock()
    chosen = Sn8Options(**({"seed": 1, "miners": 8, "change_every_s": 0.0} | options))
    async with (
        PaperServer(clock=clock, sn8=chosen, home=home, token=token) as server,
        aiohttp.ClientSession(auto_decompress=False) as http,
    ):
        yield Bench(server, clock, http)


@asynccontextmanager
async def listening(b: Bench, key: str = KEY) -> AsyncIterator[Socket]:
    """Come in with header and frame, as one client for both dialects does, and subscribe."""
    headers = {"Authorization": f"Bearer {key}"}
    async with b.http.ws_connect(f"{b.server.url}/sn8/ws", headers=headers) as socket:
        await socket.send_json({"api_key": key, "last_sequence": -1})
        welcome = await receive(socket)
        assert welcome["status"] == "success", welcome
        await socket.send_json(SUBSCRIBE)
        assert (await receive(socket))["type"] == "subscription_status"
        yield socket


async def receive(socket: Socket) -> Any:
    return await socket.receive_json(timeout=5)


async def closing(socket: Socket) -> int | None:
    """Wait for the end, whatever comes before it; give the close code."""
    while not socket.closed:
        await socket.receive(timeout=5)
    return socket.close_code
