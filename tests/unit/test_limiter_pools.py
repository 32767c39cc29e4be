"""Budgets that are counted in tokens, pools that several groups share, two windows of one group."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from account_processors import venue_profiles
from account_processors.transport.caller import Caller
from account_processors.transport.limiter import Limiter, Route
from account_processors.transport.profile import Budget
from account_processors.transport.raw_client import Trip
from account_processors.transport.server_clock import ServerClock
from account_processors.transport.windows import JITTER, Priority
from core.errors import RateLimitedError
from tests.unit.limiter_scene import INCREASE, READ, REDUCE, now, pooled
from tests.virtual_time import VirtualClock, run_virtually

ORDER, POSITIONS = Route("v", "a", "order"), Route("v", "a", "positions")
SECOND = Route("v", "b", "order")
FREE, OWN, BOTH = Route("v", "a", "free"), Route("v", "a", "own"), Route("v", "a", "both")


def played(scene: Callable[[Limiter], Awaitable[None]]) -> None:
    async def play() -> None:
        limiter = pooled()
        await scene(limiter)
        await limiter.close()

    run_virtually(play())


def test_an_order_takes_its_tokens_from_the_pool() -> None:
    async def scene(limiter: Limiter) -> None:
        await limiter.take(ORDER, REDUCE, 20)
        moment = now()
        await limiter.take(ORDER, REDUCE, 1)

        assert moment == 0
        assert now() >= 5_000

    played(scene)


def test_how_many_orders_fit_at_once_is_told_in_orders() -> None:
    async def scene(limiter: Limiter) -> None:
        assert limiter.most_orders(ORDER, REDUCE) == 20
        assert limiter.most_orders(ORDER, INCREASE) == 18  # four tokens are kept for reductions
        assert limiter.most_orders(BOTH, REDUCE) == 3  # the tightest of its budgets
        assert limiter.most_orders(FREE, REDUCE) == 30  # the address alone

    played(scene)


def test_even_an_order_that_costs_more_than_its_share_may_go_alone() -> None:
    async def scene(limiter: Limiter) -> None:
        limiter.add_venue("tight", [Budget(group="pool", limit=3, source="t")], {"o": {"pool": 5}})
        route = Route("tight", "a", "o")
        await limiter.take(route, INCREASE)
        moment = now()
        await limiter.take(route, INCREASE)

        assert limiter.most_orders(route, INCREASE) == 1
        assert moment == 0
        assert now() >= 1_000

    played(scene)


def test_reads_and_orders_of_an_account_draw_on_one_pool() -> None:
    async def scene(limiter: Limiter) -> None:
        for _ in range(6):
            await limiter.take(POSITIONS, READ)  # 30 tokens; reads may use 32 of 40
        moment = now()
        await limiter.take(ORDER, INCREASE, 3)  # 36, all that is not kept for reductions
        await limiter.take(ORDER, REDUCE, 2)  # 40
        orders = now()
        await limiter.take(POSITIONS, READ)

        assert moment == orders == 0
        assert now() >= 5_000

    played(scene)


def test_another_account_has_a_pool_of_its_own() -> None:
    async def scene(limiter: Limiter) -> None:
        await limiter.take(ORDER, REDUCE, 20)
        await limiter.take(SECOND, REDUCE, 20)

        assert now() == 0

    played(scene)


def test_a_pool_of_the_address_is_shared_by_all_and_by_nobody_in_particular() -> None:
    async def scene(limiter: Limiter) -> None:
        await limiter.take(Route("v", "", "tickers"), READ)
        await limiter.take(Route("v", "a", "tickers"), READ)
        moment = now()
        await limiter.take(Route("v", "b", "tickers"), READ)

        assert moment == 0
        assert now() >= 5_000

    played(scene)


def test_a_request_of_no_account_draws_on_no_account_s_pool() -> None:
    async def scene(limiter: Limiter) -> None:
        for _ in range(3):
            await limiter.take(Route("v", "", "order"), REDUCE, 20)

        assert now() == 0

    played(scene)


def test_a_group_without_costs_of_its_own_takes_one_from_its_own_budget() -> None:
    async def scene(limiter: Limiter) -> None:
        for _ in range(3):
            await limiter.take(OWN, READ)
        moment = now()
        await limiter.take(OWN, READ)

        assert moment == 0
        assert 1_000 <= now() <= 1_000 * (1 + JITTER)

    played(scene)


def test_a_group_that_is_free_counts_for_the_address_alone() -> None:
    async def scene(limiter: Limiter) -> None:
        await limiter.take(ORDER, REDUCE, 20)  # the pool is empty
        for _ in range(25):
            await limiter.take(FREE, READ)

        assert now() == 0

    played(scene)


def test_both_windows_of_the_address_hold() -> None:
    async def scene(limiter: Limiter) -> None:
        sent = []
        for _ in range(70):
            await limiter.take(FREE, REDUCE)
            sent.append(now())

        assert sum(at == 0 for at in sent) == 30  # the short window
        assert sum(at < 10_000 for at in sent) == 60  # the long one

    played(scene)


def test_in_a_pool_reductions_go_before_increases_before_reads() -> None:
    async def scene(limiter: Limiter) -> None:
        gone: list[Priority] = []

        async def go(route: Route, priority: Priority) -> None:
            await limiter.take(route, priority)
            gone.append(priority)

        await limiter.take(ORDER, REDUCE, 20)
        asked = [(POSITIONS, READ), (ORDER, INCREASE), (POSITIONS, READ), (ORDER, REDUCE)]
        await asyncio.gather(*(go(route, priority) for route, priority in asked))

        assert gone == [REDUCE, INCREASE, READ, READ]

    played(scene)


def test_a_stream_of_reads_does_not_keep_an_order_waiting() -> None:
    async def scene(limiter: Limiter) -> None:
        async def stream() -> None:
            while True:
                await limiter.take(POSITIONS, READ)

        noise = [asyncio.create_task(stream()) for _ in range(10)]
        waits = []
        for _ in range(10):
            await asyncio.sleep(6)
            began = now()
            await limiter.take(ORDER, INCREASE, 2)
            waits.append(now() - began)
        for task in noise:
            task.cancel()
        await asyncio.gather(*noise, return_exceptions=True)

        assert max(waits) == 0  # what is kept free of reads is theirs

    played(scene)


def test_a_large_batch_is_not_overtaken_for_ever_by_small_ones() -> None:
    async def scene(limiter: Limiter) -> None:
        async def stream(begins_s: float) -> None:
            await asyncio.sleep(begins_s)
            while True:
                await limiter.take(ORDER, INCREASE)
                await asyncio.sleep(5)  # so that never all of the pool is free at once

        noise = [asyncio.create_task(stream(n * 0.3)) for n in range(20)]
        await asyncio.sleep(20)
        began = now()
        async with asyncio.timeout(60):
            await limiter.take(ORDER, INCREASE, 18)
        for task in noise:
            task.cancel()
        await asyncio.gather(*noise, return_exceptions=True)

        assert now() - began <= 3 * 5_000 * (1 + JITTER)  # those that came before it, then it

    played(scene)


def test_reads_get_through_beside_a_trickle_of_orders() -> None:
    async def scene(limiter: Limiter) -> None:
        async def trickle() -> None:
            while True:
                await limiter.take(ORDER, INCREASE)
                await asyncio.sleep(0.5)  # 20 tokens in 5 s

        orders = asyncio.create_task(trickle())
        waits = []
        for _ in range(20):
            began = now()
            await limiter.take(POSITIONS, READ)
            waits.append(now() - began)
            await asyncio.sleep(2)
        orders.cancel()
        await asyncio.gather(orders, return_exceptions=True)

        assert max(waits) <= 5_000

    played(scene)


def test_a_reservation_is_kept_in_tokens_and_given_back_in_tokens() -> None:
    async def scene(limiter: Limiter) -> None:
        await limiter.reserve(ORDER, REDUCE, 20)
        await limiter.take_reserved(ORDER, REDUCE, 5)
        waiting = asyncio.create_task(limiter.take(POSITIONS, REDUCE))
        await asyncio.sleep(1)
        assert not waiting.done()  # 10 are sent, 30 are still kept
        await waiting

        assert 5_000 <= now() <= 5_300

    played(scene)


def test_headers_tell_of_the_pool_of_the_account() -> None:
    async def scene(limiter: Limiter) -> None:
        limiter.observe(POSITIONS, limit=40, remaining=8, reset_in_ms=None)  # 32 used elsewhere
        await limiter.take(ORDER, REDUCE, 4)
        moment = now()
        await limiter.take(ORDER, REDUCE, 1)

        assert moment == 0
        assert now() >= 5_000

    played(scene)


def test_headers_of_a_group_that_is_free_change_no_pool() -> None:
    async def scene(limiter: Limiter) -> None:
        limiter.observe(FREE, limit=1, remaining=0, reset_in_ms=9_000)
        await limiter.take(ORDER, REDUCE, 20)

        assert now() == 0

    played(scene)


POOLED = [n for n, p in venue_profiles().items() if p.resets_from_now and p.limit_headers]


def caller_of(exchange: str, limiter: Limiter) -> Caller:
    profile = venue_profiles()[exchange]
    limiter.add_venue(exchange, profile.budgets, profile.costs)
    clock = VirtualClock()
    server_clock = ServerClock(clock)
    server_clock.set(
        server_ms=clock.now_ms() + 2_000, sent_at_ms=clock.now_ms(), answered_at_ms=clock.now_ms()
    )
    return Caller(
        profile=profile,
        base_error=Exception,
        limiter=limiter,
        venue=exchange,
        account="a",
        server_clock=server_clock,
        secrets=(),
    )


def said(caller: Caller, **values: int) -> Trip:
    names = caller.profile.limit_headers
    return Trip(headers={names[what].lower(): str(value) for what, value in values.items()})


def test_there_is_a_venue_whose_headers_tell_a_span() -> None:
    assert POOLED


@pytest.mark.parametrize("exchange", POOLED)
def test_b17_a_reset_that_is_a_span_is_waited_for_from_now(exchange: str) -> None:
    async def play() -> None:
        limiter = Limiter(VirtualClock(), share=1)
        caller = caller_of(exchange, limiter)
        route = caller.route("order")
        used_up = said(caller, limit=2_000, remaining=0, reset_ms=7_000)
        caller._learn(route, used_up, None)
        with pytest.raises(RateLimitedError) as told:
            await limiter.take(route, REDUCE)
        await asyncio.sleep(7)
        await limiter.take(route, REDUCE)
        await limiter.close()

        assert caller._retry_after_s(used_up) == told.value.retry_after_s == 7

    run_virtually(play())


@pytest.mark.parametrize("exchange", POOLED)
def test_b17_retry_after_goes_before_the_venue_s_own_header(exchange: str) -> None:
    async def play() -> None:
        caller = caller_of(exchange, Limiter(VirtualClock(), share=1))
        trip = said(caller, limit=2_000, remaining=0, reset_ms=7_000)
        both = Trip(headers={**trip.headers, "retry-after": "3"})

        assert caller._retry_after_s(both) == 3

    run_virtually(play())
