"""What every test may use, and what no test may leave behind."""

import asyncio
import inspect
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from core.home import HOME_VARIABLE, Home

settings.register_profile("dev", max_examples=100, deadline=None)
settings.register_profile(
    "ci",
    max_examples=300,
    deadline=None,  # a busy machine is not a defect
    derandomize=True,  # CI fails for a change, never by chance
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let every async test answer for the tasks it starts."""
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.function):
            item.fixturenames.insert(0, "no_leaked_tasks")  # first in, last out


@pytest.fixture
async def no_leaked_tasks() -> AsyncIterator[None]:
    """Fail a test that leaves a task running."""
    before = asyncio.all_tasks()
    yield
    left: set[asyncio.Task[object]] = set()
    for _ in range(10):  # what was cancelled just now may still need a turn
        left = {task for task in asyncio.all_tasks() - before if task is not asyncio.current_task()}
        if not left:
            return
        await asyncio.sleep(0)
    pytest.fail(f"left running: {sorted(task.get_name() for task in left)}")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home of one's own, as `up` would make it, in the environment too."""
    home = Home(tmp_path / "home")
    home.root.mkdir(mode=0o700)
    home.make_folders()
    monkeypatch.setenv(HOME_VARIABLE, str(home.root))
    return home
