"""block, unblock, `--until`, and what a resume says that it lifts."""

from pathlib import Path

import orjson
import pytest

from commands import braking
from commands.main import run
from core.control import FREE
from core.control.file import read_control
from core.home import HOME_VARIABLE, Home
from core.model import Mode
from tests.unit.test_commands_brakes import configure, mode


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    made = Home(tmp_path)
    made.make_folders()
    configure(made, "paper-a")
    made.signal_weights.write_bytes(
        orjson.dumps(
            [{"symbol": symbol, "leverage": 1, "sources": []} for symbol in ("BTCUSDT", "ETHUSDT")]
        )
    )
    return made


def test_a_block_holds_while_everything_is_paused_and_resumed(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["block", "BTCUSDT", "--why", "delisting"]) == 0
    run(["pause"])
    run(["resume"])
    run(["resume", "BTCUSDT"])
    assert "Still in force: block of BTCUSDT" in capsys.readouterr().out
    assert mode(home) is Mode.PAUSE
    assert mode(home, symbol="ETHUSDT") is Mode.RUN
    assert run(["unblock", "BTCUSDT"]) == 0

    assert mode(home) is Mode.RUN


def test_a_block_of_one_account_is_lifted_for_that_account(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["block", "BTCUSDT"])
    run(["block", "BTCUSDT", "--account", "paper-a"])
    assert run(["unblock", "BTCUSDT", "--account", "paper-a"]) == 0
    assert "Still in force: block of BTCUSDT by" in capsys.readouterr().out

    assert mode(home) is Mode.PAUSE
    assert run(["unblock", "ETHUSDT"]) == 4
    assert "./trade-engine unblock BTCUSDT" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["pause", "halt", "block"])
def test_a_brake_with_an_end_lifts_itself(home: Home, command: str) -> None:
    before_ms = braking.now_ms()
    assert run([command, "BTCUSDT", "--until", "2h"]) == 0
    control = read_control(home)
    end_ms = before_ms + 2 * 3_600_000
    assert control.mode_for("paper-a", "BTCUSDT", now_ms=end_ms - 1)[0] is not Mode.RUN
    assert control.mode_for("paper-a", "BTCUSDT", now_ms=end_ms + 60_000) == FREE


@pytest.mark.parametrize("span", ["2", "h", "-1h", "1.5h", "0h", "soon", "99999d", "²h"])
def test_an_end_that_is_no_span_is_refused(
    home: Home, span: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["pause", "--until", span]) == 2
    assert "24h" in capsys.readouterr().err
    assert mode(home) is Mode.RUN


def test_a_resume_of_an_account_names_the_stops_that_it_lifts(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    stops = [
        {"code": "daily_loss", "text": "lost 6 %", "at_ms": 1, "account": "paper-a"},
        {"code": "crash_loop", "text": "again", "at_ms": 1, "account": None, "mode": "halt"},
        {"code": "orders_per_day", "text": "old", "at_ms": 1, "account": "paper-a", "until_ms": 2},
    ]
    (home.state / "trips.json").write_bytes(orjson.dumps({"trips": stops}))
    assert run(["resume", "--account", "paper-a"]) == 0
    said = capsys.readouterr().out
    assert "Lifted: daily_loss: lost 6 %" in said
    assert "old" not in said
    assert "Still stopped by the engine: crash_loop: again. Lift: ./trade-engine resume" in said
    assert run(["resume"]) == 0

    assert "Lifted: crash_loop: again" in capsys.readouterr().out


def test_a_resume_of_what_nothing_holds_says_so(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["resume", "ETHUSDT"]) == 0

    assert "Nothing of exactly this scope was in force." in capsys.readouterr().out
    assert mode(home) is Mode.RUN
