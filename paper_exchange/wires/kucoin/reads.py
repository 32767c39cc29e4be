"""KuCoin's GET paths: public data, account, positions, orders, fills."""

from dataclasses import replace

from paper_exchange.account import AccountState
from paper_exchange.orders import BookOrder, MarginMode, Origin
from paper_exchange.rest import ParamError, Params, VenueError, account_of, rights_of, whole
from paper_exchange.wire import Call, plain
from paper_exchange.wires.kucoin import market_rows, rows
from paper_exchange.wires.kucoin import params as read
from paper_exchange.wires.kucoin.codes import ORDER_UNKNOWN
from paper_exchange.wires.kucoin.params import Row

FAR_MS = 10**15
ORDER_FIELDS = {"symbol": "symbol", "side": "side", "type": "type"}
FILL_FIELDS = {"symbol": "symbol", "side": "side", "type": "orderType"}


def time(call: Call, _: Params) -> int:
    """The venue's clock."""
    return call.venue_ms


def status(*_: object) -> Row:
    """Open, as long as it answers."""
    return {"status": "open", "msg": ""}


def contracts(call: Call, _: Params) -> list[Row]:
    """Everything that is listed."""
    board, listed = call.board, call.instruments.values()
    return [market_rows.contract_row(row, board, call.venue_ms) for row in listed]


def contract(call: Call, params: Params) -> Row:
    """One contract."""
    return market_rows.contract_row(read.instrument(call, params), call.board, call.venue_ms)


def ticker(call: Call, params: Params) -> Row:
    """The best prices of one contract."""
    symbol = read.instrument(call, params).symbol
    return market_rows.ticker_row(call.board, symbol, call.venue_ms)


def tickers(call: Call, _: Params) -> list[Row]:
    """The best prices of all."""
    board = call.board
    return [market_rows.ticker_row(board, symbol, call.venue_ms) for symbol in call.instruments]


def mark_price(call: Call, params: Params) -> Row:
    """Mark price of one contract."""
    row = read.instrument(call, params)
    return market_rows.mark_row(call.board[row.symbol], row, call.venue_ms)


def funding_rate(call: Call, params: Params) -> Row:
    """The rate in force for one contract."""
    return market_rows.funding_rate_row(read.instrument(call, params), call.venue_ms)


def risk_limits(call: Call, params: Params) -> list[Row]:
    """The levels of one contract."""
    return [market_rows.risk_row(read.instrument(call, params))]


def order_book(call: Call, params: Params) -> Row:
    """The order book of one contract."""
    row = read.instrument(call, params)
    return market_rows.book_row(call.board[row.symbol], row, call.venue_ms)


def nothing(*_: object) -> list[Row]:
    """Of the spot market, which is not simulated."""
    return []


def spot_tickers(call: Call, _: Params) -> Row:
    """The same, as its tickers are told."""
    return {"time": call.venue_ms, "ticker": []}


def margin_pairs(call: Call, _: Params) -> Row:
    """The same, as its margin pairs are told."""
    return {"timestamp": call.venue_ms, "items": []}


def account_mode(*_: object) -> Row:
    """Classic, not unified."""
    return {"selfAccountMode": "CLASSIC"}


def api_key(call: Call, _: Params) -> Row:
    """What the key may do; it has no end that the venue tells."""
    account, rights = account_of(call), rights_of(call)
    names = ["General", *([] if rights.is_read_only else ["Futures"])]
    names += ["InnerTransfer", "Transfer"] if rights.can_withdraw else []
    return {
        "remark": account.name,
        "apiKey": account.api_key,
        "apiVersion": 3,
        "permission": ",".join(names),
        "ipWhitelist": ",".join(rights.ips),
        "createdAt": 1_728_443_843_000,
        "uid": 1,
        "isMaster": True,
    }


def is_high_frequency(*_: object) -> bool:
    """Whether the spot account is one of those."""
    return True


def account(call: Call, params: Params) -> Row:
    """The futures account in USDT."""
    if params.get("currency", "USDT") != "USDT":
        raise ParamError("currency: USDT is the only one here")
    return rows.account_row(call.seen(account_of(call)), call.board)


def positions(call: Call, params: Params) -> list[Row]:
    """What is held."""
    state, board = call.seen(account_of(call)), call.board
    is_ours = params.get("currency", "USDT") == "USDT"
    return [
        rows.position_row(state, board, row.symbol, row.side_index, call.venue_ms)
        for row in (state.positions.values() if is_ours else ())
    ]


def position(call: Call, params: Params) -> Row:
    """One contract, held or flat; in hedge mode the side that is held, the long one first."""
    symbol = read.instrument(call, params).symbol
    state = call.seen(account_of(call))
    sides = (1, 2) if state.is_hedged() else (0,)
    index = next((side for side in sides if state.position(symbol, side)), sides[0])
    return rows.position_row(state, call.board, symbol, index, call.venue_ms)


def cross_leverage(call: Call, params: Params) -> Row:
    """The leverage that is in force under cross margin, whether or not that is in force."""
    row, state = read.instrument(call, params), call.seen(account_of(call))
    under_cross = replace(state, margin_modes={row.symbol: MarginMode.CROSS})
    value = under_cross.leverage(row)
    return {"symbol": row.id, "leverage": plain(value)}


def margin_mode(call: Call, params: Params) -> Row:
    """The mode of one contract."""
    row = read.instrument(call, params)
    mode = call.seen(account_of(call)).margin_mode(row.symbol)
    return {"symbol": row.id, "marginMode": rows.MODE_NAMES[mode]}


def position_mode(call: Call, _: Params) -> Row:
    """0 one-way, 1 hedge mode."""
    return {"positionMode": int(call.seen(account_of(call)).is_hedged())}


def fees(call: Call, params: Params) -> Row:
    """The rates of one contract."""
    row = read.instrument(call, params)
    return {
        "symbol": row.id,
        "takerFeeRate": plain(row.taker_fee),
        "makerFeeRate": plain(row.maker_fee),
        "feeTaxRate": "0",
    }


def orders(call: Call, params: Params) -> Row:
    """Orders, newest first: active ones, or those that are done."""
    wanted = str(params.get("status") or "done")
    if wanted not in {"active", "done"}:
        raise ParamError("status must be active or done")
    state, board = call.seen(account_of(call)), call.board
    since, until = whole(params, "startAt", "0"), whole(params, "endAt", str(FAR_MS))
    found = [
        row
        for order in reversed(state.orders.values())
        if order.is_open is (wanted == "active") and since <= order.created_ms <= until
        for row in (rows.order_row(state, order, board),)
        if read.has(row, params, ORDER_FIELDS)
    ]
    return read.page(found, params)


def stop_orders(_: Call, params: Params) -> Row:
    """There are none."""
    return read.page([], params)


def order(call: Call, params: Params) -> Row:
    """One order by its id."""
    state = call.seen(account_of(call))
    return _order(call, state, state.find_order(order_id=str(params["order_id"])))


def order_by_client_id(call: Call, params: Params) -> Row:
    """One order by the client's id."""
    state = call.seen(account_of(call))
    return _order(call, state, state.find_order(client_id=read.client_id(params)))


def _order(call: Call, state: AccountState, found: BookOrder | None) -> Row:
    if found is None:
        raise VenueError(ORDER_UNKNOWN, "error.getOrder.orderNotExist")
    return rows.order_row(state, found, call.board)


def fills(call: Call, params: Params) -> Row:
    """Fills, newest first; asked for one order, nothing else counts."""
    state, board = call.seen(account_of(call)), call.board
    one = params.get("orderId")
    if one:
        params = {name: params[name] for name in ("pageSize", "currentPage") if name in params}
    since, until = whole(params, "startAt", "0"), whole(params, "endAt", str(FAR_MS))
    found = [
        row
        for execution in reversed(state.executions)
        if execution.origin is not Origin.FUNDING and since <= execution.at_ms <= until
        if not one or execution.order_id == one
        for row in (rows.fill_row(state, execution, board),)
        if read.has(row, params, FILL_FIELDS)
    ]
    return read.page(found, params)


def funding_history(call: Call, params: Params) -> Row:
    """Payments of funding of one contract, newest first."""
    symbol = read.instrument(call, params).symbol
    state, board = call.seen(account_of(call)), call.board
    found = [
        rows.funding_row(row, board)
        for row in reversed(state.executions)
        if row.origin is Origin.FUNDING and row.symbol == symbol
    ]
    return {"dataList": found, "hasMore": False}
