"""What is not believed of SN8, and what may happen meanwhile."""

from dataclasses import replace
from decimal import Decimal

import pytest

from core.home import Home
from core.source_reader import SourceReader
from signal_processors.bittensor_book import UNREADABLE_KEPT_MS, PositionBook
from tests.unit.sn8_following import Desk, following, statistics
from tests.unit.sn8_scene import (
    NOW_MS,
    closed_row,
    hotkey,
    open_row,
    payload,
    position,
    registry,
    snapshot,
)

MINERS = 12


def crowd() -> dict[str, object]:
    return payload(*([open_row(n, 0.25), closed_row(n, 1.01)] for n in range(MINERS)))


async def settle(desk: Desk) -> Decimal:
    desk.chain.registry, desk.chain.now = registry(range(MINERS)), "fresh"
    desk.study(statistics(MINERS))
    assert await desk.see(crowd())
    return desk.published()["BTCUSD"]


def confirmed_at_ms(home: Home) -> int | None:
    reader = SourceReader(home, "bittensor", is_level=True)
    reader.sweep()
    return reader.confirmed_at_ms()


async def test_while_snapshots_are_refused_pushes_end_positions_and_open_none(home: Home) -> None:
    async with following(home) as desk:
        before = await settle(desk)
        desk.clock.pass_s(60)
        assert not await desk.see({hotkey(n): {"positions": 1} for n in range(MINERS)})
        desk.follower.take_push(position(0, "0.5", at_ms=desk.clock.now))
        await desk.follower.publish(via="push", confirmed_at_ms=desk.clock.now)
        grown = desk.published()["BTCUSD"]
        for n in range(MINERS):
            desk.follower.take_push(position(n, "0", at_ms=desk.clock.now, is_closed=True))
        await desk.follower.publish(via="push", confirmed_at_ms=desk.clock.now)

        assert grown == before
        assert desk.published()["BTCUSD"] == 0
    assert confirmed_at_ms(home) == NOW_MS


@pytest.mark.parametrize("status", ["plagiarism", "", None])
async def test_statistics_that_turn_on_everybody_are_taken_up_when_they_are_repeated(
    home: Home, status: str | None
) -> None:
    odd = statistics(MINERS)
    if status is None:
        odd["data"] = []
    for row in odd["data"]:
        row["challengeperiod"] = {"status": status}
    async with following(home) as desk:
        before, told = await settle(desk), []
        for _ in range(5):
            desk.study(odd)
            told.append(desk.follower.statistics_problem.partition(":")[0])
            desk.clock.pass_s(3600)
            if len(told) < 5:
                assert await desk.see(crowd())
                assert desk.published()["BTCUSD"] == before

        assert told == ["statistics_odd"] * 5
        assert desk.follower.statistics is not None
        assert len(desk.follower.statistics.miners) == len(odd["data"])


async def test_good_statistics_end_the_doubt(home: Home) -> None:
    async with following(home) as desk:
        await settle(desk)
        desk.study({**statistics(MINERS), "data": []})
        desk.study(statistics(MINERS))

        assert desk.follower.statistics_problem == ""


def test_a_position_of_who_cannot_be_read_ends_after_six_hours() -> None:
    book = PositionBook()
    book.take_snapshot(snapshot(position(0, "0.2")), vanish_after=3)
    start_ms = snapshot().watermark_ms
    there = []

    for late_ms in (UNREADABLE_KEPT_MS, UNREADABLE_KEPT_MS + 1):
        seen = snapshot(miners=[1], dropped=[0], watermark_ms=start_ms + late_ms)
        book.take_snapshot(seen, vanish_after=3)
        there.append(len(book.positions()))

    assert there == [1, 0]


def test_a_stranger_s_push_of_a_known_id_takes_nothing_over() -> None:
    book = PositionBook()
    book.take_snapshot(snapshot(position(0, "0.2", uuid="known")), vanish_after=3)

    book.take_push(position(1, "0", uuid="known", at_ms=NOW_MS, is_closed=True))
    book.take_push(replace(position(1, "-0.4", uuid="known", at_ms=NOW_MS), pair="ETHUSD"))

    held = {p.hotkey: (p.pair, p.net_leverage) for p in book.positions()}
    assert held[hotkey(0)] == ("BTCUSD", Decimal("0.2"))


async def test_rankings_go_on_where_settings_were_edited_while_it_was_down(home: Home) -> None:
    async with following(home) as desk:
        await settle(desk)
    async with following(home, {"following": {"max_weight": 0.05}}) as desk:
        desk.chain.registry, desk.chain.now = registry(range(MINERS)), "fresh"
        desk.study(statistics(MINERS))
        assert await desk.see(crowd())

        assert desk.follower.ranking is not None
        assert max(desk.follower.ranking.weights.values()) <= Decimal("0.05")


async def test_a_forced_snapshot_needs_no_statistics(home: Home) -> None:
    async with following(home) as desk:
        assert await desk.see(crowd())
        desk.clock.pass_s(60)
        swapped = payload(*[[open_row(n, 0.25)] for n in range(MINERS)])
        verdicts = [await desk.see(swapped) for _ in range(6)]

        assert desk.follower.statistics is None
        assert verdicts == [False] * 4 + [True, True]
