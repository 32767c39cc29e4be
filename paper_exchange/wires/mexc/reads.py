"""MEXC's reading paths: public data, account, positions, orders, fills."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from paper_exchange import book
from paper_exchange.orders import BookOrder, Execution, Origin
from paper_exchange.rest import ParamError, Params, account_of, whole
from paper_exchange.wire import Call
from paper_exchange.wires.mexc import rows
from paper_exchange.wires.mexc.codes import NO_CONTRACT, NO_ORDER, Habits, refused
from paper_exchange.wires.mexc.params import (
    LONG,
    MOST,
    PAGE,
    SHORT,
    Row,
    contract_of,
    leverage_for,
    page,
    wanted_symbol,
)

WEEK_MS = 7 * 86_400_000  # what lists go back by default


@dataclass(frozen=True, slots=True)
class Raw:
    """An answer of the spot API, which has no envelope."""

    payload: Any


def view_of(call: Call) -> rows.View:
    """The account as a read shows it."""
    account = account_of(call)
    return rows.View(account, call.seen(account), call.board)


def ping(call: Call, _: Params) -> int:
    """The venue's clock."""
    return call.venue_ms


def detail(call: Call, params: Params) -> Row | list[Row]:
    """What is listed: one contract as an object, or all."""
    if params.get("symbol"):
        return rows.detail_row(contract_of(call, params))
    return [rows.detail_row(row) for row in call.instruments.values()]


def ticker(call: Call, params: Params) -> Row | list[Row]:
    """One contract's prices as an object, or all."""
    board, rate = call.board, book.FUNDING_RATE
    if params.get("symbol"):
        return rows.ticker_row(board, contract_of(call, params), call.venue_ms, rate)
    listed = call.instruments.values()
    return [rows.ticker_row(board, row, call.venue_ms, rate) for row in listed]


def funding_rate(call: Call, params: Params) -> Row:
    """A contract's current funding."""
    return rows.funding_row(contract_of(call, params), call.venue_ms, book.FUNDING_RATE)


def spot_info(call: Call, params: Params) -> Raw:  # noqa: ARG001
    """No spot market is simulated."""
    return Raw({"timezone": "CST", "serverTime": call.venue_ms, "symbols": []})


def spot_time(call: Call, params: Params) -> Raw:  # noqa: ARG001
    """The clock, as the spot API tells it."""
    return Raw({"serverTime": call.venue_ms})


def spot_coins(call: Call, params: Params) -> Raw:  # noqa: ARG001
    """No deposits here, so no coin has networks. Nothing is told, so nothing is checked."""
    return Raw([])


def assets(call: Call, _: Params) -> list[Row]:
    """All coins of the contract account: USDT."""
    return [rows.asset_row(view_of(call))]


def asset(call: Call, params: Params) -> Row:
    """One coin."""
    if params["currency"] != "USDT":
        raise ParamError("currency is not supported")
    return rows.asset_row(view_of(call))


def open_positions(call: Call, params: Params) -> list[Row]:
    """What is held, of one contract or of all; a flat one has no row."""
    view, symbol = view_of(call), wanted_symbol(call, params)
    held = view.state.positions.values()
    return [rows.position_row(view, row) for row in held if symbol in {None, row.symbol}]


def past_positions(call: Call, params: Params) -> list[Row]:  # noqa: ARG001
    """Closed positions are not kept."""
    return []


def leverage(call: Call, params: Params) -> list[Row]:
    """Leverage of both sides in the margin mode that is in force."""
    contract, state = contract_of(call, params), call.seen(account_of(call))
    mode = state.margin_mode(contract.symbol)
    return [
        rows.leverage_row(contract, side, leverage_for(state, contract, side, mode), mode)
        for side in (LONG, SHORT)
    ]


def position_mode(call: Call, _: Params) -> int:
    """1 hedge, 2 one-way. A new account is one-way here; at the venue many start in hedge mode."""
    return 1 if call.seen(account_of(call)).is_hedged() else 2


def order_by_id(call: Call, params: Params) -> Row | None:
    """One order, whatever became of it."""
    view = view_of(call)
    return _shown(view, view.state.find_order(str(params["order_id"])))


def order_by_client_id(call: Call, params: Params) -> Row | None:
    """The newest order of a contract with that externalOid."""
    view, symbol = view_of(call), contract_of(call, params).symbol
    found = view.state.find_order(client_id=str(params["external_oid"]))
    return _shown(view, found if found and found.ticket.symbol == symbol else None)


def _shown(view: rows.View, order: BookOrder | None) -> Row | None:
    if order:
        return rows.order_row(view, order)
    if Habits.unknown_order_is_null:
        return None
    raise refused(NO_ORDER)  # as for a cancellation; the venue does not document it for a lookup


def orders_by_ids(call: Call, params: Params) -> list[Row]:
    """Those of the ids given that are known."""
    view = view_of(call)
    ids = str(params.get("order_ids", "")).split(",")
    found = [view.state.find_order(order_id) for order_id in ids if order_id]
    return [rows.order_row(view, order) for order in found if order]


def open_orders(call: Call, params: Params) -> list[Row]:
    """Orders that may still be filled, newest first."""
    return _orders(call, params, lambda order: order.is_open)


def past_orders(call: Call, params: Params) -> list[Row]:
    """Orders of the last week or the time given, in the states given, newest first."""
    states = {text for text in str(params.get("states", "")).split(",") if text}
    side = whole(params, "side", "0")
    since, until = _span(call, params)

    def is_wanted(order: BookOrder) -> bool:
        return (
            since <= order.created_ms <= until
            and (not states or str(rows.order_state(order)) in states)
            and side in {0, rows.side_of(order.ticket)}
        )

    return _orders(call, params, is_wanted)


def _span(call: Call, params: Params) -> tuple[int, int]:
    until = whole(params, "end_time", str(max(call.at_ms, call.venue_ms)))
    return whole(params, "start_time", str(until - WEEK_MS)), until


def _orders(call: Call, params: Params, is_wanted: Callable[[BookOrder], bool]) -> list[Row]:
    view, symbol = view_of(call), wanted_symbol(call, params)
    found = [
        order
        for order in reversed(view.state.orders.values())
        if symbol in {None, order.ticket.symbol} and is_wanted(order)
    ]
    return [rows.order_row(view, order) for order in page(found, params)]


def deals(call: Call, params: Params) -> list[Row]:
    """Fills of a contract, newest first."""
    symbol = wanted_symbol(call, params)
    if symbol is None:
        raise refused(NO_CONTRACT)
    since, until = _span(call, params)
    return page(
        _deals(call, lambda row: row.symbol == symbol and since <= row.at_ms <= until), params
    )


def deals_of_order(call: Call, params: Params) -> list[Row]:
    """Fills of one order."""
    return _deals(call, lambda row: row.order_id == str(params["order_id"]))


def _deals(call: Call, is_wanted: Callable[[Execution], bool]) -> list[Row]:
    view = view_of(call)
    return [
        rows.deal_row(view, row, view.state.orders.get(row.order_id))
        for row in reversed(view.state.executions)
        if row.origin is not Origin.FUNDING and is_wanted(row)
    ]


def funding_records(call: Call, params: Params) -> Row:
    """Funding paid and received, newest first."""
    view, symbol = view_of(call), wanted_symbol(call, params)
    found = [
        rows.funding_record(view, row)
        for row in reversed(view.state.executions)
        if row.origin is Origin.FUNDING and symbol in {None, row.symbol}
    ]
    size = max(1, min(MOST, whole(params, "page_size", str(PAGE))))
    return {
        "pageSize": size,
        "totalCount": len(found),
        "totalPage": -(-len(found) // size),
        "currentPage": max(1, whole(params, "page_num", "1")),
        "resultList": page(found, params),
    }
