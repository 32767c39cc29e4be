"""Whatever goes wrong while reading a validator has a code, a remedy, and no key in its text."""

import asyncio
import gzip
import logging
import traceback
from collections.abc import Callable
from typing import get_args
from urllib.parse import quote

import pytest
from aiohttp import web

from signal_processors.bittensor_access import AuthStyle
from signal_processors.bittensor_client import (
    REMEDIES,
    FetchError,
    Limits,
    Reason,
    ValidatorClient,
)
from tests.sn8_servers import (
    KEY,
    PAYLOAD,
    Talk,
    access,
    gzipped,
    packed,
    run_with_sockets,
    serving,
    talking,
)
from tests.virtual_time import VirtualClock

MIB = 1024 * 1024
PLACE = "credentials.json: bittensor_sn8"
STYLES = get_args(AuthStyle)
SMALL = Limits(max_compressed_bytes=MIB, max_decoded_bytes=2 * MIB)


async def failing(
    base: str, *, auth_style: AuthStyle = "bearer", limits: Limits = SMALL, path: str = ""
) -> FetchError:
    """Ask for positions and give the error."""
    given = access(base + path, auth_style=auth_style)
    client = ValidatorClient(given, clock=VirtualClock(), limits=limits)
    try:
        with pytest.raises(FetchError) as caught:
            await client.fetch("positions")
    finally:
        await client.close()
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + repr(client)
    assert KEY not in shown
    assert quote(KEY) not in shown
    return caught.value


async def refused(response: Callable[[], web.Response], auth_style: AuthStyle) -> FetchError:
    async def answer(_: web.BaseRequest) -> web.Response:
        return response()

    async with serving(answer) as base:
        error = await failing(base, auth_style=auth_style, path="/x")
        assert str(error).startswith(f"{base}: ")
        return error


def said(status: int, text: str, **headers: str) -> Callable[[], web.Response]:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda: web.json_response({"error": text}, status=status, headers=names)


def plain(status: int, body: bytes | str) -> Callable[[], web.Response]:
    raw = body.encode() if isinstance(body, str) else body
    return lambda: web.Response(body=raw, status=status)


@pytest.mark.parametrize(
    ("response", "style", "reason", "remedy"),
    [
        pytest.param(said(401, "Unauthorized"), "bearer", "unauthorized", "api_key", id="401"),
        pytest.param(said(403, "tier"), "bearer", "forbidden_tier", f"{PLACE}.tier", id="403"),
        pytest.param(said(403, "url"), "request_network", "forbidden_tier", "exact URL", id="url"),
        pytest.param(
            said(403, "Unauthorized: Rate limited"),
            "request_network",
            "rate_limited",
            "poll_interval_s",
            id="403-that-means-429",
        ),
        pytest.param(said(429, "slow"), "bearer", "rate_limited", "poll_interval_s", id="429"),
        pytest.param(said(400, "tier"), "bearer", "bad_request", "0, 30, 50 or 100", id="400"),
        pytest.param(said(404, "Data not found"), "bearer", "not_built", "starting", id="404"),
        pytest.param(
            lambda: web.Response(
                body=packed({"error": "Data not found"}),
                status=404,
                headers={"Content-Encoding": "gzip"},
            ),
            "bearer",
            "not_built",
            "starting",
            id="404-packed-by-a-proxy",
        ),
        pytest.param(plain(404, "<html>"), "bearer", "not_found", "the path", id="404-page"),
        pytest.param(said(500, "upstream"), "bearer", "unavailable", "wait", id="500"),
        pytest.param(plain(502, b"\x1f\x8b"), "bearer", "unavailable", "wait", id="502"),
        pytest.param(plain(204, b""), "bearer", "unexpected_status", "SN8 data API", id="204"),
        pytest.param(plain(418, "x" * MIB), "bearer", "unexpected_status", "SN8", id="418-long"),
        pytest.param(plain(200, "<!DOCTYPE html>"), "bearer", "html", "a web page", id="page"),
        pytest.param(plain(200, "hello"), "bearer", "not_json", "no JSON", id="words"),
        pytest.param(plain(200, b""), "bearer", "not_json", "no JSON", id="empty"),
        pytest.param(plain(200, " " * 99), "bearer", "not_json", "no JSON", id="white-space"),
        pytest.param(plain(200, "[1]"), "bearer", "not_an_object", "shape", id="list"),
        pytest.param(plain(200, "null"), "bearer", "not_an_object", "shape", id="null"),
        pytest.param(plain(200, '{"a": 1'), "bearer", "truncated", "cut short", id="half"),
    ],
)
async def test_each_refusal_has_its_code_and_names_the_remedy(
    response: Callable[[], web.Response], style: AuthStyle, reason: str, remedy: str
) -> None:
    error = await refused(response, style)

    assert error.reason == reason
    assert remedy in str(error)
    assert len(str(error)) < 400


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param(packed(PAYLOAD)[:-9], "truncated", id="cut-short"),
        pytest.param(packed(PAYLOAD) + b"more", "damaged", id="something-behind"),
        pytest.param(packed(PAYLOAD)[:-8] + bytes(8), "damaged", id="wrong-sum"),
        pytest.param(gzip.compress(bytes(3 * MIB)), "too_large", id="bomb"),
    ],
)
async def test_a_body_that_cannot_be_unpacked_has_its_code(body: bytes, reason: str) -> None:
    error = await refused(lambda: gzipped(body), "bearer")

    assert error.reason == reason
    assert ("max_decoded_mb" in str(error)) == (reason == "too_large")


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        pytest.param("7", 7, id="seconds"),
        pytest.param("99999999", 3600, id="too-long"),
        pytest.param("9" * 5000, None, id="absurd"),
        pytest.param("-1", None, id="negative"),
        pytest.param("Wed, 21 Oct 2026 07:28:00 GMT", None, id="date"),
    ],
)
async def test_what_a_server_asks_us_to_wait_is_passed_on(told: str, seconds: int | None) -> None:
    error = await refused(said(429, "slow", Retry_After=told), "bearer")

    assert error.retry_after_s == seconds


async def test_an_answer_that_announces_too_much_is_not_read() -> None:
    async def answer(_: web.BaseRequest) -> web.Response:
        return web.Response(body=bytes(2 * MIB))

    async with serving(answer) as base:
        error = await failing(base)

    assert error.reason == "too_large"
    assert "max_compressed_mb" in str(error)


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        pytest.param(b"", "unavailable", id="closed-at-once"),
        pytest.param(b"SSH-2.0-OpenSSH\r\n\r\n", "unavailable", id="no-http"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", "truncated", id="cut"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n{", "truncated", id="cut-unannounced"),
        pytest.param(
            b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"a":\r\n',
            "truncated",
            id="cut-between-chunks",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "unavailable",
            id="nonsense-for-a-chunk",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n{}", "unavailable", id="no-length"
        ),
        pytest.param(
            b"HTTP/1.1 401 No\r\nContent-Length: 9\r\n\r\n{", "unauthorized", id="401-cut"
        ),
    ],
)
async def test_a_connection_that_breaks_is_an_error_with_a_code(head: bytes, reason: str) -> None:
    async def talk(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        await writer.drain()

    async with talking(talk) as base:
        error = await failing(base)

    assert error.reason == reason


async def _hang(*_: object) -> None:
    await asyncio.Event().wait()


async def test_nobody_listening_is_unavailable() -> None:
    async with talking(_hang) as base:
        pass  # and stops listening
    error = await failing(base)

    assert error.reason == "unavailable"
    assert "Connect call failed" in str(error) or "refused" in str(error)


async def _stop_in_the_middle(_: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{")
    await asyncio.Event().wait()


async def _drip(_: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n")
    for _second in range(90):
        writer.write(b"{")
        await asyncio.sleep(1)


@pytest.mark.parametrize(
    ("talk", "seconds"),
    [
        pytest.param(_hang, 10, id="no-answer"),
        pytest.param(_stop_in_the_middle, 10, id="silence-in-the-middle"),
        pytest.param(_drip, 30, id="a-byte-a-second"),
    ],
)
def test_a_slow_server_is_given_up(talk: Talk, seconds: int) -> None:
    async def story() -> tuple[FetchError, float]:
        loop = asyncio.get_running_loop()
        async with talking(talk) as base:
            began_s = loop.time()
            error = await failing(base, limits=Limits())
            return error, loop.time() - began_s

    error, took_s = run_with_sockets(story())

    assert error.reason == "unavailable"
    assert seconds <= took_s < seconds + 1.5


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_the_key_does_not_follow_a_redirect_to_another_server(status: int) -> None:
    stolen: list[web.BaseRequest] = []

    async def steal(request: web.BaseRequest) -> web.Response:
        stolen.append(request)
        return web.json_response(PAYLOAD)

    async with serving(steal) as other:

        async def answer(_: web.BaseRequest) -> web.Response:
            return web.Response(status=status, headers={"Location": f"{other}/miner-positions"})

        async with serving(answer) as base:
            for style in STYLES:
                error = await failing(base, auth_style=style)
                assert error.reason == "redirected"

    assert stolen == []


async def test_a_redirect_within_the_server_is_followed_but_not_for_ever() -> None:
    async def answer(request: web.BaseRequest) -> web.Response:
        if request.path == "/right":
            return web.json_response(PAYLOAD)
        there = "/right" if request.path == "/miner-positions" else "/round"
        return web.Response(status=308, headers={"Location": there})

    async with serving(answer) as base:
        client = ValidatorClient(access(base), clock=VirtualClock())
        fetched = await client.fetch("positions")
        await client.close()
        error = await failing(base, path="/round", auth_style="request_network")

    assert fetched.decoded_bytes > 0
    assert error.reason == "redirected"


@pytest.mark.parametrize("status", [200, 308, 401, 403, 404, 500])
@pytest.mark.parametrize("style", STYLES)
async def test_the_key_is_in_no_text_and_no_log(
    status: int, style: AuthStyle, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    asyncio.get_running_loop().set_debug(True)

    async def answer(request: web.BaseRequest) -> web.Response:
        echo = f"{request.rel_url} {dict(request.headers)} {await request.text()}"
        there = {"Location": f"http://[{KEY}"} if status == 308 else {}
        return web.Response(text=f"<p>{echo}", status=status, headers=there)

    async with serving(answer) as base:
        for path in ("", f"/x?api_key={quote(KEY)}", f"/x?token={KEY}"):
            await failing(base, path=path, auth_style=style)
    for path in ("", f"/x?api_key={quote(KEY)}"):
        await failing(base, path=path, auth_style=style)

    assert KEY not in caplog.text
    assert quote(KEY) not in caplog.text


def test_every_code_has_a_remedy() -> None:
    assert set(get_args(Reason)) == {*REMEDIES, "too_large", "not_available"}
