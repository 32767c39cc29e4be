"""Changes that were not ours, and orders that must only reduce: A9, A14."""

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest

from core.control import Scope
from core.control.file import resume
from core.cycle import PassReport
from tests.drills.scripted import scripted
from tests.drills.stage import BTC, Stage, stage
from tests.virtual_time import run_virtually

TENTH = Decimal("0.1")


async def adopt_a_tenth(here: Stage) -> str:
    """Hold 0.1 BTC that the engine took over: no fill of ours makes a read wait 10 s."""
    here.trade(TENTH)
    await here.start()
    signal = await here.alert("long", "2/100")
    await here.settled(signal)
    assert here.orders() == []
    return signal


def is_held_back(report: PassReport) -> bool:
    """True once a pass found that somebody else changed the position."""
    return BTC in report.symbols and report.symbols[BTC].hold == "external"


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        pytest.param("-0.1", "0", id="closed-by-hand"),
        pytest.param("-0.04", "0.06", id="partly-closed"),
        pytest.param("0.05", "0.1", id="added-by-hand"),
        pytest.param("-0.3", "0", id="turned-by-hand"),
    ],
)
async def test_a9_a_change_by_hand_is_told_and_held(
    tmp_path: Path, venue: str, change: str, kept: str
) -> None:
    """Closed by hand, it was never looked at again, or bought back because a file said so.

    Must happen: an alert within one pass; nothing increases; what exceeds the target or is on the
    wrong side is reduced; a new instruction lifts the hold.
    """
    async with stage(tmp_path, venue) as here:
        await adopt_a_tenth(here)
        here.forget()
        here.trade(change)
        await here.again(where=is_held_back)
        await here.until(lambda: here.held() == Decimal(kept), "reduced")
        await here.again()

        assert f"external_change/main/{BTC}" in here.alerts()
        assert all(o.reduce_only for o in here.orders())
        assert here.held() == Decimal(kept)
        await here.settled(await here.alert("long", "2.2/100"))
        assert (here.target() or 0) == here.held() > TENTH
        assert f"external_change/main/{BTC}" not in here.alerts()


async def test_a9_a_hold_survives_a_restart(tmp_path: Path, venue: str) -> None:
    """Must happen: what was held before the restart is not bought back after it."""
    async with stage(tmp_path, venue) as here:
        await adopt_a_tenth(here)
        here.trade(-TENTH)
        await here.again(where=is_held_back)
        await here.kill()
        await here.start()
        await here.passed(1)
        await here.again()

        assert here.symbol_status()["hold"] == "external"
        assert here.orders() == []


async def test_a9_a_change_while_the_engine_was_down_is_noticed(tmp_path: Path, venue: str) -> None:
    """Must happen: the baseline on disk tells, at the first pass of the next process."""
    async with stage(tmp_path, venue) as here:
        await adopt_a_tenth(here)
        await here.stop()
        here.trade(-TENTH)
        await here.start()
        await here.passed(1)

        assert here.symbol_status()["hold"] == "external"
        assert here.orders() == []


async def test_a9_restore_buys_back_what_was_closed_by_hand(tmp_path: Path, venue: str) -> None:
    """Must happen under the policy `restore`: told, and held as wanted again."""
    async with stage(tmp_path, venue, external_change_policy="restore") as here:
        await adopt_a_tenth(here)
        here.trade(-TENTH)
        await here.again(where=lambda _: bool(here.orders()) and here.held() == TENTH)

        assert "external_change" in here.codes()
        assert len(here.orders()) == 1


@pytest.mark.parametrize("policy", ["hold", "restore"])
async def test_a9_a_liquidation_holds_until_a_person_resumes(
    tmp_path: Path, venue: str, policy: str
) -> None:
    """Liquidated, and bought again at once.

    Must happen under either policy: held as a liquidation; no new instruction lifts it, only
    `resume` does.
    """
    async with stage(tmp_path, venue, external_change_policy=policy) as here:
        await adopt_a_tenth(here)
        here.server.exchange.liquidate(here.server.account("main"), BTC)
        await here.again(
            where=lambda r: BTC in r.symbols and r.symbols[BTC].hold == "liquidation", within_s=6
        )
        signal = await here.alert("long", "3/100")
        await here.passed(1, since=signal)
        await here.again()
        assert here.orders() == []
        assert here.held() == 0
        now_ms = here.engine.clock.now_ms()
        resume(here.home, Scope(account="main", symbol=BTC), who="drill", now_ms=now_ms)
        await here.settled(signal)

        assert here.held() > TENTH


def test_a9_a_position_of_ours_closed_by_hand_is_not_bought_back(tmp_path: Path) -> None:
    """The engine's own position is closed by hand 30 s after its fills, then partly again.

    Must happen: an alert within one resync, nothing bought for an hour, also by an order that is
    re-sent with the same numbers before the change.
    """

    async def story() -> None:
        engine, venue = scripted(tmp_path)
        engine.start()
        engine.want(lots=1)
        await engine.settled()
        await asyncio.sleep(30)
        venue.trade_by_hand("BTCUSDT", Decimal("-0.4"))
        await asyncio.sleep(61)
        assert "external_change/one/BTCUSDT" in engine.alerts()
        venue.trade_by_hand("BTCUSDT", Decimal("-0.6"))
        await asyncio.sleep(3600)

        assert len(venue.placed) == 1
        assert engine.held() == 0
        engine.want(lots=1)
        await engine.settled()
        assert engine.held() == 1
        await engine.stop()

    run_virtually(story())


def test_a9_in_the_core_a_liquidation_is_lifted_by_resume_alone(tmp_path: Path) -> None:
    """As over HTTP, with a venue that marks the order as the port asks."""

    async def story() -> None:
        engine, venue = scripted(tmp_path)
        engine.start()
        engine.want(lots=1)
        await engine.settled()
        await asyncio.sleep(30)
        venue.liquidated = "BTCUSDT"
        venue.trade_by_hand("BTCUSDT", Decimal(-1))
        await asyncio.sleep(61)
        engine.want(lots=2)
        await asyncio.sleep(600)
        assert len(venue.placed) == 1
        venue.liquidated = ""
        engine.resumed["BTCUSDT"] = engine.clock.now_ms()
        engine.nudge()
        await engine.settled()

        assert engine.held() == 2
        await engine.stop()

    run_virtually(story())


async def test_a14_reductions_are_reduce_only_on_the_wire(tmp_path: Path, venue: str) -> None:
    """`reduce_only` is not ccxt's name: closes were plain orders and could open the other side.

    Must happen: every reduction bears `reduceOnly: true` in its bytes, no increase does.
    """
    async with stage(tmp_path, venue) as here:
        await here.start()
        for direction, size in (
            ("long", "4/100"),
            ("long", "2/100"),  # reduction
            ("short", "2/100"),  # flip: close, then open
            ("short", "1/100"),  # reduction
            ("flat", ""),  # close
        ):
            await here.settled(await here.alert(direction, size))

        held = Decimal(0)
        for order in here.orders():
            assert order.reduce_only == (abs(held + order.size_lots) < abs(held)), order
            held += order.size_lots
        assert [o.reduce_only for o in here.orders()] == [False, True, True, False, True, True]
        assert held == here.held() == 0


async def test_a14_a_close_after_a_take_profit_opens_nothing(tmp_path: Path, venue: str) -> None:
    """The position was gone already when the close arrived: it opened the other side.

    Must happen: the venue refuses the reduce-only order; the account stays flat.
    """
    async with stage(tmp_path, venue) as here:
        await here.start()
        await here.settled(await here.alert("long", "2/100"))
        here.break_at(here.words.positions, "stale")  # shows what was held
        here.trade(-TENTH)
        here.forget()
        await here.alert("flat")
        await here.until(here.orders, "a close")
        await here.until(lambda: "order_rejected" in here.codes(), "refused by the venue")

        assert all(o.reduce_only for o in here.orders())
        assert here.held() == 0
