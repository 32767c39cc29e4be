"""The status as it is read from the files of a home."""

import os
from pathlib import Path
from typing import Any

import orjson
import pytest

from core.control import EVERYTHING, Scope
from core.control.file import control_path, halt_path, set_mode
from core.home import Home
from core.model import Mode
from core.process.lease import lock_now
from core.process.service_status import replace_status
from core.status import build_status, read_status
from core.status.parts import read_parts
from tests.unit.status_cases import (
    ENGINE,
    NOW,
    SCHEMA,
    keys,
)


def put_part(home: Home, said: dict[str, Any]) -> None:
    home.make_folders()
    replace_status(home, "trade-engine", said)


def test_brakes_are_shown_with_who_and_why(tmp_path: Path) -> None:
    home = Home(tmp_path)
    set_mode(home, Scope(symbol="BTCUSDT"), Mode.PAUSE, who="ann", why="news", now_ms=NOW)
    made = read_status(home, NOW)
    assert made["halted"] is None
    assert made["control"]["entries"] == [
        {
            "account": None,
            "symbol": "BTCUSDT",
            "mode": "pause",
            "who": "ann",
            "when": NOW / 1000,
            "until": None,
            "why": "news",
        }
    ]
    set_mode(home, EVERYTHING, Mode.HALT, who="bob", why="odd", now_ms=NOW)
    made = read_status(home, NOW)
    SCHEMA.validate(made)

    assert made["halted"] == {
        "reason": "halt of everything by bob: odd",
        "who": "bob",
        "when": NOW / 1000,
    }


@pytest.mark.parametrize(
    ("mode", "is_halted"), [(Mode.PAUSE, False), (Mode.HALT, True), (Mode.FLATTEN, True)]
)
def test_everything_flattened_counts_as_halted(
    tmp_path: Path, mode: Mode, *, is_halted: bool
) -> None:
    set_mode(Home(tmp_path), EVERYTHING, mode, who="ann", now_ms=NOW)

    assert (read_status(Home(tmp_path), NOW)["halted"] is not None) is is_halted


def test_a_living_engine_is_known_by_its_lock(tmp_path: Path) -> None:
    home = Home(tmp_path)
    put_part(home, {**ENGINE, "pid": os.getpid()})
    assert read_status(home, NOW)["executor_running"] is False
    with lock_now(home.state / "trade-engine.lock", "x"):
        assert read_status(home, NOW)["executor_running"] is True
        put_part(home, {**ENGINE, "pid": os.getpid() + 1})

        assert read_status(home, NOW)["executor_running"] is False


def test_a_reused_pid_is_not_the_engine(tmp_path: Path) -> None:
    home = Home(tmp_path)
    put_part(home, {**ENGINE, "pid": os.getpid()})
    (home.state / "trade-engine.lock").write_bytes(orjson.dumps({"pid": os.getpid(), "started": 1}))

    assert read_status(home, NOW)["executor_running"] is False


def test_what_is_on_disk_is_read_but_never_created(tmp_path: Path) -> None:
    SCHEMA.validate(read_status(Home(tmp_path), NOW))

    assert list(tmp_path.iterdir()) == []


def test_the_halt_file_is_read_with_its_note(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.make_folders()
    halt_path(home).write_bytes(b"weird \xff fills\nsecond line")
    os.utime(halt_path(home), ns=(NOW * 1_000_000, NOW * 1_000_000))
    halted = read_status(home, NOW)["halted"]

    assert halted["reason"].startswith("state/HALT exists: weird")
    assert "second" not in halted["reason"]
    assert halted["when"] == pytest.approx(NOW / 1000)


def test_a_halt_that_cannot_be_looked_at_is_still_a_halt(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.make_folders()
    halt_path(home).mkdir()

    assert read_status(home, NOW)["halted"]["reason"] == "state/HALT exists"


def test_damaged_files_are_told_not_raised(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.make_folders()
    control_path(home).write_bytes(b"{")
    (home.state / "status").mkdir()
    (home.state / "status/trade-engine.json").write_bytes(b"{")
    made = read_status(home, NOW)
    SCHEMA.validate(made)

    assert "control" in keys(made)
    assert made["executor_running"] is False


def test_reading_makes_one_document_of_parts(tmp_path: Path) -> None:
    home = Home(tmp_path)
    put_part(home, ENGINE)

    assert build_status(read_parts(home), NOW) == read_status(home, NOW)
