"""What is not told one by one: how much of each kind, from when to when. No clock."""

from collections import Counter
from collections.abc import Mapping

from core.settings.engine import NewsKind
from monitor.notifier.news import News, clock_text, counted


class Missed:
    """Counts news that is summed up instead of told."""

    def __init__(self) -> None:
        self.counts: Counter[NewsKind] = Counter()
        self.span: tuple[int, int] | None = None  # times of the first and the last, ms

    def add(self, news: News) -> None:
        """Count one piece."""
        self.counts[news.kind] += 1
        self._reach(news.at_ms, news.at_ms)

    def add_all(self, counts: Mapping[NewsKind, int], span: tuple[int, int] | None) -> None:
        """Count what somebody else counted."""
        self.counts.update(counts)
        if span is not None:
            self._reach(*span)

    @property
    def line(self) -> str:
        """Write it as one line; "" when nothing was missed."""
        if self.span is None:
            return ""
        first, last = map(clock_text, self.span)
        return f"not told one by one: {counted(self.counts)} ({first} to {last} UTC)"

    def _reach(self, first_ms: int, last_ms: int) -> None:
        first, last = self.span or (first_ms, last_ms)
        self.span = (min(first, first_ms), max(last, last_ms))
