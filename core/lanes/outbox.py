"""How an order leaves: rate budget, gate, intent on disk, gate again, bytes, outcome on disk.

The only place that calls `Venue.place_orders`. Nothing is sent twice: an answer that does not say
what happened leaves the intent open, and the look-up settles it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from core.decision import Reason
from core.errors import (
    NotPlacedError,
    RejectedError,
    TradeEngineError,
    UnknownOutcomeError,
)
from core.gate import Terms
from core.intents import intents_for
from core.lanes.account_desk import AccountDesk
from core.ledger import Intended, Learned
from core.model import Mode, Order, OrderRequest, PlacedOrder
from core.ports import SendKind

ANSWER_MS = 2_000  # an unanswered order counts as unknown after this
TURN_MS = 3_000  # an increase rests on a young read: better plan again than wait longer

SendOutcome = Literal["placed", "unknown", "rejected", "not_placed", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What became of one order, as far as the venue's answer tells."""

    order: Order
    outcome: SendOutcome
    client_id: str = ""
    error: TradeEngineError | None = None
    reason: Reason | None = None


class Outbox:
    """One account's way out."""

    def __init__(self, desk: AccountDesk, terms: Callable[[Order], Terms]) -> None:
        self._desk = desk
        self._terms = terms
        self.due_ms = 0  # when the answer, or the turn, that it waits for is overdue

    async def send(self, orders: Sequence[Order], versions: Mapping[str, str]) -> tuple[Sent, ...]:
        """Send orders of one kind (all reductions or all increases), as many at once as allowed.

        The caller has waited for the turn of the first `orders_at_once`.
        """
        kind: SendKind = "reduce" if orders[0].reduce_only else "increase"
        most = self._desk.venue.orders_at_once(kind)
        sent: list[Sent] = []
        for first in range(0, len(orders), most):
            chunk = orders[first : first + most]
            if first:  # a turn that nobody uses is kept for seconds, and the next would wait for it
                let_go, refused = self._ask(chunk)
                if not let_go:
                    sent.extend(refused)
                    continue
            refusal = await self._next_turn(kind, len(chunk)) if first else None
            if refusal is not None:
                sent.extend(Sent(order=o, outcome="refused", reason=refusal) for o in chunk)
            else:
                sent.extend(await self._send_chunk(kind, chunk, versions))
        return tuple(sent)

    async def _next_turn(self, kind: SendKind, count: int) -> Reason | None:
        self.due_ms = self._desk.now_ms() + TURN_MS
        try:
            await self._desk.venue.wait_turn(kind, count)
        except NotPlacedError as error:
            return Reason(code="rate_limited", text=str(error))
        return None

    async def _send_chunk(
        self, kind: SendKind, orders: Sequence[Order], versions: Mapping[str, str]
    ) -> tuple[Sent, ...]:
        desk = self._desk
        let_go, refused = self._ask(orders)
        if not let_go:
            return refused
        intents = intents_for(let_go, desk.ids, versions, desk.now_ms())
        try:
            await self._make_durable(kind, intents)
        except OSError as error:
            reason = Reason(code="disk", text=f"the intent could not be stored: {error}")
            desk.events.alert(f"disk/{desk.name}", reason.text, severity="error", account=desk.name)
            return (*refused, *(Sent(order=o, outcome="refused", reason=reason) for o in let_go))
        sent = await self._hand_over(dict(zip((i.client_id for i in intents), let_go, strict=True)))
        return (*refused, *sent)

    def _ask(
        self, orders: Sequence[Order], *, are_counted: bool = False
    ) -> tuple[list[Order], tuple[Sent, ...]]:
        """Ask the gate; orders that `are_counted` are in the account's number of orders already."""
        let_go: list[Order] = []
        refused: list[Sent] = []
        for order in orders:
            terms = self._terms(order)
            if not are_counted:
                budget = self._desk.watch.order_refusal(pending=len(let_go))
                terms = replace(terms, budget=budget)
            reason = self._desk.gate.refusal(self._desk.name, order, terms)
            if reason is None:
                let_go.append(order)
            else:
                refused.append(Sent(order=order, outcome="refused", reason=reason))
        return let_go, tuple(refused)

    async def _make_durable(self, kind: SendKind, intents: Sequence[Intended]) -> None:
        journal = self._desk.journal
        if kind == "increase":
            await journal.intend(self._desk.name, intents)
            return
        await journal.record(self._desk.name, intents)
        if journal.disk_error:
            text = f"reductions are sent from memory: {journal.disk_error}"
            self._desk.events.alert(
                f"disk/{self._desk.name}", text, severity="error", account=self._desk.name
            )

    async def _hand_over(self, orders: Mapping[str, Order]) -> tuple[Sent, ...]:
        """Ask the gate once more, a disk's time later, then send."""
        ids = list(orders)
        let_go, refused = self._ask(list(orders.values()), are_counted=True)
        going = [i for i in ids if orders[i] in let_go]
        stopped = [i for i in ids if i not in going]
        await self._learn(dict.fromkeys(stopped, "not_sent"), orders)
        if not going:
            return refused
        self.due_ms = self._desk.now_ms() + ANSWER_MS
        results = await self._place([_request(i, orders[i]) for i in going])
        sent = tuple(
            _sent(orders[client_id], client_id, result)
            for client_id, result in zip(going, results, strict=True)
        )
        await self._record(sent, results)
        return (*refused, *sent)

    async def _place(
        self, requests: Sequence[OrderRequest]
    ) -> tuple[PlacedOrder | TradeEngineError, ...]:
        try:
            return await self._desk.venue.place_orders(requests, may_go=self._stopped_by)
        except TradeEngineError as error:
            return tuple(error for _ in requests)

    def _stopped_by(self, order: OrderRequest) -> str:
        """Ask the brakes in the moment before the bytes: the venue may have let us wait."""
        brakes = self._desk.gate.brakes(self._desk.name, order.symbol)
        is_stopped = brakes.mode is Mode.HALT or brakes.is_dry_run
        is_paused = brakes.mode is not Mode.RUN and not order.reduce_only
        return f"not sent: {brakes.reason}" if is_stopped or is_paused else ""

    async def _record(
        self, sent: Sequence[Sent], results: Sequence[PlacedOrder | TradeEngineError]
    ) -> None:
        now_ms = self._desk.now_ms()
        rows = []
        for one, result in zip(sent, results, strict=True):
            placed = result if isinstance(result, PlacedOrder) else None
            open_status: Literal["placed", "unknown"] = "placed" if placed else "unknown"
            is_open = one.outcome in ("placed", "unknown")
            rows.append(
                Learned(
                    symbol=one.order.symbol,
                    client_id=one.client_id,
                    status=open_status if is_open else "closed",
                    at_ms=now_ms,
                    order_id=placed.order_id if placed else "",
                    reason=str(one.error or ""),
                )
            )
        await self._desk.journal.record(self._desk.name, rows)

    async def _learn(self, reasons: Mapping[str, str], orders: Mapping[str, Order]) -> None:
        rows = [
            Learned(
                symbol=orders[client_id].symbol,
                client_id=client_id,
                status="closed",
                at_ms=self._desk.now_ms(),
                reason=reason,
            )
            for client_id, reason in reasons.items()
        ]
        await self._desk.journal.record(self._desk.name, rows)


def _request(client_id: str, order: Order) -> OrderRequest:
    return OrderRequest(
        client_id=client_id,
        symbol=order.symbol,
        size_lots=order.size_lots,
        reduce_only=order.reduce_only,
        limit_price=order.limit_price,
        leverage=order.leverage,
        margin_mode=order.margin_mode,
    )


def _sent(order: Order, client_id: str, result: PlacedOrder | TradeEngineError) -> Sent:
    if isinstance(result, PlacedOrder):
        return Sent(order=order, outcome="placed", client_id=client_id)
    return Sent(order=order, outcome=_outcome(result), client_id=client_id, error=result)


def _outcome(error: TradeEngineError) -> SendOutcome:
    if isinstance(error, RejectedError):
        # an id of ours that the venue knows already: look it up, it is not a refusal
        return "unknown" if error.kind == "duplicate_id" else "rejected"
    if isinstance(error, NotPlacedError):
        return "not_placed"
    if isinstance(error, UnknownOutcomeError):
        return "unknown"
    return "rejected" if type(error).__name__ == "CredentialsError" else "unknown"
