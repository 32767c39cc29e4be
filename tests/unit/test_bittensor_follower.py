"""From a payload to published depths: what is believed counts, what is refused changes nothing."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest

from core.home import Home
from core.source_reader import SourceReader
from signal_processors.bittensor_config import parse_processor_config
from signal_processors.bittensor_exposure import is_live
from signal_processors.bittensor_follower import CAREFUL_MS
from tests.unit.sn8_following import AT_ONCE, Desk, following, statistics
from tests.unit.sn8_scene import (
    HOUR_MS,
    NOW_MS,
    closed_row,
    hotkey,
    miner_row,
    open_row,
    position,
    registry,
)

MINERS = 12
EVERYBODY = range(MINERS)
Document = dict[str, Any]
HARD = {**AT_ONCE, "chain": {"require": "hard"}}


def crowd(
    numbers: Sequence[int] = EVERYBODY,
    net: float = 0.25,
    *,
    pair: str = "BTCUSD",
    result: float = 1.01,
    at_ms: int = NOW_MS - HOUR_MS,
) -> Document:
    """Give miners that all hold this much, with a little history."""
    return {
        hotkey(n): miner_row(
            [
                *([open_row(n, net, pair=pair, at_ms=at_ms)] if net else []),
                *(closed_row(n, result, number=k) for k in range(3)),
            ]
        )
        for n in numbers
    }


def with_row(document: Document, number: int, *rows: Mapping[str, Any]) -> Document:
    """Have one miner hold exactly these open positions."""
    closed = [row for row in document[hotkey(number)]["positions"] if row["is_closed_position"]]
    return {**document, hotkey(number): miner_row([*rows, *closed])}


async def settle(desk: Desk, document: Document | None = None) -> None:
    """Follow twelve miners, all known to the chain."""
    desk.chain.registry, desk.chain.now = registry(EVERYBODY), "fresh"
    desk.study(statistics(MINERS))
    assert await desk.see(document or crowd())


def confirmed_at_ms(home: Home) -> int | None:
    """Tell what readers see; the writer must be closed."""
    reader = SourceReader(home, "bittensor", is_level=True)
    reader.sweep()
    return reader.confirmed_at_ms()


def reasons(desk: Desk) -> list[str]:
    verdict = desk.follower.verdict
    assert verdict is not None
    return [reason.partition(":")[0] for reason in verdict.reasons]


def weights(desk: Desk) -> dict[str, Decimal]:
    return {} if desk.follower.ranking is None else desk.follower.ranking.weights


async def test_the_first_snapshot_is_ranked_published_and_confirmed(home: Home) -> None:
    async with following(home) as desk:
        await settle(desk)
        given = weights(desk)

        assert len(given) == MINERS
        expected = sum(given.values(), Decimal(0)) / 2  # everybody holds half of the limit
        assert abs(desk.published()["BTCUSD"] - expected) < Decimal("0.0001")
        meta = desk.writer.newest()["BTCUSD"].meta
        assert (meta["via"], meta["ranking"], meta["flags"]) == ("snapshot", "risk_adjusted", [])
    assert confirmed_at_ms(home) == NOW_MS


async def test_a_push_before_any_snapshot_publishes_nothing(home: Home) -> None:
    async with following(home) as desk:
        desk.study(statistics(MINERS))
        assert desk.follower.take_push(position(0, "0.5"))

        assert await desk.follower.publish(via="push", confirmed_at_ms=NOW_MS) == 0
    assert confirmed_at_ms(home) is None


async def test_a_push_is_published_and_confirms(home: Home) -> None:
    async with following(home) as desk:
        await settle(desk)
        before = desk.published()["BTCUSD"]
        desk.clock.pass_s(5)
        desk.follower.take_push(position(0, "0.5", at_ms=desk.clock.now))

        assert await desk.follower.publish(via="push", confirmed_at_ms=desk.clock.now) == 1
        grown = desk.published()["BTCUSD"] - before
        assert abs(grown - weights(desk)[hotkey(0)] / 2) < Decimal("0.0002")
    assert confirmed_at_ms(home) == NOW_MS + 5000


async def test_a_push_of_a_miner_that_is_not_followed_publishes_nothing(home: Home) -> None:
    async with following(home) as desk:
        await settle(desk)
        desk.follower.take_push(position(99, "-0.5", at_ms=NOW_MS))

        assert await desk.follower.publish(via="push") == 0


async def test_what_was_never_spoken_of_is_not_published_as_zero(home: Home) -> None:
    async with following(home) as desk:
        await settle(desk, crowd(net=0.0))
        assert desk.published() == {}
        assert confirmed_at_ms(home) is None  # not written yet
    assert confirmed_at_ms(home) == NOW_MS


async def test_the_pairs_of_one_symbol_share_a_miner_s_limit(home: Home) -> None:
    rows = [open_row(0, 0.5), open_row(0, 0.5, pair="BTCUSDC")]
    async with following(home) as desk:
        await settle(desk, with_row(crowd(net=0.0), 0, *rows))
        weight = weights(desk)[hotkey(0)]

        assert abs(desk.symbols()["BTCUSDT"] - weight) <= Decimal("0.0002")
        assert set(desk.published()) == {"BTCUSD", "BTCUSDC"}


async def test_a_pair_that_is_no_longer_mapped_still_ends(home: Home) -> None:
    async with following(home) as desk:
        await settle(desk, crowd(pair="ETHUSD"))
        assert desk.published()["ETHUSD"] > 0
        del desk.targets["ETHUSD"]
        assert await desk.see(crowd(pair="ETHUSD"))
        assert desk.published()["ETHUSD"] > 0
        ended = crowd(net=0.0)
        for _ in range(3):
            await desk.see({**ended, **crowd(range(11), pair="ETHUSD")})
        for number in range(11):
            closing = position(number, "0", pair="ETHUSD", at_ms=NOW_MS, is_closed=True)
            desk.follower.take_push(closing)
        await desk.follower.publish(via="push")

        assert desk.published()["ETHUSD"] == 0


async def test_below_tier_100_only_the_sampled_positions_count(home: Home) -> None:
    desk = Desk(home, tier=30)
    desk.open()
    try:
        await settle(desk, crowd_of_a_day_ago())
        given = [weights(desk)[hotkey(n)] for n in range(3)]

        assert abs(desk.published()["BTCUSD"] + sum(given, Decimal(0)) / 2) < Decimal("0.0002")
        assert desk.follower.status()["positions"]["open"] == 3
        assert desk.follower.status()["snapshot"]["dropped"] == {}
    finally:
        await desk.close()


def crowd_of_a_day_ago() -> Document:
    """Have all show what they held a day ago, and three of them what they turned to since."""
    names = [f"name-{n}" for n in range(200)]
    old = [name for name in names if not is_live(name, 30)]
    live = [name for name in names if is_live(name, 30)]
    document = crowd(net=0.0)
    for n in EVERYBODY:
        newer = [open_row(n, -0.25, uuid=live[n])] if n in range(3) else []
        document = with_row(document, n, open_row(n, 0.1, uuid=old[n]), *newer)
    return document


# --- what is refused
def _emptied(_: Desk) -> Document:
    return {}


def _unreadable(_: Desk) -> Document:
    return crowd() | {hotkey(n): {"positions": None} for n in range(2)}


def _mostly_unreadable(_: Desk) -> Document:
    return crowd() | {hotkey(n): {"positions": None} for n in range(10)}


def _silent(desk: Desk) -> Document:
    desk.clock.pass_s(7 * 3600)
    return crowd()


def _went_back(_: Desk) -> Document:
    return crowd(net=-0.25, at_ms=NOW_MS - HOUR_MS - 301_000)


def _behind_push(desk: Desk) -> Document:
    desk.follower.take_push(position(50, "0.1", at_ms=NOW_MS))
    return crowd(net=-0.25)


def _missing(_: Desk) -> Document:
    return crowd(range(3, MINERS))


def _eliminated(desk: Desk) -> Document:
    desk.follower.eliminated = {hotkey(n): "MAX_TOTAL_DRAWDOWN" for n in range(4)}
    return crowd()


def _unregistered(desk: Desk) -> Document:
    desk.chain.registry = registry(range(2, MINERS))
    return crowd()


def _vanished(_: Desk) -> Document:
    return crowd(net=0.0) | crowd([50], at_ms=NOW_MS)


def _rewritten(_: Desk) -> Document:
    return crowd(net=-0.25, result=1.02)


REFUSED = {
    "empty": _emptied,
    "too_many_bad": _unreadable,
    "mostly_bad": _mostly_unreadable,
    "silent": _silent,
    "went_back": _went_back,
    "behind_push": _behind_push,
    "followed_missing": _missing,
    "mass_elimination": _eliminated,
    "unregistered": _unregistered,
    "positions_vanished": _vanished,
    "history_changed": _rewritten,
}
NEVER_FORCED = ("empty", "mostly_bad", "silent")
Trouble = Callable[[Desk], Document]


@pytest.mark.parametrize(("code", "trouble"), REFUSED.items(), ids=REFUSED)
async def test_a_refused_snapshot_publishes_and_confirms_nothing(
    home: Home, code: str, trouble: Trouble
) -> None:
    async with following(home) as desk:
        await settle(desk, crowd(at_ms=NOW_MS - HOUR_MS))
        before = dict(desk.writer.newest())
        document = trouble(desk)
        desk.clock.pass_s(15)

        assert await desk.see(document) is False
        assert reasons(desk)[0] == code
        assert len(reasons(desk)) == 1 or code in ("empty", "mostly_bad")
        assert await desk.follower.publish(via="tick", confirmed_at_ms=desk.clock.now) == 0
        assert desk.writer.newest() == before
        told = desk.follower.status()["snapshot"]
        assert told["is_accepted"] is False
        assert told["accepted_at_ms"] == NOW_MS
        assert told["reasons"][0].startswith(code)
    assert confirmed_at_ms(home) == NOW_MS


@pytest.mark.parametrize("code", [code for code in REFUSED if code not in NEVER_FORCED])
async def test_what_is_believed_against_the_guards_goes_carefully_for_ten_minutes(
    home: Home, code: str
) -> None:
    async with following(home) as desk:
        await settle(desk)
        document = REFUSED[code](desk)
        seen = []
        for _ in range(5):
            desk.clock.pass_s(15)
            seen.append(await desk.see(document))

        assert seen == [False] * 4 + [True]
        assert desk.follower.verdict is not None
        assert desk.follower.verdict.is_forced
        forced_at_ms = desk.clock.now
        pace = desk.follower.pace()
        assert (str(pace.per_minute), pace.reason) == ("2", "careful")
        desk.clock.now = forced_at_ms + CAREFUL_MS
        assert desk.follower.pace().per_minute == 10


@pytest.mark.parametrize("code", NEVER_FORCED)
async def test_what_is_bad_in_itself_is_never_believed_and_ends_with_good_data(
    home: Home, code: str
) -> None:
    async with following(home) as desk:
        await settle(desk)
        document = REFUSED[code](desk)
        for _ in range(20):
            desk.clock.pass_s(15)
            assert await desk.see(document) is False

        assert await desk.see(crowd(at_ms=desk.clock.now)) is True
        assert desk.follower.pace().reason == ""


async def test_a_file_older_than_the_pushes_takes_nothing_back_that_was_pushed(home: Home) -> None:
    async with following(home) as desk:
        await settle(desk)
        pushed = NOW_MS + 1000
        desk.clock.pass_s(10)
        for number in EVERYBODY:
            closing = position(number, "0", at_ms=pushed, is_closed=True)
            desk.follower.take_push(closing)
        desk.follower.take_push(position(0, "0.5", pair="ETHUSD", at_ms=pushed))
        await desk.follower.publish(via="push")
        after = desk.published()

        for _ in range(12):
            desk.clock.pass_s(60)
            await desk.see(crowd())
        assert desk.published() == after
        assert after["BTCUSD"] == 0
        assert after["ETHUSD"] > 0


# --- who is gone
async def test_an_eliminated_miner_leaves_at_once_and_nobody_grows_for_it(home: Home) -> None:
    async with following(home) as desk:
        await settle(desk, crowd())
        before, weight = desk.published()["BTCUSD"], weights(desk)[hotkey(11)]
        others = {key: part for key, part in weights(desk).items() if key != hotkey(11)}
        desk.follower.eliminated = {hotkey(11): "MAX_TOTAL_DRAWDOWN"}
        assert await desk.see(crowd())

        assert weights(desk) == others
        assert abs(before - desk.published()["BTCUSD"] - weight / 2) < Decimal("0.0002")


async def test_a_deregistered_miner_leaves_at_once_and_nobody_grows_for_it(home: Home) -> None:
    async with following(home) as desk:
        await settle(desk)
        before, weight = desk.published()["BTCUSD"], weights(desk)[hotkey(11)]
        others = {key: part for key, part in weights(desk).items() if key != hotkey(11)}
        desk.chain.registry = registry(range(11))
        assert await desk.see(crowd())

        assert weights(desk) == others
        assert abs(before - desk.published()["BTCUSD"] - weight / 2) < Decimal("0.0002")
        assert all(row.position.hotkey != hotkey(11) for row in desk.memory().held)


# --- the chain
@pytest.mark.parametrize("standing", ["unknown", "off"])
async def test_a_chain_that_is_required_and_unknown_lets_nothing_grow_and_exits_go(
    home: Home, standing: Any
) -> None:
    async with following(home, HARD) as desk:
        await settle(desk)
        before = desk.published()["BTCUSD"]
        desk.chain.now = standing
        desk.clock.pass_s(60)
        assert await desk.see(crowd(net=0.5, at_ms=NOW_MS))
        assert desk.published() == {"BTCUSD": before}
        assert desk.follower.status()["pace_per_minute"] == "0"
        desk.clock.pass_s(60)
        assert await desk.see(crowd(net=0.1, at_ms=NOW_MS + 60_000))

        assert 0 < desk.published()["BTCUSD"] < before


async def test_a_chain_that_is_only_wished_for_stops_nothing(home: Home) -> None:
    async with following(home) as desk:
        await settle(desk)
        before = desk.published()["BTCUSD"]
        desk.chain.now = "unknown"
        assert await desk.see(crowd(net=0.5, at_ms=NOW_MS))

        assert desk.published()["BTCUSD"] > before


async def test_settings_that_say_hard_bind_from_the_next_look_on(home: Home) -> None:
    async with following(home) as desk:
        await settle(desk)
        desk.chain.now = "unknown"
        desk.config = parse_processor_config(HARD)

        assert desk.follower.pace().per_minute == 0
        desk.chain.now = "stale"
        assert desk.follower.pace().per_minute == 10
