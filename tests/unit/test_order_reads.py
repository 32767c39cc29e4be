"""Looking orders up: while they end, and beside rows of other orders that cannot be read."""

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from account_processors import CcxtMarket, venue_profiles
from account_processors.transport.order_reads import OrderReads, ReadRows
from account_processors.transport.profile import Endpoint, Profile, Row
from core.errors import TransientError
from core.model import OrderStatus, PlacedOrder

ALL: dict[str, Profile] = {
    **venue_profiles(),
    **{
        f"{name} copy": profile.copy_trading
        for name, profile in venue_profiles().items()
        if profile.copy_trading is not None
    },
}
WORDS = {False: OrderStatus.OPEN, True: OrderStatus.FILLED}


class EndingOrder:
    """An order that ends between the first list that is read and the next."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._lists_read = 0

    async def rows(
        self, endpoint: Endpoint, query: Mapping[str, object], _what: str
    ) -> tuple[list[Row], int]:
        if endpoint.is_filtered and self._profile.lookup_param in query:
            return [], 0  # the venue's index does not have it yet
        if endpoint is getattr(self._profile.takings, "endpoint", None):
            return [], 0
        has_ended = self._lists_read > 0
        self._lists_read += 1
        # a list without a word for it has both kinds
        is_of_open = self._tells(endpoint) == self._tells(self._profile.open_orders)
        is_of_ended = not is_of_open or "Realtime" in endpoint.method
        return [self._row(has_ended)] if (is_of_ended if has_ended else is_of_open) else [], 0

    def _tells(self, endpoint: Endpoint) -> tuple[str, object]:
        return endpoint.method, endpoint.params.get("status")

    def _row(self, has_ended: bool) -> Row:
        fields = self._profile.order
        word = next(w for w, ours in fields.statuses.items() if ours is WORDS[has_ended])
        return {
            fields.order_id: "7",
            fields.client_id: "te01",
            fields.symbol: "BTC",
            fields.side: next(iter(fields.sides)),
            fields.size: "1",
            fields.filled: "1" if has_ended else "0",
            fields.status: word,
        }


def reads_of(profile: Profile, rows: ReadRows | None = None) -> OrderReads:
    async def id_of(symbol: str) -> str:
        return symbol

    market: Any = SimpleNamespace(id_of=id_of, symbol_of=lambda raw: raw)
    reads = OrderReads(profile, cast("CcxtMarket", market), rows or EndingOrder(profile).rows)
    reads.note(PlacedOrder(client_id="te01", order_id="7"))
    return reads


@pytest.mark.parametrize("name", ALL)
def test_an_order_that_ends_while_the_lists_are_read_is_in_one_of_them(name: str) -> None:
    if not all(end.is_filtered for end in ALL[name].order_lookup):
        assert asyncio.run(reads_of(ALL[name]).one("BTC", "te01")) is not None

    assert [o.order_id for o in asyncio.run(reads_of(ALL[name]).recent("BTC"))] == ["7"]


@pytest.mark.parametrize("name", ALL)
def test_a_row_of_another_order_that_cannot_be_read_hides_none_of_ours(name: str) -> None:
    profile = ALL[name]
    foreign = {profile.order.order_id: "8", profile.order.client_id: "web_1"}

    async def rows(
        endpoint: Endpoint, _query: Mapping[str, object], _what: str
    ) -> tuple[list[Row], int]:
        return [] if endpoint.is_filtered else [foreign], 0

    assert asyncio.run(reads_of(profile, rows).one("BTC", "te01")) is None


@pytest.mark.parametrize("name", [n for n in ALL if not ALL[n].order_lookup[-1].is_filtered])
def test_a_row_that_does_not_tell_whose_it_is_may_be_ours(name: str) -> None:
    async def rows(
        endpoint: Endpoint, _query: Mapping[str, object], _what: str
    ) -> tuple[list[Row], int]:
        return [] if endpoint.is_filtered else [{"anything": 1}], 0

    with pytest.raises(TransientError):
        asyncio.run(reads_of(ALL[name], rows).one("BTC", "te01"))
