"""PM2, as we use it: what it runs, start, delete. The only file that calls it.

Nothing secret goes in: PM2 keeps a service's whole environment in files of its own. Which apps
there are is `ecosystem.config.js`'s word alone, so that a bare `pm2 start` gives the same.
"""

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from commands.refusal import CheckFailedError, RefusedError
from core.home import CHECKOUT, HOME_VARIABLE, Home
from core.process.exit_codes import ExitCode

ECOSYSTEM: Final = CHECKOUT / "ecosystem.config.js"
OUR_NAMES: Final = (
    "paper-exchange",
    "tradingview-endpoint",
    "bittensor-signals",
    "trade-engine",
    "monitor",
)
LONGEST_PM2_HOME: Final = 90
"""Characters; its sockets live there, and beyond what a socket's path may have PM2 hangs."""
ANSWER_TIMEOUT_S: Final = 30
START_TIMEOUT_S: Final = 240
"""Seconds: five services at 30 s each, two at a time, when none gets ready; and a margin."""
PASSED_ON: Final = (
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "TMPDIR"),
    *("LANG", "LC_ALL", "LC_CTYPE", "TZ"),
    *("LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
    *("NODE_EXTRA_CA_CERTS", "TRADE_ENGINE_LOG_LEVEL"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """One app as PM2 sees it."""

    name: str
    pid: int  # 0 = not running, whatever the status says
    status: str
    script: Path
    cwd: Path
    home: Path
    restarts: int
    memory_bytes: int
    exit_code: int | None = None  # of its last process

    @property
    def is_running(self) -> bool:
        """Tell whether PM2 has a live process for it."""
        return self.pid > 0 and self.status in ("online", "launching")

    @property
    def has_given_up(self) -> bool:
        """Tell whether PM2 will not start it again by itself.

        After a stop exit code PM2 may go on saying "waiting restart", and never does.
        """
        is_refused = self.exit_code == ExitCode.CONFIG
        return self.pid == 0 and (self.status in ("stopped", "errored") or is_refused)


class Pm2:
    """The PM2 of this user, for one home of this checkout."""

    def __init__(self, home: Home) -> None:
        """Raises RefusedError for a PM2_HOME that PM2 cannot use."""
        self._home = home
        self.folder = Path(os.environ.get("PM2_HOME") or Path.home() / ".pm2").absolute()
        if len(str(self.folder)) > LONGEST_PM2_HOME:
            raise RefusedError(
                f"PM2_HOME must have at most {LONGEST_PM2_HOME} characters, had "
                f"{len(str(self.folder))} ({self.folder}): PM2 would hang; set a shorter PM2_HOME"
            )

    def wanted(self) -> tuple[str, ...]:
        """Name the apps that the configuration asks for, in starting order."""
        script = "console.log(JSON.stringify(require(process.argv[1]).apps.map((app) => app.name)))"
        answer = _call(
            [_node(), "-e", script, str(ECOSYSTEM)], self._environment(), ANSWER_TIMEOUT_S
        )
        return tuple(json.loads(answer))

    def apps(self) -> tuple[App, ...]:
        """List the apps that bear one of our names, ours or not; none when there is no daemon."""
        if not self._is_daemon_alive():
            return ()
        rows = _rows(self._run("jlist"))
        return tuple(_app(row) for row in rows if row.get("name") in OUR_NAMES)

    def is_ours(self, app: App) -> bool:
        """Tell whether an app of our name belongs to this checkout and this home."""
        return (
            app.cwd == CHECKOUT
            and app.home == self._home.root
            and app.script.is_relative_to(CHECKOUT)
        )

    def our_apps(self) -> dict[str, App]:
        """List our apps by name. Raises RefusedError when a name of ours is taken by another."""
        apps = self.apps()
        foreign = [app for app in apps if not self.is_ours(app)]
        if foreign:
            app = foreign[0]
            raise RefusedError(
                f"PM2 already runs {app.name} (pid {app.pid}) of {app.cwd}, home {app.home}; "
                "to run both, set PM2_HOME to a folder of its own for this one"
            )
        return {app.name: app for app in apps}

    def start(self, names: Sequence[str]) -> None:
        """Start these apps, restart those that run; returns when each said ready or timed out."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._run("start", str(ECOSYSTEM), "--only", ",".join(names), timeout_s=START_TIMEOUT_S)

    def delete(self, names: Iterable[str]) -> None:
        """Stop these apps (SIGINT, SIGKILL after their kill time-out) and forget them."""
        self._run("delete", *names, timeout_s=START_TIMEOUT_S)

    def _run(self, *words: str, timeout_s: float = ANSWER_TIMEOUT_S) -> str:
        return _call([*_pm2(), *words], self._environment(), timeout_s)

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        own = {"PM2_HOME": str(self.folder), HOME_VARIABLE: str(self._home.root)}
        return kept | own | {"PM2_DISCRETE_MODE": "true"}

    def _is_daemon_alive(self) -> bool:
        """Knock at its socket: asking PM2 itself would start a daemon."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knock:
            try:
                knock.connect(str(self.folder / "rpc.sock"))
            except OSError:
                return False
        return True


def _node() -> str:
    own = CHECKOUT / ".venv" / "bin" / "node"
    found = str(own) if own.exists() else shutil.which("node")
    if found is None:
        raise CheckFailedError("Node is not installed: run ./trade-engine up, it brings its own")
    return found


def _pm2() -> list[str]:
    own = CHECKOUT / "node_modules" / "pm2" / "bin" / "pm2"
    if own.exists():
        return [_node(), str(own)]
    found = shutil.which("pm2")
    if found is None:
        raise CheckFailedError("PM2 is not installed: run ./trade-engine up, it brings its own")
    return [found]


def _call(command: Sequence[str], environment: Mapping[str, str], timeout_s: float) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - PM2 and Node with our own words
            command,
            env=dict(environment),
            cwd=CHECKOUT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise CheckFailedError(f"PM2 did not answer within {timeout_s:.0f} s") from error
    if done.returncode != 0:
        told = (done.stderr.strip() or done.stdout.strip())[-2000:]
        raise CheckFailedError(f"PM2 failed with code {done.returncode}: {told}")
    return done.stdout


def _rows(text: str) -> list[dict[str, Any]]:
    """Find the JSON line: PM2 may print sentences before it, and some begin with a bracket too."""
    for line in reversed(text.splitlines()):
        if line.startswith("["):
            try:
                rows = json.loads(line)
            except ValueError:
                continue
            if isinstance(rows, list):
                return rows
    raise CheckFailedError(f"PM2's list was not understood: {text[:200]}")


def _app(row: Mapping[str, Any]) -> App:
    settings = row["pm2_env"]
    script = Path(settings["pm_exec_path"])
    return App(
        name=row["name"],
        pid=int(row.get("pid") or 0),
        status=str(settings.get("status")),
        script=script.resolve(),
        cwd=Path(settings["pm_cwd"]).resolve(),
        # an app started by hand has no such variable: its home is its checkout
        home=Path(settings.get(HOME_VARIABLE) or settings["pm_cwd"]).resolve(),
        restarts=int(settings.get("restart_time") or 0),
        exit_code=settings.get("exit_code"),
        memory_bytes=int((row.get("monit") or {}).get("memory") or 0),
    )
