"""Hedge mode, side by side: what is ours on one side, what is another's on the other."""

import asyncio
from decimal import Decimal
from pathlib import Path

from core.lanes.roster import CLOSED_DOWN
from core.model import Mode
from tests.engine.harness import Engine
from tests.engine.scenes import S, codes_of, seconds_until
from tests.virtual_time import run_virtually


async def hedged(tmp_path: Path, lots: int) -> Engine:
    """Start an engine in hedge mode that holds `lots` and has settled."""
    engine = Engine(tmp_path)
    engine.venue.is_hedged = engine.venue.holds_sides = True
    engine.start()
    engine.want(lots=lots)
    await engine.settled()
    await asyncio.sleep(20)
    return engine


def sides(engine: Engine) -> tuple[Decimal | int, Decimal | int]:
    held = engine.venue.sides
    return held.get((S, "long"), Decimal(0)), held.get((S, "short"), Decimal(0))


def test_in_hedge_mode_a_symbol_is_opened_added_to_flipped_and_closed(tmp_path: Path) -> None:
    async def story() -> None:
        engine = await hedged(tmp_path, 2)
        seen = [sides(engine)]
        for lots in (3, 1, -2, 0):
            engine.want(lots=lots)
            await engine.settled()
            seen.append(sides(engine))

        assert seen == [(2, 0), (3, 0), (1, 0), (0, -2), (0, 0)]
        await engine.stop()

    run_virtually(story())


def test_a15_with_both_sides_held_nothing_is_opened_and_the_status_says_why(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        engine = await hedged(tmp_path, 2)
        engine.venue.trade_by_hand(S, Decimal(-1))
        engine.want(lots=5)
        await asyncio.sleep(200)

        assert sides(engine) == (2, -1)
        assert "both_sides" in codes_of(engine)
        assert "both_sides/one/BTCUSDT" in engine.alerts()
        assert "reads/one" not in engine.alerts()  # it was read, and is no riddle
        await engine.stop()

    run_virtually(story())


def test_a15_an_account_with_both_sides_held_is_not_asked_more_often(tmp_path: Path) -> None:
    async def story() -> None:
        engine = await hedged(tmp_path, 2)
        engine.venue.trade_by_hand(S, Decimal(-1))
        engine.nudge()
        await asyncio.sleep(5)
        engine.venue.requests.clear()
        await asyncio.sleep(300)

        assert engine.venue.requests.count("positions") <= 6  # once a minute
        await engine.stop()

    run_virtually(story())


def test_a15_an_exit_while_both_sides_are_held_closes_our_side_and_no_more(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        engine = await hedged(tmp_path, 2)
        engine.venue.trade_by_hand(S, Decimal(-1))
        engine.venue.placed.clear()
        engine.want(lots=0)
        await seconds_until(engine, lambda: bool(engine.venue.placed))
        await asyncio.sleep(0.05)

        assert sides(engine) == (0, -1)
        assert [(o.size_lots, o.reduce_only) for o in engine.venue.placed] == [(Decimal(-2), True)]
        await engine.stop()

    run_virtually(story())


def test_a15_once_the_other_side_is_gone_the_target_is_held_again(tmp_path: Path) -> None:
    async def story() -> None:
        engine = await hedged(tmp_path, 2)
        engine.venue.trade_by_hand(S, Decimal(-1))
        engine.want(lots=5)
        await asyncio.sleep(100)
        engine.venue.close_side_by_hand(S, "short")
        await engine.settled()

        assert sides(engine) == (5, 0)
        assert "both_sides/one/BTCUSDT" not in engine.alerts()
        await engine.stop()

    run_virtually(story())


def test_a15_a_flatten_closes_both_sides_and_ends_flat_without_a_hold(tmp_path: Path) -> None:
    async def story() -> None:
        engine = await hedged(tmp_path, 2)
        engine.venue.trade_by_hand(S, Decimal(-1))
        engine.nudge()
        await asyncio.sleep(5)
        engine.mode = (Mode.FLATTEN, "flatten of everything by me")
        engine.nudge()
        await seconds_until(engine, lambda: bool(engine.desk.flattened))
        took = engine.venue.placed[-2:]
        await asyncio.sleep(200)

        assert sides(engine) == (0, 0)
        assert engine.desk.flattened
        assert [o.size_lots for o in took] == [Decimal(-2), Decimal(1)]
        assert all(o.reduce_only for o in took)
        assert engine.venue.placed[-2:] == took  # nothing more
        assert engine.desk.ledger(S).hold is None
        assert "external_change/one/BTCUSDT" not in engine.alerts()
        engine.mode = (Mode.RUN, "")
        engine.want(lots=1)
        await engine.settled()
        assert sides(engine) == (1, 0)
        await engine.stop()

    run_virtually(story())


def test_a15_a_flatten_right_after_a_fill_of_ours_ends_flat_too(tmp_path: Path) -> None:
    async def story() -> None:
        engine = await hedged(tmp_path, 2)
        engine.want(lots=3)
        await engine.settled()
        engine.venue.trade_by_hand(S, Decimal(-1))
        engine.mode = (Mode.FLATTEN, "flatten of everything by me")
        engine.nudge()
        await seconds_until(engine, lambda: bool(engine.desk.flattened))
        await asyncio.sleep(100)

        assert sides(engine) == (0, 0)
        assert engine.desk.ledger(S).hold is None
        await engine.stop()

    run_virtually(story())


def test_a15_a_flatten_of_two_sides_whose_net_is_ours_ends_flat(tmp_path: Path) -> None:
    async def story() -> None:
        engine = await hedged(tmp_path, 2)
        engine.venue.trade_by_hand(S, Decimal(-1))
        engine.venue.trade_by_hand(S, Decimal(1))
        assert sides(engine) == (3, -1)
        engine.mode = (Mode.FLATTEN, "flatten of everything by me")
        engine.nudge()
        await seconds_until(engine, lambda: bool(engine.desk.flattened))

        assert sides(engine) == (0, 0)
        assert engine.desk.ledger(S).hold is None
        await engine.stop()

    run_virtually(story())


def test_a15_a_flatten_whose_closes_are_filled_in_parts_ends_flat(tmp_path: Path) -> None:
    async def story() -> None:
        engine = await hedged(tmp_path, 2)
        engine.venue.trade_by_hand(S, Decimal(-1))
        engine.venue.faults.partial_fill = 0.7
        engine.mode = (Mode.FLATTEN, "flatten of everything by me")
        engine.nudge()
        await seconds_until(engine, lambda: bool(engine.desk.flattened), within_s=300)

        assert sides(engine) == (0, 0)
        assert engine.desk.flattened
        await engine.stop()

    run_virtually(story())


def test_a15_a_disabled_account_is_closed_down_while_a_person_holds_both_sides(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        engine = await hedged(tmp_path, 2)
        await engine.crash()
        engine.venue.trade_by_hand(S, Decimal(-1))
        engine.venue.trade_by_hand(S, Decimal(1))
        engine.account = engine.account.model_copy(update={"enabled": False})
        engine.start()
        (place,) = engine.roster.places
        await seconds_until(engine, lambda: place.reason == CLOSED_DOWN, within_s=100)

        assert sides(engine) == (1, -1)
        assert place.reason == CLOSED_DOWN
        await engine.stop()

    run_virtually(story())


def test_a15_a_disabled_account_in_hedge_mode_closes_our_side_alone(tmp_path: Path) -> None:
    async def story() -> None:
        engine = await hedged(tmp_path, 2)
        await engine.crash()
        engine.venue.trade_by_hand(S, Decimal(-1))
        engine.account = engine.account.model_copy(update={"enabled": False})
        engine.start()
        (place,) = engine.roster.places
        await seconds_until(engine, lambda: place.reason == CLOSED_DOWN, within_s=100)

        assert sides(engine) == (0, -1)
        assert place.reason == CLOSED_DOWN
        await engine.stop()

    run_virtually(story())
