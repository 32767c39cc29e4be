"""Unmodified ccxt clients of the paper exchange, and a clock that tests turn."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import ccxt.async_support as ccxt

from core.clock import SystemClock
from paper_exchange.accounts import PaperAccount
from paper_exchange.server import PaperServer
from tests.paper.scenes import find_scenes

Client: TypeAlias = Any  # ccxt is untyped
Leaf: TypeAlias = Any  # of ccxt's nested `urls`
BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
SCENES = find_scenes()
MAIN = SCENES["bybit"].account


class TurnedClock(SystemClock):
    """The system's clock, set forward by tests."""

    def __init__(self) -> None:
        self.ahead_ms = 0

    def now_ms(self) -> int:
        """Real time and what was added."""
        return super().now_ms() + self.ahead_ms


class StoppedClock(TurnedClock):
    """Moves only when told; starts at the real time, which ccxt's timestamps bear."""

    def __init__(self) -> None:
        super().__init__()
        self._start_ms = super().now_ms()

    def now_ms(self) -> int:
        """The start and what was added."""
        return self._start_ms + self.ahead_ms


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
    scene = SCENES[account.exchange]
    keys = {"apiKey": account.api_key, "secret": account.api_secret, "options": {**scene.options}}
    if account.api_passphrase is not None:
        keys["password"] = account.api_passphrase
    client = getattr(ccxt, scene.ccxt_id)({**keys, "enableRateLimit": False, **config})
    client.has["fetchCurrencies"] = False
    client.urls["api"] = redirected(client.urls["api"], f"{server.url}/{account.exchange}")
    try:
        yield client
    finally:
        await client.close()
