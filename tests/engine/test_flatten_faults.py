"""`flatten` under any single fault, on any venue: it ends flat, or says exactly what is left.

Chosen of some fifty thousand cases are those that pair most of what they vary in; `FLATTEN_RUNS`
chooses more (per venue), `FLATTEN_SEED` others.
"""

import os
from pathlib import Path

import pytest

from tests.engine.flatten_cases import FAULTS, HOW_OFTEN, Case, all_cases, chosen
from tests.engine.flatten_scene import judged
from tests.engine.flatten_situations import SITUATIONS
from tests.venues import exchanges

RUNS = int(os.environ.get("FLATTEN_RUNS", "8"))
SEED = int(os.environ.get("FLATTEN_SEED", "0"))


def case(
    words: str, *, venue: str = "bybit", is_living: bool = True, kind: str = "", place: str
) -> Case:
    """A case by its name: `situation: kind at place, how often`."""
    situation, often = words.split(": ")
    found = [(k, p) for k, p in FAULTS[place] if k == kind]
    return Case(
        venue=venue,
        situation=situation,
        is_living=is_living,
        kind=kind,
        params=found[0][1],
        place=place,
        often=often,
    )


@pytest.mark.timeout(60 + 2 * RUNS)
@pytest.mark.parametrize("venue", exchanges())
def test_under_any_fault_a_flatten_ends_flat_or_says_what_is_left_and_opens_nothing(
    venue: str, tmp_path: Path
) -> None:
    broken: dict[str, list[str]] = {}
    cases = chosen(all_cases((venue,), list(SITUATIONS)), RUNS, SEED)
    for number, one in enumerate(cases):
        folder = tmp_path / str(number)
        folder.mkdir()
        found = judged(one, folder)
        if found:
            broken[str(one)] = found

    assert len(cases) == RUNS
    assert broken == {}


def test_the_cases_cover_every_venue_fault_and_situation() -> None:
    cases = all_cases(exchanges(), list(SITUATIONS))

    assert len({str(one) for one in cases}) == len(cases)
    assert {one.venue for one in cases} == set(exchanges())
    assert {one.situation for one in cases} == set(SITUATIONS)
    assert {one.often for one in cases} == set(HOW_OFTEN)


@pytest.mark.parametrize("venue", exchanges())
@pytest.mark.parametrize("situation", ["by hand", "both sides", "dust"])
def test_a_venue_that_hides_positions_is_not_taken_for_flat(
    venue: str, situation: str, tmp_path: Path
) -> None:
    hidden = case(f"{situation}: for ever", venue=venue, kind="empty", place="positions")

    assert judged(hidden, tmp_path) == []


@pytest.mark.parametrize("is_living", [True, False], ids=["living-engine", "own-engine"])
@pytest.mark.parametrize(
    ("kind", "place"),
    [
        pytest.param("maintenance", "cancel", id="cancel-fails"),
        pytest.param("http", "look-up", id="open-orders-unreadable"),
    ],
)
def test_an_order_of_ours_that_still_rests_is_not_taken_for_flat(
    kind: str, place: str, tmp_path: Path, *, is_living: bool
) -> None:
    resting = case("resting: three times", is_living=is_living, kind=kind, place=place)

    assert judged(resting, tmp_path) == []


def test_a_bare_case_of_each_situation_ends_flat(tmp_path: Path) -> None:
    broken = {}
    for situation in SITUATIONS:
        folder = tmp_path / situation
        folder.mkdir()
        broken[situation] = judged(
            case(f"{situation}: once", kind="clock_skew", place="everything"), folder
        )

    assert broken == {situation: [] for situation in SITUATIONS}


@pytest.mark.parametrize("is_living", [True, False], ids=["living-engine", "own-engine"])
def test_an_increase_that_was_on_its_way_is_closed_when_it_arrives(
    tmp_path: Path, *, is_living: bool
) -> None:
    late = case("on the way: once", is_living=is_living, kind="clock_skew", place="everything")

    assert judged(late, tmp_path) == []
