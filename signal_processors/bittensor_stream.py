"""Hears an SN8 validator push position changes, and says when something may have been missed.

Decides nothing and keeps no position: who listens reads a snapshot at every gap. There is no
replay, so each new connection is a gap too. Nothing a validator sends can end `run`.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Final

import aiohttp
import msgspec
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from core.ports import Clock
from signal_processors.bittensor_access import PLACE, Access, RedirectedError, open_session, why
from signal_processors.bittensor_frames import (
    Frame,
    Garbage,
    Pong,
    Refusal,
    Subscribed,
    Update,
    Why,
    read_frame,
)

log = logging.getLogger(__name__)

CONNECT_WITHIN_S: Final = 10.0
SEND_WITHIN_S: Final = 10.0
CLOSE_WITHIN_S: Final = 2.0
PING_EVERY_MS: Final = 20_000
SILENCE_MS: Final = 60_000
STEADY_MS: Final = 60_000  # live for so long: the next loss starts the back-off anew
FIRST_PAUSE_S: Final = 1.0
MOST_PAUSE_S: Final = 60.0
CROWDED_PAUSE_S: Final = 60.0
PARKED_S: Final = 600.0
MOST_FRAME_BYTES: Final = 1024 * 1024

UNAUTHORIZED: Final = 401
FORBIDDEN: Final = 403
TOO_MANY: Final = 429
FAILURES: Final = (aiohttp.ClientError, HttpProcessingError, OSError, TimeoutError)
MEANWHILE: Final = "snapshots are read meanwhile"
PROBLEMS: Final[dict[Why, tuple[str, float | None]]] = {
    "key": (f"the key is not known there: check api_key ({PLACE}.api_key)", PARKED_S),
    "tier": (
        "the key is below tier 100: get another, or set use_push to false"
        " (bittensor_processor_config.json: fetching.use_push)",
        PARKED_S,
    ),
    "crowded": (
        "more than 5 connections use this key: end the others, or get another key"
        f" ({PLACE}.api_key)",
        CROWDED_PAUSE_S,
    ),
    "other": (f"it will not serve us: check websocket ({PLACE}.websocket)", None),
}
BY_STATUS: Final[dict[int, Why]] = {
    UNAUTHORIZED: "key",
    FORBIDDEN: "tier",
    TOO_MANY: "crowded",
}

encode = msgspec.json.encode


@dataclass(slots=True, kw_only=True)
class _Counters:
    """What was seen since the start."""

    connections: int = 0  # that went live
    messages: int = 0  # positions handed on
    ignored: int = 0  # understood, but about something else
    gaps: int = 0
    garbage: int = 0  # frames that were no JSON, or not a validator's
    too_large: int = 0
    pongs: int = 0
    failed: int = 0  # times that the listener raised an error


@dataclass(slots=True, kw_only=True)
class _Connection:
    """What is known of the connection that is open."""

    heard_ms: int  # monotonic, as the next two
    ping_due_ms: int
    live_since_ms: int | None = None
    last_sequence: int | None = None
    pinged_at_ms: int | None = None  # wall time in the last ping


@dataclass(frozen=True, slots=True, kw_only=True)
class _End:
    """How a connection ended, and when to try again; None = after the back-off."""

    problem: str
    pause_s: float | None = None


class PositionStream:
    """Keeps one websocket open as long as `run` runs.

    The callbacks must return soon; `on_gap` may come often, and asks for one new snapshot at the
    most. What they raise is logged and counted, and an update that was not taken is a gap.
    """

    def __init__(
        self,
        access: Access,
        *,
        clock: Clock,
        chance: random.Random,
        on_message: Callable[[bytes, int], None],
        on_gap: Callable[[str], None],
        on_live: Callable[[bool], None],
    ) -> None:
        """Make a stream.

        `on_message` gets a position's JSON and when it came (ms, our clock); `on_gap` one of
        `connected`, `sequence`, `garbage`, `too_large`, `not_taken`.
        """
        self._access = access
        self._clock = clock
        self._chance = chance
        self._on_message = on_message
        self._on_gap = on_gap
        self._on_live = on_live
        self._failures = 0
        self._counters = _Counters()
        self.problem = ""  # why nothing is pushed, and the remedy; "" = nothing is wrong
        self.is_live = False  # all changes are being pushed to us
        self.clock_offset_ms: int | None = None  # the validator's clock less ours
        self.heard_at_ms: int | None = None  # when anything came last, our clock

    @property
    def counters(self) -> dict[str, int]:
        """Count what was seen since the start: connections, messages, gaps and so on."""
        return asdict(self._counters)

    async def run(self) -> None:
        """Connect again and again until cancelled; returns at once without a websocket address."""
        if self._access.websocket is None:
            self.problem = f"no websocket address is set ({PLACE}.websocket): {MEANWHILE}"
            return
        session = open_session(aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_WITHIN_S))
        try:
            while True:
                end = await self._connected(session, self._access.websocket)
                self.problem = f"{self._access.websocket_host}: {end.problem}: {MEANWHILE}"
                pause_s = self._pause_s() if end.pause_s is None else end.pause_s
                extra = {"problem": self.problem, "again_in_s": round(pause_s, 1)}
                log.warning("sn8 stream is down", extra=extra)
                await self._clock.sleep(pause_s)
        finally:
            await session.close()

    def _pause_s(self) -> float:
        """Give a back-off: doubled at each failure, the later half of it by chance."""
        most_s: float = min(FIRST_PAUSE_S * 2**self._failures, MOST_PAUSE_S)
        self._failures = min(self._failures + 1, 10)
        return most_s * (0.5 + self._chance.random() / 2)

    async def _connected(self, session: aiohttp.ClientSession, address: str) -> _End:
        now_ms = self._clock.monotonic_ms()
        connection = _Connection(heard_ms=now_ms, ping_due_ms=now_ms + PING_EVERY_MS)
        try:
            return await self._conversed(session, address, connection)
        except aiohttp.WSServerHandshakeError as error:
            return _refused(BY_STATUS.get(error.status, "other"), f"status {error.status}")
        except RedirectedError as error:
            return _End(problem=f"{why(error)}: enter the final address ({PLACE}.websocket)")
        except FAILURES as error:
            return _End(problem=f"not connected: {why(error)}")
        except Exception as error:  # noqa: BLE001 - the library's own faults; its text may bear the key
            return _End(problem=f"the connection failed: {type(error).__name__}")
        finally:
            self._leave_live(connection)

    async def _conversed(
        self, session: aiohttp.ClientSession, address: str, connection: _Connection
    ) -> _End:
        key = self._access.api_key.get_secret_value()
        async with asyncio.timeout(CONNECT_WITHIN_S):
            socket = await session.ws_connect(
                URL(address, encoded=True),
                headers={"Authorization": f"Bearer {key}"} if key else {},
                max_msg_size=MOST_FRAME_BYTES + 1,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_WITHIN_S),
            )
        try:
            # the newer dialect reads the header and passes over the frame, the older the reverse
            await self._send(socket, {"api_key": key, "last_sequence": -1})
            asked = {"type": "subscribe", "all": True, "sender_timestamp": self._clock.now_ms()}
            await self._send(socket, asked)
            return await self._heard(socket, connection)
        finally:
            await socket.close()

    async def _send(self, socket: aiohttp.ClientWebSocketResponse, value: object) -> None:
        try:
            async with asyncio.timeout(SEND_WITHIN_S):
                await socket.send_str(encode(value).decode())
        except ConnectionError:
            pass  # why it closed may still be there to read

    async def _heard(
        self, socket: aiohttp.ClientWebSocketResponse, connection: _Connection
    ) -> _End:
        while True:
            now_ms = self._clock.monotonic_ms()
            if now_ms >= connection.heard_ms + SILENCE_MS:
                return _End(problem=f"nothing came for {SILENCE_MS // 1000} s")
            if now_ms >= connection.ping_due_ms:
                await self._ping(socket, connection)
                continue
            until_ms = min(connection.ping_due_ms, connection.heard_ms + SILENCE_MS)
            try:
                async with asyncio.timeout((until_ms - now_ms) / 1000):
                    message = await socket.receive()
            except TimeoutError:
                continue
            connection.heard_ms = self._clock.monotonic_ms()
            end = self._end_of(socket, message, connection)
            if end is not None:
                return end

    async def _ping(self, socket: aiohttp.ClientWebSocketResponse, connection: _Connection) -> None:
        connection.ping_due_ms = self._clock.monotonic_ms() + PING_EVERY_MS
        connection.pinged_at_ms = self._clock.now_ms()
        await self._send(socket, {"type": "ping", "timestamp": connection.pinged_at_ms})

    def _end_of(
        self,
        socket: aiohttp.ClientWebSocketResponse,
        message: aiohttp.WSMessage,
        connection: _Connection,
    ) -> _End | None:
        if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            self.heard_at_ms = self._clock.now_ms()
            for frame in read_frame(message.data):
                if isinstance(frame, Refusal):
                    return _refused(frame.why, self._access.harmless(frame.text))
                self._take(frame, connection)
            return None
        if message.type is aiohttp.WSMsgType.ERROR:
            return self._broken(socket.close_code)
        return _End(problem=f"it closed the connection (code {socket.close_code})")

    def _broken(self, code: int | None) -> _End:
        if code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG:
            self._counters.too_large += 1
            self._gap("too_large")
            return _End(problem=f"it sent more than {MOST_FRAME_BYTES} bytes at once")
        self._counters.garbage += 1
        self._gap("garbage")
        return _End(problem=f"it does not keep to the protocol (code {code})")

    def _take(self, frame: Frame, connection: _Connection) -> None:
        if isinstance(frame, Update):
            self._take_update(frame, connection)
        elif isinstance(frame, Subscribed):
            self._go_live(connection)
        elif isinstance(frame, Pong):
            self._take_pong(frame, connection)
        elif isinstance(frame, Garbage):
            self._counters.garbage += 1
            self._gap("garbage")
        else:
            self._counters.ignored += 1

    def _take_update(self, update: Update, connection: _Connection) -> None:
        self._go_live(connection)  # the first change may come before the subscription's reply
        last = connection.last_sequence
        is_next = update.sequence is not None and (last is None or update.sequence == last + 1)
        if update.sequence is not None:
            connection.last_sequence = update.sequence
        if update.position is None:
            self._counters.ignored += 1
        elif self._tell(self._on_message, update.position, self._clock.now_ms()):
            self._counters.messages += 1
        else:
            self._gap("not_taken")
        if not is_next:
            self._gap("sequence")

    def _take_pong(self, pong: Pong, connection: _Connection) -> None:
        self._counters.pongs += 1
        sent_ms = connection.pinged_at_ms
        if sent_ms is None or pong.client_ms != sent_ms or pong.server_ms is None:
            return
        self.clock_offset_ms = round(pong.server_ms - (sent_ms + self._clock.now_ms()) / 2)

    def _go_live(self, connection: _Connection) -> None:
        if connection.live_since_ms is not None:
            return
        connection.live_since_ms = self._clock.monotonic_ms()
        self._counters.connections += 1
        self.is_live, self.problem = True, ""
        log.info("sn8 stream is live", extra={"host": self._access.websocket_host})
        self._tell(self._on_live, True)
        self._gap("connected")

    def _leave_live(self, connection: _Connection) -> None:
        since_ms = connection.live_since_ms
        if since_ms is None:
            return
        if self._clock.monotonic_ms() - since_ms >= STEADY_MS:
            self._failures = 0
        self.is_live = False
        self._tell(self._on_live, False)

    def _gap(self, reason: str) -> None:
        self._counters.gaps += 1
        self._tell(self._on_gap, reason)

    def _tell(self, callback: Callable[..., None], *told: object) -> bool:
        """Call the listener; False = it failed, which must not end the stream."""
        try:
            callback(*told)
        except Exception:
            self._counters.failed += 1
            log.exception("the listener of the sn8 stream failed")
            return False
        return True


def _refused(reason: Why, said: str) -> _End:
    remedy, pause_s = PROBLEMS[reason]
    return _End(problem=f"{said}: {remedy}" if said else remedy, pause_s=pause_s)
