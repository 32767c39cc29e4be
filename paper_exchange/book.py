"""The account state machine of a venue: takes a state, gives the next one.

Pure: no I/O, no clock, no chance; prices (a `Board`) and times are arguments, and what a venue
refuses is a `BookError` that leaves the state as it was. Shared by all venues; their words are in
the wire files. An order lives in two steps, as at the venues: `place` accepts it, `match` fills,
cancels or rejects it, at once or when it falls due.
"""

from dataclasses import replace
from decimal import Decimal

from paper_exchange.account import EVERY_SYMBOL, AccountState, leverage_key, position_key
from paper_exchange.fills import Fill, apply_fill, apply_funding, liquidate_due, split
from paper_exchange.instruments import PaperInstrument
from paper_exchange.margin import free_margin
from paper_exchange.orders import (
    ONE,
    ZERO,
    BookError,
    BookOrder,
    MarginMode,
    OrderStatus,
    Reason,
    Terms,
    Ticket,
    TimeInForce,
    check_ticket,
)
from paper_exchange.prices import Board, Quote

KEPT_FINAL_ORDERS = 500
MAX_OPEN_ORDERS = 500
FUNDING_RATE = Decimal("0.0001")  # a flat rate: 1 bp each interval, paid by longs
DEFAULT_TERMS = Terms()


def place(
    state: AccountState,
    board: Board,
    ticket: Ticket,
    *,
    order_id: str,
    at_ms: int,
    terms: Terms = DEFAULT_TERMS,
) -> AccountState:
    """Accept an order, and match it unless `terms` make it wait. Raises BookError."""
    instrument = board.instruments.get(ticket.symbol)
    if instrument is None:
        raise BookError(Reason.SYMBOL, f"symbol {ticket.symbol} is not listed")
    _check_side(state, ticket)
    check_ticket(ticket, instrument, board[ticket.symbol].mark)
    state = _with_order_terms(state, instrument, ticket)
    if state.find_order(client_id=ticket.client_id):
        raise BookError(Reason.DUPLICATE_CLIENT_ID, "OrderLinkedID is duplicate")
    if len(state.open_orders()) >= MAX_OPEN_ORDERS:
        raise BookError(Reason.TOO_MANY_ORDERS, "Not allowed to have more than 500 active orders")
    ticket = _cut_to_position(state, ticket)
    if terms.doomed is None:
        _check_margin(state, board, ticket)
    order = BookOrder(
        order_id=order_id,
        ticket=ticket,
        status=OrderStatus.NEW,
        due_ms=terms.due_ms,
        fill_fraction=terms.fill_fraction,
        doomed=terms.doomed,
        created_ms=at_ms,
        updated_ms=at_ms,
    )
    state = replace(_with_order(state, order), sequence=state.sequence + 1)
    return match(state, board, order_id, at_ms) if order.due_ms <= at_ms else state


def match(state: AccountState, board: Board, order_id: str, at_ms: int) -> AccountState:
    """Bring an accepted order face to face with the quote: fill, rest, cancel or reject it."""
    order = state.orders[order_id]
    if order.doomed:
        return _end(state, order, OrderStatus.REJECTED, order.doomed, at_ms)
    price = _trade_price(order.ticket, board[order.ticket.symbol])
    if price is None:
        if order.ticket.time_in_force in {TimeInForce.GTC, TimeInForce.POST_ONLY}:
            return _with_order(state, replace(order, due_ms=0))
        return _end(state, order, OrderStatus.CANCELED, "no_quantity_at_price", at_ms)
    if order.ticket.time_in_force is TimeInForce.POST_ONLY:
        return _end(state, order, OrderStatus.CANCELED, "post_only_would_take", at_ms)
    try:  # the account may have moved since it was accepted
        ticket = _cut_to_position(state, order.ticket)
        others = {name: row for name, row in state.orders.items() if name != order_id}
        _check_margin(replace(state, orders=others), board, ticket)
    except BookError as error:
        return _end(state, order, OrderStatus.REJECTED, error.reason, at_ms)
    order = replace(order, ticket=ticket)
    return _fill(state, board, order, price, at_ms)


def cancel(
    state: AccountState, *, at_ms: int, order_id: str = "", client_id: str = ""
) -> AccountState:
    """Cancel one open order, by id or client id. Raises BookError if there is none."""
    order = state.find_order(order_id, client_id)
    if order is None or not order.is_open:
        raise BookError(Reason.UNKNOWN_ORDER, "order not exists or too late to cancel")
    return _end(state, order, OrderStatus.CANCELED, "by_user", at_ms)


def set_leverage(
    state: AccountState,
    board: Board,
    symbol: str,
    leverage: Decimal,
    sides: tuple[int, ...],
    mode: MarginMode | None = None,
) -> AccountState:
    """Set a symbol's leverage on those side indexes, flat or not. Raises BookError.

    `mode`: it is in force under that margin mode only, where the venue keeps one for each.
    """
    instrument = board.instruments.get(symbol)
    if instrument is None:
        raise BookError(Reason.SYMBOL, f"symbol {symbol} is not listed")
    in_range = ONE <= leverage <= instrument.max_leverage
    if not in_range or leverage % instrument.leverage_step:
        text = f"leverage must be 1..{instrument.max_leverage}, was {leverage}"
        raise BookError(Reason.LEVERAGE_RANGE, text)
    keys = {_leverage_key(symbol, side, mode): leverage for side in sides}
    is_in_force = mode in {None, state.margin_mode(symbol)}
    if is_in_force and all(state.leverage(instrument, side) == leverage for side in sides):
        raise BookError(Reason.LEVERAGE_UNCHANGED, "leverage not modified")
    after = _with_leverage(state, instrument, {**state.leverages, **keys})
    if free_margin(after, board) < min(ZERO, free_margin(state, board)):
        raise BookError(Reason.LEVERAGE_MARGIN, "Insufficient available margin")
    return after


def set_margin_mode(
    state: AccountState, mode: MarginMode, symbol: str = EVERY_SYMBOL
) -> AccountState:
    """Set the mode of a symbol or of the account; only while flat. Raises BookError."""
    if state.margin_mode(symbol) is mode:
        raise BookError(Reason.MARGIN_MODE_UNCHANGED, "margin mode is not modified")
    if _has_position(state, symbol) or _has_orders(state, symbol):
        raise BookError(
            Reason.MARGIN_MODE_IN_USE, "positions or orders exist: Set margin mode failed"
        )
    return replace(state, margin_modes={**state.margin_modes, symbol: mode})


def set_position_mode(
    state: AccountState, is_hedged: bool, symbol: str = EVERY_SYMBOL
) -> AccountState:
    """Switch between one-way and hedge mode; only while flat. Raises BookError."""
    if state.is_hedged(symbol) is is_hedged:
        raise BookError(Reason.POSITION_MODE_UNCHANGED, "Position mode is not modified")
    if _has_position(state, symbol):
        text = "You have an existing position, so the position mode cannot be switched"
        raise BookError(Reason.POSITION_MODE_HAS_POSITION, text)
    if _has_orders(state, symbol):
        text = "You have existing orders, so the position mode cannot be switched"
        raise BookError(Reason.POSITION_MODE_HAS_ORDERS, text)
    rest = {} if symbol == EVERY_SYMBOL else state.hedged
    return replace(state, hedged={**rest, symbol: is_hedged})


def deposit(state: AccountState, amount_usdt: Decimal) -> AccountState:
    """Add to the wallet, or take out of it (< 0)."""
    return replace(state, wallet_usdt=state.wallet_usdt + amount_usdt)


def advance(
    state: AccountState, board: Board, at_ms: int, funding_rate: Decimal = FUNDING_RATE
) -> AccountState:
    """Let time pass: due and resting orders, funding, liquidation. Nothing due: the same state."""
    for order in state.open_orders():
        if order.due_ms:
            if order.due_ms <= at_ms:
                state = match(state, board, order.order_id, at_ms)
        elif _trade_price(order.ticket, board[order.ticket.symbol]) is not None:
            state = _fill_resting(state, board, order, at_ms)
    if state.positions:
        state = _funded(state, board, at_ms, funding_rate)
        state = liquidate_due(state, board, at_ms)
    return state


def _funded(state: AccountState, board: Board, at_ms: int, funding_rate: Decimal) -> AccountState:
    before = state.sequence
    after = apply_funding(state, board, at_ms, funding_rate)
    return after if after.sequence != before else state


def _leverage_key(symbol: str, side_index: int, mode: MarginMode | None) -> str:
    if mode is None:
        return position_key(symbol, side_index)
    return leverage_key(symbol, side_index, mode)


def _with_order_terms(
    state: AccountState, instrument: PaperInstrument, ticket: Ticket
) -> AccountState:
    """Put the margin mode and leverage in force that came with an order, where it may choose."""
    symbol, mode = ticket.symbol, ticket.margin_mode
    if mode is not None and mode is not state.margin_mode(symbol):
        if _has_position(state, symbol) or _has_orders(state, symbol):
            raise BookError(Reason.MARGIN_MODE_MISMATCH, "the position has another margin mode")
        state = replace(state, margin_modes={**state.margin_modes, symbol: mode})
    if ticket.leverage is None or ticket.only_closes or state.position(symbol, ticket.side_index):
        return state  # a position keeps the leverage that it has
    if not ONE <= ticket.leverage <= instrument.max_leverage:
        text = f"leverage must be 1..{instrument.max_leverage}, was {ticket.leverage}"
        raise BookError(Reason.LEVERAGE_RANGE, text)
    key = leverage_key(symbol, ticket.side_index, state.margin_mode(symbol))
    return replace(state, leverages={**state.leverages, key: ticket.leverage})


def _check_side(state: AccountState, ticket: Ticket) -> None:
    if (ticket.side_index in {1, 2}) is not state.is_hedged(ticket.symbol):
        raise BookError(Reason.POSITION_INDEX, "position idx not match position mode")


def _cut_to_position(state: AccountState, ticket: Ticket) -> Ticket:
    """Cut an order that may only close to what there is to close."""
    if not ticket.only_closes:
        return ticket
    held = state.size_lots(ticket.symbol, ticket.side_index)
    if held * ticket.size_lots >= 0:
        text = "current position is zero, cannot fix reduce-only order qty"
        raise BookError(Reason.NOTHING_TO_REDUCE, text)
    closing, _ = split(held, ticket.size_lots)
    return replace(ticket, size_lots=closing)


def _check_margin(state: AccountState, board: Board, ticket: Ticket) -> None:
    held = state.size_lots(ticket.symbol, ticket.side_index)
    _, opening = split(held, ticket.size_lots)
    if not opening:
        return
    instrument = board.instruments[ticket.symbol]
    price = _trade_price(ticket, board[ticket.symbol])
    if price is not None:
        fill = Fill(
            ticket=ticket, order_id="", lots=ticket.size_lots, price=price, is_maker=False, at_ms=0
        )
        missing = free_margin(apply_fill(state, instrument, fill), board) < 0
    else:
        notional = abs(opening) * instrument.contract_size * (ticket.limit_price or ZERO)
        rate = ONE / state.leverage(instrument, ticket.side_index) + instrument.taker_fee
        missing = notional * rate > free_margin(state, board)
    if missing:
        raise BookError(Reason.MARGIN, "ab not enough for new order")


def _trade_price(ticket: Ticket, quote: Quote) -> Decimal | None:
    """The price at which it would trade now, None if its limit does not cross the quote."""
    price = quote.ask if ticket.size_lots > 0 else quote.bid
    limit = price if ticket.limit_price is None else ticket.limit_price
    crosses = limit >= price if ticket.size_lots > 0 else limit <= price
    return price if crosses else None


def _fill(
    state: AccountState, board: Board, order: BookOrder, price: Decimal, at_ms: int
) -> AccountState:
    instrument = board.instruments[order.ticket.symbol]
    lots = order.leaves_lots * order.fill_fraction
    if not order.ticket.closes_all:
        lots = _stepped(lots, instrument)
    if lots:
        state, order = _traded(state, instrument, order, lots, price, at_ms)
    rests = order.ticket.time_in_force is TimeInForce.GTC and order.ticket.limit_price is not None
    if order.is_open and not rests:
        return _end(state, order, OrderStatus.CANCELED, "no_quantity_at_price", at_ms)
    return _with_order(state, order)


def _fill_resting(state: AccountState, board: Board, order: BookOrder, at_ms: int) -> AccountState:
    """Fill the rest of a resting order at its own limit: somebody else took it."""
    try:
        ticket = _cut_to_position(state, order.ticket)
    except BookError as error:
        return _end(state, order, OrderStatus.CANCELED, error.reason, at_ms)
    order = replace(order, ticket=ticket)
    instrument = board.instruments[ticket.symbol]
    price = ticket.limit_price or board[ticket.symbol].mark
    state, order = _traded(state, instrument, order, order.leaves_lots, price, at_ms, is_maker=True)
    return _with_order(state, order)


def _traded(  # noqa: PLR0913
    state: AccountState,
    instrument: PaperInstrument,
    order: BookOrder,
    lots: Decimal,
    price: Decimal,
    at_ms: int,
    *,
    is_maker: bool = False,
) -> tuple[AccountState, BookOrder]:
    fill = Fill(
        ticket=order.ticket,
        order_id=order.order_id,
        lots=lots,
        price=price,
        is_maker=is_maker,
        at_ms=at_ms,
    )
    state = apply_fill(state, instrument, fill)
    last = state.executions[-1]
    filled = order.filled_lots + lots
    is_whole = filled == order.ticket.size_lots
    return state, replace(
        order,
        status=OrderStatus.FILLED if is_whole else OrderStatus.PARTIALLY_FILLED,
        filled_lots=filled,
        filled_cost=order.filled_cost + abs(lots) * price,
        fee_usdt=order.fee_usdt + last.fee_usdt,
        fill_fraction=ONE,
        due_ms=0,
        updated_ms=at_ms,
    )


def _stepped(lots: Decimal, instrument: PaperInstrument) -> Decimal:
    return lots - (lots % instrument.step_lots)  # Decimal's remainder has the sign of the dividend


def _end(
    state: AccountState, order: BookOrder, status: OrderStatus, reason: str, at_ms: int
) -> AccountState:
    return _with_order(
        state, replace(order, status=status, reason=str(reason), due_ms=0, updated_ms=at_ms)
    )


def _with_order(state: AccountState, order: BookOrder) -> AccountState:
    orders = {**state.orders, order.order_id: order}
    final = [name for name, row in orders.items() if not row.is_open]
    for name in final[: max(0, len(final) - KEPT_FINAL_ORDERS)]:
        del orders[name]
    return replace(state, orders=orders)


def _with_leverage(
    state: AccountState, instrument: PaperInstrument, leverages: dict[str, Decimal]
) -> AccountState:
    """Isolated margin follows the leverage; under cross it is worked out from it anyway."""
    after = replace(state, leverages=leverages)
    positions = {
        key: replace(
            row,
            isolated_margin_usdt=abs(row.size_lots)
            * instrument.contract_size
            * row.entry_price
            / after.leverage(instrument, row.side_index),
        )
        if row.symbol == instrument.symbol and row.isolated_margin_usdt
        else row
        for key, row in state.positions.items()
    }
    return replace(after, positions=positions)


def _has_position(state: AccountState, symbol: str) -> bool:
    return any(symbol in {EVERY_SYMBOL, row.symbol} for row in state.positions.values())


def _has_orders(state: AccountState, symbol: str) -> bool:
    return bool(state.open_orders(None if symbol == EVERY_SYMBOL else symbol))
