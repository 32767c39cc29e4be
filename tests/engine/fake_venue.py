"""A venue behind the `Venue` and `Market` ports that lies, dawdles and loses replies on demand.

It keeps one true position and checks, at every fill, what the planner and the journal promise:
nothing is bought twice, nothing crosses zero, every reduction is reduce-only.
"""

import asyncio
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from core.errors import (
    NotPlacedError,
    RateLimitedError,
    RejectedError,
    TradeEngineError,
    TransientError,
    UnknownOutcomeError,
)
from core.model import (
    ZERO,
    AccountMode,
    Equity,
    Instrument,
    KeyFacts,
    OrderRequest,
    OrderState,
    OrderStatus,
    PlacedOrder,
    Position,
    PositionsRead,
    Ticker,
)
from core.ports import MayGo, SendKind, nothing_against
from tests.virtual_time import VirtualClock

INSTRUMENT = Instrument(
    symbol="BTCUSDT",
    step_lots=Decimal("0.001"),
    min_lots=Decimal("0.001"),
    max_market_lots=Decimal(100),
    min_notional_usdt=Decimal(5),
    contract_size=Decimal(1),
    tick_size=Decimal("0.1"),
    max_leverage=Decimal(100),
    leverage_step=Decimal("0.01"),
)
MARK = Decimal(50000)


@dataclass(slots=True)
class Faults:
    """How likely each misfortune is, 0..1; all zero = an honest venue."""

    read_fails: float = 0
    stale_read: float = 0
    lost_reply: float = 0  # the order may or may not be executed, late
    late_fill: float = 0
    partial_fill: float = 0
    rejected: float = 0
    rejection_kinds: tuple[str, ...] = ("margin", "price", "other")
    not_placed: float = 0
    look_up_fails: float = 0
    max_latency_s: float = 0.05
    max_fill_delay_s: float = 4.0

    def stop(self) -> None:
        self.read_fails = self.stale_read = self.lost_reply = self.late_fill = 0
        self.partial_fill = self.rejected = self.not_placed = self.look_up_fails = 0


@dataclass(slots=True)
class Fill:
    at_ms: int
    client_id: str  # "" = not ours
    size_lots: Decimal
    before: Decimal
    reduce_only: bool


@dataclass
class FakeVenue:
    """One account with any number of symbols at one price."""

    clock: VirtualClock
    rng: random.Random
    faults: Faults = field(default_factory=Faults)
    equity_usdt: Decimal = Decimal(1_000_000)
    unrealized_pnl_usdt: Decimal | None = ZERO  # within the equity
    most_at_once: int = 10
    held: dict[str, Decimal] = field(default_factory=dict)
    orders: dict[str, OrderState] = field(default_factory=dict)
    fills: list[Fill] = field(default_factory=list)
    fill_symbols: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    placed: list[OrderRequest] = field(default_factory=list)
    history: dict[str, list[tuple[int, Decimal]]] = field(default_factory=dict)
    on_fill: Callable[[str, Fill], None] = lambda _s, _f: None
    leverage: dict[str, Decimal] = field(default_factory=dict)
    symbols: tuple[str, ...] = ("BTCUSDT",)
    is_hedged: bool = False
    holds_sides: bool = False  # hedge mode is supported: long and short are held side by side
    sides: dict[tuple[str, str], Decimal] = field(default_factory=dict)  # then `held` is the net
    margin_mode: str | None = "cross"  # the account's; None = each symbol has its own
    margin_modes: dict[str, str] = field(default_factory=dict)
    keeps_margin_mode: bool = False  # takes a change and does nothing
    keeps_leverage_held: bool = False  # refuses another leverage while something is held
    connect_error: TradeEngineError | None = None
    hangs: bool = False
    background: set[asyncio.Task[None]] = field(default_factory=set)

    # --- the Market port
    async def fetch_instruments(self) -> Mapping[str, Instrument]:
        await self._travel("instruments")
        return {s: replace(INSTRUMENT, symbol=s) for s in self.symbols}

    async def fetch_tickers(self, symbols: Collection[str]) -> Mapping[str, Ticker]:
        await self._travel("tickers")
        self._perhaps_fail()
        at_ms = self.clock.now_ms()
        return {
            s: Ticker(
                symbol=s,
                mark_price=MARK,
                last_price=MARK,
                bid_price=MARK - 1,
                ask_price=MARK + 1,
                read_at_ms=at_ms,
            )
            for s in symbols
            if s in self.symbols
        }

    # --- the Venue port
    async def connect(self) -> AccountMode:
        await self._travel("connect")
        if self.connect_error is not None:
            raise self.connect_error
        is_refused = self.is_hedged and not self.holds_sides
        return AccountMode(
            margin_mode=self.margin_mode,
            is_hedged=self.is_hedged,
            refusal="the account is in hedge mode" if is_refused else "",
        )

    async def fetch_key_facts(self) -> KeyFacts:
        await self._travel("key_facts")
        return KeyFacts(can_read=True, can_trade=True, can_withdraw=False)

    async def fetch_equity(self) -> Equity:
        await self._travel("equity")
        self._perhaps_fail()
        used = sum((abs(x) * MARK / 10 for x in self.held.values()), ZERO)
        return Equity(
            equity_usdt=self.equity_usdt,
            free_margin_usdt=self.equity_usdt - used,
            used_margin_usdt=used,
            unrealized_pnl_usdt=self.unrealized_pnl_usdt,
        )

    async def fetch_positions(self) -> PositionsRead:
        began = self.clock.now_ms()
        await self._travel("positions")
        self._perhaps_fail()
        if self._happens(self.faults.stale_read):
            back_ms = self.rng.randrange(100, 8_000)
            held = {s: self._held_at(s, began - back_ms) for s in self.held}
        else:
            held = dict(self.held)
        both = self._both_sides()
        rows = {
            s: Position(
                symbol=s,
                size_lots=lots,
                leverage=self.leverage.get(s),
                margin_mode=self._margin_mode_of(s) if self.margin_mode is None else None,
            )
            for s, lots in held.items()
            if lots and s not in both
        }
        return PositionsRead(
            began_at_ms=began, positions=rows, unreadable=frozenset(both), both_sides=both
        )

    async def fetch_order(self, symbol: str, client_id: str) -> OrderState | None:
        await self._travel("order")
        if self._happens(self.faults.look_up_fails):
            raise TransientError("look-up failed")
        return self.orders.get(client_id)

    async def fetch_open_orders(self) -> Sequence[OrderState]:
        await self._travel("open_orders")
        return [o for o in self.orders.values() if not o.is_terminal]

    async def fetch_recent_orders(self, symbol: str) -> Sequence[OrderState]:
        await self._travel("recent_orders")
        if self._happens(self.faults.look_up_fails):
            raise TransientError("look-up failed")
        return [o for o in reversed(self.orders.values()) if o.symbol == symbol][:50]

    async def wait_turn(self, kind: SendKind, count: int) -> None:
        await asyncio.sleep(0)

    def orders_at_once(self, kind: SendKind) -> int:
        return self.most_at_once

    async def place_orders(
        self, orders: Sequence[OrderRequest], *, may_go: MayGo = nothing_against
    ) -> tuple[PlacedOrder | TradeEngineError, ...]:
        if against := [why for why in map(may_go, orders) if why]:
            return tuple(NotPlacedError(against[0]) for _ in orders)
        if self.hangs:
            await asyncio.sleep(10_000)
        return tuple(await asyncio.gather(*(self._place(o) for o in orders)))

    async def cancel_order(self, symbol: str, client_id: str) -> None:
        await self._travel("cancel")

    async def set_leverage(self, symbol: str, leverage: Decimal) -> None:
        await self._travel("leverage")
        if self._happens(self.faults.rejected):
            raise UnknownOutcomeError("set-leverage lost")
        if self.keeps_leverage_held and self.held.get(symbol):
            raise RejectedError("not while a position is held", kind="mode")
        self.leverage[symbol] = leverage

    async def set_margin_mode(self, symbol: str, margin_mode: str) -> None:
        await self._travel("margin_mode")
        in_force = self.margin_mode or self._margin_mode_of(symbol)
        held = self.held.values() if self.margin_mode else [self.held.get(symbol)]
        if margin_mode != in_force and any(held):
            raise RejectedError("not while a position is held", kind="mode")
        if self.keeps_margin_mode:
            return
        if self.margin_mode is None:
            self.margin_modes[symbol] = margin_mode
        else:
            self.margin_mode = margin_mode

    def deadline_ms(self) -> int:
        return 20_000

    async def close(self) -> None:
        return None

    # --- what others do
    def trade_by_hand(self, symbol: str, size: Decimal) -> None:
        if self.is_hedged:
            self._move_side(symbol, "long" if size > 0 else "short", size)
        self._move(symbol, size, "", reduce_only=False)

    def close_side_by_hand(self, symbol: str, side: str) -> None:
        size = -self.sides.get((symbol, side), ZERO)
        self._move_side(symbol, side, size)
        self._move(symbol, size, "", reduce_only=True)

    async def settle(self) -> None:
        """Wait until every order in flight has happened or not."""
        while self.background:
            await asyncio.wait(set(self.background))

    # --- inside
    async def _place(self, order: OrderRequest) -> PlacedOrder | TradeEngineError:
        self.placed.append(order)
        await self._travel("place")
        if self._happens(self.faults.not_placed):
            return self.rng.choice([RateLimitedError("429"), NotPlacedError("clock")])
        if self._happens(self.faults.rejected):
            return RejectedError("no margin", kind=self.rng.choice(self.faults.rejection_kinds))
        if order.client_id in self.orders:
            return RejectedError("duplicate", kind="duplicate_id")
        if self._happens(self.faults.lost_reply):
            if self._happens(0.7):
                self._execute_later(order)
            await asyncio.sleep(self.rng.choice([0.1, 1.0, 10.0]))
            return UnknownOutcomeError("no answer")
        if self._happens(self.faults.late_fill):
            self._execute_later(order)
        else:
            refused = self._execute(order)
            if refused is not None:
                return refused
        return PlacedOrder(client_id=order.client_id, order_id=f"v{len(self.placed)}")

    def _execute_later(self, order: OrderRequest) -> None:
        if order.client_id not in self.orders and self._happens(0.5):
            self._note(order, ZERO, OrderStatus.OPEN)

        async def later() -> None:
            await asyncio.sleep(self.rng.uniform(0, self.faults.max_fill_delay_s))
            self._execute(order)

        task = asyncio.ensure_future(later())
        self.background.add(task)
        task.add_done_callback(self.background.discard)

    def _execute(self, order: OrderRequest) -> RejectedError | None:
        size = order.size_lots
        side = "long" if (size > 0) is not order.reduce_only else "short"
        held = self.held.get(order.symbol, ZERO)
        if self.is_hedged:
            held = self.sides.get((order.symbol, side), ZERO)
        if order.margin_mode not in (None, self.margin_mode or self._margin_mode_of(order.symbol)):
            self._note(order, ZERO, OrderStatus.REJECTED)
            return RejectedError("the symbol has another margin mode", kind="mode")
        if order.reduce_only:
            if held * size >= 0:
                self._note(order, ZERO, OrderStatus.REJECTED)
                return RejectedError("nothing to reduce", kind="nothing_to_reduce")
            size = min(abs(size), abs(held)).copy_sign(size)
        if self._happens(self.faults.partial_fill):
            steps = int(abs(size) / INSTRUMENT.step_lots)
            size = (INSTRUMENT.step_lots * self.rng.randint(0, steps)).copy_sign(size)
        if self.is_hedged:
            self._move_side(order.symbol, side, size)
        self._move(order.symbol, size, order.client_id, reduce_only=order.reduce_only)
        whole = size == order.size_lots
        self._note(order, size, OrderStatus.FILLED if whole else OrderStatus.CANCELED)
        return None

    def _note(self, order: OrderRequest, filled: Decimal, status: OrderStatus) -> None:
        self.orders[order.client_id] = OrderState(
            client_id=order.client_id,
            order_id="v",
            symbol=order.symbol,
            size_lots=order.size_lots,
            filled_lots=filled,
            status=status,
            reduce_only=order.reduce_only,
        )

    def _move(self, symbol: str, size: Decimal, client_id: str, *, reduce_only: bool) -> None:
        before = self.held.get(symbol, ZERO)
        now = self.clock.now_ms()
        fill = Fill(now, client_id, size, before, reduce_only)
        self.history.setdefault(symbol, [(0, ZERO)]).append((now, before + size))
        self.held[symbol] = before + size
        if size:
            self.fills.append(fill)
            self.fill_symbols.append(symbol)
            self.on_fill(symbol, fill)

    def _move_side(self, symbol: str, side: str, size: Decimal) -> None:
        self.sides[symbol, side] = self.sides.get((symbol, side), ZERO) + size

    def _both_sides(self) -> dict[str, tuple[Decimal, Decimal]]:
        pairs = {
            s: (self.sides.get((s, "long"), ZERO), self.sides.get((s, "short"), ZERO))
            for s, _ in self.sides
        }
        return {s: pair for s, pair in pairs.items() if all(pair)}

    def _margin_mode_of(self, symbol: str) -> str:
        return self.margin_modes.get(symbol, "isolated")

    def _held_at(self, symbol: str, at_ms: int) -> Decimal:
        return next((lots for at, lots in reversed(self.history[symbol]) if at <= at_ms), ZERO)

    async def _travel(self, what: str) -> None:
        self.requests.append(what)
        await asyncio.sleep(self.rng.uniform(0.001, self.faults.max_latency_s))

    def _perhaps_fail(self) -> None:
        if self._happens(self.faults.read_fails):
            raise TransientError("read failed")

    def _happens(self, likelihood: float) -> bool:
        return self.rng.random() < likelihood
