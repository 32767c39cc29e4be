"""The paper exchange without sockets: unmodified ccxt sends, the venues' real wires answer.

Only the HTTP session under ccxt is another one. It hands each request to the exchange's own
pipeline after half a round trip of virtual time and the answer back after the other half, gives up
where aiohttp would, and lets the exchange finish what it was asked although nobody listens.
"""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, cast

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from account_processors.transport.session import HttpPool
from paper_exchange.server import PaperServer

BASE_URL = "http://127.0.0.1:1"  # nobody listens: every request stays in this process
Latency = Callable[[str], float]  # seconds of a round trip, by the path


@dataclass(slots=True)
class Connection:
    """What a fault cuts."""

    is_cut: bool = False

    def abort(self) -> None:
        self.is_cut = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """The part of a request that the pipeline reads."""

    method: str
    raw_path: str
    headers: Mapping[str, str]
    body: bytes
    transport: Connection = field(default_factory=Connection)

    async def read(self) -> bytes:
        return self.body


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The part of a response that ccxt reads."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes

    async def text(self, errors: str = "strict") -> str:
        return self.body.decode(errors=errors)

    async def read(self) -> bytes:
        return self.body


@dataclass(slots=True, kw_only=True)
class Travel:
    """One request that came, and when its answer arrived; None = it never did."""

    method: str
    path: str
    account: str  # by its key, which is its name; "" = nobody's
    sent_s: float
    answered_s: float | None = None


class Session:
    """Stands where an `aiohttp.ClientSession` stands."""

    closed = False
    headers: Mapping[str, str] = {}  # none of its own, as ours

    def __init__(self, server: PaperServer, latency: Latency) -> None:
        self.latency = latency
        self.keys: frozenset[str] = frozenset()
        self.travels: list[Travel] = []
        self._pipeline = server._pipeline
        self._serving: set[asyncio.Task[Any]] = set()

    def get(self, url: URL, **how: Any) -> "Exchange":
        return Exchange(self, "GET", url, how)

    def post(self, url: URL, **how: Any) -> "Exchange":
        return Exchange(self, "POST", url, how)

    def put(self, url: URL, **how: Any) -> "Exchange":
        return Exchange(self, "PUT", url, how)

    def delete(self, url: URL, **how: Any) -> "Exchange":
        return Exchange(self, "DELETE", url, how)

    async def close(self) -> None:
        """End what the exchange is still busy with."""
        self._pipeline.stopping.set()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def answer(self, incoming: Incoming, timeout_s: float | None) -> Answer:
        """Give the answer, or give up; the exchange goes on all the same."""
        serving = asyncio.ensure_future(self._carried(incoming))
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)
        try:
            async with asyncio.timeout(timeout_s):
                return await asyncio.shield(serving)
        except (TimeoutError, asyncio.CancelledError):
            serving.add_done_callback(_forgotten)
            raise

    async def _carried(self, incoming: Incoming) -> Answer:
        half_s = self.latency(incoming.raw_path) / 2
        await asyncio.sleep(half_s)
        response = cast("web.Response", await self._pipeline.serve(cast("web.Request", incoming)))
        await asyncio.sleep(half_s)
        if incoming.transport.is_cut:
            raise aiohttp.ServerDisconnectedError
        body = response.body
        return Answer(
            status=response.status,
            reason=response.reason,
            headers=CIMultiDict(response.headers),
            body=body if isinstance(body, bytes) else b"",
        )


class Exchange:
    """One request under way: what `session.get(...)` gives before it is entered."""

    def __init__(self, session: Session, method: str, url: URL, how: Mapping[str, Any]) -> None:
        self._session = session
        self._timeout: aiohttp.ClientTimeout = how["timeout"]
        headers: CIMultiDict[str] = CIMultiDict(how.get("headers") or {})
        self._incoming = Incoming(
            method=method, raw_path=url.raw_path_qs, headers=headers, body=how.get("data") or b""
        )

    async def __aenter__(self) -> Answer:
        loop = asyncio.get_running_loop()
        incoming = self._incoming
        travel = Travel(
            method=incoming.method,
            path=incoming.raw_path.partition("?")[0],
            account=next((v for v in incoming.headers.values() if v in self._session.keys), ""),
            sent_s=loop.time(),
        )
        self._session.travels.append(travel)
        answer = await self._session.answer(incoming, self._timeout.total)
        travel.answered_s = loop.time()
        return answer

    async def __aexit__(self, *_: object) -> None:
        return None


class InProcessPool(HttpPool):
    """The pool of connections whose session goes to the exchange in this process."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._in_process = session

    @property
    def ssl_context(self) -> ssl.SSLContext:
        return _ssl_context()

    @property
    def session(self) -> aiohttp.ClientSession:
        return cast("aiohttp.ClientSession", self._in_process)

    async def close(self) -> None:
        """The exchange outlives the engine."""


@cache
def _ssl_context() -> ssl.SSLContext:
    """The real one reads a file of certificates; nothing here is encrypted."""
    return ssl.create_default_context()


def _forgotten(task: "asyncio.Task[Answer]") -> None:
    """Take the error of an answer that nobody waits for any more."""
    if not task.cancelled():
        task.exception()
