"""How many orders an account may send: a loop that trades against itself must end.

Pure. Counted are all orders of ours, reductions too; refused are increases alone.
"""

from collections import deque
from dataclasses import dataclass

from core.clock import DAY_MS
from core.decision import Reason

MINUTE_MS = 60_000


class OrderTimes:
    """When an account's orders were sent, of the last day; each client id once."""

    def __init__(self) -> None:
        self._times: deque[tuple[int, str]] = deque()
        self._known: set[str] = set()
        self.count = 0  # of this run

    def add(self, client_id: str, at_ms: int) -> None:
        """Count an order."""
        if client_id in self._known:
            return
        self._known.add(client_id)
        self._times.append((at_ms, client_id))
        self.count += 1
        while self._times and self._times[0][0] < at_ms - DAY_MS:
            self._known.discard(self._times.popleft()[1])

    def between(self, from_ms: int, to_ms: int) -> int:
        """Count the orders of a span of time, both ends within; what a clock dreamt up is not."""
        return sum(1 for sent_ms, _ in self._times if from_ms <= sent_ms <= to_ms)


def last_minute(times: OrderTimes, now_ms: int) -> int:
    """Count the orders of the last 60 s."""
    return times.between(now_ms - MINUTE_MS + 1, now_ms)


def today(times: OrderTimes, now_ms: int, from_ms: int = 0) -> int:
    """Count the orders since 00:00 UTC, and since `from_ms`."""
    return times.between(max(now_ms - now_ms % DAY_MS, from_ms), now_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLimits:
    """How many orders are allowed, 0 = any number; the day's count begins at `from_ms`."""

    per_minute: int
    per_day: int
    from_ms: int = 0


def refusal(
    times: OrderTimes, now_ms: int, limits: OrderLimits, *, pending: int = 0
) -> Reason | None:
    """Say why no further increase may go now; None = it may.

    `pending` orders were let go a moment ago and are not counted yet.
    """
    count = today(times, now_ms, limits.from_ms)
    if limits.per_day and count + pending >= limits.per_day:
        text = f"{count} orders since 00:00 UTC, at most {limits.per_day} (max_orders_per_day)"
        return Reason(code="orders_per_day", text=text)
    count = last_minute(times, now_ms)
    if limits.per_minute and count + pending >= limits.per_minute:
        text = f"{count} orders in the last minute, at most {limits.per_minute}: it waits"
        return Reason(code="orders_per_minute", text=text)
    return None
