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
    news = [*(trade(n, at_ms=old) for n in range(500)), error(at_ms=old), trade(7)]
    box.offer(news, NOW, is_backlog=True)
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
    news = [error(), trade(1), trade(2, at_ms=NOW - OLD_MS - 1)]
    box.offer(news, NOW, is_backlog=True)
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


def test_what_is_counted_while_a_message_is_under_way_is_told_by_the_next() -> None:
    box = mailbox(batch_s=0, max_waiting=10)
    box.offer([trade(number) for number in range(12)], NOW)
    first = taken(box, NOW).body
    box.offer([trade(number, at_ms=NOW + S) for number in range(12, 24)], NOW + S)
    box.done(NOW + S)
    second = taken(box, NOW + S).body

    assert first.startswith("not told one by one: 2 trades (22:13:20 to 22:13:20 UTC)")
    assert second.startswith("not told one by one: 2 trades (22:13:21 to 22:13:21 UTC)")
    assert box.dropped == 4


def test_what_is_being_told_is_not_counted_as_missed_too() -> None:
    box = mailbox(batch_s=0, max_waiting=10)
    box.offer([trade(number) for number in range(10)], NOW)
    taken(box, NOW)
    box.offer([trade(10)], NOW)
    box.done(NOW)

    assert taken(box, NOW).body.splitlines() == ["22:13:20 trade 10"]


def test_what_a_failed_message_counted_is_told_again_and_outlives_a_restart() -> None:
    box = mailbox(batch_s=0, max_waiting=10)
    box.offer([trade(number) for number in range(12)], NOW)
    taken(box, NOW)
    box.failed(NOW, "429")
    after = mailbox(batch_s=0, max_waiting=10)
    after.remember(box.to_row(), NOW)

    assert box.waiting == 12
    assert "not told one by one: 2 trades" in taken(box, NOW + 5 * S).body
    assert "not told one by one: 2 trades" in taken(after, NOW).body


@pytest.mark.parametrize("ahead_s", [-3600, 3600], ids=["behind", "ahead"])
def test_an_engine_whose_clock_differs_is_told_of_line_by_line(ahead_s: int) -> None:
    box = mailbox(batch_s=0)
    box.offer([trade(1, at_ms=NOW + ahead_s * S)], NOW)
    told = taken(box, NOW).body
    box.failed(NOW, "429")

    assert told.endswith("trade 1")
    assert "not told one by one: 1 trade" in taken(box, NOW + OLD_MS + S).body


def test_a_clock_that_was_set_back_does_not_silence_a_repetition_for_ever() -> None:
    box = mailbox(batch_s=0, repeat_first_s=60, repeat_max_s=120)
    box.offer([error()], NOW)
    after = mailbox(batch_s=0, repeat_first_s=60, repeat_max_s=120)
    earlier = NOW - 86_400 * S
    after.remember({"repeats": box.to_row()["repeats"]}, earlier)
    after.offer([error("again")], earlier + S)

    assert after.next_at_ms(earlier + S) == earlier + 120 * S


def test_the_last_state_is_told_last() -> None:
    box = mailbox(batch_s=0, repeat_first_s=60)
    for second, text in enumerate(["down", "over: down", "down", "over: down"]):
        box.offer([error(text, at_ms=NOW + second * S)], NOW + second * S)
    first = taken(box, NOW + 4 * S).body
    box.done(NOW + 4 * S)
    second_body = taken(box, NOW + 60 * S).body

    assert first.splitlines() == ["22:13:20 down"]
    assert second_body.splitlines() == ["22:14:20 over: down (3 suppressed, the last at 22:13:23)"]


def test_pauses_that_end_together_are_told_in_the_order_of_their_news() -> None:
    box = mailbox(batch_s=0, repeat_first_s=60)
    box.offer([error("a", key="a"), error("b", key="b")], NOW)
    taken(box, NOW)
    box.done(NOW)
    box.offer([error("b", key="b", at_ms=NOW + S), error("a", key="a", at_ms=NOW + 2 * S)], NOW)

    assert taken(box, NOW + 60 * S).body.splitlines() == ["22:13:21 b", "22:13:22 a"]


@pytest.mark.parametrize("at_ms", [2**62, -(2**62), 10**400], ids=["late", "early", "huge"])
def test_a_time_that_no_calendar_holds_is_written_all_the_same(at_ms: int) -> None:
    box = mailbox(batch_s=0)
    box.offer([trade(1, at_ms=at_ms)], NOW)

    assert taken(box, NOW).body == "??:??:?? trade 1"
