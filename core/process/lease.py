"""One holder at a time: `flock` leases that die with their process and name their holder.

A lease file is never deleted while the program runs: deleting it would let two processes hold "the"
lock. What the file says (pid, start time, orphan, stopping) is for the next one to read; the flock
alone decides.
"""

import asyncio
import fcntl
import json
import logging
import os
import signal
import stat
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from core.errors import BusyError
from core.process.identity import is_same_process, send_signal, start_time

log = logging.getLogger(__name__)

KILL_TIMEOUT_S: Final = 30.0
"""Seconds an orphan or a stopping holder gets: PM2's `kill_timeout` of the engine."""
GRACE_S: Final = 3.0
"""Seconds a supervised holder is watched: its daemon may have died a moment ago."""
POLL_S: Final = 0.05
RECORD_BYTES: Final = 256
"""The record is padded to this and written at once, so that a reader never sees half of one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who holds a lease, as it says itself."""

    pid: int
    started: int  # clock ticks since boot, 0 = unknown
    orphan: bool = False  # its PM2 daemon died: the next service may ask it to stop
    stopping: bool = False  # it has begun to stop

    @property
    def is_alive(self) -> bool:
        """Tell whether that very process still runs."""
        return is_same_process(self.pid, self.started)

    def to_bytes(self) -> bytes:
        """Render the record, padded to its fixed length."""
        record = {
            "pid": self.pid,
            "started": self.started,
            "orphan": self.orphan,
            "stopping": self.stopping,
        }
        return json.dumps(record).encode().ljust(RECORD_BYTES - 1) + b"\n"


def read_holder(path: Path) -> Holder | None:
    """Read who last wrote a lease file; None when there is no file or no readable record."""
    try:
        record = json.loads(path.read_bytes())
        return Holder(
            pid=int(record["pid"]),
            started=int(record["started"]),
            orphan=record.get("orphan") is True,
            stopping=record.get("stopping") is True,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


class Lease:
    """A held lock: let go by `release`, at the end of `with`, or by the death of the process."""

    def __init__(self, path: Path, handle: int) -> None:
        self.path = path
        self._handle = handle
        self._me = Holder(pid=os.getpid(), started=start_time(os.getpid()))
        self._write()

    def mark(self, *, orphan: bool | None = None, stopping: bool | None = None) -> None:
        """Tell the next one how we stand; what is not given stays."""
        self._me = replace(
            self._me,
            orphan=self._me.orphan if orphan is None else orphan,
            stopping=self._me.stopping if stopping is None else stopping,
        )
        self._write()

    def is_ours(self) -> bool:
        """Tell whether the file we hold is still the one at its path; a tidy-up may remove it.

        Touches the file too, so that a cleaner of old temporary files leaves it alone.
        """
        if self._handle < 0:
            return False
        with suppress(OSError):
            os.utime(self._handle)
        return _is_at(self.path, self._handle)

    def release(self) -> None:
        """Let go; a second call does nothing."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def _write(self) -> None:
        if self._handle < 0:
            return
        # another user's file (key leases) or a full disk: the flock holds all the same
        with suppress(OSError):
            os.pwrite(self._handle, self._me.to_bytes(), 0)


def try_lock(path: Path) -> Lease | None:
    """Take a lease if it is free right now; None when somebody holds it, OSError: a bad path."""
    while True:
        handle = _open(path)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
        except OSError:
            os.close(handle)
            raise
        if _is_at(path, handle):
            return Lease(path, handle)
        os.close(handle)  # removed between open and flock: that lock would guard nothing


def lock_now(path: Path, what: str) -> Lease:
    """Take a lease or raise BusyError that names its holder."""
    lease = try_lock(path)
    if lease is None:
        raise BusyError(_holder_text(what, read_holder(path)))
    return lease


async def take_over(
    path: Path,
    what: str,
    *,
    stop: asyncio.Event | None = None,
    kill_timeout_s: float = KILL_TIMEOUT_S,
    grace_s: float = GRACE_S,
) -> Lease:
    """Take a service's lease, relieving an orphaned holder and waiting for a stopping one.

    An orphan gets one SIGTERM and, after `kill_timeout_s`, SIGKILL (as PM2 would do). A supervised
    holder is never signalled: BusyError names it after `grace_s`. Setting `stop` ends the wait with
    BusyError too. The process that held it has ended when this returns.
    """
    begun = time.monotonic()
    asked: set[Holder] = set()
    holder: Holder | None = None
    while (lease := try_lock(path)) is None:
        holder = read_holder(path)
        is_leaving = holder is not None and holder.is_alive and (holder.orphan or holder.stopping)
        waited_s = time.monotonic() - begun
        if holder is not None and holder.orphan:
            _ask_to_stop(holder, asked, is_late=waited_s >= kill_timeout_s)
        # a killed orphan needs a moment to be gone
        limit_s = kill_timeout_s + grace_s if is_leaving else grace_s
        if waited_s >= limit_s or (stop is not None and stop.is_set()):
            raise BusyError(_holder_text(what, holder))
        await asyncio.sleep(POLL_S)
    # it let go as its last act; a moment later nobody can see two of us
    gone_by = time.monotonic() + grace_s
    while holder is not None and holder.is_alive and time.monotonic() < gone_by:
        if holder.pid == os.getpid():
            break
        await asyncio.sleep(POLL_S)
    return lease


def _ask_to_stop(holder: Holder, asked: set[Holder], *, is_late: bool) -> None:
    who = replace(holder, orphan=is_late, stopping=False)  # one SIGTERM, later one SIGKILL
    if who in asked:
        return
    asked.add(who)
    number = signal.SIGKILL if is_late else signal.SIGTERM
    if send_signal(holder.pid, holder.started, number):
        log.warning(
            "asked the orphaned service to stop", extra={"pid": holder.pid, "signal": number.name}
        )


def _holder_text(what: str, holder: Holder | None) -> str:
    if holder is None or not holder.is_alive:
        return f"{what} is held by another process that does not name itself"
    return f"{what} is held by pid {holder.pid}: stop that process first"


def _open(path: Path) -> int:
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
    while True:
        with suppress(FileExistsError):
            return os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            handle = os.open(path, flags)
        except FileNotFoundError:
            continue  # removed since: create it
        except PermissionError:  # another user's key lease: a read handle is enough for flock
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        if stat.S_ISREG(os.fstat(handle).st_mode):
            return handle
        os.close(handle)
        raise OSError(f"not a regular file: {path}")


def _is_at(path: Path, handle: int) -> bool:
    try:
        there, mine = path.stat(follow_symlinks=False), os.fstat(handle)
    except OSError:
        return False
    return (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino)
