"""Leverage, margin mode and position mode on every venue."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from core.errors import RejectedError, TradeEngineError, UnknownOutcomeError
from core.model import OrderRequest, PlacedOrder
from tests.contract.venue_cases import BTC, ETH, Bench

FIVE = Decimal(5)


def with_terms(order: OrderRequest, leverage: Decimal, mode: str | None = None) -> OrderRequest:
    """What the engine tells with an order that opens."""
    return replace(order, leverage=leverage, margin_mode=mode)


def settings(count: int) -> str:
    """How the table tells that so many requests set leverage."""
    return {0: "with the order", 1: "set before"}.get(count, f"set before, {count} requests")


async def test_te26_a17_a_changed_leverage_is_in_force_for_the_next_order(kit: Bench) -> None:
    venue = await kit.connected()
    await venue.set_margin_mode(BTC, "cross")
    await venue.set_leverage(BTC, FIVE)
    (placed,) = await venue.place_orders([with_terms(kit.order("te01", "0.02"), FIVE)])
    read = await venue.fetch_positions()
    (sent,) = kit.on_the_wire()

    assert isinstance(placed, PlacedOrder)
    assert read.positions[BTC].leverage == 5
    assert sent.leverage in {"", "5"}
    kit.shows("Leverage, cross", settings(kit.to(kit.words.leverage)))


async def test_a18_leverage_is_changed_in_place_under_a_position(kit: Bench) -> None:
    venue = await kit.connected()
    await venue.set_margin_mode(BTC, "cross")
    await venue.set_leverage(BTC, FIVE)
    await venue.place_orders([with_terms(kit.order("te01", "0.02"), FIVE)])
    await venue.fetch_positions()
    await venue.set_leverage(BTC, Decimal(8))
    read = await venue.fetch_positions()

    assert read.positions[BTC].leverage == 8
    assert kit.coins() == Decimal("0.02")
    assert len(kit.on_the_wire()) == 1


async def test_te27_a17_a_leverage_that_is_so_already_is_success(kit: Bench) -> None:
    venue = await kit.connected()
    await venue.set_margin_mode(BTC, "cross")
    kit.server.forget_requests()
    await venue.set_leverage(BTC, FIVE)
    sent = kit.to(kit.words.leverage)
    await venue.set_leverage(BTC, FIVE)

    assert kit.to(kit.words.leverage) == 2 * sent > 0


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        pytest.param({"kind": "refuse", "code": "risk_limit"}, RejectedError, id="risk-limit"),
        pytest.param({"kind": "refuse", "code": "mode"}, RejectedError, id="mode"),
        pytest.param({"kind": "refuse", "code": "unknown"}, UnknownOutcomeError, id="unknown"),
        pytest.param({"kind": "refuse", "code": "424242"}, UnknownOutcomeError, id="not-described"),
        pytest.param({"kind": "fields", "values": "success"}, TradeEngineError, id="no-success"),
        pytest.param({}, RejectedError, id="above-the-most"),
    ],
)
async def test_te28_a17_a_leverage_that_is_refused_is_an_error(
    kit: Bench, fault: dict[str, Any], kind: type[TradeEngineError]
) -> None:
    venue = await kit.connected()
    await venue.set_margin_mode(BTC, "cross")
    if "code" in fault:
        fault = {**fault, "code": kit.words.codes.get(fault["code"], fault["code"])}
    if "values" in fault:
        fault = {**fault, "values": {kit.profile.success[0]: None}}
    if fault:
        kit.break_at(kit.words.leverage, **fault)
    most = (await kit.market.fetch_instruments())[BTC].max_leverage
    with pytest.raises(kind):
        await venue.set_leverage(BTC, FIVE if fault else most + 1)


@pytest.mark.parametrize("mode", ["cross", "isolated"])
async def test_te29_what_goes_with_the_order_is_on_the_wire(kit: Bench, mode: str) -> None:
    venue = await kit.connected()
    await venue.set_margin_mode(BTC, mode)
    await venue.set_leverage(BTC, FIVE)
    order = with_terms(kit.order("te01", "0.02"), FIVE, mode)
    (placed,) = await venue.place_orders([order])
    (sent,) = kit.on_the_wire()
    read = await venue.fetch_positions()

    assert isinstance(placed, PlacedOrder)
    kit.shows("Margin mode goes with orders", "yes" if sent.margin_mode == mode else "no")
    assert sent.margin_mode in {mode, ""}
    assert sent.leverage in ({"5"} if kit.words.orders_bear_leverage else {"5", ""})
    assert read.positions[BTC].leverage == 5
    assert read.positions[BTC].margin_mode in {mode, None}  # None: told for the account alone
    assert bool(_own_margin(kit, BTC)) is (mode == "isolated")


async def test_te30_the_margin_mode_is_changed_while_flat(kit: Bench) -> None:
    venue = await kit.connected()
    before = (await venue.connect()).margin_mode
    kit.server.forget_requests()
    await venue.set_margin_mode(BTC, "isolated")
    await venue.set_margin_mode(BTC, "isolated")  # already so
    is_sent = bool(kit.server.requests())
    await kit.open(venue, "0.02")
    others = await kit.connected()
    await kit.open(others, "0.1", symbol=ETH, client_id="open2")
    after = (await others.connect()).margin_mode

    assert _own_margin(kit, BTC) > 0
    scopes = {("cross", "isolated"): "account", (None, None): "symbol" if is_sent else "position"}
    kit.shows("Margin mode is kept by", scopes[before, after])
    if after is not None:
        assert _own_margin(kit, ETH) > 0


async def test_te31_a_margin_mode_is_refused_while_a_position_is_held(kit: Bench) -> None:
    venue = await kit.connected()
    await venue.set_margin_mode(BTC, "cross")
    await kit.open(venue, "0.02")
    await venue.fetch_positions()
    if kit.profile.sets_margin_mode:
        with pytest.raises(RejectedError) as caught:
            await venue.set_margin_mode(BTC, "isolated")
        refused = caught.value
    else:  # the order that asks for it is refused
        asked = with_terms(kit.order("te02"), FIVE, "isolated")
        (outcome,) = await venue.place_orders([asked])
        assert isinstance(outcome, RejectedError)
        refused = outcome

    assert refused.kind == "mode"
    assert kit.coins() == Decimal("0.02")
    assert not _own_margin(kit, BTC)


async def test_te32_an_isolated_position_is_held_and_closed(kit: Bench) -> None:
    venue = await kit.connected()
    await venue.set_margin_mode(BTC, "isolated")
    kit.server.forget_requests()
    await venue.set_leverage(BTC, FIVE)
    kit.shows("Leverage, isolated", settings(kit.to(kit.words.leverage)))
    await venue.place_orders([with_terms(kit.order("te01", "-0.02"), FIVE)])
    read = await venue.fetch_positions()
    added = await venue.place_orders([with_terms(kit.order("te02", "-0.01"), FIVE)])
    closed = await venue.place_orders([kit.order("te03", "0.03", reduce_only=True)])

    assert read.positions[BTC].margin_mode in {"isolated", None}
    assert read.positions[BTC].leverage == 5
    assert {type(one) for one in (*added, *closed)} == {PlacedOrder}
    assert kit.size() == 0


async def test_te33_a15_a_hedge_mode_account_is_told_at_connect(kit: Bench) -> None:
    one_way = await kit.venue().connect()
    kit.hedge()
    hedged = await kit.venue().connect()

    assert (one_way.is_hedged, hedged.is_hedged) == (False, True)
    assert bool(hedged.refusal) is not kit.profile.holds_sides


@pytest.mark.parametrize("sign", [1, -1], ids=["long", "short"])
async def test_te34_a15_a_hedge_mode_account_opens_and_closes_the_right_side(
    kit: Bench, sign: int
) -> None:
    kit.hedge()
    venue = await kit.connected()
    side = 1 if sign > 0 else 2
    name = "long" if sign > 0 else "short"
    await kit.open(venue, f"{sign * Decimal('0.03')}")
    held = kit.coins(side=side)
    read = await venue.fetch_positions()
    reduced = await venue.place_orders(
        [kit.order("te02", f"{-sign * Decimal('0.01')}", reduce_only=True)]
    )
    left = kit.coins(side=side)
    await venue.place_orders([kit.order("te03", f"{-sign * Decimal('0.02')}", reduce_only=True)])

    assert isinstance(reduced[0], PlacedOrder)
    assert (held, left) == (sign * Decimal("0.03"), sign * Decimal("0.02"))
    assert read.size_lots(BTC) == kit.words.lots(BTC, f"{held}")
    assert read.positions[BTC].is_hedged or not kit.profile.position.hedge
    assert kit.state().positions == {}
    assert {one.side for one in kit.on_the_wire()} == {name}
    kit.shows("Hedge mode", "by side")


async def test_a15_a_position_mode_that_somebody_changed_is_read_after_one_refusal(
    kit: Bench,
) -> None:
    venue = await kit.connected()
    kit.hedge()
    (refused,) = await venue.place_orders([kit.order("te01", "-0.01")])
    (placed,) = await venue.place_orders([kit.order("te02", "-0.01")])

    assert isinstance(refused, RejectedError)
    assert refused.kind == "mode"
    assert isinstance(placed, PlacedOrder)
    assert kit.coins(side=2) == Decimal("-0.01")


async def test_te35_a15_both_sides_held_are_told(kit: Bench) -> None:
    kit.hedge()
    venue = await kit.connected()
    await kit.open(venue, "0.03", client_id="te01")
    await kit.open(venue, "-0.01", client_id="te02")
    await kit.open(venue, "0.1", symbol=ETH, client_id="te03")
    read = await venue.fetch_positions()
    lots = kit.words.lots

    assert read.both_sides == {BTC: (lots(BTC, "0.03"), lots(BTC, "-0.01"))}
    assert read.size_lots(BTC) is None
    assert read.size_lots(ETH) == lots(ETH, "0.1")
    closing = [
        kit.order("te04", "-0.03", reduce_only=True),
        kit.order("te05", "0.01", reduce_only=True),
    ]
    found = await venue.place_orders(closing)
    assert {type(one) for one in found} == {PlacedOrder}
    assert set(kit.state().positions) == {f"{ETH}:1"}


async def test_a15_each_of_both_sides_is_closed_in_its_own_margin_mode(kit: Bench) -> None:
    kit.hedge()
    opening = await kit.connected()
    await opening.set_margin_mode(BTC, "cross")
    await kit.open(opening, "0.03", client_id="te01")
    await kit.open(opening, "-0.01", client_id="te02")
    venue = await kit.connected()  # as after a restart
    await venue.fetch_positions()
    closing = [
        kit.order("te03", "-0.03", reduce_only=True),
        kit.order("te04", "0.01", reduce_only=True),
    ]
    found = await venue.place_orders(closing)

    assert {type(one) for one in found} == {PlacedOrder}
    assert {one.margin_mode for one in kit.on_the_wire()} <= {"cross", ""}
    assert kit.state().positions == {}


def _own_margin(kit: Bench, symbol: str) -> Decimal:
    rows = kit.state().positions.values()
    return sum((row.isolated_margin_usdt for row in rows if row.symbol == symbol), Decimal(0))


async def test_a27_a_close_of_what_a_read_does_not_show_bears_the_mode_that_was_shown(
    kit: Bench,
) -> None:
    venue = await kit.connected()
    await venue.set_margin_mode(BTC, "cross")
    await venue.place_orders([kit.order("te01", "0.02")])
    again = await kit.connected()  # after a restart it knows what the venue shows, no more
    await again.fetch_positions()
    kit.server.add_fault("empty", count=1, **kit.words.positions.fault)
    assert (await again.fetch_positions()).positions == {}
    (closed,) = await again.place_orders([kit.order("te02", "-0.02", reduce_only=True)])

    assert isinstance(closed, PlacedOrder)
    assert kit.size() == 0
