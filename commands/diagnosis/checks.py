"""What a doctor looks at: programs, files and their modes, disk, locks, ports, clock, last ends.

From files and loopback only; works with a broken configuration and a dead engine.
"""

import os
import platform
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from commands.checks.findings import Finding, Place, ago
from commands.checks.system import DISK_FAIL_BYTES, DISK_WARN_BYTES, MEGABYTE
from commands.installation.readiness import living_holder
from commands.version import node_version, pm2_version
from core.errors import ConfigError
from core.home import Home
from core.process.lease import read_holder
from core.settings import load_settings
from core.status.alerts import service_state
from core.status.parts import ServicePart, StatusParts

OLDEST_NODE: Final = 18
SECRET_FILES: Final = ("credentials.json", "engine_config.json")
CONNECT_S: Final = 2.0
FUTURE_MS: Final = 5_000
"""A file from farther ahead means that this host's clock was set back."""
UP: Final = "./trade-engine up"

PROGRAMS: Final = Place(where="programs")
FILES: Final = Place(where="files")
SERVICES: Final = Place(where="services")
CLOCK: Final = Place(where="clock")


def examine(home: Home, parts: StatusParts, now_ms: int) -> list[Finding]:
    """Look at everything; never raises for what it finds."""
    return [
        *_programs(),
        *_modes(home),  # first: loading the configuration mends some of them
        *_configuration(home),
        _free_space(home),
        *_locks(home, parts),
        *_ports(parts),
        _clock(home, now_ms),
        *_ends(parts, now_ms),
    ]


def _programs() -> Iterator[Finding]:
    yield PROGRAMS.ok("python", platform.python_version())  # an older one ran none of this
    node = node_version()
    major = (node or "").partition(".")[0]
    if not major.isdecimal():
        yield PROGRAMS.fail("node", f"not found: {UP} installs one")
    elif int(major) < OLDEST_NODE:
        yield PROGRAMS.fail("node", f"{node}: {OLDEST_NODE} or later is needed")
    else:
        yield PROGRAMS.ok("node", str(node))
    pm2 = pm2_version()
    if pm2 is None:
        yield PROGRAMS.fail("pm2", f"not found in node_modules: {UP} installs it")
    else:
        yield PROGRAMS.ok("pm2", pm2)


def _configuration(home: Home) -> Iterator[Finding]:
    try:
        problems = load_settings(home).problems
    except ConfigError as error:
        for line in str(error).splitlines():
            yield FILES.fail("configuration", line)
        return
    for problem in problems:
        make = FILES.warn if problem.severity == "warning" else FILES.fail
        yield make("configuration", str(problem))
    if not problems:
        yield FILES.ok("configuration", "all files are valid")


def _modes(home: Home) -> Iterator[Finding]:
    open_to_others = [
        f"{path.name} is {stat.S_IMODE(mode):04o}: chmod {wanted} {path}"
        for path, wanted in _private(home)
        if (mode := _mode(path)) is not None and mode & 0o077
    ]
    for text in open_to_others:
        yield FILES.warn("modes", f"others on this machine can look into it: {text}")
    if not open_to_others:
        yield FILES.ok("modes", "only you can look into secrets and state")
    for folder in (home.state, home.raw_signals, home.logs):
        if folder.exists() and not os.access(folder, os.W_OK | os.X_OK):
            yield FILES.fail("modes", f"{folder} cannot be written by this user")


def _private(home: Home) -> Iterator[tuple[Path, str]]:
    for name in SECRET_FILES:
        yield home.root / name, "600"
        yield home.last_good / name, "600"
    for folder in (home.state, home.last_good, home.raw_signals, home.logs):
        yield folder, "700"


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except OSError:
        return None


def _free_space(home: Home) -> Finding:
    try:
        disk = os.statvfs(home.root)
    except OSError as error:
        return FILES.unknown("disk", str(error))
    free = disk.f_bavail * disk.f_frsize
    text = f"{free // MEGABYTE} MB and {disk.f_favail} files are free"
    if free < DISK_FAIL_BYTES:
        return FILES.fail("disk", f"{text}: a full disk opens nothing")
    return FILES.warn("disk", text) if free < DISK_WARN_BYTES else FILES.ok("disk", text)


def _locks(home: Home, parts: StatusParts) -> Iterator[Finding]:
    for name, part in parts.services.items():
        holder = living_holder(home, name)
        last = read_holder(home.state / f"{name}.lock")
        if holder is None:
            text = "nobody holds its lock" if last is None else f"pid {last.pid} is gone"
            yield SERVICES.ok(f"lock of {name}", text)
        elif holder.orphan:
            yield SERVICES.warn(
                f"lock of {name}", f"pid {holder.pid} is an orphan: {UP} takes it over"
            )
        elif part.said.get("pid") != holder.pid:
            text = f"pid {holder.pid} holds it, but pid {part.said.get('pid')} wrote its status"
            yield SERVICES.warn(f"lock of {name}", text)
        else:
            yield SERVICES.ok(f"lock of {name}", f"pid {holder.pid}")


def _ports(parts: StatusParts) -> Iterator[Finding]:
    for name, part in parts.services.items():
        url = part.said.get("url")
        if not url:
            continue
        is_open = _listens(str(url))
        if part.is_alive and not is_open:
            text = f"{url} does not take connections: ./trade-engine restart {name}"
            yield SERVICES.fail(f"port of {name}", text)
        elif not part.is_alive and is_open:
            text = f"somebody else listens at {url}: the next start takes another port"
            yield SERVICES.warn(f"port of {name}", text)
        else:
            yield SERVICES.ok(f"port of {name}", str(url) if is_open else f"{url} is free")


def _listens(url: str) -> bool:
    where = urlsplit(url)
    try:
        with socket.create_connection((where.hostname or "", where.port or 0), CONNECT_S):
            return True
    except (OSError, ValueError):
        return False


def _clock(home: Home, now_ms: int) -> Finding:
    ahead_ms, name = max(_file_times(home, now_ms), default=(0, ""))
    if ahead_ms > FUTURE_MS:
        text = f"{name} is {ahead_ms / 1000:.0f} s from the future: was the clock set back?"
        return CLOCK.warn("this host", f"{text} keep it by NTP")
    told = "no file is from the future; ./trade-engine check compares it with the venues'"
    return CLOCK.ok("this host", told)


def _file_times(home: Home, now_ms: int) -> Iterator[tuple[int, str]]:
    for pattern in ("*.json", "*.jsonl", "status/*.json"):
        for path in home.state.glob(pattern):
            try:
                yield path.stat().st_mtime_ns // 1_000_000 - now_ms, path.name
            except OSError:
                continue


def _ends(parts: StatusParts, now_ms: int) -> Iterator[Finding]:
    for name, part in parts.services.items():
        yield _end(name, part, now_ms)


def _end(name: str, part: ServicePart, now_ms: int) -> Finding:
    state = service_state(part, now_ms)
    crash = part.exception or part.last_crash
    if crash is not None:
        when = "" if crash.at_ms is None else f" {ago(now_ms - crash.at_ms)}"
        text = f"crashed{when}: {crash.message}; ./trade-engine logs {name}"
        make = SERVICES.fail if part.exception is not None else SERVICES.warn
        return make(name, f"{state}; {text}")
    if state in ("dead", "stuck"):
        text = "it ended without saying so (killed, power cut)" if state == "dead" else "it hangs"
        return SERVICES.fail(name, f"{state}: {text}; {UP}")
    return SERVICES.ok(name, state)


def as_document(findings: list[Finding]) -> list[dict[str, Any]]:
    """Give the findings as JSON objects."""
    return [row.to_row() for row in findings]
