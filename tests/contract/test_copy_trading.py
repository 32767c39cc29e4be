"""A lead trader's copy-trading account of its own: other paths, no client ids."""

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from pydantic import SecretStr

from account_processors import CcxtVenue, Transport, address_of, open_market, open_venue
from account_processors.transport.limiter import Limiter
from core.clock import SystemClock
from core.errors import ConfigError, RejectedError, UnknownOutcomeError
from core.model import OrderRequest, OrderStatus, PlacedOrder
from core.settings import AccountConfig
from paper_exchange.accounts import PaperAccount
from paper_exchange.server import PaperServer

LEAD = PaperAccount(
    name="lead",
    exchange="blofin",
    api_key="KEYLEAD",
    api_secret="SECRETLEAD",
    api_passphrase="PASS",
)
BTC, TWENTY = "BTCUSDT", Decimal(20)  # contracts of 0.001 BTC
PLACE = "/api/v1/copytrading/trade/place-order"
CLOSE = "/api/v1/copytrading/trade/close-position-by-contract"


def account_of(exchange: str = "blofin") -> AccountConfig:
    return AccountConfig.model_validate(
        {
            "name": "lead", "exchange": exchange, "environment": "paper", "copy_trading": True,
            "api_key": SecretStr("KEYLEAD"), "api_secret": SecretStr("SECRETLEAD"),
            "api_passphrase": SecretStr("PASS"),
        }
    )  # fmt: skip


@pytest.fixture
async def server() -> AsyncIterator[PaperServer]:
    async with PaperServer(accounts=[LEAD]) as running:
        running.pin(BTCUSDT="60000", ETHUSDT="3000")
        yield running


@pytest.fixture
async def venue(server: PaperServer) -> AsyncIterator[CcxtVenue]:
    clock = SystemClock()
    transport = Transport(clock=clock, limiter=Limiter(clock), timeout_s=0.5)
    market = open_market("blofin", address_of(account_of(), server.url), transport)
    opened = open_venue(account_of(), market)
    await opened.connect()
    server.forget_requests()
    yield opened
    await opened.close()
    await market.close()
    await transport.close()


def order(client_id: str, lots: Decimal, *, reduce_only: bool = False) -> OrderRequest:
    return OrderRequest(
        client_id=client_id,
        symbol=BTC,
        size_lots=lots,
        reduce_only=reduce_only,
        limit_price=None,
        leverage=Decimal(5),
    )


def held(server: PaperServer) -> Decimal:
    return Decimal(server.truth("lead-copy")["sizes"].get(BTC, "0"))


async def test_it_opens_in_the_copy_account_and_not_in_the_ordinary_one(
    venue: CcxtVenue, server: PaperServer
) -> None:
    await venue.set_leverage(BTC, Decimal(5))
    (placed,) = await venue.place_orders([order("te1", -TWENTY)])
    read = await venue.fetch_positions()

    assert isinstance(placed, PlacedOrder)
    assert held(server) == read.size_lots(BTC) == -TWENTY
    assert server.truth("lead")["sizes"] == {}
    assert all("/copytrading/" in row.path for row in server.requests())


async def test_a14_a_reduction_goes_where_nothing_can_be_opened(
    venue: CcxtVenue, server: PaperServer
) -> None:
    await venue.place_orders([order("te1", TWENTY)])
    await venue.place_orders([order("te2", Decimal(-5), reduce_only=True)])
    await venue.place_orders([order("te3", Decimal(-99), reduce_only=True)])
    (nothing,) = await venue.place_orders([order("te4", Decimal(-1), reduce_only=True)])

    assert held(server) == 0
    assert [row.path for row in server.requests()] == [PLACE, CLOSE, CLOSE, CLOSE]
    assert isinstance(nothing, RejectedError)
    assert nothing.kind == "nothing_to_reduce"


async def test_an_order_is_found_again_by_the_id_that_the_venue_gave_it(venue: CcxtVenue) -> None:
    await venue.place_orders([order("te1", TWENTY)])
    found, stranger = await venue.fetch_order(BTC, "te1"), await venue.fetch_order(BTC, "te2")

    assert found is not None
    assert (found.client_id, found.status) == ("te1", OrderStatus.FILLED)
    assert found.filled_lots == TWENTY
    assert stranger is None


async def test_a5_an_order_without_an_answer_is_unknown_and_sent_once(
    venue: CcxtVenue, server: PaperServer
) -> None:
    server.add_fault("drop_after", endpoint=PLACE, count=1)
    (outcome,) = await venue.place_orders([order("te1", TWENTY)])

    assert isinstance(outcome, UnknownOutcomeError)
    assert [row.path for row in server.requests()] == [PLACE]
    assert held(server) == TWENTY  # the position tells, as no look-up can


async def test_a_resting_order_is_cancelled_by_its_id(
    venue: CcxtVenue, server: PaperServer
) -> None:
    server.add_fault("fill_delay", ms=60_000)
    await venue.place_orders([order("te1", TWENTY)])
    await venue.cancel_order(BTC, "te1")
    found = await venue.fetch_order(BTC, "te1")

    assert found is not None
    assert found.status is OrderStatus.CANCELED


@pytest.mark.parametrize("exchange", ["kucoin", "mexc", "bybit"])
def test_a_venue_without_such_accounts_says_so(exchange: str) -> None:
    account = account_of(exchange)
    clock = SystemClock()
    transport = Transport(clock=clock, limiter=Limiter(clock))
    market = open_market(exchange, address_of(account, "http://127.0.0.1:1"), transport)

    with pytest.raises(ConfigError, match="copy_trading must be false"):
        open_venue(account, market)
