"""What is remembered of margin modes and leverage is forgotten when it may be another one."""

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest

from core.model import Mode
from tests.engine.harness import Engine, paper_account
from tests.engine.scenes import A, B, S, codes_of, replace_call
from tests.engine.test_reopening import configured, two_held
from tests.virtual_time import run_virtually


def leverage_by_mode(engine: Engine) -> dict[tuple[str, str], Decimal]:
    """Let the venue keep a leverage for each margin mode, and note what is set."""
    kept: dict[tuple[str, str], Decimal] = {}

    async def set_leverage(symbol: str, leverage: Decimal) -> None:
        mode = engine.venue.margin_mode or engine.venue.margin_modes[symbol]
        kept[symbol, mode] = leverage

    replace_call(engine, "set_leverage", set_leverage)
    return kept


def test_an_account_s_mode_that_a_person_changed_meanwhile_is_set_anew(tmp_path: Path) -> None:
    async def story() -> None:
        engine = Engine(tmp_path, account=paper_account(margin_mode="cross"))
        engine.start()
        for lots in (2, 0):
            engine.want(lots=lots)
            await engine.settled()
        engine.venue.margin_mode = "isolated"
        engine.want(lots=1)
        await engine.settled()

        assert engine.held() == 1
        assert engine.venue.margin_mode == "cross"
        await engine.stop()

    run_virtually(story())


def test_leverage_is_set_anew_on_every_symbol_once_the_account_has_another_mode(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        engine = await two_held(tmp_path)
        engine.want(B, lots=0)
        await engine.settled()
        await asyncio.sleep(20)
        kept = leverage_by_mode(engine)
        await configured(engine, margin_mode="isolated", allow_reopen=True)
        engine.desk.set_leverage_known(B, Decimal(3))  # as if B was closed by this process
        await engine.settled()
        engine.want(B, lots=2)
        await engine.settled()

        assert kept == {(A, "isolated"): 3, (B, "isolated"): 3}
        await engine.stop()

    run_virtually(story())


@pytest.mark.parametrize("mode", ["cross", None], ids=["by-account", "by-symbol"])
def test_leverage_is_set_anew_after_a_pause_between_mode_and_leverage(
    tmp_path: Path, mode: str | None
) -> None:
    async def story() -> None:
        engine = Engine(tmp_path, account=paper_account(margin_mode="isolated"))
        engine.venue.margin_mode, engine.venue.margin_modes = mode, {S: "cross"}
        engine.start()
        engine.desk.set_leverage_known(S, Decimal(3))
        kept = leverage_by_mode(engine)

        async def set_margin_mode(symbol: str, margin_mode: str) -> None:
            await honest(symbol, margin_mode)
            engine.mode = (Mode.PAUSE, "by me")

        honest = replace_call(engine, "set_margin_mode", set_margin_mode)
        engine.want(lots=1)
        await asyncio.sleep(5)
        assert engine.held() == 0
        engine.mode = (Mode.RUN, "")
        engine.nudge()
        await engine.settled()

        assert kept == {(S, "isolated"): 3}
        assert engine.held() == 1
        await engine.stop()

    run_virtually(story())


def test_an_account_s_mode_is_not_switched_while_anything_else_is_held(tmp_path: Path) -> None:
    async def story() -> None:
        engine = await two_held(tmp_path)
        await configured(engine, margin_mode="isolated")
        engine.want(A, lots=0)
        await engine.settled()
        engine.want(A, lots=1)
        await asyncio.sleep(100)
        assert engine.venue.requests.count("margin_mode") == 0
        assert "margin_mode" in codes_of(engine, A)
        engine.want(B, lots=0)
        await engine.settled()

        assert engine.held(A) == 1
        assert engine.venue.margin_mode == "isolated"
        assert engine.venue.requests.count("margin_mode") == 1
        await engine.stop()

    run_virtually(story())
