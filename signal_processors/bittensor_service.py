"""The process `bittensor-signals`: waits for a key, then follows the validator that it opens.

It never calls an exchange. Without a key it says so once and waits; a key that is added later needs
no restart.
"""

import asyncio
import logging
from functools import partial
from typing import Final

from core.clock import SystemClock
from core.errors import ConfigError
from core.nudge import send_nudge
from core.process.logs import register_secret
from core.process.service import Service
from core.process.service_status import read_status
from core.settings.account import BittensorCredentials
from signal_processors.base import SignalWriter
from signal_processors.bittensor_access import Access
from signal_processors.bittensor_files import BittensorFiles
from signal_processors.bittensor_following import Following
from signal_processors.bittensor_processor import SOURCE
from signal_processors.bittensor_publisher import LevelFold

log = logging.getLogger(__name__)

LOOK_S: Final = 1.0
"""Seconds between two looks at what is still missing."""
PAPER: Final = "paper-exchange"
PAPER_PATH: Final = "/sn8"
NO_KEY: Final = "no SN8 key: add bittensor_sn8 to credentials.json, or leave it if you want none"
NO_PAPER: Final = "waits for the paper exchange, which simulates SN8"


async def follow_sn8(service: Service) -> None:
    """Run until the service stops."""
    files = BittensorFiles(service.home)
    files.settings()  # refused here, where it never was good
    clock = SystemClock()  # a host that slept goes on with the time of others
    writer = SignalWriter(
        service.home,
        SOURCE.name,
        clock=clock,
        fold=LevelFold(),
        on_stored=partial(send_nudge, service.home),
        compress_after_days=SOURCE.compress_after_days,
    )
    writer.open()
    try:
        await service.ready()
        await _follow(service, files, writer, clock)
    finally:
        await writer.close()


async def _follow(
    service: Service, files: BittensorFiles, writer: SignalWriter, clock: SystemClock
) -> None:
    credentials = await _wait_for_key(service, files, clock)
    if credentials is None:
        return
    register_secret(credentials.api_key.get_secret_value())
    is_simulated = credentials.environment == "paper"
    needs_paper = is_simulated and not credentials.endpoint
    url = await _wait_for_paper(service, clock) if needs_paper else ""
    if service.stopping.is_set():
        return
    access = access_of(credentials, url)
    following = Following(service, files, writer, clock, access, is_simulated=is_simulated)
    watching = asyncio.ensure_future(_end_when_paper_moves(service, clock, url))
    try:
        await following.run()
    finally:
        watching.cancel()


def access_of(credentials: BittensorCredentials, paper_url: str) -> Access:
    """Give the validator that the credentials name. Raises ConfigError for an unusable address."""
    endpoint, websocket = credentials.endpoint, credentials.websocket
    if credentials.environment == "paper" and not endpoint:
        endpoint = f"{paper_url}{PAPER_PATH}"
        websocket = f"{endpoint.replace('http', 'ws', 1)}/ws"
    return Access(
        endpoint=endpoint,
        websocket=websocket,
        api_key=credentials.api_key,
        auth_style=credentials.auth_style,
        tier=credentials.tier,
    )


def paper_url(service: Service) -> str:
    """Tell where the paper exchange listens; "" while it does not."""
    return str(read_status(service.home, PAPER).get("url") or "")


async def _end_when_paper_moves(service: Service, clock: SystemClock, url: str) -> None:
    """End this process when the simulated validator listens elsewhere: PM2 starts it anew."""
    while url:
        await clock.sleep(LOOK_S)
        now = paper_url(service)
        if now and now != url:
            log.info("the paper exchange moved: starting again", extra={"url": now})
            service.stopping.set()
            return


async def _wait_for_key(
    service: Service, files: BittensorFiles, clock: SystemClock
) -> BittensorCredentials | None:
    told = ""
    while not service.stopping.is_set():
        problem = ""
        try:
            credentials = files.credentials()
        except ConfigError as error:  # half-written: it is looked at again
            credentials, problem = None, str(error)
        if credentials is not None:
            return credentials
        if told != (problem or NO_KEY):
            told = problem or NO_KEY
            log.log(logging.WARNING if problem else logging.INFO, told)
            problems = [*files.problems(), *([problem] if problem else [])]
            service.write_status({"waiting_for": NO_KEY, "problems": problems})
        await clock.sleep(LOOK_S)
    return None


async def _wait_for_paper(service: Service, clock: SystemClock) -> str:
    is_told = False
    while not service.stopping.is_set():
        url = paper_url(service)
        if url:
            return url
        if not is_told:
            log.info(NO_PAPER)
            service.write_status({"waiting_for": NO_PAPER})
            is_told = True
        await clock.sleep(LOOK_S)
    return ""
