"""MEXC's JSON rows: numbers are JSON numbers, order ids are text.

Translation of book values only; the requests are in `reads` and `writes`.
"""

import hashlib
import zlib
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from paper_exchange import margin
from paper_exchange.account import AccountState, Position
from paper_exchange.accounts import PaperAccount
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
from paper_exchange.wire import rounded
from paper_exchange.wires.mexc.params import CROSS, ISOLATED, LONG, Row, type_of

OPEN_TYPES = {MarginMode.ISOLATED: ISOLATED}
SIDES = {(True, False): 1, (True, True): 2, (False, False): 3, (False, True): 4}  # buys, closes
ORDER_TYPES = {
    TimeInForce.GTC: 1,
    TimeInForce.POST_ONLY: 2,
    TimeInForce.IOC: 3,
    TimeInForce.FOK: 4,
}
MARKET = 5
STATES = {
    OrderStatus.NEW: 2,
    OrderStatus.PARTIALLY_FILLED: 2,
    OrderStatus.FILLED: 3,
    OrderStatus.CANCELED: 4,
    OrderStatus.REJECTED: 5,
}
NOT_MATCHED_YET = 1  # "uninformed"
ERROR_CODES = {  # an order's own errorCode, as documented for the push of orders
    "": 0,
    "by_user": 0,
    "margin": 2,
    "nothing_to_reduce": 3,
    "risk_limit": 7,
    "position_index": 9,
    "not_trading": 11,
}
SYSTEM_CANCEL = 8
KILLED = {TimeInForce.IOC: 18, TimeInForce.FOK: 19, TimeInForce.POST_ONLY: 20}
MARKET_KILLED = 21
TAKEN_OVER = {Origin.LIQUIDATION: 2}  # category; 1 = an ordinary order
NARROW_BANDS = frozenset({"BTCUSDT", "ETHUSDT"})
OPEN_INTEREST = Decimal(50_000_000)  # USDT; made up, but it must be there
MAX_ORDERS = [200, 50]  # as every contract says: limit and trigger orders


@dataclass(frozen=True, slots=True)
class View:
    """An account as a request shows it."""

    account: PaperAccount
    state: AccountState
    board: Board


def number(value: Decimal, places: int = 12) -> float | int:
    """A JSON number: whole where it can be."""
    text = rounded(value, places)
    return float(text) if "." in text else int(text)


def band(row: PaperInstrument) -> Decimal:
    """How far from the price a limit may be."""
    return Decimal("0.1") if row.symbol in NARROW_BANDS else Decimal("0.2")


def decimals(step: Decimal) -> int:
    """Decimal places of a step."""
    return max(0, -int(step.normalize().as_tuple().exponent))


def detail_row(row: PaperInstrument) -> Row:
    """A row of contract/detail. A contract that is not open for trading by API says so."""
    return {
        "symbol": row.id,
        "displayName": f"{row.id}永续",
        "displayNameEn": f"{row.id} PERPETUAL",
        "positionOpenType": 3,
        "baseCoin": row.base,
        "quoteCoin": "USDT",
        "baseCoinName": row.base,
        "quoteCoinName": "USDT",
        "futureType": 1,
        "settleCoin": "USDT",
        "contractSize": number(row.contract_size),
        "minLeverage": 1,
        "maxLeverage": number(row.max_leverage),
        "priceScale": decimals(row.tick_size),
        "volScale": decimals(row.step_lots),
        "amountScale": 4,
        "priceUnit": number(row.tick_size),
        "volUnit": number(row.step_lots),
        "minVol": number(row.min_lots),
        "maxVol": number(row.max_market_lots),
        "bidLimitPriceRate": number(band(row)),
        "askLimitPriceRate": number(band(row)),
        "takerFeeRate": number(row.taker_fee),
        "makerFeeRate": number(row.maker_fee),
        "maintenanceMarginRate": number(row.maintenance_rate),
        "initialMarginRate": number(1 / row.max_leverage),
        "riskBaseVol": number(row.max_lots),
        "riskIncrVol": number(row.max_lots),
        "riskLongShortSwitch": 0,
        "riskIncrMmr": number(row.maintenance_rate),
        "riskIncrImr": number(row.maintenance_rate),
        "riskLevelLimit": 1,
        "priceCoefficientVariation": number(band(row)),
        "indexOrigin": ["MEXC"],
        "state": 0,
        "isNew": False,
        "isHot": False,
        "isHidden": False,
        "riskLimitType": "BY_VOLUME",
        "maxNumOrders": MAX_ORDERS,
        "limitMaxVol": number(row.max_lots),
        "apiAllowed": row.status == "Trading",
        "createTime": row.launch_ms,
    }


def ticker_row(board: Board, row: PaperInstrument, at_ms: int, funding_rate: Decimal) -> Row:
    """A row of contract/ticker; what there is no market data for is derived from the price."""
    quote = board[row.symbol]
    mark, before = quote.mark, row.reference_price
    lots = OPEN_INTEREST / mark / row.contract_size
    return {
        "symbol": row.id,
        "lastPrice": number(mark),
        "bid1": number(quote.bid),
        "ask1": number(quote.ask),
        "volume24": number(lots, 0),
        "amount24": number(OPEN_INTEREST),
        "holdVol": number(lots, 0),
        "lower24Price": number(min(mark, before)),
        "high24Price": number(max(mark, before)),
        "riseFallRate": number(mark / before - 1, 6),
        "riseFallValue": number(mark - before),
        "indexPrice": number(mark),
        "fairPrice": number(mark),
        "fundingRate": number(funding_rate),
        "maxBidPrice": number(mark * (1 + band(row))),
        "minAskPrice": number(mark * (1 - band(row))),
        "timestamp": at_ms,
    }


def funding_row(row: PaperInstrument, at_ms: int, rate: Decimal) -> Row:
    """A contract's funding: the flat rate of the paper exchange."""
    every_ms = row.funding_interval_min * 60_000
    return {
        "symbol": row.id,
        "fundingRate": number(rate),
        "maxFundingRate": 0.003,
        "minFundingRate": -0.003,
        "collectCycle": row.funding_interval_min // 60,
        "nextSettleTime": (at_ms // every_ms + 1) * every_ms,
        "timestamp": at_ms,
    }


def asset_row(view: View) -> Row:
    """The USDT of the contract account."""
    state, board = view.state, view.board
    pnl = margin.total_unrealized(state, board)
    held = sum((margin.initial_margin(state, row, board) for row in state.positions.values()), ZERO)
    frozen = sum((margin.order_margin(state, row, board) for row in state.open_orders()), ZERO)
    available = max(ZERO, state.wallet_usdt - held - frozen)
    opens = max(ZERO, margin.free_margin(state, board))  # losses of cross positions count
    return {
        "currency": "USDT",
        "positionMargin": number(held, 8),
        "availableBalance": number(available, 8),
        "cashBalance": number(state.wallet_usdt, 8),
        "frozenBalance": number(frozen, 8),
        "equity": number(state.wallet_usdt + pnl, 8),
        "unrealized": number(pnl, 8),
        "bonus": 0,
        "availableCash": number(min(available, opens), 8),
        "availableOpen": number(opens, 8),
    }


def order_id(account_id: str, sequence: int) -> str:
    """The id of the order that comes after that many events: eighteen digits, as the venue's."""
    digest = hashlib.blake2b(f"{account_id}:{sequence}".encode(), digest_size=8).digest()
    return str(10**17 + int.from_bytes(digest) % (9 * 10**17))


def position_id(account: PaperAccount, held: Position) -> int:
    """The number of a position: another one each time it is opened."""
    key = f"{account.id}:{held.symbol}:{held.side_index}:{held.created_ms}"
    return 100_000_000 + zlib.crc32(key.encode()) % 900_000_000


def frozen_lots(state: AccountState, held: Position) -> Decimal:
    """What open orders will close of a position, unsigned."""
    return sum(
        (
            abs(order.leaves_lots)
            for order in state.open_orders(held.symbol)
            if order.ticket.only_closes and order.ticket.side_index == held.side_index
        ),
        ZERO,
    )


def position_row(view: View, held: Position) -> Row:
    """A row of position/open_positions: it bears neither mark price nor profit at mark."""
    state, board = view.state, view.board
    instrument = board.instruments[held.symbol]
    price = margin.liquidation_price(state, held, board)
    initial = margin.initial_margin(state, held, board)
    entry = number(held.entry_price)
    return {
        "positionId": position_id(view.account, held),
        "symbol": instrument.id,
        "positionType": type_of(held.size_lots),
        "openType": ISOLATED if held.isolated_margin_usdt else CROSS,
        "state": 1,
        "holdVol": number(abs(held.size_lots)),
        "frozenVol": number(frozen_lots(state, held)),
        "closeVol": 0,
        "holdAvgPrice": entry,
        "holdAvgPriceFullyScale": rounded(held.entry_price, 12),
        "openAvgPrice": entry,
        "openAvgPriceFullyScale": rounded(held.entry_price, 12),
        "closeAvgPrice": 0,
        "liquidatePrice": number(price or ZERO, decimals(instrument.tick_size)),
        "oim": number(initial, 8),
        "im": number(initial, 8),
        "holdFee": 0,
        "realised": number(held.realized_usdt, 8),
        "leverage": number(state.leverage(instrument, held.side_index)),
        "marginRatio": number(instrument.maintenance_rate),
        "createTime": held.created_ms,
        "updateTime": held.updated_ms,
        "autoAddIm": False,
        "version": 1,
        "profitRatio": 0,
        "positionShowStatus": "OPEN",
    }


def leverage_row(
    row: PaperInstrument, position_type: int, leverage: Decimal, mode: MarginMode
) -> Row:
    """A row of position/leverage."""
    return {
        "level": 1,
        "maxVol": number(row.max_lots),
        "mmr": number(row.maintenance_rate),
        "imr": number(1 / row.max_leverage),
        "positionType": position_type,
        "openType": OPEN_TYPES.get(mode, CROSS),
        "leverage": number(leverage),
        "limitBySys": False,
        "currentMmr": number(row.maintenance_rate),
    }


def side_of(ticket: Ticket) -> int:
    """1 open long, 2 close short, 3 open short, 4 close long."""
    return SIDES[ticket.size_lots > 0, ticket.only_closes]


def order_state(order: BookOrder) -> int:
    """Where an order stands."""
    is_waiting = order.status is OrderStatus.NEW and order.due_ms > 0
    return NOT_MATCHED_YET if is_waiting else STATES[order.status]


def _error_code(order: BookOrder) -> int:
    ticket = order.ticket
    if order.reason in ERROR_CODES:
        return ERROR_CODES[order.reason]
    if order.status is not OrderStatus.CANCELED:
        return SYSTEM_CANCEL
    return MARKET_KILLED if ticket.limit_price is None else KILLED.get(ticket.time_in_force, 8)


def order_row(view: View, order: BookOrder) -> Row:
    """An order as every list and lookup shows it."""
    state, ticket = view.state, order.ticket
    instrument = view.board.instruments[ticket.symbol]
    held = state.position(ticket.symbol, ticket.side_index)
    average = order.average_price or ZERO
    fills = [row for row in state.executions if row.order_id == order.order_id]
    maker_fee = sum((row.fee_usdt for row in fills if row.is_maker), ZERO)
    mode = ticket.margin_mode or state.margin_mode(ticket.symbol)
    leverage = ticket.leverage or state.leverage(instrument, ticket.side_index)
    is_market = ticket.limit_price is None
    tied_up = number(margin.order_margin(state, order, view.board), 8)
    return {
        "orderId": order.order_id,
        "symbol": instrument.id,
        "positionId": position_id(view.account, held) if held else 0,
        "price": number(ticket.limit_price or average),
        "vol": number(abs(ticket.size_lots)),
        "leverage": number(leverage),
        "side": side_of(ticket),
        "category": TAKEN_OVER.get(ticket.origin, 1),
        "orderType": MARKET if is_market else ORDER_TYPES[ticket.time_in_force],
        "dealAvgPrice": number(average),
        "dealAvgPriceStr": rounded(average, 12),
        "dealVol": number(abs(order.filled_lots)),
        "orderMargin": tied_up,
        "usedMargin": tied_up,
        "takerFee": number(order.fee_usdt - maker_fee, 8),
        "makerFee": number(maker_fee, 8),
        "profit": number(sum((row.realized_usdt for row in fills), ZERO), 8),
        "feeCurrency": "USDT",
        "openType": OPEN_TYPES.get(mode, CROSS),
        "state": order_state(order),
        "externalOid": ticket.client_id,
        "errorCode": _error_code(order),
        "createTime": order.created_ms,
        "updateTime": order.updated_ms,
        "positionMode": 1 if ticket.side_index else 2,
        "version": 1,
        "reduceOnly": ticket.reduce_only,
    }


def deal_row(view: View, row: Execution, order: BookOrder | None) -> Row:
    """A fill. What it was for is in its order, as long as that is kept."""
    closes = order.ticket.only_closes if order else row.closed_lots > 0
    return {
        "id": str(300_000_000 + row.sequence),
        "symbol": view.board.instruments[row.symbol].id,
        "side": SIDES[row.size_lots > 0, closes],
        "vol": number(abs(row.size_lots)),
        "price": number(row.price),
        "feeCurrency": "USDT",
        "fee": number(row.fee_usdt, 8),
        "timestamp": row.at_ms,
        "profit": number(row.realized_usdt, 8),
        "category": TAKEN_OVER.get(row.origin, 1),
        "orderId": row.order_id,
        "positionMode": 1 if row.side_index else 2,
        "taker": not row.is_maker,
    }


def funding_record(view: View, row: Execution) -> dict[str, Any]:
    """A funding payment; received > 0."""
    rate = row.fee_usdt / row.value_usdt if row.value_usdt else ZERO
    return {
        "id": 300_000_000 + row.sequence,
        "symbol": view.board.instruments[row.symbol].id,
        "positionType": type_of(row.size_lots),
        "positionValue": number(row.value_usdt, 8),
        "funding": number(-row.fee_usdt, 8),
        "rate": number(rate if type_of(row.size_lots) == LONG else -rate, 8),
        "settleTime": row.at_ms,
    }
