"""PM2 itself: killed, bare, and at work on one app; there is never a moment of two engines."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.home import Home
from core.process.lease import try_lock
from tests.process.installation import NAMES, ROOT, is_alive
from tests.process.whole_house import House, Row, wait_for, whole_house

pytestmark = [pytest.mark.process, pytest.mark.timeout(150)]
ENGINE = "trade-engine"
EVERY_S = 0.01
SLOW_TO_END = """
import atexit, sys, time
from core.process.service import Service, run_service

async def main(service: Service) -> None:
    await service.ready()
    await service.stopping.wait()

def end() -> None:
    print("ending", file=sys.stderr, flush=True)
    time.sleep(0.5)

atexit.register(end)
sys.exit(run_service("slow", main))
"""


@pytest.fixture
def house() -> Iterator[House]:
    with whole_house() as house:
        yield house


class Watch(threading.Thread):
    """Looks again and again who is an engine of a house: by processes, kernel locks and status."""

    def __init__(self, house: House) -> None:
        super().__init__(daemon=True)
        self.looks: list[Row] = []
        self.failure: BaseException | None = None
        self._house = house
        self._stopping = threading.Event()

    def run(self) -> None:
        try:
            while not self._stopping.is_set():
                self.looks.append(self._look())
                time.sleep(EVERY_S)
        except BaseException as error:  # told by `end`
            self.failure = error
            raise

    def end(self) -> list[Row]:
        self._stopping.set()
        self.join(10)
        assert self.failure is None
        return self.looks

    def _look(self) -> Row:
        path = self._house.home.state / f"{ENGINE}.lock"
        part = self._house.part(ENGINE)
        # in this order: what is alive is looked at after who says that it is ready
        ready = part["pid"] if part["ready"] else 0
        return {
            "ready": ready,
            "locked_by": flock_holders(path.stat().st_ino),
            "alive": self._house.residents("execute_trades.py"),
        }


def flock_holders(inode: int) -> set[int]:
    """Read from the kernel who holds a flock on an inode."""
    rows = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    return {int(row[4]) for row in rows if row[1] == "FLOCK" and row[5].endswith(f":{inode}")}


def test_a25_the_daemon_killed_services_work_on_and_up_takes_over_without_two_engines(
    house: House,
) -> None:
    before = house.up()
    old = {name: row["pid"] for name, row in before["apps"].items()}
    house.kill_daemon()
    wait_for("orphans", lambda: all(house.holder(n).orphan for n in NAMES))  # type: ignore[union-attr]
    lots = house.bring("ETHUSDT", "short")
    document = house.status()
    told = {alert["key"] for alert in document["alerts"]}
    assert house.pids() == old
    assert {name for name in NAMES if document["services"][name]["orphan"]} == set(NAMES)
    assert {f"orphan/{name}" for name in NAMES} <= told

    orders = house.orders()
    watch = Watch(house)
    watch.start()
    after = house.up()
    wait_for("the new engine's pass", lambda: house.is_settled("ETHUSDT", lots))
    looks = watch.end()

    new = {name: row["pid"] for name, row in after["apps"].items()}
    assert new == house.pids()
    assert set(new.values()).isdisjoint(old.values())
    assert len(looks) > 20
    assert_engines_followed_each_other(looks, old[ENGINE], new[ENGINE])
    assert house.orders() == orders
    assert [row["path"] for row in house.requests("POST")] == []
    assert not any(alert["key"].startswith("orphan/") for alert in house.status()["alerts"])
    house.bring("ETHUSDT", "flat")


def assert_engines_followed_each_other(looks: list[Row], old: int, new: int) -> None:
    """Check that one held the lock at a time, the old one first, and that there was no third."""
    holders = [look["locked_by"] for look in looks]
    order = [next(iter(h)) for h in holders if h]
    assert max(len(h) for h in holders) == 1
    assert order == sorted(order, key=[old, new].index)
    assert (order[0], order[-1]) == (old, new)
    assert [look for look in looks if look["alive"] - {old, new}] == []


def test_a_service_holds_its_lock_until_its_process_is_gone(home: Home) -> None:
    with subprocess.Popen(  # noqa: S603 - this test's own words
        [sys.executable, "-c", SLOW_TO_END], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert any('"ready"' in line for line in process.stderr)
        process.terminate()
        assert any('"stopped"' in line for line in process.stderr)
        assert "ending" in process.stderr.readline()
        lease = try_lock(home.state / "slow.lock")
        was_alive = process.poll() is None

    assert was_alive
    assert lease is None


def test_bare_pm2_starts_restarts_stops_and_shows_logs(house: House) -> None:
    started = house.pm2("start", str(ROOT / "ecosystem.config.js"))
    assert started.returncode == 0, started.stderr
    wait_for("all ready", house.all_ready)
    lots = house.bring("ETHUSDT", "long")
    first = house.pids()[ENGINE]

    assert house.pm2("restart", ENGINE).returncode == 0
    wait_for("the restarted engine", lambda: house.is_ready(ENGINE, other_than=first))
    assert house.log(ENGINE).count('"event":"stopped"') == 1
    wait_for("its first pass", lambda: house.is_settled("ETHUSDT", lots))
    assert len(house.orders()) == 1
    shown = house.pm2("logs", ENGINE, "--nostream", "--lines", "5")
    assert shown.returncode == 0
    assert '"event":"ready"' in shown.stdout

    second = house.pids()[ENGINE]
    assert house.pm2("stop", ENGINE).returncode == 0
    assert not is_alive(second)
    assert exit_code_of(house, ENGINE) == 0
    assert house.log(ENGINE).count('"event":"stopped"') == 2
    assert [row for name in NAMES for row in house.tracebacks(name)] == []
    assert house.status()["services"][ENGINE]["state"] == "stopped"
    assert house.lots("ETHUSDT") == lots


def exit_code_of(house: House, name: str) -> int:
    rows = json.loads(house.pm2("jlist").stdout.splitlines()[-1])
    return int(next(row["pm2_env"]["exit_code"] for row in rows if row["name"] == name))
