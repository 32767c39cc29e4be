"""Lets callers that want the same answer at the same time share one request."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Answer = TypeVar("Answer")


class SingleFlight(Generic[Answer]):
    """At most one run at a time; a failure is everybody's who waited, and is not kept."""

    def __init__(self, run: Callable[[], Awaitable[Answer]]) -> None:
        self._run = run
        self._task: asyncio.Task[Answer] | None = None

    async def join(self) -> Answer:
        """Start the run or join the one on its way; a cancelled caller does not end it."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._start())
            self._task.add_done_callback(_look_at_error)
        return await asyncio.shield(self._task)

    async def close(self) -> None:
        """End the run that is on its way."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _start(self) -> Answer:
        return await self._run()


def _look_at_error(task: asyncio.Task[Answer]) -> None:
    # nobody may be left to see it; asyncio would complain about that
    if not task.cancelled():
        task.exception()
