"""The system's clock behind the `Clock` port; tests give a virtual one.

Wall time is UTC milliseconds; only it is written to files. Durations within a run are measured on
the monotonic clock, so a host whose clock steps does not shorten a deadline.
"""

import asyncio
import time
from datetime import UTC, datetime

DAY_MS = 86_400_000


class SystemClock:
    """Real time."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch, UTC."""
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> int:
        """Milliseconds on a clock that never steps back; its zero means nothing."""
        return time.monotonic_ns() // 1_000_000

    async def sleep(self, seconds: float) -> None:
        """Wait `seconds`."""
        await asyncio.sleep(seconds)


class SteadyClock(SystemClock):
    """Wall time as it was at the start, advanced by the monotonic clock.

    For one process's bookkeeping: a host whose clock is set back or forth meanwhile can neither
    make a read look older than an order nor a deadline come early.
    """

    def __init__(self) -> None:
        self._offset_ms = super().now_ms() - self.monotonic_ms()

    def now_ms(self) -> int:
        """Milliseconds since the epoch, UTC, never stepping."""
        return self._offset_ms + self.monotonic_ms()


def utc_day(at_ms: int) -> str:
    """The UTC day of a time, as `YYYY-MM-DD`: the name of the day's journal file."""
    return datetime.fromtimestamp(at_ms / 1000, tz=UTC).strftime("%Y-%m-%d")


def utc_minute(at_ms: int) -> str:
    """A time as people read it: `YYYY-MM-DD HH:MM UTC`."""
    return datetime.fromtimestamp(at_ms / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")


def next_utc_day_ms(at_ms: int) -> int:
    """The beginning of the UTC day that follows a time, ms since the epoch."""
    return (at_ms // DAY_MS + 1) * DAY_MS
