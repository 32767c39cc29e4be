"""trade-engine positions, without an exchange."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from commands.main import run
from core.home import HOME_VARIABLE, Home
from core.process.service_status import replace_status


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    made = Home(tmp_path)
    made.make_folders()
    return made


def engine(home: Home, *accounts: dict[str, Any]) -> None:
    replace_status(home, "trade-engine", {"started_at_ms": 1, "accounts": list(accounts)})


ACCOUNT = {
    "name": "first",
    "exchange": "bybit",
    "state": "ready",
    "last_pass_at_ms": 5,
    "symbols": [
        {"symbol": "BTCUSDT", "held_lots": "-0.1", "target_lots": "-0.1"},
        {"symbol": "ETHUSDT", "held_lots": None, "target_lots": "1"},
    ],
}


def test_cached_positions_come_from_the_engines_status(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    engine(home, ACCOUNT)
    assert run(["positions", "--cached", "--json"]) == 0
    btc, eth = orjson.loads(capsys.readouterr().out)

    assert (btc["account"], btc["side"], btc["size_lots"]) == ("first", "short", "-0.1")
    assert (eth["size_lots"], eth["target_lots"]) == (None, "1")


def test_an_account_the_engine_has_not_read_is_a_row_and_exit_5(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    waiting: dict[str, Any] = {
        "name": "second",
        "state": "connecting",
        "last_pass_at_ms": None,
        "symbols": [],
    }
    disabled: dict[str, Any] = {"name": "third", "state": "disabled", "symbols": []}
    engine(home, ACCOUNT, waiting, disabled)
    assert run(["positions", "--cached", "--json"]) == 5
    rows = orjson.loads(capsys.readouterr().out)

    assert rows[2:] == [{"account": "second", "error": "not read yet: connecting"}]


def test_people_see_a_table_with_unknown_sizes_marked(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    waiting = {"name": "second", "state": "parked", "reason": "bad key", "last_pass_at_ms": None}
    engine(home, ACCOUNT, waiting)
    assert run(["positions", "--cached"]) == 5
    said = capsys.readouterr()
    eth = next(line for line in said.out.splitlines() if "ETHUSDT" in line)

    assert "?" in eth.split()
    assert "second: not read yet: parked bad key" in said.err


def test_nothing_held_is_said(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    engine(home, {**ACCOUNT, "symbols": []})

    assert run(["positions", "--cached"]) == 0
    assert "Nothing is held" in capsys.readouterr().out


@pytest.mark.usefixtures("home")
def test_without_an_engine_there_is_nothing_cached(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["positions", "--cached"]) == 1
    assert "./trade-engine up" in capsys.readouterr().err
