"""A chain for tests: subnets in memory below the real client, and endpoints that fail on loopback.

The numbers are invented; what a true node's answer decodes to cannot be had without one.
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.server import ServerConnection, serve

from signal_processors.bittensor_chain import Limits

BLOCK = 6_000_000
QUICK = Limits(answer_s=0.5, close_s=0.2)
Hook = Callable[[], Awaitable[None]]


async def at_once() -> None:
    pass


async def hang() -> None:
    await asyncio.Event().wait()


@dataclass(kw_only=True)
class FakeSubstrate:
    """As much of a substrate as reading a metagraph needs; bt.Client takes any."""

    graphs: Mapping[int, dict[str, Any]] = field(default_factory=dict)
    on_connect: Hook = at_once
    on_answer: Hook = at_once
    on_close: Hook = at_once
    calls: list[str] = field(default_factory=list)
    token_symbols: dict[int, str] = field(default_factory=dict)

    async def connect(self) -> None:
        self.calls.append("connect")
        await self.on_connect()

    async def close(self) -> None:
        self.calls.append("close")
        await self.on_close()

    async def block_number(self) -> int:
        return BLOCK

    async def block_hash(self, block: int | None = None) -> str:
        return f"0x{block}"

    async def runtime_call(
        self, api: str, method: str, params: list[int], block_hash: str | None = None
    ) -> Any:
        self.calls.append(method)
        await self.on_answer()
        return self.graphs.get(params[0])


def subnet(count: int = 256, **columns: Any) -> dict[str, Any]:
    """A subnet as the runtime gives it; uid 0 is a validator, uid 1 the owner's."""
    uids = range(count)
    return {
        "netuid": 8,
        "block": BLOCK,
        "tempo": 360,
        "last_step": BLOCK - 10,
        "blocks_since_last_step": 10,
        "owner_hotkey": "owner",
        "owner_coldkey": "owners-cold",
        "network_registered_at": 1_000_000,
        "hotkeys": ["owner" if uid == 1 else f"hot{uid}" for uid in uids],
        "coldkeys": [f"cold{uid // 2}" for uid in uids],
        "validator_permit": [uid == 0 for uid in uids],
        "block_at_registration": [BLOCK - 100 * (uid + 1) for uid in uids],
        "incentives": [uid + 1 for uid in uids],
        **columns,
    }


def chain_threads() -> list[threading.Thread]:
    """Threads that a read of the chain still has."""
    return [thread for thread in threading.enumerate() if thread.name == "chain"]


def left_threads(limit_s: float) -> list[threading.Thread]:
    """Those that do not end within `limit_s` each."""
    for thread in chain_threads():
        thread.join(limit_s)
    return chain_threads()


@dataclass
class Endpoint:
    """A server on loopback; `left` is set while no connection is open."""

    url: str = ""
    opened: int = 0
    open: int = 0
    left: asyncio.Event = field(default_factory=asyncio.Event)

    @contextlib.contextmanager
    def counted(self) -> Any:
        self.opened += 1
        self.open += 1
        self.left.clear()
        try:
            yield
        finally:
            self.open -= 1
            if not self.open:
                self.left.set()


@contextlib.asynccontextmanager
async def websocket_server(
    answer: Callable[[ServerConnection, str], Awaitable[None]], **options: Any
) -> AsyncIterator[Endpoint]:
    """A websocket endpoint that does `answer` with each message it gets."""
    endpoint = Endpoint()

    async def handle(connection: ServerConnection) -> None:
        with endpoint.counted():
            async for message in connection:
                await answer(connection, str(message))
            await connection.wait_closed()

    async with serve(handle, "127.0.0.1", 0, **options) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        endpoint.url = f"ws://127.0.0.1:{port}"
        yield endpoint


@contextlib.asynccontextmanager
async def mute_server() -> AsyncIterator[Endpoint]:
    """An endpoint that takes connections and says nothing at all."""
    endpoint = Endpoint()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with endpoint.counted(), contextlib.suppress(ConnectionError):
            while await reader.read(1024):
                pass
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        endpoint.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield endpoint


def refused_url() -> str:
    """An address where nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return f"ws://127.0.0.1:{held.getsockname()[1]}"
