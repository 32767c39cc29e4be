"""Litter, and accounts that cannot trade: B1, B2, B10."""

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from tests.drills.stage import stage

TENTH = Decimal("0.1")


def swap_file(folder: Path) -> None:
    (folder / ".2025-01-01.jsonl.swp").write_bytes(b"b0VIM 9.0\x00\xff\xfe")
    (folder / "4913").write_bytes(b"")
    (folder / "2025-01-01.jsonl~").write_bytes(b"\x00")


def strange_lines(folder: Path) -> None:
    journal = next(folder.glob("*.jsonl"))
    good = json.loads(journal.read_text().splitlines()[-1])
    lines = [
        b"[1, 2, 3]",
        b"\xff\xfe not text",
        b"17",
        b"null",
        b"{}",
        json.dumps({**good, "id": "x1", "depth": 0.5}).encode(),
        json.dumps({**good, "id": "x2", "depth": "nan"}).encode(),
        json.dumps({**good, "id": "x3", "depth": "-7"}).encode(),
        json.dumps({**good, "id": "x4", "source_symbol": 5}).encode(),
        json.dumps({**good, "id": "x5", "received_at_ms": "soon"}).encode(),
    ]
    with journal.open("ab") as file:
        file.write(b"\n".join(lines) + b"\n")


def strange_folders(folder: Path) -> None:
    (folder / "2024-01-01.jsonl").mkdir()
    folder.with_name("no_such_source").mkdir()
    folder.with_name("no_such_source").joinpath("latest.json").write_bytes(b"[]")


@pytest.mark.parametrize("litter", [swap_file, strange_lines, strange_folders])
@pytest.mark.parametrize("is_restarted", [False, True], ids=["running", "at-start"])
@pytest.mark.in_turn
async def test_b1_litter_in_the_signals_folder_stops_nobody(
    tmp_path: Path, venue: str, litter: Callable[[Path], None], *, is_restarted: bool
) -> None:
    """An editor's swap file or one strange line in the signals folder stopped every account.

    Must happen: the line or file is skipped, what was held is held, the next alert is executed.
    """
    async with stage(tmp_path, venue) as here:
        await here.start()
        await here.settled(await here.alert("long", "2/100"))
        if is_restarted:
            await here.stop()
            await here.close_receiver()
        litter(here.home.raw_signals / "tradingview")
        if is_restarted:
            here.open_receiver()
            await here.start()
        here.forget()
        await here.again()
        assert here.orders() == []
        assert here.held() == TENTH
        await here.settled(await here.alert("flat"))

        assert here.held() == 0


async def test_b2_prices_read_without_a_symbol_do_not_make_it_wait(
    tmp_path: Path, venue: str
) -> None:
    """The first pass read prices before any target was known; its answer was kept for 5 s.

    Must happen: the first alert's symbol is asked for at once, not when the old answer has aged.
    """
    async with stage(tmp_path, venue) as here:
        await here.start()
        await here.passed(1)
        await here.alert("long", "2/100")
        await here.until(lambda: here.held() == TENTH, "bought", within_s=3)


async def test_b10_missing_credentials_leave_out_that_account_alone(
    tmp_path: Path, venue: str
) -> None:
    """Without the credentials of one exchange the engine waited for input, or died.

    Must happen: that account is `unconfigured`, with an alert; the others trade.
    """
    bare = {"api_key": "", "api_secret": ""}
    async with stage(tmp_path, venue, accounts={"bare": bare, "main": {}}) as here:
        await here.start()
        await here.settled(await here.alert("long", "2/100"))

        assert here.status("bare")["state"] == "unconfigured"
        assert "account/bare" in here.alerts()
        assert here.held() == TENTH
