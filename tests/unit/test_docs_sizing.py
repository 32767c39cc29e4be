"""Every number of docs/sizing.md is what the engine works out, on the steps that venues list.

Reads the page's tables as data; the only numbers kept here are prices and equities of the example.
"""

import re
from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

import pytest

from core.home import CHECKOUT
from core.model import ZERO, Contribution, Instrument, Order, Target
from core.planner import Gap, plan
from core.settings import EngineConfig
from core.sizing import minimum_lots, notional_usdt, size_target, toward_zero
from core.targets import Weighing, compute_targets
from paper_exchange.instruments import load_instruments
from tests.unit.docs_pages import rows_under

SIZING: Final = CHECKOUT / "docs" / "sizing.md"
PAGE: Final = SIZING.read_text(encoding="utf-8")
WIRES: Final = CHECKOUT / "paper_exchange" / "wires"
VENUES: Final = {"Bybit": "bybit", "BloFin": "blofin", "KuCoin": "kucoin", "MEXC": "mexc"}
PRICES: Final = {"BTCUSDT": Decimal("61234.5"), "ETHUSDT": Decimal("3328.25")}
EQUITY_USDT: Final = Decimal(10_000)
SMALL_EQUITY_USDT: Final = Decimal(400)
LIMITS: Final = EngineConfig().engine
NOW: Final = 1_800_000_000_000

Rows = list[list[str]]


def rows(heading: str) -> Rows:
    return rows_under(SIZING, heading)


def shown(number: Decimal) -> str:
    return f"{number.normalize():,f}"


def cut(number: Decimal, step: str) -> str:
    """Write to so many places; ccxt changes how a process rounds by itself."""
    return f"{number.quantize(Decimal(step), ROUND_HALF_EVEN):,f}"


def instrument(venue: str, symbol: str) -> Instrument:
    listed = load_instruments(WIRES / VENUES[venue] / "instruments.json")[symbol]
    return Instrument(
        symbol=symbol,
        step_lots=listed.step_lots,
        min_lots=listed.min_lots,
        max_market_lots=listed.max_market_lots,
        min_notional_usdt=listed.min_notional_usdt,
        contract_size=listed.contract_size,
        tick_size=listed.tick_size,
        max_leverage=listed.max_leverage,
        leverage_step=listed.leverage_step,
    )


def said(symbol: str, source: str, depth: str, leverage: str | None) -> Contribution:
    return Contribution(
        source=source,
        source_symbol=symbol,
        symbol=symbol,
        depth=Decimal(depth),
        leverage=None if leverage is None else Decimal(leverage),
        signal_id=f"{symbol}-{source}",
        received_at_ms=NOW,
        is_level=source == "bittensor",
    )


def targets(
    contributions: list[Contribution],
    weights: Mapping[str, Mapping[str, Decimal]],
    leverage: Mapping[str, Decimal],
) -> dict[str, Target]:
    weighing = Weighing(
        weights=weights,
        leverage=leverage,
        leverage_override=None,
        stale_after_s={"tradingview": 0, "bittensor": 600},
        max_gross=LIMITS.max_gross_exposure,
        hears_simulated=False,
    )
    return compute_targets(contributions, weighing, now_ms=NOW)


def of_the_page() -> dict[str, Target]:
    """Weigh the signals of the page's first table."""
    wants: list[Contribution] = []
    weights: dict[str, dict[str, Decimal]] = {}
    for symbol, source, depth, asks, weight, *_ in rows("What the sources want"):
        wants.append(said(symbol, source, depth, None if asks == "nothing" else asks))
        weights.setdefault(symbol, {})[source] = Decimal(weight)
    return targets(wants, weights, dict.fromkeys(weights, Decimal(3)))


def orders(gap: Gap) -> str:
    sizes = [action.size_lots for action in plan(gap).actions if isinstance(action, Order)]
    if not sizes:
        return "nothing"
    return f"{'buy' if sizes[0] > 0 else 'sell'} {shown(abs(sum(sizes, ZERO)))}"


def test_each_signal_adds_what_the_page_says() -> None:
    for symbol, source, depth, asks, weight, leverage, adds in rows("What the sources want"):
        alone = targets(
            [said(symbol, source, depth, None if asks == "nothing" else asks)],
            {symbol: {source: Decimal(weight)}},
            {symbol: Decimal(3)},
        )[symbol]

        assert (shown(alone.leverage), shown(alone.exposure)) == (leverage, adds)


def test_the_targets_of_the_page_are_the_sums() -> None:
    expected = [
        [
            symbol,
            shown(target.exposure),
            f"{shown(EQUITY_USDT * target.exposure)} USDT",
            shown(target.leverage),
            f"{shown(EQUITY_USDT * abs(target.depth))} USDT",
        ]
        for symbol, target in of_the_page().items()
    ]

    assert rows("One target a symbol") == expected


def test_the_lots_of_the_page_are_what_each_venue_gets() -> None:
    found = of_the_page()
    expected = []
    for symbol in PRICES:
        for venue in VENUES:
            listed, price = instrument(venue, symbol), PRICES[symbol]
            exact = EQUITY_USDT * found[symbol].exposure / (price * listed.contract_size)
            sized = size_target(found[symbol].exposure, EQUITY_USDT, price, listed)
            worth = notional_usdt(sized.lots, price, listed)
            step, one = shown(listed.step_lots), shown(listed.contract_size)
            row = [
                symbol,
                venue,
                one,
                step,
                cut(exact, "0.0001"),
                shown(sized.lots),
                cut(worth, "0.01"),
            ]
            expected.append(row)

    assert rows("Lots on each venue") == expected


def test_what_is_too_small_is_nothing_as_the_page_says() -> None:
    expected = []
    for venue in VENUES:
        listed, price = instrument(venue, "BTCUSDT"), PRICES["BTCUSDT"]
        least = minimum_lots(listed, price)
        sized = size_target(Decimal("0.1"), SMALL_EQUITY_USDT, price, listed)
        worth = notional_usdt(least, price, listed)
        result = f"0 (`{sized.reason}`)" if sized.reason else shown(sized.lots)
        expected.append([venue, shown(least), f"{worth:,.2f} USDT", result])

    assert rows("Too small is nothing") == expected


def test_the_gross_cap_scales_as_the_page_says() -> None:
    found = rows("All symbols together")
    wanted = [said(symbol, "tradingview", wants, "1") for symbol, wants, *_ in found]
    scaled = targets(
        [said(one.symbol, one.source, str(one.depth / 10), None) for one in wanted],
        {symbol: {"tradingview": Decimal(1)} for symbol, *_ in found},
        {symbol: Decimal(10) for symbol, *_ in found},
    )

    expected = [[symbol, wants, shown(scaled[symbol].exposure)] for symbol, wants, _ in found]

    assert found == expected
    assert all("gross_cap" in target.reasons[0] for target in scaled.values())


def test_the_dead_band_holds_back_what_the_page_says() -> None:
    found = rows("Small changes are left")
    expected = []
    for venue, held, wanted, *_ in found:
        listed = instrument(venue, "BTCUSDT")
        gap = Gap(
            wanted_lots=Decimal(wanted),
            held_lots=Decimal(held),
            instrument=listed,
            price=PRICES["BTCUSDT"],
            dead_band=LIMITS.dead_band,
        )
        most = max(minimum_lots(listed, PRICES["BTCUSDT"]), abs(gap.wanted_lots) * gap.dead_band)
        change = abs(gap.wanted_lots - gap.held_lots)
        expected.append([venue, held, wanted, shown(change), shown(most), orders(gap)])

    assert found == expected
    assert "nothing" in {row[-1] for row in found}


def test_a_large_order_is_cut_as_the_page_says() -> None:
    expected = []
    for venue in VENUES:
        listed, price = instrument(venue, "BTCUSDT"), PRICES["BTCUSDT"]
        wanted = size_target(Decimal("0.75"), EQUITY_USDT, price, listed).lots
        most = toward_zero(
            EQUITY_USDT * LIMITS.max_order_share / (price * listed.contract_size), listed.step_lots
        )
        gap = Gap(
            wanted_lots=wanted,
            held_lots=ZERO,
            instrument=listed,
            price=price,
            max_increase_lots=most,
        )
        pieces = [step.size_lots for step in plan(gap).actions if isinstance(step, Order)]
        each = " + ".join(shown(piece) for piece in pieces)
        expected.append([venue, shown(wanted), shown(most), each])

    assert rows("Large orders are cut") == expected


def test_the_least_equity_of_the_page_is_the_least_that_buys_something() -> None:
    found = re.search(r"leverage 3 that is ([\d,]+) USDT", PAGE)
    assert found
    least = Decimal(found[1].replace(",", ""))
    exposure = Decimal("0.1") * Decimal("0.05") * 3
    sizes = [
        size_target(exposure, equity, PRICES["BTCUSDT"], instrument("Bybit", "BTCUSDT")).lots
        for equity in (least - 1, least)
    ]

    assert sizes == [0, Decimal("0.001")]


@pytest.mark.parametrize("key", ["dead_band", "max_order_share", "max_gross_exposure"])
def test_the_page_names_the_key_of_each_limit(key: str) -> None:
    assert f"`{key}`" in PAGE


def test_the_prices_of_the_page_are_those_it_is_worked_out_with() -> None:
    assert all(shown(price) in PAGE for price in PRICES.values())
    assert re.search(rf"{shown(EQUITY_USDT)} USDT of equity", PAGE)
