"""What became of the orders of a batch, by the rows of a reply that was called a failure."""

import json

import pytest

from account_processors import venue_profiles
from account_processors.transport.caller import Written
from account_processors.transport.classify import Failure, classify
from account_processors.transport.placing import Outcome, outcomes
from account_processors.transport.profile import Profile
from core.errors import RejectedError, UnknownOutcomeError
from core.model import PlacedOrder
from tests.contract.venue_cases import order

BATCHED = {
    name: one for name, one in venue_profiles().items() if one.batch_size > 1 and one.wrappers
} | {"kucoin": venue_profiles()["kucoin"]}


def after_failure(profile: Profile, outer: str, rows: list[dict[str, str]]) -> list[Outcome]:
    """What is made of three orders when ccxt raised over this reply."""
    envelope = {profile.code_field: outer, profile.order_rows[0]: rows}
    failure = Failure(names=("ExchangeError",), text=json.dumps(envelope), is_write=True)
    error = classify(failure, profile).error
    orders = [order(f"te0{n}") for n in (1, 2, 3)]
    return outcomes(orders, Written(envelope=envelope, error=error), profile)


def refused(profile: Profile) -> dict[str, str]:
    code = profile.codes["margin"].split()[0]
    return {profile.batch_code: code, profile.batch_message: "no margin"}


def taken(profile: Profile, client_id: str) -> dict[str, str]:
    return {
        "orderId": "7",
        profile.order.client_id: client_id,
        profile.batch_code: profile.success[1],
    }


@pytest.mark.parametrize("venue", BATCHED)
def test_orders_that_were_taken_in_a_batch_that_failed_are_placed(venue: str) -> None:
    profile = BATCHED[venue]
    outer = min(profile.wrappers, default=profile.success[1])
    rows = [taken(profile, "te01"), refused(profile), taken(profile, "te03")]
    found = after_failure(profile, outer, rows)

    assert [type(one) for one in found] == [PlacedOrder, RejectedError, PlacedOrder]


@pytest.mark.parametrize("venue", BATCHED)
def test_a5_rows_for_some_of_the_orders_refuse_none_of_them(venue: str) -> None:
    profile = BATCHED[venue]
    outer = min(profile.wrappers, default=profile.success[1])
    found = after_failure(profile, outer, [refused(profile)])

    assert [type(one) for one in found] == [UnknownOutcomeError] * 3


@pytest.mark.parametrize("venue", BATCHED)
def test_a_batch_that_was_refused_as_a_whole_is_refused(venue: str) -> None:
    profile = BATCHED[venue]
    found = after_failure(profile, profile.codes["other"].split()[0], [])

    assert [type(one) for one in found] == [RejectedError] * 3
