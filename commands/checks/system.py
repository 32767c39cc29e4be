"""What is to be said of this installation: services, settings, brakes, disk. From files only."""

import shutil
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection, HTTPException
from typing import Any, Final
from urllib.parse import urlsplit

from commands.checks.findings import Finding, Place
from core.control import Control
from core.errors import ConfigError
from core.home import Home
from core.model import Mode
from core.settings import Settings
from core.status.alerts import EXPECTED, service_state
from core.status.parts import ServicePart, StatusParts
from core.trips import read_trips

ENGINE: Final = Place(where="engine")
MEGABYTE: Final = 1_000_000
DISK_FAIL_BYTES: Final = 100 * MEGABYTE
"""Less, and a busy day's journals may not find room: then nothing is opened."""
DISK_WARN_BYTES: Final = 1_000 * MEGABYTE
PING_TIMEOUT_S: Final = 3
HTTP_OK: Final = 200
UP: Final = "./trade-engine up"


def judge_system(
    home: Home, settings: Settings, parts: StatusParts, now_ms: int
) -> Iterator[Finding]:
    """Judge everything that is no account and no source; reads the disk, asks nobody."""
    yield from _services(parts, now_ms)
    yield from _settings(settings)
    yield from _brakes(home, parts)
    yield _disk(home)


def judge_service(service: str, source: str, parts: StatusParts, now_ms: int) -> Iterator[Finding]:
    """Judge whether a source's own service hears it; asks the service where it listens."""
    place, part = Place(where=source), parts.services.get(service)
    if part is None or service_state(part, now_ms) != "running":
        yield place.warn("service", f"{service} does not run: {UP}")
        return
    waiting_for = part.said.get("waiting_for")
    if waiting_for:
        yield place.warn("service", f"{service} waits: {waiting_for}")
    elif url := part.said.get("url"):
        yield _reachable(place, service, str(url))
    else:
        yield from _connected(place, part.said)


def _services(parts: StatusParts, now_ms: int) -> Iterator[Finding]:
    for name in EXPECTED:
        if name not in parts.services:
            yield ENGINE.warn(name, f"never ran here: {UP}")
    for name, part in parts.services.items():
        yield _service(name, part, service_state(part, now_ms))


def _service(name: str, part: ServicePart, state: str) -> Finding:
    if part.said.get("orphan") is True and part.is_alive:
        return ENGINE.warn(name, f"works on without PM2, whose daemon died: {UP} takes it over")
    if state == "running":
        return ENGINE.ok(name, f"running, pid {part.said.get('pid')}")
    if state in ("starting", "stopping"):
        return ENGINE.warn(name, state)
    if state == "stopped":
        return ENGINE.warn(name, f"stopped: {UP}")
    crash = f": {part.exception.message}" if part.exception is not None else ""
    return ENGINE.fail(name, f"{state}{crash}; ./trade-engine logs {name}")


def _settings(settings: Settings) -> Iterator[Finding]:
    for problem in settings.problems:
        where = f"{problem.file}: {problem.key}" if problem.key else problem.file
        text = f"{problem.text} ({where}); {problem.remedy}"
        make = ENGINE.warn if problem.severity == "warning" else ENGINE.fail
        yield make("settings", text)
    if not settings.problems:
        yield ENGINE.ok("settings", "all configuration files are valid")


def _brakes(home: Home, parts: StatusParts) -> Iterator[Finding]:
    found = list(_held(home, parts.control))
    if parts.halt is not None:
        found.insert(0, ENGINE.warn("brakes", "state/HALT is there: nothing is sent; remove it"))
    yield from found or [ENGINE.ok("brakes", "none in force")]


def _held(home: Home, control: Control) -> Iterator[Finding]:
    if control.problem:
        yield ENGINE.fail("brakes", control.problem)
    for entry in control.entries:
        if entry.mode is not Mode.RUN:
            yield ENGINE.warn("brakes", f"{entry.reason}; ./trade-engine resume lifts it")
    for block in control.blocks:
        yield ENGINE.warn("brakes", f"{block.block_reason}; ./trade-engine unblock lifts it")
    try:
        trips = read_trips(home.state / "trips.json")
    except ConfigError as error:
        yield ENGINE.fail("brakes", f"{error}: every account is paused until you resume it")
        return
    for trip in trips:
        scope = f" --account {trip.account}" if trip.account else ""
        yield ENGINE.warn("brakes", f"{trip.reason}; ./trade-engine resume{scope} lifts it")


def _disk(home: Home) -> Finding:
    try:
        free = shutil.disk_usage(home.root).free
    except OSError as error:
        return ENGINE.unknown("disk", str(error))
    text = f"{free // MEGABYTE} MB free"
    if free < DISK_FAIL_BYTES:
        return ENGINE.fail("disk", f"{text}: when it is full nothing is opened; free some")
    if free < DISK_WARN_BYTES:
        return ENGINE.warn("disk", f"{text}: free some")
    return ENGINE.ok("disk", text)


def _reachable(place: Place, service: str, url: str) -> Finding:
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=PING_TIMEOUT_S)
    try:
        connection.request("GET", "/ping")
        status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        text = f"{service} does not answer at {url} ({error}): ./trade-engine restart {service}"
        return place.fail("service", text)
    finally:
        connection.close()
    if status != HTTP_OK:
        return place.fail("service", f"{service} answers HTTP {status} at {url}/ping")
    return place.ok("service", f"{service} answers at {url}")


def _connected(place: Place, said: Mapping[str, Any]) -> Iterator[Finding]:
    """Judge a service that fetches: what it says of the other side."""
    problems = said.get("problems")
    for problem in problems if isinstance(problems, list) else ():
        yield place.warn("service", str(problem))
    push = said.get("push")
    if isinstance(push, Mapping) and push.get("live") is not True:
        yield place.warn("push", f"not live: {push.get('problem') or 'connecting'}")
    elif not problems:
        yield place.ok("service", "connected")
