"""How many requests a venue takes: rolling windows by bucket. Pure: the time is an argument."""

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """One limit that a request counts against."""

    bucket: str
    limit: int
    window_ms: int
    weight: int = 1
    is_fixed: bool = False  # the window starts at its first request and ends for all of them
    ban_ms: int = 600_000  # how long an address that goes over is shut out: "at least 10 minutes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What a bucket said."""

    is_allowed: bool
    limit: int
    remaining: int
    reset_ms: int  # when the oldest request leaves the window


class RollingWindows:
    """Counts of what was allowed, by bucket."""

    def __init__(self) -> None:
        self._taken: dict[str, deque[tuple[int, int]]] = {}

    def take(self, budget: Budget, at_ms: int) -> Allowance:
        """Count a request if its whole weight fits; a refused one counts nothing."""
        taken = self._taken.setdefault(budget.bucket, deque())
        while taken and taken[0][0] <= at_ms - budget.window_ms:
            if budget.is_fixed:
                taken.clear()
            else:
                taken.popleft()
        used = sum(weight for _, weight in taken)
        is_allowed = used + budget.weight <= budget.limit
        if is_allowed:
            taken.append((at_ms, budget.weight))
            used += budget.weight
        oldest = taken[0][0] if taken else at_ms
        return Allowance(
            is_allowed=is_allowed,
            limit=budget.limit,
            remaining=budget.limit - used,
            reset_ms=oldest + budget.window_ms,
        )
