"""KuCoin's JSON rows of public data: what is listed, and at which prices.

What there is no market data for is derived from the price.
"""

from decimal import Decimal
from typing import Any

from paper_exchange.book import FUNDING_RATE
from paper_exchange.instruments import PaperInstrument
from paper_exchange.prices import Board, Quote
from paper_exchange.wire import plain
from paper_exchange.wires.kucoin.rows import RISK_LIMIT, json_number

PRICE_RANGE = Decimal("0.1")  # how far a limit may be from mark, as `orderPriceRange` tells
OPEN_INTEREST = Decimal(50_000_000)  # USDT; made up, but it must be there
SAME_FOR_ALL = {
    "rootSymbol": "USDT",
    "type": "FFWCSX",
    "expireDate": None,
    "settleDate": None,
    "quoteCurrency": "USDT",
    "settleCurrency": "USDT",
    "maxRiskLimit": RISK_LIMIT,
    "minRiskLimit": RISK_LIMIT,
    "riskStep": RISK_LIMIT // 2,
    "takerFixFee": 0,
    "makerFixFee": 0,
    "settlementFee": None,
    "isDeleverage": True,
    "isQuanto": True,
    "isInverse": False,
    "markMethod": "FairPrice",
    "fairMethod": "FundingRate",
    "fundingQuoteSymbol": ".USDTINT8H",
    "fundingQuoteSymbol1M": ".USDTINT",
    "settlementSymbol": "",
    "sourceExchanges": ["kucoin"],
    "supportCross": True,
    "fundingRateCap": 0.003,
    "fundingRateFloor": -0.003,
}


def price_limits(row: PaperInstrument, mark: Decimal) -> tuple[Decimal, Decimal]:
    """The lowest price of a sale and the highest of a purchase."""
    reach = round(mark * PRICE_RANGE / row.tick_size) * row.tick_size
    return max(row.min_price, mark - reach), min(row.max_price, mark + reach)


def contract_row(row: PaperInstrument, board: Board, at_ms: int) -> dict[str, Any]:
    """A row of contracts/active."""
    tick = json_number(row.tick_size)
    every_ms = row.funding_interval_min * 60_000
    next_ms = (at_ms // every_ms + 1) * every_ms
    return {
        "symbol": row.id,
        "firstOpenDate": row.launch_ms,
        "baseCurrency": row.base,
        "maxOrderQty": int(row.max_lots),
        "marketMaxOrderQty": int(row.max_market_lots),
        "maxPrice": json_number(row.max_price),
        "lotSize": int(row.step_lots),
        "tickSize": tick,
        "indexPriceTickSize": tick,
        "multiplier": json_number(row.contract_size),
        "initialMargin": json_number(1 / row.max_leverage),
        "maintainMargin": json_number(row.maintenance_rate),
        "makerFeeRate": json_number(row.maker_fee),
        "takerFeeRate": json_number(row.taker_fee),
        "fundingBaseSymbol": f".{row.base}INT8H",
        "fundingBaseSymbol1M": f".{row.base}INT",
        "fundingRateSymbol": f".{row.id}FPI8H",
        "indexSymbol": f".K{row.base}USDT",
        "premiumsSymbol1M": f".{row.id}PI",
        "premiumsSymbol8H": f".{row.id}PI8H",
        "status": "Open" if row.status == "Trading" else "Paused",
        "nextFundingRateTime": next_ms - at_ms,
        "nextFundingRateDateTime": next_ms,
        "fundingRateGranularity": every_ms,
        "maxLeverage": int(row.max_leverage),
        **SAME_FOR_ALL,
        **_market_data(row, board[row.symbol].mark),
    }


def _market_data(row: PaperInstrument, mark: Decimal) -> dict[str, Any]:
    low, high = price_limits(row, mark)
    coins, price = OPEN_INTEREST / mark, json_number(mark)
    return {
        "fundingFeeRate": json_number(FUNDING_RATE),
        "predictedFundingFeeRate": json_number(FUNDING_RATE),
        "openInterest": str(int(coins / row.contract_size)),
        "turnoverOf24h": json_number(OPEN_INTEREST),
        "volumeOf24h": json_number(coins, 3),
        "markPrice": price,
        "indexPrice": price,
        "lastTradePrice": price,
        "lowPrice": json_number(min(mark, row.reference_price)),
        "highPrice": json_number(max(mark, row.reference_price)),
        "priceChgPct": json_number(mark / row.reference_price - 1, 4),
        "priceChg": json_number(mark - row.reference_price),
        "buyLimit": json_number(high),
        "sellLimit": json_number(low),
        "orderPriceRange": json_number(PRICE_RANGE),
    }


def ticker_row(board: Board, symbol: str, at_ms: int) -> dict[str, Any]:
    """The best prices of one contract."""
    quote, instrument = board[symbol], board.instruments[symbol]
    size = int(instrument.max_market_lots)
    return {
        "sequence": at_ms,
        "symbol": instrument.id,
        "side": "buy",
        "size": 1,
        "price": plain(quote.mark),
        "bestBidSize": size,
        "bestBidPrice": plain(quote.bid),
        "bestAskPrice": plain(quote.ask),
        "bestAskSize": size,
        "tradeId": str(at_ms),
        "ts": at_ms * 1_000_000,
    }


def mark_row(quote: Quote, row: PaperInstrument, at_ms: int) -> dict[str, Any]:
    """Mark and index price of one contract."""
    price = json_number(quote.mark)
    return {
        "symbol": row.id,
        "granularity": 1000,
        "timePoint": at_ms,
        "value": price,
        "indexPrice": price,
    }


def funding_rate_row(row: PaperInstrument, at_ms: int) -> dict[str, Any]:
    """The rate in force, and when it is paid."""
    every_ms = row.funding_interval_min * 60_000
    since = at_ms // every_ms * every_ms
    return {
        "symbol": f".{row.id}FPI8H",
        "granularity": every_ms,
        "timePoint": since,
        "value": json_number(FUNDING_RATE),
        "dailyInterestRate": 0.0003,
        "fundingRateCap": SAME_FOR_ALL["fundingRateCap"],
        "fundingRateFloor": SAME_FOR_ALL["fundingRateFloor"],
        "period": 1,
        "fundingTime": since + every_ms,
    }


def risk_row(row: PaperInstrument) -> dict[str, Any]:
    """The one level of risk that there is."""
    return {
        "symbol": row.id,
        "level": 1,
        "maxRiskLimit": RISK_LIMIT,
        "minRiskLimit": 0,
        "maxLeverage": int(row.max_leverage),
        "initialMargin": json_number(1 / row.max_leverage),
        "maintainMargin": json_number(row.maintenance_rate),
    }


def book_row(quote: Quote, row: PaperInstrument, at_ms: int) -> dict[str, Any]:
    """An order book of one level on either side."""
    size = int(row.max_market_lots)
    return {
        "symbol": row.id,
        "sequence": at_ms,
        "asks": [[plain(quote.ask), size]],
        "bids": [[plain(quote.bid), size]],
        "ts": at_ms * 1_000_000,
    }
