"""hello and version: quick, and true."""

import json
import platform
import subprocess
import sys
from importlib import metadata

import pytest

from commands.main import run
from commands.version import installed, versions
from core.home import CHECKOUT, Home
from core.process.exit_codes import ExitCode
from core.process.version import version

Capture = pytest.CaptureFixture[str]


def test_hello_says_hello(home: Home, capsys: Capture) -> None:
    assert run(["hello"]) == 0
    text = capsys.readouterr().out

    assert text.startswith("Hello trader\n")
    assert metadata.version("ccxt") in text
    assert platform.python_version() in text
    assert str(home.root) in text


def test_hello_is_one_json_object_for_programs(home: Home, capsys: Capture) -> None:
    assert run(["hello", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "trade_engine": version(),
        "python": platform.python_version(),
        "ccxt": metadata.version("ccxt"),
        "home": str(home.root),
    }


def test_hello_loads_nothing_heavy() -> None:
    script = "import sys; from commands.main import run; run(['hello']); print(*sys.modules)"
    done = subprocess.run(  # noqa: S603 - this test's own words
        [sys.executable, "-P", "-c", script], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.splitlines()[-1].split())

    assert not {"ccxt", "bittensor", "apprise", "aiohttp", "fastapi"} & loaded


def test_versions_name_everything_that_runs(home: Home, capsys: Capture) -> None:
    assert run(["version", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)

    assert facts["bittensor"] == metadata.version("bittensor")
    assert facts["home"] == str(home.root)
    assert facts["pm2"] == versions()["pm2"]
    assert {"trade_engine", "commit", "python", "ccxt", "apprise", "node", "system"} <= set(facts)


def test_what_is_not_there_is_unknown(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, home: Home
) -> None:
    monkeypatch.setattr("commands.version.CHECKOUT", home.root)
    monkeypatch.setenv("PATH", str(home.root))
    assert run(["version"]) == 0
    lines = capsys.readouterr().out.splitlines()

    assert "pm2           unknown" in lines
    assert "node          unknown" in lines
    assert "commit        unknown" in lines


def test_a_package_that_is_not_installed_has_no_version() -> None:
    assert installed("no-such-package-of-ours") is None
    assert CHECKOUT.is_dir()


@pytest.mark.usefixtures("home")
def test_the_whole_engine_is_no_json_object(capsys: Capture) -> None:
    assert run(["start", "--json"]) == ExitCode.USAGE
    assert "--run-single-cycle" in capsys.readouterr().err
