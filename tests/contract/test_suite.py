"""The suite itself: every case has one test that runs on every venue, and the README says so."""

import ast
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from account_processors import venue_profiles
from core.home import CHECKOUT
from paper_exchange.wires import find_wires
from tests.contract.capabilities import ROWS, table
from tests.contract.cases import CASES
from tests.contract.conftest import no_case_skipped
from tests.venues import WORDS

HERE = Path(__file__).resolve().parent
README = CHECKOUT / "README.md"
NUMBERED = re.compile(r"test_te(\d\d)_")


def numbered() -> Iterator[tuple[str, ast.AsyncFunctionDef]]:
    """Every numbered test: its case and its code."""
    for path in sorted(HERE.glob("test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            found = NUMBERED.match(node.name) if isinstance(node, ast.AsyncFunctionDef) else None
            if found and isinstance(node, ast.AsyncFunctionDef):
                yield f"TE-{found[1]}", node


def test_every_case_has_one_test_and_every_number_is_a_case() -> None:
    found = [case for case, _ in numbered()]

    assert sorted(found) == sorted(CASES)
    assert list(CASES) == [f"TE-{n:02}" for n in range(1, len(CASES) + 1)]


@pytest.mark.parametrize("name", venue_profiles())
def test_a_venue_file_is_in_the_suite(name: str) -> None:
    assert name in WORDS, f"{name} has no row in tests/venues.py"
    assert name in find_wires(), f"{name} has no wire in paper_exchange/wires"


def test_every_case_runs_on_every_venue() -> None:
    """Ask pytest itself what it would run."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    listed = subprocess.run(  # noqa: S603 - our own suite
        [*command, str(HERE)], cwd=CHECKOUT, capture_output=True, text=True, check=True, timeout=25
    )
    ran: dict[str, set[str]] = defaultdict(set)
    for line in listed.stdout.splitlines():
        found = re.search(r"::test_te(\d\d)_\w+\[(\w+)", line)
        if found:
            ran[f"TE-{found[1]}"].add(found[2])

    assert ran == {case: set(venue_profiles()) for case in CASES}


def test_a_case_that_is_skipped_fails() -> None:
    for name, longrepr, outcome in (
        ("test_te01_x[bybit]", ("f", 1, "Skipped: not today"), "failed"),
        ("test_te01_x[new]", ("f", 1, "Skipped: the paper exchange does not speak it"), "skipped"),
        ("test_other[bybit]", ("f", 1, "Skipped: not today"), "skipped"),
    ):
        report = SimpleNamespace(skipped=True, outcome="skipped", longrepr=longrepr)
        no_case_skipped(name, report)  # type: ignore[arg-type] # the part of it that is read

        assert report.outcome == outcome, name


@pytest.mark.parametrize("capability", ROWS)
def test_a_capability_is_proved_by_its_case(capability: str) -> None:
    cases = dict(numbered())
    calls = {
        argument.value
        for node in ast.walk(cases[ROWS[capability].case])
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "shows"
        for argument in node.args[:1]
        if isinstance(argument, ast.Constant)
    }

    assert capability in calls


def test_the_readme_shows_what_the_suite_prints() -> None:
    text = README.read_text(encoding="utf-8")
    shown = re.search(r"<!-- capabilities -->\n(.*?)\n<!-- /capabilities -->", text, re.DOTALL)

    assert shown is not None
    assert shown[1].strip().splitlines() == table()
