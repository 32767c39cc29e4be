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
    TakingRead,
    TickerFields,
)
from core.errors import TransientError
from core.model import ZERO, Instrument, OrderState, OrderStatus, Position, PositionsRead, Ticker

SymbolOf = Callable[[str], str]


def dig(row: object, path: Iterable[str]) -> object:
    """Follow a path of keys, and of places in lists; None where it ends early."""
    for key in path:
        if isinstance(row, list) and key.isdigit():
            row = row[int(key)] if int(key) < len(row) else None
        elif isinstance(row, Mapping):
            row = row.get(key)
        else:
            return None
    return row


def number(value: object) -> Decimal | None:
    """Read a finite number; None for "", null, booleans and anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    return _short(found) if found.is_finite() else None


def _short(value: Decimal) -> Decimal:
    """Drop zeros at the end: some venues write eighteen of them."""
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int) or exponent >= 0:
        return value
    return value.quantize(1) if value == value.to_integral_value() else value.normalize()


def text(value: object) -> str:
    """Read an identifier: text, a whole number, true or false; "" for anything else."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, str | int) else ""


def rows_at(
    envelope: object, path: Sequence[str], what: str, *, is_object: bool = False
) -> list[Row]:
    """Take the list of objects at `path`, or the one object that shall stand there.

    Raises TransientError when it is not there.
    """
    found = dig(envelope, path)
    if is_object and isinstance(found, Mapping):
        found = [found]
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
        is_trading=text(dig(row, fields.status.split("."))) == fields.trading_status
        and (not fields.allowed or row.get(fields.allowed) is True),
    )


def read_ticker(row: Row, fields: TickerFields, symbol: str, read_at_ms: int) -> Ticker | None:
    """Read a ticker; None without a positive mark price."""

    def price(name: str) -> Decimal | None:
        found = number(row.get(name))
        return found if found and found > 0 else None

    last, bid, ask = price(fields.last), price(fields.bid), price(fields.ask)
    mark_price = price(fields.mark) if fields.mark else _middle(last, bid, ask)
    if mark_price is None:
        return None
    return Ticker(
        symbol=symbol,
        mark_price=mark_price,
        last_price=last,
        bid_price=bid,
        ask_price=ask,
        read_at_ms=read_at_ms,
    )


def read_positions(
    rows: Iterable[Row], fields: PositionFields, symbol_of: SymbolOf, began_at_ms: int
) -> PositionsRead:
    """Read all rows, positions by our symbol; a symbol whose size is unreadable is named.

    Raises TransientError for a row without a symbol: it could be any symbol's.
    """
    positions: dict[str, Position] = {}
    unreadable: set[str] = set()
    both: dict[str, tuple[Decimal, Decimal]] = {}
    for row in rows:
        raw_symbol = text(row.get(fields.symbol))
        if not raw_symbol:
            msg = "positions: a row has no symbol: it was not read"
            raise TransientError(msg)
        symbol = symbol_of(raw_symbol)
        position = _read_position(row, fields, symbol)
        other = positions.get(symbol)
        if position is None:
            unreadable.add(symbol)
        elif not position.size_lots:
            continue
        elif other is None or other.size_lots == position.size_lots:  # or two pages tell it twice
            positions[symbol] = position
        elif other.size_lots * position.size_lots < 0 and symbol not in both:
            sizes = sorted((other.size_lots, position.size_lots))
            both[symbol] = (sizes[1], sizes[0])
        else:
            unreadable.add(symbol)
    unclear = unreadable | set(both)
    return PositionsRead(
        began_at_ms=began_at_ms,
        positions={s: p for s, p in positions.items() if s not in unclear},
        unreadable=frozenset(unclear),
        both_sides={s: sizes for s, sizes in both.items() if s not in unreadable},
    )


def read_sides(
    rows: Iterable[Row], fields: PositionFields, symbol_of: SymbolOf
) -> dict[tuple[str, bool], Position]:
    """Read what is held by symbol and whether it is long: the two sides of a hedge apart."""
    read = (_read_position(row, fields, symbol_of(text(row.get(fields.symbol)))) for row in rows)
    return {(p.symbol, p.size_lots > 0): p for p in read if p is not None and p.size_lots}


def read_orders(
    rows: Iterable[Row], fields: OrderFields, symbol_of: SymbolOf, what: str
) -> list[OrderState]:
    """Read all order rows. Raises TransientError when one of them cannot be read."""
    return [_read_order(row, fields, symbol_of, what) for row in rows]


def read_takings(rows: Iterable[Row], fields: TakingRead, symbol_of: SymbolOf) -> list[OrderState]:
    """Read the fills by which the venue took positions away, as orders of its own."""
    found = []
    for row in rows:
        size, sign = number(row.get(fields.size)), fields.sides.get(text(row.get(fields.side)))
        if text(row.get(fields.kind)) not in fields.liquidations or size is None or not sign:
            continue
        at_ms = number(row.get(fields.at_ms))
        found.append(
            OrderState(
                client_id="",
                order_id=text(row.get(fields.order_id)),
                symbol=symbol_of(text(row.get(fields.symbol))),
                size_lots=size * sign,
                filled_lots=size * sign,
                status=OrderStatus.FILLED,
                updated_at_ms=None if at_ms is None else int(at_ms),
                is_liquidation=True,
            )
        )
    return found


def _read_position(row: Row, fields: PositionFields, symbol: str) -> Position | None:
    size = number(row.get(fields.size))
    if size is None:
        return None
    if fields.sides and size:
        sign = fields.sides.get(text(row.get(fields.side)))
        if sign is None or (sign and size < 0):
            return None  # a size whose side is not known may be either
        size *= sign or 1
    hedge = text(row.get(fields.hedge)) if fields.hedge else ""
    margin_mode = text(row.get(fields.margin_mode)) if fields.margin_mode else ""
    return Position(
        symbol=symbol,
        size_lots=size,
        entry_price=_positive(row.get(fields.entry)),
        mark_price=_positive(row.get(fields.mark)),
        leverage=_positive(row.get(fields.leverage)),
        margin_mode=fields.margin_modes.get(margin_mode, margin_mode).lower() or None,
        unrealized_pnl_usdt=number(row.get(fields.unrealized_pnl)),
        is_hedged=bool(hedge) and hedge not in fields.one_way,
    )


def _middle(*prices: Decimal | None) -> Decimal | None:
    """The middle of three prices: one print off the book does not move it."""
    known = sorted(price for price in prices if price is not None)
    return known[1] if len(known) == len(prices) else None


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
    if status is OrderStatus.FILLED and filled != size:
        status = OrderStatus.CANCELED  # "done" is all that some venues say
    reduces = text(row.get(fields.reduce_only))
    updated_ms = number(row.get(fields.updated_ms))
    return OrderState(
        client_id=text(row.get(fields.client_id)),
        order_id=order_id,
        symbol=symbol_of(raw_symbol),
        size_lots=size * sign,
        filled_lots=filled * sign,
        status=status,
        average_price=_positive(row.get(fields.average_price)),
        reduce_only=reduces in fields.reduces if reduces else None,
        updated_at_ms=None if updated_ms is None else int(updated_ms),
        reason=""
        if text(row.get(fields.reason)) == fields.no_reason
        else text(row.get(fields.reason)),
        is_liquidation=text(row.get(fields.origin)) in fields.liquidations,
        fee_usdt=_fee_usdt(row, fields),
    )


def _fee_usdt(row: Row, fields: OrderFields) -> Decimal | None:
    if fields.fee_coin and text(row.get(fields.fee_coin)) != "USDT":
        return None
    parts = [number(dig(row, path.split("."))) for path in fields.fees]
    known = [part for part in parts if part is not None]
    return sum(known, ZERO) if known and len(known) == len(parts) else None
