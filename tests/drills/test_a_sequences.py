"""The order of alerts, from the door to the position: A4, A21."""

import os
import time
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from tests.drills.stage import BTC, Stage, stage

LONG, MORE, SHORT = ("long", "2/100"), ("long", "3/100"), ("short", "2/100")
FLAT = ("flat", "")
LATE_MS = -20_000  # the alerts came a moment ago: none lies in the future


async def send(here: Stage, alert: tuple[str, str], after_s: int) -> str:
    """Send an alert that arrives so many seconds after the one before."""
    here.clock.shift_ms += after_s * 1000
    direction, size = alert
    body = {"symbol": BTC, "direction": direction}
    status, answer = await here.post({**body, "size": size} if size else body)
    assert status == 200, answer
    return str(answer["id"])


@pytest.mark.parametrize("is_stepwise", [True, False], ids=["each-executed", "all-at-once"])
@pytest.mark.parametrize(
    ("alerts", "sign"),
    [
        pytest.param([(LONG, 0), (MORE, 1), (FLAT, 3)], 0, id="entry-add-exit"),
        pytest.param([(FLAT, 0), (FLAT, 1), (LONG, 4)], 1, id="flat-flat-long"),
        pytest.param([(LONG, 0), (SHORT, 1), (FLAT, 1)], 0, id="three-curls"),
        pytest.param([(FLAT, 0), (LONG, 1), (FLAT, 1)], 0, id="identical-flats"),
    ],
)
@pytest.mark.in_turn
async def test_a4_the_last_alert_decides(
    tmp_path: Path,
    venue: str,
    alerts: list[tuple[tuple[str, str], int]],
    sign: int,
    *,
    is_stepwise: bool,
) -> None:
    """A "race rule" put an exit before the add that came 3 s earlier: the position stayed.

    Must happen: what came last stands; no order crosses zero, every exit is reduce-only.
    """
    async with stage(tmp_path, venue) as here:
        await here.start()
        here.clock.shift_ms = LATE_MS
        last = ""
        for alert, after_s in alerts:
            last = await send(here, alert, after_s)
            if is_stepwise:
                await here.settled(last)
        await here.settled(last)

        assert here.held() == Decimal("0.1") * sign
        held = Decimal(0)
        for order in here.orders():
            assert order.reduce_only == (held * order.size_lots < 0)
            held += order.size_lots
        assert held == here.held()


@pytest.fixture
def new_york() -> Iterator[None]:
    """The host's local time, where the clocks go back on 2025-11-02 at 06:00 UTC."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "America/New_York"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


async def alert_at(here: Stage, said: str, direction: str, size: str, **fields: str) -> str:
    """Send an alert that arrives at that time."""
    at_ms = int(datetime.fromisoformat(said).timestamp() * 1000)
    here.clock.shift_ms += at_ms - here.clock.now_ms()
    return await here.alert(direction, size, **fields)


@pytest.mark.parametrize("has_timenow", [True, False], ids=["timenow", "arrival"])
@pytest.mark.usefixtures("new_york")
@pytest.mark.in_turn
async def test_a21_an_exit_in_the_hour_that_comes_twice_is_after_its_entry(
    tmp_path: Path, venue: str, *, has_timenow: bool
) -> None:
    """Naive local times: at the end of summer time an exit (01:00:10) sorted before its entry.

    Must happen: times are UTC; entry 05:59:30Z, exit 06:00:10Z, and the account ends flat.
    """
    async with stage(tmp_path, venue, max_entry_age_s=0) as here:
        await here.start()
        for said, direction, size in (
            ("2025-11-02T05:59:30Z", "long", "2/100"),
            ("2025-11-02T06:00:10Z", "flat", ""),
        ):
            fields = {"timenow": said} if has_timenow else {}
            await here.settled(await alert_at(here, said, direction, size, **fields))

        assert here.held() == 0
        assert [o.reduce_only for o in here.orders()] == [False, True]


@pytest.mark.usefixtures("new_york")
async def test_a21_a_journal_is_named_by_the_utc_day(tmp_path: Path, venue: str) -> None:
    """Must happen: files change at UTC midnight, whatever the host's zone; readers go along."""
    async with stage(tmp_path, venue, max_entry_age_s=0) as here:
        await here.start()
        await here.settled(await alert_at(here, "2025-11-01T23:59:50Z", "long", "2/100"))
        await here.settled(await alert_at(here, "2025-11-02T00:00:10Z", "flat", ""))

        folder = here.home.raw_signals / "tradingview"
        names = sorted(path.name for path in folder.glob("*.jsonl"))
        assert names == ["2025-11-01.jsonl", "2025-11-02.jsonl"]
        assert here.held() == 0
