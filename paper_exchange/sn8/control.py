"""The validator's side door, `/control/sn8`: what it is, and one verb to change it.

For tests and demos, on loopback only. It needs a token only where one is configured.
"""

import hmac
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from aiohttp import web

from core.errors import ConfigError
from paper_exchange.pipeline import parse_body
from paper_exchange.sn8.service import SimulatedValidator

Work = Callable[[SimulatedValidator, dict[str, Any]], dict[str, Any]]
PATH = "/control/sn8"


def control_routes(sn8: SimulatedValidator, token: str = "") -> list[web.RouteDef]:
    """GET shows the state, POST `{"do": NAME, ...}` does something, DELETE ends misbehaviours."""

    def served(work: Work) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def serve(request: web.Request) -> web.StreamResponse:
            given = request.headers.get("Authorization", "").removeprefix("Bearer ")
            if token and not hmac.compare_digest(given.encode(), token.encode()):
                return _json({"error": "wrong or missing token"}, 401)
            await sn8.ready()
            try:
                return _json(work(sn8, parse_body(await request.read())))
            except ConfigError as error:
                return _json({"error": str(error)}, 400)

        return serve

    return [
        web.get(PATH, served(_show)),
        web.post(PATH, served(_act)),
        web.delete(PATH, served(_clear)),
    ]


def _show(sn8: SimulatedValidator, _: dict[str, Any]) -> dict[str, Any]:
    return sn8.state()


def _act(sn8: SimulatedValidator, body: dict[str, Any]) -> dict[str, Any]:
    action = body.pop("do", None)
    if not isinstance(action, str):
        raise ConfigError('the body must be {"do": NAME, ...}')
    made = sn8.do(action, body)
    return sn8.state() if made is None else {"id": made, **sn8.state()}


def _clear(sn8: SimulatedValidator, _: dict[str, Any]) -> dict[str, Any]:
    sn8.clear()
    return sn8.state()


def _json(document: dict[str, Any], status: int = 200) -> web.Response:
    body = orjson.dumps(document)
    return web.Response(body=body, status=status, content_type="application/json")
