"""A venue that is closed for an hour, on virtual time: B20."""

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest

from core.errors import MaintenanceError
from core.model import PositionsRead
from tests.drills.scripted import scripted
from tests.engine.scenes import replace_call
from tests.virtual_time import run_virtually

HOUR_S = 3600


@pytest.mark.parametrize("age_s", [0, 900])
def test_b20_an_hour_of_maintenance_costs_few_requests_and_ends_in_one_order(
    tmp_path: Path, age_s: int
) -> None:
    """Closed for an hour, the venue was asked without end, and then met every old target in turn.

    Must happen: two attempts a minute once it is known; then the newest target, if it is young.
    """

    async def story() -> None:
        engine, venue = scripted(tmp_path, max_entry_age_s=age_s)
        engine.start()
        engine.want(lots=1)
        await engine.settled()
        is_closed = True

        async def positions() -> PositionsRead:
            if is_closed:
                await venue._travel("positions")
                raise MaintenanceError("closed")
            read: PositionsRead = await honest()
            return read

        honest = replace_call(engine, "fetch_positions", positions)
        venue.requests.clear()
        for lots in (3, 4, 2):
            engine.want(lots=lots)
            await asyncio.sleep(HOUR_S / 3)
        assert len(venue.placed) == 1
        assert venue.requests.count("positions") <= 60 * 2 + 3 * 6
        await asyncio.sleep(0)
        is_closed = False
        await asyncio.sleep(120)

        assert engine.held() == (2 if age_s == 0 else 1)
        assert [o.size_lots for o in venue.placed[1:]] == ([Decimal(1)] if age_s == 0 else [])
        await engine.stop()

    run_virtually(story())
