"""Every numbered case runs on every venue: the venue is a fixture, and no case may be skipped."""

import re
from collections.abc import AsyncIterator, Generator
from typing import Any

import pytest
import stamina

from paper_exchange.wires import find_wires
from tests.contract.venue_cases import Bench, bench
from tests.venues import exchanges

NUMBERED = re.compile(r"test_te\d\d_")


@pytest.fixture(params=exchanges())
def exchange(request: pytest.FixtureRequest) -> str:
    """Each venue that there is a file for."""
    name: str = request.param
    if name not in find_wires():
        pytest.skip(f"the paper exchange does not speak {name}'s protocol")
    return name


@pytest.fixture
async def kit(exchange: str) -> AsyncIterator[Bench]:
    """Each venue, running."""
    async with bench(exchange) as running:
        yield running


@pytest.fixture(autouse=True)
def repeats_do_not_wait() -> Generator[None, None, None]:
    """Let reads be repeated at once: tests wait for no time."""
    with stamina.set_testing(True, attempts=100, cap=True):
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
    call: pytest.CallInfo[None],  # noqa: ARG001 - the hook's
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return no_case_skipped(item.name, (yield))


def no_case_skipped(name: str, report: pytest.TestReport) -> pytest.TestReport:
    """A numbered case that is skipped has proved nothing: it fails, but where a wire is missing."""
    is_missing = "does not speak" in str(report.longrepr)
    if report.skipped and NUMBERED.match(name) and not is_missing:
        why: Any = f"{name} was skipped: {report.longrepr}"
        report.outcome, report.longrepr = "failed", why
    return report
