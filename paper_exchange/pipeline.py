"""One request from the socket to the answer: faults, limits, the venue's wire, the disk.

The order is the point: what is acknowledged is on disk before the answer leaves, and a fault
"after" comes after that.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from email.utils import formatdate
from typing import Any

import orjson
from aiohttp import web

from core.errors import ConfigError
from paper_exchange.accounts import PaperAccount
from paper_exchange.exchange import PaperExchange
from paper_exchange.faults import Effects, with_fields, without_rows
from paper_exchange.rate_limits import RollingWindows
from paper_exchange.state_file import StateFile
from paper_exchange.wire import Call, Reply, Request, Wire

KEPT_REQUESTS = 10_000
HTML = "<html><body>Just a moment...</body></html>"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenRequest:
    """A line of the request log."""

    number: int
    at_ms: int
    venue: str
    account: str
    method: str
    path: str
    query: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A request with everything that decides its fate."""

    wire: Wire
    request: Request
    account: PaperAccount | None
    effects: Effects
    at_ms: int

    @property
    def venue_ms(self) -> int:
        """What the venue's clock shows."""
        return self.at_ms + self.effects.skew_ms


class Pipeline:
    """Serves the venues' paths."""

    def __init__(self, exchange: PaperExchange, wires: Mapping[str, Wire], file: StateFile) -> None:
        self.exchange = exchange
        self.requests: deque[SeenRequest] = deque(maxlen=KEPT_REQUESTS)
        self.limits_enforced = True
        self.stopping = asyncio.Event()
        self._wires = wires
        self._file = file
        self._windows = RollingWindows()
        self._banned_until_ms: dict[str, int] = {}
        self.count = 0

    async def serve(self, incoming: web.Request) -> web.StreamResponse:
        """Answer one request of a venue's client."""
        visit = self._visit(incoming, await incoming.read())
        if visit is None:
            return web.Response(
                status=404, text="404 no such venue; known: " + ", ".join(self._wires)
            )
        effects = visit.effects
        if effects.latency_ms:
            await self._wait(effects.latency_ms / 1000)
        if effects.drop_before:
            return _cut(incoming)
        reply = self._refused(visit)
        if reply is not None:
            return _dated(_response(reply), visit)
        reply = self._answered(visit)
        await self._file.commit()
        return _dated(await self._delivered(incoming, reply, effects), visit)

    def reset_limits(self) -> None:
        """Forget what was counted, and every ban."""
        self._windows = RollingWindows()
        self._banned_until_ms.clear()

    def _visit(self, incoming: web.Request, body: bytes) -> Visit | None:
        path, _, raw_query = incoming.raw_path.partition("?")
        prefix, _, rest = path.removeprefix("/").partition("/")
        wire = self._wires.get(prefix)
        if wire is None:
            return None
        request = Request(
            method=incoming.method,
            path=f"/{rest}",
            raw_query=raw_query,
            headers=incoming.headers,
            body=body,
        )
        at_ms = self.exchange.clock.now_ms()
        account = self.exchange.doorkeeper.find(prefix, wire.api_key(request.headers))
        name = account.name if account else ""
        self.count += 1
        self.requests.append(
            SeenRequest(
                number=self.count,
                at_ms=at_ms,
                venue=prefix,
                account=name,
                method=request.method,
                path=request.path,
                query=raw_query,
                body=body.decode(errors="replace"),
            )
        )
        effects = self.exchange.faults.on_request(name, request.method, request.path, at_ms)
        return Visit(wire=wire, request=request, account=account, effects=effects, at_ms=at_ms)

    def _refused(self, visit: Visit) -> Reply | None:
        """What is said without doing anything."""
        effects, wire = visit.effects, visit.wire
        if effects.http_status is not None and not effects.http_booked:
            return _plain_error(effects, effects.http_status)
        if effects.refuse:
            return wire.refusal(*effects.refuse, visit.venue_ms)
        if effects.refusal == "ip_ban":
            return wire.ip_banned(visit.venue_ms)
        if effects.refusal == "maintenance":
            return wire.maintenance(visit.venue_ms)
        if effects.refusal == "rate_limit":
            return self._limited(visit)
        return None

    def _limited(self, visit: Visit) -> Reply:
        reply = visit.wire.rate_limited(visit.venue_ms)
        for budget in visit.wire.budgets(visit.request, visit.account):
            spent = self._windows.take(replace(budget, limit=0), visit.at_ms)
            allowance = replace(spent, limit=budget.limit, remaining=0)
            headers = visit.wire.limit_headers(allowance, visit.at_ms)
            return replace(reply, headers=headers)
        return reply

    def _answered(self, visit: Visit) -> Reply:
        wire, headers = visit.wire, {}
        if self.limits_enforced:
            if self._is_banned(wire, visit.at_ms):
                return wire.ip_banned(visit.venue_ms)
            for budget in wire.budgets(visit.request, visit.account):
                allowance = self._windows.take(budget, visit.at_ms)
                headers = dict(wire.limit_headers(allowance, visit.at_ms))
                if not allowance.is_allowed:
                    return replace(wire.rate_limited(visit.venue_ms), headers=headers)
        call = Call(
            exchange=self.exchange,
            venue=wire.prefix,
            request=visit.request,
            account=visit.account,
            at_ms=visit.at_ms,
            venue_ms=visit.venue_ms,
            view_at_ms=visit.effects.view_at_ms,
        )
        reply = wire.answer(call)
        return replace(reply, headers={**reply.headers, **headers})

    def _is_banned(self, wire: Wire, at_ms: int) -> bool:
        if at_ms < self._banned_until_ms.get(wire.prefix, 0):
            return True
        taken = [(budget, self._windows.take(budget, at_ms)) for budget in wire.ip_budgets()]
        bans = [budget.ban_ms for budget, allowance in taken if not allowance.is_allowed]
        if bans:
            self._banned_until_ms[wire.prefix] = at_ms + max(bans)
        return bool(bans)

    async def _delivered(
        self, incoming: web.Request, reply: Reply, effects: Effects
    ) -> web.StreamResponse:
        if effects.drop_after:
            return _cut(incoming)
        if effects.hang_after:
            await self._wait(effects.hang_s)
            if effects.hang_s is None:
                return _cut(incoming)
        if effects.http_status is not None:
            return _response(_plain_error(effects, effects.http_status))
        payload = reply.payload
        if effects.is_empty:
            payload = without_rows(payload)
        if effects.fields:
            payload = with_fields(payload, effects.fields)
        return _response(replace(reply, payload=payload), effects.garbage)

    async def _wait(self, seconds: float | None) -> None:
        """Wait, but not beyond the end of the server."""
        try:
            await asyncio.wait_for(self.stopping.wait(), seconds)
        except TimeoutError:
            return


def _plain_error(effects: Effects, status: int) -> Reply:
    return Reply(payload=effects.http_body, status=status, headers=effects.http_headers)


def _dated(response: web.StreamResponse, visit: Visit) -> web.StreamResponse:
    """Have the Date header show the venue's clock, as its servers would."""
    response.headers["Date"] = formatdate(visit.venue_ms / 1000, usegmt=True)
    return response


def _cut(incoming: web.Request) -> web.Response:
    if incoming.transport is not None:
        incoming.transport.abort()
    return web.Response()


def _response(reply: Reply, garbage: str = "") -> web.Response:
    headers = dict(reply.headers)
    if garbage == "html":
        return web.Response(text=HTML, content_type="text/html", headers=headers)
    if isinstance(reply.payload, str):
        kind = "text/html" if reply.payload.startswith("<") else "text/plain"
        return web.Response(
            text=reply.payload, status=reply.status, content_type=kind, headers=headers
        )
    body = orjson.dumps(reply.payload)
    if garbage:
        body = body[: len(body) // 2] if garbage == "truncated" else b""
    return web.Response(
        body=body, status=reply.status, content_type="application/json", headers=headers
    )


def parse_body(body: bytes) -> dict[str, Any]:
    """A control request's JSON object. Raises ConfigError."""
    try:
        document = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError as error:
        raise ConfigError(f"body is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise ConfigError("body must be a JSON object")
    return document
