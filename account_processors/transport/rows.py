"""Reads raw venue rows into our values: strict about what money hangs on, lenient about the rest.

A size that cannot be read is never zero and a row that cannot be read is never missing: both are
said. Numbers become Decimals from their text, never by way of a float of ours.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation

from account_processors.transport.profile import (
    InstrumentFields,
    OrderFields,
    PositionFields,
    Row,
    TickerFields,
)
from core.errors import TransientError
from core.model import ZERO, Instrument, OrderState, Position, Ticker

SymbolOf = Callable[[str], str]


def dig(row: object, path: Iterable[str]) -> object:
    """Follow a path of keys; None where it ends early."""
    for key in path:
        if not isinstance(row, Mapping):
            return None
        row = row.get(key)
    return row


def number(value: object) -> Decimal | None:
    """Read a finite number; None for "", null, booleans and anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def text(value: object) -> str:
    """Read an identifier: text or a whole number; "" for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    return str(value)


def rows_at(envelope: object, path: Sequence[str], what: str) -> list[Row]:
    """Take the list of objects at `path`. Raises TransientError when it is not there."""
    found = dig(envelope, path)
    if not isinstance(found, list) or not all(isinstance(row, Mapping) for row in found):
        msg = f"{what}: the reply has no list at {'.'.join(path)}: it was not read"
        raise TransientError(msg)
    return found


def read_instrument(row: Row, fields: InstrumentFields, symbol: str) -> Instrument | None:
    """Read an instrument; None when a figure that sizing needs is missing or not positive."""

    def at(path: str) -> Decimal | None:
        return number(dig(row, path.split("."))) if path else None

    step, minimum, tick = at(fields.step), at(fields.minimum), at(fields.tick)
    contract_size = at(fields.contract_size) if fields.contract_size else Decimal(1)
    max_leverage, leverage_step = at(fields.max_leverage), at(fields.leverage_step)
    if not step or not minimum or not tick or not contract_size or not max_leverage:
        return None
    if min(step, minimum, tick, contract_size, max_leverage) <= 0:
        return None
    max_market = at(fields.max_market)
    return Instrument(
        symbol=symbol,
        step_lots=step,
        min_lots=minimum,
        max_market_lots=max_market if max_market and max_market > 0 else None,
        min_notional_usdt=at(fields.min_notional) or ZERO,
        contract_size=contract_size,
        tick_size=tick,
        max_leverage=max_leverage,
        leverage_step=leverage_step if leverage_step and leverage_step > 0 else Decimal(1),
        is_trading=text(dig(row, fields.status.split("."))) == fields.trading_status,
    )


def read_ticker(row: Row, fields: TickerFields, symbol: str, read_at_ms: int) -> Ticker | None:
    """Read a ticker; None without a positive mark price."""

    def price(name: str) -> Decimal | None:
        found = number(row.get(name))
        return found if found and found > 0 else None

    mark_price = price(fields.mark)
    if mark_price is None:
        return None
    return Ticker(
        symbol=symbol,
        mark_price=mark_price,
        last_price=price(fields.last),
        bid_price=price(fields.bid),
        ask_price=price(fields.ask),
        read_at_ms=read_at_ms,
    )


def read_positions(
    rows: Iterable[Row], fields: PositionFields, symbol_of: SymbolOf
) -> tuple[dict[str, Position], frozenset[str]]:
    """Read all rows into positions by our symbol, and the symbols whose size is unreadable.

    Raises TransientError for a row without a symbol: it could be any symbol's.
    """
    positions: dict[str, Position] = {}
    unreadable: set[str] = set()
    for row in rows:
        raw_symbol = text(row.get(fields.symbol))
        if not raw_symbol:
            msg = "positions: a row has no symbol: it was not read"
            raise TransientError(msg)
        symbol = symbol_of(raw_symbol)
        position = _read_position(row, fields, symbol)
        if position is None:
            unreadable.add(symbol)
        elif position.size_lots or position.is_hedged:
            joined = _joined(positions.get(symbol), position)
            unreadable.update([symbol] if joined is None else [])
            positions[symbol] = joined or position
    readable = {s: p for s, p in positions.items() if s not in unreadable}
    return readable, frozenset(unreadable)


def read_orders(
    rows: Iterable[Row], fields: OrderFields, symbol_of: SymbolOf, what: str
) -> list[OrderState]:
    """Read all order rows. Raises TransientError when one of them cannot be read."""
    return [_read_order(row, fields, symbol_of, what) for row in rows]


def _read_position(row: Row, fields: PositionFields, symbol: str) -> Position | None:
    size = number(row.get(fields.size))
    if size is None:
        return None
    if fields.sides and size:
        sign = fields.sides.get(text(row.get(fields.side)))
        if sign is None or size < 0:
            return None  # a size whose side is not known may be either
        size *= sign
    hedge = text(row.get(fields.hedge)) if fields.hedge else ""
    margin_mode = text(row.get(fields.margin_mode)) if fields.margin_mode else ""
    return Position(
        symbol=symbol,
        size_lots=size,
        entry_price=_positive(row.get(fields.entry)),
        mark_price=_positive(row.get(fields.mark)),
        leverage=_positive(row.get(fields.leverage)),
        margin_mode=margin_mode.lower() or None,
        unrealized_pnl_usdt=number(row.get(fields.unrealized_pnl)),
        is_hedged=bool(hedge) and hedge not in fields.one_way,
    )


def _joined(first: Position | None, second: Position) -> Position | None:
    """Join the two sides of a hedged symbol; None when two pages tell different sizes."""
    if first is None:
        return second
    if not (first.is_hedged or second.is_hedged):
        return second if first.size_lots == second.size_lots else None
    return Position(
        symbol=second.symbol, size_lots=first.size_lots + second.size_lots, is_hedged=True
    )


def _positive(value: object) -> Decimal | None:
    found = number(value)
    return found if found and found > 0 else None


def _read_order(row: Row, fields: OrderFields, symbol_of: SymbolOf, what: str) -> OrderState:
    order_id, raw_symbol = text(row.get(fields.order_id)), text(row.get(fields.symbol))
    size, filled = number(row.get(fields.size)), number(row.get(fields.filled))
    status = fields.statuses.get(text(row.get(fields.status)))
    sign = fields.sides.get(text(row.get(fields.side)))
    if not (order_id and raw_symbol) or size is None or filled is None or not sign or not status:
        msg = f"{what}: an order row lacks id, symbol, side, size, fill or status: it was not read"
        raise TransientError(msg)
    reduce_only = row.get(fields.reduce_only)
    updated_ms = number(row.get(fields.updated_ms))
    return OrderState(
        client_id=text(row.get(fields.client_id)),
        order_id=order_id,
        symbol=symbol_of(raw_symbol),
        size_lots=size * sign,
        filled_lots=filled * sign,
        status=status,
        average_price=_positive(row.get(fields.average_price)),
        reduce_only=reduce_only if isinstance(reduce_only, bool) else None,
        updated_at_ms=None if updated_ms is None else int(updated_ms),
        reason=text(row.get(fields.reason)).removeprefix(fields.no_reason),
        is_liquidation=text(row.get(fields.origin)) in fields.liquidations,
    )
