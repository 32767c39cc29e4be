"""What one channel is to be told: batches, pauses, limits, and what happens when it fails. Pure.

News in, messages out, time as a parameter. What does not fit or comes too late is not lost in
silence: it is counted by kind and told in one line.
"""

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from core.settings.engine import NewsKind, NotificationsConfig
from monitor.notifier.missed import Missed
from monitor.notifier.news import News, counted
from monitor.notifier.repeats import Repeats

MOST_LINES: Final = 20
"""Lines of a message; what is left is the next message."""
OLD_MS: Final = 600_000
"""Older news is summed up: ten minutes later nobody acts on a single line any more."""
MINUTE_MS: Final = 60_000
RETRY_FIRST_MS: Final = 5_000
RETRY_MAX_MS: Final = 300_000

Tone = Literal["failure", "warning", "success", "info"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message as it goes out."""

    title: str
    body: str
    tone: Tone


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    news: News
    since_ms: int  # when it came here, by our clock: the engine's may differ


class Mailbox:
    """The news that waits for one channel."""

    def __init__(self, config: NotificationsConfig, what: Iterable[NewsKind]) -> None:
        self.dropped = 0
        self.failures = 0  # in a row
        self.last_ok_at_ms: int | None = None
        self.last_error = ""
        self.repeats = Repeats(
            first_ms=int(config.repeat_first_s * 1000), longest_ms=int(config.repeat_max_s * 1000)
        )
        self._what = frozenset(what)
        self._batch_ms = int(config.batch_s * 1000)
        self._old_ms = max(OLD_MS, 2 * self._batch_ms)
        self._most = config.max_waiting
        self._a_minute = config.max_per_minute
        self._waiting: deque[_Waiting] = deque()
        self._taken: list[_Waiting] = []  # of those, what a message under way tells
        self._missed = Missed()
        self._missed_taken = Missed()  # what a message tells, until one is delivered
        self._since_ms: int | None = None  # when the batch under way began
        self._retry_at_ms = 0
        self._sent_at_ms: deque[int] = deque()

    @property
    def waiting(self) -> int:
        """How much is not told yet."""
        missed = self._missed.counts.total() + self._missed_taken.counts.total()
        return len(self._waiting) + missed

    def offer(self, news: Iterable[News], now_ms: int, *, is_backlog: bool = False) -> None:
        """Take what this channel wants to hear; only a backlog is as old as it says."""
        for one in news:
            if one.kind in self._what:
                since_ms = min(one.at_ms, now_ms) if is_backlog else now_ms
                self._take_in(_Waiting(news=one, since_ms=since_ms), now_ms)

    def next_at_ms(self, now_ms: int) -> int | None:
        """Tell when to look again: a message may go, or a pause ends; None = when news comes."""
        ends = [self._message_at_ms(now_ms), self.repeats.next_end_ms()]
        return min((at_ms for at_ms in ends if at_ms is not None), default=None)

    def take(self, now_ms: int) -> Message | None:
        """Give the message that is due; `done` or `failed` must follow. None = not yet."""
        for one in self.repeats.ended(now_ms):
            self._put(_Waiting(news=one, since_ms=now_ms), now_ms)
        at_ms = self._message_at_ms(now_ms)
        if at_ms is None or at_ms > now_ms:
            return None
        self._age(now_ms)
        self._taken = list(self._waiting)[:MOST_LINES]
        self._missed_taken.add_all(self._missed.counts, self._missed.span)
        self._missed = Missed()
        self._sent_at_ms.append(now_ms)
        return self._written()

    def done(self, now_ms: int) -> None:
        """Forget what was delivered, and nothing that came meanwhile."""
        for _ in self._taken:  # what is under way stays at the head
            self._waiting.popleft()
        self._taken, self._missed_taken = [], Missed()
        self._since_ms = now_ms - self._batch_ms if self.waiting else None
        self.failures, self.last_error, self._retry_at_ms = 0, "", 0
        self.last_ok_at_ms = now_ms

    def failed(self, now_ms: int, error: str) -> None:
        """Keep what was not delivered, and try again later each time."""
        self._taken = []
        self.failures += 1
        self.last_error = error
        pause_ms = min(RETRY_FIRST_MS * 2 ** min(self.failures - 1, 10), RETRY_MAX_MS)
        self._retry_at_ms = now_ms + pause_ms

    def to_row(self) -> dict[str, Any]:
        """Give its JSON object: what must outlive a restart."""
        missed = Missed()
        for part in (self._missed_taken, self._missed):
            missed.add_all(part.counts, part.span)
        return {
            "waiting": [{**one.news.to_row(), "since_ms": one.since_ms} for one in self._waiting],
            "missed": dict(missed.counts),
            "missed_span": missed.span,
            "repeats": self.repeats.to_row(),
        }

    def remember(self, row: object, now_ms: int) -> None:
        """Take over what `to_row` gave."""
        if not isinstance(row, Mapping):
            return
        self.repeats.remember(row.get("repeats"), now_ms)
        waiting = row.get("waiting")
        for one in waiting if isinstance(waiting, list) else ():
            news = News.from_row(one)
            if news is not None:
                since_ms = one.get("since_ms")
                since_ms = since_ms if isinstance(since_ms, int) else news.at_ms
                self._put(_Waiting(news=news, since_ms=min(since_ms, now_ms)), now_ms)
        match row.get("missed"), row.get("missed_span"):
            case dict() as missed, [int(first_ms), int(last_ms)]:
                counts = {kind: missed.get(kind) for kind in get_args(NewsKind)}
                known = {kind: n for kind, n in counts.items() if isinstance(n, int)}
                self._missed.add_all(known, (first_ms, last_ms))
                self._since_ms = now_ms
            case _:
                pass

    def _take_in(self, one: _Waiting, now_ms: int) -> None:
        if now_ms - one.since_ms > self._old_ms:
            self._miss(one, now_ms)
        elif self.repeats.is_new(one.news, now_ms):
            self._put(one, now_ms)

    def _put(self, one: _Waiting, now_ms: int) -> None:
        self._waiting.append(one)
        if self._since_ms is None:
            self._since_ms = now_ms
        under_way = len(self._taken)  # not to be counted too: it is just being told
        while len(self._waiting) - under_way > self._most:
            self.dropped += 1
            self._miss(self._waiting[under_way], now_ms)
            del self._waiting[under_way]

    def _miss(self, one: _Waiting, now_ms: int) -> None:
        self._missed.add(one.news)
        if self._since_ms is None:
            self._since_ms = now_ms

    def _age(self, now_ms: int) -> None:
        """Sum up what has waited for too long: also a message that a channel never takes."""
        while self._waiting and now_ms - self._waiting[0].since_ms > self._old_ms:
            self._miss(self._waiting.popleft(), now_ms)

    def _message_at_ms(self, now_ms: int) -> int | None:
        if self._since_ms is None:
            return None
        while self._sent_at_ms and self._sent_at_ms[0] <= now_ms - MINUTE_MS:
            self._sent_at_ms.popleft()
        is_full = len(self._sent_at_ms) >= self._a_minute
        slot_ms = self._sent_at_ms[0] + MINUTE_MS if is_full else 0
        return max(self._since_ms + self._batch_ms, self._retry_at_ms, slot_ms)

    def _written(self) -> Message:
        missed = self._missed_taken
        lines = [one.news.line for one in self._taken]
        if missed.line:
            lines.insert(0, missed.line)
        counts = missed.counts + Counter(one.news.kind for one in self._taken)
        left = len(self._waiting) - len(self._taken)
        if left:
            lines.append(f"{left} more follow")
        title = f"trade-engine: {counted(counts)}"
        return Message(title=title, body="\n".join(lines), tone=tone_of(counts))


def tone_of(counts: Mapping[NewsKind, int]) -> Tone:
    """Tell how a message with so much of each kind is to look."""
    if counts.get("error"):
        return "failure"
    if counts.get("alert"):
        return "warning"
    return "success" if counts.get("trade") else "info"
