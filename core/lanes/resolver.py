"""Finding out: how our open orders ended, whether a read may be believed, who changed what.

I/O around the pure rules of `core.ledger`. Never sends an order; may cancel one of ours that rests
although it should not.
"""

import asyncio
from collections.abc import Sequence
from decimal import Decimal

from core.errors import TradeEngineError
from core.intents import engine_of, minted_at_ms
from core.lanes.account_desk import AccountDesk
from core.lanes.open_orders import cancel_order, notice_strangers
from core.lanes.outbox import ANSWER_MS
from core.ledger import (
    Held,
    Hold,
    HoldKind,
    Learned,
    OpenIntent,
    Row,
    Said,
    SymbolLedger,
    Trust,
    all_filled,
    judge,
    reread,
)
from core.model import ZERO, OrderState

RESTS_MS = 5_000  # an order of ours should be over by now: cancel it
REREAD_TIMEOUT_S = 3
CLOCKS_APART_MS = 5_000  # the venue's clock against ours


class Resolver:
    """One account's detective."""

    def __init__(
        self, desk: AccountDesk, *, restores: bool, retry_first_s: float, retry_max_s: float
    ) -> None:
        self._desk = desk
        self._restores = restores
        self._waits = {"first_s": retry_first_s, "longest_s": retry_max_s}

    def look_ups(self, symbols: Sequence[str] | None = None) -> list[asyncio.Task[None]]:
        """Start looking up every order of ours whose end is not known, of `symbols` or of all."""
        desk = self._desk
        return [
            desk.spawn(self._look_up(symbol, intent))
            for symbol in (desk.journal.symbols(desk.name) if symbols is None else symbols)
            for intent in desk.ledger(symbol).open
            if intent.client_id not in desk.looked_up
            and intent.status != "absent"  # it is over once a read counts
            and (intent.status != "sent" or desk.now_ms() - intent.sent_at_ms >= ANSWER_MS)
        ]

    async def believe(
        self, symbol: str, lots: Decimal | None, began_at_ms: int, said: Said
    ) -> Trust:
        """Judge a read, asking the venue where that helps; journal what a trusted read shows."""
        desk = self._desk
        if all_filled(desk.ledger(symbol), lots, began_at_ms):
            await self._close_as_filled(symbol)
            return await self._accept(symbol, lots, said, seen_fills=True)
        trust = judge(desk.ledger(symbol), lots, began_at_ms)
        was_liquidated = False
        if trust is Trust.REREAD:
            was_liquidated = await self._read_orders_again(symbol, lots)
            trust = judge(desk.ledger(symbol), lots, began_at_ms)
        if trust is Trust.COUNTS:
            return await self._accept(symbol, lots, said, was_liquidated=was_liquidated)
        return trust

    async def _look_up(self, symbol: str, intent: OpenIntent) -> None:
        desk = self._desk
        began_ms = desk.now_ms()
        desk.looked_up.add(intent.client_id)
        try:
            state = await desk.venue.fetch_order(symbol, intent.client_id)
        except TradeEngineError as error:
            text = f"{symbol}: {intent.client_id} cannot be looked up: {error}"
            desk.events.alert(f"look_up/{desk.name}", text, account=desk.name, symbol=symbol)
            return
        finally:
            desk.looked_up.discard(intent.client_id)
        desk.events.clear(f"look_up/{desk.name}")
        if all(i.client_id != intent.client_id for i in desk.ledger(symbol).open):
            return  # its own answer came first
        if state is None:
            if began_ms >= intent.sent_at_ms + desk.venue.deadline_ms():
                await self._learn(symbol, intent, "absent", ZERO, "not known to the venue")
            return
        if state.is_terminal:
            await self._learn(symbol, intent, "closed", state.filled_lots, state.reason)
            desk.note_end(intent, symbol, state.filled_lots, self._waits)
            return
        if intent.status != "placed":
            await self._learn(symbol, intent, "placed", ZERO, "found open")
        if desk.now_ms() - intent.sent_at_ms >= RESTS_MS:
            await cancel_order(desk, symbol, intent.client_id)

    async def _learn(
        self, symbol: str, intent: OpenIntent, status: str, filled: Decimal, reason: str
    ) -> None:
        row = Learned(
            symbol=symbol,
            client_id=intent.client_id,
            status=status,  # type: ignore[arg-type] # one of three literals above
            at_ms=self._desk.now_ms(),
            filled_lots=filled,
            reason=reason,
        )
        await self._desk.journal.record(self._desk.name, [row])

    async def _close_as_filled(self, symbol: str) -> None:
        desk = self._desk
        rows = []
        for intent in desk.ledger(symbol).open:
            rows.append(
                Learned(
                    symbol=symbol,
                    client_id=intent.client_id,
                    status="closed",
                    at_ms=desk.now_ms(),
                    filled_lots=intent.size_lots,
                    reason="seen in the position",
                )
            )
            desk.note_end(intent, symbol, intent.size_lots, self._waits)
        await desk.journal.record(desk.name, rows)

    async def _read_orders_again(self, symbol: str, lots: Decimal | None) -> bool:
        """Read recent orders to explain a difference; True = a liquidation since the baseline."""
        desk = self._desk
        try:
            async with asyncio.timeout(REREAD_TIMEOUT_S):
                states = await desk.venue.fetch_recent_orders(symbol)
        except (TradeEngineError, TimeoutError) as error:
            text = f"{symbol}: our recent orders cannot be read: {error}"
            desk.events.alert(f"look_up/{desk.name}", text, account=desk.name, symbol=symbol)
            return False
        desk.events.clear(f"look_up/{desk.name}")
        notice_strangers(desk, states)
        await self._count_late_fills(symbol, lots, states)
        ledger = reread(desk.ledger(symbol), desk.now_ms())
        desk.journal.set_ledger(desk.name, ledger)
        return any(_is_liquidation_since(s, ledger.baseline_at_ms) for s in states)

    async def _count_late_fills(
        self, symbol: str, lots: Decimal | None, states: Sequence[OrderState]
    ) -> None:
        """Take own fills that we had missed, where they explain what is held."""
        ledger = self._desk.ledger(symbol)
        rows = _late_fills(ledger, states, self._desk.engine_id, self._desk.now_ms())
        expected = ledger.expected_lots
        counted = {c.client_id: c.filled_lots for c in ledger.closed}
        late = sum((r.filled_lots - counted.get(r.client_id, ZERO) for r in rows), ZERO)
        if rows and expected is not None and expected + late == lots:
            await self._desk.journal.record(self._desk.name, rows)

    async def _accept(
        self,
        symbol: str,
        lots: Decimal | None,
        said: Said,
        *,
        seen_fills: bool = False,
        was_liquidated: bool = False,
    ) -> Trust:
        """Journal what a read that counts shows."""
        desk, ledger = self._desk, self._desk.ledger(symbol)
        if lots is None:
            return Trust.UNREADABLE
        absent = [] if seen_fills else [i for i in ledger.open if i.status == "absent"]
        rows: list[Row] = [_never_placed(symbol, i, desk.now_ms()) for i in absent]
        for intent in absent:
            desk.note_end(intent, symbol, ZERO, self._waits)
        # what appears on a symbol that is closed down is somebody else's and is left to them
        is_left_alone = desk.closing is not None and ledger.expected_lots == ZERO
        if lots != ledger.expected_lots and not is_left_alone:
            rows.append(self._held(ledger, lots, said, was_liquidated=was_liquidated))
        await desk.journal.record(desk.name, rows)
        return Trust.COUNTS

    def _held(
        self, ledger: SymbolLedger, lots: Decimal, said: Said, *, was_liquidated: bool
    ) -> Held:
        """Give the new baseline; a change that was not ours holds the symbol."""
        desk, symbol, hold = self._desk, ledger.symbol, ledger.hold
        expected = ledger.expected_lots
        if ledger.is_ours and expected is not None:
            cause = ": a liquidation" if was_liquidated else ""
            text = f"{symbol} changed from {expected:f} to {lots:f} lots, not by us{cause}"
            desk.events.emit(
                "external_change", text, severity="warning", account=desk.name, symbol=symbol
            )
            if was_liquidated or not self._restores:
                stays = hold is not None and hold.kind is HoldKind.LIQUIDATION
                kind = HoldKind.LIQUIDATION if was_liquidated or stays else HoldKind.EXTERNAL
                hold = Hold(
                    kind=kind,
                    at_ms=desk.wall_ms(),
                    text=text,
                    level_sign=said.level_sign,
                    instruction_id=said.instruction_id,
                )
        return Held(
            symbol=symbol, lots=lots, at_ms=desk.now_ms(), is_ours=ledger.is_ours, hold=hold
        )


def _late_fills(
    ledger: SymbolLedger, states: Sequence[OrderState], engine_id: str, now_ms: int
) -> list[Learned]:
    """Find own fills that the ledger does not count, lost intents' too (a full disk, a crash)."""
    counted = {c.client_id: c.filled_lots for c in ledger.closed}
    open_ids = {i.client_id for i in ledger.open}

    def is_uncounted(state: OrderState) -> bool:
        if state.client_id in open_ids:
            return True
        if state.client_id in counted:
            return counted[state.client_id] != state.filled_lots
        minted_ms = minted_at_ms(state.client_id)
        if minted_ms is None or engine_of(state.client_id) != engine_id:
            return False
        return minted_ms > ledger.baseline_at_ms

    return [
        Learned(
            symbol=ledger.symbol,
            client_id=state.client_id,
            status="closed",
            at_ms=now_ms,
            filled_lots=state.filled_lots,
            reason="found later",
        )
        for state in states
        if state.is_terminal and is_uncounted(state)
    ]


def _is_liquidation_since(state: OrderState, since_ms: int) -> bool:
    if not state.is_liquidation:
        return False
    return state.updated_at_ms is None or state.updated_at_ms >= since_ms - CLOCKS_APART_MS


def _never_placed(symbol: str, intent: OpenIntent, now_ms: int) -> Learned:
    return Learned(
        symbol=symbol,
        client_id=intent.client_id,
        status="closed",
        at_ms=now_ms,
        reason="never reached the venue",
    )
