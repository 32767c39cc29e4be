"""What importing `bittensor` costs the rest: nothing before the first read, and little then."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

READ = """
import asyncio
from signal_processors.bittensor_chain import fetch_registry
from tests.chain_fakes import FakeSubstrate, subnet

substrate = FakeSubstrate(graphs={8: subnet()})
reading = fetch_registry("finney", 8, previous=None, now_ms=0, connect=lambda _network: substrate)
"""


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=25,
    )


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("from signal_processors.base import discover; discover()", id="sources"),
        pytest.param("import signal_processors.bittensor_chain", id="chain"),
        pytest.param("import execute_trades", id="engine"),
    ],
)
def test_bittensor_is_not_imported_before_it_is_needed(code: str) -> None:
    check = "import sys; print(sorted({'bittensor', 'bittensor_core'} & set(sys.modules)))"
    done = python(f"{code}; {check}")

    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_a_read_changes_nothing_of_the_process_and_prints_nothing() -> None:
    state = """
import logging, signal, sys, threading, warnings
def state():
    root = logging.getLogger()
    return {
        "signals": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "policy": type(asyncio.get_event_loop_policy()),
        "root": (list(root.handlers), root.level, logging.root.manager.disable),
        "loggers": (logging.getLoggerClass(), logging.getLogRecordFactory()),
        "hooks": (sys.excepthook, threading.excepthook, sys.unraisablehook, sys.stdout),
        "limit": sys.getrecursionlimit(),
        "warnings": list(warnings.filters),
        "environment": dict(os.environ),
    }
"""
    done = python(
        f"import os\n{READ}\n{state}\n"
        "before = state()\n"
        "assert len(asyncio.run(reading).neurons) == 256\n"
        "assert 'bittensor' in sys.modules\n"
        "after = state()\n"
        "print([name for name in before if before[name] != after[name]])"
    )

    assert (done.stdout, done.stderr, done.returncode) == ("[]\n", "", 0)


def test_records_of_bittensor_reach_no_handler_of_ours() -> None:
    done = python(
        f"import logging; logging.basicConfig(level=logging.INFO)\n{READ}\n"
        "asyncio.run(reading)\n"
        "logging.getLogger('bittensor.transport').error('leaked')\n"
        "logging.getLogger('ours').error('kept')"
    )

    assert "leaked" not in done.stderr + done.stdout
    assert "kept" in done.stderr


def test_a_read_writes_nothing_to_home(tmp_path: Path) -> None:
    done = python(f"{READ}\nasyncio.run(reading)", HOME=str(tmp_path))

    assert (done.stderr, done.returncode) == ("", 0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["below-a-file", "missing"])
def test_a_home_that_cannot_be_used_is_no_obstacle(tmp_path: Path, kind: str) -> None:
    (tmp_path / "file").touch()
    home = tmp_path / "file" / "home" if kind == "below-a-file" else tmp_path / "no" / "home"
    done = python(f"{READ}\nasyncio.run(reading)", HOME=str(home))

    assert (done.stderr, done.returncode) == ("", 0)


def test_a_process_ends_while_a_read_hangs() -> None:
    done = python(
        f"import time\n{READ}\n"
        "async def block(): time.sleep(60)\n"
        "substrate.on_connect = block\n"
        "async def main():\n"
        "    task = asyncio.create_task(reading)\n"
        "    while not substrate.calls: await asyncio.sleep(0.01)\n"
        "    task.cancel()\n"
        "    await asyncio.wait({task})\n"
        "asyncio.run(main())\n"
        "print('ended')"
    )

    assert (done.stdout, done.returncode) == ("ended\n", 0)
