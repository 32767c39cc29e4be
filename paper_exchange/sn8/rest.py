"""The validator's REST routes under /sn8: who may read, and how the answer leaves.

The files are sent as they were packed, whatever the client says it accepts, and without a word
about caching. What goes wrong on purpose is carried out here.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

import orjson
from aiohttp import web

from paper_exchange.sn8 import bodies
from paper_exchange.sn8.answers import OK, UPSTREAM_FAILURE, Answer, as_raw, error, refused
from paper_exchange.sn8.faults import Misbehaviour
from paper_exchange.sn8.keys import PREFIX
from paper_exchange.sn8.pages import Page, Pages
from paper_exchange.sn8.tiers import TOP_TIER
from paper_exchange.sn8.validator import Validator

NETWORK_HEADER: Final = "x-taoshi-consumer-request-key"
LARGE: Final = {"gzip_bomb": bodies.bomb, "oversize": bodies.oversize}
Faults = dict[str, Misbehaviour]


class Rest:
    """Serves the REST paths."""

    def __init__(self, validator: Validator) -> None:
        self._validator = validator
        self._pages = Pages(validator)
        self.stopping = asyncio.Event()
        self.large_bytes_sent = 0  # of the newest `gzip_bomb` or `oversize`

    def routes(self) -> list[web.RouteDef]:
        """All paths; whatever else begins with /sn8 is not there."""
        routes = [
            web.get(PREFIX + path, self._served(page, needs_key=needs_key), allow_head=False)
            for path, page, needs_key in self._pages.table()
        ]
        redirect = web.get(f"{PREFIX}/statistics/{{hotkey}}", _with_slash, allow_head=False)
        nothing = self._served(self._pages.nothing, needs_key=False)
        others = [web.route("*", path, nothing) for path in (PREFIX, PREFIX + "/{tail:.*}")]
        return [*routes, redirect, *others]

    async def ready(self) -> None:
        """Have the validator made and brought up to now."""
        if not self._validator.is_made:
            await asyncio.to_thread(lambda: self._validator.miners)
        self._validator.catch_up()

    def _served(
        self, page: Page, *, needs_key: bool
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def serve(request: web.Request) -> web.StreamResponse:
            await self.ready()
            path = request.path.removeprefix(PREFIX)
            faults = {row.kind: row for row in self._validator.faults.on_request(path)}
            await self._delay(faults)
            answer = refused(path, faults)
            if answer is None:
                admit = self._guarded if needs_key else _open
                answer = await admit(page, request)
            self._validator.log(request.path_qs.removeprefix(PREFIX), answer.status)
            return await self._delivered(request, answer, faults)

        return serve

    async def _delay(self, faults: Faults) -> None:
        """Wait as long as is wanted, but not beyond the end of the server."""
        seconds = faults["latency"].params["s"] if "latency" in faults else 0.0
        if "hang" not in faults and not seconds:
            return
        try:
            await asyncio.wait_for(self.stopping.wait(), None if "hang" in faults else seconds)
        except TimeoutError:
            return

    async def _guarded(self, page: Page, request: web.Request) -> Answer:
        """Let in who shows a known key, in the way that is asked for."""
        ring = self._validator.keys
        style = ring.auth_style(self._validator.options.auth_style)
        if style == "request_network":
            return await self._through_network(page, request)
        key = await _body_key(request) if style == "legacy_body" else bearer_key(request)
        tier = ring.tier(key)
        if tier is None:
            return error(401, "Unauthorized access")
        answer = await page(request, tier)
        if style == "legacy_body" and "tier" not in request.query:
            return await asyncio.to_thread(as_raw, answer)
        return answer

    async def _through_network(self, page: Page, request: web.Request) -> Answer:
        """Answer as the proxy does that sells the data: a key opens one URL, nothing is packed."""
        ring = self._validator.keys
        tier = ring.tier(request.headers.get(NETWORK_HEADER, ""))
        bound = ring.bound_url(self._validator.options.bound_url)
        if tier is None or request.path_qs.removeprefix(PREFIX) != bound:
            return error(403, "Unauthorized: Invalid request key")
        answer = await asyncio.to_thread(as_raw, await page(request, tier))
        return answer if answer.status == OK else error(500, UPSTREAM_FAILURE)

    async def _delivered(
        self, request: web.Request, answer: Answer, faults: Faults
    ) -> web.StreamResponse:
        is_good = answer.status == OK and answer.content_type == "application/json"
        if not is_good:
            return _response(answer)
        large = next((kind for kind in LARGE if kind in faults), None)
        if large is not None:
            parts = await asyncio.to_thread(LARGE[large], faults[large].params["mb"])
            return await self._streamed(request, parts)
        if "empty_object" in faults:
            answer = replace(answer, body=b"{}", is_packed=False)
        elif "truncated_gzip" in faults:  # of what is not packed, the JSON ends half-way
            answer = replace(answer, body=bodies.truncated(answer.body))
        return _response(answer)

    async def _streamed(self, request: web.Request, parts: bodies.Pieces) -> web.StreamResponse:
        """Send piece by piece, until the client has had enough."""
        size, pieces = parts
        self.large_bytes_sent = 0
        headers = {
            "Content-Type": "application/json",
            "Content-Encoding": "gzip",
            "Content-Length": str(size),
        }
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        try:
            for piece in pieces:
                await response.write(piece)
                self.large_bytes_sent += len(piece)
        except ConnectionError:  # it hung up
            return response
        await response.write_eof()
        return response


def bearer_key(request: web.Request) -> str:
    """The key of the Authorization header; empty where there is none."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


async def _open(page: Page, request: web.Request) -> Answer:
    return await page(request, TOP_TIER)


async def _body_key(request: web.Request) -> str:
    try:
        document = orjson.loads(await request.read())
    except orjson.JSONDecodeError:
        return ""
    key = document.get("api_key") if isinstance(document, dict) else None
    return key if isinstance(key, str) else ""


async def _with_slash(request: web.Request) -> web.StreamResponse:
    raise web.HTTPPermanentRedirect(request.rel_url.with_path(f"{request.path}/", keep_query=True))


def _response(answer: Answer) -> web.Response:
    return web.Response(
        body=answer.body,
        status=answer.status,
        content_type=answer.content_type,
        headers={"Content-Encoding": "gzip"} if answer.is_packed else {},
    )
