"""An engine that obeys a command: the living one, or one of our own under its lock. Never both.

One of our own works on the command's scope alone, until the command ends; everything outside is
halted in it. Importing this loads what calls ccxt.
"""

import asyncio
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from commands.wiring import Engine, mask_keys
from core.control import Scope
from core.errors import BusyError
from core.home import Home
from core.process.lease import Lease, lock_now, read_holder
from core.process.service_status import read_status

NAME: Final = "trade-engine"
LOOK_S: Final = 0.2
HEARD_S: Final = 30.0  # six heartbeats
OTHERS_S: Final = 180.0  # another command without an engine is given so long to end


@dataclass(frozen=True, slots=True, kw_only=True)
class AtHand:
    """The engine that obeys; `said` gives its status part, as fresh as it gets."""

    is_ours: bool
    said: Callable[[], Mapping[str, Any]]

    @property
    def is_heard(self) -> bool:
        """Tell whether it said something lately: a hung process holds its lock, too."""
        at_ms = self.said().get("refreshed_at_ms")
        is_fresh = isinstance(at_ms, int) and time.time() - at_ms / 1000 < HEARD_S
        return self.is_ours or is_fresh

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
    home: Home, scopes: Collection[Scope], *, is_sending: bool = True
) -> AsyncIterator[AtHand]:
    """Give the living engine, or run one of our own for as long as the context lasts.

    `is_sending` False: one of our own looks up and reads, and sends nothing at all. Waits for an
    engine that another command runs. Raises BusyError when that takes too long.
    """
    home.make_folders()
    lease = await _lock(home.state / f"{NAME}.lock")
    if lease is None:
        yield AtHand(is_ours=False, said=lambda: read_status(home, NAME))
        return
    lease.mark(stopping=True)  # who is started meanwhile waits for our end
    with lease:
        async with _own_engine(home, scopes if is_sending else (NOTHING,), scopes) as engine:
            yield AtHand(is_ours=True, said=engine.status)


async def _lock(path: Path) -> Lease | None:
    """Take the engine's lock; None = an engine holds it that goes on living."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + OTHERS_S
    while True:
        try:
            return lock_now(path, f"{NAME} ({path})")
        except BusyError:
            holder = read_holder(path)
            if holder is not None and not holder.stopping:
                return None
            if loop.time() >= deadline:
                raise
        await asyncio.sleep(LOOK_S)


NOTHING: Final = Scope(account="-", symbol="-")  # no account and no symbol has such a name


@asynccontextmanager
async def _own_engine(
    home: Home, sends: Collection[Scope], opens: Collection[Scope]
) -> AsyncIterator[Engine]:
    engine = Engine(home, sends=sends, opens=opens)
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


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let the first SIGINT, SIGTERM or SIGHUP cancel the running task; further ones do nothing.

    So that what a command began is ended in order, however impatient its caller is.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals come to the main thread alone
        return
    loop, me = asyncio.get_running_loop(), asyncio.current_task()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    is_asked = False

    def end() -> None:
        nonlocal is_asked
        if not is_asked and me is not None:
            me.cancel()
        is_asked = True

    for number in numbers:
        loop.add_signal_handler(number, end)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
