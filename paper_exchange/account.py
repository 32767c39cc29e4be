"""The state of one account as one immutable value: money, positions, settings, orders, fills.

Rows are frozen and dicts are never changed in place, so an older state stays what it was: that is
how a stale read is served.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from paper_exchange.instruments import PaperInstrument
from paper_exchange.orders import ZERO, BookOrder, Execution, MarginMode

START_BALANCE_USDT = Decimal(100_000)
DEFAULT_LEVERAGE = Decimal(10)
EVERY_SYMBOL = ""  # key of a setting that holds where a symbol has none of its own


def position_key(symbol: str, side_index: int) -> str:
    """Key of a position or leverage: one-way side 0; hedge mode 1 long, 2 short."""
    return f"{symbol}:{side_index}"


def leverage_key(symbol: str, side_index: int, mode: MarginMode) -> str:
    """Key of a leverage that holds in one margin mode only."""
    return f"{position_key(symbol, side_index)}:{mode}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """One held side of one symbol; a flat one is absent."""

    symbol: str
    side_index: int
    size_lots: Decimal  # signed, never 0
    entry_price: Decimal
    isolated_margin_usdt: Decimal = ZERO  # 0 under cross margin
    realized_usdt: Decimal = ZERO  # since it was opened, after fees
    created_ms: int
    updated_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountState:
    """Everything that the venue knows of one account."""

    wallet_usdt: Decimal = START_BALANCE_USDT
    realized_usdt: Decimal = ZERO  # ever, after fees and funding
    positions: Mapping[str, Position] = field(default_factory=dict)
    leverages: Mapping[str, Decimal] = field(default_factory=dict)
    margin_modes: Mapping[str, MarginMode] = field(default_factory=dict)
    hedged: Mapping[str, bool] = field(default_factory=dict)
    orders: dict[str, BookOrder] = field(default_factory=dict)  # by order id, oldest first
    executions: tuple[Execution, ...] = ()  # oldest first
    sequence: int = 0
    funded_until_ms: int = 0

    def position(self, symbol: str, side_index: int = 0) -> Position | None:
        """The held side, None when flat."""
        return self.positions.get(position_key(symbol, side_index))

    def size_lots(self, symbol: str, side_index: int = 0) -> Decimal:
        """Signed size, 0 when flat."""
        found = self.position(symbol, side_index)
        return found.size_lots if found else ZERO

    def leverage(self, instrument: PaperInstrument, side_index: int = 0) -> Decimal:
        """The leverage in force: as set for the margin mode or for all, else 10 or the maximum."""
        symbol, mode = instrument.symbol, self.margin_mode(instrument.symbol)
        default = min(DEFAULT_LEVERAGE, instrument.max_leverage)
        for_all = self.leverages.get(position_key(symbol, side_index), default)
        return self.leverages.get(leverage_key(symbol, side_index, mode), for_all)

    def margin_mode(self, symbol: str = EVERY_SYMBOL) -> MarginMode:
        """The symbol's own mode, else the account's."""
        account_wide = self.margin_modes.get(EVERY_SYMBOL, MarginMode.CROSS)
        return self.margin_modes.get(symbol, account_wide)

    def is_hedged(self, symbol: str = EVERY_SYMBOL) -> bool:
        """True if long and short are held side by side."""
        return self.hedged.get(symbol, self.hedged.get(EVERY_SYMBOL, False))

    def open_orders(self, symbol: str | None = None) -> list[BookOrder]:
        """Orders that may still be filled, oldest first."""
        return [
            order
            for order in self.orders.values()
            if order.is_open and symbol in {None, order.ticket.symbol}
        ]

    def find_order(self, order_id: str = "", client_id: str = "") -> BookOrder | None:
        """By order id, else the newest with that client id."""
        if order_id:
            return self.orders.get(order_id)
        if not client_id:
            return None
        newest_first = reversed(self.orders.values())
        return next((order for order in newest_first if order.ticket.client_id == client_id), None)
