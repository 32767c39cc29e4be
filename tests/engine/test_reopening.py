"""Closing to open again for another margin mode or leverage, and changing modes while flat."""

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.errors import RejectedError
from core.model import Mode, OrderRequest
from tests.engine.harness import Engine, paper_account
from tests.engine.scenes import A, Answers, B, S, codes_of, holding, replace_call, seconds_until
from tests.virtual_time import run_virtually

Sizes = list[tuple[Decimal | int, bool]]
CLOSED_AND_OPENED: Sizes = [(Decimal(-2), True), (Decimal(2), False)]


def sent(engine: Engine, symbol: str = S) -> Sizes:
    return [(o.size_lots, o.reduce_only) for o in engine.venue.placed if o.symbol == symbol]


async def configured(engine: Engine, **changes: Any) -> None:
    """Restart the engine with another configuration of its account."""
    await engine.crash()
    engine.account = engine.account.model_copy(update=changes)
    engine.venue.placed.clear()
    engine.venue.requests.clear()
    engine.start()


@pytest.mark.parametrize("mode", ["cross", None], ids=["by-account", "by-symbol"])
def test_a_margin_mode_is_kept_until_flat_unless_the_account_allows_to_reopen(
    tmp_path: Path, mode: str | None
) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 2)
        engine.venue.margin_mode, engine.venue.margin_modes = mode, {S: "cross"}
        await configured(engine, margin_mode="isolated")
        await asyncio.sleep(200)
        assert sent(engine) == []
        engine.want(lots=3)
        await asyncio.sleep(30)
        assert codes_of(engine) == ["margin_mode"]
        engine.want(lots=-1)
        await engine.settled()

        assert sent(engine) == [(-2, True), (-1, False)]
        in_force = engine.venue.margin_mode or engine.venue.margin_modes[S]
        assert in_force == "isolated"
        await engine.stop()

    run_virtually(story())


@pytest.mark.parametrize("mode", ["cross", None], ids=["by-account", "by-symbol"])
def test_where_it_may_it_closes_switches_and_opens_again_once(
    tmp_path: Path, mode: str | None
) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 2)
        engine.venue.margin_mode, engine.venue.margin_modes = mode, {S: "cross"}
        await configured(engine, margin_mode="isolated", allow_reopen=True)
        await engine.settled()
        await asyncio.sleep(4_000)  # modes are read again each hour

        assert engine.desk.attempts_of(S).reopened == ""  # it helped: it may be done again
        assert sent(engine) == CLOSED_AND_OPENED
        assert engine.held() == 2
        assert engine.venue.requests.count("margin_mode") == 1
        assert (engine.venue.margin_mode or engine.venue.margin_modes[S]) == "isolated"
        assert engine.desk.ledger(S).hold is None
        await engine.stop()

    run_virtually(story())


@pytest.mark.parametrize("mode", ["cross", None], ids=["by-account", "by-symbol"])
def test_a_venue_that_does_not_switch_is_not_asked_again_and_again(
    tmp_path: Path, mode: str | None
) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 2)
        engine.venue.margin_mode, engine.venue.margin_modes = mode, {S: "cross"}
        engine.venue.keeps_margin_mode = True
        await configured(engine, margin_mode="isolated", allow_reopen=True)

        async def place(orders: list[OrderRequest], **_: object) -> Answers:
            # takes orders under any mode, and opens under the old one
            answers: Answers = await honest([_unmoded(o) for o in orders])
            return answers

        honest = replace_call(engine, "place_orders", place)
        for _ in range(4):
            await asyncio.sleep(4_000)  # modes are read again each hour
            engine.want(lots=2)

        assert sent(engine) == CLOSED_AND_OPENED
        await engine.stop()

    run_virtually(story())


def _unmoded(order: OrderRequest) -> OrderRequest:
    return OrderRequest(
        client_id=order.client_id,
        symbol=order.symbol,
        size_lots=order.size_lots,
        reduce_only=order.reduce_only,
        limit_price=order.limit_price,
    )


def test_while_it_is_paused_it_stays_as_it_is(tmp_path: Path) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 2)
        engine.mode = (Mode.PAUSE, "by me")
        await configured(engine, margin_mode="isolated", allow_reopen=True)
        await asyncio.sleep(200)
        assert sent(engine) == []
        engine.mode = (Mode.RUN, "")
        engine.nudge()
        await engine.settled()

        assert sent(engine) == CLOSED_AND_OPENED
        await engine.stop()

    run_virtually(story())


def test_a_reopening_that_a_crash_cuts_in_half_is_ended_by_the_next_process(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 2)
        await asyncio.sleep(1_000)  # too old to be entered anew
        await configured(engine, margin_mode="isolated", allow_reopen=True)
        await seconds_until(engine, lambda: engine.held() == 0)
        await configured(engine)
        await engine.settled()

        assert engine.held() == 2
        assert engine.venue.margin_mode == "isolated"
        await engine.stop()

    run_virtually(story())


def test_a_close_in_parts_is_gone_on_with(tmp_path: Path) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 2)
        await configured(engine, margin_mode="isolated", allow_reopen=True)
        engine.venue.faults.partial_fill = 0.8
        await seconds_until(engine, lambda: engine.venue.margin_mode == "isolated", within_s=300)
        engine.venue.faults.stop()
        await engine.settled()

        assert engine.held() == 2
        await engine.stop()

    run_virtually(story())


async def two_held(tmp_path: Path) -> Engine:
    engine = Engine(tmp_path, symbols=(A, B))
    engine.start()
    engine.want(A, lots=2)
    engine.want(B, lots=2)
    await engine.settled()
    await asyncio.sleep(20)
    return engine


def test_an_account_s_mode_is_changed_once_all_is_closed(tmp_path: Path) -> None:
    async def story() -> None:
        engine = await two_held(tmp_path)
        await configured(engine, margin_mode="isolated", allow_reopen=True)
        slow: list[Any] = []

        async def place(orders: list[OrderRequest], **_: object) -> Answers:
            if orders[0].reduce_only and not slow:  # B is closed only at the second try
                slow.append(orders)
                kept = [o for o in orders if o.symbol == A]
                answers = iter(await honest(kept))
                price = RejectedError("price", kind="price")
                return tuple(next(answers) if o.symbol == A else price for o in orders)
            rest: Answers = await honest(orders)
            return rest

        honest = replace_call(engine, "place_orders", place)
        await engine.settled()

        assert sent(engine, A) == CLOSED_AND_OPENED
        assert sent(engine, B) == CLOSED_AND_OPENED
        assert not any(code.startswith("not_prepared") for code in engine.codes())
        await engine.stop()

    run_virtually(story())


def test_an_account_s_mode_closes_nothing_while_one_position_would_stay(tmp_path: Path) -> None:
    async def story() -> None:
        engine = await two_held(tmp_path)
        engine.venue.trade_by_hand("CUSDT", Decimal(1))  # a person's own
        await configured(engine, margin_mode="isolated", allow_reopen=True)
        await asyncio.sleep(200)
        assert sent(engine, A) == sent(engine, B) == []
        engine.venue.trade_by_hand("CUSDT", Decimal(-1))
        engine.nudge()
        await engine.settled()

        assert sent(engine, A) == sent(engine, B) == CLOSED_AND_OPENED
        await engine.stop()

    run_virtually(story())


def test_a_symbol_s_mode_depends_on_no_other_position(tmp_path: Path) -> None:
    async def story() -> None:
        engine = await two_held(tmp_path)
        engine.venue.margin_mode, engine.venue.margin_modes = None, {A: "cross", B: "isolated"}
        await configured(engine, margin_mode="isolated", allow_reopen=True)
        await engine.settled()
        await asyncio.sleep(100)

        assert sent(engine, A) == CLOSED_AND_OPENED
        assert sent(engine, B) == []
        await engine.stop()

    run_virtually(story())


def test_modes_by_symbol_are_set_while_flat_and_only_once(tmp_path: Path) -> None:
    async def story() -> None:
        engine = Engine(tmp_path, account=paper_account(margin_mode="cross"))
        engine.venue.margin_mode = None
        engine.start()
        for lots in (2, 3, 0, 1):
            engine.want(lots=lots)
            await engine.settled()

        assert engine.venue.requests.count("margin_mode") == 1
        assert engine.venue.margin_modes == {S: "cross"}
        assert {o.margin_mode for o in engine.venue.placed if not o.reduce_only} == {"cross"}
        assert {o.margin_mode for o in engine.venue.placed if o.reduce_only} == {None}
        await engine.stop()

    run_virtually(story())


def test_a_mode_that_a_person_changed_meanwhile_is_set_anew(tmp_path: Path) -> None:
    async def story() -> None:
        engine = Engine(tmp_path, account=paper_account(margin_mode="cross"))
        engine.venue.margin_mode = None
        engine.start()
        for lots in (2, 0):
            engine.want(lots=lots)
            await engine.settled()
        engine.venue.margin_modes[S] = "isolated"
        engine.want(lots=1)
        await engine.settled()

        assert engine.held() == 1
        assert engine.venue.margin_modes == {S: "cross"}
        await engine.stop()

    run_virtually(story())


def test_a18_a_changed_leverage_is_changed_in_place(tmp_path: Path) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 2)
        await configured(engine, leverage_override=Decimal(5), allow_reopen=True)
        engine.want(lots=3)
        await engine.settled()

        assert all(not reduces for _, reduces in sent(engine))
        assert engine.venue.leverage[S] == 5
        await engine.stop()

    run_virtually(story())


@pytest.mark.parametrize("allows", [True, False])
def test_a18_a_leverage_that_is_refused_while_held_reopens_only_where_allowed(
    tmp_path: Path, *, allows: bool
) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 2)
        engine.venue.keeps_leverage_held = True
        await configured(engine, leverage_override=Decimal(5), allow_reopen=allows)
        engine.want(lots=3)
        await asyncio.sleep(200)

        assert any(reduces for _, reduces in sent(engine)) == allows
        assert (engine.venue.leverage[S] == 5) == allows
        assert engine.held() == (5 if allows else 2)  # the override makes more of the same depth
        await engine.stop()

    run_virtually(story())


@pytest.mark.parametrize("by_account", [True, False])
@pytest.mark.parametrize("seed", range(12))
def test_whatever_goes_wrong_a_reopening_ends_where_it_began_under_the_new_mode(
    tmp_path: Path, seed: int, *, by_account: bool
) -> None:
    async def story() -> None:
        engine = Engine(tmp_path, seed=seed, symbols=(A, B))
        engine.venue.margin_mode = "cross" if by_account else None
        engine.venue.margin_modes = {A: "cross", B: "cross"}
        engine.start()
        engine.want(A, lots=2)
        engine.want(B, lots=-3)
        await engine.settled()
        await asyncio.sleep(20)
        faults = engine.venue.faults
        faults.lost_reply = faults.late_fill = faults.partial_fill = 0.3
        faults.read_fails = faults.stale_read = faults.look_up_fails = 0.1
        faults.rejected = faults.not_placed = 0.1
        await configured(engine, margin_mode="isolated", allow_reopen=True)
        await asyncio.sleep(engine.rng.uniform(0, 60))
        await configured(engine)
        await asyncio.sleep(engine.rng.uniform(0, 60))
        faults.stop()
        await engine.venue.settle()
        await engine.settled(within_s=600)
        held, has = engine.venue.held, engine.venue.margin_modes
        modes = {engine.venue.margin_mode} if by_account else set(has.values())

        assert Decimal("1.96") <= held[A] <= 2  # to the dead band
        assert Decimal(-3) <= held[B] <= Decimal("-2.94")
        assert modes == {"isolated"}
        assert engine.desk.ledger(A).hold is engine.desk.ledger(B).hold is None
        for fill, symbol in zip(engine.venue.fills, engine.venue.fill_symbols, strict=True):
            most = {A: 2, B: 3}[symbol]
            assert fill.before * (fill.before + fill.size_lots) >= 0
            assert abs(fill.before + fill.size_lots) <= most
        await engine.stop()

    run_virtually(story())
