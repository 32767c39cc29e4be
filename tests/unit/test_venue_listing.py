"""Which of a venue's instruments are ours, and under which name; rows as each venue has them."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from account_processors import venue_profiles
from account_processors.transport.listing import Listing, read_listing
from account_processors.transport.profile import Profile
from core.errors import TransientError

PROFILES = venue_profiles()
ALL = pytest.mark.parametrize("profile", PROFILES.values(), ids=list(PROFILES))

# a row that trades, as the venue's documents show it, and what makes it one that does not
ROWS: Mapping[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "bybit": (
        {
            "status": "Trading",
            "lotSizeFilter": {"qtyStep": "0.001", "minOrderQty": "0.001", "maxMktOrderQty": "119"},
            "priceFilter": {"tickSize": "0.1"},
            "leverageFilter": {"maxLeverage": "100", "leverageStep": "0.01"},
        },
        {"status": "PreLaunch"},
    ),
    "blofin": (
        {
            "instId": "BTC-USDT", "contractValue": "0.001", "minSize": "0.1", "lotSize": "0.1",
            "tickSize": "0.1", "maxLeverage": "150", "maxMarketSize": "100000", "state": "live",
        },
        {"state": "suspend"},
    ),
    "kucoin": (
        {
            "symbol": "XBTUSDTM", "multiplier": 0.001, "lotSize": 1, "tickSize": 0.1,
            "maxOrderQty": 1000000, "maxLeverage": 125, "status": "Open",
        },
        {"status": "BeingSettled"},
    ),
    "mexc": (
        {
            "symbol": "BTC_USDT", "contractSize": 0.0001, "volUnit": 1, "minVol": 1,
            "maxVol": 530000, "priceUnit": 0.1, "maxLeverage": 200, "state": 0, "apiAllowed": True,
        },
        {"state": 1},
    ),
}  # fmt: skip
# step, minimum, largest, contract size
FIGURES = {
    "bybit": ("0.001", "0.001", "119", "1"),
    "blofin": ("0.1", "0.1", "100000", "0.001"),
    "kucoin": ("1", "1", "1000000", "0.001"),
    "mexc": ("1", "1", "530000", "0.0001"),
}


class Listed:
    """As a ccxt instance after load_markets."""

    def __init__(self, *markets: dict[str, Any]) -> None:
        self.markets = {str(n): market for n, market in enumerate(markets)}


def market(profile: Profile, raw_id: str, base: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": raw_id, "symbol": f"{base}/USDT:USDT", "base": base, "quote": "USDT",
        "settle": "USDT", "swap": True, "linear": True, "info": ROWS[profile.exchange][0],
        **changes,
    }  # fmt: skip


def listing_of(profile: Profile, *markets: dict[str, Any]) -> Listing:
    client: Any = Listed(*markets)
    return read_listing(client, profile, 0)


@ALL
def test_a30_our_name_is_base_and_quote_whatever_the_venue_calls_it(profile: Profile) -> None:
    listing = listing_of(
        profile, market(profile, "XBTUSDTM", "BTC"), market(profile, "1000PEPEUSDT", "1000PEPE")
    )

    assert listing.symbols == {"XBTUSDTM": "BTCUSDT", "1000PEPEUSDT": "1000PEPEUSDT"}
    assert listing.ccxt_symbols["BTCUSDT"] == "BTC/USDT:USDT"


@ALL
def test_a30_figures_are_the_venue_s(profile: Profile) -> None:
    instrument = listing_of(profile, market(profile, "x", "BTC")).instruments["BTCUSDT"]
    wanted = tuple(Decimal(figure) for figure in FIGURES[profile.exchange])

    assert wanted == (
        instrument.step_lots,
        instrument.min_lots,
        instrument.max_market_lots,
        instrument.contract_size,
    )
    assert instrument.tick_size == Decimal("0.1")
    assert instrument.is_trading


@ALL
@pytest.mark.parametrize(
    "change",
    [
        {"swap": False, "future": True},
        {"linear": False},
        {"quote": "USDC"},
        {"settle": "USDC"},
        {"info": None},
        {"info": {}},
    ],
)
def test_what_is_no_readable_usdt_perpetual_is_left_out(
    profile: Profile, change: dict[str, Any]
) -> None:
    listing = listing_of(
        profile, market(profile, "x", "BTC"), market(profile, "y", "ETH", **change)
    )

    assert set(listing.instruments) == {"BTCUSDT"}


@ALL
@pytest.mark.parametrize("bad", ["", None, 0, "-1", "many"])
def test_a_row_without_a_figure_that_sizing_needs_is_left_out(profile: Profile, bad: Any) -> None:
    fields = profile.instrument
    needed = (fields.step, fields.minimum, fields.tick, fields.max_leverage, fields.contract_size)
    for path in filter(None, needed):
        row = _with(ROWS[profile.exchange][0], path.split("."), bad)
        listing = listing_of(
            profile, market(profile, "x", "BTC"), market(profile, "y", "ETH", info=row)
        )

        assert set(listing.instruments) == {"BTCUSDT"}, path


@ALL
def test_a_contract_that_does_not_trade_is_told_and_gives_way(profile: Profile) -> None:
    row, closing = ROWS[profile.exchange]
    closed = market(profile, "BTCUSDT2", "BTC", info={**row, **closing})
    listed = market(profile, "BTCUSDT", "BTC")

    assert not listing_of(profile, closed).instruments["BTCUSDT"].is_trading
    for order in ([closed, listed], [listed, closed]):
        listing = listing_of(profile, *order)
        assert listing.instruments["BTCUSDT"].is_trading
        assert listing.symbols["BTCUSDT"] == "BTCUSDT"
    if profile.instrument.allowed:
        forbidden = {**row, profile.instrument.allowed: False}
        by_hand = market(profile, "x", "BTC", info=forbidden)
        assert not listing_of(profile, by_hand).instruments["BTCUSDT"].is_trading


@ALL
def test_b2_a_venue_that_lists_nothing_was_not_read(profile: Profile) -> None:
    with pytest.raises(TransientError):
        listing_of(profile)


def _with(row: dict[str, Any], path: list[str], value: Any) -> dict[str, Any]:
    first, *rest = path
    return {**row, first: _with(row[first], rest, value) if rest else value}
