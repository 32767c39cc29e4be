"""One sliding window of a venue's budget: what was sent, what is reserved, what is still free.

Exact, not approximate: a request counts from the moment it is sent, a reservation for as long as
it may still be sent. No clock of its own: the time is a parameter everywhere.
"""

from collections import deque
from enum import IntEnum
from typing import Final

RESERVATION_MS: Final = 5_000  # a reservation that nobody used by then is free again
JITTER: Final = 0.05  # the venue counts at arrival: requests bunch up on their way


class Priority(IntEnum):
    """Who goes first when the budget is short."""

    REDUCE = 0
    INCREASE = 1
    READ = 2


class Window:
    """At most `limit` tokens in any `span_ms`; `reserve` of them kept free for what goes first."""

    def __init__(self, *, limit: int, span_ms: int, reserve: int = 0) -> None:
        self.limit = limit
        self._span_ms = round(span_ms * (1 + JITTER))
        self._reserve = reserve
        self._sent: deque[tuple[int, int]] = deque()
        self._reserved: deque[list[int]] = deque()  # [expires_at_ms, tokens]
        self._shut_until_ms = 0

    def allowance(self, priority: Priority) -> int:
        """Give the most tokens that `priority` may ever hold in this window; at least 1."""
        return max(1, self.limit - self._reserve * priority)

    def used(self, now_ms: int) -> int:
        """Count the tokens sent within the window and those reserved."""
        self._forget(now_ms)
        return sum(n for _, n in self._sent) + self.reserved(now_ms)

    def reserved(self, now_ms: int) -> int:
        """Count the tokens reserved and not yet sent."""
        self._forget(now_ms)
        return sum(n for _, n in self._reserved)

    def fits(self, tokens: int, priority: Priority, now_ms: int) -> bool:
        """Tell whether `tokens` more may be taken now."""
        if now_ms < self._shut_until_ms:
            return False
        allowance = self.allowance(priority)
        # more than it may ever hold goes alone: the venue's word may have shrunk the limit
        return self.used(now_ms) + min(tokens, allowance) <= allowance

    def reserve(self, tokens: int, now_ms: int) -> None:
        """Take tokens for a request that leaves soon."""
        if tokens:
            self._reserved.append([now_ms + RESERVATION_MS, tokens])

    def send_reserved(self, tokens: int, now_ms: int) -> None:
        """Turn reserved tokens into sent ones; the caller has checked that there are enough."""
        self.release(tokens)
        self.send(tokens, now_ms)

    def release(self, tokens: int) -> None:
        """Give reserved tokens back."""
        while tokens > 0 and self._reserved:
            first = self._reserved[0]
            taken = min(tokens, first[1])
            tokens -= taken
            first[1] -= taken
            if first[1] == 0:
                self._reserved.popleft()

    def send(self, tokens: int, now_ms: int) -> None:
        """Count tokens as sent now."""
        if tokens:
            self._sent.append((now_ms, tokens))

    def shut(self, until_ms: int) -> None:
        """Let nothing through before `until_ms`: the venue said that its budget is used up."""
        self._shut_until_ms = max(self._shut_until_ms, until_ms)

    def shut_for_ms(self, now_ms: int) -> int:
        """Give how long it stays shut by the venue's own word; 0 = it is not."""
        return max(0, self._shut_until_ms - now_ms)

    def changes_at_ms(self, now_ms: int) -> int | None:
        """Give the next moment at which more may fit by itself; None = it is empty."""
        self._forget(now_ms)
        moments = [row[0] for row in self._reserved]
        moments += [self._sent[0][0] + self._span_ms] if self._sent else []
        moments += [self._shut_until_ms] if self._shut_until_ms > now_ms else []
        return min(moments, default=None)

    def _forget(self, now_ms: int) -> None:
        while self._sent and self._sent[0][0] + self._span_ms <= now_ms:
            self._sent.popleft()
        while self._reserved and self._reserved[0][0] <= now_ms:
            self._reserved.popleft()
