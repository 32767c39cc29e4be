"""One who listens to a `PositionStream` and notes what it tells."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from signal_processors.bittensor_stream import PositionStream
from tests.sn8_servers import KEY, Answer, access, serving
from tests.virtual_time import VirtualClock


class Most(random.Random):
    """Chance at its longest: the back-off is then exact."""

    def random(self) -> float:
        return 1.0


class Listener:
    """A stream and what it told."""

    def __init__(self, websocket: str | None, *, key: str = KEY) -> None:
        self.positions: list[Any] = []
        self.gaps: list[str] = []
        self.lives: list[bool] = []
        self.fails_at: object = None
        self._changed = asyncio.Event()
        self.stream = PositionStream(
            access(websocket=websocket, key=key),
            clock=VirtualClock(),
            chance=Most(),
            on_message=self._take,
            on_gap=self._note(self.gaps.append),
            on_live=self._note(self.lives.append),
        )

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something told makes it true."""
        while not holds():
            self._changed.clear()
            await self._changed.wait()

    async def positions_came(self, count: int) -> None:
        await self.until(lambda: len(self.positions) >= count)

    async def gaps_came(self, count: int) -> None:
        await self.until(lambda: len(self.gaps) >= count)

    def _take(self, raw: bytes, received_at_ms: int) -> None:
        position = json.loads(raw)
        if position == self.fails_at:
            raise KeyError(KEY)
        assert received_at_ms >= VirtualClock().now_ms() - 1
        self.positions.append(position)
        self._changed.set()

    def _note(self, note: Callable[[Any], None]) -> Callable[[Any], None]:
        def take(told: object) -> None:
            note(told)
            self._changed.set()

        return take


@asynccontextmanager
async def listening(answer: Answer, *, key: str = KEY) -> AsyncIterator[Listener]:
    async with serving(answer) as base:
        listener = Listener(f"{base.replace('http', 'ws')}/ws", key=key)
        running = asyncio.create_task(listener.stream.run())
        try:
            yield listener
        finally:
            assert not running.done()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            assert running.cancelled()
