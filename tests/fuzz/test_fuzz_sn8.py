"""A short run of the fuzzer that is the same each time, and its seeds without it."""

import importlib.util
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from core.home import CHECKOUT
from tests.fuzz.fuzz_sn8 import LONGEST, SEEDS, WORDS, seeds, with_odd_value
from tests.fuzz.targets import READERS
from tests.unit.sn8_scene import closed_row, open_row, payload

RUNS = 12_000
SEED = 8
needs_atheris = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None,
    reason="atheris is not installed: it exists for Linux and Python below 3.14",
)


def fuzzing(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the fuzzer in a folder of its own, where findings would lie."""
    return subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-m", "tests.fuzz.fuzz_sn8", *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        timeout=25,
        check=False,
    )


@needs_atheris
def test_a_short_run_finds_nothing(tmp_path: Path) -> None:
    ended = fuzzing(tmp_path, "--runs", str(RUNS), "--seed", str(SEED))

    assert ended.returncode == 0, ended.stderr[-3000:]
    assert f"Done {RUNS} runs" in ended.stderr
    assert list(tmp_path.iterdir()) == []


@needs_atheris
def test_a_finding_ends_the_run_and_can_be_run_again(tmp_path: Path) -> None:
    ended = fuzzing(tmp_path, "--target", "trap", "--runs", str(RUNS), "--seed", str(SEED))

    assert ended.returncode != 0
    (found,) = tmp_path.iterdir()
    assert found.name.startswith("crash-")
    again = fuzzing(tmp_path, "--target", "trap", found.name)
    assert again.returncode != 0
    assert "AssertionError" in again.stderr


@pytest.mark.parametrize("name", READERS)
def test_each_reader_has_seeds_and_stands_them(name: str) -> None:
    found = seeds(name)

    assert found
    assert all(len(content) < LONGEST for content in found)
    for content in found:
        READERS[name](content)


def test_every_file_of_the_seeds_is_some_reader_s() -> None:
    files = [path.name for path in SEEDS.iterdir() if path != WORDS]

    assert [name for name in files if name.partition("-")[0] not in READERS] == []


@pytest.mark.parametrize("seed", range(200))
def test_an_odd_value_somewhere_is_stood(seed: int) -> None:
    """What the fuzzer does first, also where there is none."""
    rows = payload([open_row(0, 0.25), closed_row(0, 1.01)], [open_row(1, -0.5, pair="ETHUSD")])
    changed = with_odd_value(rows, random.Random(seed))

    READERS["positions"](json.dumps(changed).encode())
