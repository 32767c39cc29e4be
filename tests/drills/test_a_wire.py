"""What stands in the bytes, and what it moves: A3, A6, A13, A30."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from paper_exchange.wires import find_wires
from tests.drills.stage import BTC, Stage, stage

TENTH = Decimal("0.1")


async def test_a3_a_flip_closes_is_seen_flat_and_then_opens(tmp_path: Path, venue: str) -> None:
    """ccxt has no `closePosition` everywhere: the wrong-way position stayed for ever.

    Must happen: a reduce-only close, a read that shows flat, then the other side.
    """
    async with stage(tmp_path, venue) as here:
        await here.start()
        await here.settled(await here.alert("long", "2/100"))
        here.forget()
        await here.settled(await here.alert("short", "2/100"))

        close, opening = here.orders()
        assert (close.size_lots, close.reduce_only) == (-TENTH, True)
        assert (opening.size_lots, opening.reduce_only) == (here.held(), False)
        assert -TENTH <= here.held() < 0
        assert "P" in story(here).split("O")[1], "no read between the close and the opening"


def story(here: Stage) -> str:
    """What the account sent, in order: O for orders, P for reads of positions."""
    words = here.words
    kinds = (
        "O" if words.on_the_wire(r) else "P" if words.positions.is_met_by(r) else ""
        for r in here.requests()
    )
    return "".join(kinds)


async def test_a6_numbers_of_side_and_margin_mean_what_we_meant(tmp_path: Path, venue: str) -> None:
    """Side codes and openType were mixed up: a reduction was sent as an opening.

    Must happen: 1 opens long, 4 closes it, 3 opens short, 2 closes it; isolated is 1; contracts.
    """
    async with stage(tmp_path, venue) as here:
        await here.start()
        for direction, size in (("long", "2/100"), ("long", "1/100"), ("short", "2/100")):
            await here.settled(await here.alert(direction, size))
        await here.settled(await here.alert("flat"))
        rows = [json.loads(r.body) for r in here.requests() if here.words.on_the_wire(r)]

        assert [row["side"] for row in rows] == [1, 4, 4, 3, 2]
        assert {row["openType"] for row in rows} == {1}
        assert {row["positionMode"] for row in rows} == {2}
        assert rows[0]["vol"] == here.lots(TENTH)
        assert here.held() == 0


async def test_a6_a_refusal_in_a_reply_of_status_200_is_no_fill(tmp_path: Path, venue: str) -> None:
    """`success: false` was taken for filled.

    Must happen: the reply is read; nothing is held, and nothing is believed to be.
    """
    async with stage(tmp_path, venue) as here:
        here.break_orders("reject_order", code=here.words.codes["price"])
        await here.start()
        await here.alert("long", "2/100")
        await here.until(lambda: "order_rejected" in here.codes(), "refused")
        await here.until(lambda: "backoff" in here.symbol_status()["reason"], "told")

        assert here.held() == 0
        assert here.lane().desk.ledger(BTC).expected_lots == 0
        assert not here.symbol_status()["verified"]


async def test_a13_prices_have_an_age_limit(tmp_path: Path, venue: str) -> None:
    """It was sized from a price that was fetched once at the start.

    Must happen: once prices cannot be read any more nothing opens, with the reason; an exit goes.
    """
    async with stage(tmp_path, venue, ticker_max_age_s=0.2) as here:
        await here.start()
        await here.settled(await here.alert("long", "2/100"))
        here.forget()
        here.break_at(here.words.tickers, "http", status=502)
        await here.again(where=lambda r: "tickers" in str(r.read_failures))
        signal = await here.alert("long", "4/100")
        await here.passed(1, since=signal)
        await here.again(2)
        assert here.orders() == []
        assert here.symbol_status()["reason"]
        await here.alert("flat")
        await here.until(lambda: here.held() == 0, "closed without a price")

        assert [o.reduce_only for o in here.orders()] == [True]


NAMES = ("BTCUSDT", "ETHUSDT", "DOGEUSDT", "PEPEUSDT", "1000PEPEUSDT", "1000BONKUSDT")


@pytest.mark.parametrize("direction", ["long", "short"])
async def test_a30_the_value_moved_is_the_value_intended(
    tmp_path: Path, venue: str, direction: str
) -> None:
    """Contracts were taken for coins: a thousand times too much, or too little.

    Must happen: after the first fill the value of the trade is what was meant, for every form of
    name and contract size; when the price moves by a tenth, the account moves by a tenth of that.
    """
    listed = find_wires()[venue].instruments
    symbols = tuple(name for name in NAMES if name in listed)
    prices = {name: str(listed[name].reference_price) for name in symbols}
    async with stage(tmp_path, venue, symbols=symbols) as here:
        here.server.pin(**prices)
        await here.start()
        for symbol in symbols:
            await here.settled(await here.alert(direction, "1/100", symbol=symbol))
        before = here.equity()
        for symbol in symbols:
            meant = Decimal(3_000)
            moved = abs(here.held(symbol)) * Decimal(prices[symbol])
            least = here.step(symbol) * Decimal(prices[symbol])
            assert meant * Decimal("0.98") - least <= moved <= meant * Decimal("1.001"), symbol
        total = sum((here.held(s) * Decimal(prices[s]) for s in symbols), Decimal(0))
        here.server.pin(**{s: str(Decimal(p) * Decimal("1.1")) for s, p in prices.items()})

        assert abs(here.equity() - before - total / 10) < abs(total) / 500
        assert len(symbols) >= 3
