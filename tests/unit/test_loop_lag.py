"""The engine knows when it stood still."""

import asyncio

from core.process.loop_lag import LoopLag
from tests.virtual_time import VirtualClock, run_virtually


class StandingClock(VirtualClock):
    """Virtual time that jumps while a sleep lasts, as when a call blocks the loop."""

    def __init__(self) -> None:
        super().__init__()
        self.blocked_ms = 0

    def monotonic_ms(self) -> int:
        return super().monotonic_ms() + self.blocked_ms


def watched(block_ms: int) -> tuple[int | None, list[int]]:
    told: list[int] = []

    async def play() -> int | None:
        clock = StandingClock()
        lag = LoopLag(clock, told.append)
        watching = asyncio.create_task(lag.watch())
        await asyncio.sleep(1.1)
        clock.blocked_ms = block_ms
        await asyncio.sleep(1)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        return lag.worst_ms

    return run_virtually(play()), told


def test_b9_a_loop_that_runs_has_no_lag_to_tell() -> None:
    assert watched(0) == (0, [])


def test_b9_a_short_stop_is_measured_and_a_long_one_is_told() -> None:
    assert watched(300) == (300, [])
    assert watched(2_000) == (2_000, [2_000])


def test_b9_before_the_first_look_nothing_is_claimed() -> None:
    assert LoopLag(VirtualClock(), lambda _: None).worst_ms is None
