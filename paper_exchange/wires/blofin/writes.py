"""BloFin's POST paths: orders, leverage, modes."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Any

from paper_exchange import book
from paper_exchange.account import AccountState
from paper_exchange.orders import BookError, MarginMode, Reason, Ticket, TimeInForce
from paper_exchange.rest import ParamError, Params, VenueError, account_of, place_order
from paper_exchange.wire import Call
from paper_exchange.wires.blofin import params as read
from paper_exchange.wires.blofin import rows
from paper_exchange.wires.blofin.codes import (
    LEVERAGE_HAS_ORDERS,
    PARAM_EITHER,
    POSITION_CLOSED,
    Outcome,
    Row,
    is_gateways,
    refused,
    taken,
    translated,
)
from paper_exchange.wires.blofin.reads import SIGNS, leverage_sides

TIMES_IN_FORCE = {text: item for item, text in rows.ORDER_TYPES.items()}
MAX_BATCH = 20


def create(call: Call, params: Params) -> Outcome:
    """Take one order. Taken is not filled: that is read afterwards."""
    return Outcome(rows=[_created(call, params)])


def create_batch(call: Call, params: Params) -> Outcome:
    """Take each order by itself; all are of one contract and margin mode."""
    items = _items(params)
    if len({(item.get("instId"), item.get("marginMode")) for item in items}) > 1:
        message = "Batch orders can only be placed with the same instId and marginMode."
        raise VenueError("152007", message)
    return _each(items, lambda item: _created(call, item))


def cancel(call: Call, params: Params) -> Outcome:
    """Cancel one order by either id."""
    return Outcome(rows=[_cancelled(call, params)], is_cancel=True)


def cancel_batch(call: Call, params: Params) -> Outcome:
    """Cancel each by itself; all are named in the same way."""
    items = _items(params)
    if len({bool(item.get("orderId")) for item in items}) > 1:
        message = (
            "Only the same field is allowed for bulk cancellation of orders, orderId is preferred."
        )
        raise VenueError("152008", message)
    return replace(_each(items, lambda item: _cancelled(call, item)), is_cancel=True)


def close_position(call: Call, params: Params) -> Row:
    """Close the whole position at market."""
    symbol, mode = read.instrument(call, params).symbol, read.margin_mode(params)
    index, client_id = read.side_index(params), read.client_id(params)
    state = call.exchange.state(account_of(call), call.at_ms)
    if bool(index) is not state.is_hedged():
        raise translated(BookError(Reason.POSITION_INDEX, ""))
    held = state.size_lots(symbol, index)
    if not held or state.margin_mode(symbol) is not mode:
        raise VenueError(POSITION_CLOSED, "Position had been closed")
    ticket = Ticket(
        symbol=symbol,
        size_lots=-held,
        client_id=client_id,
        reduce_only=True,
        closes_all=True,
        side_index=index,
        margin_mode=mode,
    )
    place(call, ticket)
    side = rows.POSITION_SIDES[index]
    return {"instId": params["instId"], "positionSide": side, "clientOrderId": client_id}


def set_leverage(call: Call, params: Params) -> Row:
    """Set it for a contract and a margin mode; for one side where each has its own."""
    row, mode = read.instrument(call, params), read.margin_mode(params)
    value, index = read.amount(params, "leverage"), read.side_index(params)
    account = account_of(call)
    state = call.exchange.state(account, call.at_ms)
    sides: Sequence[int] = (0, 1, 2)
    if leverage_sides(state, mode) != (0,):
        read.text(params, "positionSide")
        sides = (index,)
    elif not state.is_hedged():
        index = 0
    if _has_orders(state, row.symbol, mode):
        message = f"You have pending {mode} orders. Please cancel them before adjusting"
        raise VenueError(LEVERAGE_HAS_ORDERS, f"{message} your leverage.")
    try:
        after = book.set_leverage(state, call.board, row.symbol, value, tuple(sides), mode)
    except BookError as error:
        if error.reason is not Reason.LEVERAGE_UNCHANGED:
            raise translated(error) from error
        after = state
    call.exchange.change(account.id, after, call.at_ms)
    return rows.leverage_row(after, row, mode, index)


def set_margin_mode(call: Call, params: Params) -> Row:
    """Set the account's mode, while flat; the one in force already is fine."""
    mode = read.margin_mode(params)
    _set(call, Reason.MARGIN_MODE_UNCHANGED, lambda state: book.set_margin_mode(state, mode))
    return {"marginMode": str(mode)}


def set_position_mode(call: Call, params: Params) -> Row:
    """Set one-way or hedge mode for all contracts, while flat; again is fine."""
    name = read.text(params, "positionMode")
    is_hedged = read.POSITION_MODES.get(name)
    if is_hedged is None:
        raise read.wrong("positionMode")
    _set(
        call,
        Reason.POSITION_MODE_UNCHANGED,
        lambda state: book.set_position_mode(state, is_hedged),
    )
    return {"positionMode": name}


def place(call: Call, ticket: Ticket) -> str:
    """Take an order and give its id, numeric as the venue's are. Raises VenueError."""
    account = account_of(call)
    sequence = call.exchange.state(account, call.at_ms).sequence
    digest = blake2b(account.id.encode(), digest_size=4).digest()
    order_id = str((1000 + int.from_bytes(digest) % 9000) * 10**8 + sequence)
    try:
        place_order(call, ticket, order_id)
    except BookError as error:
        raise translated(error, ticket) from error
    return order_id


def ticket_of(call: Call, params: Params) -> Ticket:
    """Read an order. Raises VenueError."""
    symbol = read.instrument(call, params).symbol
    mode, index = read.margin_mode(params), read.side_index(params)
    sign = SIGNS.get(read.text(params, "side"))
    if sign is None:
        raise read.wrong("side")
    kind = read.text(params, "orderType")
    if kind != "market" and kind not in TIMES_IN_FORCE:
        raise read.wrong("orderType")
    size = read.amount(params, "size")
    if size <= 0:
        raise read.wrong("size")
    return Ticket(
        symbol=symbol,
        size_lots=sign * size,
        client_id=read.client_id(params),
        reduce_only=params.get("reduceOnly") in {True, "true"},
        limit_price=None if kind == "market" else read.amount(params, "price"),
        time_in_force=TIMES_IN_FORCE.get(kind, TimeInForce.IOC),
        side_index=index,
        margin_mode=mode,
    )


def check_price(call: Call, ticket: Ticket) -> None:
    """Refuse a limit too far from mark. Raises VenueError."""
    if ticket.limit_price is None:
        return
    sign = 1 if ticket.size_lots > 0 else -1
    lowest, highest = read.price_limits(call, ticket.symbol, sign)
    if not lowest <= ticket.limit_price <= highest:
        raise translated(BookError(Reason.PRICE_RANGE, ""), ticket)


def _created(call: Call, params: Params) -> Row:
    client_id = read.client_id(params)
    try:
        ticket = ticket_of(call, params)
        check_price(call, ticket)
        return taken(place(call, ticket), client_id)
    except VenueError as error:
        if is_gateways(error.code):
            raise
        return refused(error, None, client_id)


def _cancelled(call: Call, params: Params) -> Row:
    order_id, client_id = str(params.get("orderId") or ""), read.client_id(params)
    if not order_id and not client_id:
        raise VenueError(PARAM_EITHER, "Either parameter orderId or clientOrderId is required")
    account = account_of(call)
    state = call.exchange.state(account, call.at_ms)
    found = state.find_order(order_id, client_id)
    try:
        after = book.cancel(state, at_ms=call.at_ms, order_id=order_id, client_id=client_id)
    except BookError as error:
        return refused(translated(error), order_id or None, client_id)
    call.exchange.change(account.id, after, call.at_ms)
    return taken(found.order_id, found.ticket.client_id) if found else {}


def _each(items: Sequence[Params], one: Callable[[Params], Row]) -> Outcome:
    found: list[Row] = []
    for item in items:
        try:
            found.append(one(item))
        except VenueError as error:  # of the gateway: told inside all the same, as it is a batch
            found.append(refused(error, None, str(item.get("clientOrderId") or "")))
    return Outcome(rows=found, is_batch=True)


def _items(params: Params) -> Sequence[Params]:
    items: Any = params.get("items")
    if not isinstance(items, list) or not items or not all(isinstance(row, dict) for row in items):
        raise ParamError("JSON syntax error")
    if len(items) > MAX_BATCH:
        raise VenueError("152006", f"Batch orders can be placed for up to {MAX_BATCH} at once.")
    return items


def _has_orders(state: AccountState, symbol: str, mode: MarginMode) -> bool:
    return any(order.ticket.margin_mode is mode for order in state.open_orders(symbol))


def _set(call: Call, unchanged: Reason, change: Callable[[AccountState], AccountState]) -> None:
    account = account_of(call)
    try:
        after = change(call.exchange.state(account, call.at_ms))
    except BookError as error:
        if error.reason is not unchanged:
            raise translated(error) from error
    else:
        call.exchange.change(account.id, after, call.at_ms)
