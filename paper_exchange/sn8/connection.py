"""One client of the websocket: what it subscribed to, and the frames on their way to it."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web

from paper_exchange.sn8.shapes import Json

MOST_WAITING: Final = 10_000  # frames that a slow reader may be behind


class Connection:
    """One client that came in."""

    def __init__(self, socket: web.WebSocketResponse, request: web.Request, key: str) -> None:
        self.socket = socket
        self.request = request
        self.key = key
        self.is_subscribed = False
        self.end_code: int | None = None  # what it is to be closed with
        self.sequence = 0  # of its next message, in the newer dialect
        self.batch: list[Json] = []
        self.waiting: asyncio.Queue[str | bytes | int] = asyncio.Queue(MOST_WAITING)

    def say(self, frame: str | bytes | int) -> None:
        """Send a frame after those before it; a number closes the connection with that code."""
        try:
            self.waiting.put_nowait(frame)
        except asyncio.QueueFull:
            self.cut()

    def deliver(self, message: Json, batch_size: int) -> None:
        """Send a message, alone or in a batch of so many."""
        if batch_size <= 1 and not self.batch:
            self.say(json_text(message))
            return
        self.batch.append(message)
        if len(self.batch) >= batch_size:
            self.send_batch()

    def send_batch(self) -> None:
        """Send what waits for a batch to be full."""
        rows, self.batch = self.batch, []
        if rows:
            self.say(json_text({"type": "batch", "messages": rows, "count": len(rows)}))

    async def write(self, is_silent: Callable[[], bool]) -> None:
        """Send what is said until it is to end; frames of a silence are lost."""
        try:
            while True:
                frame = await self.waiting.get()
                if isinstance(frame, int):
                    self.end_code = frame
                    return
                if is_silent():
                    continue
                if isinstance(frame, bytes):
                    await self.socket.send_bytes(frame)
                else:
                    await self.socket.send_str(frame)
        except (ConnectionError, RuntimeError):  # it went away meanwhile
            return

    def cut(self) -> None:
        """End it without a word."""
        if self.request.transport is not None:
            self.request.transport.abort()


def failure_text(text: str, code: str = "") -> str:
    """A refusal, as the validator words it."""
    return json_text({"status": "error", "message": text} | ({"code": code} if code else {}))


def json_text(document: Any) -> str:  # noqa: ANN401 - any JSON value
    """JSON as the validator writes it, with NaN where a poison says so."""
    return json.dumps(document, separators=(",", ":"))
