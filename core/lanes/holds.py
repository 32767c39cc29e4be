"""Putting holds on and lifting them: adoption of what was held before us, resume, new instructions.

Journals every change in the same row as the baseline it belongs to, so that it survives a restart.
"""

from decimal import Decimal
from typing import Literal

from core.lanes.account_desk import AccountDesk
from core.ledger import SETTLE_MS, Held, Hold, HoldKind, Said, SymbolLedger, is_lifted
from core.model import ZERO, Target

AdoptPolicy = Literal["auto", "refuse", "adopt"]


class Holds:
    """One account's holds, reviewed on a read that counts."""

    def __init__(self, desk: AccountDesk, adopt_policy: AdoptPolicy) -> None:
        self._desk = desk
        paper = desk.account.is_paper
        self._adopts = adopt_policy == "adopt" or (adopt_policy == "auto" and paper)

    async def review(self, symbol: str, lots: Decimal, target: Target | None, said: Said) -> None:
        """Lift the symbol's hold if its time has come; ask about a position that is not ours."""
        ledger = self._desk.ledger(symbol)
        if ledger.hold is not None:
            await self._perhaps_lift(ledger, ledger.hold, lots, said)
        elif target is not None and lots and not ledger.is_ours:
            await self._meet_a_stranger(ledger, lots)

    async def take_both_sides(
        self, symbol: str, sides: tuple[Decimal, Decimal], began_at_ms: int
    ) -> None:
        """Take both sides for the baseline: a flatten closes both, and their end is no surprise.

        Once for each flatten, and again whenever our last fill has settled: a read may be old.
        """
        desk, ledger = self._desk, self._desk.ledger(symbol)
        flatten = (symbol, desk.gate.brakes(desk.name, symbol).flatten)
        is_settled = (
            ledger.last_fill_at_ms is None or began_at_ms >= ledger.last_fill_at_ms + SETTLE_MS
        )
        lots = sum(sides, ZERO)
        if ledger.open or (flatten in desk.sides_taken and not is_settled):
            return
        desk.sides_taken.add(flatten)
        if lots != ledger.expected_lots:
            await self._journal(ledger, lots, hold=ledger.hold, is_ours=False)

    async def _perhaps_lift(
        self,
        ledger: SymbolLedger,
        hold: Hold,
        lots: Decimal,
        said: Said,
    ) -> None:
        is_gone = hold.kind is HoldKind.ADOPT and not lots
        if not is_gone and not is_lifted(
            hold,
            resumed_at_ms=self._desk.resumed_at_ms(ledger.symbol),
            said=said,
        ):
            return
        await self._journal(ledger, lots, hold=None, is_ours=not is_gone)

    async def _meet_a_stranger(self, ledger: SymbolLedger, lots: Decimal) -> None:
        desk, symbol = self._desk, ledger.symbol
        if self._adopts:
            await self._journal(ledger, lots, hold=None, is_ours=True)
            desk.events.emit(
                "adopted",
                f"{symbol}: {lots} lots that were held before are ours now",
                account=desk.name,
                symbol=symbol,
            )
            return
        text = (
            f"{symbol}: {lots} lots were held before our first order; nothing is sent until "
            f"`trade-engine resume {symbol} --account {desk.name}`"
        )
        hold = Hold(kind=HoldKind.ADOPT, at_ms=desk.wall_ms(), text=text)
        await self._journal(ledger, lots, hold=hold, is_ours=False)

    async def _journal(
        self, ledger: SymbolLedger, lots: Decimal, *, hold: Hold | None, is_ours: bool
    ) -> None:
        row = Held(
            symbol=ledger.symbol,
            lots=lots,
            at_ms=self._desk.now_ms(),
            is_ours=is_ours or ledger.is_ours,
            hold=hold,
        )
        await self._desk.journal.record(self._desk.name, [row])
