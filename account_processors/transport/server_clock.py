"""The venue's clock as we measured it: signed requests bear its time, not this host's."""

import secrets
from collections.abc import Callable
from typing import Final

from core.ports import Clock

MOST_AHEAD_MS: Final = 500  # venues take times up to a second ahead
TOLERANCE_MS: Final = 5_000  # beyond it nothing is opened: other times are wrong as well then


class ServerClock:
    """This host's clock plus the offset measured last; one a venue address."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.offset_ms = 0
        self.is_stale = True  # until measured, and after a refused timestamp
        self._back: dict[str, int] = {}  # by API key: how far its times lie back
        self._last_ms: dict[str, int] = {}  # by API key: what its newest request bears

    @property
    def is_beyond_tolerance(self) -> bool:
        """True when the clocks differ by more than 5 s."""
        return abs(self.offset_ms) > TOLERANCE_MS

    def now_ms(self) -> int:
        """Give the venue's time, ms UTC."""
        return self._clock.now_ms() + self.offset_ms

    def times_of(self, api_key: str, slack_ms: int = 0) -> Callable[[], int]:
        """Give times that only grow: some venues take a request's time for its nonce.

        They are the key's, not an instance's: one that is opened anew goes on where the last was.
        With `slack_ms` this process lies back by some time of its own, so that another one with
        the same key (a command, the engine before a restart) hardly ever bears the same time.
        """
        back_ms = self._back.setdefault(api_key, secrets.randbelow(slack_ms + 1))

        def milliseconds() -> int:
            now, last_ms = self.now_ms() - back_ms, self._last_ms.get(api_key, 0)
            # a burst may run ahead a little; a clock that was set back starts afresh
            is_ahead = now <= last_ms <= now + MOST_AHEAD_MS
            self._last_ms[api_key] = last_ms + 1 if is_ahead else now
            return self._last_ms[api_key]

        return milliseconds

    def set(self, *, server_ms: int, sent_at_ms: int, answered_at_ms: int) -> None:
        """Take a measurement: the venue read its clock halfway through the round trip."""
        self.offset_ms = server_ms - (sent_at_ms + answered_at_ms) // 2
        self.is_stale = False

    def doubt(self) -> None:
        """Have it measured again before the next signed request."""
        self.is_stale = True
