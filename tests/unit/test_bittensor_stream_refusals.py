"""When a validator does not serve the stream: how long it waits, what it says, what it hides."""

import asyncio
import base64
import logging
import random
import re
from hashlib import sha1
from itertools import pairwise
from urllib.parse import quote

import aiohttp
import pytest
from aiohttp import web

from signal_processors.bittensor_stream import PositionStream
from tests.sn8_listening import listening
from tests.sn8_servers import KEY, Validator, access, run_with_sockets, serving, talking
from tests.virtual_time import VirtualClock

WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
PLACE = "credentials.json: bittensor_sn8"


def pauses_s(arrived_at_s: list[float]) -> list[int]:
    return [round(later - earlier) for earlier, later in pairwise(arrived_at_s)]


def unheard(websocket: str | None = None) -> PositionStream:
    """A stream that nobody listens to."""
    return PositionStream(
        access(websocket=websocket),
        clock=VirtualClock(),
        chance=random.Random(1),
        on_message=lambda *_: None,
        on_gap=lambda _: None,
        on_live=lambda _: None,
    )


@pytest.mark.parametrize("dialect", ["ptn", "vn"])
@pytest.mark.parametrize(
    ("key", "tier", "remedy"),
    [
        pytest.param("another-key", 100, f"{PLACE}.api_key", id="key"),
        pytest.param(KEY, 50, "use_push to false", id="tier"),
    ],
)
def test_a_key_that_is_not_good_for_it_is_tried_every_ten_minutes(
    dialect: str, key: str, tier: int, remedy: str
) -> None:
    async def story() -> None:
        validator = Validator("ptn" if dialect == "ptn" else "vn", tier=tier)
        async with listening(validator.answer, key=key) as listener:
            await asyncio.sleep(1500)
            assert remedy in listener.stream.problem
            assert "snapshots are read meanwhile" in listener.stream.problem

        assert pauses_s(validator.arrived_at_s) == [600, 600]
        assert (listener.lives, listener.gaps) == ([], [])

    run_with_sockets(story())


def test_what_cannot_be_sent_any_more_does_not_keep_us_from_reading() -> None:
    async def story() -> None:
        validator = Validator("vn")
        async with serving(validator.answer) as base, aiohttp.ClientSession() as session:
            socket = await session.ws_connect(base, headers={"Authorization": f"Bearer {KEY}"})
            await asyncio.sleep(1)
            validator.break_off()
            await asyncio.sleep(1)
            with pytest.raises(ConnectionError):
                await socket.send_str("{}")
            await unheard()._send(socket, {})

            assert (await socket.receive_json())["status"] == "success"

    run_with_sockets(story())


def test_a_refusal_is_heard_although_the_connection_is_closed_already() -> None:
    async def story() -> None:
        said = b'{"status": "error", "message": "No", "code": "INSUFFICIENT_TIER"}'

        async def talk(asked: bytes, writer: asyncio.StreamWriter) -> None:
            [nonce] = re.findall(rb"Sec-WebSocket-Key: (\S+)", asked)
            proof = base64.b64encode(sha1(nonce + WEBSOCKET_GUID, usedforsecurity=False).digest())
            head = b"HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
            head += b"Sec-WebSocket-Accept: " + proof + b"\r\n\r\n"
            writer.write(head + bytes([0x81, len(said)]) + said)

        async with talking(talk) as base:
            stream = unheard(base.replace("http", "ws"))
            running = asyncio.create_task(stream.run())
            await asyncio.sleep(5)
            assert "use_push to false" in stream.problem
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    run_with_sockets(story())


@pytest.mark.parametrize(
    ("status", "pauses"),
    [
        pytest.param(401, [600], id="401"),
        pytest.param(403, [600], id="403"),
        pytest.param(429, [60] * 11, id="429"),
        pytest.param(503, [1, 2, 4, 8, 16, 32, *[60] * 10], id="503"),
        pytest.param(200, [1, 2, 4, 8, 16, 32, *[60] * 10], id="200"),
    ],
)
def test_a_refused_upgrade_is_tried_again_by_its_status(status: int, pauses: list[int]) -> None:
    async def story() -> None:
        arrived_at_s: list[float] = []

        async def answer(_: web.BaseRequest) -> web.Response:
            arrived_at_s.append(asyncio.get_running_loop().time())
            return web.Response(status=status, text=f"no, {KEY}")

        async with listening(answer) as listener:
            await asyncio.sleep(700)
            assert listener.stream.problem.endswith("snapshots are read meanwhile")
            assert KEY not in listener.stream.problem

        assert pauses_s(arrived_at_s) == pauses

    run_with_sockets(story())


def test_thrown_out_for_too_many_connections_it_waits_a_minute() -> None:
    async def story() -> None:
        validator = Validator()
        async with listening(validator.answer) as listener:
            await validator.subscribed()
            said = {"status": "error", "message": "Too many", "code": "MAX_CONNECTIONS_EXCEEDED"}
            await validator.say(said)
            await listener.until(lambda: listener.lives == [True, False])
            await asyncio.sleep(1)
            assert "more than 5 connections use this key" in listener.stream.problem
            await validator.subscribed(2)

        assert pauses_s(validator.arrived_at_s) == [60]

    run_with_sockets(story())


@pytest.mark.parametrize(
    ("lived_s", "pauses"),
    [
        pytest.param(1, [2, 3, 5, 9], id="short-lives"),
        pytest.param(90, [91, 91, 91, 91], id="long-lives"),
    ],
)
def test_only_a_connection_that_lasted_starts_the_back_off_anew(
    lived_s: int, pauses: list[int]
) -> None:
    async def story() -> None:
        validator = Validator()
        async with listening(validator.answer):
            for count in range(1, 6):
                await validator.subscribed(count)
                await asyncio.sleep(lived_s)
                validator.break_off()

        assert pauses_s(validator.arrived_at_s) == pauses

    run_with_sockets(story())


def test_the_back_off_is_spread_by_chance() -> None:
    stream = unheard()
    pauses = [stream._pause_s() for _ in range(40)]

    assert all(2**n / 2 <= pause <= 2**n for n, pause in enumerate(pauses[:6]))
    assert all(30 <= pause <= 60 for pause in pauses[6:])
    assert len(set(pauses)) == len(pauses)


def test_an_upgrade_that_hangs_is_given_up_after_ten_seconds() -> None:
    async def story() -> None:
        arrived_at_s: list[float] = []

        async def hang(*_: object) -> None:
            arrived_at_s.append(asyncio.get_running_loop().time())
            await asyncio.Event().wait()

        async with talking(hang) as base:
            stream = unheard(base.replace("http", "ws"))
            running = asyncio.create_task(stream.run())
            await asyncio.sleep(15)
            assert "no answer in time" in stream.problem
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

        assert pauses_s(arrived_at_s) == [11]

    run_with_sockets(story())


def test_neither_key_follows_a_redirect_to_another_server() -> None:
    async def story() -> None:
        stolen = Validator()
        async with serving(stolen.answer) as other:

            async def answer(_: web.BaseRequest) -> web.Response:
                return web.Response(status=307, headers={"Location": f"{other}/ws"})

            async with listening(answer) as listener:
                await asyncio.sleep(5)
                assert "redirects to another server" in listener.stream.problem

        assert stolen.upgrades == []

    run_with_sockets(story())


def test_a_frame_that_is_no_text_ends_the_connection_and_is_a_gap() -> None:
    async def story() -> None:
        validator = Validator()
        async with listening(validator.answer) as listener:
            await validator.subscribed()
            await listener.gaps_came(1)
            await validator.sockets[-1].send_frame(b"\xff\xfe", web.WSMsgType.TEXT)
            await validator.subscribed(2)
            await listener.gaps_came(3)

        assert listener.gaps == ["connected", "garbage", "connected"]

    run_with_sockets(story())


@pytest.mark.parametrize("form", ["{}", "Error validating API key: {}", "Invalid API key {}"])
def test_the_key_is_in_no_problem_and_no_log(form: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def story() -> None:
        asyncio.get_running_loop().set_debug(True)

        async def answer(request: web.BaseRequest) -> web.WebSocketResponse:
            socket = web.WebSocketResponse()
            await socket.prepare(request)
            echo = f"{KEY} {quote(KEY, safe='')} {request.headers} {await socket.receive_str()}"
            await socket.send_json({"status": "error", "message": form.format(echo), "code": KEY})
            await socket.close()
            return socket

        async with listening(answer) as listener:
            await asyncio.sleep(20)
            shown = listener.stream.problem + repr(listener.stream)
            assert listener.stream.problem
            assert KEY not in shown
            assert quote(KEY, safe="") not in shown

    run_with_sockets(story())

    assert "sn8 stream is down" in caplog.text
    told = [str(vars(record)) for record in caplog.records]
    assert not [text for text in told if KEY in text or quote(KEY, safe="") in text]


def test_a_stop_while_it_waits_or_connects_is_a_stop() -> None:
    async def story() -> None:
        for after_s in (0, 0.5, 30):
            async with serving(Validator(tier=0).answer) as base:
                pass
            stream = unheard(base.replace("http", "ws"))
            running = asyncio.create_task(stream.run())
            await asyncio.sleep(after_s)
            running.cancel()
            [ended] = await asyncio.gather(running, return_exceptions=True)

            assert isinstance(ended, asyncio.CancelledError)

    run_with_sockets(story())
