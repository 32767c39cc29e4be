"""A venue takes one file and one wire, and nothing else changes: shown with an invented one."""

import sys
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import SecretStr

import account_processors
import paper_exchange.wires
from account_processors import CcxtVenue, Transport, address_of, open_market, open_venue
from account_processors.transport.limiter import Limiter
from core.clock import SystemClock
from core.errors import RejectedError, UnknownOutcomeError
from core.model import OrderRequest, OrderStatus, PlacedOrder
from core.settings import AccountConfig
from paper_exchange.accounts import PaperAccount
from paper_exchange.server import PaperServer
from tests.contract.invented.library import acme

HERE = Path(__file__).resolve().parent / "invented"


@pytest.fixture(autouse=True)
def two_files(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put the two files into their folders, for as long as a test runs."""
    library = ModuleType("ccxt.async_support.acme")
    monkeypatch.setattr(library, "acme", acme, raising=False)
    monkeypatch.setitem(sys.modules, library.__name__, library)
    ours, theirs = HERE / "account_processors", HERE / "wires"
    monkeypatch.setattr(account_processors, "__path__", [*account_processors.__path__, str(ours)])
    wires = [*paper_exchange.wires.__path__, str(theirs)]
    monkeypatch.setattr(paper_exchange.wires, "__path__", wires)
    account_processors.venue_profiles.cache_clear()
    yield
    account_processors.venue_profiles.cache_clear()
    for name in ("account_processors.acme", "paper_exchange.wires.acme"):
        sys.modules.pop(name, None)


@pytest.fixture
async def server() -> AsyncIterator[PaperServer]:
    account = PaperAccount(name="main", exchange="acme", api_key="K", api_secret="S")
    async with PaperServer(accounts=[account]) as running:
        running.pin(BTCUSDT="60000", ETHUSDT="3000")
        yield running


@pytest.fixture
async def venue(server: PaperServer) -> AsyncIterator[CcxtVenue]:
    account = AccountConfig.model_validate(
        {
            "name": "main", "exchange": "acme", "environment": "paper",
            "api_key": SecretStr("K"), "api_secret": SecretStr("S"),
        }
    )  # fmt: skip
    clock = SystemClock()
    transport = Transport(clock=clock, limiter=Limiter(clock), timeout_s=0.5)
    market = open_market("acme", address_of(account, server.url), transport)
    opened = open_venue(account, market)
    await opened.connect()
    yield opened
    await opened.close()
    await market.close()
    await transport.close()


def order(client_id: str, lots: int, *, reduce_only: bool = False) -> OrderRequest:
    return OrderRequest(
        client_id=client_id,
        symbol="BTCUSDT",
        size_lots=Decimal(lots),
        reduce_only=reduce_only,
        limit_price=None,
    )


def held(server: PaperServer) -> Decimal:
    return Decimal(server.truth("main")["sizes"].get("BTCUSDT", "0"))


def test_it_takes_two_files_and_no_venue_is_named_elsewhere() -> None:
    files = {path.relative_to(HERE).as_posix() for path in HERE.rglob("*.py")}

    assert files == {"__init__.py", "library.py", "account_processors/acme.py", "wires/acme.py"}


async def test_it_opens_reduces_and_closes(venue: CcxtVenue, server: PaperServer) -> None:
    (opened,) = await venue.place_orders([order("te1", -3)])
    await venue.place_orders([order("te2", 1, reduce_only=True)])
    read = await venue.fetch_positions()

    assert isinstance(opened, PlacedOrder)
    assert read.size_lots("BTCUSDT") == held(server) == -2
    await venue.place_orders([order("te3", 5, reduce_only=True)])
    assert held(server) == 0
    assert (await venue.fetch_positions()).positions == {}


async def test_money_leverage_and_prices_are_read(venue: CcxtVenue) -> None:
    await venue.set_leverage("BTCUSDT", Decimal(7))
    await venue.place_orders([order("te1", 10)])
    equity, read = await venue.fetch_equity(), await venue.fetch_positions()
    tickers = await venue._market.fetch_tickers(["BTCUSDT", "ETHUSDT"])

    assert equity.used_margin_usdt is not None
    assert round(equity.used_margin_usdt, 6) == round(Decimal(6000) / 7, 6)
    assert read.positions["BTCUSDT"].leverage == 7
    assert tickers["ETHUSDT"].mark_price == 3000


async def test_a5_an_order_without_an_answer_is_unknown_then_found(
    venue: CcxtVenue, server: PaperServer
) -> None:
    server.add_fault("drop_after", method="POST", endpoint="/v1/orders", count=1)
    (outcome,) = await venue.place_orders([order("te1", 2)])
    state = await venue.fetch_order("BTCUSDT", "te1")

    assert isinstance(outcome, UnknownOutcomeError)
    assert state is not None
    assert (state.status, state.filled_lots) == (OrderStatus.FILLED, Decimal(2))
    assert await venue.fetch_order("BTCUSDT", "te2") is None


@pytest.mark.parametrize(
    ("code", "kind"), [("E5", "margin"), ("E6", "nothing_to_reduce"), ("E7", "duplicate_id")]
)
async def test_its_refusals_are_understood(
    venue: CcxtVenue, server: PaperServer, code: str, kind: str
) -> None:
    server.add_fault("reject_order", code=code)
    (outcome,) = await venue.place_orders([order("te1", 2)])

    assert isinstance(outcome, RejectedError)
    assert (outcome.kind, outcome.code) == (kind, code)


async def test_a_code_that_nobody_described_leaves_the_order_unknown(
    venue: CcxtVenue, server: PaperServer
) -> None:
    server.add_fault("reject_order", code="E77")
    (outcome,) = await venue.place_orders([order("te1", 2)])

    assert isinstance(outcome, UnknownOutcomeError)
