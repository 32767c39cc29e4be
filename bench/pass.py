# ruff: noqa: INP001 - a script beside its kind, not a package
"""One alert for many symbols on four accounts: our pass beside the plain way, in one run.

    python3 bench/pass.py [--symbols 7] [--latency-ms 50] [--rounds 3]

Ours works accounts side by side, symbols side by side, in batches where the venue has them, with
our limiter, journal and verifying read. The plain way is ccxt as its manual has it: one account
after the other, one symbol after the other, ccxt's own throttle on and off. All trade over HTTP on
127.0.0.1 with the paper exchange, which waits so long with each answer, and send the same number of
orders; they take turns, and only ratios within one run mean anything. Needs no network.
"""

import argparse
import asyncio
import importlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from account_processors import venue_profiles
from commands.wiring import Engine
from core.cycle import CycleInputs
from core.home import Home
from core.lanes.lane import Lane
from core.model import Contribution
from paper_exchange.accounts import PaperAccount
from paper_exchange.prices import FixedPrices
from paper_exchange.server import PaperServer
from paper_exchange.wires import find_wires

SECRETS: Final = {"api_secret": "bench", "api_passphrase": "bench"}
DEPTHS: Final = (Decimal("0.01"), Decimal("0.02"))
OURS: Final = "our pass, verified"
PATIENCE_S: Final = 30
ORDER_USDT: Final = 3000  # about what ours trade at a change
PLAIN_PARAMS: Final[Mapping[str, Mapping[str, Any]]] = {  # what the venues' orders need beside
    "blofin": {"marginMode": "cross"},
    "kucoin": {"marginMode": "ISOLATED", "leverage": 3},
    "mexc": {"openType": 1, "leverage": 3, "positionMode": 2},
}


class Ours:
    """The engine as its process builds it; what is wanted is offered to its lanes."""

    def __init__(self, root: Path, url: str, symbols: Sequence[str]) -> None:
        home = Home(root)
        home.make_folders()
        rows = [_row(f"ours-{venue}", venue, url) for venue in venue_profiles()]
        weights = [
            {"symbol": s, "leverage": 3, "sources": [{"source": "tradingview", "weight": 1}]}
            for s in symbols
        ]
        _write(root / "credentials.json", {"accounts": rows})
        _write(root / "asset_mapping_config.json", {"tradingview": {s: s for s in symbols}})
        _write(root / "signal_weight_config.json", weights)
        self._symbols = symbols
        self._engine = Engine(home)
        self._lanes: list[Lane] = []
        self._running: list[asyncio.Task[None]] = []
        self._generation = -1
        self._reported = asyncio.Event()
        self._engine.executor.on_change = self._reported.set

    async def open(self) -> None:
        """Connect every account and hold the smaller target."""
        await self._engine.roster.fill(self._lanes.append)
        inputs = self._inputs(DEPTHS[0])
        for lane in self._lanes:
            lane.offer(inputs)
            self._running.append(asyncio.create_task(lane.run()))
        await self._verified()

    async def change(self, number: int) -> None:
        """Let every symbol of every account change; returns when all is verified."""
        inputs = self._inputs(DEPTHS[number % 2])
        for lane in self._lanes:
            lane.offer(inputs)
        await self._verified()

    async def close(self) -> None:
        """Give everything back."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        for lane in self._lanes:
            await lane.close()
        await self._engine.close()

    async def _verified(self) -> None:
        while not all(self._is_verified(lane) for lane in self._lanes):
            self._reported.clear()
            await asyncio.wait_for(self._reported.wait(), PATIENCE_S)

    def _is_verified(self, lane: Lane) -> bool:
        report = lane.report
        if report is None or report.generation < self._generation:
            return False
        return all(row.verified for row in report.symbols.values())

    def _inputs(self, depth: Decimal) -> CycleInputs:
        self._generation += 1
        contributions = tuple(
            Contribution(
                source="tradingview",
                source_symbol=symbol,
                symbol=symbol,
                depth=depth,
                leverage=None,
                signal_id=f"{symbol}-{self._generation}",
                received_at_ms=time.time_ns() // 1_000_000,
            )
            for symbol in self._symbols
        )
        return CycleInputs(
            generation=self._generation,
            settings=self._engine.settings,
            contributions=contributions,
        )


class Plain:
    """The same through ccxt alone, one after the other."""

    def __init__(self, url: str, symbols: Sequence[str], *, is_throttled: bool) -> None:
        self._names = [f"{symbol.removesuffix('USDT')}/USDT:USDT" for symbol in symbols]
        self._clients = {v: _client(v, url, is_throttled) for v in venue_profiles()}

    async def open(self) -> None:
        """Load every venue's markets, which a bot does once."""
        for client in self._clients.values():
            await client.load_markets()

    async def change(self, number: int) -> None:
        """Read, order and read again, account after account."""
        for venue, client in self._clients.items():
            await client.fetch_balance({"type": "swap"})
            await client.fetch_positions()
            tickers = await client.fetch_tickers(self._names)
            side = "sell" if number % 2 else "buy"
            for name in self._names:
                contract = client.market(name)["contractSize"] * tickers[name]["last"]
                amount = float(client.amount_to_precision(name, ORDER_USDT / contract))
                await client.create_order(
                    name, "market", side, amount, None, dict(PLAIN_PARAMS.get(venue, {}))
                )
            await client.fetch_positions()

    async def close(self) -> None:
        """Give the connections back."""
        for client in self._clients.values():
            await client.close()


def _client(venue: str, url: str, is_throttled: bool) -> Any:  # noqa: ANN401 - ccxt is untyped
    profile = venue_profiles()[venue]
    module = importlib.import_module("ccxt.async_support")
    keys = {"apiKey": f"plain-{venue}", "secret": "bench", "password": "bench"}
    client = getattr(module, profile.ccxt_id)(
        {**keys, "enableRateLimit": is_throttled, "options": dict(profile.options)}
    )
    client.has["fetchCurrencies"] = False
    client.urls["api"] = _redirected(client.urls["api"], f"{url}/{venue}")
    return client


def _redirected(urls: Any, base_url: str) -> Any:  # noqa: ANN401
    if isinstance(urls, dict):
        return {name: _redirected(found, base_url) for name, found in urls.items()}
    return base_url + urlsplit(str(urls).replace("{hostname}", "x.com")).path.rstrip("/")


def _row(name: str, venue: str, url: str) -> dict[str, Any]:
    where = {"exchange": venue, "environment": "paper", "base_url": f"{url}/{venue}"}
    return {"name": name, "api_key": name, **SECRETS, **where}


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content))
    path.chmod(0o600)


async def timed(change: Callable[[int], Awaitable[None]], number: int) -> float:
    """Give the seconds that one change takes."""
    began = time.perf_counter()
    await change(number)
    return time.perf_counter() - began


async def run(count: int, latency_ms: int, rounds: int) -> None:
    """Let both take turns and print how they compare."""
    listed = [set(wire.instruments) for wire in find_wires().values()]
    symbols = sorted(set.intersection(*listed))[:count]
    accounts = [
        PaperAccount(name=f"{who}-{venue}", exchange=venue, api_key=f"{who}-{venue}", **SECRETS)
        for who in ("ours", "plain")
        for venue in venue_profiles()
    ]
    server = PaperServer(accounts=accounts, limits=False, prices=FixedPrices(prices={}))
    async with server:
        with tempfile.TemporaryDirectory(dir=Path.cwd()) as temporary:  # a real disk, not a tmpfs
            ways: dict[str, Ours | Plain] = {
                OURS: Ours(Path(temporary), server.url, symbols),
                "plain ccxt, in turn": Plain(server.url, symbols, is_throttled=True),
                "its throttle off": Plain(server.url, symbols, is_throttled=False),
            }
            seconds: dict[str, list[float]] = {name: [] for name in ways}
            try:
                for way in ways.values():
                    await way.open()
                server.add_fault("latency", ms=latency_ms)
                for number in range(1, rounds + 1):
                    for name, way in ways.items():
                        seconds[name].append(await timed(way.change, number))
            finally:
                server.clear_faults()
                for way in ways.values():
                    await way.close()
    _print(seconds, symbols, latency_ms)


def _print(seconds: Mapping[str, Sequence[float]], symbols: Sequence[str], latency_ms: int) -> None:
    medians = {name: statistics.median(rows) for name, rows in seconds.items()}
    lines = [
        f"{len(venue_profiles())} accounts x {len(symbols)} symbols, every answer takes"
        f" {latency_ms} ms, median of {len(seconds[OURS])} rounds",
        "",
        *(f"{name:22} {1000 * median:8.0f} ms" for name, median in medians.items()),
        "",
        *(
            f"{name} / ours: {median / medians[OURS]:.1f}"
            for name, median in medians.items()
            if name != OURS
        ),
    ]
    sys.stdout.write("\n".join(lines) + "\n")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--symbols", type=int, default=7)  # more meet the venues' order limits
    parser.add_argument("--latency-ms", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    asyncio.run(run(options.symbols, options.latency_ms, options.rounds))


if __name__ == "__main__":
    main()
