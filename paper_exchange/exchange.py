"""The exchange behind every door: accounts, their states, the prices, and who changes what.

Venue-neutral and without I/O of its own: time comes from a `Clock`, the disk is the server's. Every
change goes through `change`, which keeps the recent past for stale reads.
"""

from collections import deque
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from core.ports import Clock
from paper_exchange import book
from paper_exchange.account import EVERY_SYMBOL, START_BALANCE_USDT, AccountState
from paper_exchange.accounts import Doorkeeper, PaperAccount, venue_of
from paper_exchange.faults import Fault, FaultTable, OrderEffects
from paper_exchange.fills import liquidate
from paper_exchange.instruments import Instruments
from paper_exchange.orders import MarginMode, Origin, Terms, Ticket
from paper_exchange.prices import Board, PriceSource

KEPT_VERSIONS = 256  # of each account's past, for stale reads


class PaperExchange:
    """Books of all accounts at the prices of the moment."""

    def __init__(
        self,
        *,
        instruments: Mapping[str, Instruments],
        prices: PriceSource,
        clock: Clock,
        doorkeeper: Doorkeeper,
        faults: FaultTable,
        states: Mapping[str, AccountState] | None = None,
    ) -> None:
        self.instruments = instruments  # by venue
        self.clock = clock
        self.doorkeeper = doorkeeper
        self.faults = faults
        self.pins: dict[str, Decimal] = {}
        self.fill_delay_ms = 0
        self.start_balance_usdt = START_BALANCE_USDT
        self.start_margin_modes: dict[str, MarginMode] = {}  # by venue; cross where there is none
        self.states: dict[str, AccountState] = dict(states or {})
        self.on_change: Callable[[], None] = lambda: None
        self._prices = prices
        self._past: dict[str, deque[tuple[int, AccountState]]] = {}
        self._last_stamp = 0

    def board(self, venue: str, at_ms: int) -> Board:
        """A venue's quotes of one moment."""
        return Board(self.instruments[venue], self._prices, at_ms, self.pins)

    def state(self, account: PaperAccount, at_ms: int) -> AccountState:
        """The account as it stands now, with everything that fell due."""
        known = self.states.get(account.id)
        if known is None:
            return self.change(account.id, self._fresh(account, at_ms), at_ms)
        board = self.board(account.exchange, at_ms)
        return self.change(account.id, book.advance(known, board, at_ms), at_ms)

    def state_at(self, account: PaperAccount, view_at_ms: int, at_ms: int) -> AccountState:
        """The account as it stood at an earlier time, or as far back as is remembered."""
        now = self.state(account, at_ms)
        past = self._past.get(account.id, ())
        older = [state for since_ms, state in past if since_ms <= view_at_ms]
        if older:
            return older[-1]
        return past[0][1] if past else now

    def change(self, account_id: str, after: AccountState, at_ms: int) -> AccountState:
        """Put a new state in force; the same one changes nothing."""
        before = self.states.get(account_id)
        if after is before:
            return after
        past = self._past.setdefault(account_id, deque(maxlen=KEPT_VERSIONS))
        if before is not None and not past:
            past.append((0, before))
        past.append((self.stamp(at_ms), after))
        self.states[account_id] = after
        self.on_change()
        return after

    def stamp(self, at_ms: int) -> int:
        """A time that no other change bears, so that "before" and "after" hold within a ms."""
        self._last_stamp = max(at_ms, self._last_stamp + 1)
        return self._last_stamp

    def add_fault(self, spec: Mapping[str, Any]) -> Fault:
        """Put a fault into the table from now on. Raises ConfigError."""
        return self.faults.add(spec, self.stamp(self.clock.now_ms()))

    def place(
        self,
        account: PaperAccount,
        ticket: Ticket,
        order_id: str,
        at_ms: int,
        effects: OrderEffects | None = None,
    ) -> AccountState:
        """Take an order, under whatever faults are in force for it. Raises BookError."""
        effects = effects or OrderEffects()
        delay_ms = effects.fill_delay_ms or self.fill_delay_ms
        terms = Terms(
            due_ms=at_ms + delay_ms if delay_ms else 0,
            fill_fraction=effects.fill_fraction,
            doomed=effects.doomed,
        )
        after = book.place(
            self.state(account, at_ms),
            self.board(account.exchange, at_ms),
            ticket,
            order_id=order_id,
            at_ms=at_ms,
            terms=terms,
        )
        return self.change(account.id, after, at_ms)

    def trade_by_hand(self, account: PaperAccount, symbol: str, size_lots: Decimal) -> AccountState:
        """A fill at the quote that no API key asked for. Raises BookError."""
        at_ms = self.clock.now_ms()
        state = self.state(account, at_ms)
        ticket = Ticket(symbol=symbol, size_lots=size_lots, origin=Origin.MANUAL)
        order_id = f"manual-{account.name}-{state.sequence + 1}"
        board = self.board(account.exchange, at_ms)
        after = book.place(state, board, ticket, order_id=order_id, at_ms=at_ms)
        return self.change(account.id, after, at_ms)

    def liquidate(self, account: PaperAccount, symbol: str | None = None) -> AccountState:
        """Take positions away at mark, all or one symbol's, as a venue does when margin is gone."""
        at_ms = self.clock.now_ms()
        state = self.state(account, at_ms)
        rows = [row for row in state.positions.values() if symbol in {None, row.symbol}]
        board = self.board(account.exchange, at_ms)
        after = liquidate(state, board, rows, at_ms) if rows else state
        return self.change(account.id, after, at_ms)

    def deposit(self, account: PaperAccount, amount_usdt: Decimal) -> AccountState:
        """Add to a wallet (< 0: take out)."""
        at_ms = self.clock.now_ms()
        after = book.deposit(self.state(account, at_ms), amount_usdt)
        return self.change(account.id, after, at_ms)

    def open_account(
        self, account: PaperAccount, balance_usdt: Decimal | None = None
    ) -> AccountState:
        """Register a key; a new account starts with that balance, a known one keeps its own."""
        self.doorkeeper.register(account)
        at_ms = self.clock.now_ms()
        if account.id not in self.states:
            fresh = self._fresh(account, at_ms, balance_usdt)
            return self.change(account.id, fresh, at_ms)
        return self.state(account, at_ms)

    def tick(self) -> None:
        """Let time pass for every account that has something open."""
        at_ms = self.clock.now_ms()
        for account_id, state in list(self.states.items()):
            venue = venue_of(account_id)
            if venue in self.instruments and (state.positions or state.open_orders()):
                board = self.board(venue, at_ms)
                self.change(account_id, book.advance(state, board, at_ms), at_ms)

    def _fresh(
        self, account: PaperAccount, at_ms: int, balance_usdt: Decimal | None = None
    ) -> AccountState:
        mode = self.start_margin_modes.get(account.exchange)
        return AccountState(
            wallet_usdt=self.start_balance_usdt if balance_usdt is None else balance_usdt,
            margin_modes={} if mode is None else {EVERY_SYMBOL: mode},
            funded_until_ms=at_ms,
        )
