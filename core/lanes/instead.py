"""What a pass makes an account hold in place of what the sources want: one leg of a test trade.

A test position that its command left behind is wanted by nobody: it is closed by the next pass,
also after a restart, since its version bears the mark.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from core.decision import Frozen
from core.lanes.account_desk import AccountDesk
from core.lanes.snapshot import Snapshot
from core.model import ZERO, Target
from core.sizing import minimum_lots

MARK: Final = "test-"  # how versions of test trades begin
ROOM: Final = Decimal("0.98")
TOKEN_EXPOSURE: Final = Decimal("0.000001")  # only its sign counts: the lots are given


@dataclass(frozen=True, slots=True, kw_only=True)
class Instead:
    """One symbol, and what shall be held of it; `lots` None = the venue's minimum."""

    symbol: str
    sign: int  # 1 long, -1 short, 0 flat
    lots: Decimal | None
    leverage: Decimal
    version: str
    now_ms: int

    @property
    def target(self) -> Target:
        """Give it as a pass takes it."""
        exposure = TOKEN_EXPOSURE * self.sign
        return Target(
            symbol=self.symbol,
            exposure=exposure,
            fresh_exposure=exposure,
            leverage=self.leverage if self.sign else ZERO,
            version=self.version,
            newest_signal_at_ms=self.now_ms,
            instructed_at_ms=None,
        )

    def frozen(self, snapshot: Snapshot) -> Frozen:
        """Give its lots; None in it while instrument or price is unknown."""
        target = self.target
        return Frozen(
            version=self.version,
            exposure=target.exposure,
            leverage=target.leverage,
            lots=self._lots(snapshot),
            started=True,
        )

    def _lots(self, snapshot: Snapshot) -> Decimal | None:
        if not self.sign:
            return ZERO
        instrument = snapshot.instruments.get(self.symbol)
        ticker = snapshot.tickers.get(self.symbol)
        if instrument is None or ticker is None:
            return None
        least = minimum_lots(instrument, ticker.mark_price * ROOM)  # also at a limit below mark
        return self.sign * max(self.lots or ZERO, least)


def left_behind(desk: AccountDesk, targets: Mapping[str, Target]) -> dict[str, Target]:
    """Give targets of 0 for test positions that nobody else wants anything of."""
    return {
        symbol: Instead(
            symbol=symbol,
            sign=0,
            lots=None,
            leverage=ZERO,
            version=f"{MARK}left",
            now_ms=desk.wall_ms(),
        ).target
        for symbol, frozen in desk.frozen.of_account(desk.name).items()
        if frozen.version.startswith(MARK) and symbol not in targets and desk.ledger(symbol).is_left
    }
