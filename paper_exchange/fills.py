"""What a fill, a funding payment or a liquidation does to an account.

Pure: prices and times come in.
"""

from dataclasses import dataclass, replace
from decimal import Decimal

from paper_exchange.account import AccountState, Position, position_key
from paper_exchange.instruments import PaperInstrument
from paper_exchange.margin import is_isolated, to_liquidate
from paper_exchange.orders import (
    ZERO,
    BookOrder,
    Execution,
    OrderStatus,
    Origin,
    Ticket,
    TimeInForce,
)
from paper_exchange.prices import Board

KEPT_EXECUTIONS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One trade: signed lots at a price, and what it was for."""

    ticket: Ticket
    order_id: str
    lots: Decimal
    price: Decimal
    is_maker: bool
    at_ms: int


def split(held: Decimal, lots: Decimal) -> tuple[Decimal, Decimal]:
    """Divide a signed trade into what closes `held` and what opens beyond it."""
    if held * lots >= 0:
        return ZERO, lots
    closing = min(abs(held), abs(lots)).copy_sign(lots)
    return closing, lots - closing


def apply_fill(state: AccountState, instrument: PaperInstrument, fill: Fill) -> AccountState:
    """Book one trade: position, wallet, fee and the execution row. A flip closes, then opens."""
    ticket = fill.ticket
    held = state.position(ticket.symbol, ticket.side_index)
    closing, opening = split(held.size_lots if held else ZERO, fill.lots)
    rate = instrument.maker_fee if fill.is_maker else instrument.taker_fee
    worth = abs(fill.lots) * instrument.contract_size * fill.price
    fee = worth * rate
    entry = held.entry_price if held else fill.price
    realized = -closing * instrument.contract_size * (fill.price - entry)
    position = _moved(state, instrument, fill, opening)
    if position:
        is_same = held is not None and held.size_lots * position.size_lots > 0
        gain = (realized if is_same else ZERO) - fee
        position = replace(position, realized_usdt=position.realized_usdt + gain)
    sequence = state.sequence + 1
    execution = Execution(
        exec_id=f"{fill.order_id}-{sequence}",
        sequence=sequence,
        order_id=fill.order_id,
        client_id=ticket.client_id,
        symbol=ticket.symbol,
        side_index=ticket.side_index,
        size_lots=fill.lots,
        closed_lots=abs(closing),
        price=fill.price,
        value_usdt=worth,
        fee_usdt=fee,
        realized_usdt=realized,
        is_maker=fill.is_maker,
        origin=ticket.origin,
        at_ms=fill.at_ms,
    )
    return replace(
        state,
        wallet_usdt=state.wallet_usdt + realized - fee,
        realized_usdt=state.realized_usdt + realized - fee,
        positions=_placed(state, position_key(ticket.symbol, ticket.side_index), position),
        executions=(*state.executions, execution)[-KEPT_EXECUTIONS:],
        sequence=sequence,
    )


def _moved(
    state: AccountState, instrument: PaperInstrument, fill: Fill, opening: Decimal
) -> Position | None:
    ticket = fill.ticket
    held = state.position(ticket.symbol, ticket.side_index)
    size = (held.size_lots if held else ZERO) + fill.lots
    if not size:
        return None
    margin = ZERO
    if is_isolated(state, ticket.symbol):
        leverage = state.leverage(instrument, ticket.side_index)
        margin = abs(opening) * instrument.contract_size * fill.price / leverage
    if held is None or held.size_lots * size < 0:  # new, or flipped
        return Position(
            symbol=ticket.symbol,
            side_index=ticket.side_index,
            size_lots=size,
            entry_price=fill.price,
            isolated_margin_usdt=margin,
            created_ms=fill.at_ms,
            updated_ms=fill.at_ms,
        )
    if opening:
        cost = held.entry_price * held.size_lots + fill.price * opening
        entry, margin = cost / size, held.isolated_margin_usdt + margin
    else:
        entry, margin = held.entry_price, held.isolated_margin_usdt * size / held.size_lots
    return replace(
        held,
        size_lots=size,
        entry_price=entry,
        isolated_margin_usdt=margin,
        updated_ms=fill.at_ms,
    )


def _placed(state: AccountState, key: str, position: Position | None) -> dict[str, Position]:
    rest = {name: row for name, row in state.positions.items() if name != key}
    return rest | ({key: position} if position else {})


def apply_funding(state: AccountState, board: Board, at_ms: int, rate: Decimal) -> AccountState:
    """Pay funding for each boundary passed since the last time: longs pay `rate` of their value."""
    for position in state.positions.values():
        instrument = board.instruments[position.symbol]
        every_ms = instrument.funding_interval_min * 60_000
        since = max(state.funded_until_ms, position.created_ms)
        times = at_ms // every_ms - since // every_ms
        if times > 0 and rate:
            state = _pay_funding(state, board, position, rate * times, at_ms)
    return replace(state, funded_until_ms=at_ms)


def _pay_funding(
    state: AccountState, board: Board, position: Position, rate: Decimal, at_ms: int
) -> AccountState:
    instrument, mark = board.instruments[position.symbol], board[position.symbol].mark
    signed = position.size_lots * instrument.contract_size * mark
    sequence = state.sequence + 1
    execution = Execution(
        exec_id=f"funding-{sequence}",
        sequence=sequence,
        order_id=f"funding-{sequence}",
        client_id="",
        symbol=position.symbol,
        side_index=position.side_index,
        size_lots=position.size_lots,
        closed_lots=ZERO,
        price=mark,
        value_usdt=abs(signed),
        fee_usdt=signed * rate,
        realized_usdt=ZERO,
        is_maker=False,
        origin=Origin.FUNDING,
        at_ms=at_ms,
    )
    return replace(
        state,
        wallet_usdt=state.wallet_usdt - signed * rate,
        realized_usdt=state.realized_usdt - signed * rate,
        executions=(*state.executions, execution)[-KEPT_EXECUTIONS:],
        sequence=sequence,
    )


def liquidate(state: AccountState, board: Board, rows: list[Position], at_ms: int) -> AccountState:
    """Close positions at mark; an isolated one costs its margin at most, the wallet ends >= 0."""
    for row in rows:
        order_id = f"liquidation-{state.sequence + 1}"
        ticket = Ticket(
            symbol=row.symbol,
            size_lots=-row.size_lots,
            reduce_only=True,
            time_in_force=TimeInForce.IOC,
            side_index=row.side_index,
            origin=Origin.LIQUIDATION,
        )
        fill = Fill(
            ticket=ticket,
            order_id=order_id,
            lots=-row.size_lots,
            price=_closing_price(row, board),
            is_maker=False,
            at_ms=at_ms,
        )
        state = apply_fill(state, board.instruments[row.symbol], fill)
        last = state.executions[-1]
        order = BookOrder(
            order_id=order_id,
            ticket=ticket,
            status=OrderStatus.FILLED,
            filled_lots=last.size_lots,
            filled_cost=abs(last.size_lots) * last.price,
            fee_usdt=last.fee_usdt,
            created_ms=at_ms,
            updated_ms=at_ms,
        )
        state = replace(state, orders={**state.orders, order_id: order})
    return replace(state, wallet_usdt=max(ZERO, state.wallet_usdt))


def _closing_price(row: Position, board: Board) -> Decimal:
    """Mark, but for an isolated position not beyond the price at which its margin is gone."""
    mark = board[row.symbol].mark
    if not row.isolated_margin_usdt:
        return mark
    lots = row.size_lots * board.instruments[row.symbol].contract_size
    bankrupt = row.entry_price - row.isolated_margin_usdt / lots
    return max(mark, bankrupt) if lots > 0 else min(mark, bankrupt)


def liquidate_due(state: AccountState, board: Board, at_ms: int) -> AccountState:
    """Close whatever has no maintenance margin left."""
    gone = to_liquidate(state, board) if state.positions else []
    return liquidate(state, board, gone, at_ms) if gone else state
