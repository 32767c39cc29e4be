"""Orders on every venue: what they do, and what a refusal says."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

import pytest

from core.errors import RejectedError, UnknownOutcomeError
from core.model import OrderStatus, PlacedOrder
from paper_exchange.instruments import Instruments
from tests.contract.venue_cases import BTC, Bench, order


async def test_te01_a_market_order_opens_and_its_fill_is_told(kit: Bench) -> None:
    venue = await kit.connected()
    (placed,) = await venue.place_orders([kit.order("te01", "0.01")])
    state = await venue.fetch_order(BTC, "te01")

    assert isinstance(placed, PlacedOrder)
    assert kit.to(kit.words.create) == len(kit.sent()) == 1
    assert state is not None
    assert state.order_id == placed.order_id
    assert (state.status, state.filled_lots) == (OrderStatus.FILLED, kit.words.lots(BTC, "0.01"))
    assert kit.coins() == Decimal("0.01")


async def test_te02_adding_to_a_position_adds_up(kit: Bench) -> None:
    venue = await kit.connected()
    await kit.open(venue, "-0.01", client_id="te01")
    await venue.fetch_positions()
    await kit.open(venue, "-0.02", client_id="te02")
    read = await venue.fetch_positions()

    assert kit.coins() == Decimal("-0.03")
    assert read.size_lots(BTC) == kit.size()
    assert [one.reduce_only for one in kit.on_the_wire()] == [False, False]


async def test_te03_a14_a_reduction_is_reduce_only_on_the_wire(kit: Bench) -> None:
    venue = await kit.connected()
    await kit.open(venue, "0.03")
    await venue.place_orders([kit.order("te02", "-0.01", reduce_only=True)])
    await venue.place_orders([kit.order("te03", "-0.01", reduce_only=True, price="59000")])
    state = await venue.fetch_order(BTC, "te02")

    assert [one.reduce_only for one in kit.on_the_wire()] == [False, True, True]
    assert kit.coins() == Decimal("0.01")
    assert state is not None
    assert (state.reduce_only, state.filled_lots) == (True, kit.words.lots(BTC, "-0.01"))


@pytest.mark.parametrize("coins", ["0.02", "-0.02"], ids=["long", "short"])
async def test_te04_a3_a_close_leaves_nothing(kit: Bench, coins: str) -> None:
    venue = await kit.connected()
    await kit.open(venue, coins)
    (closed,) = await venue.place_orders(
        [replace(order("te02", reduce_only=True), size_lots=-kit.size())]
    )
    state = await venue.fetch_order(BTC, "te02")

    assert isinstance(closed, PlacedOrder)
    assert kit.size() == 0
    assert (await venue.fetch_positions()).positions == {}
    assert state is not None
    assert state.filled_lots == -kit.words.lots(BTC, coins)


@pytest.mark.parametrize("sign", [1, -1], ids=["long-to-short", "short-to-long"])
async def test_te05_a3_a_flip_closes_before_it_opens(kit: Bench, sign: int) -> None:
    venue = await kit.connected()
    await kit.open(venue, f"{sign * Decimal('0.02')}")
    too_much = f"{-sign * Decimal('0.05')}"
    (outcome,) = await venue.place_orders([kit.order("te02", too_much, reduce_only=True)])
    is_cut = isinstance(outcome, PlacedOrder)

    # more than there is crosses nothing, but not every venue closes what there is
    assert kit.coins() == (0 if is_cut else sign * Decimal("0.02"))
    kit.shows("A close of more than is held", "is cut to it" if is_cut else "is refused")
    rest = replace(order("te03", reduce_only=True), size_lots=-kit.size())
    await venue.place_orders([] if is_cut else [rest])
    assert (await venue.fetch_positions()).positions == {}
    (opened,) = await venue.place_orders([kit.order("te04", f"{-sign * Decimal('0.03')}")])
    assert isinstance(opened, PlacedOrder)
    assert kit.coins() == -sign * Decimal("0.03")
    *closes, last = kit.on_the_wire()[1:]
    assert {one.reduce_only for one in closes} == {True}
    assert not last.reduce_only


async def test_te06_a16_below_the_minimum_nothing_is_bought(kit: Bench) -> None:
    venue = await kit.connected()
    step = (await kit.market.fetch_instruments())[BTC].step_lots
    sizes = {"te01": step / 2, "te02": step + step / 2}
    found = await venue.place_orders([order(name, f"{lots:f}") for name, lots in sizes.items()])
    listed = await kit.market.fetch_instruments()
    prices = await kit.market.fetch_tickers(listed)
    small = [
        one
        for one in listed.values()
        if one.min_lots * one.contract_size * prices[one.symbol].mark_price < one.min_notional_usdt
    ]
    for one in small[:1]:
        smallest = f"{one.min_lots:f}"
        found += await venue.place_orders([order("te03", smallest, symbol=one.symbol)])

    assert {type(one) for one in found} == {RejectedError}
    assert {one.kind for one in found if isinstance(one, RejectedError)} == {"size"}
    assert kit.state().positions == {}
    assert len(kit.on_the_wire()) == len(small[:1])  # off the step is not even sent


async def test_te07_an_order_above_the_largest_is_refused(kit: Bench) -> None:
    venue = await kit.connected()
    instrument = (await kit.market.fetch_instruments())[BTC]
    assert instrument.max_market_lots is not None  # the planner splits what is larger
    lots = instrument.max_market_lots + instrument.step_lots
    (outcome,) = await venue.place_orders([order("te01", f"{lots:f}")])

    assert isinstance(outcome, RejectedError)
    assert kit.size() == 0


async def test_te08_a22_b14_a_limit_order_is_immediate_or_cancel_and_exact(kit: Bench) -> None:
    venue = await kit.connected()
    step = Decimal("0.12") - Decimal("0.10")
    await venue.place_orders([kit.order("te01", "0.01", price="59500")])
    await venue.place_orders([kit.order("te02", f"{step:f}", price="60300.5")])
    state = await venue.fetch_order(BTC, "te01")

    assert state is not None
    assert state.is_terminal
    assert state.filled_lots == 0
    assert await venue.fetch_open_orders() == []
    assert kit.coins() == step
    assert [(one.price, one.time_in_force) for one in kit.on_the_wire()] == [
        (Decimal(59500), "IOC"),
        (Decimal("60300.5"), "IOC"),
    ]
    assert kit.on_the_wire()[1].size_lots == kit.words.lots(BTC, "0.02")


async def test_te09_a_partial_fill_is_told_and_final(kit: Bench) -> None:
    venue = await kit.connected()
    kit.break_orders("partial_fill", fraction="0.5")
    await venue.place_orders([kit.order("te01", "0.02")])
    state = await venue.fetch_order(BTC, "te01")

    assert state is not None
    assert (state.status, state.filled_lots) == (
        OrderStatus.CANCELED,
        kit.words.lots(BTC, "0.01"),
    )
    assert state.size_lots == kit.words.lots(BTC, "0.02")
    assert (await venue.fetch_positions()).size_lots(BTC) == kit.words.lots(BTC, "0.01")


async def test_te10_a33_an_order_refused_for_margin_says_so(kit: Bench) -> None:
    venue = await kit.connected()
    kit.impoverish()
    (outcome,) = await venue.place_orders([kit.order("te01", "0.1")])

    assert isinstance(outcome, RejectedError)
    assert outcome.kind == "margin"
    assert kit.size() == 0


async def test_te11_a_close_of_nothing_says_so(kit: Bench) -> None:
    venue = await kit.connected()
    (outcome,) = await venue.place_orders([kit.order("te01", "-0.01", reduce_only=True)])

    assert isinstance(outcome, RejectedError)
    assert outcome.kind == "nothing_to_reduce"
    assert kit.size() == 0


KINDS = ("margin", "nothing_to_reduce", "duplicate_id", "price", "size", "risk_limit", "symbol")


@pytest.mark.parametrize("kind", [*KINDS, "mode"])
async def test_te12_each_refusal_says_its_kind(kit: Bench, kind: str) -> None:
    venue = await kit.connected()
    code = kit.words.codes[kind]
    kit.break_orders("reject_order", code=code, text="no")
    (outcome,) = await venue.place_orders([kit.order("te01")])

    assert isinstance(outcome, RejectedError)
    assert (outcome.kind, outcome.code) == (kind, code)
    assert kit.size() == 0


async def test_te13_a_symbol_that_does_not_trade_is_refused(kit: Bench) -> None:
    venue = await kit.connected()
    (unlisted,) = await venue.place_orders([order("te01", symbol="NOPEUSDT")])
    sent = len(kit.paths())
    kit.server.exchange.instruments = _suspended(kit)
    kit.later(6)
    listed = await kit.market.listing(max_age_ms=-1)
    (suspended,) = await venue.place_orders([kit.order("te02")])

    assert isinstance(unlisted, RejectedError)
    assert (unlisted.kind, sent) == ("symbol", 0)
    assert BTC not in listed.instruments or not listed.instruments[BTC].is_trading
    assert isinstance(suspended, RejectedError)
    assert kit.size() == 0


async def test_te14_a5_a_used_client_id_buys_nothing_twice(kit: Bench) -> None:
    venue = await kit.connected()
    await kit.open(venue, "0.01", client_id="te01")
    (outcome,) = await venue.place_orders([kit.order("te01")])

    assert isinstance(outcome, RejectedError)
    assert outcome.kind == "duplicate_id"
    assert kit.coins() == Decimal("0.01")


@pytest.mark.parametrize("kind", ["reject_order", "refuse"])
@pytest.mark.parametrize("code", ["unknown", "999999"])
async def test_te15_a_code_that_nobody_described_is_unknown(
    kit: Bench, code: str, kind: str
) -> None:
    venue = await kit.connected()
    kit.break_orders(kind, code=kit.words.codes.get(code, code), text="try again later")
    (outcome,) = await venue.place_orders([kit.order("te01")])

    assert isinstance(outcome, UnknownOutcomeError)


async def test_te70_a28_a_remainder_below_the_minimum_is_closed_whole(kit: Bench) -> None:
    listed = (await kit.market.fetch_instruments())[BTC]
    venue = await kit.connected()
    await kit.open(venue, "0.02")
    closes_all = kit.profile.close_all is not None
    # where there is no such thing, no instrument can leave less than what can be ordered
    left = listed.min_lots / 2 if closes_all else listed.min_lots
    kit.shrink(BTC, left)
    await venue.fetch_positions()
    (outcome,) = await venue.place_orders([order("te02", f"{-left:f}", reduce_only=True)])

    state = await venue.fetch_order(BTC, "te02")  # not every "close all" answers with an id

    assert isinstance(outcome, PlacedOrder | UnknownOutcomeError)
    assert kit.state().positions == {}
    assert state is not None
    assert state.status is OrderStatus.FILLED
    kit.shows("Remainder below the minimum", "close all" if closes_all else "whole lots only")
    if not closes_all:
        instruments = await kit.market.fetch_instruments()
        assert [one for one in instruments.values() if one.min_lots > one.step_lots] == []


def _suspended(kit: Bench) -> Mapping[str, Instruments]:
    tables = kit.server.exchange.instruments
    rows = tables[kit.exchange].values()
    changed = [replace(row, status="Closed") if row.symbol == BTC else row for row in rows]
    return {**tables, kit.exchange: Instruments(changed)}
