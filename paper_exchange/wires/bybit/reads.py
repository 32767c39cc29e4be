"""Bybit v5's GET paths: public data, account, positions, orders, fills."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from paper_exchange import book
from paper_exchange.orders import BookOrder
from paper_exchange.rest import (
    ParamError,
    Params,
    account_of,
    instrument_of,
    rights_of,
    whole,
)
from paper_exchange.wire import Call
from paper_exchange.wires.bybit import rows

Row = dict[str, Any]

FAR_MS = 10**15
DAY_MS = 86_400_000


def _page(found: Sequence[Row], params: Params, default: int, most: int) -> Row:
    """One page; the cursor is the number of rows that went before."""
    limit = max(1, min(most, whole(params, "limit", str(default))))
    start = whole(params, "cursor", "0")
    is_last = start + limit >= len(found)
    return {
        "category": str(params.get("category", "linear")),
        "list": list(found[start : start + limit]),
        "nextPageCursor": "" if is_last else str(start + limit),
    }


def is_linear(params: Params) -> bool:
    """True for the one category that has instruments here."""
    return bool(params.get("category", "linear") == "linear")


def time(call: Call, _: Params) -> Row:
    """The venue's clock."""
    seconds = call.venue_ms // 1000
    return {"timeSecond": str(seconds), "timeNano": str(call.venue_ms * 1_000_000)}


def instruments(call: Call, params: Params) -> Row:
    """What is listed; nothing outside of linear, nothing before launch."""
    wanted = params.get("symbol")
    status = params.get("status", "Trading")
    found = [
        rows.instrument_row(row)
        for row in call.instruments.values()
        if is_linear(params) and row.status == status and wanted in {None, row.symbol}
    ]
    return _page(found, params, 500, 1000)


def tickers(call: Call, params: Params) -> Row:
    """One row, or all."""
    if not is_linear(params):
        return {"category": params.get("category"), "list": []}
    symbols: Iterable[str] = call.instruments
    if params.get("symbol"):
        symbols = (instrument_of(call, params).symbol,)
    board = call.board
    listed = [rows.ticker_row(board, name, call.at_ms, book.FUNDING_RATE) for name in symbols]
    return {"category": "linear", "list": listed}


def coins(call: Call, params: Params) -> Row:  # noqa: ARG001
    """No deposits here, so no coin has chains."""
    return {"rows": []}


def query_api(call: Call, _: Params) -> Row:
    """What the key may do."""
    account, rights = account_of(call), rights_of(call)
    end = rights.expires_at_ms
    row: Row = {
        "id": "1",
        "note": account.name,
        "apiKey": account.api_key,
        "readOnly": int(rights.is_read_only),
        "secret": "",
        "permissions": {
            "ContractTrade": ["Order", "Position"],
            "Spot": [],
            "Wallet": ["AccountTransfer", "Withdraw"] if rights.can_withdraw else [],
            "Options": [],
            "Derivatives": [],
            "CopyTrading": [],
            "BlockTrade": [],
            "Exchange": [],
            "NFT": [],
        },
        "ips": list(rights.ips) or ["*"],
        "type": 1,
        "unified": 0,
        "uta": 1,
        "userID": 1,
        "isMaster": True,
    }
    if end is None:
        return row
    moment = datetime.fromtimestamp(end / 1000, tz=UTC)
    days = max(0, end - call.venue_ms) // DAY_MS
    return {**row, "expiredAt": f"{moment:%Y-%m-%dT%H:%M:%SZ}", "deadlineDay": days}


def account_info(call: Call, _: Params) -> Row:
    """Account-wide modes."""
    return {
        "marginMode": rows.MARGIN_MODES[call.seen(account_of(call)).margin_mode()],
        "updatedTime": str(call.venue_ms),
        "unifiedMarginStatus": 6,
        "dcpStatus": "OFF",
        "timeWindow": 10,
        "smpGroup": 0,
        "isMasterTrader": False,
        "spotHedgingStatus": "OFF",
    }


def wallet_balance(call: Call, _: Params) -> Row:
    """The unified account's money."""
    return {"list": [rows.wallet_row(call.seen(account_of(call)), call.board)]}


def positions(call: Call, params: Params) -> Row:
    """By symbol flat rows too, as they carry the leverage; by settle coin only what is held."""
    state, board = call.seen(account_of(call)), call.board
    if not is_linear(params):
        return _page([], params, 20, 200)
    if params.get("symbol"):
        symbol = instrument_of(call, params).symbol
        sides = (1, 2) if state.is_hedged(symbol) else (0,)
        found = [rows.position_row(state, board, symbol, index) for index in sides]
    elif params.get("settleCoin"):
        is_ours = params["settleCoin"] == "USDT"
        held = state.positions.values() if is_ours else ()
        found = [rows.position_row(state, board, row.symbol, row.side_index) for row in held]
    else:
        raise ParamError("params error: symbol or settleCoin is required")
    return _page(found, params, 20, 200)


def realtime(call: Call, params: Params) -> Row:
    """Open orders; asked by id, or with openOnly=1, lately closed ones too (the last 500)."""
    by_id = bool(params.get("orderId") or params.get("orderLinkId"))
    everything = by_id or str(params.get("openOnly", "0")) == "1"
    return _orders(call, params, lambda order: everything or order.is_open)


def history(call: Call, params: Params) -> Row:
    """Orders that are done, newest first."""
    return _orders(call, params, lambda order: not order.is_open)


def _orders(call: Call, params: Params, wanted: Callable[[BookOrder], bool]) -> Row:
    state, board = call.seen(account_of(call)), call.board
    found = [
        row
        for order in reversed(state.orders.values())
        if is_linear(params) and wanted(order)
        for row in (rows.order_row(order, board),)
        if _has(row, params, ("symbol", "orderId", "orderLinkId", "orderStatus"))
    ]
    return _page(found, params, 20, 50)


def executions(call: Call, params: Params) -> Row:
    """Fills, newest first."""
    state, board = call.seen(account_of(call)), call.board
    since, until = whole(params, "startTime", "0"), whole(params, "endTime", str(FAR_MS))
    found = [
        row
        for execution in reversed(state.executions)
        if is_linear(params) and since <= execution.at_ms <= until
        for row in (rows.execution_row(execution, board),)
        if _has(row, params, ("symbol", "orderId", "orderLinkId", "execType"))
    ]
    return _page(found, params, 50, 100)


def _has(row: Row, params: Params, names: Iterable[str]) -> bool:
    return all(row[name] == params[name] for name in names if params.get(name))
