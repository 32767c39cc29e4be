"""Bybit v5's JSON rows: numbers as strings, empty strings for what there is not.

Translation of book values only; the requests are in `reads` and `writes`.
"""

from decimal import Decimal
from typing import Any

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
    TimeInForce,
)
from paper_exchange.prices import Board
from paper_exchange.wire import plain, rounded

MARGIN_MODES = {
    MarginMode.CROSS: "REGULAR_MARGIN",
    MarginMode.ISOLATED: "ISOLATED_MARGIN",
    MarginMode.PORTFOLIO: "PORTFOLIO_MARGIN",
}
STATUSES = {
    OrderStatus.NEW: "New",
    OrderStatus.PARTIALLY_FILLED: "PartiallyFilled",
    OrderStatus.FILLED: "Filled",
    OrderStatus.CANCELED: "Cancelled",
    OrderStatus.REJECTED: "Rejected",
}
REJECT_REASONS = {
    "": "EC_NoError",
    "by_user": "EC_PerCancelRequest",
    "no_quantity_at_price": "EC_NoImmediateQtyToFill",
    "post_only_would_take": "EC_PostOnlyWillTakeLiquidity",
    "nothing_to_reduce": "EC_ReduceOnlyOrder",
    "margin": "EC_NoEnoughBalance",
}
EXEC_TYPES = {Origin.LIQUIDATION: "BustTrade", Origin.FUNDING: "Funding"}
CREATE_TYPES = {Origin.LIQUIDATION: "CreateByLiq"}
OPEN_INTEREST = Decimal(50_000_000)  # USDT; made up, but it must be there


def side(lots: Decimal) -> str:
    """Buy, Sell or nothing."""
    return "Buy" if lots > 0 else "Sell" if lots < 0 else ""


def instrument_row(row: PaperInstrument) -> dict[str, Any]:
    """A row of instruments-info."""
    places = max(0, -int(row.tick_size.normalize().as_tuple().exponent))
    return {
        "symbol": row.symbol,
        "contractType": "LinearPerpetual",
        "status": row.status,
        "baseCoin": row.base,
        "quoteCoin": "USDT",
        "launchTime": str(row.launch_ms),
        "deliveryTime": "0",
        "deliveryFeeRate": "",
        "priceScale": str(places),
        "leverageFilter": {
            "minLeverage": "1",
            "maxLeverage": f"{row.max_leverage:.2f}",
            "leverageStep": plain(row.leverage_step),
        },
        "priceFilter": {
            "minPrice": plain(row.min_price),
            "maxPrice": plain(row.max_price),
            "tickSize": plain(row.tick_size),
        },
        "lotSizeFilter": {
            "maxOrderQty": plain(row.max_lots),
            "minOrderQty": plain(row.min_lots),
            "qtyStep": plain(row.step_lots),
            "postOnlyMaxOrderQty": plain(row.max_lots),
            "maxMktOrderQty": plain(row.max_market_lots),
            "minNotionalValue": plain(row.min_notional_usdt),
        },
        "unifiedMarginTrade": True,
        "fundingInterval": row.funding_interval_min,
        "settleCoin": "USDT",
        "copyTrading": "both",
        "upperFundingRate": "0.005",
        "lowerFundingRate": "-0.005",
        "isPreListing": False,
        "preListingInfo": None,
        "riskParameters": {"priceLimitRatioX": "0.05", "priceLimitRatioY": "0.1"},
        "displayName": "",
    }


def ticker_row(board: Board, symbol: str, at_ms: int, funding_rate: Decimal) -> dict[str, Any]:
    """A row of tickers; what there is no market data for is derived from the price."""
    quote, instrument = board[symbol], board.instruments[symbol]
    every_ms = instrument.funding_interval_min * 60_000
    mark = quote.mark
    size = plain(instrument.max_market_lots)
    return {
        "symbol": symbol,
        "lastPrice": plain(mark),
        "indexPrice": plain(mark),
        "markPrice": plain(mark),
        "prevPrice24h": plain(instrument.reference_price),
        "price24hPcnt": rounded(mark / instrument.reference_price - 1, 6),
        "highPrice24h": plain(max(mark, instrument.reference_price)),
        "lowPrice24h": plain(min(mark, instrument.reference_price)),
        "prevPrice1h": plain(instrument.reference_price),
        "openInterest": rounded(OPEN_INTEREST / mark, 3),
        "openInterestValue": plain(OPEN_INTEREST),
        "turnover24h": plain(OPEN_INTEREST),
        "volume24h": rounded(OPEN_INTEREST / mark, 3),
        "fundingRate": plain(funding_rate),
        "nextFundingTime": str((at_ms // every_ms + 1) * every_ms),
        "bid1Price": plain(quote.bid),
        "bid1Size": size,
        "ask1Price": plain(quote.ask),
        "ask1Size": size,
    }


def position_row(state: AccountState, board: Board, symbol: str, side_index: int) -> dict[str, Any]:
    """A row of position/list, flat ones included: those carry the leverage."""
    instrument = board.instruments[symbol]
    held = state.position(symbol, side_index)
    isolated = state.margin_mode() is MarginMode.ISOLATED
    row = {
        "positionIdx": side_index,
        "riskId": 1,
        "riskLimitValue": "2000000",
        "symbol": symbol,
        "side": side(held.size_lots) if held else "",
        "size": plain(abs(held.size_lots)) if held else "0",
        "avgPrice": rounded(held.entry_price) if held else "0",
        "positionValue": "",
        "tradeMode": 1 if isolated else 0,
        "autoAddMargin": 0,
        "positionStatus": "Normal",
        "leverage": plain(state.leverage(instrument, side_index)),
        "markPrice": plain(board[symbol].mark),
        "liqPrice": "",
        "bustPrice": "",
        "positionMM": "0",
        "positionIM": "0",
        "positionBalance": "0",
        "tpslMode": "Full",
        "takeProfit": "",
        "stopLoss": "",
        "trailingStop": "0",
        "unrealisedPnl": "0" if held else "",
        "curRealisedPnl": "0",
        "cumRealisedPnl": rounded(state.realized_usdt),
        "isReduceOnly": False,
        "adlRankIndicator": 2 if held else 0,
        "seq": state.sequence,
        "createdTime": str(held.created_ms) if held else "0",
        "updatedTime": str(held.updated_ms) if held else "0",
    }
    return row | _held_fields(state, board, held) if held else row


def _held_fields(state: AccountState, board: Board, held: Position) -> dict[str, Any]:
    instrument = board.instruments[held.symbol]
    price = margin.liquidation_price(state, held, board)
    value = abs(held.size_lots) * instrument.contract_size * held.entry_price
    return {
        "positionValue": rounded(value),
        "liqPrice": ""
        if price is None
        else plain(round(price / instrument.tick_size) * instrument.tick_size),
        "positionMM": rounded(margin.maintenance_margin(held, board)),
        "positionIM": rounded(margin.initial_margin(state, held, board)),
        "positionBalance": rounded(held.isolated_margin_usdt),
        "unrealisedPnl": rounded(margin.unrealized(held, board)),
        "curRealisedPnl": rounded(held.realized_usdt),
    }


def wallet_row(state: AccountState, board: Board) -> dict[str, Any]:
    """The one row of wallet-balance: the account's totals and its USDT."""
    held = state.positions.values()
    position_im = sum((margin.initial_margin(state, row, board) for row in held), ZERO)
    order_im = sum(
        (margin.order_margin(state, order, board) for order in state.open_orders()), ZERO
    )
    maintenance = sum((margin.maintenance_margin(row, board) for row in held), ZERO)
    pnl = margin.total_unrealized(state, board)
    equity = state.wallet_usdt + pnl
    divisor = equity or Decimal(1)
    free = max(ZERO, margin.free_margin(state, board))
    return {
        "accountType": "UNIFIED",
        "totalEquity": rounded(equity),
        "totalWalletBalance": rounded(state.wallet_usdt),
        "totalAvailableBalance": rounded(free),
        "totalPerpUPL": rounded(pnl),
        "totalInitialMargin": rounded(position_im + order_im),
        "totalMaintenanceMargin": rounded(maintenance),
        "totalMarginBalance": rounded(equity),
        "accountIMRate": rounded((position_im + order_im) / divisor, 4),
        "accountMMRate": rounded(maintenance / divisor, 4),
        "accountLTV": "0",
        "coin": [
            {
                "coin": "USDT",
                "equity": rounded(equity),
                "usdValue": rounded(equity),
                "walletBalance": rounded(state.wallet_usdt),
                "availableToWithdraw": "",
                "locked": "0",
                "totalOrderIM": rounded(order_im),
                "totalPositionIM": rounded(position_im),
                "totalPositionMM": rounded(maintenance),
                "unrealisedPnl": rounded(pnl),
                "cumRealisedPnl": rounded(state.realized_usdt),
                "borrowAmount": "0",
                "accruedInterest": "0",
                "bonus": "0",
                "marginCollateral": True,
                "collateralSwitch": True,
            }
        ],
    }


def order_row(order: BookOrder, board: Board) -> dict[str, Any]:
    """A row of order/realtime and order/history."""
    ticket = order.ticket
    instrument = board.instruments[ticket.symbol]
    value = order.filled_cost * instrument.contract_size
    average = order.average_price
    price = ticket.limit_price or average or ZERO
    is_market = ticket.limit_price is None
    leaves = abs(order.leaves_lots)
    return {
        "symbol": ticket.symbol,
        "orderType": "Market" if is_market else "Limit",
        "orderLinkId": ticket.client_id,
        "orderId": order.order_id,
        "cancelType": "CancelByUser" if order.reason == "by_user" else "UNKNOWN",
        "avgPrice": "" if average is None else rounded(average),
        "stopOrderType": "",
        "lastPriceOnCreated": "",
        "orderStatus": STATUSES[order.status],
        "createType": CREATE_TYPES.get(ticket.origin, "CreateByUser"),
        "takeProfit": "",
        "cumExecValue": rounded(value),
        "tpslMode": "",
        "smpType": "None",
        "triggerDirection": 0,
        "blockTradeId": "",
        "cumFeeDetail": {"USDT": rounded(order.fee_usdt)} if order.filled_lots else {},
        "rejectReason": REJECT_REASONS.get(order.reason, "EC_Others"),
        "price": rounded(price),
        "createdTime": str(order.created_ms),
        "positionIdx": ticket.side_index,
        "timeInForce": str(TimeInForce.IOC if is_market else ticket.time_in_force),
        "leavesValue": rounded(leaves * instrument.contract_size * price),
        "updatedTime": str(order.updated_ms),
        "side": side(ticket.size_lots),
        "triggerPrice": "",
        "cumExecFee": rounded(order.fee_usdt),
        "leavesQty": plain(leaves),
        "closeOnTrigger": False,
        "cumExecQty": plain(abs(order.filled_lots)),
        "reduceOnly": ticket.reduce_only,
        "qty": plain(abs(ticket.size_lots)),
        "stopLoss": "",
        "triggerBy": "",
    }


def execution_row(row: Execution, board: Board) -> dict[str, Any]:
    """A row of execution/list."""
    instrument = board.instruments[row.symbol]
    rate = row.fee_usdt / row.value_usdt if row.value_usdt else ZERO
    return {
        "symbol": row.symbol,
        "orderType": "Market" if row.origin is not Origin.FUNDING else "UNKNOWN",
        "orderLinkId": row.client_id,
        "side": side(row.size_lots),
        "orderId": row.order_id,
        "leavesQty": "0",
        "execTime": str(row.at_ms),
        "isMaker": row.is_maker,
        "execFee": rounded(row.fee_usdt),
        "feeRate": rounded(rate),
        "execId": row.exec_id,
        "execPrice": plain(row.price),
        "execValue": rounded(row.value_usdt),
        "execType": EXEC_TYPES.get(row.origin, "Trade"),
        "execQty": plain(abs(row.size_lots)),
        "orderQty": plain(abs(row.size_lots)),
        "orderPrice": plain(row.price),
        "markPrice": plain(row.price),
        "createType": CREATE_TYPES.get(row.origin, "CreateByUser"),
        "feeCurrency": "USDT",
        "closedSize": plain(row.closed_lots / instrument.contract_size * instrument.contract_size),
        "seq": row.sequence,
    }
