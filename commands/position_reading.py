"""Reads accounts' positions from their venues; each account fails or succeeds alone."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from commands.position_rows import Row, failed_row, rows
from core.errors import ClockSkewError, TradeEngineError
from core.model import AccountMode, Instrument, PositionsRead, Ticker
from core.ports import Market
from core.settings import AccountConfig

Targets = Mapping[str, Decimal | None]


class Readable(Protocol):
    """What is needed of a `Venue` to read its positions."""

    async def connect(self) -> AccountMode:
        """Make ready."""
        ...

    async def fetch_positions(self) -> PositionsRead:
        """Read all positions."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAccount:
    """An account with what is needed to read it."""

    account: AccountConfig
    venue: Readable
    market: Market


async def read_rows(opened: Sequence[OpenAccount], targets: Mapping[str, Targets]) -> list[Row]:
    """Read all accounts at once; one that fails gives a row {account, error}."""
    read = await asyncio.gather(
        *(_read_account(one, targets.get(one.account.name, {})) for one in opened)
    )
    return [row for found in read for row in found]


async def _read_account(one: OpenAccount, targets: Targets) -> list[Row]:
    try:
        with suppress(ClockSkewError):  # then it opens nothing, but it can be read
            await one.venue.connect()
        read = await one.venue.fetch_positions()
    except TradeEngineError as error:
        return [failed_row(one.account.name, f"{type(error).__name__}: {error}")]
    symbols = {*read.positions, *read.unreadable, *(name for name, lots in targets.items() if lots)}
    if not symbols:
        return []
    instruments, tickers = await asyncio.gather(
        _instruments(one.market), _tickers(one.market, symbols)
    )
    return rows(one.account, read, targets, instruments, tickers)


async def _instruments(market: Market) -> Mapping[str, Instrument]:
    try:
        return await market.fetch_instruments()
    except TradeEngineError:
        return {}  # sizes in base coin are unknown then: null


async def _tickers(market: Market, symbols: set[str]) -> Mapping[str, Ticker]:
    try:
        return await market.fetch_tickers(symbols)
    except TradeEngineError:
        return {}  # marks are unknown then, where the position does not tell its own
