"""One test trade on virtual time: the command's own work, with an engine that lives or its own."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from commands import test_trade
from commands.refusal import RefusedError
from core.control import Errand
from core.control.file import lend
from core.process.identity import start_time
from tests.engine.command_house import CommandHouse, on_virtual_time
from tests.venues import WORDS
from tests.virtual_time import run_virtually

ME: Final = "main"
BTC: Final = "BTCUSDT"
Result = dict[str, Any]


def errand_of(*, symbol: str = BTC, side: str = "long", pid: int | None = None) -> Errand:
    """Ask for a test trade, as a process that lives (this one, unless named)."""
    who = os.getpid() if pid is None else pid
    return Errand.model_validate(
        {
            "id": uuid4().hex[:12],
            "account": ME,
            "symbol": symbol,
            "side": side,
            "who": "test",
            "when_ms": 1,
            "pid": who,
            "started": start_time(who),
        }
    )


async def tried(house: CommandHouse, errand: Errand | None = None) -> Result:
    """Do what the command does between its question and its answer; a refusal is an answer."""
    try:
        return await test_trade._test(house.home, errand or errand_of())
    except RefusedError as error:
        return {"outcome": "refused", "text": str(error), "legs": []}


def lend_to(house: CommandHouse, errand: Errand) -> None:
    """Ask without waiting for the answer."""
    lend(house.home, errand, now_ms=house.clock.now_ms())


def at_a_venue(
    folder: Path,
    venue: str,
    story: Callable[[CommandHouse], Coroutine[Any, Any, None]],
    **row: Any,
) -> None:
    """Run a story in a house with one account."""

    async def whole() -> None:
        house = CommandHouse(folder, {ME: venue}, **row)
        with on_virtual_time(house):
            try:
                await story(house)
            finally:
                await house.close()

    run_virtually(whole())


def smallest(house: CommandHouse, symbol: str = BTC) -> Decimal:
    """The most that a test trade at the minimum may hold: a little room and a step are its due."""
    row = WORDS[house.venues[ME]].instrument(symbol)
    price = row.reference_price * row.contract_size
    return max(row.min_lots, row.min_notional_usdt / price * Decimal("1.05")) + row.step_lots


async def until(is_so: Callable[[], object]) -> None:
    """Wait, a minute of virtual time at most, until something is so."""
    deadline = asyncio.get_running_loop().time() + 60
    while not is_so():
        assert asyncio.get_running_loop().time() < deadline, "never"
        await asyncio.sleep(0.005)
