"""A knock on the engine's door: "look into the files".

It carries no data and may be lost: the state is in the files and readers look once a second anyway.
So nothing here blocks, and a sender never learns of a failure.
"""

import asyncio
import logging
import os
import socket
import stat
import tempfile
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from core.home import Home

log = logging.getLogger(__name__)

LONGEST_PATH: Final = 100
"""Bytes; the kernel takes 107 for a UNIX socket's name."""
MANY: Final = 4096
"""Knocks taken from the socket at one wake-up."""


def nudge_path(home: Home, name: str = "trade-engine") -> Path:
    """Name a service's socket: in `state/`, or in the temp folder when that path is too long."""
    path = home.state / f"{name}.sock"
    if len(os.fsencode(path)) <= LONGEST_PATH:
        return path
    digest = sha256(os.fsencode(path)).hexdigest()[:24]
    return Path(tempfile.gettempdir()) / f"trade-engine-{os.getuid()}" / f"{digest}.sock"


def send_nudge(home: Home, name: str = "trade-engine") -> None:
    """Knock, if anybody listens."""
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as knock:
        knock.setblocking(False)
        knock.sendto(b"", os.fspath(nudge_path(home, name)))


class NudgeReceiver:
    """Hears knocks; one per service, which must hold its lock. Used within `async with`."""

    def __init__(self, home: Home, name: str = "trade-engine") -> None:
        self.path = nudge_path(home, name)
        self._socket: socket.socket | None = None
        self._heard = asyncio.Event()

    async def __aenter__(self) -> Self:
        self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def open(self) -> None:
        """Bind the socket, in place of a stale one; if that fails, only the time-outs remain."""
        receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            _own_folder(self.path.parent)
            self.path.unlink(missing_ok=True)
            receiver.bind(os.fspath(self.path))
            self.path.chmod(0o600)
        except OSError as error:
            receiver.close()
            log.warning(
                "no nudge socket: signals are seen at the next sweep",
                extra={"path": str(self.path), "error": str(error)},
            )
            return
        receiver.setblocking(False)
        self._socket = receiver
        asyncio.get_running_loop().add_reader(receiver, self._drain)

    async def wait(self, timeout_s: float) -> bool:
        """Return True at the first knock since the last `wait`, False after `timeout_s` seconds."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._heard.wait()
        except TimeoutError:
            return False
        self._heard.clear()
        return True

    def close(self) -> None:
        """Stop hearing; takes the socket's file away."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None
            self.path.unlink(missing_ok=True)

    def _drain(self) -> None:
        self._heard.set()
        if self._socket is not None:
            with suppress(OSError):  # empty again
                for _ in range(MANY):
                    self._socket.recv(1)


def _own_folder(folder: Path) -> None:
    """Make sure that nobody else can put a socket there; the temp folder is everybody's."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to somebody else")
