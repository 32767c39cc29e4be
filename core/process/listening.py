"""A listening port that is free: the wished one, else the one used last time, else a near one."""

import errno
import socket
from collections.abc import Iterator
from typing import Final

from core.errors import BusyError

NEIGHBOURS: Final = 50
"""Ports tried above the wished one before any free port will do."""
BACKLOG: Final = 2048


def bind_port(host: str, port: int, *, last_used: int | None = None) -> socket.socket:
    """Open a listening socket on `port`, `last_used` or a free one; 0 = any.

    Raises BusyError when the host's address cannot be had at all.
    """
    for candidate in _candidates(port, last_used):
        try:
            return _listen(host, candidate)
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise BusyError(
                    f"cannot listen on {host}:{candidate}: {error.strerror or error}"
                ) from error
    raise BusyError(f"no free port on {host}, wished was {port}")


def url_of(listener: socket.socket) -> str:
    """Tell the base URL at which this machine reaches a listening socket."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - not bound here
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _candidates(port: int, last_used: int | None) -> Iterator[int]:
    if port:
        yield port
    if last_used is not None and last_used != port:
        yield last_used  # a restart keeps its address
    if port:
        yield from range(port + 1, min(port + 1 + NEIGHBOURS, 65_536))
    yield 0


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        # at once: two sockets may *bind* one port with SO_REUSEADDR, only one may listen on it
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener
