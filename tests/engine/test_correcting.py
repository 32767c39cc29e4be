"""`correct-accounts` and `repair` on the real engine: shown, asked, done, looked at again."""

import time
from decimal import Decimal
from pathlib import Path

import pytest

from core.control import Scope
from core.control.file import read_control, set_mode
from core.home import HOME_VARIABLE
from core.model import Mode
from tests.drills.stage import BTC, ETH, Stage, stage
from tests.engine.plan_scene import Screen, ask, untouched

TENTH = Decimal("0.1")


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))


async def closed_by_hand(here: Stage) -> None:
    """Hold 0.1 BTC, let somebody close it by hand, and let the engine see that and end."""
    here.trade(TENTH)
    await here.start()
    await here.settled(await here.alert("long", "2/100"))
    here.trade(-TENTH)
    await here.again(where=lambda r: BTC in r.symbols and r.symbols[BTC].hold == "external")
    await here.kill()


async def test_what_is_held_back_is_shown_and_nothing_is_touched(
    tmp_path: Path, capsys: Screen
) -> None:
    async with stage(tmp_path) as here:
        await closed_by_hand(here)
        code, told = await untouched(here, capsys, "correct-accounts", "--dry-run")
        (row,) = told["differences"]

        assert code == 6
        assert (row["symbol"], row["held_lots"], row["what"]) == (
            BTC,
            "0",
            "changed by somebody else",
        )
        assert here.held() == 0


async def test_a_held_symbol_is_brought_to_its_target_by_an_engine_of_our_own(
    tmp_path: Path, capsys: Screen
) -> None:
    async with stage(tmp_path) as here:
        await closed_by_hand(here)
        code, told = await ask(capsys, "correct-accounts")

        assert (code, told["differences"]) == (0, [])
        assert here.held() == TENTH
        assert await ask(capsys, "correct-accounts") == (0, {"differences": [], "failures": []})


async def test_what_nothing_wants_is_closed_only_when_told_so(
    tmp_path: Path, capsys: Screen
) -> None:
    async with stage(tmp_path) as here:
        here.trade(TENTH)  # by hand, on a symbol of which no source ever spoke
        code, told = await ask(capsys, "correct-accounts")
        assert (code, told["differences"][0]["what"]) == (6, "nothing wants it")
        assert here.held() == TENTH
        code, told = await ask(capsys, "correct-accounts", "--foreign", "close")

        assert (code, told["differences"]) == (0, [])
        assert here.held() == 0
        assert all(order.reduce_only for order in here.orders())


async def test_a_liquidation_is_bought_back_only_when_told_so(
    tmp_path: Path, capsys: Screen
) -> None:
    async with stage(tmp_path) as here:
        await closed_by_hand(here)
        journal = next(here.home.state.glob("orders-*.jsonl"))
        journal.write_text(journal.read_text().replace('"kind":"external"', '"kind":"liquidation"'))
        code, told = await ask(capsys, "correct-accounts")
        assert (code, told["differences"][0]["remedy"]) == (6, "")
        assert here.held() == 0
        code, _ = await ask(capsys, "correct-accounts", "--liquidated")

        assert code == 0
        assert here.held() == TENTH


async def test_an_account_that_cannot_be_read_is_told_and_not_corrected(
    tmp_path: Path, capsys: Screen
) -> None:
    async with stage(tmp_path) as here:
        await closed_by_hand(here)
        here.server.add_fault("http", status=500, **here.words.positions.fault)
        code, told = await ask(capsys, "correct-accounts")

        assert code == 5
        assert "HTTP 500" in told["failures"][0]
        assert here.held() == 0


async def order_without_an_end(here: Stage) -> None:
    """Let an order be taken whose reply and look-ups are lost, and let the engine end."""
    await here.start()
    here.server.add_fault("drop_after", count=1, **here.words.creates)
    for door in (*here.words.look_up, *here.words.recent):
        here.server.add_fault("http", status=500, **door.fault)
    await here.alert("long", "2/100")
    await here.until(lambda: here.held() == TENTH, "taken")
    await here.kill()


async def test_an_order_without_a_known_end_is_settled_and_nothing_else_is_sent(
    tmp_path: Path, capsys: Screen
) -> None:
    async with stage(tmp_path) as here:
        await order_without_an_end(here)
        await here.alert("long", "4/100")
        here.server.clear_faults()
        here.forget()
        code, told = await ask(capsys, "repair")

        assert (code, len(told["before"]), told["after"]) == (0, 1, [])
        assert {request.method for request in here.server.requests()} == {"GET"}
        assert here.held() == TENTH
        assert await ask(capsys, "repair") == (0, {"before": [], "after": []})


async def test_an_order_that_the_venue_does_not_tell_of_stays_open_and_is_named(
    tmp_path: Path, capsys: Screen
) -> None:
    async with stage(tmp_path) as here:
        await order_without_an_end(here)
        code, told = await ask(capsys, "repair", "--wait", "1")

        assert (code, told["after"]) == (5, told["before"])
        assert told["after"][0]["symbol"] == BTC


async def test_nothing_but_what_is_shown_is_traded(tmp_path: Path, capsys: Screen) -> None:
    async with stage(tmp_path, accounts={"main": {}, "other": {}}) as here:
        here.trade(TENTH)
        await here.start()
        await here.settled(await here.alert("long", "2/100"))
        here.trade(-TENTH)
        await here.again(where=lambda r: BTC in r.symbols and r.symbols[BTC].hold == "external")
        await here.kill()
        await here.alert("long", "2/100", symbol=ETH)  # the engine has not heard of it yet
        code, _ = await ask(capsys, "correct-accounts", "--account", "main")

        assert code == 6  # ETH is still to be traded, by the engine
        assert here.held() == TENTH
        assert here.held(ETH) == 0


async def test_what_a_person_stopped_is_shown_and_left_alone(
    tmp_path: Path, capsys: Screen
) -> None:
    async with stage(tmp_path) as here:
        await closed_by_hand(here)
        where, at_ms = Scope(account="main", symbol=BTC), int(time.time() * 1000)
        set_mode(here.home, where, Mode.HALT, who="ann", why="do not touch", now_ms=at_ms)
        code, told = await ask(capsys, "correct-accounts")
        (row,) = told["differences"]

        assert (code, row["remedy"]) == (6, "")
        assert "do not touch" in row["what"]
        assert here.held() == 0
        assert [entry.why for entry in read_control(here.home).entries] == ["do not touch"]


async def test_a_lifted_hold_leaves_a_pause_of_everything_in_force(
    tmp_path: Path, capsys: Screen
) -> None:
    async with stage(tmp_path) as here:
        await closed_by_hand(here)
        code, _ = await ask(capsys, "correct-accounts")
        assert code == 0
        assert read_control(here.home).entries == ()
        assert [row.scope for row in read_control(here.home).resumed] == [
            Scope(account="main", symbol=BTC)
        ]
