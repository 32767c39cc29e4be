"""Small servers on 127.0.0.1 that speak as SN8 validators do, or as nobody should.

Only what the tests of our SN8 clients need; positions are any JSON objects.
"""

import asyncio
import gzip
import json
import selectors
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Literal, TypeVar

from aiohttp import WSMsgType, web
from pydantic import SecretStr

from signal_processors.bittensor_access import Access, AuthStyle
from tests.virtual_time import EPOCH_MS

T = TypeVar("T")
KEY = "Sn8+Key/Of-Ours=42"
SERVER_AHEAD_MS = 1_234
PAYLOAD = {"5Miner": {"positions": [], "n_positions": 0}}

Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
Talk = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]  # gets the request's head


def access(
    endpoint: str = "http://127.0.0.1:1",
    *,
    key: str = KEY,
    websocket: str | None = None,
    auth_style: AuthStyle = "bearer",
    tier: int = 100,
) -> Access:
    return Access(
        endpoint=endpoint,
        websocket=websocket,
        api_key=SecretStr(key),
        auth_style=auth_style,
        tier=tier,
    )


def packed(value: object, *, mtime: int = 0) -> bytes:
    return gzip.compress(json.dumps(value).encode(), mtime=mtime)


def gzipped(body: bytes) -> web.Response:
    return web.Response(body=body, headers={"Content-Encoding": "gzip"})


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[str]:
    """Serve one answer at every path; gives the base of the address."""
    server = web.Server(answer, access_log=None)
    runner = web.ServerRunner(server, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def talking(talk: Talk) -> AsyncIterator[str]:
    """Serve bytes that need not be HTTP; the connection closes when `talk` returns."""
    under_way: set[asyncio.Task[None]] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        under_way.add(task)
        try:
            await talk(await reader.readuntil(b"\r\n\r\n"), writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has had enough
        finally:
            writer.close()
            under_way.discard(task)

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)


class Validator:
    """The websocket of a validator, older (`ptn`) or newer (`vn`)."""

    def __init__(self, dialect: Literal["ptn", "vn"] = "ptn", *, tier: int = 100) -> None:
        self.dialect = dialect
        self.tier = tier
        self.is_mute = False  # says nothing more, whatever it is asked
        self.is_confirming = True  # answers a subscription
        self.upgrades: list[web.BaseRequest] = []
        self.frames: list[dict[str, Any]] = []
        self.arrived_at_s: list[float] = []
        self.sockets: list[web.WebSocketResponse] = []  # those that are open
        self.sequence = 700 if dialect == "ptn" else -1
        self._subscribed = asyncio.Condition()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve one connection to its end."""
        self.arrived_at_s.append(asyncio.get_running_loop().time())
        self.upgrades.append(request)
        socket = web.WebSocketResponse(timeout=1)
        await socket.prepare(request)
        key = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.dialect == "ptn":
            self.frames.append(json.loads(await socket.receive_str()))
            key = self.frames[-1].get("api_key", "")
        else:
            self.sequence = -1
        if not await self._is_let_in(socket, key):
            await socket.close()
            return socket
        self.sockets.append(socket)
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await self._hear(socket, json.loads(message.data))
        finally:
            self.sockets.remove(socket)
        return socket

    async def subscribed(self, count: int = 1) -> None:
        """Wait until so many connections have subscribed since the start."""
        async with self._subscribed:
            await self._subscribed.wait_for(lambda: self.subscriptions >= count)

    @property
    def subscriptions(self) -> int:
        return sum(frame.get("type") == "subscribe" for frame in self.frames)

    def numbered(self, position: object, *, sequence: int | None = None) -> dict[str, Any]:
        """Make a message with the next number, or the number given."""
        self.sequence = self.sequence + 1 if sequence is None else sequence
        return {
            "sequence": self.sequence,
            "timestamp": EPOCH_MS,
            "data": {"position": position, "miner_repo_version": "8.8.9"},
        }

    async def say(self, value: object) -> None:
        """Send a JSON frame to the newest connection."""
        await self.sockets[-1].send_str(value if isinstance(value, str) else json.dumps(value))

    async def push(self, position: object, *, sequence: int | None = None) -> None:
        await self.say(self.numbered(position, sequence=sequence))

    def break_off(self) -> None:
        """Cut the newest connection without a word."""
        request = self.upgrades[-1]
        assert request.transport is not None
        request.transport.abort()

    async def _is_let_in(self, socket: web.WebSocketResponse, key: str) -> bool:
        said: dict[str, object] = {"status": "success", "message": "Authentication successful."}
        if key != KEY:
            text = "Invalid API key. Authentication failed."
            said = {"status": "error", "message": text}
        elif self.tier < 100:
            text = "WebSocket connections require tier 100 access."
            said = {"status": "error", "message": text, "code": "INSUFFICIENT_TIER"}
        else:
            said |= {"current_sequence": max(self.sequence, 0), "tier": self.tier}
        await socket.send_json(said)
        return said["status"] == "success"

    async def _hear(self, socket: web.WebSocketResponse, frame: dict[str, Any]) -> None:
        self.frames.append(frame)
        if frame.get("type") == "ping" and not self.is_mute:
            client_ms = frame["timestamp"]
            pong = {"client_timestamp": client_ms, "server_timestamp": client_ms + SERVER_AHEAD_MS}
            await socket.send_json({"type": "pong", **pong})
        elif frame.get("type") == "subscribe" and frame.get("all") is True:
            if self.is_confirming:
                reply = {"type": "subscription_status", "status": "success", "action": "subscribe"}
                await socket.send_json({**reply, "sender_timestamp": frame["sender_timestamp"]})
            async with self._subscribed:
                self._subscribed.notify_all()


class _PatientSelector(selectors.DefaultSelector):
    """Gives a busy kernel a moment to carry bytes over the loopback before time jumps."""

    virtual_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0 if timeout == 0 else 0.005)
        if not ready and timeout is not None:
            self.virtual_s += max(timeout, 0)
        return ready


class _PatientLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._patient = _PatientSelector()
        super().__init__(self._patient)

    def time(self) -> float:
        return self._patient.virtual_s


def run_with_sockets(work: Coroutine[Any, Any, T]) -> T:
    """Run on virtual time with real sockets."""
    with asyncio.Runner(loop_factory=_PatientLoop) as runner:
        return runner.run(work)
