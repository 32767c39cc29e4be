"""Unmodified ccxt clients of the paper exchange, and a clock that tests turn."""

import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeAlias
from urllib.parse import urlencode, urlsplit

import aiohttp
import ccxt.async_support as ccxt
import orjson
from yarl import URL

from core.clock import SystemClock
from paper_exchange.accounts import PaperAccount
from paper_exchange.server import PaperServer

Client: TypeAlias = Any  # ccxt is untyped
Json: TypeAlias = Any
Leaf: TypeAlias = Any  # of ccxt's nested `urls`
BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
MAIN = PaperAccount(name="main", exchange="bybit", api_key="KEYMAIN", api_secret="SECRETMAIN")
LINEAR = {
    "defaultType": "swap",
    "fetchMarkets": {"types": ["linear"]},
    "enableUnifiedMargin": False,
    "enableUnifiedAccount": True,
    "unifiedMarginStatus": 6,
}


class TurnedClock(SystemClock):
    """The system's clock, set forward by tests."""

    def __init__(self) -> None:
        self.ahead_ms = 0

    def now_ms(self) -> int:
        """Real time and what was added."""
        return super().now_ms() + self.ahead_ms


def pointed(leaf: Leaf, url: str) -> Leaf:
    """Replace every leaf of ccxt's `urls['api']` by one URL."""
    if isinstance(leaf, Mapping):
        return {key: pointed(value, url) for key, value in leaf.items()}
    return url


def redirected(leaf: Leaf, base: str) -> Leaf:
    """Keep the paths of ccxt's own URLs, replace their hosts."""
    if isinstance(leaf, Mapping):
        return {key: redirected(value, base) for key, value in leaf.items() if key != "ws"}
    return base + urlsplit(leaf.replace("{hostname}", "x.com")).path.rstrip("/")


@asynccontextmanager
async def plain_client(
    server: PaperServer, account: PaperAccount = MAIN, **config: object
) -> AsyncIterator[Client]:
    """A plain ccxt client of one account, pointed at the server; closed at the end."""
    options = {"apiKey": account.api_key, "secret": account.api_secret, "options": LINEAR}
    client = ccxt.bybit({**options, "enableRateLimit": False, **config})
    client.has["fetchCurrencies"] = False
    client.urls["api"] = pointed(client.urls["api"], f"{server.url}/bybit")
    try:
        yield client
    finally:
        await client.close()


def request_of(method: str, path: str, **params: object) -> dict[str, Any]:
    """A private request in the shape of the recorded ones."""
    headers = {"X-BAPI-SIGN": "", "X-BAPI-RECV-WINDOW": "5000", "Content-Type": "application/json"}
    is_get = method == "GET"
    query, body = (params, None) if is_get else ({}, params)
    return {"method": method, "path": path, "query": query, "body": body, "headers": headers}


async def send(server: PaperServer, request: dict[str, Any]) -> tuple[int, Json]:
    """Send a request as recorded, but for key, time and signature."""
    query = request.get("raw_query") or urlencode(request["query"], safe="%")
    body = (
        b""
        if request["body"] is None
        else json.dumps(request["body"], separators=(",", ":")).encode()
    )
    headers = {k: v for k, v in request["headers"].items() if k not in {"Host", "Content-Length"}}
    if "X-BAPI-SIGN" in headers:
        stamp = str(server.exchange.clock.now_ms())
        head = stamp + MAIN.api_key + headers["X-BAPI-RECV-WINDOW"]
        payload = query.encode() if request["method"] == "GET" else body
        secret = (MAIN.api_secret or "").encode()
        sign = hmac.new(secret, head.encode() + payload, hashlib.sha256).hexdigest()
        headers |= {"X-BAPI-API-KEY": MAIN.api_key, "X-BAPI-TIMESTAMP": stamp, "X-BAPI-SIGN": sign}
    address = f"{server.url}/bybit{request['path']}" + (f"?{query}" if query else "")
    url = URL(address, encoded=True)  # as it is: the signature is over these bytes
    async with (
        aiohttp.ClientSession() as session,
        session.request(request["method"], url, data=body or None, headers=headers) as answer,
    ):
        return answer.status, orjson.loads(await answer.read())
