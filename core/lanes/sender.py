"""Sends one round of decisions: reductions and increases side by side, leverage before increases.

Reductions go first where the increases need the margin that they free. Knows when to stop waiting;
what is still on the wire then goes on by itself and wakes the lane when it lands.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from decimal import Decimal

from core.attempts import (
    increase_failed,
    increase_sent,
    margin_refused,
    no_position,
    reduction_failed,
    reduction_sent,
    too_small_to_close,
)
from core.decision import Decision, Reason
from core.errors import CredentialsError, NotPlacedError, RejectedError, TradeEngineError
from core.gate import Terms
from core.lanes.account_desk import AccountDesk
from core.lanes.outbox import ANSWER_MS, TURN_MS, Outbox, Sent
from core.lanes.snapshot import Snapshot
from core.model import ZERO, Mode, Order, SetLeverage, SetMarginMode
from core.ports import SendKind
from core.settings import EngineLimits
from core.sizing import notional_usdt

MAX_CONCURRENT_SYMBOL_REQUESTS = 10

Waiter = Callable[[set[asyncio.Task[object]], int | None], Awaitable[bool]]


class Sender:
    """One round of one pass."""

    def __init__(
        self,
        desk: AccountDesk,
        limits: EngineLimits,
        snapshot: Snapshot,
        terms: Callable[[Order], Terms],
        wait: Waiter,
    ) -> None:
        self._desk = desk
        self._limits = limits
        self._snapshot = snapshot
        self._wait = wait
        self._outbox = Outbox(desk, terms)
        self._went_out = False
        self.was_cut = False
        self.refused: dict[str, Reason] = {}  # by the gate or the rate budget, by symbol
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_SYMBOL_REQUESTS)

    async def send(self, due: Mapping[str, Decision], versions: Mapping[str, str]) -> bool:
        """Send everything that is due; False = nothing reached the wire.

        Sets `was_cut` when it stopped waiting because a newer target reduces. Waiting for the rate
        budget is not waiting for an answer: the clock of an answer starts when the turn is ours.
        """
        opening = {s: d for s, d in due.items() if any(not o.reduce_only for o in d.orders)}
        on_the_wire: set[asyncio.Task[object]] = set()
        for symbol, cause in ((s, d.reopens) for s, d in due.items() if d.reopens):
            attempts = replace(self._desk.attempts_of(symbol), reopening=cause)
            self._desk.attempts[symbol] = attempts
        await self._start_reductions(due, opening, versions, on_the_wire)
        if opening and not self.was_cut:
            await self._start_increases(opening, versions, on_the_wire)
        if on_the_wire and not self.was_cut:
            await self._wait_for_answers(on_the_wire)
        return self._went_out

    async def _start_reductions(
        self,
        due: Mapping[str, Decision],
        opening: Mapping[str, Decision],
        versions: Mapping[str, str],
        on_the_wire: set[asyncio.Task[object]],
    ) -> None:
        """Send reductions; wait for them here where the increases need the margin they free."""
        reductions = [o for d in due.values() for o in d.orders if o.reduce_only]
        if not reductions or not await self._has_turn("reduce", reductions, None):
            return
        task = self._desk.spawn(self._reduce(reductions, versions))
        if opening and _has_margin(opening, self._snapshot, self._desk):
            on_the_wire.add(task)
        else:
            await self._wait_for_answers({task})

    async def _wait_for_answers(self, on_the_wire: set[asyncio.Task[object]]) -> None:
        """Wait until everything is answered, or what left last is overdue."""
        desk = self._desk
        due_ms = desk.now_ms() + ANSWER_MS
        while not self.was_cut:
            self.was_cut = await self._wait(on_the_wire, due_ms - desk.now_ms())
            due_ms = max(due_ms, self._outbox.due_ms)
            if desk.now_ms() >= due_ms or all(task.done() for task in on_the_wire):
                return

    async def _start_increases(
        self,
        opening: Mapping[str, Decision],
        versions: Mapping[str, str],
        on_the_wire: set[asyncio.Task[object]],
    ) -> None:
        if await self._has_turn("increase", _increases(opening.values()), TURN_MS):
            on_the_wire.add(self._desk.spawn(self._open(opening, versions)))

    async def _has_turn(self, kind: SendKind, orders: list[Order], limit_ms: int | None) -> bool:
        """Wait for the rate budget of the first orders; False = not now, with the reason noted."""
        venue = self._desk.venue
        count = min(len(orders), venue.orders_at_once(kind))
        turn = self._desk.turns.get(kind)  # one that an earlier pass did not wait out
        if turn is None or (turn.done() and self._desk.now_ms() - turn.result()[1] > TURN_MS):
            turn = self._desk.spawn(_turn(self._desk, kind, count))
            self._desk.turns[kind] = turn
        self.was_cut = await self._wait({turn}, limit_ms)
        if self.was_cut:
            return False
        refusal = "the rate budget is used up"
        if turn.done():
            del self._desk.turns[kind]
            refusal = turn.result()[0]
        if refusal:
            reason = Reason(code="rate_limited", text=refusal)
            self.refused.update({order.symbol: reason for order in orders})
        return not refusal

    async def _reduce(self, orders: list[Order], versions: Mapping[str, str]) -> None:
        desk = self._desk
        for symbol in {order.symbol for order in orders}:
            desk.attempts[symbol] = reduction_sent(desk.attempts_of(symbol), now_ms=desk.now_ms())
        for sent in await self._outbox.send(orders, versions):
            self._note(sent)
            if sent.outcome in ("placed", "refused"):
                continue
            symbol = sent.order.symbol
            attempts = reduction_failed(desk.attempts_of(symbol), now_ms=desk.now_ms())
            expected = desk.ledger(symbol).expected_lots
            kind = sent.error.kind if isinstance(sent.error, RejectedError) else ""
            if kind == "nothing_to_reduce":
                attempts = no_position(attempts, expected)
            elif kind == "size" and expected == -sent.order.size_lots:
                attempts = too_small_to_close(attempts, expected)
            desk.attempts[symbol] = attempts

    async def _open(self, opening: Mapping[str, Decision], versions: Mapping[str, str]) -> None:
        ready = await asyncio.gather(*(self._prepare(d) for d in opening.values()))
        prepared = [d for d, is_ready in zip(opening.values(), ready, strict=True) if is_ready]
        orders = _increases(prepared)
        if not orders:
            return
        for decision in prepared:
            self._desk.attempts[decision.symbol] = increase_sent(
                self._desk.attempts_of(decision.symbol),
                is_shrunk=any(r.code == "shrunk" for r in decision.reasons),
            )
        self._learn_from(await self._outbox.send(orders, versions))

    def _learn_from(self, increases: Iterable[Sent]) -> None:
        """Note what became of increases; margin once a symbol, after all else."""
        out_of_margin: set[str] = set()
        for sent in increases:
            self._note(sent)
            if sent.outcome in ("placed", "refused"):
                continue
            self._refuse(sent.order.symbol, str(sent.error))
            kind = sent.error.kind if isinstance(sent.error, RejectedError) else ""
            if kind == "margin":
                out_of_margin.add(sent.order.symbol)
            elif kind == "mode":  # somebody changed it: set it anew before the next try
                self._desk.forget_modes(sent.order.symbol)
                self._desk.mode_read_at_ms = 0  # the account's are read anew before that, too
        for symbol in out_of_margin:
            self._note_margin(symbol)

    def _note_margin(self, symbol: str) -> None:
        equity, ticker = self._snapshot.equity, self._snapshot.tickers.get(symbol)
        self._desk.attempts[symbol] = margin_refused(
            self._desk.attempts_of(symbol),
            equity_usdt=None if equity is None else equity.equity_usdt,
            price=None if ticker is None else ticker.mark_price,
        )

    async def _prepare(self, decision: Decision) -> bool:
        """Set margin mode and leverage; False = this symbol opens nothing (A17)."""
        desk, symbol = self._desk, decision.symbol
        async with self._slots:
            for action in decision.actions:
                if not isinstance(action, SetMarginMode | SetLeverage):
                    continue
                if desk.gate.brakes(desk.name, symbol).mode is not Mode.RUN:
                    return False
                try:
                    await self._set(action)
                except TradeEngineError as error:
                    self._not_prepared(action, error)
                    return False
        desk.events.clear(f"not_prepared/{desk.name}/{symbol}")
        return True

    async def _set(self, action: SetMarginMode | SetLeverage) -> None:
        """Set leverage or margin mode. Raises what the venue's writes raise."""
        desk, symbol = self._desk, action.symbol
        if isinstance(action, SetLeverage):
            await desk.venue.set_leverage(symbol, action.leverage)
            desk.set_leverage_known(symbol, action.leverage)
            return
        await desk.venue.set_margin_mode(symbol, action.margin_mode)
        desk.forget_modes(symbol)  # some venues keep a leverage for each mode
        if desk.mode is not None and desk.mode.margin_mode is not None:
            desk.note_account_mode(replace(desk.mode, margin_mode=action.margin_mode))
        else:
            desk.margin_modes[symbol] = action.margin_mode

    def _not_prepared(self, action: SetMarginMode | SetLeverage, error: TradeEngineError) -> None:
        desk, symbol = self._desk, action.symbol
        desk.forget_modes(symbol)
        self._refuse(symbol, f"{type(action).__name__}: {error}")
        is_refusal = isinstance(error, RejectedError) and error.kind not in ("margin", "symbol")
        if is_refusal and isinstance(action, SetLeverage) and desk.ledger(symbol).expected_lots:
            desk.attempts[symbol] = replace(
                desk.attempts_of(symbol), leverage_refused=action.leverage
            )
        desk.events.alert(
            f"not_prepared/{desk.name}/{symbol}",
            f"{symbol} is not opened: {type(action).__name__} failed: {error}",
            account=desk.name,
            symbol=symbol,
        )

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
        if sent.outcome == "unknown":
            self._desk.open_orders_read_at_ms = 0  # look at what rests, soon
        if sent.outcome == "placed":
            self._desk.write_refusals = 0
        if isinstance(sent.error, CredentialsError):
            self._desk.write_refusals += 1
            self._desk.refused_credentials = sent.error
        order = sent.order
        at = "at market" if order.limit_price is None else f"at {order.limit_price} or better"
        kind = " reduce-only" if order.reduce_only else ""
        trouble = "" if sent.error is None else f": {sent.error}"
        self._desk.events.emit(
            f"order_{sent.outcome}",
            f"{order.symbol} {order.size_lots:+f} lots{kind} {at}: {sent.outcome}{trouble}",
            severity="info" if sent.error is None else "warning",
            account=self._desk.name,
            symbol=order.symbol,
            client_id=sent.client_id,
        )


def _increases(decisions: Iterable[Decision]) -> list[Order]:
    return [o for d in decisions for o in d.orders if not o.reduce_only]


async def _turn(desk: AccountDesk, kind: SendKind, count: int) -> tuple[str, int]:
    """Wait for the rate budget; gives why there is none, or nothing, and when that was known."""
    refusal = ""
    try:
        await desk.venue.wait_turn(kind, count)
    except NotPlacedError as error:
        refusal = str(error)
    return refusal, desk.now_ms()


def _has_margin(opening: Mapping[str, Decision], snapshot: Snapshot, desk: AccountDesk) -> bool:
    """True when free margin certainly carries the increases without the reductions."""
    if snapshot.equity is None or snapshot.equity.free_margin_usdt is None:
        return False
    needed = ZERO
    for symbol, decision in opening.items():
        set_to = [a.leverage for a in decision.actions if isinstance(a, SetLeverage)]
        by = set_to[0] if set_to else desk.known_leverage(symbol)
        instrument, ticker = snapshot.instruments.get(symbol), snapshot.tickers.get(symbol)
        if instrument is None or ticker is None or not by:
            return False
        lots = sum((abs(o.size_lots) for o in decision.orders), ZERO)
        needed += notional_usdt(lots, ticker.mark_price, instrument) / by
    return needed * _FEES_AND_DRIFT <= snapshot.equity.free_margin_usdt


_FEES_AND_DRIFT = Decimal("1.05")
