"""The notifier within the monitor: a defect of ours costs messages, never the status."""

import asyncio
from pathlib import Path

from core.errors import ConfigError
from core.home import Home
from core.process.logs import redact
from core.settings.engine import NotificationsConfig
from core.store import atomic_write_json
from monitor.app import AGAIN_S, Telling
from monitor.notifier.notifier import Notifier
from tests.unit.test_notifier import at_once
from tests.virtual_time import VirtualClock, run_virtually


class Defective(Telling):
    """Crashes in its first life."""

    lives = 0

    def _new(self) -> Notifier:
        def config() -> NotificationsConfig:
            if self.lives == 1:
                raise KeyError("a defect")
            raise ConfigError("nothing is configured")

        self.lives += 1
        return Notifier(self._home, VirtualClock(), config, apart=at_once)


def test_a_crash_of_the_notifier_is_told_and_it_starts_again(tmp_path: Path) -> None:
    async def act() -> tuple[list[object], list[object]]:
        telling = Defective(Home(tmp_path))
        task = asyncio.create_task(telling.run())
        await asyncio.sleep(1)
        crashed = telling.problems()
        await asyncio.sleep(AGAIN_S)
        again = telling.problems()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert telling.lives == 2
        return crashed, again

    crashed, again = run_virtually(act())

    assert crashed == ["the notifier crashed and starts again: ./trade-engine logs monitor"]
    assert again == []


def test_what_it_reads_is_masked_from_then_on(home: Home) -> None:
    channel = {"name": "phone", "url": "discord://1234567890/T0kenOfTheChannel"}
    atomic_write_json(home.engine_config, {"notifications": {"channels": [channel]}})
    telling = Telling(home)

    assert [row.name for row in telling.config().channels] == ["phone"]
    assert redact("404 for T0kenOfTheChannel") == "404 for ***"
