"""Foreign asyncio code on a loop of its own in a thread of its own, which always comes back.

A library that forgets tasks and sockets when it is cancelled, swallows the cancelling, or works
long without a pause, can do so only here: whoever waits is answered in time, and everything on the
loop is ended with it. Knows nothing of what runs on it.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")
TIDY_S: Final = 1.0
"""Seconds that cancelled tasks get to end, in each of the rounds."""
TIDY_ROUNDS: Final = 2
STOP_S: Final = TIDY_S * TIDY_ROUNDS + 0.5
MOST_THREADS: Final = 3
"""That may hang at once under one name; beyond it nothing more is started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Generic[T]):
    """What came of it: a value, or the error that ended it, whatever its kind."""

    value: T | None = None
    error: BaseException | None = None


async def run_apart(
    work: Callable[[], Coroutine[Any, Any, T]],
    *,
    name: str,
    limit_s: float,
    largest_message: int,
) -> Outcome[T]:
    """Run `work` in a thread called `name`, and answer within `limit_s` whatever happens there.

    `largest_message` is in bytes and holds for each websocket. Cancelling cancels the work and
    waits for its end, but no longer than `STOP_S`.
    """
    hanging = sum(thread.name == name for thread in threading.enumerate())
    if hanging >= MOST_THREADS:
        return Outcome(error=TimeoutError(f"{hanging} earlier attempts still hang"))
    apart = _Apart(work, largest_message)
    try:
        # a daemon: what hangs must not keep the program from ending
        threading.Thread(target=apart.run, name=name, daemon=True).start()
    except RuntimeError as error:  # no thread is to be had
        apart.discard()
        return Outcome(error=error)
    waiting = asyncio.wrap_future(apart.outcome)
    try:
        done, _ = await asyncio.wait({waiting}, timeout=limit_s)
    except asyncio.CancelledError:
        apart.stop()
        await asyncio.wait({waiting}, timeout=STOP_S)
        raise
    finally:
        if not waiting.done():
            apart.stop()
            waiting.cancel()
    return waiting.result() if done else Outcome(error=TimeoutError(f"hangs for {limit_s:g} s"))


async def within(work: Coroutine[Any, Any, T], limit_s: float) -> T:
    """Await `work` for `limit_s` at most, also when it swallows being cancelled.

    Raises:
        TimeoutError: it took longer; it is cancelled and left to itself.
    """
    task = asyncio.create_task(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=limit_s)
    finally:
        task.cancel()
    if not done:
        raise TimeoutError
    return task.result()


class _Loop(asyncio.SelectorEventLoop):
    """Knows its connections, so that none outlives it, and bounds what they may bring.

    Its names must differ from those of asyncio's own loop, which has a `_transports` too.
    """

    def __init__(self, largest_message: int) -> None:
        super().__init__()
        self._apart_largest_message = largest_message
        self._apart_connections: list[asyncio.BaseTransport] = []

    async def create_connection(  # type: ignore[override] # passed on as it comes
        self,
        protocol_factory: Callable[[], Any],
        *args: Any,  # noqa: ANN401
        **kwargs: Any,  # noqa: ANN401
    ) -> tuple[asyncio.BaseTransport, Any]:
        def bounded() -> Any:  # noqa: ANN401
            # a few compressed bytes can become gigabytes; libraries allow it on purpose
            connection = protocol_factory()
            rules = getattr(connection, "protocol", None)
            if rules is not None and hasattr(rules, "max_message_size"):
                rules.max_message_size = self._apart_largest_message
            return connection

        transport, protocol = await super().create_connection(bounded, *args, **kwargs)
        self._apart_connections.append(transport)
        return transport, protocol

    def hang_up(self) -> None:
        for transport in self._apart_connections:
            if isinstance(transport, asyncio.WriteTransport):
                transport.abort()


class _Apart(Generic[T]):
    def __init__(self, work: Callable[[], Coroutine[Any, Any, T]], largest_message: int) -> None:
        self.outcome: Future[Outcome[T]] = Future()
        self.outcome.set_running_or_notify_cancel()  # whoever stops waiting takes nothing away
        self._work = work
        self._is_stopped = asyncio.Event()
        self._loop = _Loop(largest_message)
        self._loop.set_exception_handler(_note)

    def run(self) -> None:
        try:
            with closing(self._loop):  # waits for no thread, such as one that looks up a name
                outcome = Outcome(value=self._work_and_tidy())
        except BaseException as error:  # noqa: BLE001 - the outermost frame of the thread
            outcome = Outcome(error=error)
        self.outcome.set_result(outcome)

    def stop(self) -> None:
        with suppress(RuntimeError):  # it has ended meanwhile
            self._loop.call_soon_threadsafe(self._is_stopped.set)

    def discard(self) -> None:
        self._loop.close()

    def _work_and_tidy(self) -> T:
        try:
            return self._loop.run_until_complete(self._main())
        finally:
            self._loop.run_until_complete(self._tidy())

    async def _main(self) -> T:
        work = asyncio.create_task(self._work())
        stopped = asyncio.create_task(self._is_stopped.wait())
        await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise TimeoutError
        return work.result()

    async def _tidy(self) -> None:
        for _ in range(TIDY_ROUNDS):
            left = asyncio.all_tasks() - {asyncio.current_task()}
            for task in left:
                task.cancel()
            if left:
                await asyncio.wait(left, timeout=TIDY_S)
        self._loop.hang_up()
        for _ in range(3):  # transports tell their protocols, which tell who waits
            await asyncio.sleep(0)


def _note(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    log.debug("left behind by what ran apart", extra={"what": str(context.get("message"))})
