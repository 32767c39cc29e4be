"""What ccxt puts on the wire is what was asked for, to the last digit."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from account_processors.bybit import PROFILE
from account_processors.transport.caller import Written
from account_processors.transport.ccxt_loading import load
from account_processors.transport.placing import inexact, outcome, outcomes, unified_order
from core.errors import RejectedError, UnknownOutcomeError
from core.model import OrderRequest, PlacedOrder

SYMBOL = "X/USDT:USDT"
LOADED = load("bybit")
STEPS = ["1000", "10", "1", "0.5", "0.1", "0.05", "0.01", "0.001", "0.0001", "0.00001", "0.000001"]


def client_of(step: str, tick: str) -> Any:
    client = LOADED.venue_class({"enableRateLimit": False})
    row = {
        "id": "XUSDT", "symbol": SYMBOL, "base": "X", "quote": "USDT", "settle": "USDT",
        "type": "swap", "spot": False, "swap": True, "linear": True, "inverse": False,
        "contract": True, "option": False, "future": False, "contractSize": 1.0, "active": True,
        "precision": {"amount": client.parse_number(step), "price": client.parse_number(tick)},
        "limits": {}, "info": {},
    }  # fmt: skip
    client.set_markets([row])
    return client


def order_of(size: Decimal, price: Decimal | None = None, **changes: Any) -> OrderRequest:
    return OrderRequest(
        **{
            "client_id": "te1",
            "symbol": "XUSDT",
            "size_lots": size,
            "reduce_only": False,
            "limit_price": price,
            **changes,
        }
    )


@given(
    step=st.sampled_from(STEPS),
    tick=st.sampled_from(STEPS),
    lots=st.integers(-(10**7), 10**7).filter(bool),
    ticks=st.integers(1, 10**8),
    zeros=st.integers(0, 3),
)
def test_b14_sizes_and_prices_reach_the_wire_exactly(
    step: str, tick: str, lots: int, ticks: int, zeros: int
) -> None:
    client = client_of(step, tick)
    size, price = Decimal(step) * lots, Decimal(tick) * ticks
    padded = Decimal(format(size, "f") + ("" if "." in format(size, "f") else ".") + "0" * zeros)
    order = order_of(padded, price)

    assert inexact(order, SYMBOL, client, LOADED.base_error) is None
    words = unified_order(order, SYMBOL, PROFILE)
    sent = client.create_order_request(
        words["symbol"],
        words["type"],
        words["side"],
        words["amount"],
        words["price"],
        words["params"],
    )
    assert isinstance(sent["qty"], str)
    assert isinstance(sent["price"], str)
    assert Decimal(sent["qty"]) == abs(size)
    assert Decimal(sent["price"]) == price
    assert "E" not in sent["qty"] + sent["price"].upper()
    assert sent["side"] == ("Buy" if lots > 0 else "Sell")


@pytest.mark.parametrize("size", ["0.0123", "0.0001", "0", "-0.0015"])
def test_a_size_that_ccxt_would_change_is_refused_before_it_is_sent(size: str) -> None:
    refusal = inexact(order_of(Decimal(size)), SYMBOL, client_of("0.001", "0.1"), LOADED.base_error)

    assert refusal is not None
    assert refusal.kind == "size"


def test_a_price_that_ccxt_would_round_is_refused_before_it_is_sent() -> None:
    order = order_of(Decimal("0.01"), Decimal("100.05"))
    refusal = inexact(order, SYMBOL, client_of("0.001", "0.1"), LOADED.base_error)

    assert refusal is not None
    assert refusal.kind == "price"


def test_a14_a_reduction_is_reduce_only_and_an_increase_is_not() -> None:
    reduction = unified_order(order_of(Decimal(1), reduce_only=True), SYMBOL, PROFILE)
    increase = unified_order(order_of(Decimal(1)), SYMBOL, PROFILE)

    assert reduction["params"] == {"clientOrderId": "te1", "reduceOnly": True}
    assert increase["params"] == {"clientOrderId": "te1"}


def test_a22_a_limit_order_is_immediate_or_cancel() -> None:
    words = unified_order(order_of(Decimal(-1), Decimal("9.5")), SYMBOL, PROFILE)

    assert (words["type"], words["side"], words["price"]) == ("limit", "sell", "9.5")
    assert words["params"] == {"clientOrderId": "te1", "timeInForce": "IOC"}


ONE, TWO = order_of(Decimal(1)), order_of(Decimal(2), client_id="te2")


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(None, id="nothing"),
        pytest.param({"id": None, "info": {}}, id="no-id"),
        pytest.param({"id": "", "info": {}}, id="empty-id"),
        pytest.param("<html>", id="html"),
        pytest.param({"id": "x", "clientOrderId": "another", "info": {}}, id="another-order"),
    ],
)
def test_a5_a_reply_without_our_order_s_id_is_unknown(reply: object) -> None:
    assert isinstance(outcome(ONE, reply, PROFILE), UnknownOutcomeError)


def test_each_order_of_a_batch_has_its_own_outcome() -> None:
    reply = [
        {"id": "x1", "clientOrderId": "te1", "info": {"orderId": "x1"}},
        {"id": "", "info": {"code": 110007, "msg": 'ab "not" enough'}},
    ]
    placed, refused = outcomes([ONE, TWO], Written(result=reply), PROFILE)

    assert placed == PlacedOrder(client_id="te1", order_id="x1")
    assert isinstance(refused, RejectedError)
    assert (refused.kind, refused.code) == ("margin", "110007")


@pytest.mark.parametrize("reply", [[], None, "x", [{"id": "x1"}], {"id": "x1"}])
def test_a_batch_that_was_not_answered_in_full_is_unknown_as_a_whole(reply: object) -> None:
    found = outcomes([ONE, TWO], Written(result=reply), PROFILE)

    assert [type(one) for one in found] == [UnknownOutcomeError, UnknownOutcomeError]
