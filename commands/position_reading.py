"""Reads accounts' positions from their venues; each account fails or succeeds alone."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
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
    mode: AccountMode | None = None
    try:
        with suppress(ClockSkewError):  # then it opens nothing, but it can be read
            mode = await one.venue.connect()
        read = _with_account_mode(await one.venue.fetch_positions(), mode)
    except TradeEngineError as error:
        return [failed_row(one.account.name, f"{type(error).__name__}: {error}")]
    symbols = {*read.positions, *read.unreadable, *(name for name, lots in targets.items() if lots)}
    if not symbols:
        return []
    instruments, tickers = await asyncio.gather(
        _instruments(one.market), _tickers(one.market, symbols)
    )
    return rows(one.account, read, targets, instruments, tickers)


def _with_account_mode(read: PositionsRead, mode: AccountMode | None) -> PositionsRead:
    """Fill in the margin mode where the venue keeps one for the whole account."""
    if mode is None or mode.margin_mode is None:
        return read
    filled = {
        symbol: replace(row, margin_mode=row.margin_mode or mode.margin_mode)
        for symbol, row in read.positions.items()
    }
    return replace(read, positions=filled)


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
