"""Reading positions: accounts fail alone, and a failed account is a row."""

import asyncio
from collections.abc import Collection, Mapping
from decimal import Decimal

import pytest

from commands.position_reading import OpenAccount, Readable, read_rows
from core.errors import (
    ClockSkewError,
    CredentialsError,
    RateLimitedError,
    TradeEngineError,
    TransientError,
)
from core.model import (
    AccountMode,
    Instrument,
    Position,
    PositionsRead,
    Ticker,
)
from core.ports import Market
from core.settings import AccountConfig

INSTRUMENT = Instrument(
    symbol="BTCUSDT",
    step_lots=Decimal("0.001"),
    min_lots=Decimal("0.001"),
    max_market_lots=None,
    min_notional_usdt=Decimal(5),
    contract_size=Decimal(1),
    tick_size=Decimal("0.1"),
    max_leverage=Decimal(100),
    leverage_step=Decimal("0.01"),
)


class FakeMarket:
    def __init__(self, error: TradeEngineError | None = None) -> None:
        self.error = error
        self.asked: set[str] = set()

    async def fetch_instruments(self) -> Mapping[str, Instrument]:
        if self.error is not None:
            raise self.error
        return {"BTCUSDT": INSTRUMENT}

    async def fetch_tickers(self, symbols: Collection[str]) -> Mapping[str, Ticker]:
        if self.error is not None:
            raise self.error
        self.asked |= set(symbols)
        ticker = Ticker(
            symbol="BTCUSDT",
            mark_price=Decimal(50_000),
            last_price=None,
            bid_price=None,
            ask_price=None,
            read_at_ms=1,
        )
        return {"BTCUSDT": ticker}


class FakeVenue:
    """An account that holds `lots` of one symbol, or cannot be read."""

    def __init__(
        self,
        lots: str = "0",
        *,
        connect: TradeEngineError | None = None,
        read: TradeEngineError | None = None,
    ) -> None:
        self.lots = Decimal(lots)
        self.connect_error = connect
        self.read_error = read

    async def connect(self) -> AccountMode:
        if self.connect_error is not None:
            raise self.connect_error
        return AccountMode(margin_mode=None, is_hedged=False)

    async def fetch_positions(self) -> PositionsRead:
        await asyncio.sleep(0)
        if self.read_error is not None:
            raise self.read_error
        held = Position(symbol="BTCUSDT", size_lots=self.lots)
        return PositionsRead(began_at_ms=1, positions={"BTCUSDT": held} if self.lots else {})


def opened(name: str, venue: Readable, market: Market | None = None) -> OpenAccount:
    account = AccountConfig(name=name, exchange="bybit", environment="paper")
    return OpenAccount(account=account, venue=venue, market=market or FakeMarket())


@pytest.mark.parametrize(
    ("venue", "error"),
    [
        (FakeVenue(connect=CredentialsError("key expired")), "CredentialsError: key expired"),
        (FakeVenue(read=TransientError("timed out")), "TransientError: timed out"),
        (FakeVenue(read=RateLimitedError("slow down")), "RateLimitedError: slow down"),
    ],
)
async def test_a1_a_failed_account_is_a_row_and_the_others_are_read(
    venue: FakeVenue, error: str
) -> None:
    found = await read_rows([opened("bad", venue), opened("good", FakeVenue("0.1"))], {})

    assert found[0] == {"account": "bad", "error": error}
    assert (found[1]["account"], found[1]["size_lots"]) == ("good", "0.1")
    assert found[1]["notional_usdt"] == "5000.0"


async def test_an_account_whose_clock_is_off_can_still_be_read() -> None:
    (row,) = await read_rows([opened("a", FakeVenue("1", connect=ClockSkewError("9 s")))], {})

    assert row["size_lots"] == "1"


async def test_each_account_has_its_own_targets() -> None:
    targets = {"b": {"BTCUSDT": Decimal("0.3")}}
    found = await read_rows([opened("a", FakeVenue("1")), opened("b", FakeVenue())], targets)

    assert [(row["account"], row["size_lots"], row["target_lots"]) for row in found] == [
        ("a", "1", None),
        ("b", "0", "0.3"),
    ]


async def test_prices_and_steps_that_cannot_be_read_are_null() -> None:
    market = FakeMarket(TransientError("down"))
    (row,) = await read_rows([opened("a", FakeVenue("1"), market)], {})

    assert (row["size_lots"], row["size_base"], row["mark_price"]) == ("1", None, None)


async def test_an_account_with_nothing_held_or_wanted_asks_for_no_prices() -> None:
    market = FakeMarket()

    assert await read_rows([opened("a", FakeVenue(), market)], {"a": {"X": Decimal(0)}}) == []
    assert market.asked == set()
