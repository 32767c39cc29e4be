"""A limiter with small budgets on virtual time, for its tests."""

from collections.abc import Awaitable, Callable

from account_processors.transport.limiter import Limiter, Route
from account_processors.transport.profile import Budget
from account_processors.transport.windows import Priority
from tests.virtual_time import VirtualClock, run_virtually

REDUCE, INCREASE, READ = Priority
ORDER = Route("v", "a", "order")
OTHER = Route("v", "b", "order")
POSITIONS = Route("v", "a", "positions")
BUDGETS = (
    Budget(group="ip", limit=20, window_ms=5000, scope="ip", reserve=4, source="test"),
    Budget(group="order", limit=5, reserve=1, is_shared=False, source="test"),
    Budget(group="positions", limit=10, source="test"),
)

POOLS = (
    Budget(group="ip", limit=30, window_ms=1_000, scope="ip", reserve=2, source="test"),
    Budget(group="ip", limit=60, window_ms=10_000, scope="ip", reserve=4, source="test"),
    Budget(group="public", limit=10, window_ms=5_000, scope="ip", source="test"),
    Budget(group="pool", limit=40, window_ms=5_000, reserve=4, source="test"),
    Budget(group="own", limit=3, window_ms=1_000, source="test"),
)
COSTS = {
    "order": {"pool": 2},
    "positions": {"pool": 5},
    "tickers": {"public": 5},
    "free": {},
    "both": {"pool": 1, "own": 1},
}


def limiter_of(budgets: tuple[Budget, ...] = BUDGETS, share: float = 1) -> Limiter:
    limiter = Limiter(VirtualClock(), share=share)
    limiter.add_venue("v", budgets)
    return limiter


def now() -> int:
    return VirtualClock().monotonic_ms()


def played(scene: Callable[[Limiter], Awaitable[None]]) -> None:
    async def play() -> None:
        limiter = limiter_of()
        await scene(limiter)
        await limiter.close()

    run_virtually(play())


def pooled() -> Limiter:
    limiter = Limiter(VirtualClock(), share=1)
    limiter.add_venue("v", POOLS, COSTS)
    return limiter
