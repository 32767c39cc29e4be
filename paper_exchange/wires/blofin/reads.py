"""BloFin's GET paths: market data, account, positions, orders, fills.

Parameters that the documents do not name are ignored, as the venue does: orders-pending and
orders-history cannot be asked by an id.
"""

from collections.abc import Iterable, Sequence

from paper_exchange import book
from paper_exchange.account import AccountState
from paper_exchange.instruments import PaperInstrument
from paper_exchange.orders import MarginMode, Origin
from paper_exchange.rest import Params, VenueError, account_of, rights_of
from paper_exchange.wire import Call, plain
from paper_exchange.wires.blofin import params as read
from paper_exchange.wires.blofin import rows
from paper_exchange.wires.blofin.books import copy_account
from paper_exchange.wires.blofin.codes import PARAM_EITHER, NoSuchOrder, Row

ACCOUNT_TYPES = frozenset(
    ("funding", "futures", "copy_trading", "earn", "spot", "inverse_contract")
)
SIGNS = {"buy": 1, "sell": -1}


def instruments(call: Call, params: Params) -> list[Row]:
    """What is listed: all, or the one that is named."""
    return [rows.instrument_row(row) for row in _named(call, params)]


def tickers(call: Call, params: Params) -> list[Row]:
    """One row, or all; a list either way."""
    board = call.board
    return [rows.ticker_row(board, row, call.venue_ms) for row in _named(call, params)]


def mark_price(call: Call, params: Params) -> list[Row]:
    """Index and mark."""
    board, at = call.board, str(call.venue_ms)
    return [
        {"instId": row.id, "indexPrice": price, "markPrice": price, "ts": at}
        for row in _named(call, params)
        for price in (plain(board[row.symbol].mark),)
    ]


def funding_rate(call: Call, params: Params) -> list[Row]:
    """The rate in force and when it is paid."""
    found = []
    for row in _named(call, params):
        every_ms = row.funding_interval_min * 60_000
        paid_ms = (call.venue_ms // every_ms + 1) * every_ms
        rate = plain(book.FUNDING_RATE)
        found.append({"instId": row.id, "fundingRate": rate, "fundingTime": str(paid_ms)})
    return found


def order_book(call: Call, params: Params) -> list[Row]:
    """One level a side: nothing else is simulated."""
    row = read.instrument(call, params)
    quote, size = call.board[row.symbol], plain(row.max_market_lots)
    asks, bids = [[plain(quote.ask), size]], [[plain(quote.bid), size]]
    return [{"asks": asks, "bids": bids, "ts": str(call.venue_ms)}]


def nothing(call: Call, params: Params) -> list[Row]:  # noqa: ARG001
    """What is not simulated has no rows: coins of the wallet, trigger orders."""
    return []


def account_config(call: Call, params: Params) -> Row:  # noqa: ARG001
    """A normal account, not a unified one."""
    return {"accountLevel": "0"}


def api_key(call: Call, params: Params) -> Row:  # noqa: ARG001
    """What the key is."""
    account, rights = account_of(call), rights_of(call)
    return {
        "uid": "1",
        "apiName": account.name,
        "apiKey": account.api_key,
        "readOnly": int(rights.is_read_only),
        "ips": list(rights.ips),
        "type": 1,
        "expireTime": str(rights.expires_at_ms or 0),
        "createTime": "0",
        "referralCode": "",
        "parentUid": "0",
    }


def assets(call: Call, params: Params) -> list[Row]:
    """The money of one of the wallets; only futures and copy trading have any."""
    kind = read.text(params, "accountType")
    if kind not in ACCOUNT_TYPES:
        raise read.wrong("accountType")
    if kind not in {"futures", "copy_trading"}:
        return []
    account = account_of(call) if kind == "futures" else copy_account(call)
    return [rows.asset_row(call.seen(account), call.board)]


def balance(call: Call, params: Params) -> Row:  # noqa: ARG001
    """The account's money."""
    return rows.balance_row(call.seen(account_of(call)), call.board, call.venue_ms)


def positions(call: Call, params: Params) -> list[Row]:
    """What is held; a flat contract has no row."""
    state, board = call.seen(account_of(call)), call.board
    wanted = {row.symbol for row in _named(call, params)}
    held = (row for row in state.positions.values() if row.symbol in wanted)
    return [rows.position_row(state, board, row) for row in held]


def margin_mode(call: Call, params: Params) -> Row:  # noqa: ARG001
    """The account's mode; each order brings its own."""
    return {"marginMode": str(call.seen(account_of(call)).margin_mode())}


def position_mode(call: Call, params: Params) -> Row:  # noqa: ARG001
    """One-way or hedge, for all contracts."""
    is_hedged = call.seen(account_of(call)).is_hedged()
    return {"positionMode": "long_short_mode" if is_hedged else "net_mode"}


def leverage(call: Call, params: Params) -> Row:
    """The old look-up: one contract, without the side."""
    state, mode = call.seen(account_of(call)), read.margin_mode(params)
    row = read.instrument(call, params)
    found = rows.leverage_row(state, row, mode, 1 if state.is_hedged() else 0)
    return {key: value for key, value in found.items() if key != "positionSide"}


def leverages(call: Call, params: Params) -> list[Row]:
    """Of up to twenty contracts; both sides where each has its own."""
    state, mode = call.seen(account_of(call)), read.margin_mode(params)
    return [
        rows.leverage_row(state, row, mode, index)
        for row in read.instruments(call, params)
        for index in leverage_sides(state, mode)
    ]


def leverage_sides(state: AccountState, mode: MarginMode) -> Sequence[int]:
    """The sides that have a leverage of their own: only isolated ones in hedge mode."""
    return (1, 2) if state.is_hedged() and mode is MarginMode.ISOLATED else (0,)


def order_detail(call: Call, params: Params) -> Row | NoSuchOrder:
    """One order, open or done, by either id; by orderId if both are given."""
    symbol = read.instrument(call, params).symbol
    order_id, client_id = str(params.get("orderId") or ""), read.client_id(params)
    if not order_id and not client_id:
        raise VenueError(PARAM_EITHER, "Either parameter orderId or clientOrderId is required")
    state = call.seen(account_of(call))
    found = state.find_order(order_id, client_id)
    if found is None or found.ticket.symbol != symbol:
        return NoSuchOrder()
    return rows.order_row(state, call.board, found)


def orders_pending(call: Call, params: Params) -> list[Row]:
    """Orders that may still be filled, newest first."""
    return _orders(call, params, is_open=True)


def orders_history(call: Call, params: Params) -> list[Row]:
    """Orders that are done, newest first."""
    return _orders(call, params, is_open=False)


def fills(call: Call, params: Params) -> list[Row]:
    """Trades, newest first."""
    state, board = call.seen(account_of(call)), call.board
    found = [
        rows.fill_row(board, row)
        for row in reversed(state.executions)
        if row.origin is not Origin.FUNDING
    ]
    found = _between(found, params, "ts")
    return _page(_with(found, params, ("instId", "orderId")), params, "tradeId")


def price_range(call: Call, params: Params) -> Row:
    """What a limit order may cost."""
    sign = SIGNS.get(read.text(params, "side"))
    if sign is None:
        raise read.wrong("side")
    lowest, highest = read.price_limits(call, read.instrument(call, params).symbol, sign)
    return {"maxPrice": rows.long(highest), "minPrice": rows.long(lowest)}


def _named(call: Call, params: Params) -> Iterable[PaperInstrument]:
    if params.get("instId"):
        return (read.instrument(call, params),)
    return call.instruments.values()


def _orders(call: Call, params: Params, *, is_open: bool) -> list[Row]:
    state, board = call.seen(account_of(call)), call.board
    found = [
        rows.order_row(state, board, order)
        for order in reversed(state.orders.values())
        if order.is_open is is_open
    ]
    found = _between(found, params, "createTime") if not is_open else found
    return _page(_with(found, params, ("instId", "orderType", "state")), params, "orderId")


def _with(found: Sequence[Row], params: Params, names: Iterable[str]) -> list[Row]:
    wanted = {name: params[name] for name in names if params.get(name)}
    return [row for row in found if all(row[name] == value for name, value in wanted.items())]


def _between(found: Sequence[Row], params: Params, name: str) -> list[Row]:
    begin = read.count(params, "begin", 0)
    end = read.count(params, "end", read.FAR_MS)
    return [row for row in found if begin <= int(row[name]) <= end]


def _page(found: Sequence[Row], params: Params, name: str) -> list[Row]:
    """A page of what is earlier than `after` or newer than `before`, newest first."""
    ids = [row[name] for row in found]
    after, before = params.get("after"), params.get("before")
    start = ids.index(after) + 1 if after in ids else 0
    stop = ids.index(before) if before in ids else len(ids)
    limit = max(1, min(100, read.count(params, "limit", 20)))
    return list(found[start:stop][:limit])
