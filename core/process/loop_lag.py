"""Measures how late the event loop wakes up: a call that blocks it delays every account (B9)."""

from collections import deque
from collections.abc import Callable
from typing import Final

from core.ports import Clock

EVERY_S: Final = 0.25
REMEMBERED: Final = 240  # a minute of looks
BLOCKED_MS: Final = 1_000  # worth a word


class LoopLag:
    """The worst lag of the last minute, ms; `told` is called when it is worth a word."""

    def __init__(self, clock: Clock, told: Callable[[int], None]) -> None:
        self._clock = clock
        self._told = told
        self._seen: deque[int] = deque(maxlen=REMEMBERED)

    @property
    def worst_ms(self) -> int | None:
        """Give the worst lag of the last minute; None = not measured yet."""
        return max(self._seen, default=None)

    async def watch(self) -> None:
        """Look until cancelled."""
        while True:
            began_ms = self._clock.monotonic_ms()
            await self._clock.sleep(EVERY_S)
            lag_ms = max(0, self._clock.monotonic_ms() - began_ms - int(EVERY_S * 1000))
            self._seen.append(lag_ms)
            if lag_ms >= BLOCKED_MS:
                self._told(lag_ms)
