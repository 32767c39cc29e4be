"""A home and a paper exchange with one account at each venue, for tests of `trade-engine check`."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from commands.main import run
from core.clock import SystemClock
from core.home import Home
from core.process.service_status import replace_status
from core.store import atomic_write_json
from paper_exchange import book
from paper_exchange.accounts import PaperAccount
from paper_exchange.server import PaperServer
from tests.venues import WORDS

EVERY = tuple(sorted(WORDS))
Row = dict[str, Any]


class TheirClock(SystemClock):
    """The venues' clock, which a test may set wrong."""

    def __init__(self) -> None:
        self.wrong_by_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.wrong_by_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What the command said."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Row:
        found: Row = orjson.loads(self.out)
        return found

    def state(self, where: str, what: str) -> str:
        return self.row(where, what)["state"]

    def row(self, where: str, what: str) -> dict[str, str]:
        rows = [r for r in self.document["findings"] if (r["where"], r["what"]) == (where, what)]
        assert len(rows) == 1, (where, what, self.document["findings"])
        found: dict[str, str] = rows[0]
        return found

    def failed(self) -> list[tuple[str, str]]:
        rows = self.document["findings"]
        return [(row["where"], row["what"]) for row in rows if row["state"] == "FAIL"]


@dataclass
class CheckScene:
    """The running scene; an account bears the name of its venue."""

    home: Home
    server: PaperServer
    clock: TheirClock
    capsys: pytest.CaptureFixture[str]

    def configure(self, venues: Iterable[str] = EVERY, **changes: dict[str, object]) -> None:
        """Write the accounts of these venues, with changes by venue."""
        rows = [{**account_row(venue), **changes.get(venue, {})} for venue in venues]
        atomic_write_json(self.home.credentials, {"accounts": rows})

    def weigh(self, *symbols: str, leverage: int = 3, weight: str = "0.1") -> None:
        """Map and weigh symbols for TradingView."""
        sources = [{"source": "tradingview", "weight": weight}]
        rows = [{"symbol": name, "leverage": leverage, "sources": sources} for name in symbols]
        root, mapping = self.home.root, {"tradingview": {name: name for name in symbols}}
        atomic_write_json(root / "signal_weight_config.json", rows)
        atomic_write_json(root / "asset_mapping_config.json", mapping)

    def hedge(self, venue: str) -> None:
        exchange, account = self.server.exchange, self.server.account(venue)
        at_ms = exchange.clock.now_ms()
        after = book.set_position_mode(exchange.state(account, at_ms), is_hedged=True)
        exchange.change(account.id, after, at_ms)

    async def check(self, *options: str, as_json: bool = True) -> Checked:
        """Run the command as a process would, with a loop of its own; the server stays on ours."""
        self.capsys.readouterr()
        words = ["check", *options, *(["--json"] if as_json else [])]
        code = await asyncio.to_thread(run, words)
        said = self.capsys.readouterr()
        return Checked(code=code, out=said.out, err=said.err)


def account_row(venue: str) -> dict[str, object]:
    passphrase = WORDS[venue].passphrase
    return {
        "name": venue,
        "exchange": venue,
        "api_key": f"KEYOF{venue.upper()}",
        "api_secret": f"SECRETOF{venue.upper()}",
        "environment": "paper",
        **({"api_passphrase": passphrase} if passphrase else {}),
    }


@asynccontextmanager
async def check_scene(home: Home, capsys: pytest.CaptureFixture[str]) -> AsyncIterator[CheckScene]:
    """Start the exchange at known prices, and write a configuration that is all right."""
    clock = TheirClock()
    accounts = [
        PaperAccount(
            name=venue,
            exchange=venue,
            api_key=f"KEYOF{venue.upper()}",
            api_secret=f"SECRETOF{venue.upper()}",
            api_passphrase=WORDS[venue].passphrase,
        )
        for venue in EVERY
    ]
    async with PaperServer(accounts=accounts, clock=clock) as server:
        server.pin(BTCUSDT="60000", ETHUSDT="3000")
        # no process of that name runs: it would be told as dead
        replace_status(home, "paper-exchange", {"url": server.url, "stopped_at_ms": 1})
        scene = CheckScene(home=home, server=server, clock=clock, capsys=capsys)
        scene.configure()
        scene.weigh("BTCUSDT", "ETHUSDT")
        yield scene
