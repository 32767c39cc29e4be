"""A paper exchange beside commands that are typed: on a thread, its books and requests in reach."""

import asyncio
import threading
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from core.home import Home
from core.store import atomic_write_json
from paper_exchange.accounts import PaperAccount
from paper_exchange.prices import FixedPrices
from paper_exchange.server import PaperServer
from tests.venues import WORDS

BTC, ETH = "BTCUSDT", "ETHUSDT"


class Exchange:
    """A paper exchange on a thread of its own: commands want the main one, for Ctrl-C."""

    def __init__(self) -> None:
        self.server = PaperServer(accounts=[_paper("main")], prices=FixedPrices(prices={}))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.server.start(), self._loop).result(10)

    def stop(self) -> None:
        """Close the door and end the thread."""
        asyncio.run_coroutine_threadsafe(self.server.stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def hold(self, symbol: str, lots: str) -> None:
        """Hold something, opened by hand."""
        account = self.server.account("main")
        self.server.exchange.trade_by_hand(account, symbol, Decimal(lots))

    def sizes(self) -> dict[str, str]:
        """Signed lots by symbol, as the books have them; flat ones are absent."""
        found: dict[str, str] = self.server.truth("main")["sizes"]
        return found

    def orders(self) -> list[tuple[str, bool]]:
        """Every order that came: its symbol, and whether it is reduce-only."""
        words = WORDS["bybit"]
        sent = [o for r in self.server.requests(account="main") for o in words.on_the_wire(r)]
        return [(order.symbol, order.reduce_only) for order in sent]


def _paper(name: str) -> PaperAccount:
    return PaperAccount(
        name=name, exchange="bybit", api_key=f"k3y-{name}", api_secret=f"s3cret-{name}"
    )


def running_exchange(home: Home) -> Iterator[Exchange]:
    """Give an exchange that runs and is configured; for a fixture."""
    made = Exchange()
    configure(home, made)
    yield made
    made.server.clear_faults()
    made.stop()


def configure(home: Home, exchange: Exchange, **changes: Any) -> None:
    """Write one account at that exchange, two symbols and a source; `changes` are its fields."""
    row = {
        "name": "main",
        "exchange": "bybit",
        "api_key": "k3y-main",
        "api_secret": "s3cret-main",
        "environment": "paper",
        "base_url": f"{exchange.server.url}/bybit",
        **changes,
    }
    atomic_write_json(home.credentials, {"accounts": [row]})
    home.credentials.chmod(0o600)
    atomic_write_json(home.asset_mapping, {"tradingview": {BTC: BTC, ETH: ETH}})
    sources = [{"source": "tradingview", "weight": 1}]
    weights = [{"symbol": s, "leverage": 3, "sources": sources} for s in (BTC, ETH)]
    atomic_write_json(home.signal_weights, weights)
