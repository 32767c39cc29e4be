"""What wizards ask of venues: does this key work, which markets are there. Offline is an answer.

Loads ccxt when it is first asked, and never raises for what a venue or the network does.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from account_processors import Transport, address_of, open_market, venue_profiles
from account_processors.probing import KeyProbe, probe_key
from account_processors.transport.limiter import COMMAND_SHARE, Limiter
from config.account_rows import VenueForm, bare_address
from config.credentials import KeyTest
from core.clock import SteadyClock
from core.errors import ConfigError, TradeEngineError
from core.home import Home
from core.process.service_status import read_status
from core.settings import AccountConfig, load_settings

TITLES: Final = {"bybit": "Bybit", "blofin": "BloFin", "kucoin": "KuCoin", "mexc": "MEXC"}
"""In the order in which they are asked about; others follow."""
TIMEOUT_S: Final = 5.0
"""Seconds a request may take: a person waits."""
DAY_MS: Final = 86_400_000

Markets = Mapping[str, frozenset[str] | None]


def forms() -> tuple[VenueForm, ...]:
    """Describe what each venue asks of an account."""
    profiles = venue_profiles()
    names = [
        *(name for name in TITLES if name in profiles),
        *(n for n in profiles if n not in TITLES),
    ]
    return tuple(
        VenueForm(
            exchange=name,
            title=TITLES.get(name, name.capitalize()),
            has_passphrase="api_passphrase" in profiles[name].credentials.values(),
            has_demo=bool(profiles[name].demo),
        )
        for name in names
    )


@dataclass(slots=True)
class Venues:
    """The venues of one home, as its accounts reach them; asked once."""

    home: Home
    say: Callable[[str], object] = lambda _text: None  # a person waits
    _markets: Markets | None = field(default=None, init=False)

    def test_key(self, account: AccountConfig) -> KeyTest:
        """Try an account's key."""
        probe = asyncio.run(probe_key(account, paper_url=self._paper_url, timeout_s=TIMEOUT_S))
        is_paper = account.environment == "paper"
        return said_of(probe, time.time_ns() // 1_000_000, is_paper=is_paper)

    def markets(self) -> Markets:
        """Give the symbols that each enabled account's venue lists; None = it did not answer."""
        if self._markets is None:
            try:
                accounts = [row for row in load_settings(self.home).accounts if row.enabled]
            except ConfigError:
                accounts = []
            if accounts:
                self.say("  Looking what the exchanges list ...")
            self._markets = asyncio.run(_listed(accounts, self._paper_url))
        return self._markets

    @property
    def _paper_url(self) -> str | None:
        return read_status(self.home, "paper-exchange").get("url")


def said_of(probe: KeyProbe, now_ms: int, *, is_paper: bool = False) -> KeyTest:
    """Say in one line what came of trying a key; one that may not trade has failed."""
    if probe.error:
        return KeyTest(is_ok=False, text=probe.error)
    facts = probe.facts
    said = [] if probe.equity_usdt is None else [f"equity {probe.equity_usdt:f} USDT"]
    if facts.can_trade is False:
        said.append("this key may NOT trade: give it the right to trade futures")
    if is_paper:
        return KeyTest(is_ok=facts.can_trade is not False, text="; ".join(said) or "the key works")
    if facts.can_withdraw:
        said.append("WARNING: it may withdraw, make a key that may not")
    if facts.expires_at_ms is not None:
        said.append(_end_of(facts.expires_at_ms - now_ms))
    if facts.allowed_ips == ():
        said.append("it works from every address, better limit it to this machine's")
    return KeyTest(is_ok=facts.can_trade is not False, text="; ".join(said) or "the key works")


def _end_of(left_ms: int) -> str:
    days = abs(left_ms) // DAY_MS
    span = "1 day" if days == 1 else f"{days} days"
    if left_ms > 0:
        return f"it expires in {span}" if days else "it expires within a day"
    return f"it expired {span if days else 'less than a day'} ago: make a new one"


async def _listed(accounts: Iterable[AccountConfig], paper_url: str | None) -> Markets:
    clock = SteadyClock()
    limiter = Limiter(clock, share=COMMAND_SHARE)
    transport = Transport(clock=clock, limiter=limiter, timeout_s=TIMEOUT_S)
    # one account a venue and environment is enough: they list the same
    chosen = {_label(account): account for account in accounts}
    try:
        found = await asyncio.gather(
            *(_symbols(account, paper_url, transport) for account in chosen.values())
        )
    finally:
        await transport.close()
    return dict(zip(chosen, found, strict=True))


async def _symbols(
    account: AccountConfig, paper_url: str | None, transport: Transport
) -> frozenset[str] | None:
    try:
        market = open_market(account.exchange, address_of(account, paper_url), transport)
    except TradeEngineError:
        return None
    try:
        async with asyncio.timeout(2 * TIMEOUT_S):
            return frozenset(await market.fetch_instruments())
    except (TradeEngineError, TimeoutError):
        return None
    finally:
        await market.close()


def _label(account: AccountConfig) -> str:
    """Name a venue as its account reaches it."""
    where = bare_address(account.base_url) if account.base_url else account.environment
    return f"{account.exchange} ({where})"
