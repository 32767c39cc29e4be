"""Uvicorn within our own loop: our socket, our signals, and no patience for slow strangers.

Uvicorn itself waits for ever for the headers of a request; here a connection that has not sent
them in time, or sends too many, is closed.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADERS_WITHIN_S: Final = 10.0
MOST_HEADER_BYTES: Final = 32 * 1024
KEEP_ALIVE_S: Final = 75
DRAIN_S: Final = 3
"""Seconds that requests get to finish at a stop; PM2 kills after 5."""


class _ImpatientProtocol(HttpToolsProtocol):
    headers_within_s = HEADERS_WITHIN_S

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(*args, **kwargs)
        self._waiting: asyncio.TimerHandle | None = None
        self._waited_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        _answer_at_once(transport)
        self._wait_for_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        is_between_requests = getattr(self.cycle, "response_complete", True)  # None at first
        if self._waiting is None and is_between_requests:
            self._wait_for_headers()
        super().data_received(data)
        self._waited_bytes += len(data)
        if self._waiting is not None and self._waited_bytes > MOST_HEADER_BYTES:
            self.transport.abort()

    def on_headers_complete(self) -> None:
        self._stop_waiting()
        super().on_headers_complete()

    def _wait_for_headers(self) -> None:
        self._waited_bytes = 0
        self._waiting = self.loop.call_later(self.headers_within_s, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None


def _answer_at_once(transport: asyncio.Transport) -> None:
    """Send the body of an answer without waiting for the peer to confirm its head: 40 ms."""
    connection = transport.get_extra_info("socket")
    if connection is not None and connection.family in (socket.AF_INET, socket.AF_INET6):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class _Server(uvicorn.Server):
    """Leaves signals to the service around it, says when it listens, ends when it is told."""

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        stopping: asyncio.Event,
        started: Callable[[], Awaitable[None]],
    ) -> None:
        super().__init__(config)
        self._stopping = stopping
        self._say_started = started

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        await self._say_started()

    async def main_loop(self) -> None:
        await self._stopping.wait()  # uvicorn's own turns ten times a second for its date header


async def serve(
    app: Callable[..., Awaitable[None]],
    listener: socket.socket,
    *,
    stopping: asyncio.Event,
    started: Callable[[], Awaitable[None]],
    headers_within_s: float = HEADERS_WITHIN_S,
) -> None:
    """Answer requests on `listener` until `stopping` is set and what began is answered."""
    protocol = type("_Protocol", (_ImpatientProtocol,), {"headers_within_s": headers_within_s})
    config = uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=DRAIN_S,
    )
    await _Server(config, stopping=stopping, started=started).serve(sockets=[listener])
