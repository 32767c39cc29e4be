"""The life of one service: a real process, PM2 played by the other end of a socket pair."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from core.home import HOME_VARIABLE, Home

pytestmark = pytest.mark.process

BODY = """
import asyncio, os, sys
from core.errors import BusyError, ConfigError
from core.process.service import Service, run_service

async def main(service: Service) -> None:
    assert "NODE_CHANNEL_FD" not in os.environ
    await service.ready()
    service.write_status({"cycles": 7})
    match sys.argv[1]:
        case "crash":
            raise RuntimeError("no such lot")
        case "config":
            async with asyncio.TaskGroup() as group:
                group.create_task(refuse())
        case "done":
            return
        case "quiet":
            await service.stopping.wait()
            return
    await service.stopping.wait()
    print("closed what it had opened", file=sys.stderr, flush=True)

async def refuse() -> None:
    raise ConfigError("leverage must be 1..20, was 50")

sys.exit(run_service("demo", main))
"""


class Running:
    """A service process and the end of its line that PM2 would hold."""

    def __init__(self, home: Home, what: str, *, is_supervised: bool = True) -> None:
        ours, theirs = socket.socketpair()
        number = theirs.fileno()
        line = {"NODE_CHANNEL_FD": str(number)} if is_supervised else {}
        self.pm2 = ours
        self.pm2.settimeout(20)
        self.process = subprocess.Popen(  # noqa: S603 - this test's own words
            [sys.executable, "-c", BODY, what],
            env={**os.environ, HOME_VARIABLE: str(home.root), **line},
            pass_fds=[number],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        theirs.close()

    def wait(self) -> int:
        return self.process.wait(20)

    def errors(self) -> str:
        return self.process.communicate(timeout=20)[1]

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stderr is not None:
            self.process.stderr.close()
        self.pm2.close()


Starter = Callable[..., Running]


@pytest.fixture
def start(home: Home) -> Iterator[Starter]:
    started: list[Running] = []

    def begin(what: str = "wait", *, is_supervised: bool = True) -> Running:
        started.append(Running(home, what, is_supervised=is_supervised))
        return started[-1]

    yield begin
    for running in started:
        running.close()


def part(home: Home) -> dict[str, Any]:
    try:
        read: dict[str, Any] = json.loads((home.state / "status" / "demo.json").read_bytes())
    except FileNotFoundError:
        return {}
    return read


def lock_record(home: Home) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((home.state / "demo.lock").read_bytes())
    return record


def eventually(check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 15
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_ready_is_said_to_pm2_and_in_the_status_part(home: Home, start: Starter) -> None:
    running = start()

    assert running.pm2.recv(100) == b'"ready"\n'
    eventually(lambda: part(home).get("cycles") == 7)
    now = part(home)
    assert (now["pid"], now["ready"], now["orphan"]) == (running.process.pid, True, False)
    assert now["started_at_ms"] <= now["refreshed_at_ms"]
    assert lock_record(home)["pid"] == running.process.pid


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_lets_the_body_finish_and_ends_with_0(
    home: Home, start: Starter, number: signal.Signals
) -> None:
    running = start()
    running.pm2.recv(100)
    running.process.send_signal(number)

    assert running.wait() == 0
    assert "closed what it had opened" in running.errors()
    assert (part(home)["ready"], part(home)["exception"]) == (False, None)


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2])
def test_a_user_signal_harms_nobody(start: Starter, number: signal.Signals) -> None:
    running = start()
    running.pm2.recv(100)
    running.process.send_signal(number)
    running.process.send_signal(signal.SIGINT)

    assert running.wait() == 0


def test_a_stop_with_a_dead_stderr_still_stops(start: Starter) -> None:
    running = start("quiet")
    running.pm2.recv(100)
    assert running.process.stderr is not None
    running.process.stderr.close()
    running.process.send_signal(signal.SIGINT)

    assert running.wait() == 0


def test_a_crash_leaves_its_reason_and_exit_code_1(home: Home, start: Starter) -> None:
    running = start("crash")

    assert running.wait() == 1
    crash = part(home)["exception"]
    assert (crash["type"], crash["message"]) == ("RuntimeError", "no such lot")
    assert "RuntimeError: no such lot" in crash["tb"]
    assert part(home)["ready"] is False


def test_the_next_life_still_knows_the_last_crash(home: Home, start: Starter) -> None:
    start("crash").wait()
    start("done").wait()
    start().pm2.recv(100)

    assert part(home)["exception"] is None
    assert part(home)["last_crash"]["message"] == "no such lot"


def test_a_refused_configuration_ends_with_78_from_inside_a_task_group(
    home: Home, start: Starter
) -> None:
    running = start("config")

    assert running.wait() == 78
    assert part(home)["exception"]["message"] == "leverage must be 1..20, was 50"
    assert part(home)["exception"]["exit_code"] == 78


def test_a_body_that_is_done_ends_with_0(start: Starter) -> None:
    assert start("done").wait() == 0


def test_a25_a_second_one_ends_with_75_and_names_the_first(home: Home, start: Starter) -> None:
    first = start()
    first.pm2.recv(100)
    second = start()

    assert second.wait() == 75
    assert f"pid {first.process.pid}" in second.errors()
    assert first.process.poll() is None
    assert part(home)["pid"] == first.process.pid


def test_a25_an_orphan_works_on_and_is_relieved_by_the_next(home: Home, start: Starter) -> None:
    first = start()
    first.pm2.recv(100)
    first.pm2.close()  # as when PM2's daemon is killed
    eventually(lambda: part(home).get("orphan") is True)
    assert lock_record(home)["orphan"] is True
    assert first.process.poll() is None

    second = start()
    assert second.pm2.recv(100) == b'"ready"\n'

    assert first.wait() == 0
    assert part(home)["pid"] == second.process.pid
    assert part(home)["orphan"] is False


def test_an_orphan_goes_on_logging_where_pm2_wrote(home: Home, start: Starter) -> None:
    running = start()
    running.pm2.recv(100)
    running.pm2.close()
    file = home.logs / "demo.err.log"
    eventually(lambda: file.exists() and "daemon died" in file.read_text())
    running.process.send_signal(signal.SIGTERM)

    assert running.wait() == 0
    assert "closed what it had opened" in file.read_text()


def test_started_by_hand_there_is_no_line_to_lose(home: Home, start: Starter) -> None:
    running = start(is_supervised=False)
    eventually(lambda: part(home).get("ready") is True)

    assert part(home)["orphan"] is False
    running.process.send_signal(signal.SIGINT)
    assert running.wait() == 0


def test_what_a_service_writes_is_its_owner_s_alone(home: Home, start: Starter) -> None:
    start().pm2.recv(100)
    files: list[Path] = [home.state / "demo.lock", home.state / "status" / "demo.json"]

    assert [oct(path.stat().st_mode & 0o777) for path in files] == ["0o600", "0o600"]
    assert oct((home.state / "status").stat().st_mode & 0o777) == "0o700"
