"""The planner against the paper book, no I/O between: every venue's instruments, many times.

Nothing that is planned crosses zero, grows beyond held and wanted, or is refused by the book; a few
plans end on the target, and the next one is empty.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from core.model import ZERO, Instrument, Order
from core.planner import Gap, plan, within_dead_band
from core.sizing import minimum_lots, size_target, split_lots, toward_zero
from paper_exchange import book, margin
from paper_exchange.account import AccountState
from paper_exchange.instruments import PaperInstrument
from paper_exchange.orders import ONE, BookError, Reason, Terms, Ticket, TimeInForce
from paper_exchange.prices import Board, FixedPrices
from paper_exchange.wires import find_wires

LISTED = [
    row
    for wire in find_wires().values()
    for row in wire.instruments.values()
    if row.status == "Trading"
]
MOST_PASSES = 5
MAX_ORDER_SHARE = Decimal("0.25")
COLLAR = Decimal("0.005")

EXPOSURES = st.one_of(
    st.just(ZERO),
    st.decimals("-0.9", "0.9", places=4),
    st.decimals("-0.002", "0.002", places=7),  # about the smallest order
)
BALANCES = st.sampled_from([Decimal(b) for b in ("300", "10000", "100000", "5000000")])


@dataclass(frozen=True, kw_only=True)
class Step:
    """One target, what the price did meanwhile, and how badly its first orders fare."""

    exposure: Decimal
    moved: int  # basis points
    at_market: bool
    misfortunes: Sequence[str]  # of the first orders: a share that fills, or a refusal


STEPS = st.builds(
    Step,
    exposure=EXPOSURES,
    moved=st.integers(-300, 300),
    at_market=st.booleans(),
    misfortunes=st.lists(st.sampled_from(["0", "0.3", "0.77", "refused"]), max_size=4),
)


def as_planned_with(row: PaperInstrument) -> Instrument:
    return Instrument(
        symbol=row.symbol,
        step_lots=row.step_lots,
        min_lots=row.min_lots,
        max_market_lots=row.max_market_lots,
        min_notional_usdt=row.min_notional_usdt,
        contract_size=row.contract_size,
        tick_size=row.tick_size,
        max_leverage=row.max_leverage,
        leverage_step=row.leverage_step,
    )


@dataclass
class Account:
    """One account of the book with one symbol."""

    row: PaperInstrument
    balance: Decimal
    price: Decimal = ZERO
    number: int = 0
    refusals: set[Reason] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.price = self.row.reference_price
        self.state = AccountState(wallet_usdt=self.balance)
        self.instrument = as_planned_with(self.row)

    @property
    def board(self) -> Board:
        prices = FixedPrices(prices={self.row.symbol: self.price})
        return Board({self.row.symbol: self.row}, prices, self.number)

    @property
    def mark(self) -> Decimal:
        return self.board[self.row.symbol].mark

    @property
    def held(self) -> Decimal:
        return self.state.size_lots(self.row.symbol)

    def move(self, basis_points: int) -> None:
        self.price = self.price * (10_000 + basis_points) / 10_000
        self.state = book.advance(self.state, self.board, self.number)

    def lots_for(self, exposure: Decimal) -> Decimal:
        equity = margin.equity(self.state, self.board)
        return size_target(exposure, equity, self.mark, self.instrument).lots

    def gap_to(self, wanted: Decimal, *, at_market: bool) -> Gap:
        equity = margin.equity(self.state, self.board)
        share = equity * MAX_ORDER_SHARE / (self.mark * self.row.contract_size)
        least = minimum_lots(self.instrument, self.mark)
        return Gap(
            wanted_lots=wanted,
            held_lots=self.held,
            instrument=self.instrument,
            price=self.mark,
            increase_collar=None if at_market else COLLAR,
            reduce_collar=None if at_market else COLLAR,
            max_increase_lots=max(toward_zero(share, self.row.step_lots), least),
        )

    def send(self, order: Order, misfortune: str) -> None:
        """Place one order, judged on its way."""
        self.number += 1
        if misfortune == "refused":
            return
        ticket = Ticket(
            symbol=order.symbol,
            size_lots=order.size_lots,
            client_id=f"c{self.number}",
            reduce_only=order.reduce_only,
            limit_price=order.limit_price,
            time_in_force=TimeInForce.IOC,
        )
        fraction = Decimal(misfortune) if misfortune else ONE
        try:
            self.state = book.place(
                self.state,
                self.board,
                ticket,
                order_id=f"o{self.number}",
                at_ms=self.number,
                terms=Terms(fill_fraction=fraction),
            )
        except BookError as error:
            self.refusals.add(error.reason)

    def work_towards(self, wanted: Decimal, step: Step) -> int:
        """Plan and send until nothing is left to do; gives the plans made without misfortune."""
        misfortunes = list(step.misfortunes)
        undisturbed = 0
        for _ in range(len(misfortunes) + MOST_PASSES + 1):
            gap = self.gap_to(wanted, at_market=step.at_market)
            made = plan(gap)
            if not made.actions:
                return undisturbed
            undisturbed += not misfortunes
            judge(gap, [action for action in made.actions if isinstance(action, Order)])
            before = self.held
            for action in made.actions:
                if isinstance(action, Order):
                    self.send(action, misfortunes.pop(0) if misfortunes else "")
            assert before * self.held >= 0, "crossed zero"
            assert abs(self.held) <= max(abs(before), abs(wanted))
        return undisturbed


def judge(gap: Gap, orders: Sequence[Order]) -> None:
    """Every plan, whatever becomes of it."""
    held, wanted = gap.held_lots, gap.wanted_lots
    reduces = held != ZERO and (held * wanted <= ZERO or abs(wanted) < abs(held))
    total = sum((order.size_lots for order in orders), ZERO)
    assert all(order.reduce_only is reduces for order in orders)
    assert all(order.size_lots * total > 0 for order in orders), "pieces in both directions"
    assert held * (held + total) >= 0, "crosses zero"
    assert abs(held + total) <= max(abs(held), abs(wanted))
    largest = gap.instrument.max_market_lots
    if not reduces and gap.max_increase_lots is not None:
        largest = min(largest or gap.max_increase_lots, gap.max_increase_lots)
    assert len(orders) == len(split_lots(total, largest, gap.instrument.step_lots))
    assert all(largest is None or abs(order.size_lots) <= largest for order in orders)


@settings(max_examples=1500)
@given(row=st.sampled_from(LISTED), balance=BALANCES, steps=st.lists(STEPS, min_size=1, max_size=5))
def test_plans_never_overshoot_are_never_refused_and_end_on_the_target(
    row: PaperInstrument, balance: Decimal, steps: list[Step]
) -> None:
    account = Account(row, balance)
    for step in steps:
        account.move(step.moved)
        wanted = account.lots_for(step.exposure)

        assert account.work_towards(wanted, step) <= MOST_PASSES
        assert not account.refusals
        gap = account.gap_to(wanted, at_market=step.at_market)
        assert not plan(gap).actions
        assert within_dead_band(gap)
