"""Whether a service is up: PM2's word and the service's own, side by side, and waiting for both."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from commands.installation.pm2 import App, Pm2
from commands.refusal import CheckFailedError
from core.errors import ConfigError
from core.home import CHECKOUT, Home
from core.process.exit_codes import ExitCode
from core.process.lease import Holder, read_holder
from core.process.service_status import read_status

READY_TIMEOUT_S: Final = 90
"""Seconds for a service to say ready: relieving an orphan may take 30, a cold first import some."""
FRESH_S: Final = 30
"""Seconds a status part stays believable; a living service refreshes it every 5."""
POLL_S: Final = 0.1
ASK_PM2_EVERY_S: Final = 1.0
TAIL_LINES: Final = 12
OUR_CODE: Final = (
    *("core", "signal_processors", "account_processors", "paper_exchange", "monitor", "config"),
    "commands",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One service as PM2 and it itself describe it."""

    name: str
    app: App | None
    part: Mapping[str, Any]  # its status part, empty when it never ran

    @property
    def is_ready(self) -> bool:
        """Tell whether the process that PM2 runs says it is ready, and lately."""
        if self.app is None or not self.app.is_running:
            return False
        age_s = time.time() - self.part.get("refreshed_at_ms", 0) / 1000
        is_this_process = self.part.get("pid") == self.app.pid
        return is_this_process and self.part.get("ready") is True and age_s < FRESH_S

    @property
    def url(self) -> str | None:
        """Where it listens, when it is ready and listens at all."""
        return self.part.get("url") if self.is_ready else None

    @property
    def word(self) -> str:
        """Its state in one word."""
        if self.is_ready:
            return "ready"
        if self.app is None:
            return "absent"
        if self.app.is_running:
            return "starting"
        return "down" if self.app.has_given_up else f"down ({self.app.status})"


def standings(pm2: Pm2, home: Home, names: Iterable[str]) -> list[Standing]:
    """Describe these services as they stand now."""
    apps = pm2.our_apps()
    return [Standing(name=name, app=apps.get(name), part=read_status(home, name)) for name in names]


def is_current(standing: Standing, home: Home) -> bool:
    """Tell whether a service is ready and nothing that it loaded at its start has changed since."""
    started_at_ms = standing.part.get("started_at_ms", 0)
    return standing.is_ready and started_at_ms > _changed_at_ms(home)


def wait_until_ready(pm2: Pm2, home: Home, names: Sequence[str]) -> list[Standing]:
    """Wait until all these services are ready and describe them.

    Raises ConfigError when one refused its configuration, CheckFailedError when one is not ready in
    time; both show the end of its log.
    """
    deadline = time.monotonic() + READY_TIMEOUT_S
    while True:
        now = standings(pm2, home, names)
        waiting = [standing for standing in now if not standing.is_ready]
        if not waiting:
            return now
        for standing in waiting:
            _refuse_if_given_up(standing, home)
        if time.monotonic() > deadline:
            late = waiting[0]
            raise CheckFailedError(
                f"{late.name} was not ready within {READY_TIMEOUT_S} s, it is {late.word}; "
                f"its log ends:\n{log_end(home, late.name)}"
            )
        _wait_for_word(home, waiting)


def log_end(home: Home, name: str) -> str:
    """Give the last lines of a service's error log, indented."""
    path = home.logs / f"{name}.err.log"
    lines = _last_lines(path, TAIL_LINES)
    return "\n".join(f"  {line}" for line in lines) or f"  (nothing in {path})"


def living_holder(home: Home, name: str) -> Holder | None:
    """Find the process that holds a service's lock, supervised or not; None when nobody does."""
    holder = read_holder(home.state / f"{name}.lock")
    return holder if holder is not None and holder.is_alive else None


def _refuse_if_given_up(standing: Standing, home: Home) -> None:
    if standing.app is None or not standing.app.has_given_up:
        return
    crash = standing.part.get("exception") or {}
    text = f"{standing.name} stopped: {crash.get('message', 'see its log')}"
    if standing.app.exit_code == ExitCode.CONFIG:
        raise ConfigError(text)
    raise CheckFailedError(f"{text}; its log ends:\n{log_end(home, standing.name)}")


def _wait_for_word(home: Home, waiting: Sequence[Standing]) -> None:
    """Sleep until a waited-for service writes its status, or it is time to ask PM2 again."""
    until = time.monotonic() + ASK_PM2_EVERY_S
    while time.monotonic() < until:
        time.sleep(POLL_S)
        if any(read_status(home, row.name).get("pid") != row.part.get("pid") for row in waiting):
            return


def _changed_at_ms(home: Home) -> int:
    files = [CHECKOUT / "ecosystem.config.js", CHECKOUT / "execute_trades.py", home.credentials]
    files.append(CHECKOUT / ".venv" / ".trade-engine-set-up")
    for folder in OUR_CODE:
        files.extend((CHECKOUT / folder).rglob("*.py"))
    return max((_modified_ms(path) for path in files), default=0)


def _modified_ms(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns // 1_000_000
    except OSError:
        return 0


def _last_lines(path: Path, count: int) -> list[str]:
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - 65_536))
            return file.read().decode(errors="replace").splitlines()[-count:]
    except OSError:
        return []
