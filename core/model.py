"""The values that decisions are made of.

Frozen, without behaviour beyond arithmetic on their own fields; no I/O, clock or chance.
Sign everywhere: long/buy > 0, short/sell < 0. A *lot* is the venue's own unit of amount (base coin
on Bybit, contracts elsewhere); `contract_size` is base coin per lot. `None` = unknown, never zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any

ZERO = Decimal(0)


class Mode(StrEnum):
    """What the engine may send; ordered by strictness in `STRICTNESS`."""

    RUN = "run"
    PAUSE = "pause"  # reductions only
    FLATTEN = "flatten"  # everything to zero, then nothing
    HALT = "halt"  # nothing at all


class OrderStatus(StrEnum):
    """Where an order stands at the venue."""

    OPEN = "open"
    FILLED = "filled"
    CANCELED = "canceled"  # possibly after a partial fill
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """One USDT perpetual as a venue lists it; sizes in lots, prices in USDT per base coin."""

    symbol: str
    step_lots: Decimal
    min_lots: Decimal
    max_market_lots: Decimal | None  # larger orders are split
    min_notional_usdt: Decimal  # 0 where the venue has none
    contract_size: Decimal  # base coin per lot
    tick_size: Decimal
    max_leverage: Decimal
    leverage_step: Decimal
    is_trading: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticker:
    """Prices of one symbol, in USDT per base coin."""

    symbol: str
    mark_price: Decimal
    last_price: Decimal | None
    bid_price: Decimal | None
    ask_price: Decimal | None
    read_at_ms: int  # our clock, when the read began


@dataclass(frozen=True, slots=True, kw_only=True)
class Equity:
    """An account's worth in USDT, unrealised PnL included; None = unknown."""

    equity_usdt: Decimal | None
    free_margin_usdt: Decimal | None
    used_margin_usdt: Decimal | None  # initial margin of positions; tells "no rows" from "flat"
    unrealized_pnl_usdt: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """What the venue says is held; `size_lots` is signed and always known, the rest may not be."""

    symbol: str
    size_lots: Decimal
    entry_price: Decimal | None = None
    mark_price: Decimal | None = None
    leverage: Decimal | None = None
    margin_mode: str | None = None
    unrealized_pnl_usdt: Decimal | None = None
    is_hedged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionsRead:
    """One successful read of all positions of an account.

    A symbol that is in neither collection is flat. `unreadable` symbols had a row whose size could
    not be read: they are unknown, and only they; among them those of `both_sides`, held long and
    short at once in hedge mode, where one signed size does not tell what there is.
    """

    began_at_ms: int  # our clock, just before the request left
    positions: Mapping[str, Position]
    unreadable: frozenset[str] = frozenset()
    both_sides: Mapping[str, tuple[Decimal, Decimal]] = field(default_factory=dict)  # long, short

    def size_lots(self, symbol: str) -> Decimal | None:
        """Signed size held, 0 when flat, None when the row could not be read."""
        if symbol in self.unreadable:
            return None
        row = self.positions.get(symbol)
        return ZERO if row is None else row.size_lots


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountMode:
    """Account-wide modes; None = the venue keeps it per symbol or did not say."""

    margin_mode: str | None  # cross, isolated, portfolio
    is_hedged: bool | None  # long and short are held side by side
    refusal: str = ""  # why nothing can be opened in these modes


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFacts:
    """What the venue says of an API key itself; None = it does not say."""

    can_read: bool | None = None
    can_trade: bool | None = None
    can_withdraw: bool | None = None
    expires_at_ms: int | None = None  # the venue's clock; None = never, or it does not say
    allowed_ips: tuple[str, ...] | None = None  # () = from every address


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """An order as it goes to the venue; IOC at `limit_price`, or market when that is None."""

    client_id: str
    symbol: str
    size_lots: Decimal  # signed, a multiple of the step
    reduce_only: bool
    limit_price: Decimal | None
    leverage: Decimal | None = None  # for venues that take it with the order; None = as it is
    margin_mode: str | None = None  # likewise
    position_side: str | None = None  # hedge mode: long or short, what it opens or closes


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedOrder:
    """The venue took the order and gave it an id; how much was filled is another question."""

    client_id: str
    order_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderState:
    """An order as the venue reports it; `filled_lots` is signed like `size_lots`."""

    client_id: str
    order_id: str
    symbol: str
    size_lots: Decimal
    filled_lots: Decimal
    status: OrderStatus
    average_price: Decimal | None = None
    reduce_only: bool | None = None
    updated_at_ms: int | None = None  # the venue's clock
    reason: str = ""
    is_liquidation: bool = False  # the venue made it: liquidation or auto-deleveraging
    fee_usdt: Decimal | None = None  # paid so far, a rebate is < 0; None = the venue does not say

    @property
    def is_terminal(self) -> bool:
        """True when nothing more can be filled."""
        return self.status is not OrderStatus.OPEN


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelOrders:
    """Cancel our own open orders of a symbol."""

    symbol: str
    client_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetMarginMode:
    """Switch a flat symbol (or account, where the venue has it so) to `margin_mode`."""

    symbol: str
    margin_mode: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetLeverage:
    """Set the leverage before an increase."""

    symbol: str
    leverage: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order as planned: no client id yet, that comes with the intent.

    Leverage and margin mode are what the symbol shall have, for venues that take them with the
    order; None = as they are.
    """

    symbol: str
    size_lots: Decimal  # signed
    reduce_only: bool
    limit_price: Decimal | None = None
    leverage: Decimal | None = None
    margin_mode: str | None = None


Action = CancelOrders | SetMarginMode | SetLeverage | Order


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One normalised signal, as it stands on a line of a source's journal.

    `depth` is the share of equity wanted, -1..1; `leverage` None = none asked for. `symbol` is the
    mapping at the time of writing, for people only.
    """

    id: str
    source: str
    source_symbol: str
    symbol: str
    depth: Decimal
    leverage: Decimal | None
    price: Decimal | None
    fired_at_ms: int | None
    received_at_ms: int
    sequence: int | None = None
    strategy: str = ""
    status: str = "accepted"  # accepted, superseded, rejected
    reason: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)

    def to_row(self) -> dict[str, Any]:
        """Give the JSON object of a journal line: decimals as text, times as integers."""
        return {
            "v": 1,
            "id": self.id,
            "source": self.source,
            "source_symbol": self.source_symbol,
            "symbol": self.symbol,
            "depth": format(self.depth, "f"),
            "leverage": None if self.leverage is None else format(self.leverage, "f"),
            "price": None if self.price is None else format(self.price, "f"),
            "fired_at_ms": self.fired_at_ms,
            "received_at_ms": self.received_at_ms,
            "sequence": self.sequence,
            "strategy": self.strategy,
            "status": self.status,
            "reason": self.reason,
            "meta": dict(self.meta),
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "Signal":
        """Read a journal line's object.

        Raises:
            KeyError, TypeError, ValueError, ArithmeticError: the object is not a signal line.
        """
        depth = Decimal(_text(row["depth"]))
        if not depth.is_finite() or abs(depth) > 1:
            msg = f"depth must be -1..1, was {depth}"
            raise ValueError(msg)
        return cls(
            id=_text(row["id"]),
            source=_text(row["source"]),
            source_symbol=_text(row["source_symbol"]),
            symbol=_text(row.get("symbol", "")),
            depth=depth,
            leverage=_decimal(row.get("leverage")),
            price=_decimal(row.get("price")),
            fired_at_ms=_integer(row.get("fired_at_ms")),
            received_at_ms=int(row["received_at_ms"]),
            sequence=_integer(row.get("sequence")),
            strategy=_text(row.get("strategy", "")),
            status=_text(row["status"]),
            reason=_text(row.get("reason", "")),
            meta=dict(row.get("meta") or {}),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """What one source says of one of its symbols, mapped to ours."""

    source: str
    source_symbol: str
    symbol: str
    depth: Decimal
    leverage: Decimal | None
    signal_id: str
    received_at_ms: int
    confirmed_at_ms: int | None = None  # level sources: when the value was last verified
    is_level: bool = False
    is_last_known: bool = False  # its files or mapping are gone: held, not refreshed
    is_simulated: bool = False  # made up by a simulation: real accounts must not follow it


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What one account shall hold of one symbol, before sizing.

    `exposure` is a signed multiple of equity; `fresh_exposure` the part that sources within their
    `stale_after_s` want. `leverage` is what is set at the venue.
    """

    symbol: str
    exposure: Decimal
    fresh_exposure: Decimal
    leverage: Decimal
    version: str
    newest_signal_at_ms: int
    instructed_at_ms: int | None  # newest instruction behind it; None when only levels speak
    instruction_id: str = ""  # the signal that is the newest instruction
    reasons: tuple[str, ...] = ()

    @property
    def depth(self) -> Decimal:
        """Share of equity that is margin at `leverage`, signed."""
        return self.exposure / self.leverage if self.leverage else ZERO


def _text(value: object) -> str:
    if not isinstance(value, str):
        msg = f"expected text, was {value!r}"
        raise TypeError(msg)
    return value


def _decimal(value: object) -> Decimal | None:
    if value is None:
        return None
    number = Decimal(_text(value))
    if not number.is_finite():
        msg = f"number must be finite, was {number}"
        raise ValueError(msg)
    return number


def _integer(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        msg = f"expected a whole number, was {value!r}"
        raise TypeError(msg)
    return value
