"""An engine that obeys a command: the living one, or one of our own under its lock. Never both.

One of our own works on the command's scope alone, until the command ends; everything outside is
halted in it. Importing this loads what calls ccxt.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from commands.wiring import Engine, mask_keys
from core.control import Scope
from core.errors import BusyError
from core.home import Home
from core.process.lease import lock_now
from core.process.service_status import read_status

NAME: Final = "trade-engine"
LOOK_S: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class AtHand:
    """The engine that obeys; `said` gives its status part, as fresh as it gets."""

    is_ours: bool
    said: Callable[[], Mapping[str, Any]]

    def accounts(self, scope: Scope) -> list[Mapping[str, Any]]:
        """What it says of the accounts in a scope."""
        rows = self.said().get("accounts")
        found = rows if isinstance(rows, list) else []
        return [row for row in found if scope.account in (None, row.get("name"))]

    async def until(self, is_so: Callable[[], bool], *, within_s: float) -> bool:
        """Wait until something is so; False = not in time."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within_s
        while not is_so():
            if loop.time() >= deadline:
                return False
            await asyncio.sleep(LOOK_S)
        return True


@asynccontextmanager
async def engine_at_hand(
    home: Home, scope: Scope, *, is_sending: bool = True
) -> AsyncIterator[AtHand]:
    """Give the living engine, or run one of our own for as long as the context lasts.

    `is_sending` False: one of our own looks up and reads, and sends nothing at all.
    """
    home.make_folders()
    path = home.state / f"{NAME}.lock"
    try:
        lease = lock_now(path, f"{NAME} ({path})")
    except BusyError:
        yield AtHand(is_ours=False, said=lambda: read_status(home, NAME))
        return
    lease.mark(stopping=True)  # an engine that is started meanwhile waits for our end
    with lease:
        async with _own_engine(home, scope if is_sending else NOTHING, scope) as engine:
            yield AtHand(is_ours=True, said=engine.status)


NOTHING: Final = Scope(account="-", symbol="-")  # no account and no symbol has such a name


@asynccontextmanager
async def _own_engine(home: Home, sends: Scope, works_on: Scope) -> AsyncIterator[Engine]:
    engine = Engine(home, scope=sends, accounts=works_on)
    mask_keys(engine.settings.accounts)
    stopping, started = asyncio.Event(), asyncio.Event()
    tasks: set[asyncio.Task[None]] = set()

    async def begin() -> None:
        tasks.add(asyncio.create_task(engine.roster.fill(engine.executor.add)))
        started.set()

    engine.replay()
    running = asyncio.create_task(engine.executor.run(stopping, begin))
    try:
        waiting = asyncio.create_task(started.wait())
        await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if running.done():
            running.result()
        yield engine
    finally:
        for task in tasks:
            task.cancel()
        stopping.set()
        await asyncio.gather(running, *tasks, return_exceptions=True)
        await engine.close()
