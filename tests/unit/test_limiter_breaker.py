"""What the limiter learns from the venue: refusals, bans, what its headers say."""

import asyncio
from itertools import pairwise

import pytest

from account_processors.transport.limiter import Limiter, Route
from core.errors import RateLimitedError
from tests.unit.limiter_scene import ORDER, OTHER, POSITIONS, READ, REDUCE, now, played


def test_b17_a_refusal_opens_the_breaker_and_one_probe_closes_it() -> None:
    async def scene(limiter: Limiter) -> None:
        limiter.refused(ORDER, "group", 1)
        first = asyncio.create_task(limiter.take(ORDER, REDUCE))
        second = asyncio.create_task(limiter.take(ORDER, REDUCE))
        await first
        moment = now()
        await asyncio.sleep(5)

        assert moment == 1000
        assert not second.done()  # it waits for the probe's answer

        limiter.succeeded(ORDER)
        await second

    played(scene)


def test_b17_reserved_orders_too_leave_one_at_a_time_until_the_probe_is_answered() -> None:
    async def scene(limiter: Limiter) -> None:
        await limiter.reserve(ORDER, REDUCE, 2)
        limiter.refused(ORDER, "group", 1)
        first = asyncio.create_task(limiter.take_reserved(ORDER, REDUCE, 1))
        second = asyncio.create_task(limiter.take_reserved(ORDER, REDUCE, 1))
        await first
        await asyncio.sleep(3)

        assert not second.done()

        limiter.succeeded(ORDER)
        await second

    played(scene)


def test_b17_an_answer_to_what_left_before_the_refusal_does_not_end_the_silence() -> None:
    async def scene(limiter: Limiter) -> None:
        await limiter.take(POSITIONS, READ)
        await limiter.take(ORDER, REDUCE)
        limiter.refused(POSITIONS, "ip", 30)  # the first one's answer
        limiter.succeeded(ORDER)  # the second one's, which left before
        with pytest.raises(RateLimitedError):
            await limiter.take(ORDER, REDUCE)
        await asyncio.sleep(30)
        await limiter.take(ORDER, REDUCE)
        limiter.succeeded(ORDER)
        await limiter.take(ORDER, REDUCE)

        assert now() == 30_000

    played(scene)


def test_b17_a_ban_is_told_at_once_with_its_length() -> None:
    async def scene(limiter: Limiter) -> None:
        limiter.refused(ORDER, "ip", 600)
        with pytest.raises(RateLimitedError) as caught:
            await limiter.take(Route("v", "", "ip"), READ)
        with pytest.raises(RateLimitedError):
            await limiter.reserve(OTHER, REDUCE, 1)

        assert caught.value.retry_after_s == 600
        assert now() == 0

    played(scene)


def test_who_waits_when_the_ban_comes_is_told_too() -> None:
    async def scene(limiter: Limiter) -> None:
        await limiter.take(ORDER, REDUCE, 5)
        waiting = asyncio.create_task(limiter.take(ORDER, REDUCE))
        await asyncio.sleep(0.1)
        limiter.refused(POSITIONS, "ip", 60)
        with pytest.raises(RateLimitedError):
            await waiting

        assert now() == 100

    played(scene)


def test_a_refused_endpoint_leaves_the_others_open() -> None:
    async def scene(limiter: Limiter) -> None:
        limiter.refused(POSITIONS, "group", 60)
        await limiter.take(ORDER, REDUCE)

        assert now() == 0

    played(scene)


def test_a_probe_that_is_refused_waits_longer_each_time() -> None:
    async def scene(limiter: Limiter) -> None:
        moments = []
        for _ in range(3):
            limiter.refused(ORDER, "group", 1)
            try:
                await limiter.take(ORDER, REDUCE)
            except RateLimitedError as error:
                await asyncio.sleep(error.retry_after_s)
                await limiter.take(ORDER, REDUCE)
            moments.append(now())

        gaps = [after - before for before, after in pairwise([0, *moments])]
        assert gaps == [1000, 2000, 4000]

    played(scene)


def test_a_probe_that_got_no_answer_lets_the_next_one_try() -> None:
    async def scene(limiter: Limiter) -> None:
        limiter.refused(ORDER, "group", 1)
        await limiter.take(ORDER, REDUCE)
        limiter.unanswered(ORDER)
        await limiter.take(ORDER, REDUCE)

        assert now() == 1000

    played(scene)


def test_headers_tell_of_requests_that_others_made_with_the_key() -> None:
    async def scene(limiter: Limiter) -> None:
        await limiter.take(POSITIONS, READ)
        limiter.observe(POSITIONS, limit=10, remaining=1, reset_in_ms=None)
        await limiter.take(POSITIONS, READ)
        moment = now()
        await limiter.take(POSITIONS, READ)

        assert moment == 0
        assert now() >= 1000

    played(scene)


def test_a_lower_limit_in_the_headers_is_taken_over() -> None:
    async def scene(limiter: Limiter) -> None:
        limiter.observe(ORDER, limit=2, remaining=2, reset_in_ms=None)
        await limiter.take(ORDER, REDUCE, 2)
        await limiter.take(ORDER, REDUCE, 1)

        assert now() >= 1000

    played(scene)


def test_a_used_up_budget_waits_for_the_reset_of_the_headers() -> None:
    async def scene(limiter: Limiter) -> None:
        limiter.observe(POSITIONS, limit=10, remaining=0, reset_in_ms=1500)
        await limiter.take(POSITIONS, READ)

        assert now() >= 1500

    played(scene)


def test_b17_a_budget_that_is_used_up_for_long_is_told_and_not_waited_for() -> None:
    async def scene(limiter: Limiter) -> None:
        limiter.observe(POSITIONS, limit=10, remaining=0, reset_in_ms=30_000)
        with pytest.raises(RateLimitedError) as told:
            await limiter.take(POSITIONS, READ)

        assert (now(), told.value.retry_after_s) == (0, 30)
        await asyncio.sleep(30)
        await limiter.take(POSITIONS, READ)

    played(scene)


def test_refusals_of_what_was_on_the_wire_together_count_once() -> None:
    async def scene(limiter: Limiter) -> None:
        for _ in range(5):
            limiter.refused(ORDER, "group", 1)
        await limiter.take(ORDER, REDUCE)

        assert now() == 1000

    played(scene)


def test_headers_of_a_public_reply_change_nothing() -> None:
    async def scene(limiter: Limiter) -> None:
        limiter.observe(Route("v", "", "ip"), limit=1, remaining=0, reset_in_ms=9000)
        limiter.observe(ORDER, limit=None, remaining=None, reset_in_ms=None)
        limiter.observe(ORDER, limit=5, remaining=None, reset_in_ms=None)
        await limiter.take(ORDER, REDUCE, 5)

        assert now() == 0

    played(scene)


def test_closing_ends_every_wait() -> None:
    async def scene(limiter: Limiter) -> None:
        await limiter.take(ORDER, REDUCE, 5)
        waiting = asyncio.create_task(limiter.take(ORDER, REDUCE))
        await asyncio.sleep(0)
        await limiter.close()
        await asyncio.gather(waiting, return_exceptions=True)

        assert waiting.cancelled()
        assert now() == 0

    played(scene)
