"""What the monitor answers: /ping, /status, /health. Reads files only, writes nothing."""

from collections.abc import Callable

from fastapi import FastAPI, Response
from starlette.types import ASGIApp

from core.home import Home
from core.status import build_status, unhealthy_reasons
from core.status.parts import read_parts
from core.store import to_json
from monitor.http_guard import HttpGuard

METHODS = ["GET", "HEAD"]


def build_app(home: Home, host: str, now_ms: Callable[[], int]) -> ASGIApp:
    """Build the web application that shows a home; `host` is the address it listens on."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

    async def ping() -> Response:
        return _json({"ping": "pong"})

    # plain functions run in threads: a slow disk holds up no ping
    def status() -> Response:
        return _json(build_status(read_parts(home), now_ms()))

    def health() -> Response:
        reasons = unhealthy_reasons(read_parts(home), now_ms())
        if reasons:
            return _json({"status": "unhealthy", "reasons": reasons}, code=503)
        return _json({"status": "ok"})

    app.add_api_route("/ping", ping, methods=METHODS)
    app.add_api_route("/status", status, methods=METHODS)
    app.add_api_route("/health", health, methods=METHODS)
    return HttpGuard(app, host)


def _json(value: object, *, code: int = 200) -> Response:
    return Response(to_json(value), status_code=code, media_type="application/json")
