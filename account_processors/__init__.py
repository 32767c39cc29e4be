"""Exchange accounts: every module here that has a `PROFILE` is a venue, found by directory.

`open_market` and `open_venue` are the one place that builds them. Importing this package does not
import ccxt; opening a market does, and takes half a second, so open them before the loops start.
"""

import importlib
import pkgutil
from functools import cache

from account_processors.base import Address, CcxtMarket, CcxtVenue, Profile, Transport
from core.errors import ConfigError
from core.settings import AccountConfig

__all__ = [
    "Address",
    "CcxtMarket",
    "CcxtVenue",
    "Transport",
    "address_of",
    "open_market",
    "open_venue",
    "venue_profiles",
]


@cache
def venue_profiles() -> dict[str, Profile]:
    """Give the profile of every venue file, by our name of the exchange."""
    names = sorted(found.name for found in pkgutil.iter_modules(__path__) if not found.ispkg)
    modules = (importlib.import_module(f"{__name__}.{name}") for name in names)
    profiles = (getattr(module, "PROFILE", None) for module in modules)
    return {profile.exchange: profile for profile in profiles if isinstance(profile, Profile)}


def address_of(account: AccountConfig, paper_url: str | None = None) -> Address:
    """Tell where an account's venue is; accounts with the same address share a market.

    `paper_url` is the paper exchange's, without a venue's prefix. Raises ConfigError.
    """
    profile = _profile(account.exchange)
    where = f"credentials.json: account {account.name}"
    if account.base_url:
        return Address(base_url=account.base_url)
    if account.environment == "paper":
        if not paper_url:
            msg = f"environment paper needs a running paper exchange or a base_url ({where})"
            raise ConfigError(msg)
        return Address(base_url=f"{paper_url.rstrip('/')}/{profile.exchange}")
    if account.environment == "demo" and not profile.demo:
        msg = f"{profile.exchange} has no demo trading: use environment paper or live ({where})"
        raise ConfigError(msg)
    return Address(is_demo=account.environment == "demo")


def open_market(exchange: str, address: Address, transport: Transport) -> CcxtMarket:
    """Build the public side of a venue at an address; sends nothing. Raises ConfigError."""
    return CcxtMarket(_profile(exchange), address, transport)


def open_venue(account: AccountConfig, market: CcxtMarket) -> CcxtVenue:
    """Build one account's venue; sends nothing. Raises ConfigError when a key is missing."""
    return CcxtVenue(account, market)


def _profile(exchange: str) -> Profile:
    profile = venue_profiles().get(exchange)
    if profile is None:
        known = ", ".join(venue_profiles())
        msg = f"exchange must be one of {known}, was {exchange} (credentials.json)"
        raise ConfigError(msg)
    return profile
