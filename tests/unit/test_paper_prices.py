"""Prices repeat themselves for the same seed and time, and stay near where they belong."""

from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ConfigError
from paper_exchange.prices import Board, FixedPrices, RandomWalk, RecordedPrices
from paper_exchange.wires import find_wires

INSTRUMENTS = find_wires()["bybit"].instruments
ETH = INSTRUMENTS["ETHUSDT"]
START_MS = 1_700_000_000_000
SYMBOLS = st.sampled_from(sorted(INSTRUMENTS))


def test_the_walk_depends_on_seed_symbol_and_second_alone() -> None:
    walk = RandomWalk(seed=7)

    assert walk.price(ETH, START_MS) == RandomWalk(seed=7).price(ETH, START_MS + 999)
    assert walk.price(ETH, START_MS) != RandomWalk(seed=8).price(ETH, START_MS)
    btc = INSTRUMENTS["BTCUSDT"]
    assert walk.price(ETH, START_MS) / ETH.reference_price != (
        walk.price(btc, START_MS) / btc.reference_price
    )


def test_the_walk_moves_about_a_basis_point_a_second() -> None:
    walk = RandomWalk()
    prices = [walk.price(ETH, START_MS + second * 1000) for second in range(600)]
    moves = [abs(b / a - 1) * 10_000 for a, b in pairwise(prices)]

    assert Decimal("0.2") < sum(moves) / len(moves) < 2
    assert max(moves) < 5


@given(symbol=SYMBOLS, at_ms=st.integers(0, 4_000_000_000_000), seed=st.integers(0, 9))
def test_quotes_are_on_the_tick_and_near_the_reference(symbol: str, at_ms: int, seed: int) -> None:
    row = INSTRUMENTS[symbol]
    quote = Board(INSTRUMENTS, RandomWalk(seed=seed), at_ms)[symbol]

    assert abs(quote.mark / row.reference_price - 1) < Decimal("0.02")
    assert quote.bid == quote.mark < quote.ask
    assert all(price % row.tick_size == 0 for price in (quote.bid, quote.ask))
    assert quote.ask - quote.bid <= max(row.tick_size, quote.mark * Decimal("0.00005"))


def test_a_pin_wins_over_the_source() -> None:
    board = Board(INSTRUMENTS, RandomWalk(), START_MS, {"ETHUSDT": Decimal("3000.007")})

    assert board["ETHUSDT"].mark == 3000
    assert len(board) == len(list(board)) == 50


def test_fixed_prices_stand_still() -> None:
    fixed = FixedPrices(prices={"ETHUSDT": Decimal(3000)})

    assert fixed.price(ETH, 0) == fixed.price(ETH, START_MS) == 3000
    assert fixed.price(INSTRUMENTS["BTCUSDT"], 0) == INSTRUMENTS["BTCUSDT"].reference_price


def test_a_recording_is_played_back(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_text("at_ms,symbol,price\n2000,ETHUSDT,3100\n1000,ETHUSDT,3000\n")
    played = RecordedPrices.from_csv(path)

    found = [played.price(ETH, at_ms) for at_ms in (0, 1000, 1999, 2000, 9000)]
    assert found == [3000, 3000, 3000, 3100, 3100]
    assert played.price(INSTRUMENTS["BTCUSDT"], 0) == INSTRUMENTS["BTCUSDT"].reference_price


def test_a_bad_line_of_a_recording_is_named(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_text("at_ms,symbol,price\n1000,ETHUSDT,3000\n2000,ETHUSDT,much\n")

    with pytest.raises(ConfigError, match=r"line 3 .*prices\.csv"):
        RecordedPrices.from_csv(path)
