"""Our own rate limiter: a venue's budgets by address, by account and by endpoint.

ccxt's throttler makes an isolated order wait a full slot and knows of one instance only; venues
count by address, by account and by endpoint, some in tokens of one pool. Nothing waits here while
its budgets are free.
"""

import asyncio
import math
from bisect import insort
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from account_processors.transport.breaker import Breaker
from account_processors.transport.profile import Budget
from account_processors.transport.windows import Priority, Window
from core.errors import RateLimitedError
from core.ports import Clock

ENGINE_SHARE: Final = 0.9
COMMAND_SHARE: Final = 0.1  # reads beside a living engine
PATIENCE_MS: Final = 2_000  # a breaker open for longer is told to the caller, not waited for


@dataclass(frozen=True, slots=True)
class Route:
    """Whose budget a request uses; no account = public."""

    venue: str
    account: str
    group: str


@dataclass(slots=True, eq=False)
class _Waiter:
    rank: tuple[int, int]  # priority, order of arrival
    route: Route
    needs: tuple[tuple[Window, int], ...]
    purpose: Literal["take", "keep", "top_up"]
    future: asyncio.Future[None] = field(repr=False)

    @property
    def priority(self) -> Priority:
        return Priority(self.rank[0])


class Limiter:
    """Shared by all accounts of a process; `share` is its part of the budgets that are shared."""

    def __init__(self, clock: Clock, *, share: float = ENGINE_SHARE) -> None:
        self._clock = clock
        self._share = share
        self._budgets: dict[str, tuple[Budget, ...]] = {}
        self._costs: dict[str, Mapping[str, Mapping[str, int]]] = {}
        self._windows: dict[tuple[str, str, Budget], Window] = {}
        self._breakers: dict[Route, Breaker] = {}
        self._waiters: list[_Waiter] = []
        self._arrivals = 0
        self._timer: asyncio.Task[None] | None = None

    def add_venue(
        self,
        venue: str,
        budgets: Iterable[Budget],
        costs: Mapping[str, Mapping[str, int]] | None = None,
    ) -> None:
        """Make a venue's documented budgets known; `venue` names one address to be limited.

        `costs` gives the tokens that a request of a group (an order, where it carries some) takes
        from each budget; a group without a row takes one from the budgets of its own name.
        """
        self._budgets.setdefault(venue, tuple(budgets))
        self._costs.setdefault(venue, costs or {})

    def most_orders(self, route: Route, priority: Priority) -> int:
        """Give how many orders of the route's group fit at once at best; at least 1."""
        fits = [w.allowance(priority) // cost for w, cost in self._group_windows(route)]
        if not fits:
            fits = [w.allowance(priority) for w in self._ip_windows(route)]
        return max(1, min(fits))

    async def take(self, route: Route, priority: Priority, tokens: int = 1) -> None:
        """Wait for the turn of a request that leaves at once; raises RateLimitedError."""
        needs = self._needs(route, tokens)
        await self._wait(route, priority, needs, "take")
        now_ms = self._clock.monotonic_ms()
        for window, count in needs:
            window.send_reserved(count, now_ms)

    async def reserve(self, route: Route, priority: Priority, tokens: int) -> None:
        """Wait until `tokens` (or as many as fit at once) may leave, and keep them for 5 s."""
        fitting = min(tokens, self.most_orders(route, priority))
        await self._wait(route, priority, self._needs(route, fitting), "keep")

    async def take_reserved(self, route: Route, priority: Priority, tokens: int) -> None:
        """As `take`, using up what `reserve` kept before waiting for more."""
        needs = self._needs(route, tokens)
        while True:
            now_ms = self._clock.monotonic_ms()
            missing = tuple((w, max(0, n - w.reserved(now_ms))) for w, n in needs)
            is_admitted = all(b.admits(now_ms) for b in self._breakers_of(route))
            if is_admitted and not any(n for _, n in missing):
                break
            await self._wait(route, priority, missing, "top_up")
        for window, count in needs:
            window.send_reserved(count, now_ms)
        for breaker in self._breakers_of(route):
            breaker.leave(now_ms)

    def succeeded(self, route: Route) -> None:
        """Note any answer that is not about the rate: it closes the breakers."""
        now_ms = self._clock.monotonic_ms()
        for breaker in self._breakers_of(route):
            breaker.succeed(now_ms)
        self._pump()

    def unanswered(self, route: Route) -> None:
        """Note that a request ended without an answer: the next one may be the probe."""
        self._abandon(route)
        self._pump()

    def refused(self, route: Route, limits: Literal["ip", "group", ""], retry_after_s: int) -> None:
        """Note that the venue refused for its rate limit."""
        key = self._ip_route(route) if limits == "ip" else route
        self._breaker(key).trip(retry_after_s, self._clock.monotonic_ms())
        self._pump()

    def observe(
        self, route: Route, *, limit: int | None, remaining: int | None, reset_in_ms: int | None
    ) -> None:
        """Learn from a reply's headers: others may use the same key, tiers may be lower."""
        told_of = self._told_of(route)
        if told_of is None or limit is None or limit <= 0:
            return
        budget, window = told_of
        now_ms = self._clock.monotonic_ms()
        window.limit = min(window.limit, self._scaled(limit, budget))
        if remaining is None:
            return
        window.send(max(0, limit - remaining - window.used(now_ms)), now_ms)
        if remaining == 0 and reset_in_ms is not None:
            window.shut(now_ms + min(max(reset_in_ms, 0), 60_000))

    async def close(self) -> None:
        """Stop the timer; who still waits is cancelled."""
        for waiter in self._waiters:
            waiter.future.cancel()
        self._waiters.clear()
        if self._timer is not None:
            self._timer.cancel()
            await asyncio.gather(self._timer, return_exceptions=True)

    async def _wait(
        self,
        route: Route,
        priority: Priority,
        needs: tuple[tuple[Window, int], ...],
        purpose: Literal["take", "keep", "top_up"],
    ) -> None:
        self._arrivals += 1
        waiter = _Waiter(
            rank=(int(priority), self._arrivals),
            route=route,
            needs=needs,
            purpose=purpose,
            future=asyncio.get_running_loop().create_future(),
        )
        insort(self._waiters, waiter, key=lambda w: w.rank)
        self._pump()
        try:
            await waiter.future
        except asyncio.CancelledError:
            self._give_back(waiter)
            raise

    def _give_back(self, waiter: _Waiter) -> None:
        if waiter in self._waiters:
            self._waiters.remove(waiter)
        elif not waiter.future.cancelled() and waiter.future.exception() is None:
            for window, count in waiter.needs:
                window.release(count)
            if waiter.purpose == "take":
                self._abandon(waiter.route)
        self._pump()

    def _abandon(self, route: Route) -> None:
        for breaker in self._breakers_of(route):
            breaker.abandon()

    def _pump(self) -> None:
        """Let go, in order of rank, everyone whose windows and breakers allow it."""
        now_ms = self._clock.monotonic_ms()
        short: set[Window] = set()  # somebody of higher rank waits for these
        for waiter in list(self._waiters):
            if self._is_told_to_come_back(waiter, now_ms):
                continue
            lacking = [
                w for w, n in waiter.needs
                if n and (w in short or not w.fits(n, waiter.priority, now_ms))
            ]  # fmt: skip
            short.update(lacking)
            if lacking or not self._is_admitted(waiter, now_ms):
                continue
            self._let_go(waiter, now_ms)
        self._wake_later(now_ms)

    def _is_told_to_come_back(self, waiter: _Waiter, now_ms: int) -> bool:
        if waiter.future.done():
            self._waiters.remove(waiter)
            return True
        remaining_ms = max(
            *(b.remaining_ms(now_ms) for b in self._breakers_of(waiter.route)),
            *(window.shut_for_ms(now_ms) for window, count in waiter.needs if count),
        )
        if remaining_ms <= PATIENCE_MS:
            return False
        wait_s = math.ceil(remaining_ms / 1000)
        text = f"{waiter.route.venue} asked us to send nothing for {wait_s} s more"
        self._waiters.remove(waiter)
        waiter.future.set_exception(RateLimitedError(text, retry_after_s=wait_s))
        return True

    def _let_go(self, waiter: _Waiter, now_ms: int) -> None:
        self._waiters.remove(waiter)
        for window, count in waiter.needs:
            window.reserve(count, now_ms)
        if waiter.purpose == "take":
            for breaker in self._breakers_of(waiter.route):
                breaker.leave(now_ms)
        waiter.future.set_result(None)

    def _is_admitted(self, waiter: _Waiter, now_ms: int) -> bool:
        breakers = self._breakers_of(waiter.route)
        if waiter.purpose == "keep":
            return all(b.remaining_ms(now_ms) == 0 for b in breakers)
        return all(b.admits(now_ms) for b in breakers)

    def _wake_later(self, now_ms: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        moments = [m for waiter in self._waiters for m in self._changes(waiter, now_ms)]
        if moments:
            delay_s = max(1, min(moments) - now_ms) / 1000
            self._timer = asyncio.get_running_loop().create_task(self._sleep(delay_s))

    def _changes(self, waiter: _Waiter, now_ms: int) -> list[int]:
        windows = [w.changes_at_ms(now_ms) for w, n in waiter.needs if n]
        breakers = [b.changes_at_ms(now_ms) for b in self._breakers_of(waiter.route)]
        return [moment for moment in windows + breakers if moment is not None]

    async def _sleep(self, delay_s: float) -> None:
        await self._clock.sleep(delay_s)
        self._timer = None
        self._pump()

    def _needs(self, route: Route, tokens: int) -> tuple[tuple[Window, int], ...]:
        requests = ((window, 1) for window in self._ip_windows(route))
        counted = ((window, cost * tokens) for window, cost in self._group_windows(route))
        return (*requests, *counted)

    def _ip_route(self, route: Route) -> Route:
        return Route(route.venue, "", "ip")

    def _ip_windows(self, route: Route) -> list[Window]:
        budgets = self._budgets[route.venue]
        return [self._window(route, budget) for budget in budgets if budget.group == "ip"]

    def _group_windows(self, route: Route) -> list[tuple[Window, int]]:
        return [(self._window(route, budget), cost) for budget, cost in self._counted(route)]

    def _counted(self, route: Route) -> list[tuple[Budget, int]]:
        """List the budgets that count this route, but for the address's, and what it costs."""
        costs = self._costs[route.venue].get(route.group, {route.group: 1})
        return [
            (budget, costs[budget.group])
            for budget in self._budgets[route.venue]
            if budget.group in costs
            and budget.group != "ip"
            and (budget.scope == "ip" or route.account)
        ]

    def _told_of(self, route: Route) -> tuple[Budget, Window] | None:
        """Find the window that a reply's headers are about: the account's first."""
        own = [b for b, _ in self._counted(route) if b.scope == "account"]
        return (own[0], self._window(route, own[0])) if own else None

    def _window(self, route: Route, budget: Budget) -> Window:
        key = (route.venue, route.account if budget.scope == "account" else "", budget)
        window = self._windows.get(key)
        if window is None:
            window = Window(
                limit=self._scaled(budget.limit, budget),
                span_ms=budget.window_ms,
                # a tenth of a budget with the whole of its reserve would be nothing for reads
                reserve=math.floor(budget.reserve * self._part(budget)),
            )
            self._windows[key] = window
        return window

    def _scaled(self, limit: int, budget: Budget) -> int:
        return max(1, math.floor(limit * self._part(budget)))

    def _part(self, budget: Budget) -> float:
        return self._share if budget.is_shared else 1

    def _breaker(self, key: Route) -> Breaker:
        return self._breakers.setdefault(key, Breaker())

    def _breakers_of(self, route: Route) -> tuple[Breaker, Breaker]:
        return self._breaker(self._ip_route(route)), self._breaker(route)
