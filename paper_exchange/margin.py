"""Margin arithmetic: what an account is worth, what it has tied up, when it is liquidated.

Pure functions of a state and the prices of one moment. Amounts in USDT.
"""

from decimal import Decimal

from paper_exchange.account import AccountState, Position
from paper_exchange.orders import ZERO, BookOrder, MarginMode
from paper_exchange.prices import Board


def value(position: Position, board: Board) -> Decimal:
    """Signed value of a position at mark."""
    instrument = board.instruments[position.symbol]
    return position.size_lots * instrument.contract_size * board[position.symbol].mark


def unrealized(position: Position, board: Board) -> Decimal:
    """Profit (> 0) or loss of a position at mark."""
    lots = position.size_lots * board.instruments[position.symbol].contract_size
    return lots * (board[position.symbol].mark - position.entry_price)


def total_unrealized(state: AccountState, board: Board) -> Decimal:
    """Unrealised profit of all positions."""
    return sum((unrealized(row, board) for row in state.positions.values()), ZERO)


def equity(state: AccountState, board: Board) -> Decimal:
    """Wallet plus unrealised profit."""
    return state.wallet_usdt + total_unrealized(state, board)


def initial_margin(state: AccountState, position: Position, board: Board) -> Decimal:
    """What a position ties up: its own margin when isolated, else value over leverage."""
    if position.isolated_margin_usdt:
        return position.isolated_margin_usdt
    instrument = board.instruments[position.symbol]
    return abs(value(position, board)) / state.leverage(instrument, position.side_index)


def maintenance_margin(position: Position, board: Board) -> Decimal:
    """The margin below which a position is liquidated."""
    return abs(value(position, board)) * board.instruments[position.symbol].maintenance_rate


def order_margin(state: AccountState, order: BookOrder, board: Board) -> Decimal:
    """What an open order ties up; 0 for one that only closes."""
    ticket = order.ticket
    if ticket.only_closes:
        return ZERO
    instrument = board.instruments[ticket.symbol]
    price = ticket.limit_price or board[ticket.symbol].mark
    notional = abs(order.leaves_lots) * instrument.contract_size * price
    return notional / state.leverage(instrument, ticket.side_index)


def used_margin(state: AccountState, board: Board) -> Decimal:
    """Initial margin of all positions and open orders."""
    positions = (initial_margin(state, row, board) for row in state.positions.values())
    orders = (order_margin(state, order, board) for order in state.open_orders())
    return sum(positions, ZERO) + sum(orders, ZERO)


def free_margin(state: AccountState, board: Board) -> Decimal:
    """What new orders may tie up; negative when losses ate into the margin in use.

    Profit of isolated positions does not count: it stays with them.
    """
    shared = (
        unrealized(row, board) for row in state.positions.values() if not row.isolated_margin_usdt
    )
    return state.wallet_usdt + sum(shared, ZERO) - used_margin(state, board)


def liquidation_price(state: AccountState, position: Position, board: Board) -> Decimal | None:
    """The mark at which this position goes, all else standing still; None if there is none."""
    instrument = board.instruments[position.symbol]
    lots = position.size_lots * instrument.contract_size
    mark = board[position.symbol].mark
    if position.isolated_margin_usdt:
        cushion = position.isolated_margin_usdt + unrealized(position, board)
        cushion -= maintenance_margin(position, board)
    else:
        cushion = _cross_cushion(state, board)
    slope = lots - abs(lots) * instrument.maintenance_rate
    price = mark - cushion / slope
    return price if price > 0 else None


def to_liquidate(state: AccountState, board: Board) -> list[Position]:
    """Positions whose margin is used up: isolated ones each for itself, cross ones together."""
    gone = [
        row
        for row in state.positions.values()
        if row.isolated_margin_usdt
        and row.isolated_margin_usdt + unrealized(row, board) <= maintenance_margin(row, board)
    ]
    shared = [row for row in state.positions.values() if not row.isolated_margin_usdt]
    if shared and _cross_cushion(state, board) <= 0:
        gone += shared
    return gone


def is_isolated(state: AccountState, symbol: str) -> bool:
    """True if a position of this symbol keeps its own margin."""
    return state.margin_mode(symbol) is MarginMode.ISOLATED


def _cross_cushion(state: AccountState, board: Board) -> Decimal:
    shared = [row for row in state.positions.values() if not row.isolated_margin_usdt]
    isolated = sum((row.isolated_margin_usdt for row in state.positions.values()), ZERO)
    worth = state.wallet_usdt - isolated + sum((unrealized(row, board) for row in shared), ZERO)
    return worth - sum((maintenance_margin(row, board) for row in shared), ZERO)
