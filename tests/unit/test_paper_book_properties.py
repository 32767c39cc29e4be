"""Whatever is ordered, at whatever prices: the books balance, and reductions only reduce."""

from contextlib import suppress
from decimal import Decimal

import orjson
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from paper_exchange import book, margin
from paper_exchange.account import AccountState
from paper_exchange.fills import split
from paper_exchange.orders import ZERO, BookError, Origin, Terms, Ticket, TimeInForce
from paper_exchange.prices import Board, FixedPrices
from paper_exchange.state_file import decode, encode
from paper_exchange.wires import find_wires

LISTED = find_wires()["bybit"].instruments
INSTRUMENTS = {k: LISTED[k] for k in ("BTCUSDT", "ETHUSDT", "DOGEUSDT")}
SYMBOLS = st.sampled_from(sorted(INSTRUMENTS))
STEPS = st.integers(-40_000, 40_000).filter(bool)
MOVES = st.integers(-300, 300)  # basis points
TINY = Decimal("1e-12")


class Book(RuleBasedStateMachine):
    """One account under random orders, prices, settings, time and restarts."""

    def __init__(self) -> None:
        super().__init__()
        self.state = AccountState()
        self.prices = {name: row.reference_price for name, row in INSTRUMENTS.items()}
        self.at_ms = 0
        self.number = 0
        self.paid_in = ZERO

    @property
    def board(self) -> Board:
        return Board(INSTRUMENTS, FixedPrices(prices=self.prices), self.at_ms)

    def order(self, ticket: Ticket, terms: Terms | None = None) -> bool:
        self.number += 1
        before = encode(self.state)
        try:
            self.state = book.place(
                self.state,
                self.board,
                ticket,
                order_id=f"o{self.number}",
                at_ms=self.at_ms,
                terms=terms or Terms(),
            )
        except BookError:
            assert encode(self.state) == before
            return False
        return True

    @rule(symbol=SYMBOLS, steps=STEPS, tenths=st.integers(1, 10))
    def market(self, symbol: str, steps: int, tenths: int) -> None:
        size = steps * INSTRUMENTS[symbol].step_lots
        held = self.state.size_lots(symbol)
        terms = Terms(fill_fraction=Decimal(tenths) / 10)
        is_taken = self.order(Ticket(symbol=symbol, size_lots=size), terms)
        if is_taken and split(held, size)[1]:
            assert margin.free_margin(self.state, self.board) >= 0 or tenths < 10

    @rule(symbol=SYMBOLS, steps=STEPS)
    def reduce(self, symbol: str, steps: int) -> None:
        size = steps * INSTRUMENTS[symbol].step_lots
        held = self.state.size_lots(symbol)
        is_taken = self.order(Ticket(symbol=symbol, size_lots=size, reduce_only=True))
        after = self.state.size_lots(symbol)

        assert held * after >= 0, "crossed zero"
        assert abs(after) <= abs(held), "grew"
        can_reduce = held * size < 0 and abs(size) <= INSTRUMENTS[symbol].max_market_lots
        assert is_taken is can_reduce

    @rule(symbol=SYMBOLS, steps=STEPS, away=MOVES, tif=st.sampled_from(TimeInForce))
    def limit(self, symbol: str, steps: int, away: int, tif: TimeInForce) -> None:
        row = INSTRUMENTS[symbol]
        price = self.prices[symbol] * (10_000 + away) / 10_000 // row.tick_size * row.tick_size
        size = steps * row.step_lots
        self.order(Ticket(symbol=symbol, size_lots=size, limit_price=price, time_in_force=tif))

    @rule(delay_ms=st.integers(1, 5000), symbol=SYMBOLS, steps=STEPS)
    def late(self, delay_ms: int, symbol: str, steps: int) -> None:
        size = steps * INSTRUMENTS[symbol].step_lots
        self.order(Ticket(symbol=symbol, size_lots=size), Terms(due_ms=self.at_ms + delay_ms))

    @rule(pick=st.integers(0, 100))
    def cancel(self, pick: int) -> None:
        waiting = self.state.open_orders()
        if waiting:
            order_id = waiting[pick % len(waiting)].order_id
            self.state = book.cancel(self.state, at_ms=self.at_ms, order_id=order_id)
            assert not self.state.orders[order_id].is_open

    @rule(symbol=SYMBOLS, leverage=st.integers(1, 75))
    def gear(self, symbol: str, leverage: int) -> None:
        free = margin.free_margin(self.state, self.board)
        with suppress(BookError):
            self.state = book.set_leverage(
                self.state, self.board, symbol, Decimal(leverage), (0, 1, 2)
            )
        assert margin.free_margin(self.state, self.board) >= min(ZERO, free)

    @rule(symbol=SYMBOLS, move=MOVES, after_ms=st.integers(1, 9 * 3_600_000))
    def time_passes(self, symbol: str, move: int, after_ms: int) -> None:
        self.prices[symbol] = self.prices[symbol] * (10_000 + move) / 10_000
        self.at_ms += after_ms
        self.state = book.advance(self.state, self.board, self.at_ms)
        assert not margin.to_liquidate(self.state, self.board)
        assert book.advance(self.state, self.board, self.at_ms) is self.state

    @rule(amount=st.integers(-1000, 10_000))
    def pay_in(self, amount: int) -> None:
        self.state = book.deposit(self.state, Decimal(amount))
        self.paid_in += amount

    @rule()
    def restart(self) -> None:
        again = decode(orjson.loads(encode(self.state)))
        assert again == self.state
        self.state = again

    @invariant()
    def equity_is_wallet_plus_unrealised(self) -> None:
        pnl = ZERO
        for row in self.state.positions.values():
            mark = self.board[row.symbol].mark
            pnl += row.size_lots * INSTRUMENTS[row.symbol].contract_size * (mark - row.entry_price)
        assert margin.equity(self.state, self.board) == self.state.wallet_usdt + pnl

    @invariant()
    def positions_are_the_sum_of_fills(self) -> None:
        for symbol in INSTRUMENTS:
            fills = (
                row.size_lots
                for row in self.state.executions
                if row.symbol == symbol and row.origin is not Origin.FUNDING
            )
            assert self.state.size_lots(symbol) == sum(fills, ZERO)

    @invariant()
    def the_wallet_is_what_was_paid_in_and_earned(self) -> None:
        moves = (row.realized_usdt - row.fee_usdt for row in self.state.executions)
        wallet = AccountState().wallet_usdt + self.paid_in + sum(moves, ZERO)
        is_floored = any(row.origin is Origin.LIQUIDATION for row in self.state.executions)
        assert is_floored or abs(self.state.wallet_usdt - wallet) < TINY * (1 + abs(wallet))

    @invariant()
    def orders_are_never_overfilled(self) -> None:
        for order in self.state.orders.values():
            size, filled = order.ticket.size_lots, order.filled_lots
            assert abs(filled) <= abs(size)
            assert filled * size >= 0
            assert order.is_open or not order.leaves_lots


Book.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestBook = Book.TestCase
