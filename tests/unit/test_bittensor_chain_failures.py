"""Every way an endpoint is known to fail: the real connection against servers on loopback.

The read that follows a failure goes to a chain in memory: a whole answer of a true node needs its
runtime's description.
"""

import asyncio
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from http import HTTPStatus
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from signal_processors import bittensor_chain
from signal_processors.bittensor_chain import ChainError, fetch_registry
from tests.chain_fakes import (
    QUICK,
    Endpoint,
    FakeSubstrate,
    left_threads,
    mute_server,
    refused_url,
    subnet,
    websocket_server,
)

Answer = Callable[[ServerConnection, str], Awaitable[None]]
Server = Callable[[], AbstractAsyncContextManager[Endpoint]]
LONGEST_S = 5.0


async def read(url: str) -> None:
    await fetch_registry(url, 8, previous=None, now_ms=0, limits=QUICK)


async def assert_the_next_read_works() -> None:
    registry = await fetch_registry(
        "finney",
        8,
        previous=None,
        now_ms=0,
        connect=lambda _network: FakeSubstrate(graphs={8: subnet()}),
        limits=QUICK,
    )

    assert len(registry.neurons) == 256


@pytest.fixture(autouse=True, scope="module")
def _loaded() -> None:
    import bittensor  # noqa: F401, PLC0415 - so that no test measures it


def closing(code: int) -> Answer:
    async def close(connection: ServerConnection, _message: str) -> None:
        await connection.close(code)

    return close


def saying(*frames: str | bytes) -> Answer:
    async def say(connection: ServerConnection, _message: str) -> None:
        for frame in frames:
            await connection.send(frame)

    return say


def replying(**reply: Any) -> Answer:
    async def answer(connection: ServerConnection, message: str) -> None:
        await connection.send(
            json.dumps({"jsonrpc": "2.0", "id": json.loads(message)["id"]} | reply)
        )

    return answer


def answering(answer: Answer, **options: Any) -> Server:
    return lambda: websocket_server(answer, **options)


@asynccontextmanager
async def nobody() -> AsyncIterator[Endpoint]:
    endpoint = Endpoint(url=refused_url())
    endpoint.left.set()
    yield endpoint


ERROR = {"code": -32000, "message": "no such state"}


@pytest.mark.parametrize(
    ("server", "text"),
    [
        pytest.param(nobody, "Connect call failed", id="refused"),
        pytest.param(mute_server, "no answer within", id="no-handshake"),
        pytest.param(answering(saying()), "no answer within", id="never-answers"),
        pytest.param(answering(saying("}{ no json")), "no answer within", id="garbage"),
        pytest.param(answering(saying("[" * 100_000)), "chain", id="nested"),
        pytest.param(answering(saying(b"\xff\xfe\x00")), "no answer within", id="no-text"),
        pytest.param(answering(saying("5")), "no answer within", id="a-number"),
        pytest.param(answering(replying()), "RpcConnectionError", id="no-result"),
        pytest.param(answering(replying(result="x")), "chain", id="result-of-another-kind"),
        pytest.param(answering(replying(result=None)), "chain", id="no-runtime"),
        pytest.param(answering(replying(error=ERROR)), "no such state", id="error-reply"),
        pytest.param(answering(replying(error="no")), "chain", id="error-of-another-kind"),
        pytest.param(answering(closing(1011)), "chain", id="closed-1011"),
        pytest.param(answering(closing(1012)), "chain", id="closed-1012"),
        pytest.param(answering(closing(1000)), "no answer within", id="closed-1000-the-hang"),
        pytest.param(answering(closing(1001)), "no answer within", id="closed-1001-the-hang"),
        pytest.param(answering(closing(1008)), "policy", id="closed-1008"),
    ],
)
async def test_each_failure_ends_in_one_error_and_leaves_nothing(server: Server, text: str) -> None:
    async with server() as endpoint:
        began_s = time.monotonic()
        with pytest.raises(ChainError, match=text):
            await read(endpoint.url)
        took_s = time.monotonic() - began_s
        async with asyncio.timeout(LONGEST_S):
            await endpoint.left.wait()  # no connection outlives the read

    assert took_s < LONGEST_S
    assert left_threads(1) == []

    await assert_the_next_read_works()


async def test_a_refused_handshake_says_when_to_come_back() -> None:
    def refuse(connection: ServerConnection, _request: Request) -> Response:
        response = connection.respond(HTTPStatus.TOO_MANY_REQUESTS, "too many")
        response.headers["Retry-After"] = "77"
        return response

    async with websocket_server(saying(), process_request=refuse) as endpoint:
        with pytest.raises(ChainError, match="rate limited") as caught:
            await read(endpoint.url)

    assert caught.value.retry_after_s == 77


async def test_a_refused_request_says_when_to_come_back() -> None:
    error = {"code": -32005, "message": "slow down", "data": {"retry_after": 33}}
    async with websocket_server(replying(error=error)) as endpoint:
        with pytest.raises(ChainError, match="traffic policy") as caught:
            await read(endpoint.url)

    assert caught.value.retry_after_s == 33


async def test_a_small_message_that_unpacks_to_a_huge_one_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bittensor_chain, "LARGEST_MESSAGE", 2**20)
    codes: list[int | None] = []

    async def burst(connection: ServerConnection, message: str) -> None:
        reply = '{"jsonrpc":"2.0","id":%d,"result":"%s"}'
        await connection.send(reply % (json.loads(message)["id"], "0" * 2**21))
        await connection.wait_closed()
        codes.append(connection.close_code)

    async with websocket_server(burst) as endpoint:
        with pytest.raises(ChainError):
            await read(endpoint.url)

    assert codes[0] == 1009  # too big, in the words of the protocol


def unresolvable(*_args: Any, **_options: Any) -> Any:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


async def test_a_name_that_does_not_resolve_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", unresolvable)
    with pytest.raises(ChainError, match="Name or service not known"):
        await read("ws://nowhere.invalid:9944")

    assert left_threads(1) == []


async def test_a_name_server_that_hangs_hinders_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    def hang(*_args: Any, **_options: Any) -> Any:
        release.wait(20)
        unresolvable()

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    try:
        with pytest.raises(ChainError, match="no answer within"):
            await read("ws://nowhere.invalid:9944")
        left = left_threads(1)
        await assert_the_next_read_works()
    finally:
        release.set()

    assert left == []
