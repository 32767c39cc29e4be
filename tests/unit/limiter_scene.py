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
