"""The monitor's process: shows how everything stands, also when the engine is dead.

It reads files only and needs no valid configuration: without one it listens on the default address
and tells what is wrong.
"""

import asyncio
import sys
from dataclasses import asdict
from typing import Any, Final

from core.clock import SystemClock
from core.errors import ConfigError
from core.process.service import Service, run_service
from core.settings import EngineConfig, SettingsReader
from monitor.http_server import serve
from monitor.status_routes import build_app

LOOK_S: Final = 5.0
"""Seconds between two looks at the configuration files."""


async def main(service: Service) -> None:
    """Serve until the service is asked to stop."""
    reader = SettingsReader(service.home)
    host, port = _address(reader)
    listener = service.listen(host, port)
    service.write_status({"problems": _problems(reader)})
    app = build_app(service.home, host, SystemClock().now_ms)
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(serve(app, listener, service.stopping), name="serve")
        looking = tasks.create_task(_look(service, reader), name="look-at-configuration")
        await service.ready()
        await serving
        looking.cancel()


async def _look(service: Service, reader: SettingsReader) -> None:
    while True:
        await asyncio.sleep(LOOK_S)
        service.write_status({"problems": await asyncio.to_thread(_problems, reader)})


def _address(reader: SettingsReader) -> tuple[str, int]:
    try:
        config = reader.read_engine()
    except ConfigError:
        config = EngineConfig()
    return config.monitor.host, config.monitor.port


def _problems(reader: SettingsReader) -> list[Any]:
    try:
        return [asdict(problem) for problem in reader.read().problems]
    except ConfigError as error:
        return [str(error)]


if __name__ == "__main__":
    sys.exit(run_service("monitor", main))
