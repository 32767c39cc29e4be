"""`plan` and `start --simulate` tell what would be done; no file and no exchange notices."""

import time
from decimal import Decimal
from pathlib import Path

import pytest

from core.control import Scope
from core.control.file import set_mode
from core.home import HOME_VARIABLE
from core.model import Mode
from core.process.lease import lock_now
from tests.drills.stage import BTC, ETH, Stage, stage
from tests.engine.plan_scene import Screen, codes, orders, row_of, untouched
from tests.venues import exchanges

EVERY_VENUE = pytest.mark.parametrize("venue", exchanges())
TENTH = Decimal("0.1")


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))


async def hold_long(here: Stage) -> None:
    """Hold 0.1 BTC by an engine that is dead by now."""
    await here.start()
    await here.settled(await here.alert("long", "2/100"))
    await here.kill()


@EVERY_VENUE
async def test_a_flip_is_planned_in_both_its_steps_and_nothing_is_touched(
    venue: str, tmp_path: Path, capsys: Screen
) -> None:
    async with stage(tmp_path, venue) as here:
        await hold_long(here)
        await here.alert("short", "4/100")
        code, told = await untouched(here, capsys, "plan")
        row = row_of(told, BTC)
        held = format(here.lots(TENTH).normalize(), "f")
        target = row["target_lots"]

        assert (code, row["held_lots"]) == (0, held)
        assert Decimal(row["target_lots"]) < -Decimal(held)
        assert Decimal(row["delta_lots"]) == Decimal(row["target_lots"]) - Decimal(held)
        assert orders(row) == [("sell", f"-{held}", True), ("sell", target, False)]
        assert (codes(row), row["does"]) == (["flip"], "flip")
        assert here.held() == TENTH


@EVERY_VENUE
async def test_a_simulated_flip_is_told_as_done_and_only_told(
    venue: str, tmp_path: Path, capsys: Screen
) -> None:
    async with stage(tmp_path, venue) as here:
        await hold_long(here)
        await here.alert("short", "4/100")
        code, told = await untouched(here, capsys, "start", "--simulate")
        row = row_of(told, BTC)

        assert (code, told["kind"]) == (0, "simulated")
        assert row["held_after_lots"] == row["target_lots"]
        assert row["verified"] is True
        assert [step["filled_lots"] for step in row["steps"] if "side" in step] == [
            f"-{row['held_lots']}",
            row["target_lots"],
        ]
        assert here.held() == TENTH


@EVERY_VENUE
async def test_beside_a_living_engine_a_plan_takes_nothing_from_it(
    venue: str, tmp_path: Path, capsys: Screen
) -> None:
    async with stage(tmp_path, venue) as here:
        await here.start()
        await here.settled(await here.alert("long", "2/100"))
        with lock_now(here.home.state / "trade-engine.lock", "the engine"):
            code, told = await untouched(here, capsys, "plan", "--check")
        row = row_of(told, BTC)

        assert (code, orders(row), codes(row)) == (0, [], ["settled"])
        assert row["held_lots"] == row["target_lots"]
        here.open_receiver()
        await here.settled(await here.alert("flat"))
        assert here.held() == 0


@EVERY_VENUE
async def test_what_stands_in_the_way_is_told_for_each_account_and_symbol(
    venue: str, tmp_path: Path, capsys: Screen
) -> None:
    accounts = {"main": {}, "real": {"environment": "live"}, "broken": {}}
    async with stage(tmp_path, venue, accounts=accounts) as here:
        await here.alert("long", "2/100")
        await here.alert("long", "0.00001/100", symbol=ETH)
        pause = Scope(account="main", symbol=BTC)
        now_ms = time.time_ns() // 1_000_000
        set_mode(here.home, pause, Mode.PAUSE, who="ann", why="news", now_ms=now_ms)
        here.server.add_fault("http", status=500, account="broken", **here.words.positions.fault)
        code, told = await untouched(here, capsys, "plan")
        by_name = {row["account"]: row for row in told["accounts"]}

        assert code == 5
        assert [row["mode"] for row in told["accounts"]] == ["paper", "dry-run", "paper"]
        paused, small = row_of(told, BTC), row_of(told, ETH)
        assert (orders(paused), codes(paused)) == ([], ["paused"])
        assert "ann: news" in paused["reasons"][0]["text"]
        assert paused["is_off_target"] is True
        assert (orders(small), codes(small)) == ([], ["below_minimum"])
        unarmed = row_of(told, BTC, "real")
        assert [side for side, _, _ in orders(unarmed)] == ["buy"]
        assert codes(unarmed) == ["open", "dry_run"]
        assert Decimal(by_name["real"]["equity_usdt"]) == 100_000
        assert "HTTP 500" in by_name["broken"]["failures"][0]
        assert {row["brake"] for row in told["accounts"]} == {"run"}  # one symbol's is told there
        assert [by_name[name]["failures"] for name in ("main", "real")] == [[], []]
        unread = [row for row in told["symbols"] if row["account"] == "broken"]
        assert {row["held_lots"] for row in unread} <= {None}
        assert [row["steps"] for row in unread if row["steps"]] == []
