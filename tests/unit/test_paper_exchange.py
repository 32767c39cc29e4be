"""The exchange remembers the past of its accounts, and tells before from after within a ms."""

from decimal import Decimal

import pytest

from core.clock import SystemClock
from paper_exchange.accounts import Doorkeeper, PaperAccount
from paper_exchange.exchange import PaperExchange
from paper_exchange.faults import FaultTable
from paper_exchange.orders import Ticket
from paper_exchange.prices import FixedPrices
from paper_exchange.wires import find_wires

ACCOUNT = PaperAccount(name="main", exchange="bybit", api_key="K", api_secret="S")
NOW_MS = 1_700_000_000_000


class Stopped(SystemClock):
    """A clock that stands still."""

    def now_ms(self) -> int:
        """Always the same."""
        return NOW_MS


@pytest.fixture
def exchange() -> PaperExchange:
    made = PaperExchange(
        instruments={"bybit": find_wires()["bybit"].instruments},
        prices=FixedPrices(prices={}),
        clock=Stopped(),
        doorkeeper=Doorkeeper(),
        faults=FaultTable(),
    )
    made.open_account(ACCOUNT, Decimal(1000))
    return made


def buy(exchange: PaperExchange, number: int) -> None:
    ticket = Ticket(symbol="ETHUSDT", size_lots=Decimal("0.1"))
    exchange.place(ACCOUNT, ticket, f"o{number}", NOW_MS)


def test_a_view_frozen_by_a_fault_ends_at_the_fault_even_within_a_millisecond(
    exchange: PaperExchange,
) -> None:
    buy(exchange, 1)
    fault = exchange.add_fault({"kind": "stale"})
    buy(exchange, 2)
    frozen = exchange.state_at(ACCOUNT, fault.added_ms, NOW_MS)

    assert frozen.size_lots("ETHUSDT") == Decimal("0.1")
    assert exchange.state(ACCOUNT, NOW_MS).size_lots("ETHUSDT") == Decimal("0.2")


def test_a_view_older_than_memory_is_the_oldest_that_is_remembered(exchange: PaperExchange) -> None:
    for number in range(300):
        ticket = Ticket(symbol="ETHUSDT", size_lots=Decimal("0.01" if number % 2 else "-0.01"))
        exchange.place(ACCOUNT, ticket, f"o{number}", NOW_MS)

    assert exchange.state_at(ACCOUNT, 0, NOW_MS).sequence > 0


def test_a_known_account_keeps_its_money_when_it_is_registered_again(
    exchange: PaperExchange,
) -> None:
    exchange.deposit(ACCOUNT, Decimal(5))

    assert exchange.open_account(ACCOUNT, Decimal(7)).wallet_usdt == 1005


def test_asking_for_the_state_changes_nothing(exchange: PaperExchange) -> None:
    changes: list[int] = []
    exchange.on_change = lambda: changes.append(1)
    exchange.state(ACCOUNT, NOW_MS)
    exchange.tick()

    assert changes == []


def test_a_tick_lets_time_pass_for_those_who_do_not_ask(exchange: PaperExchange) -> None:
    ticket = Ticket(symbol="ETHUSDT", size_lots=Decimal(2))
    exchange.place(ACCOUNT, ticket, "o1", NOW_MS)
    exchange.pins["ETHUSDT"] = Decimal(2000)
    exchange.tick()

    assert exchange.states[ACCOUNT.id].positions == {}
