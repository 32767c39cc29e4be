"""Writes over HTTP: what was placed, what was refused, what nobody knows."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from core.errors import (
    ClockSkewError,
    CredentialsError,
    NotPlacedError,
    RateLimitedError,
    RejectedError,
    TradeEngineError,
    UnknownOutcomeError,
)
from core.model import OrderRequest, OrderStatus, PlacedOrder
from tests.contract.venue_cases import BATCH, BTC, CREATE, ETH, TIME, Bench, bench, order


@pytest.fixture
async def kit() -> AsyncIterator[Bench]:
    async with bench() as running:
        yield running


async def test_te01_a_market_order_opens_and_its_fill_is_told(kit: Bench) -> None:
    venue = await kit.connected()
    (placed,) = await venue.place_orders([order("te01", "0.010")])
    state = await venue.fetch_order(BTC, "te01")

    assert isinstance(placed, PlacedOrder)
    assert kit.paths()[:1] == [CREATE]
    assert state is not None
    assert state.order_id == placed.order_id
    assert (state.status, state.filled_lots) == (OrderStatus.FILLED, Decimal("0.01"))
    assert kit.size() == Decimal("0.01")


async def test_a3_a_close_is_a_reduce_only_order_that_leaves_nothing(kit: Bench) -> None:
    venue = await kit.connected()
    await venue.place_orders([order("te01", "-0.02")])
    await venue.place_orders([order("te02", "0.02", reduce_only=True)])

    assert kit.size() == 0
    assert (await venue.fetch_positions()).positions == {}


async def test_a14_reductions_are_reduce_only_on_the_wire(kit: Bench) -> None:
    venue = await kit.connected()
    await venue.place_orders([order("te01")])
    await venue.place_orders([order("te02", "-0.01", reduce_only=True)])
    await venue.place_orders([order("te03", "-0.01", reduce_only=True, price="59000")])
    bodies = [request.body for request in kit.server.requests(CREATE)]

    assert ["reduceOnly" in body for body in bodies] == [False, True, True]
    assert all('"reduceOnly":true' in body for body in bodies[1:])


async def test_a22_a_limit_order_beyond_the_book_fills_nothing_and_does_not_rest(
    kit: Bench,
) -> None:
    venue = await kit.connected()
    await venue.place_orders([order("te01", price="50000")])
    state = await venue.fetch_order(BTC, "te01")

    assert state is not None
    assert state.is_terminal
    assert state.filled_lots == 0
    assert await venue.fetch_open_orders() == []


async def test_several_orders_ride_one_request_and_each_has_its_outcome(kit: Bench) -> None:
    venue = await kit.connected()
    kit.server.add_fault("reject_order", symbol=ETH, code=110007, text="ab not enough")
    found = await venue.place_orders(
        [order("te01"), order("te02", "0.1", symbol=ETH), order("te03", "0.02")]
    )

    assert kit.paths() == [BATCH]
    assert [type(one) for one in found] == [PlacedOrder, RejectedError, PlacedOrder]
    assert isinstance(found[1], RejectedError)
    assert (found[1].kind, found[1].code) == ("margin", "110007")
    assert kit.size() == Decimal("0.03")


async def test_reductions_leave_in_a_request_of_their_own_and_first(kit: Bench) -> None:
    venue = await kit.connected()
    await venue.place_orders([order("te01"), order("te02", "0.1", symbol=ETH)])
    kit.server.forget_requests()
    found = await venue.place_orders(
        [
            order("te03", "0.01"),
            order("te04", "-0.1", symbol=ETH, reduce_only=True),
            order("te05", "0.02"),
        ]
    )

    assert all(isinstance(one, PlacedOrder) for one in found)
    assert [one.client_id for one in found if isinstance(one, PlacedOrder)] == [
        "te03",
        "te04",
        "te05",
    ]
    assert sorted(kit.paths()) == [CREATE, BATCH]
    assert kit.size() == Decimal("0.04")
    assert kit.size(ETH) == 0


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"kind": "drop_after"}, id="a5-accept-then-drop"),
        pytest.param({"kind": "hang_after"}, id="a5-accept-then-hang"),
        pytest.param({"kind": "garbage", "shape": "html"}, id="html-200"),
        pytest.param({"kind": "garbage", "shape": "empty"}, id="empty-200"),
        pytest.param({"kind": "garbage", "shape": "truncated"}, id="truncated-200"),
        pytest.param({"kind": "http", "status": 502, "booked": True}, id="502"),
        pytest.param({"kind": "http", "status": 504, "booked": True}, id="504"),
    ],
)
async def test_a5_an_order_that_was_taken_without_a_word_is_unknown_then_found(
    fault: dict[str, object],
) -> None:
    async with bench(timeout_s=0.5) as kit:
        venue = await kit.connected()
        kit.server.add_fault(str(fault["kind"]), endpoint=CREATE, count=1, **_rest(fault))
        (outcome,) = await venue.place_orders([order("te01")])
        sent = kit.paths()
        state = await venue.fetch_order(BTC, "te01")

        assert isinstance(outcome, UnknownOutcomeError)
        assert sent == [CREATE]  # never sent twice
        assert state is not None
        assert state.filled_lots == Decimal("0.01")


@pytest.mark.parametrize("kind", ["drop_after", "garbage"])
async def test_a5_a_batch_without_an_answer_is_unknown_for_each_of_its_orders(
    kit: Bench, kind: str
) -> None:
    venue = await kit.connected()
    kit.server.add_fault(kind, endpoint=BATCH, count=1)
    found = await venue.place_orders([order("te01"), order("te02", "0.1", symbol=ETH)])

    assert [type(one) for one in found] == [UnknownOutcomeError, UnknownOutcomeError]
    assert kit.paths() == [BATCH]
    assert kit.size() == Decimal("0.01")


@pytest.mark.parametrize("code", [10016, 3400214, 999999])
async def test_a_venue_that_does_not_know_itself_leaves_the_order_unknown(
    kit: Bench, code: int
) -> None:
    venue = await kit.connected()
    kit.server.add_fault("refuse", endpoint=CREATE, code=code, text="try again later")
    (outcome,) = await venue.place_orders([order()])

    assert isinstance(outcome, UnknownOutcomeError)


async def test_a_connection_that_was_never_made_placed_nothing(kit: Bench) -> None:
    venue = await kit.connected()
    await kit.transport.pool.close()
    await venue.close()  # its next instance takes the pool's next session
    await kit.server.stop()
    (outcome,) = await venue.place_orders([order()])

    assert type(outcome) is NotPlacedError


async def test_a5_a_used_client_id_is_refused_as_a_duplicate(kit: Bench) -> None:
    venue = await kit.connected()
    await venue.place_orders([order("te01")])
    (outcome,) = await venue.place_orders([order("te01")])

    assert isinstance(outcome, RejectedError)
    assert outcome.kind == "duplicate_id"
    assert kit.size() == Decimal("0.01")


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        pytest.param(order(size="-0.01", reduce_only=True), "nothing_to_reduce", id="flat"),
        pytest.param(order(size="100"), "margin", id="margin"),
        pytest.param(order(size="0.0005"), "size", id="below-a-step"),
        pytest.param(order(size="0.0015"), "size", id="off-the-step"),
        pytest.param(order(symbol="NOPEUSDT"), "symbol", id="not-listed"),
    ],
)
async def test_a_refusal_says_its_kind(kit: Bench, asked: OrderRequest, kind: str) -> None:
    venue = await kit.connected()
    (outcome,) = await venue.place_orders([asked])

    assert isinstance(outcome, RejectedError)
    assert outcome.kind == kind
    assert kit.size() == 0


@pytest.mark.parametrize(
    ("kind", "params", "wait_s"),
    [
        ("rate_limit", {}, None),
        ("http", {"status": 429, "body": "slow down"}, 1),
        ("ip_ban", {}, 600),
    ],
)
async def test_b17_an_order_refused_for_the_rate_was_not_placed(
    kit: Bench, kind: str, params: dict[str, object], wait_s: int | None
) -> None:
    venue = await kit.connected()
    kit.server.add_fault(kind, endpoint=CREATE, count=1, **params)
    (outcome,) = await venue.place_orders([order()])

    assert isinstance(outcome, RateLimitedError)
    assert outcome.retry_after_s >= 1
    assert wait_s is None or outcome.retry_after_s == wait_s
    assert kit.size() == 0


async def test_b17_after_a_ban_nothing_more_is_sent(kit: Bench) -> None:
    venue = await kit.connected()
    kit.server.add_fault("ip_ban", endpoint=CREATE, count=1)
    await venue.place_orders([order("te01")])
    kit.server.forget_requests()
    (outcome,) = await venue.place_orders([order("te02", reduce_only=True)])
    with pytest.raises(RateLimitedError):
        await venue.fetch_positions()

    assert isinstance(outcome, RateLimitedError)
    assert kit.paths() == []


async def test_b17_a_limited_order_endpoint_lets_reads_through(kit: Bench) -> None:
    venue = await kit.connected()
    kit.server.add_fault("rate_limit", endpoint=CREATE, count=1)
    await venue.place_orders([order()])

    assert (await venue.fetch_positions()).positions == {}


async def test_b18_a_refused_timestamp_is_not_placed_and_the_clock_is_measured_again(
    kit: Bench,
) -> None:
    venue = await kit.connected()
    kit.server.add_fault("refuse", endpoint=CREATE, count=1, code=10002, text="timestamp")
    (first,) = await venue.place_orders([order("te01")])
    (second,) = await venue.place_orders([order("te01")])

    assert isinstance(first, ClockSkewError)
    assert isinstance(second, PlacedOrder)
    assert kit.paths() == [CREATE, TIME, CREATE]


async def test_b18_an_order_whose_clock_cannot_be_measured_is_not_placed(kit: Bench) -> None:
    venue = await kit.connected()
    kit.server.add_fault("refuse", endpoint=CREATE, count=1, code=10002, text="timestamp")
    kit.server.add_fault("garbage", endpoint=TIME)
    await venue.place_orders([order("te01")])
    (outcome,) = await venue.place_orders([order("te01")])

    assert type(outcome) is NotPlacedError
    assert len(kit.server.requests(CREATE)) == 1


@pytest.mark.parametrize("code", [10003, 10004, 10005, 10010, 33004])
async def test_a_refused_key_parks_the_account(kit: Bench, code: int) -> None:
    venue = await kit.connected()
    kit.server.add_fault("refuse", endpoint=CREATE, code=code, text="origin_string[1KEYMAIN5]")
    (outcome,) = await venue.place_orders([order()])

    assert isinstance(outcome, CredentialsError)
    assert "KEYMAIN" not in str(outcome)


async def test_a17_a_leverage_that_is_so_already_is_success(kit: Bench) -> None:
    venue = await kit.connected()
    await venue.set_leverage(BTC, Decimal("7.50"))
    await venue.set_leverage(BTC, Decimal("7.5"))

    assert kit.server.requests("/v5/position/set-leverage")[0].body == (
        '{"symbol":"BTCUSDT","buyLeverage":"7.5","sellLeverage":"7.5","category":"linear"}'
    )


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"kind": "refuse", "code": 110013, "text": "risk limit"}, RejectedError),
        ({"kind": "drop_after"}, UnknownOutcomeError),
        ({"kind": "garbage"}, UnknownOutcomeError),
        ({"kind": "fields", "values": {"retCode": "00"}}, TradeEngineError),
    ],
)
async def test_a17_any_other_answer_to_a_leverage_is_an_error(
    kit: Bench, fault: dict[str, object], kind: type[TradeEngineError]
) -> None:
    venue = await kit.connected()
    kit.server.add_fault(str(fault["kind"]), endpoint="/v5/position/set-leverage", **_rest(fault))
    with pytest.raises(kind):
        await venue.set_leverage(BTC, Decimal(5))


async def test_the_margin_mode_is_switched_for_the_account(kit: Bench) -> None:
    venue = await kit.connected()
    await venue.set_margin_mode(BTC, "isolated")
    mode = await venue.connect()
    await venue.set_margin_mode(BTC, "isolated")

    assert mode.margin_mode == "isolated"


async def test_a_margin_mode_refused_with_reasons_in_a_reply_of_success_is_refused(
    kit: Bench,
) -> None:
    venue = await kit.connected()
    reasons = [{"reasonCode": "3400000", "reasonMsg": "equity"}]
    kit.server.add_fault(
        "fields", endpoint="/v5/account/set-margin-mode", values={"reasons": reasons}
    )
    with pytest.raises(RejectedError) as caught:
        await venue.set_margin_mode(BTC, "isolated")

    assert caught.value.kind == "mode"


async def test_a_cancel_of_an_order_that_is_gone_says_so(kit: Bench) -> None:
    venue = await kit.connected()
    await venue.place_orders([order("te01")])
    with pytest.raises(RejectedError) as caught:
        await venue.cancel_order(BTC, "te01")

    assert caught.value.kind == "not_found"


async def test_a_cancel_without_an_answer_is_unknown(kit: Bench) -> None:
    venue = await kit.connected()
    kit.server.add_fault("garbage", endpoint="/v5/order/cancel")
    with pytest.raises(UnknownOutcomeError):
        await venue.cancel_order(BTC, "te01")


async def test_an_order_that_waits_for_its_fill_is_listed_and_cancelled(kit: Bench) -> None:
    venue = await kit.connected()
    kit.server.add_fault("fill_delay", ms=60_000)
    await venue.place_orders([order("te01")])
    (listed,) = await venue.fetch_open_orders()
    await venue.cancel_order(BTC, "te01")
    state = await venue.fetch_order(BTC, "te01")

    assert (listed.client_id, listed.status) == ("te01", OrderStatus.OPEN)
    assert state is not None
    assert state.status is OrderStatus.CANCELED


async def test_orders_keep_to_the_venue_s_budget(kit: Bench) -> None:
    venue = await kit.connected()
    rounds = [[order(f"te{n}{i}", "0.001") for i in range(8)] for n in range(2)]
    for orders in rounds:  # 16 orders, ten a second: the exchange enforces it
        await venue.wait_turn("increase", len(orders))
        found = await venue.place_orders(orders)
        assert all(isinstance(one, PlacedOrder) for one in found)

    assert kit.size() == Decimal("0.016")
    assert venue.orders_at_once("increase") == 8
    assert venue.orders_at_once("reduce") == 10


async def test_more_orders_than_the_budget_has_go_in_turns(kit: Bench) -> None:
    venue = await kit.connected()
    found = await venue.place_orders([order(f"te{n:02}", "0.001") for n in range(12)])

    assert all(isinstance(one, PlacedOrder) for one in found)
    assert kit.size() == Decimal("0.012")


async def test_a_cancelled_send_leaves_the_limiter_and_the_session_whole(kit: Bench) -> None:
    venue = await kit.connected()
    fault = kit.server.add_fault("hang_after", endpoint=CREATE)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await venue.place_orders([order("te01")])
    kit.server.remove_fault(fault)
    (outcome,) = await venue.place_orders([order("te02")])

    assert isinstance(outcome, PlacedOrder)
    assert len(kit.server.requests(CREATE)) == 2


def _rest(fault: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in fault.items() if name != "kind"}
