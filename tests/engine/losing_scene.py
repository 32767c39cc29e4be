"""An account that holds something and wins or loses: what the tests of its limits share."""

import asyncio
from collections.abc import Coroutine
from decimal import Decimal
from pathlib import Path
from typing import Any

from core.cycle import PassReport
from tests.engine.harness import Engine
from tests.virtual_time import run_virtually

TO_MIDNIGHT_S = 6_400  # from the virtual clock's start to 00:00 UTC


def run(story: Coroutine[Any, Any, None]) -> None:
    run_virtually(story)


def win(engine: Engine, usdt: int) -> None:
    """Let the market move for (> 0) or against us."""
    engine.venue.equity_usdt += usdt
    engine.venue.unrealized_pnl_usdt = (engine.venue.unrealized_pnl_usdt or Decimal(0)) + usdt


def last(engine: Engine) -> PassReport:
    report = engine.lane.report
    assert report is not None
    return report


def reasons(engine: Engine) -> set[str]:
    return {reason.code for reason in last(engine).symbols["BTCUSDT"].reasons}


def stops(engine: Engine) -> list[str]:
    return [trip.code for trip in engine.tripping.standing()]


async def with_two_held(tmp_path: Path, **limits: Any) -> Engine:
    engine = Engine(tmp_path, **limits)
    engine.start()
    engine.want(lots=2)
    await engine.settled()
    await asyncio.sleep(190)  # until it was looked at twice with the position held
    return engine
