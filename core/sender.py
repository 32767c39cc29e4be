"""Sends one round of decisions: reductions and increases side by side, leverage before increases.

Reductions go first where the increases need the margin that they free. Knows when to stop waiting;
what is still on the wire then goes on by itself and wakes the lane when it lands.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal

from core.account_desk import AccountDesk
from core.attempts import (
    increase_failed,
    margin_refused,
    no_position,
    reduction_failed,
    reduction_sent,
)
from core.errors import RejectedError, TradeEngineError
from core.gate import Terms
from core.model import ZERO, Equity, Mode, Order, SetLeverage, SetMarginMode
from core.outbox import Outbox, Sent
from core.reconcile import Decision, Reason
from core.settings import EngineLimits

REDUCTION_ANSWER_MS = 2_000  # an unanswered reduction counts as unknown after this
MAX_CONCURRENT_SYMBOL_REQUESTS = 10

Waiter = Callable[[set[asyncio.Task[object]], int | None], Awaitable[bool]]


class Sender:
    """One round of one pass."""

    def __init__(
        self,
        desk: AccountDesk,
        limits: EngineLimits,
        terms: Callable[[Order], Terms],
        wait: Waiter,
    ) -> None:
        self._desk = desk
        self._limits = limits
        self._wait = wait
        self._outbox = Outbox(desk, terms)
        self._went_out = False
        self.was_cut = False
        self.refused: dict[str, Reason] = {}  # by the gate, by symbol
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_SYMBOL_REQUESTS)

    async def send(
        self,
        due: Mapping[str, Decision],
        versions: Mapping[str, str],
        equity: Equity | None,
        lot_worth_usdt: Mapping[str, Decimal],
    ) -> bool:
        """Send everything that is due; False = nothing reached the wire.

        `lot_worth_usdt` is mark price times contract size. Sets `was_cut` when it stopped waiting
        because a newer target reduces.
        """
        reductions = [o for d in due.values() for o in d.orders if o.reduce_only]
        opening = {s: d for s, d in due.items() if any(not o.reduce_only for o in d.orders)}
        on_the_wire: set[asyncio.Task[object]] = set()
        if reductions:
            task = self._desk.spawn(self._reduce(reductions, versions))
            if not opening or not _has_margin(opening, equity, lot_worth_usdt, self._desk.leverage):
                self.was_cut = await self._wait({task}, REDUCTION_ANSWER_MS)
            else:
                on_the_wire.add(task)
        if opening and not self.was_cut:
            on_the_wire.add(self._desk.spawn(self._open(opening, versions, equity, lot_worth_usdt)))
        if on_the_wire:
            self.was_cut = await self._wait(on_the_wire, None if opening else REDUCTION_ANSWER_MS)
        return self._went_out

    async def _reduce(self, orders: list[Order], versions: Mapping[str, str]) -> None:
        for symbol in {order.symbol for order in orders}:
            self._desk.attempts[symbol] = reduction_sent(
                self._desk.attempts_of(symbol), now_ms=self._desk.now_ms()
            )
        for sent in await self._outbox.send(orders, versions):
            self._note(sent)
            if sent.outcome in ("placed", "refused"):
                continue
            symbol = sent.order.symbol
            attempts = self._desk.attempts_of(symbol)
            attempts = reduction_failed(attempts, now_ms=self._desk.now_ms())
            if isinstance(sent.error, RejectedError) and sent.error.kind == "nothing_to_reduce":
                expected = self._desk.ledger(symbol).expected_lots
                attempts = no_position(attempts, expected)
            self._desk.attempts[symbol] = attempts

    async def _open(
        self,
        opening: Mapping[str, Decision],
        versions: Mapping[str, str],
        equity: Equity | None,
        lot_worth_usdt: Mapping[str, Decimal],
    ) -> None:
        ready = await asyncio.gather(*(self._prepare(d) for d in opening.values()))
        orders = [
            order
            for decision, is_ready in zip(opening.values(), ready, strict=True)
            if is_ready
            for order in decision.orders
            if not order.reduce_only
        ]
        if not orders:
            return
        for sent in await self._outbox.send(orders, versions):
            self._note(sent)
            if sent.outcome in ("placed", "refused"):
                continue
            self._refuse(sent.order.symbol, str(sent.error))
            if isinstance(sent.error, RejectedError) and sent.error.kind == "margin":
                symbol = sent.order.symbol
                self._desk.attempts[symbol] = margin_refused(
                    self._desk.attempts_of(symbol),
                    equity_usdt=None if equity is None else equity.equity_usdt,
                    price=lot_worth_usdt.get(symbol),
                )

    async def _prepare(self, decision: Decision) -> bool:
        """Set margin mode and leverage; False = this symbol opens nothing (A17)."""
        desk, symbol = self._desk, decision.symbol
        async with self._slots:
            for action in decision.actions:
                if isinstance(action, Order):
                    continue
                if desk.gate.brakes(desk.name, symbol).mode is not Mode.RUN:
                    return False
                try:
                    if isinstance(action, SetLeverage):
                        await desk.venue.set_leverage(symbol, action.leverage)
                        desk.leverage[symbol] = action.leverage
                    elif isinstance(action, SetMarginMode):
                        await desk.venue.set_margin_mode(symbol, action.margin_mode)
                except TradeEngineError as error:
                    desk.leverage.pop(symbol, None)  # unknown now
                    self._refuse(symbol, f"{type(action).__name__}: {error}")
                    desk.events.alert(
                        f"not_prepared/{desk.name}/{symbol}",
                        f"{symbol} is not opened: {type(action).__name__} failed: {error}",
                        account=desk.name,
                        symbol=symbol,
                    )
                    return False
        desk.events.clear(f"not_prepared/{desk.name}/{symbol}")
        return True

    def _refuse(self, symbol: str, error: str) -> None:
        self._desk.attempts[symbol] = increase_failed(
            self._desk.attempts_of(symbol),
            now_ms=self._desk.now_ms(),
            error=error,
            first_s=self._limits.retry_first_s,
            longest_s=self._limits.retry_max_s,
        )

    def _note(self, sent: Sent) -> None:
        if sent.outcome == "refused":
            if sent.reason is not None:
                self.refused[sent.order.symbol] = sent.reason
            return
        self._went_out = True
        order = sent.order
        at = "at market" if order.limit_price is None else f"at {order.limit_price} or better"
        kind = " reduce-only" if order.reduce_only else ""
        trouble = "" if sent.error is None else f": {sent.error}"
        self._desk.events.emit(
            f"order_{sent.outcome}",
            f"{order.symbol} {order.size_lots:+} lots{kind} {at}: {sent.outcome}{trouble}",
            severity="info" if sent.error is None else "warning",
            account=self._desk.name,
            symbol=order.symbol,
            client_id=sent.client_id,
        )


def _has_margin(
    opening: Mapping[str, Decision],
    equity: Equity | None,
    lot_worth_usdt: Mapping[str, Decimal],
    leverage: Mapping[str, Decimal],
) -> bool:
    """True when free margin certainly carries the increases without the reductions."""
    if equity is None or equity.free_margin_usdt is None:
        return False
    needed = ZERO
    for symbol, decision in opening.items():
        set_to = [a.leverage for a in decision.actions if isinstance(a, SetLeverage)]
        by = set_to[0] if set_to else leverage.get(symbol)
        if symbol not in lot_worth_usdt or not by:
            return False
        lots = sum((abs(o.size_lots) for o in decision.orders), ZERO)
        needed += lots * lot_worth_usdt[symbol] / by
    return needed * _FEES_AND_DRIFT <= equity.free_margin_usdt


_FEES_AND_DRIFT = Decimal("1.05")
