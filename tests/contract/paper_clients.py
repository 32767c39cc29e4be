"""Unmodified ccxt clients of the paper exchange, and a clock that tests turn."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import ccxt.async_support as ccxt

from core.clock import SystemClock
from paper_exchange.accounts import PaperAccount
from paper_exchange.server import PaperServer

Client: TypeAlias = Any  # ccxt is untyped
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
