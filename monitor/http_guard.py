"""What every answer of the monitor goes through: who may ask, and headers for browsers.

A web page that a person visits can make their browser ask 127.0.0.1 under a name of its own (DNS
rebinding): on a loopback address only loopback names are answered.
"""

from ipaddress import ip_address
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS: Final = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)
WRONG_NAME: Final = b'{"detail":"ask by the name 127.0.0.1 or localhost"}'


class HttpGuard:
    """Refuses requests under foreign names, where we listen on loopback; adds the headers."""

    def __init__(self, inner: ASGIApp, host: str) -> None:
        self._inner = inner
        self._is_local = is_loopback(host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *HEADERS]
            await send(message)

        if self._is_local and not is_loopback(_name(scope)):
            await _refuse(send_with_headers)
            return
        await self._inner(scope, receive, send_with_headers)


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address can only be this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _name(scope: Scope) -> str:
    """Take the host without its port; empty when it is missing or given twice."""
    found = [value for key, value in scope["headers"] if key == b"host"]
    text: str = found[0].decode("latin-1").lower() if len(found) == 1 else ""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0]


async def _refuse(send: Send) -> None:
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(WRONG_NAME)).encode()),
    ]
    await send({"type": "http.response.start", "status": 421, "headers": headers})
    await send({"type": "http.response.body", "body": WRONG_NAME})
