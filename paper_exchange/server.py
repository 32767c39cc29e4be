"""The paper exchange: real venue protocols on 127.0.0.1, for paper trading, demos and tests.

`python3 paper_exchange/server.py --port 0 --home DIR` prints its URL as its first line; a plain
ccxt client whose `urls['api']` is that URL plus `/bybit` trades on it. With a `credentials.json` in
the home only its paper accounts come in, signatures checked; without one any key opens an account
on first use, and its signature cannot be checked, as nobody told us the secret
(`POST /control/accounts` does).

Tests start it in their own process: `async with PaperServer(accounts=[...]) as server: server.url`.
"""

import argparse
import asyncio
import socket
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self

if __name__ == "__main__":  # a script's own folder comes first on the path; we need the checkout
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from aiohttp import web

from core.clock import SystemClock
from core.home import Home
from core.ports import Clock
from core.process.service import Service, run_service
from core.settings.files import ConfigFile
from core.settings.snapshot import ENGINE
from paper_exchange.account import START_BALANCE_USDT
from paper_exchange.accounts import Doorkeeper, KeyRights, PaperAccount
from paper_exchange.control import Control
from paper_exchange.exchange import PaperExchange
from paper_exchange.faults import FaultTable
from paper_exchange.pipeline import Pipeline, SeenRequest
from paper_exchange.prices import PriceSource, RandomWalk
from paper_exchange.sn8.control import control_routes
from paper_exchange.sn8.options import Sn8Options
from paper_exchange.sn8.service import SimulatedValidator
from paper_exchange.state_file import StateFile
from paper_exchange.wires import find_wires

STATE_FILE = "paper-exchange.json"
KEEP_ALIVE_S = 120.0  # above every client's idle time, so that no reuse meets a reset
TICK_S = 1.0  # how often time passes for accounts that nobody asks about
MAX_BODY = 1 << 20


class PaperServer:
    """The exchange and its listening socket; `async with` starts and stops it.

    `home` None keeps nothing on disk. Given `accounts` (or a `credentials.json` in the home) the
    door is strict, otherwise any key comes in. `limits` = the venues' rate limits are enforced.
    `sn8` says how the simulated subnet validator is.
    """

    def __init__(  # noqa: PLR0913 - each is one thing a test wants to choose
        self,
        *,
        home: Path | None = None,
        port: int = 0,
        accounts: Iterable[PaperAccount] = (),
        prices: PriceSource | None = None,
        clock: Clock | None = None,
        limits: bool = True,
        seed: int = 0,
        start_balance_usdt: Decimal = START_BALANCE_USDT,
        token: str = "",
        sn8: Sn8Options | None = None,
        listener: socket.socket | None = None,
    ) -> None:
        place = Home(home) if home else None
        self._file = StateFile(place.state / STATE_FILE if place else None)
        credentials = place.credentials if place else None
        self._doorkeeper = Doorkeeper(credentials)
        wires = find_wires()
        self.exchange = PaperExchange(
            instruments={prefix: wire.instruments for prefix, wire in wires.items()},
            prices=prices or RandomWalk(seed=seed),
            clock=clock or SystemClock(),
            doorkeeper=self._doorkeeper,
            faults=FaultTable(seed),
            states=self._file.load(),
        )
        self.exchange.start_balance_usdt = start_balance_usdt
        self.exchange.start_margin_modes = {name: w.start_margin_mode for name, w in wires.items()}
        self.exchange.on_change = lambda: self._file.changed(self.exchange.states)
        self._pipeline = Pipeline(self.exchange, wires, self._file)
        self._pipeline.limits_enforced = limits
        self._control = Control(self._pipeline, self._file, token)
        self.sn8 = SimulatedValidator(sn8 or Sn8Options(), self.exchange.clock, seed, credentials)
        self._token = token
        for account in accounts:
            self._doorkeeper.is_strict = True
            self.exchange.open_account(account)
        self._port = port
        self._listener = listener
        self._runner: web.AppRunner | None = None
        self._ticking: asyncio.Task[None] | None = None
        self.url = ""

    async def start(self) -> str:
        """Open the door; returns the URL."""
        self.sn8.start()
        app = web.Application(client_max_size=MAX_BODY)
        app.add_routes(self._control.routes())
        app.add_routes(control_routes(self.sn8, self._token))
        app.add_routes(self.sn8.routes())
        app.router.add_route("*", "/{tail:.*}", self._pipeline.serve)
        self._runner = web.AppRunner(
            app, access_log=None, keepalive_timeout=KEEP_ALIVE_S, shutdown_timeout=1.0
        )
        await self._runner.setup()
        site: web.BaseSite = (
            web.SockSite(self._runner, self._listener)
            if self._listener
            else web.TCPSite(self._runner, "127.0.0.1", self._port)
        )
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        self._ticking = asyncio.create_task(self._tick(), name="paper-tick")
        return self.url

    async def stop(self) -> None:
        """Close the door and write what is not written."""
        self._pipeline.stopping.set()
        await self.sn8.close()
        if self._ticking is not None:
            self._ticking.cancel()
            with suppress(asyncio.CancelledError):
                await self._ticking
        if self._runner is not None:
            await self._runner.cleanup()
        await self._file.commit()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    def add_fault(self, kind: str, **spec: Any) -> int:  # noqa: ANN401 - JSON values
        """Inject a fault (kinds and parameters: `faults.py`); returns its id."""
        return self.exchange.add_fault({"kind": kind, **spec}).id

    def remove_fault(self, fault_id: int) -> None:
        """Take one fault out."""
        self.exchange.faults.remove(fault_id)

    def clear_faults(self) -> None:
        """Take all faults out."""
        self.exchange.faults.clear()

    def pin(self, **prices: Decimal | str) -> None:
        """Hold symbols at a price, USDT."""
        self.exchange.pins |= {symbol: Decimal(price) for symbol, price in prices.items()}

    def requests(self, path: str = "", account: str = "") -> list[SeenRequest]:
        """Requests seen so far, of one path and account where given."""
        return [
            row
            for row in self._pipeline.requests
            if path in {"", row.path} and account in {"", row.account}
        ]

    def forget_requests(self) -> None:
        """Empty the request log."""
        self._pipeline.requests.clear()

    def truth(self, account: str) -> Mapping[str, Any]:
        """An account as the books have it; `sizes` = signed lots by symbol, as strings."""
        return next(row for row in self._control.accounts() if row["name"] == account)

    def set_rights(self, name: str, **rights: Any) -> None:  # noqa: ANN401 - fields of KeyRights
        """Change what an account's key may do; what is not named is as at first."""
        self._doorkeeper.set_rights(self.account(name), KeyRights(**rights))

    def account(self, name: str) -> PaperAccount:
        """The account of that name."""
        return next(row for row in self._doorkeeper.accounts() if row.name == name)

    def summary(self) -> dict[str, Any]:
        """What the status shows: who may come in, how many came, what is broken on purpose."""
        return {
            "door": "strict" if self.is_strict else "open",
            "accounts": [row.name for row in self._doorkeeper.accounts()],
            "requests": self._pipeline.count,
            "faults": len(self.exchange.faults.rows()),
            "sn8": self.sn8.summary(),
        }

    @property
    def is_strict(self) -> bool:
        """True if only known keys come in."""
        self._doorkeeper.accounts()
        return self._doorkeeper.is_strict

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self.exchange.tick()
            self.sn8.tick()
            await self._file.commit()


STATUS_S = 5.0
STRICT = "the paper accounts of credentials.json come in, signatures checked"
OPEN = "any key opens an account on first use, signatures are checked for shape only"


def main() -> int:
    """Run the service until it is asked to stop; returns its exit code."""
    parser = argparse.ArgumentParser(description="Paper exchange on 127.0.0.1.")
    parser.add_argument("--port", type=int, help="0 = any; default: engine_config.json, else 9100")
    parser.add_argument("--home", type=Path, help="configuration and state; default: the checkout")
    wish = parser.parse_args()
    home = Home(wish.home.expanduser().resolve()) if wish.home else Home.from_environment()

    async def body(service: Service) -> None:
        await _serve(service, wish.port)

    return run_service("paper-exchange", body, home=home)


async def _serve(service: Service, wished_port: int | None) -> None:
    config = ConfigFile(ENGINE, service.home.root, service.home.last_good).read()
    settings = config.content.paper_exchange
    port = settings.port if wished_port is None else wished_port
    server = PaperServer(
        home=service.home.root,
        seed=settings.seed,
        start_balance_usdt=settings.start_balance_usdt,
        listener=service.listen("127.0.0.1", port),
    )
    async with server:
        with suppress(OSError):  # nobody may be reading
            sys.stdout.write(f"{server.url}\n{STRICT if server.is_strict else OPEN}\n")
            sys.stdout.flush()
        await service.ready()
        while not service.stopping.is_set():
            service.write_status(server.summary())
            with suppress(TimeoutError):
                await asyncio.wait_for(service.stopping.wait(), STATUS_S)


if __name__ == "__main__":
    sys.exit(main())
