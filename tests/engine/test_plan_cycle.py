"""`start --run-single-cycle` and what else a plan must say: real orders, halts, what is unknown."""

import asyncio
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

from commands.main import run
from core.control import Scope
from core.control.file import set_mode
from core.home import CHECKOUT, HOME_VARIABLE, Home
from core.model import Mode
from core.process.lease import lock_now
from tests.drills.stage import BTC, ETH, Stage, stage
from tests.engine.plan_scene import Screen, codes, orders, row_of, tree, untouched

TENTH = Decimal("0.1")


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))


async def entry(*words: str) -> tuple[int, dict[str, Any]]:
    """Run execute_trades.py as a person would; logs go to stderr, the answer alone to stdout."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(CHECKOUT / "execute_trades.py"), *words, "--json"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert out, err.decode()
    return process.returncode or 0, orjson.loads(out)


async def test_a_single_cycle_does_for_real_what_its_simulation_told(tmp_path: Path) -> None:
    async with stage(tmp_path, accounts={"main": {}, "second": {"exchange": "mexc"}}) as here:
        await here.alert("long", "2/100")
        await here.close_receiver()
        before = tree(here.home.root)
        told_code, told = await entry("--run-single-cycle", "--simulate")
        untouched_by_it = tree(here.home.root) == before
        sent_by_it = here.orders() + here.orders("second")
        code, done = await entry("--run-single-cycle")

        assert (told_code, told["kind"], untouched_by_it, sent_by_it) == (0, "simulated", True, [])
        assert (code, done["kind"]) == (0, "real")
        for name in ("main", "second"):
            row, simulated = row_of(done, BTC, name), row_of(told, BTC, name)
            assert orders(row) == orders(simulated) != []
            assert row["held_after_lots"] == simulated["held_after_lots"] == row["target_lots"]
            assert (row["verified"], here.held(account=name)) == (True, TENTH)
        assert {row["failures"] == [] for row in done["accounts"]} == {True}


async def test_a_cycle_that_is_left_off_its_target_says_so_with_exit_code_6(
    tmp_path: Path, capsys: Screen
) -> None:
    async with stage(tmp_path) as here:
        await here.alert("long", "2/100")
        pause(here, Mode.PAUSE)
        code, told = await untouched(here, capsys, "start", "--simulate")
        plan_code, _ = await untouched(here, capsys, "plan", "--symbol", "btcusdt", "--check")

        assert (code, plan_code) == (6, 6)
        assert codes(row_of(told, BTC)) == ["paused"]


async def test_a_halt_leaves_no_order_and_tells_what_it_holds_back(
    tmp_path: Path, capsys: Screen
) -> None:
    async with stage(tmp_path) as here:
        await here.start()
        await here.settled(await here.alert("long", "2/100"))
        await here.kill()
        await here.alert("flat")
        (here.home.state / "HALT").touch()
        _, told = await untouched(here, capsys, "plan")
        row = row_of(told, BTC)

        assert (orders(row), codes(row)) == ([], ["halted"])
        assert (row["held_lots"], row["target_lots"], row["is_off_target"]) == ("0.1", "0", True)
        assert [one["brake"] for one in told["accounts"]] == ["halt"]


async def test_a_flatten_is_planned_as_the_close_that_it_is(tmp_path: Path, capsys: Screen) -> None:
    async with stage(tmp_path) as here:
        await here.start()
        await here.settled(await here.alert("long", "2/100"))
        await here.kill()
        pause(here, Mode.FLATTEN)
        _, told = await untouched(here, capsys, "plan")

        assert orders(row_of(told, BTC)) == [("sell", "-0.1", True)]
        assert here.held() == TENTH


async def test_an_order_in_doubt_is_looked_up_and_nothing_is_opened_beside_it(
    tmp_path: Path, capsys: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("commands.plans.single_cycle.REHEARSED_LIMIT_S", 0.2)
    async with stage(tmp_path) as here:
        await here.start()
        here.server.add_fault("drop_before", **here.words.creates)
        await here.alert("long", "2/100")
        await here.until(lambda: here.status()["open_intents"], "an order in doubt")
        await here.kill()
        here.server.clear_faults()
        _, told = await untouched(here, capsys, "plan")
        row = row_of(told, BTC)

        assert (orders(row), codes(row)) == ([], ["read_open"])
        assert row["is_off_target"] is True


async def test_positions_that_nobody_wants_and_symbols_of_which_nobody_spoke_are_told(
    tmp_path: Path, capsys: Screen
) -> None:
    async with stage(tmp_path, symbols=(BTC, ETH)) as here:
        await here.start()
        await here.settled(await here.alert("long", "2/100"))
        await here.kill()
        here.weigh(ETH)
        code, told = await untouched(here, capsys, "plan", "--check")
        row = row_of(told, BTC)

        assert code == 0
        assert (codes(row), orders(row), row["target_lots"]) == (["orphan"], [], None)
        assert told["unspoken"] == [ETH]


async def test_one_account_is_planned_alone_and_an_unknown_one_is_refused(
    tmp_path: Path, capsys: Screen
) -> None:
    async with stage(tmp_path, accounts={"main": {}, "second": {}}) as here:
        await here.start()
        await here.settled(await here.alert("long", "2/100"), account="second")
        await here.kill()
        _, told = await untouched(here, capsys, "plan", "--account", "second")
        asked = {request.account for request in here.server.requests()} - {""}
        code = await asyncio.to_thread(run, ["plan", "--account", "secnod"])

        assert [row["account"] for row in told["accounts"]] == ["second"]
        assert (told["alerts"], asked) == ([], {"second"})
        assert code == 4
        assert "there are: main, second" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({}, "waits for the paper exchange to start", id="no-paper-exchange"),
        pytest.param({"base_url": "http://127.0.0.1:9/bybit"}, "127.0.0.1:9", id="no-venue"),
        pytest.param(
            {"api_secret": "", "base_url": "http://127.0.0.1:9"}, "api_secret", id="no-key"
        ),
    ],
)
def test_an_account_that_cannot_be_asked_is_told_and_is_exit_code_5(
    changes: dict[str, str], words: str, tmp_path: Path, capsys: Screen
) -> None:
    row = {"name": "one", "exchange": "bybit", "api_key": "k", "api_secret": "s", **changes}
    content = orjson.dumps({"accounts": [{**row, "environment": "paper"}]})
    (tmp_path / "credentials.json").write_bytes(content)
    before = tree(tmp_path)
    code = run(["plan"])
    said = capsys.readouterr()

    assert code == 5
    assert words in said.err
    assert "Nothing is held" not in said.out
    assert tree(tmp_path) == before


async def test_a_pass_that_breaks_off_is_told_as_a_failure_of_its_account(
    tmp_path: Path, capsys: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stage(tmp_path) as here:
        await here.alert("long", "2/100")

        def broken(*_: object) -> None:
            raise ZeroDivisionError("a defect")

        monkeypatch.setattr("core.lanes.account_pass.AccountPass._freeze", broken)
        code, told = await untouched(here, capsys, "plan")

        assert code == 5
        assert told["accounts"][0]["failures"] == ["its pass failed: ZeroDivisionError: a defect"]


def test_a_single_cycle_does_not_run_beside_an_engine_and_names_it(
    tmp_path: Path, capsys: Screen
) -> None:
    Home(tmp_path).make_folders()
    with lock_now(tmp_path / "state" / "trade-engine.lock", "the engine"):
        code = run(["start", "--run-single-cycle"])

    assert code == 75
    assert "is held by pid" in capsys.readouterr().err


def pause(here: Stage, mode: Mode) -> None:
    """Let somebody decide it for everything."""
    now_ms = time.time_ns() // 1_000_000
    set_mode(here.home, Scope(), mode, who="ann", why="news", now_ms=now_ms)
