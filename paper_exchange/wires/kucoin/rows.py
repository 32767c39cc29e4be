"""KuCoin's JSON rows of an account: sizes and money are numbers; prices and values of orders, text.

Translation of book values only; the requests are in `reads` and `writes`.
"""

from decimal import Decimal
from typing import Any

from paper_exchange import margin
from paper_exchange.account import AccountState, Position
from paper_exchange.orders import (
    ZERO,
    BookOrder,
    Execution,
    MarginMode,
    OrderStatus,
    Origin,
    TimeInForce,
)
from paper_exchange.prices import Board
from paper_exchange.wire import plain, rounded
from paper_exchange.wires.kucoin.params import MARGIN_MODES, POSITION_SIDES

MODE_NAMES = {mode: name for name, mode in MARGIN_MODES.items()}
SIDE_NAMES = {index: name for name, index in POSITION_SIDES.items()}
TRADE_TYPES = {Origin.LIQUIDATION: "liquidation"}  # trade, liquidation, ADL or settlement
RISK_LIMIT = 1_000_000  # USDT; made up and not enforced, but it must be there
FIRST_POSITION_ID = 500_000_000_000_000_000
FIRST_TRADE_ID = 1_000_000_000_000
AMOUNTS = (
    "currentCost",
    "currentComm",
    "unrealisedCost",
    "realisedGrossCost",
    "realisedCost",
    "markValue",
    "posCost",
    "posInit",
    "posMargin",
    "posMaint",
    "realisedGrossPnl",
    "realisedPnl",
    "unrealisedPnl",
    "unrealisedPnlPcnt",
    "unrealisedRoePcnt",
    "avgEntryPrice",
    "liquidationPrice",
    "bankruptPrice",
)
NOT_SIMULATED = {  # of orders
    "stp": "",
    "stop": "",
    "stopPriceType": "",
    "stopTriggered": False,
    "stopPrice": None,
    "hidden": False,
    "iceberg": False,
    "forceHold": False,
    "visibleSize": 0,
    "remark": None,
    "tags": None,
}


def json_number(value: Decimal, places: int = 10) -> float | int:
    """A number as JSON has it."""
    text = rounded(value, places)
    return float(text) if "." in text else int(text)


def side(lots: Decimal) -> str:
    """Buy or sell."""
    return "buy" if lots > 0 else "sell"


def account_row(state: AccountState, board: Board) -> dict[str, Any]:
    """The futures account: equity is margin balance and unrealised profit."""
    held, orders = state.positions.values(), state.open_orders()
    tied_up = sum((margin.initial_margin(state, row, board) for row in held), ZERO)
    waiting = sum((margin.order_margin(state, order, board) for order in orders), ZERO)
    kept = sum((margin.maintenance_margin(row, board) for row in held), ZERO)
    equity = margin.equity(state, board)
    free = json_number(max(ZERO, margin.free_margin(state, board)))
    return {
        "accountEquity": json_number(equity),
        "unrealisedPNL": json_number(margin.total_unrealized(state, board)),
        "marginBalance": json_number(state.wallet_usdt),
        "positionMargin": json_number(tied_up),
        "orderMargin": json_number(waiting),
        "frozenFunds": 0,
        "availableBalance": free,
        "currency": "USDT",
        "riskRatio": json_number(kept / equity, 4) if equity else 0,
        "maxWithdrawAmount": free,
        "availableMargin": free,
    }


def position_row(
    state: AccountState, board: Board, symbol: str, index: int, at_ms: int
) -> dict[str, Any]:
    """One side of one contract, flat ones included."""
    instrument, mode = board.instruments[symbol], state.margin_mode(symbol)
    held = state.position(symbol, index)
    number = list(board.instruments).index(symbol) * 3 + index
    row = {
        "id": str(FIRST_POSITION_ID + number),
        "symbol": instrument.id,
        "crossMode": mode is MarginMode.CROSS,
        "delevPercentage": 0.5 if held else 0,
        "openingTimestamp": held.created_ms if held else 0,
        "currentTimestamp": at_ms,
        "currentQty": int(held.size_lots) if held else 0,
        "isOpen": held is not None,
        "markPrice": json_number(board[symbol].mark),
        **(_amounts(state, board, held) if held else dict.fromkeys(AMOUNTS, 0)),
        "posFunding": 0,
        "settleCurrency": "USDT",
        "isInverse": False,
        "maintMarginReq": json_number(instrument.maintenance_rate),
        "maintainMargin": json_number(instrument.maintenance_rate),
        "marginMode": MODE_NAMES[mode],
        "positionSide": SIDE_NAMES[index],
    }
    if mode is MarginMode.CROSS:
        return row | {"leverage": json_number(state.leverage(instrument, index))}
    return row | _isolated_fields(board, held)


def _amounts(state: AccountState, board: Board, held: Position) -> dict[str, Any]:
    coins = held.size_lots * board.instruments[held.symbol].contract_size
    cost, pnl = coins * held.entry_price, margin.unrealized(held, board)
    tied_up = margin.initial_margin(state, held, board)
    values = (
        cost,
        -held.realized_usdt,
        cost,
        ZERO,
        -held.realized_usdt,
        margin.value(held, board),
        cost,
        tied_up,
        tied_up,
        margin.maintenance_margin(held, board),
        ZERO,
        held.realized_usdt,
        pnl,
        round(pnl / abs(cost), 4),
        round(pnl / tied_up, 4) if tied_up else ZERO,
        held.entry_price,
        margin.liquidation_price(state, held, board) or ZERO,  # 0: there is none
        max(ZERO, held.entry_price - tied_up / coins),
    )
    return {name: json_number(value) for name, value in zip(AMOUNTS, values, strict=True)}


def _isolated_fields(board: Board, held: Position | None) -> dict[str, Any]:
    """What isolated rows have besides; their leverage is the real one: it moves with the price.

    Both fields have it, as in the venue's own examples.
    """
    worth = real = ZERO
    if held is not None:
        worth = held.isolated_margin_usdt + margin.unrealized(held, board)
        real = abs(margin.value(held, board)) / worth if worth > 0 else ZERO
    return {
        "autoDeposit": False,
        "riskLimit": RISK_LIMIT,
        "riskLimitLevel": 1,
        "realLeverage": json_number(real, 2),
        "leverage": json_number(real, 2),
        "posCross": 0,
        "posCrossMargin": 0,
        "posComm": 0,
        "posCommCommon": 0,
        "posLoss": 0,
        "maintMargin": json_number(worth),
    }


def order_row(state: AccountState, order: BookOrder, board: Board) -> dict[str, Any]:
    """One order; a market order has no price, and goes on like any other in its words."""
    ticket, average = order.ticket, order.average_price
    instrument = board.instruments[ticket.symbol]
    price = ticket.limit_price or average or board[ticket.symbol].mark
    filled, value = int(abs(order.filled_lots)), order.filled_cost * instrument.contract_size
    size = abs(ticket.size_lots)
    is_market = ticket.limit_price is None
    is_post_only = ticket.time_in_force is TimeInForce.POST_ONLY
    return {
        "id": order.order_id,
        "symbol": instrument.id,
        "type": "market" if is_market else "limit",
        "side": side(ticket.size_lots),
        "price": None if is_market else plain(price),
        "size": int(size),
        "value": rounded(size * instrument.contract_size * price),
        "dealValue": rounded(value),
        "dealSize": filled,
        **NOT_SIMULATED,
        "timeInForce": "GTC" if is_market or is_post_only else str(ticket.time_in_force),
        "postOnly": is_post_only,
        "leverage": plain(ticket.leverage or state.leverage(instrument, ticket.side_index)),
        "closeOrder": ticket.closes_all,
        "clientOid": ticket.client_id or None,
        "isActive": order.is_open,
        "cancelExist": order.status in {OrderStatus.CANCELED, OrderStatus.REJECTED},
        "createdAt": order.created_ms,
        "updatedAt": order.updated_ms,
        "endAt": None if order.is_open else order.updated_ms,
        "orderTime": order.created_ms * 1_000_000,
        "settleCurrency": "USDT",
        "marginMode": MODE_NAMES[ticket.margin_mode or state.margin_mode(ticket.symbol)],
        "avgDealPrice": "0" if average is None else rounded(average, 10),
        "filledSize": filled,
        "filledValue": rounded(value),
        "status": "open" if order.is_open else "done",
        "reduceOnly": ticket.reduce_only,
        "positionSide": SIDE_NAMES[ticket.side_index],
    }


def fill_row(state: AccountState, row: Execution, board: Board) -> dict[str, Any]:
    """One fill; its `tradeType` tells a liquidation."""
    order = state.orders.get(row.order_id)
    is_limit = order is not None and order.ticket.limit_price is not None
    kind, fee = "limit" if is_limit else "market", rounded(row.fee_usdt)
    return {
        "symbol": board.instruments[row.symbol].id,
        "tradeId": str(FIRST_TRADE_ID + row.sequence),
        "orderId": row.order_id,
        "side": side(row.size_lots),
        "liquidity": "maker" if row.is_maker else "taker",
        "forceTaker": False,
        "price": plain(row.price),
        "size": int(abs(row.size_lots)),
        "value": rounded(row.value_usdt),
        "openFeePay": "0" if row.closed_lots else fee,
        "closeFeePay": fee if row.closed_lots else "0",
        "feeRate": rounded(row.fee_usdt / row.value_usdt if row.value_usdt else ZERO),
        "fixFee": "0",
        "feeCurrency": "USDT",
        "stop": "",
        "tradeTime": row.at_ms * 1_000_000,
        "fee": fee,
        "settleCurrency": "USDT",
        "orderType": kind,
        "displayType": kind,
        "tradeType": TRADE_TYPES.get(row.origin, "trade"),
        "subTradeType": None,
        "createdAt": row.at_ms,
        "marginMode": MODE_NAMES[state.margin_mode(row.symbol)],
        "positionSide": SIDE_NAMES[row.side_index],
    }


def funding_row(row: Execution, board: Board) -> dict[str, Any]:
    """One payment of funding: paid < 0."""
    signed = row.value_usdt.copy_sign(row.size_lots)
    return {
        "id": row.sequence,
        "symbol": board.instruments[row.symbol].id,
        "timePoint": row.at_ms,
        "fundingRate": json_number(row.fee_usdt / signed if signed else ZERO),
        "markPrice": json_number(row.price),
        "positionQty": int(row.size_lots),
        "positionCost": json_number(signed),
        "funding": json_number(-row.fee_usdt),
        "settleCurrency": "USDT",
    }
