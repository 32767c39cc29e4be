"""How a validator writes positions down: the JSON of the current version, field by field.

Pure. REST and websocket differ in one thing: an open position's `close_ms` is 0 in the one and null
in the other.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from paper_exchange.sn8.model import Order, Position, fees, nets, result
from paper_exchange.sn8.quotes import DAY_MS, PAIRS

Json = dict[str, Any]
SLIPPAGE = 0.00005
SPREAD = 0.00002
LOOK_BACK_DAYS = 120  # what `thirty_day_returns` really counts


def order_json(order: Order, position: Position) -> Json:
    """One order."""
    value = order.leverage * position.account_usd
    quote_usd = 1 / order.mark if position.pair.startswith("USD") else 1.0
    price = order.price
    return {
        "order_type": order.kind,
        "leverage": order.leverage,
        "value": value,
        "quantity": value / (order.mark * quote_usd),
        "price": price,
        "bid": price * (1 - SPREAD),
        "ask": price * (1 + SPREAD),
        "slippage": SLIPPAGE if price else 0.0,
        "quote_usd_rate": quote_usd,
        "usd_base_rate": 1 / (order.mark * quote_usd),
        "processed_ms": order.processed_ms,
        "order_uuid": order.uuid,
        "price_sources": [_source(order)] if order.is_live else [],
        "src": order.src,
        "execution_type": "MARKET",
        "limit_price": None,
        "stop_loss": None,
        "take_profit": None,
    }


def position_json(position: Position, seed: int, mark_ms: int, while_open: int | None) -> Json:
    """One position with all its orders; an open one is valued at `mark_ms`."""
    market = PAIRS[position.pair]
    net = position.net_leverage
    is_closed = net == 0
    at_close = result(position, seed, mark_ms)
    current = at_close + fees(position)
    usd = position.account_usd
    entry = _average_entry(position)
    quote_usd = 1 / position.orders[-1].mark if position.pair.startswith("USD") else 1.0
    return {
        "miner_hotkey": position.hotkey,
        "position_uuid": position.uuid,
        "open_ms": position.open_ms,
        "trade_pair": [
            market.id,
            market.name,
            market.shown_fee,
            market.min_leverage,
            market.max_leverage,
        ],
        "orders": [order_json(order, position) for order in position.orders],
        "current_return": current,
        "close_ms": position.updated_ms if is_closed else while_open,
        "net_leverage": net,
        "net_value": net * usd,
        "net_quantity": net * usd / (position.orders[-1].mark * quote_usd),
        "return_at_close": at_close,
        "average_entry_price": entry,
        "cumulative_entry_value": sum(
            abs(order.leverage) * usd
            for order in position.orders
            if order.leverage * position.side > 0
        ),
        "account_size": usd,
        "realized_pnl": (current - 1) * usd if is_closed else 0.0,
        "unrealized_pnl": 0.0 if is_closed else (current - 1) * usd,
        "position_type": "FLAT" if is_closed else ("LONG" if net > 0 else "SHORT"),
        "is_closed_position": is_closed,
    }


def miner_json(rows: Iterable[Json], tier: int, now_ms: int) -> Json:
    """One miner of the positions file: what it holds and held, and what came of the closed ones."""
    positions = sorted(rows, key=lambda row: row["open_ms"])
    closed = [row for row in positions if row["is_closed_position"]]
    since_ms = now_ms - LOOK_BACK_DAYS * DAY_MS
    lately = all_time = 1.0
    for row in closed:
        all_time *= row["return_at_close"]
        lately *= row["return_at_close"] if row["close_ms"] >= since_ms else 1.0
    won = sum(row["return_at_close"] > 1 for row in closed)
    return {
        "positions": positions,
        "thirty_day_returns": lately,
        "all_time_returns": all_time,
        "n_positions": len(closed),
        "percentage_profitable": won / len(closed) if closed else 0.0,
        "tier": tier,
    }


def by_return(miners: Mapping[str, Json]) -> dict[str, Json]:
    """The file's order: best of the look-back first."""
    rows = sorted(miners.items(), key=lambda row: row[1]["thirty_day_returns"], reverse=True)
    return dict(rows)


def trade_pairs_json(now_ms: int) -> Json:
    """What may be traded, as newer validators say it."""
    rows = [
        {
            "trade_pair_id": pair.id,
            "trade_pair": pair.name,
            "trade_pair_category": pair.asset_class,
            "max_leverage": pair.max_leverage,
        }
        for pair in PAIRS.values()
    ]
    return {
        "allowed_trade_pairs": rows,
        "allowed_trade_pair_ids": list(PAIRS),
        "total_trade_pairs": len(rows),
        "timestamp": now_ms,
    }


def _average_entry(position: Position) -> float:
    """Mean price of what enlarged the position."""
    total = weight = 0.0
    before = 0.0
    for order, net in zip(position.orders, nets(position), strict=True):
        if abs(net) > abs(before):
            total += order.mark * abs(order.leverage)
            weight += abs(order.leverage)
        before = net
    return total / weight * (1 + SLIPPAGE * position.side)


def _source(order: Order) -> Json:
    price = order.mark
    return {
        "source": "Paper_ws",
        "timespan_ms": 0,
        "open": price,
        "close": price,
        "vwap": price,
        "high": price,
        "low": price,
        "start_ms": order.processed_ms - 250,
        "websocket": True,
        "lag_ms": 250,
        "bid": price * (1 - SPREAD),
        "ask": price * (1 + SPREAD),
    }
