"""What the tests of the protocols must know of a venue; one module of `scenes/` each."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import urlencode

import aiohttp
import orjson
from yarl import URL

from paper_exchange.accounts import PaperAccount
from paper_exchange.server import PaperServer

Json: TypeAlias = Any
Wanted = dict[str, Any]  # a request: method, path, query, body, headers; raw_query where it matters


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """What a signature is over, and the time that it bears."""

    method: str
    path: str
    query: str
    body: bytes
    at_ms: int
    headers: Mapping[str, str]  # as recorded


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One venue: how its requests are signed, its answers read, what was recorded of it."""

    account: PaperAccount
    ccxt_id: str
    options: Mapping[str, Any]  # of a plain ccxt client
    recorded: tuple[str, ...]  # files of shared/data/ccxt_recorded
    signed_header: str  # a recorded request that bears it is private
    sign: Callable[[Signing, PaperAccount], Mapping[str, str]]
    code: Callable[[Json], str]  # of an answer
    success: str  # the code of success
    result: Callable[[Json], Json]  # what the shapes describe
    envelope: frozenset[str]  # the keys of a good answer
    walk: tuple[Wanted, ...]  # one life of an account, past every path
    private_headers: Mapping[str, str]  # of a request of the walk
    answers: Mapping[str, str] = field(default_factory=dict)  # recorded call: another code, and why
    unserved: frozenset[str] = frozenset()  # recorded calls for what is not simulated
    prepare: Callable[[PaperServer, str], None] = lambda _server, _call: None

    @property
    def venue(self) -> str:
        return self.account.exchange


def asked(
    method: str,
    path: str,
    body: Json = None,
    headers: Mapping[str, str] | None = None,
    **query: object,
) -> Wanted:
    """A request in the shape of the recorded ones; `headers` None = public."""
    return {
        "method": method,
        "path": path,
        "query": query,
        "body": body,
        "headers": dict(headers or {}),
    }


async def send(
    scene: Scene, server: PaperServer, request: Wanted, account: PaperAccount | None = None
) -> tuple[int, Json]:
    """Send a request as recorded, but for key, time and signature."""
    query = request.get("raw_query") or urlencode(request["query"], safe="%,")
    body = (
        b""
        if request["body"] is None
        else json.dumps(request["body"], separators=(",", ":")).encode()
    )
    headers = {k: v for k, v in request["headers"].items() if k not in {"Host", "Content-Length"}}
    if scene.signed_header in headers:
        signing = Signing(
            method=request["method"],
            path=request["path"],
            query=query,
            body=body,
            at_ms=server.exchange.clock.now_ms(),
            headers=headers,
        )
        headers |= scene.sign(signing, account or scene.account)
    address = f"{server.url}/{scene.venue}{request['path']}" + (f"?{query}" if query else "")
    url = URL(address, encoded=True)  # as it is: the signature is over these bytes
    async with (
        aiohttp.ClientSession() as session,
        session.request(request["method"], url, data=body or None, headers=headers) as answer,
    ):
        return answer.status, orjson.loads(await answer.read())
