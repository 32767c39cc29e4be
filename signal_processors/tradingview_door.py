"""Who may come in, and how large: the ASGI callable in front of the intake.

One plain callable, for speed. No token, body or path of a request is ever logged here.
"""

import asyncio
import hmac
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from hashlib import sha256
from typing import Any, Final

import orjson

from core.clock import SystemClock
from core.ports import Clock
from core.settings.engine import WebhookConfig
from signal_processors.client_address import (
    Address,
    AttemptLimiter,
    client_address,
    is_within,
)
from signal_processors.tradingview_intake import Answer, Intake
from signal_processors.tradingview_message import RefusedError, read_message

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LARGEST_BODY: Final = 64 * 1024
BODY_WITHIN_S: Final = 5.0
"""Seconds for a whole body to come: TradingView sends it at once."""
WEBHOOK: Final = "/webhook/"
CLOSE: Final = ((b"connection", b"close"),)
TOKENLESS: Final = "no webhook token is set: run ./trade-engine up, which makes one"


class _Rejected(Exception):  # noqa: N818 - an answer, not a failure
    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class _Gone(Exception):  # noqa: N818 - the client left; nobody to answer
    pass


class Door:
    """The ASGI application. `config` is asked at each request; a new token holds at once."""

    def __init__(
        self,
        *,
        intake: Intake,
        config: Callable[[], WebhookConfig],
        clock: Clock | None = None,
        docs: App | None = None,
        body_within_s: float = BODY_WITHIN_S,
    ) -> None:
        self._intake = intake
        self._read_config = config
        self._clock = clock or SystemClock()
        self._docs = docs
        self._body_within_s = body_within_s
        self._limiter = AttemptLimiter()
        self._config: WebhookConfig | None = None
        self._token = ""
        self._token_digest = b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        path: str = scope["path"]
        try:
            if scope["method"] == "POST":
                answer = await self._post(path, scope, receive)
            elif self._docs is not None and path in ("/docs", "/openapi.json"):
                await self._docs(scope, receive, send)
                return
            else:
                answer = self._get(path, scope["method"])
        except _Rejected as rejected:
            answer = rejected.answer
        except _Gone:
            return
        await _send(answer, send, is_head=scope["method"] == "HEAD")

    async def _post(self, path: str, scope: Scope, receive: Receive) -> Answer:
        config = self._current()
        headers = _headers(scope)
        client = self._client(scope, config)
        if config.allow_ips and (client is None or not is_within(client, config.allow_ips)):
            raise _Rejected(_no(403, "this address may not send alerts", headers=CLOSE))
        content_type = headers.get(b"content-type", b"").decode("latin-1")
        if path.startswith(WEBHOOK):
            self._check(path[len(WEBHOOK) :].rstrip("/"), client)
            body = await self._body(headers, receive)
        elif path == "/":
            if not self._limiter.may_try(client, self._clock.monotonic_ms()):
                self._count_try(client)
            body = await self._body(headers, receive)
            self._check(_token_in(body, content_type), client)
        else:
            raise _Rejected(self._unknown(client))
        return await self._intake.take(body, content_type=content_type, secret=self._token)

    def _get(self, path: str, method: str) -> Answer:
        if path.startswith(WEBHOOK):
            return Answer(status=405, document={"status": "error"}, headers=((b"allow", b"POST"),))
        if method not in ("GET", "HEAD"):
            return Answer(status=405, document={"status": "error"})
        match path:
            case "/ping":
                return Answer(status=200, document={"ping": "pong"})
            case "/health":
                problem = self._intake.counters.problem
                document = {"status": "failing" if problem else "ok"}
                return Answer(status=503 if problem else 200, document=document)
            case _:
                return Answer(status=404, document={"status": "error", "reason": "not found"})

    def _current(self) -> WebhookConfig:
        config = self._read_config()
        if config is not self._config:
            self._config = config
            self._token = config.token.get_secret_value()
            self._token_digest = sha256(self._token.encode()).digest()
        return config

    def _client(self, scope: Scope, config: WebhookConfig) -> Address | None:
        peer = scope.get("client") or ("", 0)
        forwarded = [
            value.decode("latin-1")
            for name, value in scope["headers"]
            if name == b"x-forwarded-for"
        ]
        return client_address(peer[0], forwarded, config.trusted_proxies)

    def _check(self, token: str, client: Address | None) -> None:
        """Let the right token pass, whoever brings it; count every other try."""
        given = sha256(token.encode("utf-8", "replace")).digest()
        if hmac.compare_digest(given, self._token_digest) and self._token:
            return
        self._count_try(client)
        self._intake.counters.unauthorized += 1
        reason = "wrong token" if self._token else TOKENLESS
        raise _Rejected(_no(401, reason, field="token", headers=CLOSE))

    def _unknown(self, client: Address | None) -> Answer:
        self._count_try(client)
        return Answer(status=404, document={"status": "error", "reason": "not found"})

    def _count_try(self, client: Address | None) -> None:
        now_ms = self._clock.monotonic_ms()
        is_over = not self._limiter.may_try(client, now_ms)
        tries = self._limiter.count(client, now_ms)
        if tries == 1:
            log.warning("alert without the right token", extra={"client": str(client)})
        if is_over:
            self._intake.counters.rate_limited += 1
            headers = (*CLOSE, (b"retry-after", b"60"))
            raise _Rejected(_no(429, "too many requests without the token", headers=headers))

    async def _body(self, headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > LARGEST_BODY:
            raise _Rejected(_too_large())
        body = bytearray()
        try:
            async with asyncio.timeout(self._body_within_s):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _Gone
                    body += message.get("body", b"")
                    if len(body) > LARGEST_BODY:
                        raise _Rejected(_too_large())
                    if not message.get("more_body", False):
                        return bytes(body)
        except TimeoutError:
            raise _Rejected(_no(408, "the body came too slowly", headers=CLOSE)) from None


def _headers(scope: Scope) -> dict[bytes, bytes]:
    return dict(scope["headers"])


def _token_in(body: bytes, content_type: str) -> str:
    try:
        token = read_message(body, content_type=content_type).fields.get("token")
    except RefusedError:
        return ""
    return token if isinstance(token, str) else ""


def _too_large() -> Answer:
    return _no(413, f"the body is larger than {LARGEST_BODY} bytes", headers=CLOSE)


def _no(
    status: int,
    reason: str,
    *,
    field: str = "",
    headers: tuple[tuple[bytes, bytes], ...] = (),
) -> Answer:
    document = {"status": "rejected", "reason": reason, "field": field}
    return Answer(status=status, document=document, headers=headers)


async def _send(answer: Answer, send: Send, *, is_head: bool) -> None:
    body = orjson.dumps(answer.document)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        *answer.headers,
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if is_head else body})
