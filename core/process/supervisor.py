"""Our line to PM2: says "ready", and notices when the daemon dies.

PM2 gives its children a socket (NODE_CHANNEL_FD) that speaks JSON lines. Started by hand there is
none, and everything here does nothing.
"""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress

CHANNEL_VARIABLES = ("NODE_CHANNEL_FD", "NODE_CHANNEL_SERIALIZATION_MODE")


class Supervisor:
    """The socket that PM2 gave us, if it did."""

    def __init__(self, handle: int | None) -> None:
        self._handle = handle

    @classmethod
    def from_environment(cls) -> "Supervisor":
        """Take the socket out of the environment, so that no child of ours inherits or uses it."""
        number, _ = (os.environ.pop(name, "") for name in CHANNEL_VARIABLES)
        if not number.isdecimal():
            return cls(None)
        handle = int(number)
        try:
            os.set_inheritable(handle, False)
            os.set_blocking(handle, False)
        except OSError:
            return cls(None)  # a stale number: PM2 is not our parent
        return cls(handle)

    @property
    def is_present(self) -> bool:
        """Tell whether PM2 started us and its daemon lives, as far as we noticed."""
        return self._handle is not None

    def say_ready(self) -> None:
        """Tell PM2 that we are ready."""
        if self._handle is not None:
            with suppress(OSError):  # it died just now: the reader notices
                os.write(self._handle, b'"ready"\n')

    def watch(self, on_death: Callable[[], None]) -> None:
        """Call `on_death` once, on the running loop, when the daemon's end of the socket closes."""
        if self._handle is not None:
            asyncio.get_running_loop().add_reader(self._handle, self._read, on_death)

    def close(self) -> None:
        """Stop watching; must run on the loop that watches."""
        if self._handle is not None:
            asyncio.get_running_loop().remove_reader(self._handle)
            os.close(self._handle)
            self._handle = None

    def _read(self, on_death: Callable[[], None]) -> None:
        handle = self._handle
        if handle is None:
            return
        try:
            if os.read(handle, 65_536):  # PM2's own chatter
                return
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            pass  # reset = closed
        self.close()
        on_death()
