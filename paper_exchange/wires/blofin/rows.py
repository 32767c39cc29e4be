"""BloFin's JSON rows: all numbers as strings, those of orders with eighteen decimals.

Translation of book values only; the requests are in `reads`, `writes` and `copytrading`.
"""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any
from zlib import crc32

from paper_exchange import margin
from paper_exchange.account import AccountState, Position
from paper_exchange.instruments import PaperInstrument
from paper_exchange.orders import (
    ZERO,
    BookOrder,
    Execution,
    MarginMode,
    OrderStatus,
    Origin,
    Ticket,
    TimeInForce,
)
from paper_exchange.prices import Board
from paper_exchange.wire import plain, rounded

Row = dict[str, Any]

POSITION_SIDES = ("net", "long", "short")
STATES = {
    OrderStatus.NEW: "live",
    OrderStatus.PARTIALLY_FILLED: "partially_filled",
    OrderStatus.FILLED: "filled",
    OrderStatus.CANCELED: "canceled",
    OrderStatus.REJECTED: "order_failed",
}
ORDER_TYPES = {
    TimeInForce.GTC: "limit",
    TimeInForce.POST_ONLY: "post_only",
    TimeInForce.FOK: "fok",
    TimeInForce.IOC: "ioc",
}
CANCEL_SOURCES = {  # only the first two are in the documents
    "": ("not_canceled", None),
    "by_user": ("user_canceled", "Order canceled by user"),
}
DAY_TURNOVER = Decimal(50_000_000)  # USDT; made up, but it must be there
EXPIRES_MS = 4_918_462_716_651
FIRST_TRADE_ID = 1_000_000


def long(value: Decimal) -> str:
    """A number as rows of orders write it."""
    return f"{value:.18f}"


def side(lots: Decimal) -> str:
    """The side of a trade."""
    return "buy" if lots > 0 else "sell"


def instrument_row(row: PaperInstrument) -> Row:
    """A row of market/instruments."""
    return {
        "instId": row.id,
        "baseCurrency": row.base,
        "quoteCurrency": "USDT",
        "settleCurrency": "USDT",
        "contractValue": plain(row.contract_size),
        "listTime": str(row.launch_ms),
        "expireTime": str(EXPIRES_MS),
        "maxLeverage": plain(row.max_leverage),
        "minSize": plain(row.min_lots),
        "lotSize": plain(row.step_lots),
        "tickSize": plain(row.tick_size),
        "instType": "SWAP",
        "contractType": "linear",
        "maxLimitSize": plain(row.max_lots),
        "maxMarketSize": plain(row.max_market_lots),
        "state": "live" if row.status == "Trading" else "suspend",
    }


def ticker_row(board: Board, row: PaperInstrument, at_ms: int) -> Row:
    """A row of market/tickers; what there is no market data for is derived from the price."""
    quote, reference = board[row.symbol], row.reference_price
    size = plain(row.max_market_lots)
    base_volume = DAY_TURNOVER / quote.mark
    return {
        "instId": row.id,
        "last": plain(quote.mark),
        "lastSize": plain(row.min_lots),
        "askPrice": plain(quote.ask),
        "askSize": size,
        "bidPrice": plain(quote.bid),
        "bidSize": size,
        "open24h": plain(reference),
        "high24h": plain(max(quote.mark, reference)),
        "low24h": plain(min(quote.mark, reference)),
        "volCurrency24h": rounded(base_volume, 3),
        "vol24h": rounded(base_volume / row.contract_size, 1),
        "ts": str(at_ms),
    }


def balance_row(state: AccountState, board: Board, at_ms: int) -> Row:
    """What account/balance gives; an account without money has no details."""
    held = state.positions.values()
    own_margin = [row for row in held if row.isolated_margin_usdt]
    isolated_pnl = sum((margin.unrealized(row, board) for row in own_margin), ZERO)
    isolated = sum((row.isolated_margin_usdt for row in own_margin), isolated_pnl)
    equity, free = margin.equity(state, board), max(ZERO, margin.free_margin(state, board))
    orders = (margin.order_margin(state, order, board) for order in state.open_orders())
    details = {
        "currency": "USDT",
        "equity": rounded(equity, 18),
        "balance": rounded(state.wallet_usdt, 18),
        "ts": str(at_ms),
        "isolatedEquity": rounded(isolated, 18),
        "available": rounded(free, 18),
        "availableEquity": rounded(free, 18),
        "frozen": rounded(margin.used_margin(state, board), 18),
        "orderFrozen": rounded(sum(orders, ZERO), 18),
        "equityUsd": rounded(equity, 18),
        "isolatedUnrealizedPnl": rounded(isolated_pnl, 18),
        "bonus": "0",
    }
    return {
        "ts": str(at_ms),
        "totalEquity": rounded(equity, 18),
        "isolatedEquity": rounded(isolated, 18),
        "details": [details] if equity or state.wallet_usdt else [],
    }


def asset_row(state: AccountState, board: Board) -> Row:
    """A row of asset/balances."""
    return {
        "currency": "USDT",
        "balance": rounded(state.wallet_usdt, 18),
        "available": rounded(max(ZERO, margin.free_margin(state, board)), 18),
        "frozen": rounded(margin.used_margin(state, board), 18),
        "bonus": "0",
    }


def position_row(state: AccountState, board: Board, held: Position) -> Row:
    """A row of account/positions; `margin` or `initialMargin`, by its margin mode."""
    row = board.instruments[held.symbol]
    initial, pnl = margin.initial_margin(state, held, board), margin.unrealized(held, board)
    maintenance = margin.maintenance_margin(held, board)
    liquidation = margin.liquidation_price(state, held, board)
    size = held.size_lots if not held.side_index else abs(held.size_lots)
    if held.isolated_margin_usdt:
        mode, tied = "isolated", {"margin": rounded(initial, 18)}
        cushion = initial + pnl
    else:
        mode, tied = "cross", {"initialMargin": rounded(initial, 18)}
        cushion = margin.equity(state, board)
    return {
        "positionId": str(crc32(f"{held.symbol}:{held.side_index}".encode()) % 1_000_000),
        "instId": row.id,
        "instType": "SWAP",
        "marginMode": mode,
        "positionSide": POSITION_SIDES[held.side_index],
        "adl": "1",
        "positions": plain(size),
        "availablePositions": plain(size),
        "averagePrice": rounded(held.entry_price, 18),
        "markPrice": plain(board[held.symbol].mark),
        "marginRatio": rounded(cushion / maintenance, 18),
        "liquidationPrice": "" if liquidation is None else rounded(liquidation, 18),
        "unrealizedPnl": rounded(pnl, 18),
        "unrealizedPnlRatio": rounded(pnl / initial, 18),
        "maintenanceMargin": rounded(maintenance, 18),
        "realizedPnl": rounded(held.realized_usdt, 18),
        "createTime": str(held.created_ms),
        "updateTime": str(held.updated_ms),
        "leverage": plain(state.leverage(row, held.side_index)),
        **tied,
    }


def leverage_row(state: AccountState, row: PaperInstrument, mode: MarginMode, index: int) -> Row:
    """The leverage of one side under a margin mode, whether that is in force or not."""
    modes = {**state.margin_modes, row.symbol: mode}
    return {
        "leverage": plain(replace(state, margin_modes=modes).leverage(row, index)),
        "marginMode": str(mode),
        "instId": row.id,
        "positionSide": POSITION_SIDES[index],
    }


def order_type(ticket: Ticket) -> str:
    """The venue's word for it."""
    return "market" if ticket.limit_price is None else ORDER_TYPES[ticket.time_in_force]


def order_state(order: BookOrder) -> str:
    """The venue's word for where it stands."""
    is_cut = order.status is OrderStatus.CANCELED and order.filled_lots
    return "partially_canceled" if is_cut else STATES[order.status]


def order_row(state: AccountState, board: Board, order: BookOrder) -> Row:
    """A row of order-detail, orders-pending and orders-history."""
    ticket = order.ticket
    row = board.instruments[ticket.symbol]
    is_over = order.status in {OrderStatus.CANCELED, OrderStatus.REJECTED}
    source, why = CANCEL_SOURCES.get(
        order.reason if is_over else "", ("system_canceled", order.reason)
    )
    filled = abs(order.filled_lots)
    is_liquidation = ticket.origin is Origin.LIQUIDATION
    return {
        "orderId": order.order_id,
        "clientOrderId": ticket.client_id,
        "instId": row.id,
        "marginMode": str(ticket.margin_mode or state.margin_mode(ticket.symbol)),
        "positionSide": POSITION_SIDES[ticket.side_index],
        "side": side(ticket.size_lots),
        "orderType": order_type(ticket),
        "price": long(ticket.limit_price or ZERO),
        "size": long(abs(ticket.size_lots)),
        "reduceOnly": "true" if ticket.reduce_only else "false",
        "leverage": plain(state.leverage(row, ticket.side_index)),
        "state": order_state(order),
        "filledSize": long(filled),
        "filled_amount": long(filled * row.contract_size),
        "averagePrice": long(order.average_price or ZERO),
        "fee": long(order.fee_usdt),
        "pnl": long(_profit(state.executions, order.order_id)),
        "createTime": str(order.created_ms),
        "updateTime": str(order.updated_ms),
        "orderCategory": "full_liquidation" if is_liquidation else "normal",
        "tpTriggerPrice": None,
        "tpOrderPrice": None,
        "slTriggerPrice": None,
        "slOrderPrice": None,
        "cancelSource": source,
        "cancelSourceReason": why,
        "algoClientOrderId": "",
        "algoId": "",
        "brokerId": "",
    }


def fill_row(board: Board, row: Execution) -> Row:
    """A row of fills-history."""
    return {
        "instId": board.instruments[row.symbol].id,
        "tradeId": str(FIRST_TRADE_ID + row.sequence),
        "orderId": row.order_id,
        "fillPrice": long(row.price),
        "fillSize": long(abs(row.size_lots)),
        "fillPnl": long(row.realized_usdt),
        "positionSide": POSITION_SIDES[row.side_index],
        "side": side(row.size_lots),
        "fee": long(row.fee_usdt),
        "ts": str(row.at_ms),
        "brokerId": "",
    }


def _profit(fills: Iterable[Execution], order_id: str) -> Decimal:
    return sum((row.realized_usdt for row in fills if row.order_id == order_id), ZERO)
