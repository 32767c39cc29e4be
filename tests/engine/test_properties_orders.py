"""Without faults every venue gets exactly the orders of the plan, splits included, and no more."""

import tempfile
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.model import ZERO, Order
from core.planner import Gap, plan
from core.sizing import minimum_lots, toward_zero
from paper_exchange.wires import find_wires
from tests.engine.in_process_house import House
from tests.engine.in_process_judge import Judge
from tests.venues import exchanges
from tests.virtual_time import run_virtually

ME = "main"
VENUES = tuple(v for v in exchanges() if v in find_wires())
SYMBOLS = ("BTCUSDT", "DOGEUSDT", "SOLUSDT")
MAX_ORDER_SHARE = Decimal("0.25")
EXPOSURES = st.one_of(st.just(ZERO), st.decimals("-0.9", "0.9", places=4))
ROUNDS = st.lists(st.fixed_dictionaries(dict.fromkeys(SYMBOLS, EXPOSURES)), min_size=1, max_size=4)


def planned(here: House, symbol: str, held: Decimal, equity_usdt: Decimal) -> list[Decimal]:
    """Sizes of the orders that lead from held to wanted, the second half of a flip included."""
    instrument = here.desks[ME].market.last_instruments()[symbol]
    price = here.desks[ME].market.last_price(symbol)
    assert price is not None
    share = equity_usdt * MAX_ORDER_SHARE / (price * instrument.contract_size)
    wanted, sizes = here.want_lots(ME, symbol), list[Decimal]()
    for _ in range(2):
        gap = Gap(
            wanted_lots=wanted,
            held_lots=held,
            instrument=instrument,
            price=price,
            max_increase_lots=max(
                toward_zero(share, instrument.step_lots), minimum_lots(instrument, price)
            ),
        )
        orders = [action for action in plan(gap).actions if isinstance(action, Order)]
        sizes += [order.size_lots for order in orders]
        held += sum((order.size_lots for order in orders), ZERO)
    return sizes


async def play(here: House, rounds: list[dict[str, Decimal]]) -> None:
    judge = Judge(here)
    here.start()
    for exposures in rounds:
        before = {symbol: here.held(ME, symbol) for symbol in SYMBOLS}
        equity = Decimal(here.server.truth(ME)["equity_usdt"])
        here.forget()
        here.want(**exposures)
        await here.settled()
        sent = here.orders(ME)

        for symbol in SYMBOLS:
            wire = [order.size_lots for order in sent if order.symbol == symbol]
            assert sorted(wire) == sorted(planned(here, symbol, before[symbol], equity))
        here.forget()
        here.offer()
        await here.settled()
        assert here.orders(ME) == [], "the same inputs again"
    assert not judge.broken


@pytest.mark.parametrize("venue", VENUES)
def test_without_faults_the_orders_are_those_of_the_plan(venue: str) -> None:
    @settings(max_examples=25)
    @given(rounds=ROUNDS)
    def holds(rounds: list[dict[str, Decimal]]) -> None:
        async def story(folder: Path) -> None:
            here = House(folder, {ME: venue}, SYMBOLS)
            await play(here, rounds)
            await here.stop()

        with tempfile.TemporaryDirectory() as folder:
            run_virtually(story(Path(folder)))

    holds()
