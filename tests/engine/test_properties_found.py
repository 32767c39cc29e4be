"""What random stories found, or find too seldom, told as stories of their own."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import RejectedError
from core.model import PositionsRead
from paper_exchange.wires import find_wires
from tests.engine.in_process_house import House
from tests.engine.in_process_judge import Judge
from tests.engine.scenes import A, B, holding, refuse_orders, replace_call
from tests.venues import WORDS, exchanges
from tests.virtual_time import run_virtually

VENUES = tuple(v for v in exchanges() if v in find_wires())


def test_a27_an_empty_read_after_a_refused_order_is_no_change_by_somebody_else(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 1, symbols=(A, B))
        refuse_orders(engine, RejectedError("too far from the price", kind="price"))
        reads: list[PositionsRead] = []

        async def read() -> PositionsRead:
            reads.append(await honest())
            is_verifying = len(reads) == 2
            return replace(reads[-1], positions={}) if is_verifying else reads[-1]

        honest = replace_call(engine, "fetch_positions", read)
        engine.want(A, lots=2)
        await asyncio.sleep(1)

        assert len(reads) >= 2
        assert engine.desk.ledger(A).hold is None
        assert "external_change" not in engine.codes()
        await engine.stop()

    run_virtually(story())


@pytest.mark.parametrize("venue", VENUES)
def test_a5_an_order_that_is_taken_long_after_we_gave_up_is_bought_once(
    venue: str, tmp_path: Path
) -> None:
    async def story() -> None:
        here = House(tmp_path, {"main": venue}, ("BTCUSDT",))
        judge = Judge(here)
        here.start()
        here.want(BTCUSDT="0.1")
        await here.settled()
        await asyncio.sleep(15)
        here.server.add_fault("latency", ms=18_000, count=1, **WORDS[venue].creates)
        here.want(BTCUSDT="0.2")
        await asyncio.sleep(120)

        assert here.is_settled()
        assert here.held("main", "BTCUSDT") == here.want_lots("main", "BTCUSDT")
        assert len(here.orders("main")) == 2
        assert not judge.broken
        await here.stop()

    run_virtually(story())
