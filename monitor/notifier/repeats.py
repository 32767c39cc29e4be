"""The same news again is counted, not told: once, then after a pause that doubles. Pure.

A flood of one error costs a few messages an hour, and each says how many there were. An alert and
its end share a key: what is told last is how it stands.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from monitor.notifier.news import News, clock_text

MOST_KEYS: Final = 1_000
"""Kinds of news remembered; beyond it the one whose pause ends first is forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pause:
    until_ms: int
    length_ms: int
    newest: News
    suppressed: int = 0


class Repeats:
    """Remembers what was told lately; `suppressed` only grows."""

    def __init__(self, *, first_ms: int, longest_ms: int) -> None:
        self.suppressed = 0
        self._first_ms = first_ms
        self._longest_ms = longest_ms
        self._pauses: dict[str, _Pause] = {}

    def is_new(self, news: News, now_ms: int) -> bool:
        """Tell whether it should go out now; else it is counted."""
        if not news.key:
            return True
        pause = self._pauses.get(news.key)
        if pause is not None:
            counted = replace(pause, newest=news, suppressed=pause.suppressed + 1)
            self._pauses[news.key] = counted
            self.suppressed += 1
            return False
        self._pause(news, now_ms, self._first_ms)
        return True

    def ended(self, now_ms: int) -> list[News]:
        """Give what was counted in pauses that are over, as one piece of news a key."""
        told = []
        over = [pause for pause in self._pauses.values() if pause.until_ms <= now_ms]
        for pause in sorted(over, key=lambda pause: pause.newest.at_ms):  # the last state last
            del self._pauses[pause.newest.key]
            if pause.suppressed:
                told.append(_told(pause, now_ms))
                longer_ms = min(pause.length_ms * 2, self._longest_ms)
                self._pause(pause.newest, now_ms, longer_ms)
        return told

    def next_end_ms(self) -> int | None:
        """Tell when the next pause that has something to tell is over."""
        ends = [pause.until_ms for pause in self._pauses.values() if pause.suppressed]
        return min(ends, default=None)

    def to_row(self) -> dict[str, Any]:
        """Give its JSON object."""
        return {
            key: [pause.until_ms, pause.length_ms, pause.suppressed, pause.newest.to_row()]
            for key, pause in self._pauses.items()
        }

    def remember(self, rows: object, now_ms: int) -> None:
        """Take over what `to_row` gave; what is something else is left out."""
        latest_ms = now_ms + self._longest_ms  # the clock may have been set back since
        for key, row in rows.items() if isinstance(rows, Mapping) else ():
            match row:
                case [int(until_ms), int(length_ms), int(suppressed), found]:
                    newest = News.from_row(found)
                    if newest is not None and newest.key == key:
                        self._pauses[newest.key] = _Pause(
                            until_ms=min(until_ms, latest_ms),
                            length_ms=length_ms,
                            newest=newest,
                            suppressed=suppressed,
                        )

    def _pause(self, news: News, now_ms: int, length_ms: int) -> None:
        if len(self._pauses) >= MOST_KEYS:
            del self._pauses[min(self._pauses, key=lambda key: self._pauses[key].until_ms)]
        self._pauses[news.key] = _Pause(
            until_ms=now_ms + length_ms, length_ms=length_ms, newest=news
        )


def _told(pause: _Pause, now_ms: int) -> News:
    newest, count = pause.newest, pause.suppressed
    if count == 1:  # nothing was left out: this is it
        return newest
    text = f"{newest.text} ({count} suppressed, the last at {clock_text(newest.at_ms)})"
    return replace(newest, text=text, at_ms=now_ms)
