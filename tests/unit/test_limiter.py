"""The rate limiter: exact windows, who goes first, what is given back; on virtual time."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from account_processors.bybit import PROFILE
from account_processors.transport.limiter import COMMAND_SHARE, Limiter, Route
from account_processors.transport.windows import Priority
from tests.unit.limiter_scene import (
    INCREASE,
    ORDER,
    OTHER,
    POSITIONS,
    READ,
    REDUCE,
    limiter_of,
    now,
    played,
)
from tests.virtual_time import run_virtually


def most_in_any(window_ms: int, sent: list[tuple[int, int]]) -> int:
    return max(
        (sum(n for at, n in sent if start <= at < start + window_ms) for start, _ in sent),
        default=0,
    )


def test_nothing_waits_while_its_budget_is_free() -> None:
    async def scene(limiter: Limiter) -> None:
        await limiter.take(ORDER, INCREASE, 4)
        await limiter.take(POSITIONS, READ)

        assert now() == 0

    played(scene)


def test_an_order_over_the_budget_waits_for_the_window() -> None:
    async def scene(limiter: Limiter) -> None:
        await limiter.take(ORDER, REDUCE, 5)
        await limiter.take(ORDER, REDUCE)

        assert 1000 <= now() <= 1100

    played(scene)


def test_one_account_s_orders_do_not_hold_up_another_s() -> None:
    async def scene(limiter: Limiter) -> None:
        await limiter.take(ORDER, INCREASE, 4)
        waiting = asyncio.create_task(limiter.take(ORDER, INCREASE, 4))
        await asyncio.sleep(0)
        await limiter.take(OTHER, INCREASE, 4)

        assert now() == 0

        await waiting

    played(scene)


def test_accounts_of_one_address_share_its_budget() -> None:
    async def scene(limiter: Limiter) -> None:
        routes = [Route("v", f"account{n}", "positions") for n in range(12)]
        for route in routes:
            await limiter.take(route, READ)
        moment = now()
        await limiter.take(Route("v", "one more", "positions"), READ)

        assert moment == 0
        assert now() >= 5000  # reads get 20 less twice the reserve

    played(scene)


def test_a_reduction_finds_its_reserve_when_increases_took_the_rest() -> None:
    async def scene(limiter: Limiter) -> None:
        await limiter.take(ORDER, INCREASE, 4)
        await limiter.take(ORDER, REDUCE)

        assert now() == 0

    played(scene)


def test_reductions_go_before_increases_before_reads() -> None:
    gone: list[Priority] = []

    async def go(limiter: Limiter, priority: Priority) -> None:
        await limiter.take(Route("v", f"{priority}", "positions"), priority)
        gone.append(priority)

    async def scene(limiter: Limiter) -> None:
        for n in range(20):
            await limiter.take(Route("v", f"full{n}", "positions"), REDUCE)
        await asyncio.gather(*(go(limiter, p) for p in (READ, INCREASE, REDUCE)))

        assert gone == [REDUCE, INCREASE, READ]

    played(scene)


def test_reductions_are_not_starved_by_a_stream_of_increases() -> None:
    async def scene(limiter: Limiter) -> None:
        async def stream() -> None:
            while True:
                await limiter.take(ORDER, INCREASE)

        noise = [asyncio.create_task(stream()) for _ in range(10)]
        await asyncio.sleep(10)
        waits = []
        for _ in range(10):
            began = now()
            await limiter.take(ORDER, REDUCE)
            waits.append(now() - began)
            await asyncio.sleep(1.2)
        for task in noise:
            task.cancel()
        await asyncio.gather(*noise, return_exceptions=True)

        assert max(waits) == 0  # the reserve is theirs

    played(scene)


def test_a_cancelled_waiter_gives_its_place_back() -> None:
    async def scene(limiter: Limiter) -> None:
        await limiter.take(ORDER, REDUCE, 5)
        first = asyncio.create_task(limiter.take(ORDER, REDUCE, 5))
        second = asyncio.create_task(limiter.take(ORDER, REDUCE, 5))
        await asyncio.sleep(0)
        first.cancel()
        await second

        assert now() < 1200

    played(scene)


def test_a_place_granted_to_a_cancelled_waiter_is_given_back() -> None:
    async def scene(limiter: Limiter) -> None:
        limiter.refused(ORDER, "group", 1)
        await limiter.take(ORDER, REDUCE)  # the probe
        task = asyncio.create_task(limiter.take(ORDER, REDUCE, 4))
        await asyncio.sleep(0)
        limiter.succeeded(ORDER)  # grants it, before the task can run on
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await limiter.take(ORDER, REDUCE, 4)

        assert task.cancelled()
        assert now() == 1000

    played(scene)


def test_reserved_orders_leave_without_waiting_and_count_from_then_on() -> None:
    async def scene(limiter: Limiter) -> None:
        await limiter.reserve(ORDER, INCREASE, 4)
        await asyncio.sleep(0.9)  # the intents are written
        await limiter.take_reserved(ORDER, INCREASE, 4)
        sent_at = now()
        await limiter.take(ORDER, REDUCE, 4)

        assert sent_at == 900
        assert now() >= sent_at + 1000  # from the send on, not from the reservation

    played(scene)


def test_a_reservation_that_nobody_used_is_free_again() -> None:
    async def scene(limiter: Limiter) -> None:
        await limiter.reserve(ORDER, INCREASE, 4)
        await limiter.take(ORDER, INCREASE, 4)

        assert 5000 <= now() <= 5100

    played(scene)


def test_orders_without_a_reservation_wait_their_turn() -> None:
    async def scene(limiter: Limiter) -> None:
        await limiter.take_reserved(ORDER, INCREASE, 4)
        await limiter.take_reserved(ORDER, INCREASE, 4)

        assert 1000 <= now() <= 1100

    played(scene)


def test_more_than_ever_fits_is_reserved_in_part() -> None:
    async def scene(limiter: Limiter) -> None:
        await limiter.reserve(ORDER, INCREASE, 50)

        assert now() == 0
        assert limiter.most_orders(ORDER, INCREASE) == 4
        assert limiter.most_orders(ORDER, REDUCE) == 5

    played(scene)


def test_a_command_beside_the_engine_has_a_tenth() -> None:
    async def play() -> None:
        limiter = limiter_of(share=COMMAND_SHARE)
        await limiter.take(POSITIONS, READ)
        began = now()
        await limiter.take(POSITIONS, READ)
        await limiter.close()

        assert now() - began >= 1000

    run_virtually(play())


@given(
    requests=st.lists(
        st.tuples(
            st.sampled_from(["a", "b"]),
            st.sampled_from(list(Priority)),
            st.integers(1, 4),
            st.integers(0, 900),
            st.sampled_from(["take", "reserve", "both", "cancel"]),
        ),
        min_size=1,
        max_size=40,
    )
)
def test_no_window_is_ever_exceeded_and_everyone_gets_through(
    requests: list[tuple[str, Priority, int, int, str]],
) -> None:
    by_account: dict[str, list[tuple[int, int]]] = {"a": [], "b": []}
    all_requests: list[tuple[int, int]] = []

    async def send(limiter: Limiter, request: tuple[str, Priority, int, int, str]) -> None:
        account, priority, count, delay_ms, way = request
        route = Route("v", account, "order")
        count = min(count, limiter.most_orders(route, priority))
        await asyncio.sleep(delay_ms / 1000)
        if way == "cancel":
            task = asyncio.create_task(limiter.take(route, priority, count))
            await asyncio.sleep(0)
            if task.cancel():
                await asyncio.gather(task, return_exceptions=True)
            if task.cancelled():
                return
        elif way == "take":
            await limiter.take(route, priority, count)
        else:
            if way == "reserve":  # reserved and never used
                await limiter.reserve(route, priority, count)
                return
            await limiter.reserve(route, priority, count)
            await asyncio.sleep(delay_ms / 2000)
            await limiter.take_reserved(route, priority, count)
        by_account[account].append((now(), count))
        all_requests.append((now(), 1))

    async def play() -> None:
        limiter = limiter_of()
        async with asyncio.timeout(3600):
            await asyncio.gather(*(send(limiter, request) for request in requests))
        await limiter.close()

    run_virtually(play())

    assert most_in_any(1000, by_account["a"]) <= 5
    assert most_in_any(1000, by_account["b"]) <= 5
    assert most_in_any(5000, all_requests) <= 20


def test_bybit_s_budgets_are_the_documented_ones() -> None:
    budgets = {b.group: (b.limit, b.window_ms, b.scope) for b in PROFILE.budgets}

    assert budgets["ip"] == (600, 5000, "ip")
    assert budgets["order"] == (10, 1000, "account")
    assert budgets["leverage"] == (10, 1000, "account")
    assert budgets["positions"] == (50, 1000, "account")
    assert budgets["wallet"] == (50, 1000, "account")
    assert all(budget.source for budget in PROFILE.budgets)


def test_a_command_s_tenth_of_bybit_s_budget_leaves_room_for_its_reads() -> None:
    async def play() -> None:
        limiter = limiter_of(PROFILE.budgets, share=COMMAND_SHARE)
        for _ in range(5):
            await limiter.take(POSITIONS, READ)
        await limiter.close()

        assert now() == 0

    run_virtually(play())
