"""Accounts for the console: opened when first asked for, on a loop of their own, to be read.

What could place, cancel or set anything at a venue is refused unless the console was told.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from functools import wraps
from typing import Any, TypeVar

from commands.refusal import RefusedError
from core.home import Home
from core.settings import Settings

T = TypeVar("T")
READS = frozenset({"connect", "deadline_ms", "orders_at_once"})
"""What is no `fetch_...` and still changes nothing."""


class LoopThread:
    """An event loop in a thread of its own: the console itself waits for each answer."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="console")
        self._thread.start()

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Run it there and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def close(self) -> None:
        """End the loop."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class ConsoleVenue:
    """One account: each `fetch_...` gives its answer; no `await` needed."""

    def __init__(self, name: str, venue: object, loop: LoopThread, *, is_writable: bool) -> None:
        # a closure, not an attribute: `venue.place_orders` must not be one dot away
        def call(method: str) -> Callable[..., Any]:
            inner = getattr(venue, method)

            @wraps(inner)
            def asked(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - the venue's own
                answer = inner(*arguments, **named)
                return loop.wait(answer) if asyncio.iscoroutine(answer) else answer

            return asked

        self.name = name
        self._call = call
        self._is_writable = is_writable

    def __getattr__(self, method: str) -> Callable[..., Any]:
        if method.startswith("_"):
            raise AttributeError(method)
        is_read = method.startswith("fetch_") or method in READS
        if not is_read and not self._is_writable:
            raise RefusedError(
                f"{method} could change something at the venue: say "
                "./trade-engine console --unsafe-write"
            )
        return self._call(method)

    def __repr__(self) -> str:
        kind = "writable" if self._is_writable else "read-only"
        return f"<account {self.name}, {kind}>"


class ConsoleAccounts(Mapping[str, ConsoleVenue]):
    """The enabled accounts by name; the exchanges' library is loaded by the first look inside."""

    def __init__(self, home: Home, settings: Settings, *, is_writable: bool) -> None:
        self._home = home
        self._settings = settings
        self._is_writable = is_writable
        self._loop: LoopThread | None = None
        self._context: AbstractAsyncContextManager[Any] | None = None
        self._venues: dict[str, ConsoleVenue] = {}
        self._failed: dict[str, str] = {}

    def __getitem__(self, name: str) -> ConsoleVenue:
        self._open()
        if name in self._failed:
            raise RefusedError(f"{name}: {self._failed[name]}")
        return self._venues[name]

    def __iter__(self) -> Iterator[str]:
        return iter([account.name for account in self._settings.accounts if account.enabled])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"<accounts {', '.join(self) or 'none'}>"

    def close(self) -> None:
        """Give everything back."""
        if self._loop is None:
            return
        if self._context is not None:
            self._loop.wait(_leave(self._context))
        self._loop.close()

    def _open(self) -> None:
        if self._loop is not None:
            return
        from commands.opened_accounts import open_venues  # noqa: PLC0415 - loads ccxt

        self._loop = LoopThread()
        self._context = open_venues(self._home, self._settings)
        opened, failed = self._loop.wait(_enter(self._context))
        self._failed = {str(row["account"]): str(row.get("error", "")) for row in failed}
        for one in opened:
            name = one.account.name
            self._venues[name] = ConsoleVenue(
                name, one.venue, self._loop, is_writable=self._is_writable
            )


async def _enter(context: AbstractAsyncContextManager[T]) -> T:
    return await context.__aenter__()


async def _leave(context: AbstractAsyncContextManager[Any]) -> None:
    await context.__aexit__(None, None, None)
