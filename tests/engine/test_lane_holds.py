"""What was not ours: adoption, external changes, liquidations, orphans, other engines."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from core.ledger import HoldKind
from core.model import OrderState, OrderStatus
from tests.engine.harness import Engine, paper_account
from tests.virtual_time import run_virtually

LIVE = {"environment": "live", "name": "one"}


def test_positions_that_were_there_before_are_not_touched_on_live_until_resumed(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        engine = Engine(tmp_path, account=paper_account(**LIVE))
        engine.venue.trade_by_hand("BTCUSDT", Decimal(5))
        engine.start()
        engine.want(lots=1)
        await asyncio.sleep(130)
        assert engine.held() == 5
        assert "adopt/one/BTCUSDT" in engine.alerts()
        await engine.crash()
        engine.start()  # the refusal survives a restart
        await asyncio.sleep(130)
        assert engine.held() == 5
        engine.resumed["BTCUSDT"] = engine.clock.now_ms()
        engine.nudge()
        await engine.settled()

        assert engine.held() == 1
        await engine.stop()

    run_virtually(story())


def test_positions_that_were_there_before_are_adopted_on_paper(tmp_path: Path) -> None:
    async def story() -> None:
        engine = Engine(tmp_path)
        engine.venue.trade_by_hand("BTCUSDT", Decimal(5))
        engine.start()
        engine.want(lots=1)
        await engine.settled()

        assert engine.held() == 1
        assert "adopted" in engine.codes()
        await engine.stop()

    run_virtually(story())


def test_an_external_change_holds_until_a_newer_instruction(tmp_path: Path) -> None:
    async def story() -> None:
        engine = Engine(tmp_path)
        engine.start()
        engine.want(lots=2)
        await engine.settled()
        await asyncio.sleep(20)
        engine.venue.trade_by_hand("BTCUSDT", Decimal(-2))
        await asyncio.sleep(130)
        assert engine.held() == 0
        assert engine.desk.ledger("BTCUSDT").hold is not None
        assert "external_change/one/BTCUSDT" in engine.alerts()
        engine.nudge()
        await asyncio.sleep(70)
        assert engine.held() == 0  # a nudge is not an instruction
        engine.want(lots=1)
        await engine.settled()

        assert engine.held() == 1
        assert "external_change/one/BTCUSDT" not in engine.alerts()
        await engine.stop()

    run_virtually(story())


def test_under_a_hold_what_exceeds_the_target_is_still_reduced(tmp_path: Path) -> None:
    async def story() -> None:
        engine = Engine(tmp_path)
        engine.start()
        engine.want(lots=1)
        await engine.settled()
        await asyncio.sleep(20)
        engine.venue.trade_by_hand("BTCUSDT", Decimal(2))
        await asyncio.sleep(130)

        assert engine.held() == 1
        await engine.stop()

    run_virtually(story())


def test_with_the_restore_policy_an_external_change_is_undone(tmp_path: Path) -> None:
    async def story() -> None:
        engine = Engine(tmp_path, external_change_policy="restore")
        engine.start()
        engine.want(lots=2)
        await engine.settled()
        await asyncio.sleep(20)
        engine.venue.trade_by_hand("BTCUSDT", Decimal(-2))
        await asyncio.sleep(130)

        assert engine.held() == 2
        await engine.stop()

    run_virtually(story())


@pytest.mark.parametrize("policy", ["hold", "restore"])
def test_a9_a_liquidation_holds_whatever_the_policy_until_resumed(
    tmp_path: Path, policy: str
) -> None:
    async def story() -> None:
        engine = Engine(tmp_path, external_change_policy=policy)
        engine.start()
        engine.want(lots=2)
        await engine.settled()
        await asyncio.sleep(20)
        engine.venue.trade_by_hand("BTCUSDT", Decimal(-2))
        engine.venue.orders["liq"] = OrderState(
            client_id="",
            order_id="liq",
            symbol="BTCUSDT",
            size_lots=Decimal(-2),
            filled_lots=Decimal(-2),
            status=OrderStatus.FILLED,
            is_liquidation=True,
            updated_at_ms=engine.clock.now_ms(),
        )
        await asyncio.sleep(70)
        hold = engine.desk.ledger("BTCUSDT").hold
        assert hold is not None
        assert hold.kind is HoldKind.LIQUIDATION
        engine.want(lots=2)  # an instruction is not enough
        await asyncio.sleep(70)
        assert engine.held() == 0
        engine.resumed["BTCUSDT"] = engine.clock.now_ms()
        engine.nudge()
        await engine.settled()

        assert engine.held() == 2
        await engine.stop()

    run_virtually(story())


def test_a25_orders_of_another_engine_trip_the_account(tmp_path: Path) -> None:
    async def story() -> None:
        engine = Engine(tmp_path)
        engine.start()
        engine.want(lots=1)
        await engine.settled()
        await asyncio.sleep(20)
        engine.venue.trade_by_hand("BTCUSDT", Decimal(1))
        engine.venue.orders["x"] = OrderState(
            client_id="tezzzzzacct000000000aaaa",
            order_id="x",
            symbol="BTCUSDT",
            size_lots=Decimal(1),
            filled_lots=Decimal(1),
            status=OrderStatus.FILLED,
        )
        await asyncio.sleep(70)

        assert engine.trips[0][0] == "second_engine"
        await engine.stop()

    run_virtually(story())


def test_an_orphaned_position_is_held_by_default(tmp_path: Path) -> None:
    async def story() -> None:
        engine = Engine(tmp_path)
        engine.start()
        engine.want(lots=1)
        await engine.settled()
        engine.settings = replace(engine.settings, weights=())
        engine.nudge()
        await asyncio.sleep(130)

        assert engine.held() == 1
        report = engine.lane.report
        assert report is not None
        assert report.symbols["BTCUSDT"].reasons[0].code == "orphan"
        await engine.stop()

    run_virtually(story())


def test_an_orphaned_position_is_closed_where_the_policy_says_so(tmp_path: Path) -> None:
    async def story() -> None:
        engine = Engine(tmp_path, orphan_policy="close")
        engine.start()
        engine.want(lots=1)
        await engine.settled()
        engine.settings = replace(engine.settings, weights=())
        engine.nudge()
        await asyncio.sleep(30)

        assert engine.held() == 0
        await engine.stop()

    run_virtually(story())


def test_b15_with_a_full_disk_nothing_is_opened_and_everything_can_be_closed(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        engine = Engine(tmp_path)
        engine.start()
        engine.want(lots=1)
        await engine.settled()
        engine.disk.is_full = True
        engine.want(lots=2)
        await asyncio.sleep(30)
        assert engine.held() == 1
        assert "disk/one" in engine.alerts()
        engine.want(lots=0)
        await asyncio.sleep(30)
        assert engine.held() == 0
        engine.disk.is_full = False
        engine.want(lots=1)
        await engine.settled()
        await engine.crash()
        engine.start()  # what was kept in memory was written when the disk took it again
        await asyncio.sleep(130)

        assert engine.held() == 1
        assert engine.desk.ledger("BTCUSDT").expected_lots == 1
        assert engine.desk.ledger("BTCUSDT").hold is None
        await engine.stop()

    run_virtually(story())


def test_a_lost_targets_file_adopts_what_is_held_near_enough(tmp_path: Path) -> None:
    async def story() -> None:
        engine = Engine(tmp_path)
        engine.start()
        engine.want(lots=2)
        await engine.settled()
        await engine.crash()
        (tmp_path / "targets.json").unlink()
        engine.venue.equity_usdt = Decimal(1_100_000)  # sized anew it would be 2.2
        engine.start()
        sent = len(engine.venue.placed)
        await asyncio.sleep(130)

        assert len(engine.venue.placed) == sent
        assert engine.held() == 2
        await engine.stop()

    run_virtually(story())
