"""Bybit v5's POST paths: orders, leverage, modes."""

import uuid
from collections.abc import Callable
from typing import Any

from paper_exchange import book
from paper_exchange.account import EVERY_SYMBOL
from paper_exchange.orders import BookError, Reason, Ticket, TimeInForce
from paper_exchange.rest import (
    ParamError,
    Params,
    VenueError,
    account_of,
    instrument_of,
    number,
    place_order,
    whole,
)
from paper_exchange.wire import Call
from paper_exchange.wires.bybit import rows
from paper_exchange.wires.bybit.codes import CODES
from paper_exchange.wires.bybit.reads import is_linear

Row = dict[str, Any]

MARGIN_MODES = {text: mode for mode, text in rows.MARGIN_MODES.items()}
TIMES_IN_FORCE = {str(item): item for item in TimeInForce}
MAX_CLIENT_ID = 36
MAX_BATCH = 20
ORDER_IDS = uuid.UUID("6b1d5a4e-0000-4000-8000-000000000000")
SIGNS = {"Buy": 1, "Sell": -1}


def create(call: Call, params: Params) -> Row:
    """Take one order. Taken is not filled: that is read afterwards."""
    order_id = _place(call, params)
    return {"orderId": order_id, "orderLinkId": _client_id(params)}


def create_batch(call: Call, params: Params) -> tuple[Row, Row]:
    """Take each order by itself; the codes are in retExtInfo, in the same places."""

    def one(item: Params) -> Row:
        order_id = _place(call, {"category": params.get("category"), **item})
        return {"orderId": order_id, "createAt": str(call.venue_ms)}

    return _batch(params, one, {"orderId": "", "createAt": ""})


def cancel(call: Call, params: Params) -> Row:
    """Cancel one order by orderId or orderLinkId."""
    order_id, client_id = str(params.get("orderId") or ""), _client_id(params)
    if not order_id and not client_id:
        raise ParamError("params error: orderId or orderLinkId is required")
    account = account_of(call)
    state = call.exchange.state(account, call.at_ms)
    found = state.find_order(order_id, client_id)
    after = book.cancel(state, at_ms=call.at_ms, order_id=order_id, client_id=client_id)
    call.exchange.change(account.id, after, call.at_ms)
    ids = (found.order_id, found.ticket.client_id) if found else ("", "")
    return {"orderId": ids[0], "orderLinkId": ids[1]}


def cancel_batch(call: Call, params: Params) -> tuple[Row, Row]:
    """Cancel each by itself."""
    return _batch(params, lambda item: cancel(call, item), {"orderId": ""})


def cancel_all(call: Call, params: Params) -> Row:
    """Cancel all open orders, of a symbol or of everything settled in USDT."""
    symbol = instrument_of(call, params).symbol if params.get("symbol") else None
    if symbol is None and not params.get("settleCoin") and not params.get("baseCoin"):
        raise ParamError("params error: symbol, settleCoin or baseCoin is required")
    account = account_of(call)
    state = call.exchange.state(account, call.at_ms)
    found = state.open_orders(symbol)
    for order in found:
        state = book.cancel(state, at_ms=call.at_ms, order_id=order.order_id)
    call.exchange.change(account.id, state, call.at_ms)
    ids = [{"orderId": row.order_id, "orderLinkId": row.ticket.client_id} for row in found]
    return {"list": ids, "success": "1"}


def set_leverage(call: Call, params: Params) -> Row:
    """Set a symbol's leverage; both sides must be equal unless in hedge mode and isolated."""
    symbol = instrument_of(call, params).symbol
    buy, sell = number(params, "buyLeverage"), number(params, "sellLeverage")
    if buy != sell:
        raise ParamError("params error: buyLeverage must equal sellLeverage")
    account = account_of(call)
    state, board = call.exchange.state(account, call.at_ms), call.board
    after = book.set_leverage(state, board, symbol, buy, (0, 1, 2))
    call.exchange.change(account.id, after, call.at_ms)
    return {}


def set_margin_mode(call: Call, params: Params) -> Row:
    """Set the account-wide mode; the one in force already is fine, as on a unified account."""
    mode = MARGIN_MODES.get(str(params.get("setMarginMode")))
    if mode is None:
        raise ParamError("params error: setMarginMode invalid")
    account = account_of(call)
    try:
        after = book.set_margin_mode(call.exchange.state(account, call.at_ms), mode)
    except BookError as error:
        if error.reason is not Reason.MARGIN_MODE_UNCHANGED:
            raise
    else:
        call.exchange.change(account.id, after, call.at_ms)
    return {"reasons": []}


def switch_mode(call: Call, params: Params) -> Row:
    """One-way (0) or hedge (3) mode, for a symbol or for the coin."""
    mode = whole(params, "mode", "-1")
    if mode not in {0, 3}:
        raise ParamError("params error: mode invalid")
    if not params.get("symbol") and not params.get("coin"):
        raise ParamError("params error: symbol or coin is required")
    symbol = instrument_of(call, params).symbol if params.get("symbol") else EVERY_SYMBOL
    account = account_of(call)
    state = call.exchange.state(account, call.at_ms)
    after = book.set_position_mode(state, mode == 3, symbol)  # noqa: PLR2004
    call.exchange.change(account.id, after, call.at_ms)
    return {}


def _batch(params: Params, one: Callable[[Params], Row], empty: Row) -> tuple[Row, Row]:
    items = params.get("request")
    if not isinstance(items, list) or not 0 < len(items) <= MAX_BATCH:
        raise ParamError(f"params error: request must hold 1..{MAX_BATCH} orders")
    found, codes = [], []
    for item in items:
        given = item if isinstance(item, dict) else {}
        row: dict[str, Any] = {
            "category": "linear",
            "symbol": str(given.get("symbol", "")),
            "orderLinkId": _client_id(given),
        }
        try:
            found.append(row | one(given))
            codes.append({"code": 0, "msg": "OK"})
        except VenueError as error:
            found.append(row | empty)
            codes.append({"code": int(error.code), "msg": str(error)})
        except ParamError as error:
            found.append(row | empty)
            codes.append({"code": 10001, "msg": str(error)})
        except BookError as error:
            found.append(row | empty)
            codes.append({"code": int(CODES[error.reason]), "msg": str(error)})
    return {"list": found}, {"list": codes}


def _place(call: Call, params: Params) -> str:
    if not is_linear(params):
        raise ParamError("params error: category invalid")
    account, ticket = account_of(call), _ticket(call, params)
    sequence = call.exchange.state(account, call.at_ms).sequence
    order_id = str(uuid.uuid5(ORDER_IDS, f"{account.id}:{sequence}"))
    place_order(call, ticket, order_id)
    return order_id


def _ticket(call: Call, params: Params) -> Ticket:
    symbol = instrument_of(call, params).symbol
    sign = SIGNS.get(str(params.get("side")))
    kind = params.get("orderType")
    time_in_force = TIMES_IN_FORCE.get(str(params.get("timeInForce") or "GTC"))
    index = whole(params, "positionIdx", "0")
    if sign is None:
        raise ParamError("params error: side invalid")
    if kind not in {"Market", "Limit"} or time_in_force is None:
        raise ParamError("params error: orderType or timeInForce invalid")
    if index not in {0, 1, 2}:
        raise ParamError("position idx not match position mode")
    qty, is_market = number(params, "qty"), kind == "Market"
    closes_all = qty == 0 and all(params.get(k) is True for k in ("reduceOnly", "closeOnTrigger"))
    if closes_all:  # the venue's way to say all of it
        qty = abs(call.exchange.state(account_of(call), call.at_ms).size_lots(symbol, index))
    if qty <= 0 and not closes_all:
        raise ParamError("params error: Qty invalid")
    return Ticket(
        symbol=symbol,
        size_lots=sign * qty,
        client_id=_client_id(params),
        reduce_only=params.get("reduceOnly") in {True, "true"},
        limit_price=None if is_market else number(params, "price"),
        time_in_force=TimeInForce.IOC if is_market else time_in_force,
        side_index=index,
        closes_all=closes_all,
    )


def _client_id(params: Params) -> str:
    client_id = str(params.get("orderLinkId") or "")
    if len(client_id) > MAX_CLIENT_ID:
        raise ParamError(f"params error: orderLinkId is longer than {MAX_CLIENT_ID}")
    return client_id
