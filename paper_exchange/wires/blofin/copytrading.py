"""BloFin's copy trading, as a lead trader meets it: a second account with paths of its own.

From the documents: place-order knows neither clientOrderId nor reduceOnly, cancel-order knows an
orderId only, there is no order-detail, and a position is reduced by close-position-by-contract.
What they do not name is ignored here, which is the safe assumption for a client.
"""

from dataclasses import replace
from decimal import ROUND_FLOOR

from paper_exchange.orders import ZERO, BookError, Reason, Ticket
from paper_exchange.rest import Params, VenueError, account_of
from paper_exchange.wire import Call
from paper_exchange.wires.blofin import params as read
from paper_exchange.wires.blofin import reads, writes
from paper_exchange.wires.blofin.codes import (
    POSITION_CLOSED,
    SUCCESS,
    Outcome,
    Row,
    translated,
)

ORDER_FIELDS = frozenset(("instId", "marginMode", "positionSide", "side"))
ORDER_FIELDS |= {"orderType", "price", "size"}
NOT_IN_ROWS = frozenset(("clientOrderId", "filled_amount", "algoClientOrderId", "algoId"))
NOT_IN_HISTORY = frozenset(("cancelSource", "cancelSourceReason", "reduceOnly"))


def instruments(call: Call, params: Params) -> Row:  # noqa: ARG001
    """What may be traded: everything that is listed."""
    return {"instIdList": [row.id for row in call.instruments.values()]}


def config(call: Call, params: Params) -> Row:  # noqa: ARG001
    """A lead trader."""
    return {"nickName": account_of(call).name, "roleType": "1"}


def place_order(call: Call, params: Params) -> Outcome:
    """Take one order; only the documented fields count."""
    return writes.create(call, {key: params[key] for key in ORDER_FIELDS if key in params})


def cancel_order(call: Call, params: Params) -> Outcome:
    """Cancel one order; the answer is an object without ids, as in the documents."""
    outcome = writes.cancel(call, {"orderId": read.text(params, "orderId")})
    row = outcome.rows[0]
    is_done = row["code"] == SUCCESS
    told = {"code": row["code"], "msg": None if is_done else row["msg"]}
    return replace(outcome, rows=[told], is_object=True)


def orders_pending(call: Call, params: Params) -> list[Row]:
    """Open orders; the contract under both names, as document and example differ."""
    return [
        {key: value for key, value in row.items() if key not in NOT_IN_ROWS}
        | {"symbol": row["instId"]}
        for row in reads.orders_pending(call, params)
    ]


def orders_history(call: Call, params: Params) -> list[Row]:
    """Orders that are done; twenty at most."""
    limit = min(20, read.count(params, "limit", 20))
    names = NOT_IN_ROWS | NOT_IN_HISTORY
    return [
        {key: value for key, value in row.items() if key not in names}
        for row in reads.orders_history(call, {**params, "limit": limit})
    ]


def close_by_contract(call: Call, params: Params) -> Row:
    """Close some of a position at market: so many contracts, or a share of it."""
    row, mode = read.instrument(call, params), read.margin_mode(params)
    index, size = read.side_index(params), read.amount(params, "size")
    kind = read.text(params, "closeType")
    if kind not in {"pnl", "fixedRatio"}:
        raise read.wrong("closeType")
    state = call.exchange.state(account_of(call), call.at_ms)
    if bool(index) is not state.is_hedged():
        raise translated(BookError(Reason.POSITION_INDEX, ""))
    held = state.size_lots(row.symbol, index)
    if not held or state.margin_mode(row.symbol) is not mode:
        raise VenueError(POSITION_CLOSED, "Position had been closed")
    if kind == "fixedRatio":
        steps = (abs(held) * size / row.step_lots).to_integral_value(ROUND_FLOOR)
        size = steps * row.step_lots
    if size <= ZERO:
        raise read.wrong("size")
    ticket = Ticket(
        symbol=row.symbol,
        size_lots=-size.copy_sign(held),  # the book cuts it to the position
        reduce_only=True,
        closes_all=size >= abs(held),
        side_index=index,
        margin_mode=mode,
    )
    return {"orderIds": [writes.place(call, ticket)]}
