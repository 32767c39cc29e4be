"""Requests and round trips of the real engine on the real protocols, counted on virtual time.

Every request takes one round trip. It is short beside the two seconds after which an order counts
as unanswered: those run from when a chunk of orders leaves, also for one that waits for a slot.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from decimal import Decimal
from fnmatch import fnmatch
from math import ceil
from pathlib import Path
from typing import Any

import pytest

from account_processors import venue_profiles
from account_processors.transport.profile import Profile
from paper_exchange.wires import find_wires
from tests.engine.in_process import Travel
from tests.engine.in_process_house import House
from tests.venues import WORDS, exchanges
from tests.virtual_time import run_virtually

ROUND_TRIP_S = 0.2
SLACK_S = ROUND_TRIP_S / 4  # journals, and the millisecond between an answer and the next read
SLOTS = 10  # requests with orders that one account has on the wire at once
VENUES = tuple(v for v in exchanges() if v in find_wires())
COMMON = sorted(set.intersection(*(set(find_wires()[v].instruments) for v in VENUES)))
SYMBOLS = tuple(COMMON[:20])
ALL_VENUES = {venue: venue for venue in VENUES}
FOUR_OF_ONE = [{f"{venue}{n}": venue for n in range(4)} for venue in VENUES]
FOUR_ACCOUNTS = pytest.mark.parametrize(
    "accounts",
    [ALL_VENUES, *FOUR_OF_ONE],
    ids=["one of each venue", *(f"four of {venue}" for venue in VENUES)],
)

ONE_VENUE = pytest.mark.parametrize("venue", VENUES)

Story = Callable[[House], Coroutine[Any, Any, None]]


def play(tmp_path: Path, accounts: Mapping[str, str], story: Story, **house: Any) -> None:
    """Let every account hold 5 % of each symbol, then play."""

    async def played() -> None:
        given = {"round_trip_s": ROUND_TRIP_S, "has_budgets": False, "symbols": SYMBOLS, **house}
        here = House(tmp_path, accounts, **given)
        here.start()
        here.want(**dict.fromkeys(here.symbols, "0.05"))
        await here.settled()
        await asyncio.sleep(15)  # beyond the read that follows the last fills
        here.forget()
        await story(here)
        await here.stop()

    run_virtually(played())


def round_trips(began_s: float, ended_s: float) -> int:
    """Whole round trips between two moments; what is left over must be next to nothing."""
    trips, rest_s = divmod(ended_s - began_s + 1e-9, ROUND_TRIP_S)
    assert rest_s < SLACK_S, f"{trips} round trips and {rest_s} s of something else"
    return int(trips)


def is_order(travel: Travel, venue: str) -> bool:
    doors = [door for door in (WORDS[venue].create, WORDS[venue].batch) if door is not None]
    path = travel.path.removeprefix(f"/{venue}")
    return any(door.method == travel.method and door.path == path for door in doors)


def is_look_up(travel: Travel, venue: str) -> bool:
    doors = WORDS[venue].look_up
    path = travel.path.removeprefix(f"/{venue}")
    return any(d.method == travel.method and fnmatch(path, d.path) for d in doors)


def order_trips(here: House, account: str, began_s: float) -> int:
    """Round trips from a moment until the last order was answered."""
    venue = here.accounts[account].exchange
    ends = [t.answered_s for t in here.travels(account) if is_order(t, venue)]
    assert ends
    assert None not in ends
    return round_trips(began_s, max(end for end in ends if end is not None))


def waves(profile: Profile, orders: int) -> int:
    """How many round trips so many orders take; batches of one symbol are no batches here."""
    has_batch = profile.batch_size > 1 and not profile.batches_one_symbol
    return 1 if has_batch else ceil(orders / SLOTS)


async def change_all(here: House, exposure: str) -> float:
    """Change every symbol at once and wait until it is verified; gives when."""
    began_s = asyncio.get_running_loop().time()
    here.want(**dict.fromkeys(here.symbols, exposure))
    await here.settled()
    return began_s


@FOUR_ACCOUNTS
@pytest.mark.parametrize("exposure", ["0.07", "0.03", "0"], ids=["add", "reduce", "close"])
def test_four_accounts_change_twenty_symbols_with_as_few_requests_and_round_trips_as_promised(
    accounts: Mapping[str, str], exposure: str, tmp_path: Path
) -> None:
    async def story(here: House) -> None:
        began_s = await change_all(here, exposure)
        orders = sum(len(here.orders(name)) for name in accounts)

        assert orders == len(accounts) * len(SYMBOLS)
        assert len(here.travels()) <= orders + 3 * len(accounts) + len(set(accounts.values()))
        for name, venue in accounts.items():
            trips = order_trips(here, name, began_s)
            assert trips == 1 + waves(venue_profiles()[venue], len(SYMBOLS)), name

    play(tmp_path, accounts, story)


@FOUR_ACCOUNTS
def test_a_flip_takes_two_round_trips_more_and_the_second_half_of_its_orders(
    accounts: Mapping[str, str], tmp_path: Path
) -> None:
    async def story(here: House) -> None:
        began_s = await change_all(here, "-0.05")
        orders = sum(len(here.orders(name)) for name in accounts)

        assert orders == 2 * len(accounts) * len(SYMBOLS)
        assert len(here.travels()) <= orders + 4 * len(accounts) + len(set(accounts.values()))
        for name, venue in accounts.items():
            of_each_half = waves(venue_profiles()[venue], len(SYMBOLS))
            assert order_trips(here, name, began_s) == 1 + of_each_half + 1 + of_each_half, name

    play(tmp_path, accounts, story)


@ONE_VENUE
@pytest.mark.parametrize("exposure", ["0.07", "0.03", "-0.05"], ids=["add", "reduce", "flip"])
def test_orders_that_wait_for_the_rate_budget_are_not_looked_up_as_if_unanswered(
    venue: str, exposure: str, tmp_path: Path
) -> None:
    async def story(here: House) -> None:
        await asyncio.sleep(30)  # what the first orders used of the budgets is free again
        here.forget()
        await change_all(here, exposure)
        orders = len(here.orders(venue))
        is_flip = Decimal(exposure) < 0

        assert orders == len(SYMBOLS) * (2 if is_flip else 1)
        assert not any(is_look_up(travel, venue) for travel in here.travels(venue))

    play(tmp_path, {venue: venue}, story, has_budgets=True)


@ONE_VENUE
def test_one_symbol_flips_in_four_round_trips(venue: str, tmp_path: Path) -> None:
    async def story(here: House) -> None:
        began_s = asyncio.get_running_loop().time()
        here.want(BTCUSDT="-0.05")
        await here.settled()

        assert order_trips(here, venue, began_s) == 4

    play(tmp_path, {venue: venue}, story)


@FOUR_ACCOUNTS
@pytest.mark.parametrize("count", [1, SLOTS, 2 * SLOTS])
def test_another_leverage_takes_one_round_trip_more_for_each_ten_symbols(
    accounts: Mapping[str, str], count: int, tmp_path: Path
) -> None:
    async def story(here: House) -> None:
        here.gear(5)
        began_s = await change_all(here, "0.07")
        orders = sum(len(here.orders(name)) for name in accounts)
        changes = sum(len(settings_of(here, name)) for name in accounts)
        reads = 3 * len(accounts) + len(set(accounts.values()))

        assert orders == len(accounts) * count
        assert len(here.travels()) <= orders + changes + reads
        for name, venue in accounts.items():
            own = len(settings_of(here, name))
            more = ceil(count / SLOTS) if own else 0
            assert own or WORDS[venue].orders_bear_leverage, name
            assert order_trips(here, name, began_s) == 1 + more + waves(
                venue_profiles()[venue], count
            ), name

    play(tmp_path, accounts, story, symbols=SYMBOLS[:count])


@ONE_VENUE
@pytest.mark.parametrize("read", ["under way", "hung"])
def test_the_verifying_read_delays_no_alert_that_comes_meanwhile(
    venue: str, read: str, tmp_path: Path
) -> None:
    async def story(here: House) -> None:
        here.want(BTCUSDT="0.07")
        await asyncio.sleep(2 * ROUND_TRIP_S + SLACK_S)  # the order is answered, the read began
        assert here.held(venue, "BTCUSDT") == here.want_lots(venue, "BTCUSDT")
        if read == "hung":
            hang_positions(here, venue)
        here.forget()
        began_s = asyncio.get_running_loop().time()
        here.want(ETHUSDT="0.07")
        await here.settled()

        assert order_trips(here, venue, began_s) == 2

    play(tmp_path, {venue: venue}, story)


@ONE_VENUE
def test_the_read_that_follows_the_last_fills_delays_no_alert_either(
    venue: str, tmp_path: Path
) -> None:
    async def story(here: House) -> None:
        here.want(BTCUSDT="0.07")
        await here.settled()
        here.forget()
        await here.until(lambda: here.travels(venue))  # in ten seconds
        hang_positions(here, venue)
        here.forget()
        began_s = asyncio.get_running_loop().time()
        here.want(ETHUSDT="0.07")
        await here.settled()

        assert order_trips(here, venue, began_s) == 2

    play(tmp_path, {venue: venue}, story)


@ONE_VENUE
@pytest.mark.parametrize("trouble", ["hung", "erroring", "in maintenance"])
def test_b7_b20_one_venue_in_trouble_costs_the_others_no_round_trip(
    venue: str, trouble: str, tmp_path: Path
) -> None:
    async def story(here: House) -> None:
        others = [name for name in here.accounts if name != venue]
        began_s = asyncio.get_running_loop().time()
        here.want(**dict.fromkeys(SYMBOLS, "0.07"))
        await here.settled()
        usual = {name: order_trips(here, name, began_s) for name in others}
        TROUBLES[trouble](here, venue)
        await asyncio.sleep(100)  # so long that it is known to be in trouble
        here.forget()
        began_s = asyncio.get_running_loop().time()
        here.want(**dict.fromkeys(SYMBOLS, "0.05"))
        await here.settled(*others)

        assert {name: order_trips(here, name, began_s) for name in others} == usual
        assert here.orders(venue) == []

    play(tmp_path, ALL_VENUES, story)


def settings_of(here: House, account: str) -> list[Travel]:
    venue = here.accounts[account].exchange
    door = WORDS[venue].leverage
    return [t for t in here.travels(account) if t.path == f"/{venue}{door.path}"]


def hang_positions(here: House, venue: str) -> None:
    here.server.add_fault(
        "latency", ms=8000, count=1, account=venue, **WORDS[venue].positions.fault
    )


def hang(here: House, venue: str) -> None:
    usual = here.session.latency
    here.session.latency = lambda path: 1e6 if path.startswith(f"/{venue}/") else usual(path)


def fail(here: House, venue: str) -> None:
    break_all(here, venue, "http", status=502)


def maintain(here: House, venue: str) -> None:
    break_all(here, venue, "maintenance")


def break_all(here: House, venue: str, kind: str, **spec: Any) -> None:
    here.server.add_fault(kind, account=venue, **spec)
    words = WORDS[venue]
    for door in (words.tickers, words.instruments, words.time):
        here.server.add_fault(kind, account="", **door.fault, **spec)


TROUBLES = {"hung": hang, "erroring": fail, "in maintenance": maintain}
