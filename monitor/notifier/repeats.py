"""The same news again is counted, not told: once, then after a pause that doubles. Pure.

A flood of one error costs a few messages an hour, and each says how many there were.
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
        over = [key for key, pause in self._pauses.items() if pause.until_ms <= now_ms]
        for key in over:
            pause = self._pauses.pop(key)
            if pause.suppressed:
                last = clock_text(pause.newest.at_ms)
                text = f"{pause.newest.text} ({pause.suppressed} suppressed, the last at {last})"
                told.append(replace(pause.newest, text=text, at_ms=now_ms))
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

    def remember(self, rows: object) -> None:
        """Take over what `to_row` gave; what is something else is left out."""
        for key, row in rows.items() if isinstance(rows, Mapping) else ():
            match row:
                case [int(until_ms), int(length_ms), int(suppressed), found]:
                    newest = News.from_row(found)
                    if newest is not None:
                        self._pauses[str(key)] = _Pause(
                            until_ms=until_ms,
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
