"""Runs each drill on every venue on which it can occur; see `occurrence.py`."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.drills.occurrence import is_turn, venues_of

HERE = Path(__file__).parent


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "in_turn: the cases are shared out among the venues")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a drill the venues on which it can occur."""
    if "venue" not in metafunc.fixturenames:
        return
    metafunc.parametrize("venue", venues_of(metafunc.function.__name__))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave each case of a shared-out drill to one venue."""
    shared = [item for item in items if HERE in item.path.parents and _is_shared(item)]
    dropped = set(_not_in_turn(shared))
    if dropped:
        config.hook.pytest_deselected(items=list(dropped))
        items[:] = [item for item in items if item not in dropped]


def _is_shared(item: pytest.Item) -> bool:
    return item.get_closest_marker("in_turn") is not None


def _not_in_turn(items: Iterable[pytest.Item]) -> Iterable[pytest.Item]:
    places: dict[str, dict[str, int]] = {}
    cases: dict[str, dict[str, int]] = {}
    keyed = []
    for item in items:
        assert isinstance(item, pytest.Function)
        test, venue = item.originalname, str(item.callspec.params["venue"])
        case = repr([(k, v) for k, v in sorted(item.callspec.indices.items()) if k != "venue"])
        places.setdefault(test, {}).setdefault(venue, len(places.get(test, ())))
        cases.setdefault(test, {}).setdefault(case, len(cases.get(test, ())))
        keyed.append((item, test, venue, case))
    for item, test, venue, case in keyed:
        mine, theirs = places[test], cases[test]
        if not is_turn(theirs[case], len(theirs), mine[venue], len(mine)):
            yield item
