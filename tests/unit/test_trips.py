"""The engine's own stops: scope, time, strictness, and what lifts them."""

import asyncio
from pathlib import Path

import orjson
import pytest

from core.control import FREE, Control, Resumed, Scope
from core.errors import ConfigError
from core.events import Events
from core.model import Mode
from core.trips import Trips, read_trips
from tests.engine.harness import MemoryLog
from tests.virtual_time import VirtualClock, run_virtually


class Stage:
    """Trips on a file, and who resumed what."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "trips.json"
        self.clock = VirtualClock()
        self.log = MemoryLog()
        self.events = Events(self.log, self.clock)
        self.control = Control()
        self.trips = self.again()

    def again(self) -> Trips:
        return Trips(self.path, self.clock, self.events, lambda: self.control)

    def resume(self, account: str | None, *, ahead_ms: int = 0) -> None:
        """Resume as the command does, by a clock that may be ahead."""
        now_ms = self.clock.now_ms() + ahead_ms
        self.control = self.control.numbered(now_ms)
        resumed = Resumed(
            scope=Scope(account=account),
            who="ann",
            when_ms=now_ms,
            id="r",
            number=self.control.number,
        )
        self.control = self.control.with_resumed(resumed)

    def alerts(self) -> set[str]:
        return {alert.key for alert in self.events.standing()}


def test_a_stop_of_everything_holds_every_account_until_everything_is_resumed(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        stage = Stage(tmp_path)
        stage.trips.stop(None, "crash_loop", "again and again", mode=Mode.HALT)
        assert stage.trips.held("one") == (Mode.HALT, "crash_loop: again and again")
        stage.resume("one")
        assert stage.trips.held("one")[0] is Mode.HALT
        assert stage.again().held("two")[0] is Mode.HALT
        stage.resume(None)

        assert stage.trips.held("one") == FREE
        assert stage.alerts() == set()
        await stage.events.drain()

    run_virtually(story())


def test_a_stop_with_an_end_lifts_itself_and_says_so(tmp_path: Path) -> None:
    async def story() -> None:
        stage = Stage(tmp_path)
        end_ms = stage.clock.now_ms() + 1_000
        stage.trips.stop("one", "daily_loss", "lost", until_ms=end_ms)
        assert "trip/daily_loss/one" in stage.alerts()
        await asyncio.sleep(0.999)
        assert stage.trips.held("one")[0] is Mode.PAUSE
        await asyncio.sleep(0.002)
        assert stage.trips.held("one") == FREE
        await stage.events.drain()

        assert "trip_lifted" in [row["code"] for row in stage.log.rows]
        assert read_trips(stage.path) == ()

    run_virtually(story())


def test_two_stops_of_an_account_stand_side_by_side_and_the_stricter_holds(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        stage = Stage(tmp_path)
        stage.trips.stop("one", "orders_per_day", "many")
        stage.trips.stop("one", "drawdown", "deep", mode=Mode.FLATTEN)
        assert stage.trips.held("one") == (Mode.FLATTEN, "drawdown: deep")
        assert stage.trips.held("two") == FREE
        assert stage.trips.has("one", "orders_per_day")
        assert not stage.trips.has("two", "drawdown")
        assert len(stage.again().standing()) == 2
        await stage.events.drain()

    run_virtually(story())


def test_stops_of_an_earlier_version_are_read(tmp_path: Path) -> None:
    path = tmp_path / "trips.json"
    path.write_bytes(orjson.dumps({"accounts": {"one": {"code": "a", "text": "b", "at_ms": 7}}}))
    (trip,) = read_trips(path)

    assert (trip.account, trip.code, trip.mode, trip.until_ms) == ("one", "a", Mode.PAUSE, None)


@pytest.mark.parametrize("content", ["{", "[]", '{"trips": [{}]}', '{"trips": 1}'])
def test_a_damaged_file_is_never_no_stops(tmp_path: Path, content: str) -> None:
    path = tmp_path / "trips.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match=r"trips\.json"):
        read_trips(path)


def test_a_resume_by_a_clock_that_was_ahead_lifts_no_later_stop(tmp_path: Path) -> None:
    async def story() -> None:
        stage = Stage(tmp_path)
        stage.trips.stop("one", "drawdown", "deep")
        stage.resume("one", ahead_ms=3_600_000)
        assert stage.trips.held("one") == FREE
        stage.trips.stop("one", "drawdown", "deeper")
        assert stage.trips.held("one")[0] is Mode.PAUSE
        stage.resume("one")  # the clock is right again, an hour earlier than the first
        assert stage.trips.held("one") == FREE
        await stage.events.drain()

    run_virtually(story())


def test_a_stop_that_the_disk_refused_is_stored_as_soon_as_it_takes_it(tmp_path: Path) -> None:
    async def story() -> None:
        stage = Stage(tmp_path)
        stage.path.with_name("trips.json").mkdir()  # nothing can be put in its place
        stage.trips.stop("one", "drawdown", "deep")
        assert "disk/trips" in stage.alerts()
        assert stage.trips.held("one")[0] is Mode.PAUSE
        stage.path.rmdir()
        await asyncio.sleep(1.1)
        assert stage.trips.held("one")[0] is Mode.PAUSE
        assert stage.again().held("one")[0] is Mode.PAUSE
        assert "disk/trips" not in stage.alerts()
        await stage.events.drain()

    run_virtually(story())


def test_lost_stops_hold_each_account_until_it_is_named_also_after_another_stop(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        stage = Stage(tmp_path)
        stage.path.write_text("{")
        await asyncio.sleep(1)
        lost = stage.again()
        lost.stop("one", "drawdown", "deep")
        again = stage.again()
        assert again.held("two")[0] is Mode.PAUSE
        stage.resume("two")
        assert again.held("two") == FREE
        assert stage.again().held("two") == FREE
        assert stage.again().held("three")[0] is Mode.PAUSE
        await stage.events.drain()

    run_virtually(story())
    assert [p.read_text() for p in tmp_path.glob("trips.json.damaged-*")] == ["{"]
