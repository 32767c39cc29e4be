"""What is read of a validator over HTTP, against real servers on this machine."""

import asyncio
import json
import random
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from core.clock import SystemClock
from signal_processors.bittensor_access import AuthStyle, Kind
from signal_processors.bittensor_client import (
    FetchError,
    Limits,
    NotAvailableError,
    ValidatorClient,
)
from tests.sn8_servers import KEY, PAYLOAD, Answer, access, gzipped, packed, serving

TEXT = json.dumps(PAYLOAD).encode()
MIB = 1024 * 1024


class StandingClock(SystemClock):
    """Moves only when it is told to."""

    at_ms = 1_000

    def now_ms(self) -> int:
        return self.at_ms


@asynccontextmanager
async def asking(
    answer: Answer,
    *,
    path: str = "",
    auth_style: AuthStyle = "bearer",
    limits: Limits | None = None,
) -> AsyncIterator[ValidatorClient]:
    async with serving(answer) as base:
        given = access(base + path, auth_style=auth_style)
        client = ValidatorClient(given, clock=StandingClock(), limits=limits)
        try:
            yield client
        finally:
            await client.close()


async def until_all_is_read(client: ValidatorClient) -> None:
    """Wait until the connection is given back: what follows is the unpacking."""
    assert client._session is not None
    assert client._session.connector is not None
    while client._session.connector._acquired:  # noqa: ASYNC110 - the library sets no event
        await asyncio.sleep(0)


async def test_positions_are_asked_for_with_key_and_tier_and_come_unpacked() -> None:
    asked: list[web.BaseRequest] = []
    body = packed(PAYLOAD)

    async def answer(request: web.BaseRequest) -> web.Response:
        asked.append(request)
        return gzipped(body)

    async with asking(answer) as client:
        fetched = await client.fetch("positions")

    assert [str(request.rel_url) for request in asked] == ["/miner-positions?tier=100"]
    assert asked[0].headers["Authorization"] == f"Bearer {KEY}"
    assert asked[0].headers["Accept-Encoding"] == "gzip"
    assert (fetched.kind, fetched.body, fetched.is_unchanged) == ("positions", TEXT, False)
    assert (fetched.compressed_bytes, fetched.decoded_bytes) == (len(body), len(TEXT))


@pytest.mark.parametrize(
    ("auth_style", "path", "header", "sent"),
    [
        pytest.param("bearer", "", ("Authorization", f"Bearer {KEY}"), b"", id="bearer"),
        pytest.param(
            "request_network",
            "/any?tier=30",
            ("x-taoshi-consumer-request-key", KEY),
            b"",
            id="request-network",
        ),
        pytest.param(
            "legacy_body",
            "/old",
            ("Content-Type", "application/json"),
            json.dumps({"api_key": KEY}).encode(),
            id="legacy-body",
        ),
    ],
)
async def test_the_key_goes_where_the_style_wants_it_and_nowhere_else(
    auth_style: AuthStyle, path: str, header: tuple[str, str], sent: bytes
) -> None:
    seen: list[tuple[web.BaseRequest, bytes]] = []

    async def answer(request: web.BaseRequest) -> web.Response:
        seen.append((request, await request.read()))
        return web.json_response(PAYLOAD)

    async with asking(answer, auth_style=auth_style, path=path) as client:
        await client.fetch("positions")
    [(request, body)] = seen

    assert (request.method, body) == ("GET", sent)
    assert request.headers[header[0]] == header[1]
    assert sum(KEY in value for value in request.headers.values()) == (0 if sent else 1)
    assert str(request.rel_url) == (path or "/miner-positions?tier=100")


@pytest.mark.parametrize("kind", ["statistics", "eliminations"])
async def test_a_key_for_one_address_opens_no_other_and_nothing_is_asked(kind: Kind) -> None:
    asked: list[web.BaseRequest] = []

    async def answer(request: web.BaseRequest) -> web.Response:
        asked.append(request)
        return web.json_response(PAYLOAD)

    async with asking(answer, auth_style="request_network", path="/any") as client:
        with pytest.raises(NotAvailableError) as caught:
            await client.fetch(kind)

    assert caught.value.reason == "not_available"
    assert asked == []


async def test_the_same_body_packed_at_another_time_is_unchanged() -> None:
    times = iter(range(1, 9))

    async def answer(_: web.BaseRequest) -> web.Response:
        return gzipped(packed(PAYLOAD, mtime=next(times)))

    async with asking(answer) as client:
        first = await client.fetch("positions")
        second = await client.fetch("positions")
        other = await client.fetch("statistics")

    assert (second.is_unchanged, second.body) == (True, b"")
    assert second.digest == first.digest
    assert (second.compressed_bytes, second.decoded_bytes) == (first.compressed_bytes, len(TEXT))
    assert (other.is_unchanged, other.body) == (False, TEXT)


async def test_a_changed_body_is_read_and_the_old_one_after_it_too() -> None:
    bodies = iter([{"a": 1}, {"a": 2}, {"a": 1}])

    async def answer(_: web.BaseRequest) -> web.Response:
        return gzipped(packed(next(bodies)))

    async with asking(answer) as client:
        read = [(await client.fetch("positions")).body for _ in range(3)]

    assert read == [b'{"a": 1}', b'{"a": 2}', b'{"a": 1}']


async def test_a_forgotten_body_is_read_again() -> None:
    async def answer(_: web.BaseRequest) -> web.Response:
        return gzipped(packed(PAYLOAD))

    async with asking(answer) as client:
        await client.fetch("positions")
        client.forget("positions")
        client.forget("statistics")  # never read: nothing to forget
        again = await client.fetch("positions")

    assert (again.is_unchanged, again.body) == (False, TEXT)


async def test_a_body_that_was_refused_is_refused_again() -> None:
    async def answer(_: web.BaseRequest) -> web.Response:
        return gzipped(packed([1, 2]))

    async with asking(answer) as client:
        for _ in range(2):
            with pytest.raises(FetchError) as caught:
                await client.fetch("positions")
            assert caught.value.reason == "not_an_object"


async def test_a_body_that_nobody_waited_for_counts_as_unread() -> None:
    body = packed({"a": "x" * (48 * MIB)})
    is_sent = asyncio.Event()

    async def answer(_: web.BaseRequest) -> web.Response:
        is_sent.set()
        return gzipped(body)

    async with asking(answer) as client:
        asking_once = asyncio.create_task(client.fetch("positions"))
        await is_sent.wait()
        await until_all_is_read(client)
        asking_once.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking_once
        again = await client.fetch("positions")

    assert not again.is_unchanged
    assert again.decoded_bytes == len(again.body) > 48 * MIB


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        pytest.param(TEXT, {}, id="plain"),
        pytest.param(TEXT, {"Content-Encoding": "identity"}, id="identity"),
        pytest.param(zlib.compress(TEXT), {"Content-Encoding": "deflate"}, id="deflate"),
        pytest.param(packed(PAYLOAD), {}, id="gzip-as-a-file"),
        pytest.param(TEXT, {"Content-Type": "text/html"}, id="called-a-page"),
        pytest.param(b"  " + TEXT + b"\n\n", {}, id="white-space-around"),
    ],
)
async def test_other_servers_ways_to_send_json_are_understood(
    body: bytes, headers: dict[str, str]
) -> None:
    async def answer(_: web.BaseRequest) -> web.Response:
        kind = {"Content-Type": "application/octet-stream"}
        return web.Response(body=body, headers={**kind, **headers})

    async with asking(answer) as client:
        fetched = await client.fetch("positions")

    assert json.loads(fetched.body) == PAYLOAD


async def test_eliminations_may_be_a_list() -> None:
    async def answer(_: web.BaseRequest) -> web.Response:
        return web.json_response([{"hotkey": "5Gone"}])

    async with asking(answer) as client:
        fetched = await client.fetch("eliminations")

    assert json.loads(fetched.body) == [{"hotkey": "5Gone"}]


async def test_an_answer_bears_the_time_at_which_it_was_asked_for() -> None:
    clock = StandingClock()

    async def answer(_: web.BaseRequest) -> web.Response:
        clock.at_ms = 9_000
        return web.json_response(PAYLOAD)

    async with serving(answer) as base:
        client = ValidatorClient(access(base), clock=clock)
        fetched = await client.fetch("positions")
        await client.close()

    assert fetched.fetched_at_ms == 1_000


async def test_all_kinds_can_be_read_at_once_and_after_a_close_again() -> None:
    async def answer(request: web.BaseRequest) -> web.Response:
        return web.json_response({"path": str(request.rel_url)})

    async with asking(answer, path="/v/miner-positions") as client:
        kinds: tuple[Kind, ...] = ("positions", "statistics", "eliminations")
        read = await asyncio.gather(*map(client.fetch, kinds))
        await client.close()
        again = await client.fetch("statistics")

    assert [json.loads(fetched.body)["path"] for fetched in read] == [
        "/v/miner-positions?tier=100",
        "/v/statistics?checkpoints=false",
        "/v/eliminations",
    ]
    assert again.is_unchanged


async def test_a_large_body_comes_whole() -> None:
    value = {"a": random.Random(1).randbytes(3 * MIB).hex()}

    async def answer(_: web.BaseRequest) -> web.Response:
        return gzipped(packed(value))

    async with asking(answer) as client:
        fetched = await client.fetch("positions")

    assert json.loads(fetched.body) == value
