"""How pushed positions are heard, against validators of both dialects, on virtual time."""

import asyncio
import json
import logging
from typing import Literal

import pytest
from aiohttp import web

from signal_processors.bittensor_stream import MOST_FRAME_BYTES
from tests.sn8_listening import Listener, listening
from tests.sn8_servers import (
    KEY,
    SERVER_AHEAD_MS,
    Validator,
    run_with_sockets,
)
from tests.virtual_time import EPOCH_MS

Dialect = Literal["ptn", "vn"]
DIALECTS: tuple[Dialect, ...] = ("ptn", "vn")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_positions_are_heard_in_both_dialects(dialect: Dialect) -> None:
    async def story() -> None:
        validator = Validator(dialect)
        async with listening(validator.answer) as listener:
            await validator.subscribed()
            await listener.gaps_came(1)
            assert listener.stream.is_live
            assert listener.stream.problem == ""
            for number in range(5):
                await validator.push({"n": number})
            await listener.positions_came(5)

        assert listener.positions == [{"n": number} for number in range(5)]
        assert listener.gaps == ["connected"]
        assert listener.lives == [True, False]
        assert listener.stream.counters["messages"] == 5
        [upgrade] = validator.upgrades
        assert upgrade.headers["Authorization"] == f"Bearer {KEY}"
        assert validator.frames[0] == {"api_key": KEY, "last_sequence": -1}
        assert (validator.frames[1]["type"], validator.frames[1]["all"]) == ("subscribe", True)

    run_with_sockets(story())


@pytest.mark.parametrize(
    ("numbers", "gaps"),
    [
        pytest.param((5, 6, 7), 0, id="one-after-the-other"),
        pytest.param((5, 7, 8), 1, id="one-missing"),
        pytest.param((5, 6, 3, 4, 5), 1, id="repeated-after-a-crash"),
        pytest.param((5, 5, 6), 1, id="twice"),
        pytest.param((5, 9, 2, 3), 2, id="forth-and-back"),
    ],
)
def test_each_break_in_the_numbers_is_told_once_and_nothing_is_dropped(
    numbers: tuple[int, ...], gaps: int
) -> None:
    async def story() -> None:
        validator = Validator()
        async with listening(validator.answer) as listener:
            await validator.subscribed()
            for number in numbers:
                await validator.push({"n": number}, sequence=number)
            await listener.positions_came(len(numbers))

        assert listener.gaps == ["connected", *["sequence"] * gaps]
        assert [position["n"] for position in listener.positions] == list(numbers)
        assert listener.stream.counters["gaps"] == 1 + gaps

    run_with_sockets(story())


def test_a_change_before_the_subscription_is_confirmed_counts() -> None:
    async def story() -> None:
        validator = Validator()
        validator.is_confirming = False
        async with listening(validator.answer) as listener:
            await validator.subscribed()
            assert listener.lives == []
            await validator.push({"n": 1})
            await listener.positions_came(1)
            assert listener.stream.is_live

        assert listener.gaps == ["connected"]

    run_with_sockets(story())


def test_a_batch_is_taken_apart_and_its_numbers_are_watched() -> None:
    async def story() -> None:
        validator = Validator()
        async with listening(validator.answer) as listener:
            await validator.subscribed()
            await validator.push({"n": 0})
            batch = [validator.numbered({"n": n}) for n in (1, 2)]
            batch.append(validator.numbered({"n": 3}, sequence=validator.sequence + 2))
            await validator.say({"type": "batch", "messages": batch, "count": 3})
            await listener.positions_came(4)

        assert [position["n"] for position in listener.positions] == [0, 1, 2, 3]
        assert listener.gaps == ["connected", "sequence"]

    run_with_sockets(story())


def test_dashboards_are_passed_over_but_their_numbers_count() -> None:
    async def story() -> None:
        validator = Validator("vn")
        async with listening(validator.answer) as listener:
            await validator.subscribed()
            await validator.push({"n": 1})
            validator.sequence += 1
            await validator.say({"sequence": validator.sequence, "data": {"dashboard": {"a": 1}}})
            await validator.push({"n": 2})
            await listener.positions_came(2)

        assert listener.gaps == ["connected"]
        assert listener.stream.counters["ignored"] == 2  # the welcome, and this

    run_with_sockets(story())


@pytest.mark.parametrize("frame", ["garbage{", "[]", '{"sequence": "x"}', '{"sequence": 3}'])
def test_garbage_is_counted_and_is_a_gap_and_what_follows_is_heard(frame: str) -> None:
    async def story() -> None:
        validator = Validator()
        async with listening(validator.answer) as listener:
            await validator.subscribed()
            await validator.push({"n": 1})
            await validator.say(frame)
            await validator.push({"n": 2})
            await listener.positions_came(2)

        assert listener.gaps == ["connected", "garbage"]
        assert listener.stream.counters["garbage"] == 1
        assert len(validator.upgrades) == 1

    run_with_sockets(story())


@pytest.mark.parametrize(
    ("length", "is_taken"),
    [
        pytest.param(MOST_FRAME_BYTES, True, id="as-large-as-may-be"),
        pytest.param(MOST_FRAME_BYTES + 1, False, id="a-byte-more"),
    ],
)
def test_a_frame_may_be_a_mebibyte_and_no_more(length: int, is_taken: bool) -> None:
    async def story() -> None:
        validator = Validator()
        async with listening(validator.answer) as listener:
            await validator.subscribed()
            bare = len(json.dumps(validator.numbered({"n": ""})))
            await validator.push({"n": "x" * (length - bare)}, sequence=validator.sequence)
            if is_taken:
                await listener.positions_came(1)
            else:
                await listener.gaps_came(3)

        tail = [] if is_taken else ["too_large", "connected"]
        assert listener.gaps == ["connected", *tail]
        assert listener.stream.counters["too_large"] == (0 if is_taken else 1)

    run_with_sockets(story())


def test_an_abrupt_close_is_a_gap_and_connects_again() -> None:
    async def story() -> None:
        validator = Validator()
        async with listening(validator.answer) as listener:
            await validator.subscribed()
            await validator.push({"n": 1})
            await listener.positions_came(1)
            validator.break_off()
            await listener.until(lambda: listener.lives == [True, False])
            assert not listener.stream.is_live
            await validator.subscribed(2)
            await validator.push({"n": 2}, sequence=3)
            await listener.positions_came(2)
            assert listener.stream.problem == ""

        assert listener.gaps == ["connected", "connected"]
        assert listener.lives == [True, False, True, False]
        assert listener.stream.counters["connections"] == 2

    run_with_sockets(story())


def test_pings_measure_the_validator_s_clock() -> None:
    async def story() -> None:
        validator = Validator("vn")
        async with listening(validator.answer) as listener:
            await asyncio.sleep(70)

        pings = [frame for frame in validator.frames if frame.get("type") == "ping"]
        after_s = [round((ping["timestamp"] - EPOCH_MS) / 1000) for ping in pings]
        assert after_s == [20, 40, 60]
        assert listener.stream.counters["pongs"] == 3
        assert listener.stream.clock_offset_ms == pytest.approx(SERVER_AHEAD_MS, abs=20)
        assert len(validator.upgrades) == 1

    run_with_sockets(story())


def test_silence_ends_a_connection_after_a_minute() -> None:
    async def story() -> None:
        validator = Validator()
        async with listening(validator.answer) as listener:
            await validator.subscribed()
            validator.is_mute = True
            await validator.subscribed(2)

        first_s, second_s = validator.arrived_at_s
        assert 60 < second_s - first_s < 62
        assert listener.gaps[:1] == ["connected"]

    run_with_sockets(story())


def test_any_word_in_time_keeps_a_connection() -> None:
    async def story() -> None:
        validator = Validator()
        async with listening(validator.answer):
            await validator.subscribed()
            validator.is_mute = True
            for _ in range(5):
                await asyncio.sleep(55)
                await validator.say({"type": "news"})

        assert len(validator.upgrades) == 1

    run_with_sockets(story())


def test_a_listener_that_fails_is_a_gap_and_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        validator = Validator()
        async with listening(validator.answer) as listener:
            await validator.subscribed()
            listener.fails_at = {"n": 1}
            await validator.push({"n": 1})
            await validator.push({"n": 2})
            await listener.positions_came(1)

        assert listener.positions == [{"n": 2}]
        assert listener.gaps == ["connected", "not_taken"]
        assert listener.stream.counters["failed"] == 1

    run_with_sockets(story())

    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_without_an_address_there_is_nothing_to_run() -> None:
    async def story() -> None:
        listener = Listener(None)
        await listener.stream.run()

        assert "credentials.json: bittensor_sn8.websocket" in listener.stream.problem
        assert listener.lives == []

    run_with_sockets(story())


def test_a_page_instead_of_a_websocket_is_tried_again() -> None:
    async def story() -> None:
        asked: list[str] = []

        async def answer(request: web.BaseRequest) -> web.Response:
            asked.append(request.path)
            return web.Response(text="hello")

        async with listening(answer) as listener:
            await asyncio.sleep(6.5)
            assert "credentials.json: bittensor_sn8.websocket" in listener.stream.problem

        assert len(asked) == 3  # at once, after 1 s, after 2 s more; the next after 4 s more

    run_with_sockets(story())
