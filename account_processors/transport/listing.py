"""What a venue lists: instruments by our symbol, and the names that ccxt and the venue use."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from account_processors.transport.profile import Profile
from account_processors.transport.raw_client import RawClient
from account_processors.transport.rows import read_instrument
from core.errors import TransientError
from core.model import Instrument

QUOTE: Final = "USDT"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One reading of a venue's instruments; `client` is the ccxt instance that holds it."""

    client: RawClient
    instruments: Mapping[str, Instrument]
    symbols: Mapping[str, str]  # the venue's id: our symbol
    ccxt_symbols: Mapping[str, str]  # our symbol: ccxt's
    read_at_ms: int  # monotonic


def read_listing(client: RawClient, profile: Profile, read_at_ms: int) -> Listing:
    """Read the linear USDT perpetuals out of ccxt's markets, from their raw rows.

    Raises TransientError when there is none: no venue lists nothing.
    """
    instruments: dict[str, Instrument] = {}
    symbols: dict[str, str] = {}
    ccxt_symbols: dict[str, str] = {}
    for market in (client.markets or {}).values():
        row = market.get("info")
        if not _is_ours(market) or not isinstance(row, Mapping):
            continue
        symbol = f"{market.get('base')}{market.get('quote')}"
        instrument = read_instrument(row, profile.instrument, symbol)
        if instrument is None:
            log.warning("an instrument cannot be read", extra={"symbol": symbol})
            continue
        if symbol in instruments and instruments[symbol].is_trading:
            continue  # a second contract of the same pair, before its launch
        instruments[symbol] = instrument
        symbols[str(market.get("id"))] = symbol
        ccxt_symbols[symbol] = str(market.get("symbol"))
    if not instruments:
        msg = f"{profile.exchange}: the reply lists no USDT perpetual: it was not read"
        raise TransientError(msg)
    return Listing(
        client=client,
        instruments=instruments,
        symbols=symbols,
        ccxt_symbols=ccxt_symbols,
        read_at_ms=read_at_ms,
    )


def _is_ours(market: Mapping[str, object]) -> bool:
    is_linear_swap = bool(market.get("swap")) and bool(market.get("linear"))
    return is_linear_swap and market.get("quote") == QUOTE and market.get("settle") == QUOTE
