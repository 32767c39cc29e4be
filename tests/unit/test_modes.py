"""What an order says of modes, where the venue does not tell them."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import pytest

from account_processors import venue_profiles
from account_processors.transport.caller import Answer
from account_processors.transport.modes import Modes
from account_processors.transport.profile import Endpoint, Profile, Row
from core.errors import NotPlacedError, TransientError
from tests.contract.venue_cases import order

BEARING = {name: one for name, one in venue_profiles().items() if one.orders_bear_mode}
TOLD = {name: one for name, one in BEARING.items() if one.flat_margin_mode is None}


def modes_of(profile: Profile, envelope: Row | None) -> Modes:
    """Modes of an account whose venue answers so; None = it does not answer."""

    async def read(_endpoint: Endpoint, _query: Mapping[str, object]) -> Answer:
        if envelope is None:
            raise TransientError("no answer")
        return Answer(envelope=envelope, began_at_ms=0, headers={})

    async def id_of(symbol: str) -> str:
        return symbol

    return Modes(profile, read, id_of)


@pytest.mark.parametrize("venue", venue_profiles())
def test_a1_a_reply_that_tells_no_mode_is_a_failed_read(venue: str) -> None:
    with pytest.raises(TransientError):
        asyncio.run(modes_of(venue_profiles()[venue], {}).read_account())


@pytest.mark.parametrize("envelope", [None, {}], ids=["no-answer", "says-nothing"])
@pytest.mark.parametrize("venue", TOLD)
def test_a_margin_mode_that_is_not_known_opens_nothing_and_holds_up_no_reduction(
    venue: str, envelope: Row | None
) -> None:
    modes = modes_of(TOLD[venue], envelope)
    with pytest.raises(NotPlacedError, match="margin mode"):
        asyncio.run(modes.completed(order()))
    closing = order(size="-0.01", reduce_only=True)

    assert asyncio.run(modes.completed(closing)) == closing


@pytest.mark.parametrize("venue", BEARING)
def test_a_margin_mode_that_the_order_bears_is_not_asked_for(venue: str) -> None:
    asked = replace(order(), margin_mode="cross")

    assert asyncio.run(modes_of(BEARING[venue], None).completed(asked)) == asked
