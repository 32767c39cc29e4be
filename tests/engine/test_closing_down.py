"""A disabled account: what of ours is left on it is closed down once, no more (A11)."""

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.errors import UnknownOutcomeError
from core.home import Home
from core.lanes.roster import DISABLED
from core.model import Mode, OrderRequest
from core.settings import SettingsReader
from core.signal_manager import SignalManager
from core.trade_executor import TradeExecutor
from tests.engine.harness import Engine, paper_account
from tests.engine.scenes import (
    A,
    Answers,
    B,
    S,
    disabled,
    holding,
    is_closed_down,
    replace_call,
    seconds_until,
    standing,
)
from tests.virtual_time import run_virtually


def test_a11_a_disabled_account_is_closed_down_once_and_then_left_alone(tmp_path: Path) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 2)
        await disabled(engine)
        await asyncio.sleep(1)
        assert standing(engine) == ("disabled", f"closes {S} down")
        await seconds_until(engine, lambda: is_closed_down(engine))
        requests = len(engine.venue.requests)
        await asyncio.sleep(300)

        assert engine.held() == 0
        assert [(o.size_lots, o.reduce_only) for o in engine.venue.placed] == [(Decimal(-2), True)]
        assert is_closed_down(engine)
        assert len(engine.venue.requests) == requests
        assert engine.roster.places[0].lane is None
        assert "closed_down" in engine.codes()
        await engine.stop()

    run_virtually(story())


def test_a11_after_a_restart_a_disabled_account_is_not_contacted_again(tmp_path: Path) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 2)
        await disabled(engine)
        await seconds_until(engine, lambda: is_closed_down(engine))
        engine.venue.trade_by_hand(S, Decimal(3))  # a person uses the account now
        await disabled(engine)
        await asyncio.sleep(300)

        assert engine.venue.requests == []
        assert engine.held() == 3
        assert is_closed_down(engine)
        await engine.stop()

    run_virtually(story())


def test_a11_a_disabled_account_without_positions_of_ours_is_never_contacted(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        engine = Engine(tmp_path, account=paper_account(enabled=False))
        engine.venue.trade_by_hand(S, Decimal(3))
        engine.start()
        engine.want(lots=1)
        await asyncio.sleep(300)

        assert engine.venue.requests == []
        assert engine.held() == 3
        assert standing(engine) == ("disabled", DISABLED)
        await engine.stop()

    run_virtually(story())


def test_a11_only_symbols_of_ours_are_closed_down(tmp_path: Path) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 1, symbols=(A, B))
        engine.venue.trade_by_hand(B, Decimal(5))
        await disabled(engine)
        await seconds_until(engine, lambda: is_closed_down(engine))

        assert engine.held(A) == 0
        assert engine.held(B) == 5
        await engine.stop()

    run_virtually(story())


def test_a11_what_a_person_opens_while_the_last_fill_settles_is_left_alone(tmp_path: Path) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 1, symbols=(A, B))
        await disabled(engine)
        await seconds_until(engine, lambda: engine.held(A) == 0)
        await asyncio.sleep(2)
        engine.venue.trade_by_hand(A, Decimal(4))
        await seconds_until(engine, lambda: is_closed_down(engine))
        await disabled(engine)
        await asyncio.sleep(100)

        assert engine.held(A) == 4
        assert engine.venue.requests == []
        await engine.stop()

    run_virtually(story())


def test_a11_it_is_not_over_before_our_orders_could_be_read_again(tmp_path: Path) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 1)
        await disabled(engine)
        await seconds_until(engine, lambda: engine.held() == 0)
        await asyncio.sleep(1)
        engine.venue.trade_by_hand(S, Decimal(4))
        engine.venue.faults.look_up_fails = 1
        await asyncio.sleep(60)
        assert not is_closed_down(engine)
        engine.venue.faults.stop()
        await seconds_until(engine, lambda: is_closed_down(engine))

        assert is_closed_down(engine)
        assert engine.held() == 4
        await engine.stop()

    run_virtually(story())


def test_a11_the_executor_parts_with_a_lane_that_is_over(tmp_path: Path) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 2)
        await disabled(engine)
        await engine.crash()  # its place is taken by the executor
        home = Home(tmp_path)
        executor = TradeExecutor(
            home,
            settings=SettingsReader(home),
            brakes=lambda: None,
            signal_manager=SignalManager(home, [], engine.clock, engine.events),
            events=engine.events,
            clock=engine.clock,
            markets={},
        )
        given_back: list[str] = []
        told: list[int] = []
        executor.on_change = lambda: told.append(len(executor.lanes))
        engine.desk.give_back = lambda: given_back.append("key")
        engine.desk.closing = {S}
        executor.add(engine.lane)
        engine.nudge()
        waiting = asyncio.ensure_future(engine.lane.passed(10**9))
        await asyncio.sleep(5)
        assert executor.lanes == [engine.lane]
        assert not given_back
        await seconds_until(engine, engine.lane.ended.is_set)
        await waiting

        assert engine.held() == 0
        assert executor.lanes == []
        assert given_back == ["key"]
        assert told == [0]
        await engine.stop()

    run_virtually(story())


def test_a11_a_fill_of_ours_that_is_found_later_is_closed_too(tmp_path: Path) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 1)
        await disabled(engine)
        await seconds_until(engine, lambda: engine.held() == 0)
        await asyncio.sleep(2)
        increase = OrderRequest(
            client_id=engine.desk.ids.mint(),
            symbol=S,
            size_lots=Decimal(2),
            reduce_only=False,
            limit_price=None,
        )
        await engine.venue.place_orders([increase])  # an intent that a crash had lost
        await seconds_until(engine, lambda: is_closed_down(engine))

        assert engine.held() == 0
        assert is_closed_down(engine)
        await engine.stop()

    run_virtually(story())


def test_a11_an_order_without_a_known_end_is_settled_before_the_account_is_left(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        engine = Engine(tmp_path)

        async def lose(orders: Any, **_: object) -> Answers:
            answers: Answers = await honest(orders)
            return tuple(UnknownOutcomeError("no answer") for _ in answers)

        honest = replace_call(engine, "place_orders", lose)
        engine.start()
        engine.want(lots=2)
        await seconds_until(engine, lambda: engine.held() == 2)
        replace_call(engine, "place_orders", honest)
        await disabled(engine)
        await seconds_until(engine, lambda: is_closed_down(engine), within_s=120)

        assert engine.held() == 0
        assert is_closed_down(engine)
        await engine.stop()

    run_virtually(story())


def test_a11_a_close_that_a_crash_forgot_does_not_close_what_a_person_opened_since(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 2)
        filled = asyncio.Event()
        engine.venue.on_fill = lambda _symbol, _fill: filled.set()
        await disabled(engine)
        await filled.wait()
        engine.venue.faults.look_up_fails = 1
        await disabled(engine)  # before the answer was heard
        engine.venue.trade_by_hand(S, Decimal(1))
        assert engine.desk.ledger(S).is_left
        await asyncio.sleep(15)
        assert "it is being found out" in standing(engine)[1]
        engine.venue.faults.stop()
        await seconds_until(engine, lambda: is_closed_down(engine))

        assert engine.held() == 1
        assert engine.venue.placed == []
        await engine.stop()

    run_virtually(story())


@pytest.mark.parametrize(
    ("brake", "word"),
    [
        pytest.param((Mode.HALT, "halt by me"), "halt by me", id="halt"),
        pytest.param(None, "trade-engine arm", id="dry-run"),
    ],
)
def test_a11_while_it_may_not_close_the_status_says_why(
    tmp_path: Path, brake: tuple[Mode, str] | None, word: str
) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 2)
        engine.mode, engine.is_dry_run = brake or (Mode.RUN, ""), brake is None
        await disabled(engine)
        await asyncio.sleep(100)
        assert engine.held() == 2
        state, reason = standing(engine)
        assert state == "disabled"
        assert reason.startswith(f"closes {S} down")
        assert word in reason
        assert engine.venue.placed == []
        engine.mode, engine.is_dry_run = (Mode.PAUSE, "reductions may go"), False
        engine.nudge()
        await seconds_until(engine, lambda: is_closed_down(engine))

        assert engine.held() == 0
        await engine.stop()

    run_virtually(story())


def test_a11_a_hold_does_not_keep_a_disabled_account_open(tmp_path: Path) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 2)
        engine.venue.trade_by_hand(S, Decimal(-1))
        await seconds_until(engine, lambda: engine.desk.ledger(S).hold is not None, within_s=200)
        assert engine.held() == 1
        await disabled(engine)
        await seconds_until(engine, lambda: is_closed_down(engine))

        assert engine.held() == 0
        await engine.stop()

    run_virtually(story())


def test_a11_a_position_that_was_closed_by_hand_needs_no_order(tmp_path: Path) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 2)
        await engine.crash()
        engine.venue.trade_by_hand(S, Decimal(-2))
        engine.venue.placed.clear()
        engine.account = engine.account.model_copy(update={"enabled": False})
        engine.start()
        await seconds_until(engine, lambda: is_closed_down(engine))

        assert is_closed_down(engine)
        assert engine.venue.placed == []
        await engine.stop()

    run_virtually(story())


def test_a11_an_account_that_is_enabled_again_finds_what_a_person_opened_and_holds(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 2)
        await disabled(engine)
        await seconds_until(engine, lambda: is_closed_down(engine))
        engine.venue.trade_by_hand(S, Decimal(3))
        await engine.crash()
        engine.account = engine.account.model_copy(update={"enabled": True})
        engine.start()
        await seconds_until(engine, lambda: engine.desk.ledger(S).hold is not None)

        assert engine.desk.ledger(S).hold is not None
        await engine.stop()

    run_virtually(story())


@pytest.mark.parametrize("seed", range(20))
def test_a11_whatever_goes_wrong_it_ends_closed_down_and_nothing_is_opened(
    tmp_path: Path, seed: int
) -> None:
    async def story() -> None:
        engine = Engine(tmp_path, seed=seed, symbols=(A, B))
        engine.start()
        engine.want(A, lots=2)
        engine.venue.trade_by_hand(B, Decimal(3))
        await seconds_until(engine, lambda: engine.held(A) == 2)
        faults = engine.venue.faults
        faults.lost_reply = faults.late_fill = faults.partial_fill = 0.3
        faults.read_fails = faults.stale_read = faults.look_up_fails = 0.2
        faults.rejected = faults.not_placed = 0.2
        engine.want(A, lots=4)
        await asyncio.sleep(engine.rng.uniform(0, 3))
        for _ in range(3):  # the last restarts come while it is being closed down
            await disabled(engine)
            await asyncio.sleep(engine.rng.uniform(0, 15))
        faults.stop()
        await engine.venue.settle()
        await seconds_until(engine, lambda: is_closed_down(engine), within_s=300)

        assert is_closed_down(engine)
        assert engine.held(A) == 0
        assert engine.held(B) == 3
        assert all(o.reduce_only and o.symbol == A for o in engine.venue.placed)
        await engine.stop()

    run_virtually(story())
