"""Asks a venue about one API key, once, and tells what it said: for wizards and checks.

Reads only: no order, no setting. Whatever the venue or the network says becomes a text of the
probe, never an exception; it never stays longer than `PATIENCE` times the time-out.
"""

import asyncio
from collections.abc import Awaitable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final, Protocol, TypeVar

from account_processors import Transport, address_of, open_market, open_venue
from account_processors.transport.limiter import COMMAND_SHARE, Limiter
from core.clock import SteadyClock
from core.errors import ClockSkewError, CredentialsError, TradeEngineError
from core.model import AccountMode, Equity, KeyFacts
from core.settings import AccountConfig

Read = TypeVar("Read")
PATIENCE: Final = 4  # clock, listing, modes, equity and rights follow each other


class Probed(Protocol):
    """What is needed of a venue to probe its key."""

    @property
    def account_mode(self) -> AccountMode | None:
        """Modes as read last."""
        ...

    @property
    def skew_ms(self) -> int:
        """The venue's clock minus ours."""
        ...

    async def connect(self) -> AccountMode:
        """Make ready."""
        ...

    async def fetch_equity(self) -> Equity:
        """Read the money."""
        ...

    async def fetch_key_facts(self) -> KeyFacts:
        """Read the key's rights."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyProbe:
    """What came of asking; None = not known."""

    error: str = ""  # why the account cannot be read; "" = the key works
    is_refused: bool = False  # the venue refused the key itself; else trying again may help
    equity_usdt: Decimal | None = None
    free_margin_usdt: Decimal | None = None
    facts: KeyFacts = field(default_factory=KeyFacts)
    facts_error: str = ""  # why the rights could not be read, where the venue does tell them
    mode: AccountMode | None = None
    skew_ms: int | None = None  # the venue's clock minus ours


async def probe_key(account: AccountConfig, *, paper_url: str | None, timeout_s: float) -> KeyProbe:
    """Open the account's venue, read modes, equity and the key's rights, close it; never raise.

    `paper_url` is the paper exchange's, without a venue's prefix; None = it does not run.
    """
    clock = SteadyClock()
    limiter = Limiter(clock, share=COMMAND_SHARE)
    transport = Transport(clock=clock, limiter=limiter, timeout_s=timeout_s)
    async with AsyncExitStack() as closing:
        closing.push_async_callback(transport.close)
        try:
            market = open_market(account.exchange, address_of(account, paper_url), transport)
            closing.push_async_callback(market.close)
            venue = open_venue(account, market)
        except TradeEngineError as error:
            return KeyProbe(error=str(error))
        closing.push_async_callback(venue.close)
        return await read_key(venue, timeout_s=timeout_s)


async def read_key(venue: Probed, *, timeout_s: float) -> KeyProbe:
    """Read one opened account's modes, equity and the key's rights; never raise.

    Clocks that differ are no error: `skew_ms` tells it.
    """
    try:
        async with asyncio.timeout(PATIENCE * timeout_s):
            return await _read(venue)
    except TimeoutError:
        return KeyProbe(error=f"no answer within {PATIENCE * timeout_s:g} s: is it reachable?")
    except TradeEngineError as error:
        return KeyProbe(error=str(error), is_refused=isinstance(error, CredentialsError))


async def _read(venue: Probed) -> KeyProbe:
    with suppress(ClockSkewError):  # the modes were read all the same
        await venue.connect()
    equity, facts = await asyncio.gather(
        _asked(venue.fetch_equity()), _asked(venue.fetch_key_facts())
    )
    probe = KeyProbe(mode=venue.account_mode, skew_ms=venue.skew_ms)
    if isinstance(facts, TradeEngineError):
        probe = replace(probe, facts_error=str(facts))
    else:
        probe = replace(probe, facts=facts)
    if isinstance(equity, TradeEngineError):
        return replace(probe, error=str(equity), is_refused=isinstance(equity, CredentialsError))
    return replace(probe, equity_usdt=equity.equity_usdt, free_margin_usdt=equity.free_margin_usdt)


async def _asked(reading: Awaitable[Read]) -> Read | TradeEngineError:
    try:
        return await reading
    except TradeEngineError as error:
        return error
