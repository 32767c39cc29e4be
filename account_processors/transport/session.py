"""One HTTP session for all venues and accounts of a process.

Signals are rarer than aiohttp's 15 s keep-alive, so its default makes every burst pay for new
connections. The cap counts per host: a venue that hangs cannot use up the others' connections.
"""

import ssl
from typing import Final

import aiohttp
import certifi

KEEP_ALIVE_S: Final = 75  # beyond the engine's resync of 60 s: it keeps a connection warm
CONNECTIONS_PER_HOST: Final = 100


class HttpPool:
    """Makes the session inside the running loop at first use; `close` gives everything back."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._ssl_context: ssl.SSLContext | None = None

    @property
    def ssl_context(self) -> ssl.SSLContext:
        """Give the one context; building it costs 30 ms, so not once an account."""
        if self._ssl_context is None:
            self._ssl_context = ssl.create_default_context(cafile=certifi.where())
        return self._ssl_context

    @property
    def session(self) -> aiohttp.ClientSession:
        """Give the session; needs a running loop."""
        if self._session is None or self._session.closed:
            connector = aiohttp.TCPConnector(
                ssl=self.ssl_context,
                limit=0,
                limit_per_host=CONNECTIONS_PER_HOST,
                keepalive_timeout=KEEP_ALIVE_S,
            )
            self._session = aiohttp.ClientSession(connector=connector)
        return self._session

    async def close(self) -> None:
        """Close the session; a later use opens a new one."""
        if self._session is not None:
            await self._session.close()
            self._session = None
