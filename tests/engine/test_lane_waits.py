"""Whatever hangs or dawdles, what reduces goes at once and what opens is not starved."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from core.errors import RejectedError, TransientError, UnknownOutcomeError
from core.model import Equity, Mode, OrderRequest, OrderState, Position, PositionsRead
from tests.engine.harness import Engine
from tests.engine.scenes import (
    A,
    Answers,
    B,
    S,
    hang_increases,
    holding,
    hung,
    refuse_orders,
    replace_call,
    seconds_until,
)
from tests.virtual_time import run_virtually


def slow_turn(engine: Engine, seconds: float) -> None:
    async def wait_turn(_kind: object, _count: object) -> None:
        await asyncio.sleep(seconds)

    replace_call(engine, "wait_turn", wait_turn)


def lose_orders_of(engine: Engine, symbol: str) -> None:
    """Let the fate of a symbol's orders stay unknown: no answer, and look-ups hang."""

    async def place(orders: Sequence[OrderRequest], **_: object) -> Answers:
        if any(o.symbol == symbol for o in orders):
            return tuple(UnknownOutcomeError("no answer") for _ in orders)
        answers: Answers = await honest(orders)
        return answers

    honest = replace_call(engine, "place_orders", place)
    replace_call(engine, "fetch_order", hung)


def test_a_reduction_waits_out_a_slow_rate_budget(tmp_path: Path) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 2)
        slow_turn(engine, 3)
        engine.want(lots=0)

        assert await seconds_until(engine, lambda: engine.held() == 0) < 10
        await engine.stop()

    run_virtually(story())


def test_an_entry_is_not_starved_by_a_turn_that_is_longer_than_a_read_is_young(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        engine = Engine(tmp_path)
        engine.start()
        slow_turn(engine, 6)
        engine.want(lots=1)

        assert await seconds_until(engine, lambda: engine.held() == 1) < 60
        await engine.stop()

    run_virtually(story())


def test_an_order_that_left_late_has_its_full_time_to_be_answered(tmp_path: Path) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 1, symbols=(A, B))
        engine.want(B, lots=1)
        await engine.settled()
        await asyncio.sleep(20)
        slow_turn(engine, 1.2)

        async def place(orders: Sequence[OrderRequest], **_: object) -> Answers:
            await asyncio.sleep(1.9)
            answers: Answers = await honest(orders)
            return answers

        honest = replace_call(engine, "place_orders", place)
        engine.venue.most_at_once = 1
        engine.want(A, lots=2)
        engine.want(B, lots=2)
        passes = len(engine.reports)
        await seconds_until(engine, lambda: engine.held(A) == engine.held(B) == 2)
        await asyncio.sleep(1)

        assert [all(s.verified for s in r.symbols.values()) for r in engine.reports[passes:]] == [
            True
        ]
        await engine.stop()

    run_virtually(story())


def test_a_flatten_does_not_wait_for_an_increase_of_another_symbol_that_hangs(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 2, symbols=(A, B))
        hang_increases(engine)
        engine.want(B, lots=1)
        await asyncio.sleep(1)
        engine.mode = (Mode.FLATTEN, "flatten by me")
        engine.nudge()

        assert await seconds_until(engine, lambda: engine.held(A) == 0) < 3
        await engine.stop()

    run_virtually(story())


def test_a_refused_exit_is_tried_again_while_an_increase_of_another_symbol_hangs(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 2, symbols=(A, B))
        hang_increases(engine)
        refused: list[OrderRequest] = []

        async def place(orders: Sequence[OrderRequest], **_: object) -> Answers:
            if not refused and all(o.reduce_only for o in orders):
                refused.extend(orders)
                return tuple(RejectedError("price", kind="price") for _ in orders)
            answers: Answers = await next_call(orders)
            return answers

        next_call = replace_call(engine, "place_orders", place)
        engine.want(A, lots=0)
        engine.want(B, lots=1)

        assert await seconds_until(engine, lambda: engine.held(A) == 0) < 4
        assert refused
        await engine.stop()

    run_virtually(story())


def test_a_flatten_does_not_wait_for_a_look_up_of_another_symbol_that_hangs(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 2, symbols=(A, B))
        lose_orders_of(engine, B)
        engine.want(B, lots=1)
        await asyncio.sleep(5)
        engine.mode = (Mode.FLATTEN, "flatten by me")
        engine.nudge()

        assert await seconds_until(engine, lambda: engine.held(A) == 0) < 3
        await engine.stop()

    run_virtually(story())


@pytest.mark.parametrize("lots", [0, 3], ids=["exit", "entry"])
def test_a_symbol_does_not_wait_for_a_look_up_of_another_one_that_hangs(
    tmp_path: Path, lots: int
) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 2, symbols=(A, B))
        lose_orders_of(engine, B)
        engine.want(B, lots=1)
        await asyncio.sleep(5)
        engine.want(A, lots=lots)

        assert await seconds_until(engine, lambda: engine.held(A) == lots) < 3
        await engine.stop()

    run_virtually(story())


@pytest.mark.parametrize("call", ["fetch_equity", "fetch_tickers"])
def test_an_exit_does_not_wait_for_a_read_that_it_does_not_need(tmp_path: Path, call: str) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 2)
        replace_call(engine, call, hung)
        engine.want(lots=0)

        assert await seconds_until(engine, lambda: engine.held() == 0) < 3
        await engine.stop()

    run_virtually(story())


def test_an_exit_goes_by_the_journal_when_the_positions_read_hangs(tmp_path: Path) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 2)
        replace_call(engine, "fetch_positions", hung)
        engine.want(lots=0)

        assert await seconds_until(engine, lambda: engine.held() == 0) < 14
        await engine.stop()

    run_virtually(story())


def test_a_slow_equity_read_does_not_starve_entries(tmp_path: Path) -> None:
    async def story() -> None:
        engine = Engine(tmp_path)
        engine.start()

        async def slow() -> Equity:
            await asyncio.sleep(6)
            equity: Equity = await honest()
            return equity

        honest = replace_call(engine, "fetch_equity", slow)
        engine.want(lots=1)

        assert await seconds_until(engine, lambda: engine.held() == 1) < 60
        await engine.stop()

    run_virtually(story())


def test_an_exit_is_not_held_up_by_reads_that_show_the_opposite_side_for_a_while(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 3)
        engine.want(lots=-2)
        await engine.settled()
        stale_until_ms = engine.clock.now_ms() + 8_000

        async def stale() -> PositionsRead:
            read: PositionsRead = await honest()
            if engine.clock.now_ms() >= stale_until_ms:
                return read
            return replace(read, positions={S: Position(symbol=S, size_lots=Decimal(3))})

        honest = replace_call(engine, "fetch_positions", stale)
        engine.want(lots=0)

        assert await seconds_until(engine, lambda: engine.held() == 0) < 4
        await engine.stop()

    run_virtually(story())


def test_a_newer_target_during_a_flip_ends_at_the_newer_target(tmp_path: Path) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 3)

        async def slow(orders: Sequence[OrderRequest], **_: object) -> Answers:
            answers: Answers = await honest(orders)
            await asyncio.sleep(0.5)
            return answers

        honest = replace_call(engine, "place_orders", slow)
        engine.want(lots=-1)
        await asyncio.sleep(0.3)
        engine.want(lots=3)
        await engine.settled()

        assert engine.held() == 3
        await engine.stop()

    run_virtually(story())


def test_an_exit_goes_within_seconds_when_a_halt_is_lifted(tmp_path: Path) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 2)
        engine.mode = (Mode.HALT, "state/HALT exists")
        engine.want(lots=0)
        await asyncio.sleep(50)
        engine.mode = (Mode.RUN, "")
        engine.nudge()

        assert await seconds_until(engine, lambda: engine.held() == 0) < 3
        await engine.stop()

    run_virtually(story())


def test_what_rests_is_read_after_an_unknown_outcome(tmp_path: Path) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 1)
        before = engine.venue.requests.count("open_orders")
        refuse_orders(engine, UnknownOutcomeError("no answer"))
        engine.want(lots=2)
        await asyncio.sleep(60)

        assert engine.venue.requests.count("open_orders") > before
        await engine.stop()

    run_virtually(story())


def test_what_rests_is_asked_again_when_the_first_read_of_it_failed(tmp_path: Path) -> None:
    async def story() -> None:
        engine = Engine(tmp_path)
        asked: list[int] = []

        async def first_fails() -> Sequence[OrderState]:
            asked.append(engine.clock.now_ms())
            if len(asked) == 1:
                message = "no connection"
                raise TransientError(message)
            orders: Sequence[OrderState] = await honest()
            return orders

        honest = replace_call(engine, "fetch_open_orders", first_fails)
        engine.start()
        engine.want(lots=1)
        await asyncio.sleep(120)

        assert len(asked) == 2
        await engine.stop()

    run_virtually(story())


def test_two_restarts_while_the_look_up_of_a_lost_order_hangs_buy_once(tmp_path: Path) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 2)

        async def lost(orders: Sequence[OrderRequest], **_: object) -> Answers:
            task = asyncio.ensure_future(execute(orders))
            engine.venue.background.add(task)
            task.add_done_callback(engine.venue.background.discard)
            return tuple(UnknownOutcomeError("no answer") for _ in orders)

        async def execute(orders: Sequence[OrderRequest]) -> None:
            await honest(orders)

        honest = replace_call(engine, "place_orders", lost)
        answering = replace_call(engine, "fetch_order", hung)
        engine.want(lots=3)
        for wait_s in (1, 3):
            await asyncio.sleep(wait_s)
            await engine.crash()
            engine.start()
        await asyncio.sleep(5)
        replace_call(engine, "place_orders", honest)
        replace_call(engine, "fetch_order", answering)
        await asyncio.sleep(100)

        assert engine.held() == 3
        assert engine.desk.ledger(S).hold is None
        await engine.stop()

    run_virtually(story())


def test_a_refusal_of_the_rate_budget_that_is_history_delays_no_exit(tmp_path: Path) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 2)

        async def refused_long_ago() -> tuple[str, int]:
            return "the breaker was open", engine.clock.now_ms()

        engine.desk.turns["reduce"] = asyncio.ensure_future(refused_long_ago())
        await asyncio.sleep(10)
        engine.want(lots=0)
        await asyncio.sleep(1)

        assert engine.held() == 0
        await engine.stop()

    run_virtually(story())
