"""`flatten` beside a real engine process: it follows that one's word, and never does it itself."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest

from commands.main import run
from core.home import HOME_VARIABLE, Home
from core.process.service_status import read_status
from tests.unit.paper_side import BTC, ETH, Exchange, running_exchange

ROOT = Path(__file__).parents[2]
WITHIN_S = 40.0
Screen = pytest.CaptureFixture[str]


@pytest.fixture
def exchange(home: Home) -> Iterator[Exchange]:
    yield from running_exchange(home)


@pytest.fixture
def engine(home: Home, exchange: Exchange) -> Iterator["subprocess.Popen[bytes]"]:
    """An engine that lives and has made its first pass."""
    del exchange  # it must listen first
    environment = {**os.environ, HOME_VARIABLE: str(home.root)}
    words = [sys.executable, str(ROOT / "execute_trades.py")]
    process = subprocess.Popen(  # noqa: S603 - our own words
        words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_for(lambda: any(a["last_pass_at_ms"] for a in accounts(home)))
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(WITHIN_S)


def accounts(home: Home) -> list[dict[str, object]]:
    found: list[dict[str, object]] = read_status(home, "trade-engine").get("accounts", [])
    return found


def wait_for(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not is_so():
        assert time.monotonic() < deadline, "never"
        time.sleep(0.05)


@pytest.mark.timeout(120)
def test_beside_a_living_engine_the_command_waits_for_its_word_and_sends_nothing_itself(
    home: Home, exchange: Exchange, engine: "subprocess.Popen[bytes]", capsys: Screen
) -> None:
    exchange.hold(BTC, "0.1")
    exchange.hold(ETH, "-2")
    capsys.readouterr()
    code = run(["flatten", "--json"])
    document = orjson.loads(capsys.readouterr().out)

    assert (code, document["is_flat"], document["left"]) == (0, True, [])
    assert exchange.sizes() == {}
    assert sorted(exchange.orders()) == [(BTC, True), (ETH, True)]  # one each: never both of us
    assert engine.poll() is None
    assert accounts(home)[0]["flattened"]
