"""Whatever is asked of the limiter: no window is exceeded, everyone gets through, by rank."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from account_processors.transport.limiter import Limiter, Route
from account_processors.transport.profile import Budget
from account_processors.transport.windows import Priority
from tests.unit.limiter_scene import COSTS, POOLS, REDUCE, now, pooled
from tests.virtual_time import run_virtually

ORDER = Route("v", "a", "order")

Asked = tuple[str, str, Priority, int, int, str]


@given(
    requests=st.lists(
        st.tuples(
            st.sampled_from(["a", "b", ""]),
            st.sampled_from(["order", "positions", "tickers", "free", "own", "both"]),
            st.sampled_from(list(Priority)),
            st.integers(1, 3),
            st.integers(0, 6_000),
            st.sampled_from(["take", "reserve", "keep"]),
        ),
        min_size=1,
        max_size=40,
    )
)
def test_whatever_is_asked_every_window_holds_and_everyone_gets_through(
    requests: list[Asked],
) -> None:
    sent: dict[tuple[str, Budget], list[tuple[int, int]]] = {}

    async def send(limiter: Limiter, request: Asked) -> None:
        account, group, priority, count, delay_ms, way = request
        route = Route("v", account, group)
        count = min(count, limiter.most_orders(route, priority))
        await asyncio.sleep(delay_ms / 1000)
        if way == "take":
            await limiter.take(route, priority, count)
        else:
            await limiter.reserve(route, priority, count)
            if way == "keep":
                return
            await limiter.take_reserved(route, priority, count)
        for budget in POOLS:
            tokens = _tokens(budget, account, group, count)
            if tokens:
                owner = account if budget.scope == "account" else ""
                sent.setdefault((owner, budget), []).append((now(), tokens))

    async def play() -> None:
        limiter = pooled()
        async with asyncio.timeout(3_600):
            await asyncio.gather(*(send(limiter, request) for request in requests))
        await limiter.close()

    run_virtually(play())

    for (_, budget), rows in sent.items():
        assert _most_within(budget.window_ms, rows) <= budget.limit, budget


def _most_within(span_ms: int, rows: list[tuple[int, int]]) -> int:
    return max(sum(n for at, n in rows if start <= at < start + span_ms) for start, _ in rows)


def _tokens(budget: Budget, account: str, group: str, count: int) -> int:
    if budget.group == "ip":
        return 1
    if budget.scope == "account" and not account:
        return 0
    return COSTS.get(group, {group: 1}).get(budget.group, 0) * count


@given(st.lists(st.sampled_from(list(Priority)), min_size=2, max_size=12))
def test_who_waits_for_one_pool_goes_by_rank_then_by_arrival(asked: list[Priority]) -> None:
    gone: list[tuple[Priority, int]] = []

    async def go(limiter: Limiter, priority: Priority, place: int) -> None:
        await limiter.take(ORDER, priority)
        gone.append((priority, place))

    async def play() -> None:
        limiter = pooled()
        await limiter.take(ORDER, REDUCE, 20)
        await asyncio.gather(*(go(limiter, p, n) for n, p in enumerate(asked)))
        await limiter.close()

    run_virtually(play())

    assert gone == sorted(gone)
