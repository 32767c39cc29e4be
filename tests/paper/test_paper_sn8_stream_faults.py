"""Each misbehaviour of the simulated validator's websocket is what it says."""

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from core.errors import ConfigError
from tests.paper.sn8_clients import Bench, bench, closing, listening, receive

HOUR_MS = 3_600_000


@pytest.fixture
async def b() -> AsyncIterator[Bench]:
    async with bench() as running:
        await running.positions()
        yield running


@pytest.mark.parametrize("dialect", ["ptn", "vn"])
async def test_lost_messages_leave_a_gap_in_the_numbers(dialect: str) -> None:
    async with bench(dialect=dialect) as b, listening(b) as socket:
        b.sn8.set_position("BTCUSDC", 0.1)
        first = (await receive(socket))["sequence"]
        b.sn8.misbehave("sequence_gap", count=1)
        b.sn8.set_position("BTCUSDC", 0.2)
        b.sn8.set_position("BTCUSDC", 0.3)
        message = await receive(socket)

        assert message["sequence"] == first + 2
        assert message["data"]["position"]["net_leverage"] == 0.3


async def test_after_a_crash_numbers_come_again(b: Bench) -> None:
    async with listening(b) as socket:
        for net in (0.1, 0.2, 0.3):
            b.sn8.set_position("BTCUSDC", net)
        numbers = [(await receive(socket))["sequence"] for _ in range(3)]
        b.sn8.repeat_sequence(back=2)
        assert await closing(socket) == 1006
    async with listening(b) as socket:
        b.sn8.set_position("BTCUSDC", 0.4)

        assert (await receive(socket))["sequence"] == numbers[1]


@pytest.mark.parametrize(
    ("how", "code"), [({}, 1011), ({"code": 1001}, 1001), ({"is_abrupt": True}, 1006)]
)
async def test_connections_are_ended(b: Bench, how: dict[str, Any], code: int) -> None:
    async with listening(b) as socket:
        b.sn8.disconnect(**how)

        assert await closing(socket) == code


async def test_a_silent_websocket_stays_open(b: Bench) -> None:
    async with listening(b) as socket:
        b.sn8.misbehave("silence")
        b.sn8.set_position("BTCUSDC", 0.1)
        await socket.send_json({"type": "ping", "timestamp": 1})
        with pytest.raises(TimeoutError):
            await socket.receive(timeout=0.1)
        b.sn8.clear("silence")
        await socket.send_json({"type": "ping", "timestamp": 2})

        assert (await receive(socket))["client_timestamp"] == 2


async def test_messages_come_in_batches(b: Bench) -> None:
    async with listening(b) as socket:
        b.sn8.misbehave("batch", messages=2)
        for net in (0.1, 0.2, 0.3):
            b.sn8.set_position("BTCUSDC", net)
        full = await receive(socket)
        b.sn8.clear()
        rest = await receive(socket)

        assert (full["type"], full["count"]) == ("batch", 2)
        leverages = [row["data"]["position"]["net_leverage"] for row in full["messages"]]
        assert leverages == [0.1, 0.2]
        assert (rest["type"], rest["count"]) == ("batch", 1)
        assert rest["messages"][0]["sequence"] == full["messages"][1]["sequence"] + 1


async def test_a_garbage_frame_is_no_message(b: Bench) -> None:
    async with listening(b) as socket:
        b.sn8.garbage()
        with pytest.raises(json.JSONDecodeError):
            await receive(socket)
        b.sn8.garbage(text="{}", kb=64, is_binary=True)
        frame = await socket.receive(timeout=5)

        assert (frame.type, len(frame.data)) == (aiohttp.WSMsgType.BINARY, 65_536)


async def test_a_stale_message_has_the_orders_of_then(b: Bench) -> None:
    b.sn8.set_position("BTCUSDC", 0.1)
    b.clock.ahead_ms = HOUR_MS
    b.sn8.set_position("BTCUSDC", 0.3)
    async with listening(b) as socket:
        b.sn8.stale_message("BTCUSDC", age_s=60)
        older = (await receive(socket))["data"]["position"]
        b.sn8.stale_message("BTCUSDC", age_s=7200)
        shifted = (await receive(socket))["data"]["position"]

        assert (older["net_leverage"], len(older["orders"])) == (0.1, 1)
        assert (shifted["net_leverage"], len(shifted["orders"])) == (0.3, 2)
        assert shifted["orders"][-1]["processed_ms"] == b.clock.now_ms() - 7_200_000
    with pytest.raises(ConfigError, match="holds nothing"):
        b.sn8.stale_message("USDJPY")
