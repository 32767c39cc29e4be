"""What ccxt puts on the wire is what was asked for, to the last digit, on every venue."""

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from account_processors import venue_profiles
from account_processors.transport.caller import Written
from account_processors.transport.ccxt_loading import load
from account_processors.transport.placing import inexact, outcome, outcomes, unified_order
from account_processors.transport.profile import Profile
from core.errors import RejectedError, UnknownOutcomeError
from core.model import OrderRequest, PlacedOrder
from tests.venues import WORDS

SYMBOL = "X/USDT:USDT"
PROFILES = venue_profiles()
ALL = pytest.mark.parametrize("profile", PROFILES.values(), ids=list(PROFILES))
TICKS = ["1000", "10", "1", "0.5", "0.1", "0.05", "0.01", "0.001", "0.0001", "0.00001", "0.000001"]
WHOLE = ["1", "10", "1000"]
FIELDS = {  # size and price in the body, and the steps that the venue has
    "bybit": ("qty", "price", TICKS),
    "blofin": ("size", "price", TICKS),
    "kucoin": ("size", "price", WHOLE),
    "mexc": ("vol", "price", WHOLE),
}


class SentError(Exception):
    """What would have left; nothing does."""

    def __init__(self, body: str) -> None:
        super().__init__(body)
        self.body: dict[str, Any] = json.loads(body, parse_float=Decimal)


def client_of(profile: Profile, step: str, tick: str) -> Any:
    credentials = dict.fromkeys(profile.credentials, "x")
    loaded = load(profile.ccxt_id)
    client = loaded.venue_class(
        {"enableRateLimit": False, "options": dict(profile.options), **credentials}
    )
    row = {
        "id": "XUSDT", "symbol": SYMBOL, "base": "X", "quote": "USDT", "settle": "USDT",
        "type": "swap", "spot": False, "swap": True, "linear": True, "inverse": False,
        "contract": True, "option": False, "future": False, "contractSize": 1.0, "active": True,
        "precision": {"amount": client.parse_number(step), "price": client.parse_number(tick)},
        "limits": {}, "info": {},
    }  # fmt: skip
    client.set_markets([row])

    async def fetch(_url: str, _method: str, _headers: object, body: str) -> object:
        raise SentError(body)

    client.fetch = fetch
    return client


def sent(client: Any, words: dict[str, object]) -> dict[str, Any]:
    """The body that would have left."""
    with pytest.raises(SentError) as caught:
        asyncio.run(client.create_order(**words))
    return caught.value.body


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


@ALL
@given(
    data=st.data(),
    tick=st.sampled_from(TICKS),
    lots=st.integers(-(10**7), 10**7).filter(bool),
    ticks=st.integers(1, 10**8),
    zeros=st.integers(0, 3),
)
def test_b14_sizes_and_prices_reach_the_wire_exactly(
    profile: Profile, data: st.DataObject, tick: str, lots: int, ticks: int, zeros: int
) -> None:
    size_field, price_field, steps = FIELDS[profile.exchange]
    step = data.draw(st.sampled_from(steps))
    client = client_of(profile, step, tick)
    size, price = Decimal(step) * lots, Decimal(tick) * ticks
    padded = Decimal(format(size, "f") + ("" if "." in format(size, "f") else ".") + "0" * zeros)
    order = order_of(padded, price)

    assert inexact(order, SYMBOL, client, load(profile.ccxt_id).base_error) is None
    words = unified_order(order, SYMBOL, profile)
    body = sent(client, words)
    assert Decimal(str(body[size_field])) == abs(size)
    assert Decimal(str(body[price_field])) == price
    assert words["side"] == ("buy" if lots > 0 else "sell")


@ALL
@pytest.mark.parametrize("part", ["1.23", "0.1", "0", "-1.5"])
def test_a_size_that_ccxt_would_change_is_refused_before_it_is_sent(
    profile: Profile, part: str
) -> None:
    step = FIELDS[profile.exchange][2][-1]
    client = client_of(profile, step, "0.1")
    size = Decimal(step) * Decimal(part)
    refusal = inexact(order_of(size), SYMBOL, client, load(profile.ccxt_id).base_error)

    assert refusal is not None
    assert refusal.kind == "size"


@ALL
def test_a_price_that_ccxt_would_round_is_refused_before_it_is_sent(profile: Profile) -> None:
    order = order_of(Decimal(10), Decimal("100.05"))
    client = client_of(profile, "1", "0.1")
    refusal = inexact(order, SYMBOL, client, load(profile.ccxt_id).base_error)

    assert refusal is not None
    assert refusal.kind == "price"


@ALL
def test_a14_a_reduction_is_reduce_only_and_an_increase_is_not(profile: Profile) -> None:
    bodies = {
        is_reduction: sent(
            client_of(profile, "1", "0.1"),
            unified_order(order_of(Decimal(1), reduce_only=is_reduction), SYMBOL, profile),
        )
        for is_reduction in (True, False)
    }
    fields = profile.order
    # said by a flag of its own, or by the number of the side
    said = {k: str(body.get(fields.reduce_only, "")).lower() for k, body in bodies.items()}

    assert said[True] in fields.reduces
    assert said[False] not in fields.reduces


@ALL
def test_a22_a_limit_order_is_immediate_or_cancel(profile: Profile) -> None:
    order = order_of(Decimal(-1), Decimal("9.5"))
    words = unified_order(order, SYMBOL, profile)
    body = sent(client_of(profile, "1", "0.1"), words)
    said = {str(value).upper() for value in body.values()}

    assert (words["side"], words["price"]) == ("sell", "9.5")
    assert "IOC" in said or body["type"] == 3  # a venue that numbers its order types
    assert body[profile.order.client_id] == "te1"


ONE, TWO = order_of(Decimal(1)), order_of(Decimal(2), client_id="te2")


@ALL
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
def test_a5_a_reply_without_our_order_s_id_is_unknown(profile: Profile, reply: object) -> None:
    assert isinstance(outcome(ONE, reply, profile), UnknownOutcomeError)


@ALL
def test_each_order_of_a_batch_has_its_own_outcome(profile: Profile) -> None:
    code = WORDS[profile.exchange].codes["margin"]
    told = {profile.batch_code: code, profile.batch_message: 'ab "not" enough'}
    reply = [
        {"id": "x1", "clientOrderId": "te1", "info": {profile.order.order_id: "x1"}},
        {"id": "", "info": told},
    ]
    placed, refused = outcomes([ONE, TWO], Written(result=reply), profile)

    assert placed == PlacedOrder(client_id="te1", order_id="x1")
    assert isinstance(refused, RejectedError)
    assert (refused.kind, refused.code) == ("margin", code)


@ALL
@pytest.mark.parametrize("reply", [[], None, "x", [{"id": "x1"}], {"id": "x1"}])
def test_a_batch_that_was_not_answered_in_full_is_unknown_as_a_whole(
    profile: Profile, reply: object
) -> None:
    found = outcomes([ONE, TWO], Written(result=reply), profile)

    assert [type(one) for one in found] == [UnknownOutcomeError, UnknownOutcomeError]
