"""uvicorn within our own event loop: our signals, our logs, our listening socket."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn
from starlette.types import ASGIApp

LAST_ANSWERS_S: Final = 2
"""Seconds that answers under way get at the end, within PM2's kill time-out."""


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # the service's own handlers stay in place


async def serve(app: ASGIApp, listener: socket.socket, stopping: asyncio.Event) -> None:
    """Answer requests on a listening socket until `stopping` is set."""
    config = uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=LAST_ANSWERS_S,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="http")
    stop = asyncio.create_task(stopping.wait(), name="wait-for-stop")
    try:
        await asyncio.wait({serving, stop}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stop.cancel()
        server.should_exit = True
        await serving
