"""What one channel is told, and when: news in, messages out, no clock."""

from typing import Any

import pytest

from core.settings.engine import NEWS_KINDS, NotificationsConfig
from monitor.notifier.mailbox import MOST_LINES, OLD_MS, RETRY_MAX_MS, Mailbox, Message
from monitor.notifier.news import News

NOW = 1_700_000_000_000
S = 1_000


def mailbox(**common: Any) -> Mailbox:
    return Mailbox(NotificationsConfig.model_validate(common), NEWS_KINDS)


def trade(number: int = 0, at_ms: int = NOW) -> News:
    return News(kind="trade", at_ms=at_ms, text=f"trade {number}")


def error(text: str = "no disk", at_ms: int = NOW, key: str = "disk") -> News:
    return News(kind="error", at_ms=at_ms, text=text, key=key)


def taken(box: Mailbox, now_ms: int) -> Message:
    message = box.take(now_ms)
    assert message is not None
    return message


def test_what_happens_within_a_batch_is_one_message() -> None:
    box = mailbox(batch_s=10)
    box.offer([trade(1)], NOW)
    box.offer([error()], NOW + 9 * S)
    early = box.take(NOW + 10 * S - 1)
    message = taken(box, NOW + 10 * S)

    assert early is None
    assert box.next_at_ms(NOW) == NOW + 10 * S
    assert message.title == "trade-engine: 1 error, 1 trade"
    assert message.body.splitlines() == ["22:13:20 trade 1", "22:13:20 no disk"]
    assert message.tone == "failure"


def test_what_was_delivered_is_not_told_again() -> None:
    box = mailbox(batch_s=0)
    box.offer([trade(1)], NOW)
    taken(box, NOW)
    box.done(NOW)

    assert box.take(NOW + 3600 * S) is None
    assert box.next_at_ms(NOW) is None


def test_what_was_not_delivered_is_kept_and_tried_later_each_time() -> None:
    box = mailbox(batch_s=0, max_per_minute=60)
    box.offer([trade(1)], NOW)
    now, pauses = NOW, []
    for _ in range(9):
        assert "trade 1" in taken(box, now).body
        box.failed(now, "429")
        at_ms = box.next_at_ms(now)
        assert at_ms is not None
        pauses.append(at_ms - now)
        now = at_ms
        box.offer([trade(1, at_ms=now)], now)

    assert pauses[:4] == [5 * S, 10 * S, 20 * S, 40 * S]
    assert pauses[-1] == RETRY_MAX_MS
    assert (box.failures, box.last_error) == (9, "429")


def test_a_delivery_ends_the_failure() -> None:
    box = mailbox(batch_s=0)
    box.offer([trade(1)], NOW)
    taken(box, NOW)
    box.failed(NOW, "429")
    taken(box, NOW + 5 * S)
    box.done(NOW + 6 * S)

    assert (box.failures, box.last_error, box.last_ok_at_ms) == (0, "", NOW + 6 * S)


def test_a_long_list_is_several_messages() -> None:
    box = mailbox(batch_s=0)
    box.offer([trade(number) for number in range(MOST_LINES + 5)], NOW)
    first = taken(box, NOW)
    box.done(NOW)
    second = taken(box, NOW)
    box.done(NOW)

    assert first.body.splitlines()[-1] == "5 more follow"
    assert second.body.splitlines()[0].endswith(f"trade {MOST_LINES}")
    assert box.waiting == 0


def test_a_channel_gets_no_more_than_its_messages_a_minute() -> None:
    box = mailbox(batch_s=0, max_per_minute=2)
    for number in range(2):
        box.offer([trade(number)], NOW + number * S)
        taken(box, NOW + number * S)
        box.done(NOW + number * S)
    box.offer([trade(3)], NOW + 2 * S)

    assert box.take(NOW + 59 * S) is None
    assert box.next_at_ms(NOW + 2 * S) == NOW + 60 * S
    assert "trade 3" in taken(box, NOW + 60 * S).body


def test_beyond_its_bound_the_oldest_are_dropped_counted_and_told() -> None:
    box = mailbox(batch_s=0, max_waiting=10)
    box.offer([trade(number, at_ms=NOW + number * S) for number in range(13)], NOW + 13 * S)
    message = taken(box, NOW + 13 * S)

    assert box.dropped == 3
    assert message.body.splitlines()[0] == (
        "not told one by one: 3 trades (22:13:20 to 22:13:22 UTC)"
    )
    assert message.body.splitlines()[1].endswith("trade 3")


def test_old_news_is_one_line() -> None:
    box = mailbox(batch_s=0)
    old = NOW - OLD_MS - 1
    box.offer([*(trade(n, at_ms=old) for n in range(500)), error(at_ms=old), trade(7)], NOW)
    lines = taken(box, NOW).body.splitlines()

    assert len(lines) == 2
    assert lines[0].startswith("not told one by one: 1 error, 500 trades")
    assert lines[1].endswith("trade 7")
    assert box.dropped == 0


def test_a_message_that_a_channel_never_takes_does_not_stand_in_the_way_for_ever() -> None:
    box = mailbox(batch_s=0)
    box.offer([trade(666)], NOW)
    taken(box, NOW)
    box.failed(NOW, "400")
    later = NOW + OLD_MS + S
    box.offer([trade(1, at_ms=later)], later)
    body = taken(box, later).body

    assert "trade 666" not in body
    assert body.startswith("not told one by one: 1 trade")


def test_the_same_again_is_counted_and_told_in_pauses_that_double() -> None:
    box = mailbox(batch_s=0, repeat_first_s=60, repeat_max_s=200)
    told = []
    for second in range(900):
        now = NOW + second * S
        box.offer([error(at_ms=now)], now)
        if message := box.take(now):
            told.append((second, message.body))
            box.done(now)

    assert [second for second, _ in told] == [0, 60, 180, 380, 580, 780]
    assert "(60 suppressed, the last at" in told[1][1]
    assert box.repeats.suppressed == 899


def test_a_pause_ends_by_itself_and_then_the_news_is_new_again() -> None:
    box = mailbox(batch_s=0, repeat_first_s=60)
    box.offer([error()], NOW)
    taken(box, NOW)
    box.done(NOW)
    silent = box.take(NOW + 60 * S)
    box.offer([error("again", at_ms=NOW + 61 * S)], NOW + 61 * S)

    assert silent is None
    assert taken(box, NOW + 61 * S).body.endswith("again")


def test_two_kinds_of_news_do_not_suppress_each_other() -> None:
    box = mailbox(batch_s=0)
    box.offer([error(key="a"), error(key="b"), trade(1), trade(1)], NOW)

    assert len(taken(box, NOW).body.splitlines()) == 4


def test_a_channel_hears_only_what_it_wants() -> None:
    box = Mailbox(NotificationsConfig(batch_s=0), ["error"])
    box.offer([trade(1), error()], NOW)

    assert taken(box, NOW).body.endswith("no disk")


def test_what_waits_outlives_a_restart_and_nothing_is_repeated() -> None:
    box = mailbox(batch_s=0)
    box.offer([error(), trade(1), trade(2, at_ms=NOW - OLD_MS - 1)], NOW)
    row = box.to_row()
    after = mailbox(batch_s=0)
    after.remember(row, NOW + S)
    after.offer([error()], NOW + S)
    message = taken(after, NOW + S)

    assert message.title == "trade-engine: 1 error, 2 trades"
    assert message.body.count("no disk") == 1


@pytest.mark.parametrize(
    "row",
    [None, [], {"waiting": 3}, {"waiting": [{"kind": "x"}, 7]}, {"repeats": {"a": [1]}}],
    ids=["none", "list", "number", "foreign", "torn"],
)
def test_a_broken_memory_is_no_memory(row: object) -> None:
    box = mailbox(batch_s=0)
    box.remember(row, NOW)

    assert box.waiting == 0
