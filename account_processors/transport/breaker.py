"""Keeps quiet for as long as a venue asked for, then lets one request try.

One breaker a scope: a venue's whole address, or one account's endpoint group. Pure: time is a
parameter.
"""

from typing import Final

LONGEST_S: Final = 600
PROBE_LOST_MS: Final = 30_000  # a probe without an end by then is taken for lost


class Breaker:
    """Closed, open until a moment, or waiting for its probe."""

    def __init__(self) -> None:
        self._open_until_ms = 0
        self.is_tripped = False
        self._probe_until_ms = 0
        self._refusals = 0

    def remaining_ms(self, now_ms: int) -> int:
        """Give how long it stays open; 0 = something may be tried."""
        return max(0, self._open_until_ms - now_ms) if self.is_tripped else 0

    def admits(self, now_ms: int) -> bool:
        """Tell whether a request may leave now."""
        if not self.is_tripped:
            return True
        return now_ms >= self._open_until_ms and now_ms >= self._probe_until_ms

    def leave(self, now_ms: int) -> None:
        """Note that a request leaves: while tripped it is the probe."""
        if self.is_tripped:
            self._probe_until_ms = now_ms + PROBE_LOST_MS

    def abandon(self) -> None:
        """Note that the request did not leave after all, or ended without any word."""
        self._probe_until_ms = 0

    def succeed(self, now_ms: int) -> None:
        """Close: the venue answered something else than "too many".

        While it is open nothing leaves, so what is answered then left before the refusal and says
        nothing of it.
        """
        if self.remaining_ms(now_ms):
            return
        self.is_tripped = False
        self._refusals = 0
        self._probe_until_ms = 0

    def trip(self, retry_after_s: int, now_ms: int) -> None:
        """Open for `retry_after_s`, longer at each refusal in a row."""
        wait_s = min(retry_after_s * 2 ** min(self._refusals, 6), max(LONGEST_S, retry_after_s))
        until_ms = now_ms + wait_s * 1000
        if self.is_tripped and self._open_until_ms > now_ms:
            # answers to what was on the wire already: one refusal, not many
            self._open_until_ms = max(self._open_until_ms, now_ms + retry_after_s * 1000)
            return
        self.is_tripped = True
        self._refusals += 1
        self._open_until_ms = until_ms
        self._probe_until_ms = 0

    def changes_at_ms(self, now_ms: int) -> int | None:
        """Give the next moment at which a request may leave by itself; None = now."""
        if self.admits(now_ms):
            return None
        return max(self._open_until_ms, self._probe_until_ms)
