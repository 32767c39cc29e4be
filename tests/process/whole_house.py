"""The whole program under a PM2 of its own, seen from outside: books, journals, locks, processes.

What is true is asked of the paper exchange's control API and of files, never of the engine alone.
"""

import http.client
import json
import os
import random
import shutil
import signal
import socket
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from decimal import ROUND_DOWN, Decimal
from pathlib import Path
from typing import Any

import pytest

from commands.installation.first_use import SYMBOLS, write_examples
from core.home import HOME_VARIABLE
from core.process.identity import send_signal
from core.process.lease import Holder, read_holder
from core.process.service_status import read_status
from paper_exchange.wires import find_wires
from tests.process.installation import NAMES, ROOT, Installation, node

TOKEN = "token-of-a-test"
EXPOSURE = Decimal("0.058") * Decimal("0.1") * 3  # of an alert with 5.8/100, by the example weights
Row = dict[str, Any]


VENUE = "bybit"  # the account that is looked at; the others trade beside it


def deaf_to_sn8(symbol: str) -> Row:
    """Give a symbol's row of the weights, with a following of SN8 that counts for nothing."""
    weights = [("tradingview", 0.1), ("bittensor", 0.0)]
    sources = [{"source": name, "weight": weight} for name, weight in weights]
    return {"symbol": symbol, "leverage": 3, "sources": sources}


class House(Installation):
    """One home with real services on ports of its own, and everything that can be seen of it."""

    def __init__(self, folder: Path, *, hears_sn8: bool = False) -> None:
        super().__init__(ROOT, folder)
        ports = free_ports(3)
        config = {
            "webhook": {"port": ports[0], "token": TOKEN},
            "monitor": {"port": ports[1]},
            "paper_exchange": {"port": ports[2]},
            "safety": {"max_restarts": 0},  # kills follow each other faster than crashes may
        }
        self.home.engine_config.write_text(json.dumps(config))
        if not hears_sn8:  # alerts alone decide, so that what must be held can be worked out
            self.home.signal_weights.write_text(json.dumps([deaf_to_sn8(s) for s in SYMBOLS]))
        write_examples(self.home)
        self.webhook, self.monitor, self.paper = (f"http://127.0.0.1:{port}" for port in ports)

    def send(self, symbol: str, direction: str, size: str = "5.8/100") -> str | None:
        """Send one alert; its id, or None when it was not acknowledged."""
        alert = {"symbol": symbol, "direction": direction, "size": size, "leverage": "3"}
        try:
            answer = call(f"{self.webhook}/webhook/{TOKEN}", alert)
        except OSError:
            return None
        assert answer["status"] == "ok"
        return str(answer["id"])

    def status(self) -> Row:
        """Read the monitor's document."""
        document: Row = call(f"{self.monitor}/status")
        return document

    def books(self, venue: str = VENUE) -> Row:
        """Read the account as the exchange has it: sizes, orders, executions, equity."""
        accounts: list[Row] = call(f"{self.paper}/control/accounts")["accounts"]
        return next(row for row in accounts if row["name"] == f"paper-{venue}")

    def lots(self, symbol: str) -> Decimal:
        """Tell what is held, signed, by the exchange's books."""
        return Decimal(self.books()["sizes"].get(symbol, "0"))

    def orders(self, symbol: str = "") -> list[Row]:
        """List all orders that the exchange ever took, oldest first."""
        rows = self.books()["orders"].values()
        return [row for row in rows if symbol in ("", row["ticket"]["symbol"])]

    def requests(self, method: str = "") -> list[Row]:
        """List the requests that the exchange saw since it started."""
        rows = call(f"{self.paper}/control/requests")["requests"]
        return [row for row in rows if row["venue"] == VENUE and method in ("", row["method"])]

    def fault(self, kind: str, **spec: Any) -> None:
        """Inject one fault into the exchange."""
        call(f"{self.paper}/control/faults", {"kind": kind, **spec})

    def pin(self, **prices: str) -> None:
        """Hold prices still for as long as this exchange process lives."""
        call(f"{self.paper}/control/prices", prices)

    def wanted_lots(self, symbol: str) -> Decimal:
        """Work out, unsigned, what an alert of 5.8 % must become now, rounded toward zero."""
        prices = call(f"{self.paper}/control/prices?exchange={VENUE}")
        mark = Decimal(str(prices[symbol]["mark"]))
        lots = Decimal(self.books()["equity_usdt"]) * EXPOSURE / mark
        step = find_wires()[VENUE].instruments[symbol].step_lots
        return (lots / step).to_integral_value(ROUND_DOWN) * step

    def report(self, symbol: str) -> Row:
        """Read what the engine says of a symbol; empty before it says anything."""
        accounts = self.part("trade-engine").get("accounts") or []
        rows: list[Row] = next((a["symbols"] for a in accounts if a["exchange"] == VENUE), [])
        return next((row for row in rows if row["symbol"] == symbol), {})

    def is_settled(self, symbol: str, lots: Decimal) -> bool:
        """Tell whether exchange and engine agree that exactly this is held as wanted."""
        row = self.report(symbol)
        held, target = row.get("held_lots"), row.get("target_lots")
        if not row.get("verified") or held is None or target is None:
            return False
        return self.lots(symbol) == lots == Decimal(held) == Decimal(target)

    def bring(self, symbol: str, direction: str) -> Decimal:
        """Send an alert and wait until it is held; the lots, signed."""
        sign = {"long": 1, "short": -1, "flat": 0}[direction]
        lots = sign * self.wanted_lots(symbol)
        assert self.send(symbol, direction) is not None
        wait_for(f"{symbol} {direction}, {lots} lots", lambda: self.is_settled(symbol, lots))
        return lots

    def holder(self, name: str) -> Holder | None:
        """Tell which living process holds a service's lock."""
        holder = read_holder(self.home.state / f"{name}.lock")
        return holder if holder is not None and holder.is_alive else None

    def kill(self, name: str) -> int:
        """SIGKILL a service that lives; its pid, 0 when there was none."""
        holder = self.holder(name)
        if holder is None or not send_signal(holder.pid, holder.started, signal.SIGKILL):
            return 0
        wait_for(f"the end of {name}", lambda: not holder.is_alive)
        return holder.pid

    def is_ready(self, name: str, *, other_than: int = 0) -> bool:
        """Tell whether a service, started after that pid, says it is ready."""
        part, holder = read_status(self.home, name), self.holder(name)
        if holder is None or part.get("pid") != holder.pid:
            return False
        return part.get("ready") is True and holder.pid != other_than

    def all_ready(self) -> bool:
        """Tell whether every service lives and is ready."""
        return all(self.is_ready(name) for name in NAMES)

    def rows(self, pattern: str) -> list[Row]:
        """Read journals of the home, oldest first; a torn line is passed over."""
        found = []
        for path in sorted(self.home.root.glob(pattern)):
            for line in path.read_bytes().splitlines():
                with suppress(ValueError):
                    found.append(json.loads(line))
        return found

    def journaled(self) -> list[Row]:
        """Read what the engine wrote down of the account that is looked at, oldest first."""
        name = f"paper-{VENUE}"
        return [row for row in self.rows("state/orders-*.jsonl") if row.get("account") == name]

    def log(self, name: str) -> str:
        """Read all that a service ever logged."""
        return (self.home.logs / f"{name}.err.log").read_text()

    def tracebacks(self, name: str) -> list[str]:
        """List a service's log lines that tell of an error nobody caught, with its name."""
        return [f"{name}: {row}" for row in self.log(name).splitlines() if "Traceback" in row]

    def residents(self, word: str = "") -> set[int]:
        """Find every process that runs for this home, by its environment and command line."""
        mark = f"{HOME_VARIABLE}={self.home.root}".encode()
        found = set()
        for folder in Path("/proc").iterdir():
            if not folder.name.isdecimal():
                continue
            with suppress(OSError):
                if word.encode() not in (folder / "cmdline").read_bytes():
                    continue
                if mark in (folder / "environ").read_bytes().split(b"\0"):
                    found.add(int(folder.name))
        return found - {os.getpid()}

    def end(self) -> None:
        """Kill PM2's daemon, then what it had started, each by its pid."""
        with suppress(OSError, ValueError):
            self.kill_daemon()
        deadline = time.monotonic() + 10
        while (left := self.residents()) and time.monotonic() < deadline:
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)


@contextmanager
def whole_house(*, hears_sn8: bool = False) -> Iterator[House]:
    """Give a house that is not yet up; at the end nothing of it is left."""
    if node() is None or not (ROOT / "node_modules" / "pm2").exists():
        pytest.skip("PM2 is not installed here: run ./trade-engine test")
    if not (ROOT / ".venv" / "bin" / "python").exists():
        pytest.skip("there is no .venv here: run ./trade-engine test")
    folder = Path(tempfile.mkdtemp(prefix="te-"))  # short: PM2's sockets live in it
    house = House(folder, hears_sn8=hears_sn8)
    try:
        yield house
    finally:
        house.end()
        shutil.rmtree(folder, ignore_errors=True)


def wait_for(what: str, check: Callable[[], bool], limit_s: float = 40.0) -> None:
    """Wait until it is so; a service that does not answer yet is not so."""
    deadline = time.monotonic() + limit_s
    while True:
        with suppress(OSError, ValueError, KeyError, IndexError):
            if check():
                return
        assert time.monotonic() < deadline, f"not within {limit_s} s: {what}"
        time.sleep(0.03)


def call(url: str, body: Mapping[str, Any] | None = None) -> Any:
    """Ask one of the services over HTTP. Raises OSError."""
    encoded = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(url, data=encoded, timeout=5) as answer:  # noqa: S310 - ours
            return json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            raise OSError(f"{error.code}: {error.read()[:300]!r}") from None
    except (ValueError, http.client.HTTPException) as error:  # cut off in the middle
        raise OSError(str(error)) from error


def free_ports(count: int) -> list[int]:
    """Find free ports below those that outgoing connections take, so that a restart gets them."""
    found: list[int] = []
    start = random.SystemRandom().randrange(12_000, 30_000)
    for port in range(start, 32_000):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            return found
    raise AssertionError("no free ports")
