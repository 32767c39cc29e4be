"""Sources that fall silent, and accounts that nobody spoke for: A7, A12, A32."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from core.control import Scope
from core.control.file import resume
from tests.drills.stage import BTC, ETH, Stage, stage

TENTH = Decimal("0.1")


def move_away(folder: Path) -> None:
    folder.rename(folder.with_name("moved"))


def archive_journal(folder: Path) -> None:
    for path in folder.glob("*.jsonl"):
        path.rename(path.with_suffix(".archived"))


def truncate(folder: Path) -> None:
    for path in folder.glob("*.jsonl"):
        path.write_bytes(b"")


def remove_everything(folder: Path) -> None:
    for path in folder.glob("*"):
        path.unlink()


LOSSES = [
    pytest.param(move_away, id="folder-moved"),
    pytest.param(archive_journal, id="journal-archived"),
    pytest.param(truncate, id="copytruncate"),
    pytest.param(remove_everything, id="emptied"),
]


async def held_a_tenth(here: Stage) -> Path:
    """Hold 0.1 BTC by a stored alert, the receiver stopped; gives the source's folder."""
    await here.start()
    await here.settled(await here.alert("long", "2/100"))
    await here.close_receiver()
    here.forget()
    return here.home.raw_signals / "tradingview"


@pytest.mark.parametrize("lose", LOSSES)
@pytest.mark.in_turn
async def test_a7_signal_files_that_vanish_while_running_close_nothing(
    tmp_path: Path, venue: str, lose: Callable[[Path], None]
) -> None:
    """Signal files were moved or rotated: absent was depth 0, everything was closed at market.

    Must happen: hold what is held, raise an alert.
    """
    async with stage(tmp_path, venue) as here:
        lose(await held_a_tenth(here))
        await here.until(lambda: "source_lost/tradingview" in here.alerts(), "alert", within_s=4)
        here.forget()
        await here.again()

        assert here.orders() == []
        assert here.held() == TENTH
        assert here.target() == TENTH


@pytest.mark.parametrize("lose", LOSSES)
@pytest.mark.in_turn
async def test_a7_signal_files_that_are_gone_at_a_start_close_nothing(
    tmp_path: Path, venue: str, lose: Callable[[Path], None]
) -> None:
    """The same while the engine is down, or started with other files than before.

    Must happen: the last known target is held across the restart, with an alert.
    """
    async with stage(tmp_path, venue) as here:
        folder = await held_a_tenth(here)
        await here.stop()
        lose(folder)
        here.forget()
        await here.start()
        await here.passed(1)
        await here.again()

        assert here.orders() == []
        assert here.held() == TENTH
        assert {"last_known/tradingview", "source_lost/tradingview"} & set(here.alerts())


async def test_a7_the_working_directory_does_not_matter(
    tmp_path: Path, venue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Started in another folder the engine saw no signals. Must happen: nothing changes."""
    async with stage(tmp_path / "home", venue) as here:
        await held_a_tenth(here)
        await here.stop()
        monkeypatch.chdir("/")
        here.forget()
        await here.start()
        await here.passed(1)
        await here.again()

        assert here.orders() == []
        assert here.held() == TENTH


@pytest.mark.parametrize("torn", [b"", b'{"main": {"BTC', b"[]", b"\xff"])
@pytest.mark.in_turn
async def test_a12_a_torn_depth_file_keeps_no_exit_from_being_executed(
    tmp_path: Path, venue: str, torn: bytes
) -> None:
    """The depth cache was torn, read as {}: 0 = 0, and the exit was not executed.

    Must happen: the file is a hint; the exit closes the position.
    """
    async with stage(tmp_path, venue) as here:
        await here.start()
        await here.settled(await here.alert("long", "2/100"))
        await here.stop()
        here.home.account_asset_depths.write_bytes(torn)
        await here.start()
        await here.settled(await here.alert("flat"))

        assert here.held() == 0


async def test_a32_without_a_signal_manual_positions_are_left_alone(
    tmp_path: Path, venue: str
) -> None:
    """Fresh install on an account with manual positions: closed at market as "target 0".

    Must happen: no source ever spoke, so there is no target and nothing is sent.
    """
    async with stage(tmp_path, venue) as here:
        here.trade("0.5")
        await here.start()
        await here.passed(1)
        here.home.raw_signals.joinpath("tradingview", "latest.json").unlink(missing_ok=True)
        await here.again(2)

        assert here.orders() == []
        assert here.held() == Decimal("0.5")


async def test_a32_a_signal_for_another_symbol_leaves_it_alone_too(
    tmp_path: Path, venue: str
) -> None:
    """Must happen: a target of ETH says nothing of BTC."""
    async with stage(tmp_path, venue) as here:
        here.trade("0.5")
        await here.start()
        await here.settled(await here.alert("long", "1/100", symbol=ETH))

        assert {o.symbol for o in here.orders()} == {ETH}
        assert here.held() == Decimal("0.5")


@pytest.mark.parametrize("direction", ["long", "flat", "short"])
async def test_a32_the_first_target_asks_before_it_takes_a_position_over(
    tmp_path: Path, venue: str, direction: str
) -> None:
    """Must happen where adoption is refused (live, demo): an alert, nothing sent until `resume`."""
    async with stage(tmp_path, venue, adopt_policy="refuse") as here:
        here.trade("0.5")
        await here.start()
        signal = await here.alert(direction, "" if direction == "flat" else "2/100")
        await here.passed(since=signal)
        other = await here.alert(direction, "" if direction == "flat" else "3/100")
        await here.passed(since=other)
        assert here.orders() == []
        assert here.held() == Decimal("0.5")
        assert "adopt/main/BTCUSDT" in here.alerts()
        now_ms = here.engine.clock.now_ms()
        resume(here.home, Scope(account="main", symbol=BTC), who="drill", now_ms=now_ms)
        await here.settled(other)

        assert here.held() == here.target()
