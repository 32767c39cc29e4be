"""The SN8 service from its start to its end: what it waits for, what it takes up while it runs."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from aiohttp import web

from core.errors import ConfigError
from core.home import Home
from core.process.service_status import replace_status
from core.store import read_json
from signal_processors import bittensor_service
from signal_processors.bittensor_memory import NAME
from signal_processors.bittensor_service import NO_KEY, NO_PAPER, PAPER
from tests.engine.sn8_house import KEY, STOPS_WITHIN_S, House, house
from tests.sn8_servers import serving


@pytest.fixture
async def inside(home: Home, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    monkeypatch.setattr(bittensor_service, "LOOK_S", 0.05)
    async with house(home, monkeypatch) as made:
        made.hold(0.25)
        made.sn8.rebuild()
        yield made


def waits_for(inside: House, what: str) -> bool:
    return bool(inside.status().get("waiting_for") == what)


async def test_without_a_key_it_says_so_once_and_takes_one_up_later(
    inside: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    inside.home.credentials.write_text('{"accounts": []}')
    inside.start()
    await inside.until(lambda: waits_for(inside, NO_KEY))
    assert inside.status()["ready"] is True
    for _ in range(10):
        await inside.nudges.wait(0.05)
    assert sum(record.message == NO_KEY for record in caplog.records) == 1
    inside.put_key()

    await inside.until(inside.is_in_step)
    await inside.until(lambda: inside.depths() != {}, "a depth")
    assert "waiting_for" not in inside.status()
    assert KEY not in caplog.text
    assert KEY not in json.dumps(inside.status())


async def test_a_half_written_file_of_keys_ends_nothing_and_is_told_once(
    inside: House, caplog: pytest.LogCaptureFixture
) -> None:
    inside.home.credentials.write_text('{"bittensor_sn8": {"api_k')
    inside.start()
    await inside.until(lambda: "credentials.json" in inside.problems())
    for _ in range(10):
        await inside.nudges.wait(0.05)
    assert sum("credentials.json" in record.message for record in caplog.records) == 1
    inside.put_key()

    await inside.until(lambda: inside.depths() != {}, "a depth")
    assert inside.problems() == "[]"


async def test_it_waits_for_the_paper_exchange_and_goes_on_when_that_is_there(
    inside: House,
) -> None:
    replace_status(inside.home, PAPER, {"url": None})
    inside.start()
    await inside.until(lambda: waits_for(inside, NO_PAPER))
    inside.put_paper()

    await inside.until(lambda: inside.depths() != {}, "a depth")


async def test_it_ends_when_the_paper_exchange_moves_to_another_address(inside: House) -> None:
    await inside.settle()
    replace_status(inside.home, PAPER, {"url": None})
    for _ in range(5):
        await inside.nudges.wait(0.05)
    assert not inside.service.stopping.is_set()
    replace_status(inside.home, PAPER, {"url": "http://127.0.0.1:1"})

    await asyncio.wait_for(inside.service.stopping.wait(), 5)


async def test_settings_that_were_never_good_refuse_the_start(inside: House) -> None:
    inside.put_config_text('{"ranking": "by-luck"}')
    inside.start()
    await asyncio.wait({inside.running}, timeout=5)

    with pytest.raises(ConfigError, match="ranking"):
        await inside.stop()


async def test_edited_settings_are_in_force_without_a_restart(inside: House) -> None:
    await inside.settle()
    before = inside.depths()["BTCUSD"]
    inside.put_config(trading_limits={"leverage_limit": 1})
    await inside.until(lambda: inside.is_in_step_at("1"), "the new limit")
    assert abs(inside.depths()["BTCUSD"] - before / 2) < Decimal("0.001")
    weight = max(inside.weights().values())
    inside.put_config(following={"max_weight": 0.02})

    await inside.until(lambda: max(inside.weights().values()) == Decimal("0.01"), "the new cap")
    assert weight == Decimal("0.05")


async def test_an_edited_ranking_is_in_force_at_once_also_while_push_alone_is_trusted(
    inside: House,
) -> None:
    await inside.settle()
    await inside.quiet()
    inside.put_config(ranking="classic", filtering={"min_profitable_rate": 0})

    await inside.until(lambda: inside.ranking() == "classic", "the ranking")


async def test_simulated_miners_need_no_chain_even_where_one_is_required(inside: House) -> None:
    inside.put_config(chain={"require": "hard"})
    await inside.settle()

    assert inside.depths()["BTCUSD"] > 0
    assert inside.status()["chain"] == "off"


async def test_without_push_snapshots_alone_are_followed(inside: House) -> None:
    inside.put_config(fetching={"use_push": False})
    inside.start()
    await inside.until(lambda: inside.depths() != {}, "the first depth")
    inside.hold(0.5)
    await inside.until(inside.is_in_step, "the next snapshot")

    assert inside.sn8.connections == 0
    assert inside.status()["push"]["live"] is False


async def test_a_key_below_tier_100_asks_for_its_tier_and_for_no_push(inside: House) -> None:
    inside.put_key(tier=50)
    inside.start()
    await inside.until(lambda: inside.ranking() != "", "the first snapshot")

    assert inside.sn8.connections == 0
    assert {row.path for row in inside.sn8.requests("/miner-positions")} == {
        "/miner-positions?tier=50"
    }


async def test_a_pair_that_is_mapped_later_is_followed_at_once(inside: House) -> None:
    inside.home.asset_mapping.write_text('{"bittensor": {"BTCUSD": "BTCUSDT"}}')
    inside.hold(0.25, "ETHUSD")
    await inside.settle()
    assert "ETHUSD" not in inside.depths()
    targets = {"BTCUSD": "BTCUSDT", "ETHUSD": "ETHUSDT"}
    inside.home.asset_mapping.write_text(json.dumps({"bittensor": targets}))

    await inside.until(lambda: inside.depths().get("ETHUSD", 0) != 0, "the new pair")


async def test_a_broken_settings_file_keeps_the_last_good_one_and_is_told(inside: House) -> None:
    await inside.settle()
    before = inside.depths()
    inside.put_config_text('{"trading_limits": {"leverage_limit"')
    await inside.until(lambda: "bittensor_processor_config.json" in inside.problems())
    await inside.look()
    assert inside.depths() == before
    inside.hold(0.4)
    await inside.until(inside.is_in_step, "following all the same")
    inside.put_config()

    await inside.until(lambda: inside.problems() == "[]")


async def test_a_changed_key_is_told_to_need_a_restart(inside: House) -> None:
    await inside.settle()
    inside.put_key(api_key="another")

    await inside.until(lambda: "restart bittensor-signals" in inside.problems())
    assert "another" not in inside.problems()


async def test_a_restart_goes_on_without_a_new_line(inside: House) -> None:
    await inside.settle()
    before, lines = inside.depths(), len(inside.lines())
    assert await inside.stop() < STOPS_WITHIN_S
    assert len(read_json(inside.home.state / NAME)["ranking"]["rows"]) == len(inside.weights())
    inside.start()
    count = len(inside.sn8.requests("/miner-positions"))
    await inside.until(lambda: len(inside.sn8.requests("/miner-positions")) > count)
    await inside.look()

    assert (inside.depths(), len(inside.lines())) == (before, lines)
    inside.hold(0.4)
    await inside.until(inside.is_in_step, "following")


# --- the end
async def test_it_stops_in_time_while_it_waits_for_a_key(inside: House) -> None:
    inside.home.credentials.write_text('{"accounts": []}')
    inside.start()
    await inside.until(lambda: waits_for(inside, NO_KEY))

    assert await inside.stop() < STOPS_WITHIN_S


async def test_it_stops_in_time_while_it_waits_for_the_paper_exchange(inside: House) -> None:
    replace_status(inside.home, PAPER, {"url": None})
    inside.start()
    await inside.until(lambda: waits_for(inside, NO_PAPER))

    assert await inside.stop() < STOPS_WITHIN_S


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        pytest.param("hang", "/eliminations", id="first-question-hangs"),
        pytest.param("hang", "/miner-positions", id="positions-hang"),
        pytest.param("hang", "*", id="all-hangs"),
        pytest.param("gzip_bomb", "/miner-positions", id="amid-a-fetch"),
        pytest.param("latency", "/statistics", id="slow"),
    ],
)
async def test_it_stops_in_time_amid_a_fetch(inside: House, kind: str, path: str) -> None:
    inside.sn8.misbehave(kind, path=path)
    inside.start()
    await inside.until(lambda: "validator" in inside.status())
    for _ in range(10):
        await inside.nudges.wait(0.05)

    assert await inside.stop() < STOPS_WITHIN_S


async def test_it_stops_in_time_when_the_websocket_says_nothing(inside: House) -> None:
    await inside.settle()
    inside.sn8.misbehave("silence")

    assert await inside.stop() < STOPS_WITHIN_S


async def test_it_stops_in_time_when_nobody_shakes_hands(inside: House) -> None:
    """The websocket's other end takes the connection and says nothing."""
    server = await asyncio.start_server(_mute, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        inside.put_key(endpoint=f"{inside.server.url}/sn8", websocket=f"ws://127.0.0.1:{port}/ws")
        inside.start()
        await inside.until(lambda: inside.depths() != {}, "a depth")

        assert await inside.stop() < STOPS_WITHIN_S


async def test_it_stops_in_time_when_the_validator_is_frozen(inside: House) -> None:
    """The websocket's other end answers nothing any more, not even a goodbye."""
    is_over = asyncio.Event()

    async def freeze(request: web.BaseRequest) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"type": "subscription_status", "status": "success"})
        await is_over.wait()
        return socket

    async with serving(freeze) as url:
        websocket = url.replace("http", "ws")
        inside.put_key(endpoint=f"{inside.server.url}/sn8", websocket=f"{websocket}/ws")
        inside.start()
        await inside.until(lambda: inside.depths() != {}, "a depth")
        await inside.until(lambda: inside.status()["push"]["live"] is True, "push")
        took_s = await inside.stop()
        is_over.set()

    assert took_s < STOPS_WITHIN_S


async def _mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()
