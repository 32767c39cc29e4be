"""Snapshots and pushes together: what vanishes is held, what is newer wins."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signal_processors.bittensor_book import PositionBook, vanished
from signal_processors.bittensor_model import ClosedTrade, MinerPosition
from tests.unit.sn8_scene import NOW_MS, hotkey, position, snapshot

BEFORE_MS = NOW_MS - 1_800_000
MARK_MS = NOW_MS - 60_000


def held(book: PositionBook) -> dict[str, str]:
    return {p.uuid: str(p.net_leverage) for p in book.positions()}


def close_of(one: MinerPosition, at_ms: int) -> ClosedTrade:
    return ClosedTrade(
        uuid=one.uuid, pair=one.pair, opened_at_ms=one.opened_at_ms, closed_at_ms=at_ms, result=1.0
    )


def test_a_snapshot_is_taken_as_it_is() -> None:
    book = PositionBook()

    book.take_snapshot(snapshot(position(0, "0.2"), position(1, "-0.3")), vanish_after=3)

    assert held(book) == {"open-0-BTCUSD": "0.2", "open-1-BTCUSD": "-0.3"}


def test_what_vanishes_without_a_close_is_held_until_three_snapshots_agree() -> None:
    book = PositionBook()
    book.take_snapshot(snapshot(position(0, "0.2")), vanish_after=3)
    there = []

    for _ in range(3):
        book.take_snapshot(snapshot(miners=[0]), vanish_after=3)
        there.append(len(book.positions()))

    assert there == [1, 1, 0]


def test_a_miner_that_is_absent_is_held_likewise_and_comes_back_whole() -> None:
    book = PositionBook()
    book.take_snapshot(snapshot(position(0, "0.2"), miners=[1]), vanish_after=3)
    for _ in range(2):
        book.take_snapshot(snapshot(miners=[1]), vanish_after=3)

    book.take_snapshot(snapshot(position(0, "0.2"), miners=[1]), vanish_after=3)

    assert [row.missing for row in book.rows()] == [0]


def test_a_miner_that_is_unreadable_is_held_without_end() -> None:
    book = PositionBook()
    book.take_snapshot(snapshot(position(0, "0.2")), vanish_after=3)

    for _ in range(10):
        book.take_snapshot(snapshot(miners=[1], dropped=[0]), vanish_after=3)

    assert held(book) == {"open-0-BTCUSD": "0.2"}


def test_what_is_shown_closed_is_gone_at_once() -> None:
    book, one = PositionBook(), position(0, "0.2")
    book.take_snapshot(snapshot(one), vanish_after=3)

    book.take_snapshot(snapshot(trades={0: [close_of(one, BEFORE_MS)]}), vanish_after=3)

    assert held(book) == {}


def test_a_miner_that_is_gone_takes_its_positions_along() -> None:
    book = PositionBook()
    book.take_snapshot(snapshot(position(0, "0.2"), position(1, "0.2")), vanish_after=3)

    book.take_snapshot(
        snapshot(position(0, "0.2"), position(1, "0.2")), gone={hotkey(0)}, vanish_after=3
    )

    assert list(held(book)) == ["open-1-BTCUSD"]


def test_a_push_is_newer_than_a_snapshot_that_was_built_before_it() -> None:
    book = PositionBook()
    book.take_snapshot(snapshot(position(0, "0.2")), vanish_after=3)
    book.take_push(position(0, "0.4", at_ms=NOW_MS))
    book.take_push(position(1, "0.1", at_ms=NOW_MS))

    for _ in range(5):
        book.take_snapshot(snapshot(position(0, "0.2"), miners=[1]), vanish_after=3)

    assert held(book) == {"open-0-BTCUSD": "0.4", "open-1-BTCUSD": "0.1"}


def test_a_pushed_close_outlives_a_snapshot_that_still_shows_it_open() -> None:
    book = PositionBook()
    book.take_snapshot(snapshot(position(0, "0.2")), vanish_after=3)
    book.take_push(position(0, "0", at_ms=NOW_MS, is_closed=True))

    book.take_snapshot(snapshot(position(0, "0.2")), vanish_after=3)

    assert held(book) == {}


def test_a_late_push_changes_nothing() -> None:
    book = PositionBook()
    book.take_push(position(0, "0.4", at_ms=NOW_MS))

    assert book.take_push(position(0, "0.1", at_ms=BEFORE_MS)) is False
    assert held(book) == {"open-0-BTCUSD": "0.4"}


def test_a_late_push_does_not_reopen_what_was_closed() -> None:
    book = PositionBook()
    book.take_push(position(0, "0", at_ms=NOW_MS, is_closed=True))

    assert book.take_push(position(0, "0.1", at_ms=BEFORE_MS)) is False
    assert held(book) == {}


def test_a_snapshot_forced_upon_us_is_right_about_what_it_shows() -> None:
    book = PositionBook()
    book.take_push(position(0, "0.4", at_ms=NOW_MS))

    book.take_snapshot(snapshot(position(0, "0.2")), vanish_after=3, is_forced=True)

    assert held(book) == {"open-0-BTCUSD": "0.2"}


def test_a_snapshot_forced_upon_us_reopens_what_it_shows_open() -> None:
    book = PositionBook()
    book.take_push(position(0, "0", at_ms=NOW_MS, is_closed=True))

    book.take_snapshot(snapshot(position(0, "0.2")), vanish_after=3, is_forced=True)

    assert held(book) == {"open-0-BTCUSD": "0.2"}
    assert book.take_push(position(0, "0.3", at_ms=BEFORE_MS + 1))


def test_what_is_shown_again_in_an_older_state_is_there_and_stays_as_it_was_pushed() -> None:
    book = PositionBook()
    book.take_push(position(0, "0.4", at_ms=BEFORE_MS))
    book.take_snapshot(snapshot(miners=[0], watermark_ms=MARK_MS), vanish_after=3)
    assert [row.missing for row in book.rows()] == [1]

    book.take_snapshot(snapshot(position(0, "0.2", at_ms=BEFORE_MS - 1)), vanish_after=3)

    assert [row.missing for row in book.rows()] == [0]
    assert held(book) == {"open-0-BTCUSD": "0.4"}


def test_of_two_words_about_the_same_moment_the_snapshot_holds() -> None:
    book = PositionBook()
    book.take_push(position(0, "0.4", at_ms=BEFORE_MS))

    book.take_snapshot(snapshot(position(0, "0.2", at_ms=BEFORE_MS)), vanish_after=3)

    assert held(book) == {"open-0-BTCUSD": "0.2"}


def test_what_was_pushed_after_a_snapshot_is_not_closed_by_it() -> None:
    book, one = PositionBook(), position(0, "0.2", at_ms=NOW_MS)
    book.take_push(one)

    shown = snapshot(trades={0: [close_of(one, BEFORE_MS)]}, watermark_ms=MARK_MS)
    book.take_snapshot(shown, vanish_after=1)

    assert held(book) == {"open-0-BTCUSD": "0.2"}


def test_what_was_pushed_after_a_snapshot_has_not_vanished_from_it() -> None:
    book = PositionBook()
    book.take_push(position(0, "0.2", at_ms=NOW_MS))
    book.take_push(position(1, "0.2", at_ms=MARK_MS))
    seen = snapshot(miners=[0, 1], watermark_ms=MARK_MS)

    assert vanished(book, seen, {hotkey(0): 1, hotkey(1): 1}) == (1, 2)


def test_vanished_counts_only_what_followed_readable_miners_should_show() -> None:
    book = PositionBook()
    rows = [position(n, "0.2") for n in range(5)]
    book.take_snapshot(snapshot(*rows), vanish_after=3)
    now = snapshot(
        rows[0], miners=[1], trades={2: [close_of(rows[2], MARK_MS)]}, dropped=[3]
    )  # 4 is absent

    assert vanished(book, now, {hotkey(n): 1 for n in range(5)}) == (1, 3)
    assert vanished(book, now, {hotkey(0): 1}) == (0, 1)


messages = st.lists(
    st.tuples(st.sampled_from(["push", "close", "snapshot"]), st.integers(1, 20)), max_size=30
)


@given(messages)
def test_the_newest_word_about_a_position_holds_whatever_the_order(
    told: list[tuple[str, int]],
) -> None:
    book = PositionBook()
    newest, last = 0, ""
    for kind, minute in told:
        at_ms = BEFORE_MS + minute * 60_000
        one = position(0, "0.1", at_ms=at_ms, is_closed=kind == "close")
        if kind == "snapshot":
            book.take_snapshot(snapshot(one, watermark_ms=at_ms), vanish_after=3)
        else:
            book.take_push(one)
        if minute > newest or (minute == newest and kind != "snapshot"):
            newest, last = minute, kind

    found = book.positions()

    assert bool(found) == bool(last and last != "close")
    if found:
        assert found[0].updated_at_ms == BEFORE_MS + newest * 60_000


@pytest.mark.parametrize("count", [1, 3, 7])
def test_the_number_of_snapshots_is_as_configured(count: int) -> None:
    book = PositionBook()
    book.take_snapshot(snapshot(position(0, "0.2")), vanish_after=count)

    for _ in range(count - 1):
        book.take_snapshot(snapshot(miners=[0]), vanish_after=count)

    assert len(book.positions()) == 1
    book.take_snapshot(snapshot(miners=[0]), vanish_after=count)
    assert len(book.positions()) == 0
