"""MEXC's POST paths: orders, cancellations, leverage, position mode."""

from collections.abc import Callable
from decimal import Decimal

from paper_exchange import book
from paper_exchange.account import AccountState
from paper_exchange.instruments import PaperInstrument
from paper_exchange.orders import (
    ZERO,
    BookError,
    BookOrder,
    MarginMode,
    Reason,
    Ticket,
    TimeInForce,
)
from paper_exchange.rest import (
    ParamError,
    Params,
    VenueError,
    account_of,
    number,
    place_order,
    whole,
)
from paper_exchange.wire import Call
from paper_exchange.wires.mexc import codes, reads, rows
from paper_exchange.wires.mexc.codes import Habits, refused, told
from paper_exchange.wires.mexc.params import (
    Row,
    client_id_of,
    contract_of,
    held_for,
    leverage_for,
    mode_of,
    position_type_of,
    type_of,
    wanted_symbol,
)

SIDES = {1: (1, False), 2: (1, True), 3: (-1, False), 4: (-1, True)}  # sign, closes
INDEXES = {1: 1, 4: 1, 2: 2, 3: 2}  # the hedge side that a side is about
TIMES_IN_FORCE = {  # by `type`; 6 "converts the market price to the current price": a market order
    1: TimeInForce.GTC,
    2: TimeInForce.POST_ONLY,
    3: TimeInForce.IOC,
    4: TimeInForce.FOK,
    5: TimeInForce.IOC,
    6: TimeInForce.IOC,
}
MARKET_TYPES = frozenset({5, 6})
HEDGE, ONE_WAY = 1, 2
MAX_BATCH = 50


def create(call: Call, params: Params) -> Row:
    """Take one order. Taken is not filled: that is read afterwards."""
    return {"orderId": _place(call, params), "ts": call.venue_ms}


def submit(call: Call, params: Params) -> str:
    """The same by its older name: answers the bare id."""
    return _place(call, params)


def submit_batch(call: Call, params: Params) -> list[Row]:
    """Take each order by itself. A known externalOid is answered with the order's id."""

    def one(item: Params) -> Row:
        order_id = _known_id(call, client_id_of(item)) or _place(call, item)
        return {"orderId": order_id, "errorCode": 0, "errorMsg": ""}

    return [
        {"externalOid": str(item.get("externalOid") or "")}
        | _each(one, item, {"orderId": None, "errorCode": 0, "errorMsg": ""})
        for item in _items(params, codes.TOO_LARGE_BATCH)
    ]


def cancel(call: Call, params: Params) -> list[Row]:
    """Cancel orders by id, each by itself."""

    def one(item: Params) -> Row:
        _cancel(call, _state(call).find_order(str(item["orderId"])))
        return {"errorCode": 0, "errorMsg": "success"}

    items = params.get("items")
    if not isinstance(items, list) or not items:
        raise ParamError("a list of order ids is required")
    if len(items) > MAX_BATCH:
        raise refused(codes.TOO_MANY_CANCELS)
    return [{"orderId": str(item)} | _each(one, {"orderId": str(item)}, {}) for item in items]


def cancel_by_client_id(call: Call, params: Params) -> Row:
    """Cancel one order by contract and externalOid."""
    _cancel(call, _by_client_id(call, params))
    return {"symbol": params["symbol"], "externalOid": params["externalOid"]}


def cancel_batch_by_client_id(call: Call, params: Params) -> list[Row]:
    """The same for many, each by itself."""

    def one(item: Params) -> Row:
        found = _by_client_id(call, item)
        _cancel(call, found)
        ids = {"orderId": found.order_id} if found else {}
        return {**ids, "errorCode": 0, "errorMsg": "success"}

    return [
        {"symbol": item.get("symbol"), "externalOid": item.get("externalOid")}
        | _each(one, item, {})
        for item in _items(params, codes.TOO_MANY_CANCELS)
    ]


def cancel_all(call: Call, params: Params) -> None:
    """Cancel all open orders, of a contract or all."""
    symbol, state = wanted_symbol(call, params), _state(call)
    for order in state.open_orders(symbol):
        state = book.cancel(state, at_ms=call.at_ms, order_id=order.order_id)
    call.exchange.change(account_of(call).id, state, call.at_ms)


def orders_by_client_ids(call: Call, params: Params) -> list[Row]:
    """Look up many orders by contract and externalOid; what is not known is left out."""
    view = reads.view_of(call)
    items = _items(params, codes.TOO_LARGE_BATCH)
    found = [view.state.find_order(client_id=str(item.get("externalOid"))) for item in items]
    return [rows.order_row(view, order) for order in found if order]


def close_all(call: Call, params: Params) -> list[Row]:  # noqa: ARG001
    """Close everything that is held at the market."""
    for held in list(_state(call).positions.values()):
        ticket = Ticket(
            symbol=held.symbol,
            size_lots=-held.size_lots,
            reduce_only=held.side_index == 0,
            side_index=held.side_index,
        )
        place_order(call, ticket, _new_id(call))
    return []


def change_leverage(call: Call, params: Params) -> None:
    """Set the leverage of a position, or of a contract's side under a margin mode."""
    contract, position_type, mode = _leverage_target(call, params)
    leverage = _leverage(params)
    if leverage is None:
        raise refused(codes.WRONG_LEVERAGE)
    account, state = account_of(call), _state(call)
    if any(not order.ticket.only_closes for order in state.open_orders(contract.symbol)):
        raise refused(codes.IN_USE)
    state = _with_mode(state, contract.symbol, mode)
    held = held_for(state, contract.symbol, position_type)
    sides = {position_type, held.side_index if held else position_type}
    try:
        state = book.set_leverage(state, call.board, contract.symbol, leverage, (*sides,), mode)
    except BookError as error:
        if error.reason is not Reason.LEVERAGE_UNCHANGED:
            raise
    call.exchange.change(account.id, state, call.at_ms)


def _leverage_target(call: Call, params: Params) -> tuple[PaperInstrument, int, MarginMode]:
    """What a change of leverage is for: contract, positionType, margin mode."""
    if not params.get("positionId"):
        return contract_of(call, params), position_type_of(params), mode_of(params)
    account, state, wanted = account_of(call), _state(call), whole(params, "positionId")
    for held in state.positions.values():
        if rows.position_id(account, held) == wanted:
            contract = call.instruments[held.symbol]
            return contract, type_of(held.size_lots), state.margin_mode(held.symbol)
    raise refused(codes.NO_POSITION)


def _with_mode(state: AccountState, symbol: str, mode: MarginMode) -> AccountState:
    """A flat contract takes on the mode: ccxt's set_margin_mode is this request."""
    try:
        return book.set_margin_mode(state, mode, symbol)
    except BookError:  # it has it already, or what is held keeps its own
        return state


def change_position_mode(call: Call, params: Params) -> None:
    """Hedge (1) or one-way (2), for the whole account; the one in force already is fine."""
    mode = whole(params, "positionMode", "0")
    if mode not in {HEDGE, ONE_WAY}:
        raise ParamError("positionMode invalid")
    account = account_of(call)
    try:
        after = book.set_position_mode(_state(call), mode == HEDGE)
    except BookError as error:
        if error.reason is not Reason.POSITION_MODE_UNCHANGED:
            raise
    else:
        call.exchange.change(account.id, after, call.at_ms)


def _state(call: Call) -> AccountState:
    return call.exchange.state(account_of(call), call.at_ms)


def _items(params: Params, too_many: str) -> list[Params]:
    items = params.get("items")
    if not isinstance(items, list) or not items:
        raise ParamError("a list is required")
    if len(items) > MAX_BATCH:
        raise refused(too_many)
    return [item if isinstance(item, dict) else {} for item in items]


def _each(one: Callable[[Params], Row], item: Params, empty: Row) -> Row:
    try:
        return one(item)
    except (VenueError, ParamError, BookError) as error:
        code, text = told(error)
        return empty | {"errorCode": code, "errorMsg": text}


def _by_client_id(call: Call, params: Params) -> BookOrder | None:
    symbol, client_id = contract_of(call, params).symbol, client_id_of(params)
    if not client_id:
        raise ParamError("externalOid is required")
    found = _state(call).find_order(client_id=client_id)
    return found if found and found.ticket.symbol == symbol else None


def _cancel(call: Call, order: BookOrder | None) -> None:
    if order is None:
        raise refused(codes.NO_ORDER)
    if not order.is_open:
        raise refused(codes.NOT_CANCELLABLE)
    after = book.cancel(_state(call), at_ms=call.at_ms, order_id=order.order_id)
    call.exchange.change(account_of(call).id, after, call.at_ms)


def _known_id(call: Call, client_id: str) -> str:
    found = _state(call).find_order(client_id=client_id)
    return found.order_id if found else ""


def _new_id(call: Call) -> str:
    return rows.order_id(account_of(call).id, _state(call).sequence)


def _place(call: Call, params: Params) -> str:
    ticket = _ticket(call, params)
    known = _known_id(call, ticket.client_id) if Habits.second_client_id_is_fine else ""
    if known:
        return known
    _check(call, ticket, has_leverage=_leverage(params) is not None)
    order_id = _new_id(call)
    place_order(call, ticket, order_id)
    return order_id


def _ticket(call: Call, params: Params) -> Ticket:
    state, contract, mode = _state(call), contract_of(call, params), mode_of(params)
    side, kind = whole(params, "side", "0"), whole(params, "type", "0")
    if side not in SIDES:
        raise refused(codes.WRONG_SIDE)
    if kind not in TIMES_IN_FORCE:
        raise ParamError("type invalid")
    sign, closes = SIDES[side]
    index = _index(state, params, side)
    only_closes = closes or _is_true(params, "reduceOnly")
    vol = number(params, "vol")
    if vol <= 0:
        raise refused(codes.WRONG_QUANTITY)
    leverage = _leverage(params)
    if not only_closes and leverage is None:
        if mode is MarginMode.ISOLATED:
            raise refused(codes.WRONG_LEVERAGE)
        leverage = leverage_for(state, contract, type_of(Decimal(sign)), mode)
    return Ticket(
        symbol=contract.symbol,
        size_lots=sign * vol,
        client_id=client_id_of(params),
        reduce_only=only_closes and index == 0,
        limit_price=None if kind in MARKET_TYPES else number(params, "price"),
        time_in_force=TIMES_IN_FORCE[kind],
        side_index=index,
        leverage=leverage,
        margin_mode=mode,
    )


def _index(state: AccountState, params: Params, side: int) -> int:
    """The side index that an order is for. Raises VenueError.

    One-way mode: 2 and 4 only reduce, as does `reduceOnly` with 1 and 3. Whether a plain 3 against
    a long nets it at the real venue nobody has told; here it does, and may turn it round.
    """
    is_hedged = state.is_hedged()
    wanted = whole(params, "positionMode", "0")
    if wanted and wanted != (HEDGE if is_hedged else ONE_WAY):
        raise refused(codes.OTHER_POSITION_MODE)
    if is_hedged and _is_true(params, "reduceOnly"):
        raise ParamError("reduceOnly is not accepted in hedge mode")
    return INDEXES[side] if is_hedged else 0


def _leverage(params: Params) -> Decimal | None:
    """A whole leverage, None if there is none. Raises VenueError."""
    leverage = number(params, "leverage", "0")
    if leverage % 1:
        raise refused(codes.WRONG_LEVERAGE)
    return leverage or None


def _is_true(params: Params, name: str) -> bool:
    return params.get(name) in {True, "true"}


def _check(call: Call, ticket: Ticket, *, has_leverage: bool) -> None:
    """What the venue checks besides the book: close sizes, leverage, the price band."""
    state = _state(call)
    held = state.position(ticket.symbol, ticket.side_index)
    is_same_side = held is not None and held.size_lots * ticket.size_lots > 0
    if ticket.only_closes:
        if held is None or is_same_side:
            raise refused(codes.NO_POSITION)
        free = abs(held.size_lots) - rows.frozen_lots(state, held)
        if abs(ticket.size_lots) > free:  # the venue cuts nothing to size
            raise refused(codes.CLOSES_TOO_MUCH)
    elif is_same_side and has_leverage and ticket.margin_mode is state.margin_mode(ticket.symbol):
        contract = call.instruments[ticket.symbol]
        if ticket.leverage != state.leverage(contract, ticket.side_index):
            raise refused(codes.OTHER_LEVERAGE)
    _check_band(call, ticket)


def _check_band(call: Call, ticket: Ticket) -> None:
    limit, mark = ticket.limit_price, call.board[ticket.symbol].mark
    width = mark * rows.band(call.instruments[ticket.symbol])
    if limit is None or limit <= 0:
        return
    if ticket.size_lots > 0 and limit > mark + width:
        raise refused(codes.PRICE_TOO_HIGH)
    if ticket.size_lots < ZERO and limit < mark - width:
        raise refused(codes.PRICE_TOO_LOW)
