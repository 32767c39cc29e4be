"""The simulated validator's websocket, in both dialects, as clients of either kind see it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import orjson
import pytest
import websockets

from tests.paper.sn8_clients import (
    BEARER,
    KEY,
    SUBSCRIBE,
    Bench,
    bench,
    closing,
    listening,
    receive,
)


@pytest.fixture(params=["ptn", "vn"])
async def b(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    async with bench(dialect=request.param, keys={KEY: 100, "small": 50, "second": 100}) as running:
        yield running


async def test_a_change_is_pushed_whole_and_at_once(b: Bench) -> None:
    async with listening(b) as socket:
        b.sn8.set_position("BTCUSDC", 0.1)
        b.sn8.set_position("BTCUSDC", 0.3)
        first, second = await receive(socket), await receive(socket)
        position = second["data"]["position"]

        assert second["sequence"] == first["sequence"] + 1
        assert second["timestamp"] == b.clock.now_ms()
        assert position["net_leverage"] == 0.3
        assert position["close_ms"] is None
        assert [order["leverage"] for order in position["orders"]] == [0.1, 0.2]
        assert position["position_uuid"] == first["data"]["position"]["position_uuid"]
        b.sn8.rebuild()
        rows = (await b.positions())[b.sn8.hotkeys[0]]["positions"]
        assert rows[-1] == position | {"close_ms": 0}


async def test_through_zero_two_positions_are_pushed(b: Bench) -> None:
    b.sn8.set_position("BTCUSDC", 0.1)
    async with listening(b) as socket:
        b.sn8.set_position("BTCUSDC", -0.2)
        closed, opened = [(await receive(socket))["data"]["position"] for _ in range(2)]

        assert (closed["is_closed_position"], closed["close_ms"]) == (True, b.clock.now_ms() + 1)
        assert [order["order_type"] for order in closed["orders"]] == ["LONG", "SHORT"]
        assert (opened["net_leverage"], opened["position_type"]) == (-0.2, "SHORT")


async def test_the_subscription_is_confirmed_and_nothing_comes_without(b: Bench) -> None:
    url = f"{b.server.url}/sn8/ws"
    async with b.http.ws_connect(url, headers=BEARER) as socket:
        await socket.send_json({"api_key": KEY})
        await receive(socket)
        b.sn8.set_position("BTCUSDC", 0.1)
        await socket.send_json(SUBSCRIBE)

        assert await receive(socket) == {
            "type": "subscription_status",
            "status": "success",
            "all": True,
            "action": "subscribe",
            "sender_timestamp": 77,
            "received_timestamp": b.clock.now_ms(),
        }
        assert b.sn8.subscribers == 1
        await socket.send_json({"type": "unsubscribe", "all": True})
        assert (await receive(socket))["action"] == "unsubscribe"
        assert b.sn8.subscribers == 0


async def test_a_ping_tells_both_clocks(b: Bench) -> None:
    async with listening(b) as socket:
        await socket.send_json({"type": "ping", "timestamp": 123})

        assert await receive(socket) == {
            "type": "pong",
            "client_timestamp": 123,
            "server_timestamp": b.clock.now_ms(),
            "timestamp": b.clock.now_ms(),
        }


@pytest.mark.parametrize("frame", ['{"type": "dance"}', "not json", "[1]", '{"api_key": "x"}'])
async def test_what_is_not_understood_is_ignored(b: Bench, frame: str) -> None:
    async with listening(b) as socket:
        await socket.send_str(frame)
        await socket.send_json({"type": "ping", "timestamp": 1})

        assert (await receive(socket))["type"] == "pong"


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        pytest.param(
            "wrong",
            {"status": "error", "message": "Invalid API key. Authentication failed."},
            id="wrong",
        ),
        pytest.param(
            "small",
            {
                "status": "error",
                "message": "WebSocket connections require tier 100 access. "
                "Please upgrade your API key.",
                "code": "INSUFFICIENT_TIER",
            },
            id="small-tier",
        ),
    ],
)
async def test_who_may_not_listen_is_told_and_sent_away(
    b: Bench, key: str, expected: dict[str, str]
) -> None:
    headers = {"Authorization": f"Bearer {key}"}
    async with b.http.ws_connect(f"{b.server.url}/sn8/ws", headers=headers) as socket:
        await socket.send_json({"api_key": key, "last_sequence": -1})

        assert await receive(socket) == expected
        assert await closing(socket) == 1000
        assert b.sn8.connections == 0


async def test_each_dialect_looks_for_the_key_in_its_own_place(b: Bench) -> None:
    is_ptn = b.sn8.options.dialect == "ptn"
    headers = {} if not is_ptn else BEARER
    async with b.http.ws_connect(f"{b.server.url}/sn8/ws", headers=headers) as socket:
        await socket.send_json({"last_sequence": -1} if is_ptn else {"api_key": KEY})
        answer = await receive(socket)

        assert answer["status"] == "error"
        assert "Authentication required" in answer["message"]
        assert await closing(socket) == 1000


async def test_the_sixth_connection_of_a_key_ends_the_oldest(b: Bench) -> None:
    async with listening(b) as first, listening(b, "second") as other:
        others = [listening(b) for _ in range(4)]
        for each in others:
            await each.__aenter__()
        assert b.sn8.connections == 6
        async with listening(b) as sixth:
            farewell = await receive(first)
            assert farewell["code"] == "MAX_CONNECTIONS_EXCEEDED"
            assert await closing(first) == 1000
            assert b.sn8.connections == 6
            b.sn8.set_position("BTCUSDC", 0.1)
            assert (await receive(sixth))["data"]["position"]["net_leverage"] == 0.1
            assert (await receive(other))["data"]["position"]["net_leverage"] == 0.1
        for each in others:
            await each.__aexit__(None, None, None)


async def test_numbers_are_global_in_the_older_dialect() -> None:
    async with bench() as b, listening(b) as one:
        b.sn8.set_position("BTCUSDC", 0.1)
        first = (await receive(one))["sequence"]
        url = f"{b.server.url}/sn8/ws"
        async with b.http.ws_connect(url) as late:
            await late.send_json({"api_key": KEY, "last_sequence": -1})
            welcome = await receive(late)
            assert welcome["current_sequence"] == first > 1_000_000
            await late.send_json(SUBSCRIBE)
            await receive(late)
            b.sn8.set_position("BTCUSDC", 0.2)

            assert (await receive(late))["sequence"] == first + 1
            assert (await receive(one))["sequence"] == first + 1


async def test_numbers_are_each_connection_s_own_in_the_newer_dialect() -> None:
    async with bench(dialect="vn") as b, listening(b) as one:
        b.sn8.set_position("BTCUSDC", 0.1)
        assert (await receive(one))["sequence"] == 0
        async with b.http.ws_connect(f"{b.server.url}/sn8/ws", headers=BEARER) as late:
            assert (await receive(late))["current_sequence"] == 0
            await late.send_json(SUBSCRIBE)
            await receive(late)
            b.sn8.set_position("BTCUSDC", 0.2)

            assert (await receive(late))["sequence"] == 0
            assert (await receive(one))["sequence"] == 1


async def test_the_newer_dialect_sends_dashboards_in_between() -> None:
    async with bench(dialect="vn") as b, listening(b) as socket:
        for net in (0.1, 0.2, 0.3):
            b.sn8.set_position("BTCUSDC", net)
        messages = [await receive(socket) for _ in range(4)]

        assert [row["sequence"] for row in messages] == [0, 1, 2, 3]
        assert [next(iter(row["data"])) for row in messages] == [*["position"] * 3, "dashboard"]


async def test_an_elimination_is_pushed_closed_at_no_price(b: Bench) -> None:
    b.sn8.set_position("BTCUSDC", 0.1, index=3)
    held = b.sn8.state()["miners"][3]["open"]
    async with listening(b) as socket:
        b.sn8.eliminate(index=3)
        rows: list[dict[str, Any]] = []
        while len(rows) < len(held):
            message = await receive(socket)
            rows += [message["data"]["position"]] if "position" in message["data"] else []

        assert {row["trade_pair"][0] for row in rows} == set(held)
        assert {row["orders"][-1]["price"] for row in rows} == {0}
        assert all(row["is_closed_position"] for row in rows)


@pytest.mark.parametrize("style", ["request_network", "legacy_body"])
async def test_other_ways_in_have_no_websocket(style: str) -> None:
    async with bench(auth_style=style) as b:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await b.http.ws_connect(f"{b.server.url}/sn8/ws", headers=BEARER)

        assert refused.value.status == 404


async def test_another_client_library_comes_in_as_well(b: Bench) -> None:
    url = f"{b.server.url.replace('http', 'ws')}/sn8/ws"
    async with websockets.connect(url, additional_headers=BEARER) as socket:
        await socket.send(orjson.dumps({"api_key": KEY}).decode())
        assert orjson.loads(await socket.recv())["status"] == "success"
        await socket.send(orjson.dumps(SUBSCRIBE).decode())
        await socket.recv()
        b.sn8.set_position("BTCUSDC", 0.1)

        assert orjson.loads(await socket.recv())["data"]["position"]["net_leverage"] == 0.1


async def test_the_server_stops_while_clients_listen() -> None:
    async with bench() as b:
        url = f"{b.server.url}/sn8/ws"
        silent = await b.http.ws_connect(url)  # has not said who it is
        async with listening(b) as socket:
            began_s = asyncio.get_running_loop().time()
            ends = asyncio.gather(closing(socket), closing(silent))
            await b.server.stop()

            assert list(await ends) == [1001, 1001]
            assert asyncio.get_running_loop().time() - began_s < 2


async def test_after_a_gap_in_time_changes_are_told_as_a_gap() -> None:
    async with bench(change_every_s=1.0) as b, listening(b) as socket:
        b.clock.ahead_ms = 3_600_000
        b.sn8.tick()
        before = b.server.sn8.state()["sequence"]
        b.sn8.set_position("BTCUSDC", 0.1)
        message = await receive(socket)

        assert message["sequence"] == before + 1
        assert message["data"]["position"]["trade_pair"][0] == "BTCUSDC"
