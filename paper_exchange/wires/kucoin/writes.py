"""KuCoin's POST and DELETE paths: orders, leverage, modes."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from hashlib import blake2b
from typing import Any

import orjson

from paper_exchange import book
from paper_exchange.account import AccountState
from paper_exchange.instruments import PaperInstrument
from paper_exchange.orders import BookError, MarginMode, Reason, Ticket, TimeInForce
from paper_exchange.rest import ParamError, Params, VenueError, account_of, number, place_order
from paper_exchange.wire import Call, plain
from paper_exchange.wires.kucoin import params as read
from paper_exchange.wires.kucoin import rows
from paper_exchange.wires.kucoin.codes import (
    BAD_PARAM,
    CODES,
    MISSING_PARAM,
    PRICE_TOO_LOW,
    SUCCESS,
    translated,
)
from paper_exchange.wires.kucoin.market_rows import price_limits
from paper_exchange.wires.kucoin.params import Row

MAX_BATCH = 20
MAX_CANCELS = 10
MAX_RESTING = 100  # limit orders of one contract
FIRST_ORDER_ID = 200_000_000_000_000_000
CANCELLED = "200"  # of one order among several


def create(call: Call, params: Params) -> Row:
    """Take one order. Taken is not filled: that is read afterwards."""
    return {"orderId": _place(call, params), "clientOid": read.client_id(params)}


def create_test(call: Call, params: Params) -> Row:
    """Check an order as if it were taken."""
    ticket, order_id = _ticket(call, params), _order_id(call)
    state = call.exchange.state(account_of(call), call.at_ms)
    try:
        book.place(state, call.board, ticket, order_id=order_id, at_ms=call.at_ms)
    except BookError as error:
        raise translated(error, ticket.margin_mode) from error
    return {"orderId": order_id, "clientOid": ticket.client_id}


def create_batch(call: Call, params: Params) -> list[Row]:
    """Take each order by itself; a refusal is told in its own row, without an id."""

    def one(item: Params) -> tuple[str, str, str]:
        return _place(call, item), SUCCESS, "success"

    found = []
    for item in _items(params.get("items"), MAX_BATCH):
        given = item if isinstance(item, dict) else {}
        order_id, code, text = _outcome(one, given)
        found.append(
            {
                "orderId": order_id,
                "clientOid": given.get("clientOid"),
                "symbol": given.get("symbol"),
                "code": code,
                "msg": text,
            }
        )
    return found


def cancel(call: Call, params: Params) -> Row:
    """Cancel one order by its id."""
    return {"cancelledOrderIds": [_cancel(call, order_id=str(params["order_id"]))]}


def cancel_by_client_id(call: Call, params: Params) -> Row:
    """Cancel one order by the client's id."""
    read.instrument(call, params)
    client_id = str(params["client_id"])
    _cancel(call, client_id=client_id)
    return {"clientOid": client_id}


def cancel_all(call: Call, params: Params) -> Row:
    """Cancel all orders, of one contract or of every."""
    symbol = read.instrument(call, params).symbol if params.get("symbol") else None
    state = call.exchange.state(account_of(call), call.at_ms)
    found = [order.order_id for order in state.open_orders(symbol)]
    return {"cancelledOrderIds": [_cancel(call, order_id=order_id) for order_id in found]}


def cancel_batch(call: Call, _: Params) -> list[Row]:
    """Cancel each by itself; the ids are in the body, though the method is DELETE."""
    body = _body(call)
    by_id = body.get("orderIdsList")
    name = "orderId" if by_id else "clientOid"

    def one(item: Params) -> tuple[str, str, str]:
        if by_id:
            return _cancel(call, order_id=str(item["orderId"])), CANCELLED, "success"
        _cancel(call, client_id=read.client_id(item))
        return read.client_id(item), CANCELLED, "success"

    found = []
    for item in _items(by_id or body.get("clientOidsList"), MAX_CANCELS):
        given = item if isinstance(item, dict) else {"orderId": item}
        code, text = _outcome(one, given)[1:]
        row: Row = {"orderId": None, "clientOid": None, name: given.get(name)}
        found.append(row | {"code": code, "msg": text})
    return found


def set_cross_leverage(call: Call, params: Params) -> bool:
    """Set a contract's leverage under cross margin; again is fine."""
    row, value = read.instrument(call, params), number(params, "leverage")
    try:
        _change(
            call,
            Reason.LEVERAGE_UNCHANGED,
            lambda state: book.set_leverage(
                state, call.board, row.symbol, value, (0, 1, 2), MarginMode.CROSS
            ),
        )
    except BookError as error:
        raise _leverage_error(error, row) from error
    return True


def set_margin_mode(call: Call, params: Params) -> Row:
    """Set a contract's mode, while flat and without orders; again is fine."""
    row, mode = read.instrument(call, params), read.margin_mode(params)
    try:
        _change(
            call,
            Reason.MARGIN_MODE_UNCHANGED,
            lambda state: book.set_margin_mode(state, mode, row.symbol),
        )
    except BookError as error:
        raise translated(error) from error
    return {"symbol": row.id, "marginMode": rows.MODE_NAMES[mode]}


def set_position_mode(call: Call, params: Params) -> Row:
    """Set one-way (0) or hedge mode (1) for all contracts, while flat; again is fine."""
    name = str(params.get("positionMode"))
    if name not in {"0", "1"}:
        raise ParamError("positionMode must be 0 or 1")
    try:
        _change(
            call,
            Reason.POSITION_MODE_UNCHANGED,
            lambda state: book.set_position_mode(state, name == "1"),
        )
    except BookError as error:
        raise translated(error) from error
    return {"positionMode": int(name)}


def _place(call: Call, params: Params) -> str:
    ticket, order_id = _ticket(call, params), _order_id(call)
    try:
        place_order(call, ticket, order_id)
    except BookError as error:
        if error.reason is Reason.LEVERAGE_RANGE:
            raise _leverage_error(error, call.instruments[ticket.symbol]) from error
        raise translated(error, ticket.margin_mode) from error
    return order_id


def _order_id(call: Call) -> str:
    account = account_of(call)
    sequence = call.exchange.state(account, call.at_ms).sequence
    digest = blake2b(f"{account.id}:{sequence}".encode(), digest_size=7).digest()
    return str(FIRST_ORDER_ID + int.from_bytes(digest))


def _ticket(call: Call, params: Params) -> Ticket:
    """Read an order. Raises ParamError, VenueError."""
    client_id, row = read.client_id(params), read.instrument(call, params)
    mode, index = read.margin_mode(params, "ISOLATED"), read.side_index(params)
    state = call.exchange.state(account_of(call), call.at_ms)
    if bool(index) is not state.is_hedged():
        raise translated(BookError(Reason.POSITION_INDEX, ""))
    if mode is not state.margin_mode(row.symbol):
        raise translated(BookError(Reason.MARGIN_MODE_MISMATCH, ""))
    if params.get("stop"):
        raise ParamError("stop orders are not simulated")
    kind = str(params.get("type") or "limit")
    if kind not in {"limit", "market"}:
        raise ParamError("type must be limit or market")
    closes_all = read.is_true(params, "closeOrder")
    reduces = closes_all or read.is_true(params, "reduceOnly")
    if closes_all:
        size = -state.size_lots(row.symbol, index)
        if not size:
            raise translated(BookError(Reason.NOTHING_TO_REDUCE, ""))
    else:
        size = read.sign(params) * read.lots(params, row, call.board[row.symbol].mark)
    limit = number(params, "price") if kind == "limit" else None
    _check_limit(call, state, row, size, limit)
    return Ticket(
        symbol=row.symbol,
        size_lots=size,
        client_id=client_id,
        reduce_only=reduces,
        limit_price=limit,
        time_in_force=_time_in_force(params, limit),
        side_index=index,
        closes_all=closes_all,
        leverage=_leverage(params, mode, reduces),
        margin_mode=mode,
    )


def _leverage(params: Params, mode: MarginMode, reduces: bool) -> Decimal | None:
    """What comes with the order: it counts under isolated margin only."""
    if mode is MarginMode.CROSS or reduces:
        return None
    if params.get("leverage") in {None, ""}:
        raise VenueError(MISSING_PARAM, "Leverage parameter cannot be empty.")
    return number(params, "leverage")


def _time_in_force(params: Params, limit: object) -> TimeInForce:
    found = read.TIMES_IN_FORCE.get(str(params.get("timeInForce") or "GTC"))
    if found is None:
        raise ParamError("timeInForce must be GTC, IOC or FOK")
    if limit is None:
        return TimeInForce.IOC
    return TimeInForce.POST_ONLY if read.is_true(params, "postOnly") else found


def _check_limit(
    call: Call, state: AccountState, row: PaperInstrument, size: Decimal, limit: Decimal | None
) -> None:
    """Refuse a limit too far from mark, and one order too many. Raises VenueError."""
    if limit is None:
        return
    low, high = price_limits(row, call.board[row.symbol].mark)
    if size > 0 and limit > high:
        text = f"Order price cannot be higher than {plain(high)}"
        raise VenueError(CODES[Reason.PRICE_RANGE], text)
    if size < 0 and limit < low:
        raise VenueError(PRICE_TOO_LOW, f"Order price cannot be lower than {plain(low)}")
    resting = len(state.open_orders(row.symbol))
    if resting >= MAX_RESTING:
        text = f"Active order quantity limit exceeded (limit: {MAX_RESTING}; current: {resting})"
        raise VenueError(CODES[Reason.TOO_MANY_ORDERS], text)


def _leverage_error(error: BookError, row: PaperInstrument) -> VenueError:
    if error.reason is Reason.LEVERAGE_RANGE:
        text = f"The leverage cannot be greater than {plain(row.max_leverage)}."
        return VenueError(CODES[error.reason], text)
    return translated(error)


def _cancel(call: Call, order_id: str = "", client_id: str = "") -> str:
    account = account_of(call)
    state = call.exchange.state(account, call.at_ms)
    found = state.find_order(order_id, client_id)
    try:
        after = book.cancel(state, at_ms=call.at_ms, order_id=order_id, client_id=client_id)
    except BookError as error:
        raise translated(error) from error
    call.exchange.change(account.id, after, call.at_ms)
    return found.order_id if found else ""


def _change(call: Call, unchanged: Reason, change: Callable[[AccountState], AccountState]) -> None:
    account = account_of(call)
    try:
        after = change(call.exchange.state(account, call.at_ms))
    except BookError as error:
        if error.reason is not unchanged:
            raise
    else:
        call.exchange.change(account.id, after, call.at_ms)


def _outcome(
    one: Callable[[Params], tuple[str, str, str]], item: Params
) -> tuple[str | None, str, str]:
    """What became of one among several: its id, a code, words."""
    try:
        return one(item)
    except VenueError as error:
        return None, error.code, str(error)
    except ParamError as error:
        return None, BAD_PARAM, str(error)


def _items(given: object, most: int) -> Sequence[Any]:
    if not isinstance(given, list) or not 0 < len(given) <= most:
        raise ParamError(f"1 to {most} are taken at once")
    return given


def _body(call: Call) -> Row:
    try:
        body = orjson.loads(call.request.body or b"{}")
    except orjson.JSONDecodeError as error:
        raise ParamError("body is not JSON") from error
    return body if isinstance(body, dict) else {}
