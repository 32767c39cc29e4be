"""Every drill of the list of pitfalls is here, and runs on every venue on which it can occur."""

import ast
import re
from collections.abc import Iterator

import pytest

from paper_exchange.wires import find_wires
from tests.drills.conftest import HERE
from tests.drills.occurrence import EVERY, EXCEPTIONS, is_turn, venues_of
from tests.venues import WORDS

# about sources of signals alone: these never reach a venue
WITHOUT_VENUE = ("a23", "a24", "b6", "c4")
IDS = (
    *(f"a{n}" for n in range(1, 34) if f"a{n}" not in WITHOUT_VENUE),
    *(f"b{n}" for n in (2, *range(7, 13), 17, 18, 20, 21)),
)
NAMED = re.compile(r"test_([abc]\d+)_")


def drills() -> Iterator[tuple[str, str, bool]]:
    """All tests here: drill, name, and whether it runs on venues."""
    for path in sorted(HERE.glob("test_*.py")):
        for node in ast.parse(path.read_text()).body:
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if found := NAMED.match(node.name):
                names = [argument.arg for argument in node.args.args]
                yield found.group(1), node.name, "venue" in names


@pytest.mark.parametrize("drill", IDS)
def test_a_drill_runs_on_every_venue(drill: str) -> None:
    tests = [name for found, name, has_venue in drills() if found == drill and has_venue]

    assert tests, f"no drill {drill} over HTTP"
    assert {venue for name in tests for venue in venues_of(name)} == set(EVERY)


@pytest.mark.parametrize("drill", WITHOUT_VENUE)
def test_a_drill_of_sources_runs_on_no_venue(drill: str) -> None:
    found = {name: has_venue for one, name, has_venue in drills() if one == drill}

    assert found, f"no drill {drill}"
    assert not any(found.values())


def test_every_exception_names_a_drill_a_venue_and_a_reason() -> None:
    known = {name for _, name, has_venue in drills() if has_venue}

    assert set(EXCEPTIONS) <= known
    for name, venues in EXCEPTIONS.items():
        assert set(venues) < set(EVERY), name
        assert all(len(reason) > 20 for reason in venues.values()), name


def test_every_venue_has_a_wire_and_words() -> None:
    assert set(EVERY) == set(WORDS) == set(find_wires())


@pytest.mark.parametrize(("cases", "places"), [(1, 4), (2, 4), (4, 4), (12, 4), (6, 4), (3, 1)])
def test_shared_out_cases_leave_no_case_and_no_venue_out(cases: int, places: int) -> None:
    runs = {
        (case, place)
        for case in range(cases)
        for place in range(places)
        if is_turn(case, cases, place, places)
    }

    assert {case for case, _ in runs} == set(range(cases))
    assert {place for _, place in runs} == set(range(places))
    assert len(runs) == max(cases, places)
