"""How much may be bought: A8, A16, A20, A22, A29, B14."""

from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from tests.drills.stage import BTC, ETH, Stage, stage

EQUITY = Decimal(100_000)
PRICES = {BTC: Decimal(60_000), ETH: Decimal(3_000)}


def exposure(here: Stage) -> Decimal:
    """Gross exposure as the books have it, in multiples of the first equity."""
    return sum((abs(here.held(s)) * price for s, price in PRICES.items()), Decimal(0)) / EQUITY


@pytest.mark.parametrize("size", ["5000/100", "101%", "-5000/100", "1/0", "nan/100", "1e9"])
@pytest.mark.in_turn
async def test_a8_more_than_the_whole_account_is_refused_at_the_door(
    tmp_path: Path, venue: str, size: str
) -> None:
    """`5000/100` was accepted: 600,000 USDT on an account of 100,000.

    Must happen: 422 naming the field; nothing is sent.
    """
    async with stage(tmp_path, venue) as here:
        await here.start()
        direction = "short" if size.startswith("-") else "long"
        status, answer = await here.post({"symbol": BTC, "direction": direction, "size": size})
        await here.again(2)

        assert (status, answer["status"], answer["field"]) == (422, "rejected", "size")
        assert here.orders() == []


async def test_a8_all_targets_together_are_scaled_to_the_gross_cap(
    tmp_path: Path, venue: str
) -> None:
    """The sum over symbols was unbounded.

    Must happen: 3 + 3 times equity wanted, 1 allowed: each is scaled alike; no order exceeds a
    quarter of equity, and what is split adds up.
    """
    async with stage(tmp_path, venue, max_gross_exposure=1) as here:
        await here.alert("long", "100/100", symbol=BTC)
        signal = await here.alert("short", "100/100", symbol=ETH)
        await here.start()
        report = await here.settled(signal)

        assert Decimal("0.98") < exposure(here) <= 1
        assert abs(here.held(BTC) * 60_000 + here.held(ETH) * 3_000) < 100
        largest = max(abs(o.size_lots) * PRICES[o.symbol] for o in here.orders())
        assert largest <= EQUITY * Decimal("0.255")
        assert len(here.orders()) >= 4
        assert report.symbols[BTC].held_lots == report.symbols[BTC].target_lots


async def test_a8_two_source_symbols_together_stay_within_the_symbol_cap(
    tmp_path: Path, venue: str
) -> None:
    """Two source symbols mapped to one target add up, but not beyond leverage times weights."""
    async with stage(tmp_path, venue, max_gross_exposure=50) as here:
        here.write("asset_mapping_config.json", {"tradingview": {"BTCUSDT": BTC, "XBTUSD": BTC}})
        here.weigh(BTC, leverage=1, weight=0.5)
        await here.alert("long", "100/100", symbol="BTCUSDT")
        signal = await here.alert("long", "100/100", symbol="XBTUSD")
        await here.start()
        await here.settled(signal)

        assert Decimal("0.49") < exposure(here) <= Decimal("0.5")


async def test_a16_below_the_minimum_buys_nothing_and_says_so(tmp_path: Path, venue: str) -> None:
    """0.6 USDT wanted was rounded up to the minimum: 60 USDT bought.

    Must happen: toward zero; nothing is sent and the version is done.
    """
    async with stage(tmp_path, venue) as here:
        here.weigh(BTC, leverage=1)
        await here.start()
        await here.settled(await here.alert("long", "0.0006/100"))

        assert here.orders() == []
        assert here.held() == 0


async def test_a16_the_reason_for_nothing_is_shown(tmp_path: Path, venue: str) -> None:
    """A target below the minimum looked like one that was reached.

    Must happen: status and events give the reason `below_minimum`.
    """
    async with stage(tmp_path, venue) as here:
        here.weigh(BTC, leverage=1)
        await here.start()
        await here.settled(await here.alert("long", "0.0006/100"))

        assert "below_minimum" in here.symbol_status()["reason"]


@pytest.mark.parametrize("size", ["3.3999/100", "-3.3999/100"])
async def test_a16_sizes_are_rounded_toward_zero(tmp_path: Path, venue: str, size: str) -> None:
    """0.169995 BTC wanted. Must happen: whole steps, toward zero whichever the side."""
    async with stage(tmp_path, venue) as here:
        await here.start()
        direction = "short" if size.startswith("-") else "long"
        await here.settled(await here.alert(direction, size))

        assert abs(here.held()) == Decimal("0.169995") // here.step() * here.step()
        assert (here.held() < 0) is size.startswith("-")


async def test_a20_equity_counts_what_open_positions_have_won(tmp_path: Path, venue: str) -> None:
    """The account's value was read without unrealised PnL, in two calls.

    Must happen: 10 ETH bought at 3,000 stand at 4,000: sized on 110,000, from one read.
    """
    async with stage(tmp_path, venue) as here:
        here.trade(10, symbol=ETH)
        here.server.pin(ETHUSDT="4000")
        here.weigh(BTC)
        equity = here.equity()  # 110,000 less the fee of the hand's trade
        await here.start()
        await here.settled(await here.alert("long", "10/100"))

        assert equity > 109_900
        wanted = equity * 3 / 10 / PRICES[BTC]
        assert here.held() == wanted // here.step() * here.step()
        assert len(here.asked(here.words.wallet)) == len(here.passes())


@pytest.mark.parametrize(
    ("quotes", "code"),
    [
        pytest.param({"bid": "58000"}, "wide_spread", id="thin-book"),
        pytest.param({"last": "50000"}, "mark_gap", id="wick"),
        pytest.param({"ask": ""}, "no_quotes", id="one-sided"),
    ],
)
async def test_a22_a_strange_market_opens_nothing_but_lets_out(
    tmp_path: Path, venue: str, quotes: dict[str, str], code: str
) -> None:
    """A market order went into a thin book, or into a wick.

    Must happen: no increase while the quotes are strange, with the reason; an exit goes.
    """
    async with stage(tmp_path, venue) as here:
        here.trade("0.1")
        here.quote(**quotes)
        await here.start()
        signal = await here.alert("long", "4/100")
        await here.passed(since=signal, where=lambda r: bool(r.symbols[BTC].reasons))
        assert here.orders() == []
        if code == "no_quotes" and not here.profile.ticker.mark:
            code = "unsized"  # the quotes are all that tells the price there
        assert code in here.symbol_status()["reason"]
        await here.settled(await here.alert("flat"))

        assert here.held() == 0


async def test_a22_an_order_gives_away_no_more_than_the_collar(tmp_path: Path, venue: str) -> None:
    """The price ran 2 % away between the quote and the order.

    Must happen: IOC at 0.5 % from the mark that was seen: it buys nothing there.
    """
    async with stage(tmp_path, venue) as here:
        await here.start()
        here.quote(mark="58800", last="58800", bid="58799", ask="58801")
        await here.alert("long", "2/100")
        first = (await here.until(here.orders, "an order"))[0]
        await here.until(lambda: "backoff" in here.symbol_status()["reason"], "told")

        assert first.time_in_force == "IOC"
        assert first.price is not None
        assert first.price <= Decimal(58_800) * Decimal("1.005")
        assert here.held() == 0


async def test_a29_drift_of_price_and_equity_trades_nothing(tmp_path: Path, venue: str) -> None:
    """Funding, fees and price drift caused a small trade at every pass.

    Must happen: lots stay as frozen at resyncs; a re-sent alert that differs by less than the
    dead band sends nothing and says so.
    """
    async with stage(tmp_path, venue, ticker_max_age_s=0.2) as here:
        await here.start()
        await here.settled(await here.alert("long", "2/100"))
        here.server.pin(BTCUSDT="63000")
        await here.price_of(BTC, "63000")
        here.forget()
        await here.again(2)
        assert here.orders() == []
        await here.settled(await here.alert("long", "2.13/100"))  # 0.101

        assert here.orders() == []
        assert "dead_band" in here.symbol_status()["reason"]


async def test_b14_a_difference_of_decimals_is_exact_on_the_wire(
    tmp_path: Path, venue: str
) -> None:
    """0.12 - 0.10 was 0.01999… in floats: a lot was lost.

    Must happen: each order is exactly the difference of what was and what is to be held.
    """
    async with stage(tmp_path, venue) as here:
        await here.start()
        held = [Decimal(0)]
        for direction, size in (("long", "2"), ("long", "2.405"), ("long", "2.7"), ("flat", "0")):
            await here.settled(await here.alert(direction, f"{size}/100"))
            held.append(here.held())

        assert held[1] == Decimal("0.1")
        assert Decimal("0.12") <= held[2] < Decimal("0.1203")
        assert [o.size_lots for o in here.orders()] == [b - a for a, b in pairwise(held)]
        assert held[-1] == 0
