"""The validator's websocket at /sn8/ws: each change of a position, whole, at once.

`ptn` wants the key in the first frame and numbers messages for everybody; `vn` wants it in the
upgrade request and numbers them for each connection. Neither sends anything twice.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import orjson
from aiohttp import WSMsgType, web

from paper_exchange.sn8.connection import Connection, failure_text, json_text
from paper_exchange.sn8.model import Position
from paper_exchange.sn8.quotes import DAY_MS
from paper_exchange.sn8.report import VERSION
from paper_exchange.sn8.shapes import Json, position_json
from paper_exchange.sn8.tampering import tampered
from paper_exchange.sn8.tiers import TOP_TIER
from paper_exchange.sn8.validator import Validator

MOST_CONNECTIONS: Final = 5  # of one key
DASHBOARD_EVERY: Final = 3  # messages, in the newer dialect
NORMAL, GOING_AWAY, SERVER_ERROR = 1000, 1001, 1011  # close codes
GOODBYE_S: Final = 1.0  # how long a client may take to close
SEQUENCE_MS: Final = 20_000  # the number a fresh validator begins with never goes back in time


class Stream:
    """All connections, and what is sent to them."""

    def __init__(self, validator: Validator, ready: Callable[[], Awaitable[None]]) -> None:
        self._validator = validator
        self._ready = ready
        self.connections: deque[Connection] = deque()  # oldest first
        self.sequence = 0
        self._unknown: set[web.WebSocketResponse] = set()  # not admitted yet
        self._handlers: set[asyncio.Task[object]] = set()
        self._told = 0

    def start(self) -> None:
        """Begin with a number that no earlier run reached, as one that was kept would be."""
        self.sequence = self._validator.clock.now_ms() // SEQUENCE_MS

    def push(self, position: Position) -> None:
        """Tell everybody of a position's new state."""
        row = self._position(position)
        self._send({"position": row, "miner_repo_version": VERSION})
        self._told += 1
        if self._validator.options.dialect == "vn" and self._told % DASHBOARD_EVERY == 0:
            dashboard = {"subaccount_info": {"synthetic_hotkey": f"{position.hotkey}_0"}}
            self._send({"dashboard": dashboard})

    def skip(self, count: int) -> None:
        """Number so many messages that nobody gets."""
        self.sequence += count
        for connection in self.connections:
            connection.sequence += count

    def disconnect(self, *, code: int = SERVER_ERROR, is_abrupt: bool = False) -> None:
        """End every connection, with a close code or without a word."""
        for connection in list(self.connections):
            if is_abrupt:
                connection.cut()
            else:
                connection.say(code)

    def crash(self, *, back: int = 10) -> None:
        """Lose all connections and the last numbers, as after a restart; they come again."""
        self.sequence = max(0, self.sequence - back)
        self.disconnect(is_abrupt=True)

    def say_to_all(self, frame: str | bytes) -> None:
        """Send any frame to whoever subscribed, without a number."""
        for connection in self._subscribed():
            connection.say(frame)

    def push_stale(self, position: Position, age_ms: int) -> None:
        """Send a position as it was some time ago, or all of it so much older."""
        then_ms = self._validator.clock.now_ms() - age_ms
        row = self._position(position)
        kept = [order for order in row["orders"] if order["processed_ms"] <= then_ms]
        if not kept:
            kept = [
                {**order, "processed_ms": order["processed_ms"] - age_ms} for order in row["orders"]
            ]
        net = round(sum(order["leverage"] for order in kept), 5)
        stale = {
            "orders": kept,
            "open_ms": kept[0]["processed_ms"],
            "net_leverage": net,
            "position_type": "LONG" if net > 0 else "SHORT",
        }
        self._send({"position": row | stale})

    def flush(self) -> None:
        """Send what waits for a batch to be full, if there are no batches any more."""
        if self._validator.faults.active("batch") is None:
            for connection in self.connections:
                connection.send_batch()

    async def close(self) -> None:
        """Say goodbye to everybody."""
        self.disconnect(code=GOING_AWAY)
        for socket in list(self._unknown):
            await socket.close(code=GOING_AWAY)
        if self._handlers:
            await asyncio.wait(self._handlers, timeout=GOODBYE_S)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One connection from the upgrade to its end."""
        ring = self._validator.keys
        if ring.auth_style(self._validator.options.auth_style) != "bearer":
            return web.json_response({"error": "Resource not found"}, status=404)
        await self._ready()
        socket = web.WebSocketResponse(max_msg_size=1 << 20, timeout=GOODBYE_S)
        try:
            await socket.prepare(request)
        except ConnectionError:  # it went away while the miners were made
            return web.Response()
        handler = asyncio.current_task()
        if handler is not None:
            self._handlers.add(handler)
            handler.add_done_callback(self._handlers.discard)
        self._unknown.add(socket)
        try:
            key = await self._shown_key(socket, request)
        finally:
            self._unknown.discard(socket)
        refusal = self._refusal(key)
        if refusal is None:
            await self._converse(Connection(socket, request, key))
            return socket
        with suppress(ConnectionError, RuntimeError):
            await socket.send_str(refusal)
        await socket.close(code=NORMAL)
        return socket

    async def _converse(self, connection: Connection) -> None:
        """Hear and speak until one of the two ends."""
        self._make_room(connection.key)
        self.connections.append(connection)
        connection.say(self._welcome())
        tasks = [
            asyncio.create_task(self._listen(connection), name="sn8-listen"),
            asyncio.create_task(connection.write(self._is_silent), name="sn8-write"),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if connection in self.connections:
                self.connections.remove(connection)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        # only now, as nobody listens any more: or it would not wait for the client's own goodbye
        await connection.socket.close(code=connection.end_code or NORMAL)

    async def _listen(self, connection: Connection) -> None:
        async for message in connection.socket:
            if message.type is WSMsgType.TEXT:
                self._hear(connection, message.data)

    async def _shown_key(self, socket: web.WebSocketResponse, request: web.Request) -> str:
        """The key that a client shows in the way of the dialect; empty where there is none."""
        if self._validator.options.dialect == "ptn":
            return await _first_frame_key(socket)
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        return key if scheme == "Bearer" else ""

    def _refusal(self, key: str) -> str | None:
        """What a client is told that may not listen; None = it may."""
        if not key:
            ways = {
                "ptn": "Please provide an API key.",
                "vn": "Provide API key in Authorization: Bearer header.",
            }
            way = ways[self._validator.options.dialect]
            return failure_text(f"Authentication required. {way}")
        tier = self._validator.keys.tier(key)
        if tier is None:
            return failure_text("Invalid API key. Authentication failed.")
        if tier < TOP_TIER:
            text = "WebSocket connections require tier 100 access. Please upgrade your API key."
            return failure_text(text, "INSUFFICIENT_TIER")
        return None

    def _welcome(self) -> str:
        is_global = self._validator.options.dialect == "ptn"
        return json_text(
            {
                "status": "success",
                "message": "Authentication successful.",
                "current_sequence": self.sequence if is_global else 0,
                "tier": TOP_TIER,
            }
        )

    def _make_room(self, key: str) -> None:
        same = [row for row in self.connections if row.key == key]
        for oldest in same[: max(0, len(same) - MOST_CONNECTIONS + 1)]:
            text = "Disconnected due to too many connections for this API key"
            oldest.say(failure_text(text, "MAX_CONNECTIONS_EXCEEDED"))
            oldest.say(NORMAL)
            self.connections.remove(oldest)

    def _hear(self, connection: Connection, text: str) -> None:
        """Answer what a client says; what is not understood is ignored, as by the real one."""
        try:
            message = orjson.loads(text)
        except orjson.JSONDecodeError:
            return
        if not isinstance(message, dict):
            return
        now_ms = self._validator.clock.now_ms()
        kind = message.get("type")
        if kind == "ping":
            answer = {
                "type": "pong",
                "client_timestamp": message.get("timestamp", 0),
                "server_timestamp": now_ms,
                "timestamp": now_ms,
            }
        elif kind in {"subscribe", "unsubscribe"} and message.get("all"):
            connection.is_subscribed = kind == "subscribe"
            answer = {
                "type": "subscription_status",
                "status": "success",
                "all": True,
                "action": kind,
            }
            if kind == "subscribe":
                sent_ms = message.get("sender_timestamp", 0)
                answer |= {"sender_timestamp": sent_ms, "received_timestamp": now_ms}
        else:
            return
        connection.say(json_text(answer))

    def _position(self, position: Position) -> Json:
        now_ms = self._validator.clock.now_ms()
        row = position_json(position, self._validator.seed, now_ms // DAY_MS * DAY_MS, None)
        poisons = [row for row in self._validator.faults.rows("content") if row.kind == "poisoned"]
        shown = tampered({position.hotkey: {"positions": [row]}}, poisons)
        found: Json = shown[position.hotkey]["positions"][0]
        return found

    def _send(self, content: Json) -> None:
        """Number a message and send it to whoever subscribed."""
        self.sequence += 1
        is_lost = self._validator.faults.takes_message()
        batch = self._validator.faults.active("batch")
        for connection in self._subscribed():
            number = connection.sequence
            connection.sequence += 1
            if self._validator.options.dialect == "ptn":
                number = self.sequence
            if not is_lost:
                message = self._message(number, content)
                connection.deliver(message, batch.params["messages"] if batch else 1)

    def _message(self, number: int, content: Json) -> Json:
        return {
            "sequence": number,
            "timestamp": self._validator.clock.now_ms(),
            "data": content,
        }

    def _is_silent(self) -> bool:
        return self._validator.faults.active("silence") is not None

    def _subscribed(self) -> list[Connection]:
        return [row for row in self.connections if row.is_subscribed]


async def _first_frame_key(socket: web.WebSocketResponse) -> str:
    message = await socket.receive()
    if message.type is not WSMsgType.TEXT:
        return ""
    try:
        document = orjson.loads(message.data)
    except orjson.JSONDecodeError:
        return ""
    key = document.get("api_key") if isinstance(document, dict) else None
    return key if isinstance(key, str) else ""
