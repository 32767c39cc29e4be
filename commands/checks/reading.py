"""Reads what the check of accounts judges: each account alone, all at once, writes nothing.

Importing this loads what talks to venues: do it only where one is asked.
"""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import cast

from account_processors.probing import PATIENCE, KeyProbe, Probed, read_key
from commands.checks.accounts import AccountSeen, judge_account
from commands.checks.findings import Finding, Place
from commands.checks.markets import MarketsSeen, judge_markets, wanted_markets
from commands.opened_accounts import open_venues
from commands.position_reading import OpenAccount
from core.control import Control
from core.errors import TradeEngineError
from core.home import Home
from core.settings import Settings


async def check_accounts(
    home: Home, settings: Settings, control: Control, *, now_ms: int, allows_withdrawal: bool
) -> list[Finding]:
    """Read and judge all accounts of the settings; a disabled one is named and left alone."""
    wanted = wanted_markets(settings)
    symbols = {market.symbol for market in wanted}
    timeout_s = float(settings.engine.engine.request_timeout_s)
    async with open_venues(home, settings) as (opened, failed):
        read = await asyncio.gather(*(_read(one, symbols, timeout_s) for one in opened))
    found = _not_read(settings, failed)
    for one, (probe, _) in zip(opened, read, strict=True):
        armed = control.is_armed(one.account)
        seen = AccountSeen(account=one.account, probe=probe, is_armed=armed)
        judged = judge_account(seen, now_ms=now_ms, allows_withdrawal=allows_withdrawal)
        found[one.account.name] = list(judged)
    for finding in judge_markets((markets for _, markets in read), wanted):
        found[finding.where].append(finding)
    return [row for account in settings.accounts for row in found.get(account.name, ())]


def _not_read(settings: Settings, failed: Sequence[dict[str, object]]) -> dict[str, list[Finding]]:
    """Say why the others are not read, by account."""
    found: dict[str, list[Finding]] = {}
    for account in settings.accounts:
        place = Place(where=account.name)
        if not account.enabled:
            found[account.name] = [place.ok("account", "disabled: not looked at")]
    for row in failed:
        name = str(row["account"])
        found[name] = [Place(where=name).fail("account", str(row["error"]))]
    return found


async def _read(
    one: OpenAccount, symbols: Collection[str], timeout_s: float
) -> tuple[KeyProbe, MarketsSeen]:
    venue = cast("Probed", one.venue)  # `open_venues` opens whole ones only
    probe = await read_key(venue, timeout_s=timeout_s)
    seen = MarketsSeen(
        account=one.account, equity_usdt=probe.equity_usdt, instruments=None, tickers={}
    )
    if probe.error and not probe.is_refused:
        return probe, replace(seen, error="not read, as the venue did not answer")
    try:
        async with asyncio.timeout(PATIENCE * timeout_s):
            instruments = await one.market.fetch_instruments()
            tickers = await one.market.fetch_tickers(symbols) if symbols else {}
    except TimeoutError:
        return probe, replace(seen, error="no answer in time")
    except TradeEngineError as error:
        return probe, replace(seen, error=str(error))
    return probe, replace(seen, instruments=instruments, tickers=tickers)
