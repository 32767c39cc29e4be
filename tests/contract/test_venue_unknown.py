"""Writes whose outcome nobody told, on every venue: unknown, looked up, never sent twice."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from core.errors import NotPlacedError, UnknownOutcomeError
from core.model import OrderStatus, PlacedOrder
from tests.contract.venue_cases import BTC, ETH, Bench, bench

LOST = {
    "drop": {"kind": "drop_after"},
    "hang": {"kind": "hang_after"},
    "html-200": {"kind": "garbage", "shape": "html"},
    "empty-200": {"kind": "garbage", "shape": "empty"},
    "truncated-200": {"kind": "garbage", "shape": "truncated"},
    "502": {"kind": "http", "status": 502, "booked": True},
    "504": {"kind": "http", "status": 504, "booked": True},
}
NO_ID = {"kind": "fields", "values": {"orderId": None}}
EVERY = [pytest.param(fault, id=name) for name, fault in LOST.items()]


@pytest.mark.parametrize("fault", [*EVERY, pytest.param(NO_ID, id="no-id")])
async def test_te16_a5_an_order_taken_without_a_word_is_unknown_then_found(
    exchange: str, fault: dict[str, Any]
) -> None:
    async with bench(exchange, timeout_s=0.5) as kit:
        venue = await kit.connected()
        lost = kit.break_orders(**fault)
        (outcome,) = await venue.place_orders([kit.order("te01")])
        sent = kit.to(kit.words.create), len(kit.on_the_wire())
        kit.server.remove_fault(lost)
        state = await venue.fetch_order(BTC, "te01")

        assert isinstance(outcome, UnknownOutcomeError)
        assert sent == (1, 1)  # never sent twice
        assert state is not None
        assert (state.status, state.filled_lots) == (OrderStatus.FILLED, kit.size())
        assert kit.coins() == Decimal("0.01")


@pytest.mark.parametrize(
    "fault", [{"kind": "drop_before"}, {"kind": "http", "status": 502}], ids=["reset", "502"]
)
async def test_te17_an_order_that_never_arrived_is_unknown_then_not_known(
    kit: Bench, fault: dict[str, Any]
) -> None:
    venue = await kit.connected()
    kit.break_orders(**fault)
    (outcome,) = await venue.place_orders([kit.order("te01")])

    assert isinstance(outcome, UnknownOutcomeError)
    assert await venue.fetch_order(BTC, "te01") is None
    assert kit.size() == 0


@pytest.mark.parametrize("fault", EVERY)
async def test_te18_a5_orders_lost_together_are_each_unknown_and_found(
    exchange: str, fault: dict[str, Any]
) -> None:
    async with bench(exchange, timeout_s=0.5) as kit:
        venue = await kit.connected()
        lost = kit.break_orders(**fault)
        orders = [kit.order("te01"), kit.order("te02", "0.02"), kit.order("te03", "0.03")]
        found = await venue.place_orders(orders)
        requests = len(kit.sent())
        kit.server.remove_fault(lost)
        states = [await venue.fetch_order(BTC, one.client_id) for one in orders]

        assert {type(one) for one in found} == {UnknownOutcomeError}
        assert requests == (1 if kit.profile.batch_size > 1 else 3)
        assert [state and state.filled_lots for state in states] == [o.size_lots for o in orders]
        assert kit.coins() == Decimal("0.06")


@pytest.mark.parametrize("fault", EVERY)
async def test_te19_a_cancel_without_an_answer_is_unknown_then_found_done(
    exchange: str, fault: dict[str, Any]
) -> None:
    async with bench(exchange, timeout_s=0.5) as kit:
        venue = await kit.connected()
        kit.break_orders("fill_delay", ms=60_000)
        await kit.open(venue, "0.01", client_id="te01")
        lost = kit.break_at(kit.words.cancel, **fault)
        with pytest.raises(UnknownOutcomeError):
            await venue.cancel_order(BTC, "te01")
        kit.server.remove_fault(lost)
        state = await venue.fetch_order(BTC, "te01")

        # the HTTP library repeats a DELETE whose connection was reset; a cancel may be repeated
        assert kit.to(kit.words.cancel) in ({1, 2} if kit.words.cancel.method == "DELETE" else {1})
        assert state is not None
        assert (state.status, state.filled_lots) == (OrderStatus.CANCELED, Decimal(0))


@pytest.mark.parametrize("fault", EVERY)
async def test_te20_a17_a_leverage_without_an_answer_is_unknown_then_already_so(
    exchange: str, fault: dict[str, Any]
) -> None:
    async with bench(exchange, timeout_s=0.5) as kit:
        venue = await kit.connected()
        await venue.set_margin_mode(BTC, "cross")
        kit.server.forget_requests()
        lost = kit.break_at(kit.words.leverage, **fault)
        with pytest.raises(UnknownOutcomeError):
            await venue.set_leverage(BTC, Decimal(7))

        once = len(kit.profile.leverage_params("cross", False))  # a request each side, at some
        assert kit.to(kit.words.leverage) == once
        kit.server.remove_fault(lost)
        await venue.set_leverage(BTC, Decimal(7))
        await venue.place_orders([replace(kit.order("te01"), leverage=Decimal(7))])
        read = await venue.fetch_positions()
        assert read.positions[BTC].leverage == 7


async def test_te21_a_connection_that_was_never_made_placed_nothing(kit: Bench) -> None:
    venue = await kit.connected()
    await kit.transport.pool.close()
    await venue.close()  # its next instance takes the pool's next session
    await kit.server.stop()
    found = await venue.place_orders([kit.order("te01"), kit.order("te02", "0.1", symbol=ETH)])

    assert {type(one) for one in found} == {NotPlacedError}
    assert not any(isinstance(one, PlacedOrder) for one in found)
