"""A reopening closes nothing that might not be opened again, and nothing for ever and ever."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.model import Mode, PositionsRead
from tests.engine.harness import Engine, paper_account
from tests.engine.scenes import A, B, S, holding, hung, replace_call, seconds_until
from tests.engine.test_reopening import CLOSED_AND_OPENED, configured, sent, two_held
from tests.virtual_time import run_virtually


def test_a18_a_leverage_is_changed_by_reopening_one_symbol_while_another_is_held(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        engine = await two_held(tmp_path)
        engine.venue.keeps_leverage_held = True
        await configured(engine, allow_reopen=True)
        engine.venue.leverage[A] = Decimal(7)
        engine.want(A, lots=3)
        await engine.settled()

        assert sent(engine, A) == [(-2, True), (3, False)]
        assert sent(engine, B) == []
        assert engine.venue.leverage[A] == 3
        await engine.stop()

    run_virtually(story())


def test_a18_a_leverage_that_reopening_has_changed_may_be_changed_so_again(tmp_path: Path) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 2)
        engine.venue.keeps_leverage_held = True
        await configured(engine, allow_reopen=True)
        for lots in (3, 4):
            engine.venue.leverage[S] = Decimal(7)
            engine.want(lots=lots)
            await engine.settled()
            await asyncio.sleep(100)

        assert engine.venue.leverage[S] == 3
        assert sent(engine) == [(-2, True), (3, False), (-3, True), (4, False)]
        await engine.stop()

    run_virtually(story())


def test_a18_where_positions_show_no_leverage_it_is_reopened_once(tmp_path: Path) -> None:
    async def story() -> None:
        engine = Engine(tmp_path, account=paper_account(margin_mode="cross"))
        engine.start()
        engine.want(lots=2)
        await engine.settled()
        await asyncio.sleep(20)

        async def positions() -> PositionsRead:
            read: PositionsRead = await honest()
            rows = {
                s: replace(row, leverage=None, margin_mode="cross")
                for s, row in read.positions.items()
            }
            return replace(read, positions=rows)

        honest = replace_call(engine, "fetch_positions", positions)
        engine.venue.keeps_leverage_held = True
        await configured(engine, allow_reopen=True)
        for lots in (3, 4, 5):
            engine.want(lots=lots)
            await asyncio.sleep(400)  # by then it is not known any more what was set

        assert [size for size, reduces in sent(engine) if reduces] == [-2]
        await engine.stop()

    run_virtually(story())


def test_a_reopening_waits_until_it_is_stored_that_the_target_may_be_opened_again(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 2)
        is_slow = False
        stored: list[tuple[str, bool]] = []

        async def instruments() -> Any:
            return await (hung() if is_slow else honest())

        def note(_symbol: str, _fill: object) -> None:
            frozen = engine.frozen.get("one", S)
            assert frozen is not None
            stored.append((frozen.version, frozen.started))

        honest = replace_call(engine, "fetch_instruments", instruments)
        engine.mode = (Mode.PAUSE, "by me")
        await configured(engine, margin_mode="isolated", allow_reopen=True)
        await asyncio.sleep(1)
        is_slow = True
        await asyncio.sleep(3_700)  # what is known of instruments is an hour old
        passes = len(engine.reports)
        await seconds_until(engine, lambda: len(engine.reports) > passes, within_s=120)
        engine.venue.on_fill = note
        engine.mode = (Mode.RUN, "")
        engine.want(lots=2)
        await engine.settled()

        assert sent(engine) == CLOSED_AND_OPENED
        assert stored == [(engine.reports[-1].symbols[S].version, True)] * 2
        await engine.stop()

    run_virtually(story())


@pytest.mark.parametrize("is_new", [True, False], ids=["new-version", "same-version"])
def test_b15_with_the_disk_full_nothing_is_closed_to_be_opened_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_new: bool
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    async def story() -> None:
        engine = await holding(tmp_path, 2)
        with monkeypatch.context() as patched:
            patched.setattr("core.frozen_targets.atomic_write_json", full)
            await configured(engine, margin_mode="isolated", allow_reopen=True)
            if is_new:
                engine.want(lots=2)
            await asyncio.sleep(100)
            assert sent(engine) == []
            assert "disk/one" in engine.alerts()
        await seconds_until(engine, lambda: len(sent(engine)) == 2, within_s=100)

        assert sent(engine) == CLOSED_AND_OPENED
        assert engine.venue.margin_mode == "isolated"
        assert "disk/one" not in engine.alerts()
        await engine.stop()

    run_virtually(story())
