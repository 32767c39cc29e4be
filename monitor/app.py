"""The monitor's process: shows how everything stands, and tells people what happens.

It reads files only, also when the engine is dead, and needs no valid configuration: without one it
listens on the default address and tells what is wrong.
"""

import asyncio
import logging
import sys
from dataclasses import asdict
from typing import Any, Final

from core.clock import SteadyClock, SystemClock
from core.errors import ConfigError
from core.home import Home
from core.process.logs import register_secret
from core.process.service import Service, run_service
from core.settings import EngineConfig, SettingsReader
from core.settings.engine import NotificationsConfig
from monitor.http_server import serve
from monitor.notifier.notifier import Notifier
from monitor.secrecy import mask_secrets, secrets_of_engine
from monitor.status_routes import build_app

log = logging.getLogger(__name__)

LOOK_S: Final = 5.0
"""Seconds between two looks at the configuration files."""
AGAIN_S: Final = 30.0
"""Seconds until the notifier is started again after a defect of ours."""


async def main(service: Service) -> None:
    """Serve until the service is asked to stop."""
    reader = SettingsReader(service.home)
    host, port = _address(reader)
    listener = service.listen(host, port)
    service.write_status({"problems": _problems(reader)})
    app = build_app(service.home, host, SystemClock().now_ms)
    telling = Telling(service.home)
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(serve(app, listener, service.stopping), name="serve")
        looking = tasks.create_task(_look(service, reader, telling), name="look-at-configuration")
        notifying = tasks.create_task(telling.run(), name="notify")
        await service.ready()
        await serving
        looking.cancel()
        notifying.cancel()


class Telling:
    """The notifier, kept at work: whatever becomes of it, the status stays up."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._reader = SettingsReader(home)  # its own: it reads in another thread
        self.crash = ""
        self.notifier = self._new()

    async def run(self) -> None:
        """Tell until cancelled."""
        while True:
            try:
                await self.notifier.run()
            except Exception:
                log.exception("the notifier crashed")
            self.crash = "the notifier crashed and starts again: ./trade-engine logs monitor"
            await asyncio.sleep(AGAIN_S)
            self.crash, self.notifier = "", self._new()

    def problems(self) -> list[Any]:
        """Give what a person should mend."""
        return [asdict(row) for row in self.notifier.problems] + (
            [self.crash] if self.crash else []
        )

    def _new(self) -> Notifier:
        return Notifier(self._home, SteadyClock(), self.config)

    def config(self) -> NotificationsConfig:
        """Read who is told, and mask their addresses. Raises ConfigError."""
        config = self._reader.read_engine()
        for secret in secrets_of_engine(config):
            register_secret(secret)
        return config.notifications


async def _look(service: Service, reader: SettingsReader, telling: Telling) -> None:
    while True:
        await asyncio.sleep(LOOK_S)
        problems = [*await asyncio.to_thread(_problems, reader), *telling.problems()]
        notifications = telling.notifier.status()
        service.write_status({"problems": problems, "notifications": notifications})


def _address(reader: SettingsReader) -> tuple[str, int]:
    try:
        config = reader.read_engine()
    except ConfigError:
        config = EngineConfig()
    return config.monitor.host, config.monitor.port


def _problems(reader: SettingsReader) -> list[Any]:
    try:
        settings = reader.read()
        mask_secrets(settings)
        return [asdict(problem) for problem in settings.problems]
    except ConfigError as error:
        return [str(error)]


if __name__ == "__main__":
    sys.exit(run_service("monitor", main))
