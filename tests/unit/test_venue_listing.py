"""Which of a venue's instruments are ours, and under which name."""

from typing import Any

import pytest

from account_processors.bybit import PROFILE
from account_processors.transport.listing import Listing, read_listing
from core.errors import TransientError

ROW = {
    "status": "Trading",
    "lotSizeFilter": {"qtyStep": "0.001", "minOrderQty": "0.001", "minNotionalValue": "5"},
    "priceFilter": {"tickSize": "0.1"},
    "leverageFilter": {"maxLeverage": "100", "leverageStep": "0.01"},
}


class Listed:
    """As a ccxt instance after load_markets."""

    def __init__(self, *markets: dict[str, Any]) -> None:
        self.markets = {str(n): market for n, market in enumerate(markets)}


def market(raw_id: str, base: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": raw_id, "symbol": f"{base}/USDT:USDT", "base": base, "quote": "USDT",
        "settle": "USDT", "swap": True, "linear": True, "info": ROW, **changes,
    }  # fmt: skip


def listing_of(*markets: dict[str, Any]) -> Listing:
    client: Any = Listed(*markets)
    return read_listing(client, PROFILE, 0)


def test_a30_our_name_is_base_and_quote_whatever_the_venue_calls_it() -> None:
    listing = listing_of(market("XBTUSDTM", "BTC"), market("1000PEPEUSDT", "1000PEPE"))

    assert listing.symbols == {"XBTUSDTM": "BTCUSDT", "1000PEPEUSDT": "1000PEPEUSDT"}
    assert listing.ccxt_symbols["BTCUSDT"] == "BTC/USDT:USDT"


@pytest.mark.parametrize(
    "change",
    [
        {"swap": False, "future": True},
        {"linear": False},
        {"quote": "USDC"},
        {"settle": "USDC"},
        {"info": None},
        {"info": {**ROW, "lotSizeFilter": {"qtyStep": ""}}},
    ],
)
def test_what_is_no_readable_usdt_perpetual_is_left_out(change: dict[str, Any]) -> None:
    listing = listing_of(market("BTCUSDT", "BTC"), market("ETHUSDT", "ETH", **change))

    assert set(listing.instruments) == {"BTCUSDT"}


def test_the_contract_that_trades_bears_the_name() -> None:
    before_launch = market("BTCUSDT2", "BTC", info={**ROW, "status": "PreLaunch"})
    listed = market("BTCUSDT", "BTC")

    for order in ([before_launch, listed], [listed, before_launch]):
        listing = listing_of(*order)
        assert listing.instruments["BTCUSDT"].is_trading
        assert listing.symbols["BTCUSDT"] == "BTCUSDT"


def test_b2_a_venue_that_lists_nothing_was_not_read() -> None:
    with pytest.raises(TransientError):
        listing_of()
