"""A crash loop starts halted: real processes, killed as the kernel would, no PM2."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from core.control import EVERYTHING
from core.control.file import resume
from core.home import CHECKOUT, HOME_VARIABLE, Home
from core.process.service_status import read_status

pytestmark = pytest.mark.process

NAME = "trade-engine"
LIMIT_S = 25.0


def start(home: Home) -> subprocess.Popen[bytes]:
    """Start the engine and wait until it says that it is ready."""
    process = subprocess.Popen(  # noqa: S603 - this test's own words
        [sys.executable, str(CHECKOUT / "execute_trades.py")],
        env={**os.environ, HOME_VARIABLE: str(home.root)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + LIMIT_S
    while not is_ready(home, process.pid):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


def is_ready(home: Home, pid: int) -> bool:
    part = read_status(home, NAME)
    return part.get("pid") == pid and part.get("ready") is True


def trips(home: Home) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = read_status(home, NAME)["trips"]
    return rows


def test_an_engine_that_dies_again_and_again_starts_halted_until_it_is_resumed(
    tmp_path: Path,
) -> None:
    home = Home(tmp_path)
    home.engine_config.write_text(json.dumps({"safety": {"max_restarts": 2}}))
    home.engine_config.chmod(0o600)
    first = start(home)
    first.send_signal(signal.SIGTERM)  # a clean end does not count
    assert first.wait(LIMIT_S) == 0
    for unclean in range(2):
        process = start(home)
        assert read_status(home, NAME)["restarts"] == unclean
        assert trips(home) == []
        process.kill()
        process.wait()
    last = start(home)
    try:
        (trip,) = trips(home)
        assert (trip["code"], trip["mode"], trip["account"]) == ("crash_loop", "halt", None)
        resume(home, EVERYTHING, who="ann", now_ms=time.time_ns() // 1_000_000)
        deadline = time.monotonic() + LIMIT_S
        while trips(home) and time.monotonic() < deadline:
            time.sleep(0.05)

        assert trips(home) == []
        assert json.loads((home.state / "trips.json").read_text()) == {"trips": []}
    finally:
        last.send_signal(signal.SIGTERM)
        assert last.wait(LIMIT_S) == 0
