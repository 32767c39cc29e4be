"""Orders that rest although ours never should: a lost one of ours, another engine's."""

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest

from core.errors import TransientError
from core.model import Mode, OrderState, OrderStatus
from tests.engine.harness import ENGINE_ID, Engine
from tests.virtual_time import run_virtually

LOST = f"te{ENGINE_ID}acct0loyw3v5aaaaa"
STRANGER = "tezzzzzacct0loyw3v5aaaaa"


def resting(client_id: str) -> OrderState:
    return OrderState(
        client_id=client_id,
        order_id=client_id,
        symbol="BTCUSDT",
        size_lots=Decimal(1),
        filled_lots=Decimal(0),
        status=OrderStatus.OPEN,
    )


@pytest.mark.parametrize(
    ("mode", "cancels"),
    [pytest.param(Mode.RUN, 1, id="running"), pytest.param(Mode.HALT, 0, id="halted")],
)
def test_an_order_of_ours_that_the_journal_lost_is_cancelled_at_the_start(
    tmp_path: Path, mode: Mode, cancels: int
) -> None:
    async def story() -> None:
        engine = Engine(tmp_path)
        engine.mode = (mode, "by me")
        engine.venue.orders[LOST] = resting(LOST)
        engine.start()
        engine.want(lots=0)
        await asyncio.sleep(5)

        assert engine.venue.requests.count("cancel") == cancels
        await engine.stop()

    run_virtually(story())


def test_a25_an_order_of_another_engine_that_rests_trips_the_account(tmp_path: Path) -> None:
    async def story() -> None:
        engine = Engine(tmp_path)
        engine.venue.orders[STRANGER] = resting(STRANGER)
        engine.start()
        engine.want(lots=0)
        await asyncio.sleep(5)

        assert engine.trips[0][0] == "second_engine"
        assert engine.venue.requests.count("cancel") == 0
        await engine.stop()

    run_virtually(story())


def test_open_orders_that_could_not_be_read_are_read_again_within_minutes(tmp_path: Path) -> None:
    async def story() -> None:
        engine = Engine(tmp_path)
        honest = engine.venue.fetch_open_orders

        async def failing() -> object:
            raise TransientError("no answer")

        engine.venue.fetch_open_orders = failing  # type: ignore[assignment,method-assign] # a fault
        engine.start()
        engine.want(lots=0)
        await asyncio.sleep(5)
        assert "open_orders_failed" in engine.codes()
        engine.venue.fetch_open_orders = honest  # type: ignore[method-assign] # and back
        await asyncio.sleep(130)

        assert engine.venue.requests.count("open_orders") == 1
        await engine.stop()

    run_virtually(story())
