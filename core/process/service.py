"""The life of one of our processes: lock, signals, PM2's line, status part, exit code.

An entry script is `sys.exit(run_service("name", main))`; `main(service)` builds its parts, awaits
`service.ready()`, works until `service.stopping` is set, closes what it opened and returns.
"""

import asyncio
import logging
import os
import signal
import socket
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from core.errors import BusyError, ConfigError
from core.home import Home
from core.process.exit_codes import ExitCode
from core.process.lease import Lease, take_over
from core.process.listening import bind_port, url_of
from core.process.logs import configure_logging, redact, reopen_streams
from core.process.service_status import read_status, replace_status
from core.process.supervisor import Supervisor
from core.process.version import version

log = logging.getLogger(__name__)

HEARTBEAT_S: Final = 5.0
"""Seconds between two refreshes of the status part: an older one means dead or stuck."""


Body = Callable[["Service"], Awaitable[None]]


class Service:
    """One running process of ours, as its body sees it."""

    def __init__(self, name: str, home: Home, supervisor: Supervisor) -> None:
        self.name = name
        self.home = home
        self.stopping = asyncio.Event()
        self.started_at_ms = _now_ms()
        self.orphan = False  # PM2's daemon died; we work on
        self.url: str | None = None
        self._supervisor = supervisor
        self._lease: Lease | None = None
        self._is_ready = False
        self._extra: Mapping[str, Any] = {}
        self._crash: dict[str, Any] | None = None
        before = read_status(home, name)
        self.ended_uncleanly = False  # the process before this one; known once the lock is ours
        self._last_url = before.get("url")
        self._last_crash = before.get("exception") or before.get("last_crash")

    async def ready(self) -> None:
        """Say that lock, settings and journals are in hand and the loops run."""
        self._is_ready = True
        self.write_status(self._extra)
        self._supervisor.say_ready()
        log.info("ready", extra={"url": self.url} if self.url else {})

    def listen(self, host: str, port: int) -> socket.socket:
        """Open our listening socket on the wished port, last time's or a free one; sets `url`."""
        last = str(self._last_url or "").rpartition(":")[2]
        listener = bind_port(host, port, last_used=int(last) if last.isdecimal() else None)
        self.url = url_of(listener)
        actual = listener.getsockname()[1]
        if port not in (0, actual):
            log.warning("the wished port is busy", extra={"wished": port, "port": actual})
        return listener

    def write_status(self, extra: Mapping[str, Any]) -> None:
        """Replace our status part: the common fields and `extra`, which later refreshes repeat."""
        self._extra = extra
        part = {
            "service": self.name,
            "pid": os.getpid(),
            "started_at_ms": self.started_at_ms,
            "refreshed_at_ms": _now_ms(),
            "ready": self._is_ready,
            "stopping": self.stopping.is_set(),
            "orphan": self.orphan,
            "version": version(),
            "url": self.url,
            "exception": self._crash,
            "last_crash": self._last_crash,
        }
        try:
            replace_status(self.home, self.name, {**extra, **part})
        except OSError as error:  # disk full: the service's work goes on
            log.warning("status not written", extra={"error": str(error)})

    async def _live(self, body: Body) -> ExitCode:
        """Hold the lock around the body; the one place that catches everything."""
        self._install_signals()
        self._supervisor.watch(self._become_orphan)
        try:
            self.home.make_folders()
            path = self.home.state / f"{self.name}.lock"
            self._lease = await take_over(path, f"{self.name} ({path})", stop=self.stopping)
            self._lease.mark(orphan=self.orphan, stopping=self.stopping.is_set())
            self.ended_uncleanly = _ended_uncleanly(read_status(self.home, self.name))
            async with asyncio.TaskGroup() as tasks:
                heart = tasks.create_task(self._beat(), name="heartbeat")
                await body(self)
                heart.cancel()
        except Exception as error:  # noqa: BLE001 - the outermost loop of the process
            return self._end_by(error)
        else:
            log.info("stopped")
            return ExitCode.OK
        finally:
            self._close()

    async def _beat(self) -> None:
        while True:
            self.write_status(self._extra)
            await asyncio.sleep(HEARTBEAT_S)

    def _install_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGUSR1, self._tell)
        loop.add_signal_handler(signal.SIGUSR2, lambda: None)  # PM2's sendSignal must not kill us

    def _stop(self) -> None:
        self.stopping.set()  # first: nothing before it can fail, not even a dead stdout
        if self._lease is not None:
            self._lease.mark(stopping=True)

    def _tell(self) -> None:
        log.info(
            "still here", extra={"tasks": len(asyncio.all_tasks()), "is_ready": self._is_ready}
        )

    def _become_orphan(self) -> None:
        self.orphan = True
        if self._lease is not None:
            self._lease.mark(orphan=True)
            self.write_status(self._extra)
        with suppress(OSError):  # nobody reads our pipes any more
            reopen_streams(self.home.logs, self.name)
        log.warning("PM2's daemon died; working on until the next `trade-engine up` takes over")

    def _end_by(self, error: Exception) -> ExitCode:
        cause = _single_cause(error)
        if isinstance(cause, BusyError) and self._lease is None:
            if self.stopping.is_set():
                return ExitCode.OK  # asked to stop while waiting for the lock
            log.error("not started", extra={"reason": str(cause)})
            return ExitCode.BUSY
        code = _exit_code(cause)
        self._note_crash(cause, code)
        if code is ExitCode.UNEXPECTED:
            log.error("crashed", exc_info=cause)
        else:
            log.error("ended", extra={"reason": str(cause), "exit_code": int(code)})
        return code

    def _note_crash(self, cause: Exception, code: ExitCode) -> None:
        self._is_ready = False
        self._crash = {
            "type": type(cause).__name__,
            "exit_code": int(code),
            "message": redact(str(cause)),
            "tb": redact("".join(traceback.format_exception(cause))),
            "at_ms": _now_ms(),
        }
        if self._lease is not None:
            self.write_status(self._extra)

    def _close(self) -> None:
        self._supervisor.close()
        # the lock is not released here: it is free when the process is gone, not a moment earlier
        if self._lease is not None and self._crash is None:
            self._is_ready = False
            self.write_status({**self._extra, "stopped_at_ms": _now_ms()})


def run_service(name: str, body: Body, *, home: Home | None = None) -> int:
    """Run one of our services until it is asked to stop and return its exit code.

    0 stopped cleanly, 1 crashed (traceback logged and in the status part), 75 somebody else holds
    the lock, 78 the configuration was refused.
    """
    os.umask(0o077)  # whatever a service writes is its owner's alone
    configure_logging(name)
    service = Service(name, home or Home.from_environment(), Supervisor.from_environment())
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return int(runner.run(service._live(body)))  # noqa: SLF001 - same module, same life
    except KeyboardInterrupt:  # before our handlers stood
        return int(ExitCode.OK)


def _ended_uncleanly(before: Mapping[str, Any]) -> bool:
    """Tell whether a status part was left by a process that crashed or was killed."""
    if not before or before.get("stopped_at_ms"):
        return False
    crash = before.get("exception")
    code = crash.get("exit_code") if isinstance(crash, Mapping) else None
    return code not in (ExitCode.CONFIG, ExitCode.BUSY)


def _single_cause(error: Exception) -> Exception:
    """Look into the groups that a TaskGroup makes of one error."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _exit_code(cause: Exception) -> ExitCode:
    if isinstance(cause, ConfigError):
        return ExitCode.CONFIG
    return ExitCode.BUSY if isinstance(cause, BusyError) else ExitCode.UNEXPECTED


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop  # noqa: PLC0415 - not on every platform
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
