import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from commands.main import COMMANDS, run
from commands.refusal import PartlyFailedError, RefusedError
from core.errors import BusyError, ConfigError, TransientError
from core.process.exit_codes import ExitCode

Capture = pytest.CaptureFixture[str]
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_table_can_be_loaded(name: str) -> None:
    path = ROOT / "commands" / f"{COMMANDS[name].module}.py"
    if not path.exists():
        pytest.skip(f"{path.name} is not written yet")
    module = importlib.import_module(f"commands.{COMMANDS[name].module}")

    assert callable(getattr(module, "command", None)) or isinstance(module.app, typer.Typer)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str, capsys: Capture) -> None:
    if not (ROOT / "commands" / f"{COMMANDS[name].module}.py").exists():
        pytest.skip("not written yet")

    assert run([name, "--help"]) == 0
    assert "Usage" in capsys.readouterr().out


def test_the_overview_names_every_command(capsys: Capture) -> None:
    assert run(["--help"]) == 0
    text = capsys.readouterr().out
    shown = [name for name, entry in COMMANDS.items() if not entry.is_alias]

    assert [name for name in shown if f" {name} " not in text] == []
    assert "check-wallet" not in text


def test_the_overview_loads_no_command() -> None:
    script = "import sys; from commands.main import run; run(['-h']); print(*sys.modules)"
    done = subprocess.run(  # noqa: S603 - this test's own words
        [sys.executable, "-P", "-c", script], capture_output=True, text=True, check=True
    )
    loaded = done.stdout.splitlines()[-1].split()

    assert "commands.main" in loaded
    assert not {"commands.up", "commands.ps", "pydantic", "ccxt", "aiohttp"} & set(loaded)


def test_an_unknown_command_is_a_usage_error(capsys: Capture) -> None:
    assert run(["verison"]) == ExitCode.USAGE
    assert "version" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        pytest.param(ConfigError("leverage"), 78, id="config"),
        pytest.param(BusyError("pid 7"), 75, id="busy"),
        pytest.param(RefusedError("set PM2_HOME"), 4, id="refused"),
        pytest.param(PartlyFailedError("one left"), 5, id="partly"),
        pytest.param(TransientError("no answer"), 1, id="any-other-of-ours"),
    ],
)
def test_our_errors_become_one_line_and_their_exit_code(
    error: Exception, code: int, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr("commands.version.command", fail)

    assert run(["version"]) == code
    assert capsys.readouterr().err == f"trade-engine: {error}\n"


@pytest.mark.parametrize(
    ("end", "code"),
    [
        pytest.param(SystemExit(), 0, id="exit-without-a-word"),
        pytest.param(SystemExit(7), 7, id="exit-with-a-code"),
        pytest.param(SystemExit("why"), 1, id="exit-with-a-word"),
    ],
)
def test_an_end_by_exit_is_the_exit_code(
    end: SystemExit, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leave() -> None:
        raise end

    monkeypatch.setattr("commands.version.command", leave)

    assert run(["version"]) == code


def test_version_is_one_json_object_for_programs(capsys: Capture) -> None:
    assert run(["version", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ccxt"]
