"""Several orders at once, on every venue: as few requests as it allows, each with its outcome."""

import asyncio
from decimal import Decimal

from core.errors import NotPlacedError, RejectedError
from core.model import OrderRequest, PlacedOrder
from tests.contract.venue_cases import BTC, ETH, Bench, until


async def test_te22_several_orders_ride_few_requests_each_with_its_outcome(kit: Bench) -> None:
    venue = await kit.connected()
    kit.break_orders("reject_order", symbol=ETH, code=kit.words.codes["margin"], text="no margin")
    orders = [
        kit.order("te01"),
        kit.order("te02", "0.1", symbol=ETH),
        kit.order("te03", "0.02"),
        kit.order("te04", "0.2", symbol=ETH),
    ]
    found = await venue.place_orders(orders)
    shape = sorted(len(request) for request in kit.sent())
    largest = kit.profile.batch_size

    assert [type(one) for one in found] == [PlacedOrder, RejectedError] * 2
    assert {one.kind for one in found if isinstance(one, RejectedError)} == {"margin"}
    assert [one.client_id for one in found if isinstance(one, PlacedOrder)] == ["te01", "te03"]
    assert kit.coins() == Decimal("0.03")
    assert kit.coins(ETH) == 0
    known = {(4,): f"{largest}", (2, 2): f"{largest}, of one symbol", (1, 1, 1, 1): "no"}
    kit.shows("Orders in one request", known[tuple(shape)])


async def test_te23_orders_that_are_all_refused_say_so_one_by_one(kit: Bench) -> None:
    venue = await kit.connected()
    orders = [kit.order(f"te0{n}", "-0.01", reduce_only=True) for n in range(1, 4)]
    found = await venue.place_orders(orders)

    assert [type(one) for one in found] == [RejectedError] * 3
    assert {one.kind for one in found if isinstance(one, RejectedError)} == {"nothing_to_reduce"}
    assert len(kit.on_the_wire()) == 3


async def test_te24_reductions_leave_in_requests_of_their_own_and_first(kit: Bench) -> None:
    venue = await kit.connected()
    await kit.open(venue, "0.01")
    await kit.open(venue, "0.1", symbol=ETH, client_id="open2")
    kit.server.forget_requests()
    found = await venue.place_orders(
        [
            kit.order("te03"),
            kit.order("te04", "-0.1", symbol=ETH, reduce_only=True),
            kit.order("te05", "0.02"),
        ]
    )
    placed = [one.client_id for one in found if isinstance(one, PlacedOrder)]
    first, *others = kit.sent()

    assert placed == ["te03", "te04", "te05"]
    assert [one.client_id for one in first] == ["te04"]
    assert not any(one.reduce_only for request in others for one in request)
    assert kit.coins() == Decimal("0.04")
    assert kit.size(ETH) == 0


async def test_te25_orders_keep_to_the_venue_s_budget(kit: Bench) -> None:
    venue = await kit.connected()
    at_once = venue.orders_at_once("increase")
    count = min(at_once + 2, 2 * kit.profile.batch_size, 12)
    await venue.wait_turn("increase", count)
    found = await venue.place_orders([kit.order(f"te{n:02}", "0.001") for n in range(count)])

    assert [one for one in found if not isinstance(one, PlacedOrder)] == []
    assert kit.coins() == count * Decimal("0.001")
    assert max(len(request) for request in kit.sent()) <= kit.profile.batch_size
    assert at_once < venue.orders_at_once("reduce")  # a reserve is kept for reductions


async def test_a_cancelled_send_leaves_the_limiter_and_the_session_whole(kit: Bench) -> None:
    venue = await kit.connected()
    fault = kit.break_orders("hang_after")
    sending = asyncio.create_task(venue.place_orders([kit.order("te01")]))
    await until(kit.sent)
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    kit.server.remove_fault(fault)
    (outcome,) = await venue.place_orders([kit.order("te02")])

    assert isinstance(outcome, PlacedOrder)
    assert [one.client_id for one in kit.on_the_wire()] == ["te01", "te02"]
    assert kit.size(BTC) > 0


async def test_te78_what_speaks_against_an_order_in_the_last_moment_keeps_it_from_the_wire(
    kit: Bench,
) -> None:
    venue = await kit.connected()
    kit.market.server_clock.doubt()  # measured anew before an order: a wait, after all other asking
    kit.server.forget_requests()
    asked: list[int] = []

    def halted_meanwhile(_: OrderRequest) -> str:
        asked.append(len(kit.server.requests()))
        return "halted meanwhile"

    orders = [kit.order("te01"), kit.order("te02")]
    found = await venue.place_orders(orders, may_go=halted_meanwhile)

    assert [type(one) for one in found] == [NotPlacedError, NotPlacedError]
    assert kit.on_the_wire() == []
    assert asked
    assert set(asked) == {len(kit.server.requests())}  # nothing went after it was asked
