"""Which process a pid means: pids are reused, so a pid alone is never enough to signal somebody.

The start time (field 22 of /proc/<pid>/stat) makes it unique. Where there is no /proc it reads 0
and only the pid is compared.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_FIELD = 19  # field 22 of the line, counted behind the name in brackets


def start_time(pid: int) -> int:
    """Read when a process started, in clock ticks since boot; 0 = ended, or no /proc here."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return 0
    after_name = stat.rpartition(b")")[2].split()
    if after_name[:1] in ([b"Z"], [b"X"]):
        return 0  # ended, only not yet collected by its parent
    return int(after_name[START_FIELD]) if len(after_name) > START_FIELD else 0


def is_same_process(pid: int, started: int) -> bool:
    """Tell whether `pid` is alive and is the process that started at `started`."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # alive, another user's
    return start_time(pid) == started


def send_signal(pid: int, started: int, number: signal.Signals) -> bool:
    """Signal exactly that process; False when it is gone or the pid means somebody else now."""
    try:
        with _pinned(pid) as pinned:
            if not is_same_process(pid, started):
                return False
            if pinned is None:
                os.kill(pid, number)
            else:
                signal.pidfd_send_signal(pinned, number)
    except OSError:
        return False
    return True


@contextmanager
def _pinned(pid: int) -> Iterator[int | None]:
    """Hold on to a process, so that its pid cannot come to mean another one meanwhile."""
    if not hasattr(os, "pidfd_open"):
        yield None
        return
    handle = os.pidfd_open(pid)
    try:
        yield handle
    finally:
        os.close(handle)
