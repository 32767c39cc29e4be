"""The door to SN8: what it says of itself costs the engine nothing, and what it takes is exact."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from signal_processors.base import discover
from signal_processors.bittensor_processor import SOURCE, main

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"aiohttp", "msgspec", "bittensor", "questionary", "rich", "pydantic", "numpy"}


def loaded_by(statement: str) -> set[str]:
    """Give the top-level modules that a fresh interpreter has loaded after a statement."""
    script = f"{statement}\nimport sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run(  # noqa: S603 - this test's own words
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("import signal_processors.bittensor_processor", id="the-source-alone"),
        pytest.param("from signal_processors.base import discover; discover()", id="all-sources"),
    ],
)
def test_learning_that_the_source_exists_loads_nothing_heavy(statement: str) -> None:
    loaded = loaded_by(statement)

    assert "signal_processors" in loaded
    assert loaded & HEAVY == set()


def test_the_source_is_found_by_its_file_and_says_what_it_is() -> None:
    assert discover()["bittensor"] is SOURCE
    assert (SOURCE.name, SOURCE.service, SOURCE.kind) == ("bittensor", "bittensor-signals", "level")
    assert SOURCE.is_level
    assert SOURCE.compress_after_days == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(["--json"], "--json goes with --rank or --once", id="json-of-what"),
        pytest.param(["--config", "--json"], "--json goes with --rank or --once", id="json-config"),
        pytest.param(["--rank", "--once"], "not allowed with argument", id="two-at-once"),
        pytest.param(["--config", "--once"], "not allowed with argument", id="wizard-and-look"),
        pytest.param(["--rnak"], "unrecognized arguments: --rnak", id="misspelt"),
        pytest.param(["BTCUSD"], "unrecognized arguments: BTCUSD", id="a-symbol"),
    ],
)
@pytest.mark.usefixtures("home")  # or it would run here if it took the words
def test_wrong_words_are_exit_2_with_the_usage(
    capsys: pytest.CaptureFixture[str], words: Sequence[str], said: str
) -> None:
    with pytest.raises(SystemExit) as end:
        main(words)
    told = capsys.readouterr()

    assert end.value.code == 2
    assert said in told.err
    assert told.err.startswith("usage: ")
    assert told.out == ""


def test_help_names_every_way_to_run_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    told = capsys.readouterr().out

    assert end.value.code == 0
    for word in ("--config", "--rank", "--once", "--json", "example: "):
        assert word in told
