"""Positions as rows: the contract that other programs read."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands.position_rows import cached_rows, failed_row, rows, targets_of
from core.model import Instrument, Position, PositionsRead, Ticker
from core.settings import AccountConfig

ACCOUNT = AccountConfig(name="first", exchange="bybit", environment="paper")
KEYS = [
    *("account", "exchange", "symbol", "side", "size_lots", "size_base", "notional_usdt"),
    *("entry_price", "mark_price", "leverage", "margin_mode", "unrealized_pnl_usdt", "target_lots"),
]


def instrument(symbol: str = "BTCUSDT", contract_size: str = "1") -> Instrument:
    return Instrument(
        symbol=symbol,
        step_lots=Decimal("0.001"),
        min_lots=Decimal("0.001"),
        max_market_lots=None,
        min_notional_usdt=Decimal(5),
        contract_size=Decimal(contract_size),
        tick_size=Decimal("0.1"),
        max_leverage=Decimal(100),
        leverage_step=Decimal("0.01"),
    )


def ticker(symbol: str = "BTCUSDT", mark: str = "60000") -> Ticker:
    return Ticker(
        symbol=symbol,
        mark_price=Decimal(mark),
        last_price=None,
        bid_price=None,
        ask_price=None,
        read_at_ms=1,
    )


def position(lots: str, symbol: str = "BTCUSDT", **changes: Any) -> Position:
    return Position(symbol=symbol, size_lots=Decimal(lots), **changes)


def read(*held: Position, unreadable: frozenset[str] = frozenset()) -> PositionsRead:
    return PositionsRead(
        began_at_ms=1, positions={row.symbol: row for row in held}, unreadable=unreadable
    )


def made(
    positions: PositionsRead, targets: dict[str, Decimal | None], contract_size: str = "1"
) -> list[dict[str, Any]]:
    instruments = {"BTCUSDT": instrument(contract_size=contract_size)}
    return rows(ACCOUNT, positions, targets, instruments, {"BTCUSDT": ticker()})


def test_a_long_is_shown_whole() -> None:
    held = position(
        "0.100",
        entry_price=Decimal("59000.5"),
        mark_price=Decimal(60010),
        leverage=Decimal(3),
        margin_mode="cross",
        unrealized_pnl_usdt=Decimal("100.95"),
    )
    (row,) = made(read(held), {"BTCUSDT": Decimal("0.2")})

    assert row == {
        "account": "first",
        "exchange": "bybit",
        "symbol": "BTCUSDT",
        "side": "long",
        "size_lots": "0.100",
        "size_base": "0.100",
        "notional_usdt": "6001.000",
        "entry_price": "59000.5",
        "mark_price": "60010",
        "leverage": "3",
        "margin_mode": "cross",
        "unrealized_pnl_usdt": "100.95",
        "target_lots": "0.2",
    }
    assert list(row) == KEYS


def test_a_short_is_negative_in_size_and_notional() -> None:
    (row,) = made(read(position("-5")), {"BTCUSDT": Decimal(-5)}, contract_size="0.001")

    assert (row["side"], row["size_lots"], row["size_base"]) == ("short", "-5", "-0.005")
    assert (row["notional_usdt"], row["target_lots"]) == ("-300.000", "-5")


def test_what_is_unknown_is_null_not_zero() -> None:
    (row,) = rows(ACCOUNT, read(position("2")), {"BTCUSDT": None}, {}, {})

    assert row["size_lots"] == "2"
    unknown = ("size_base", "notional_usdt", "entry_price", "mark_price", "leverage")
    assert [row[key] for key in (*unknown, "unrealized_pnl_usdt", "target_lots")] == [None] * 7


def test_a_target_not_held_has_a_row_of_its_own() -> None:
    (row,) = made(read(), {"BTCUSDT": Decimal("-0.3")})

    assert (row["side"], row["size_lots"], row["size_base"]) == (None, "0", "0")
    assert (row["notional_usdt"], row["target_lots"]) == ("0", "-0.3")


def test_a_foreign_position_has_no_target() -> None:
    (row,) = made(read(position("1")), {})

    assert row["target_lots"] is None


def test_a_position_that_should_be_flat_has_target_0() -> None:
    (row,) = made(read(position("1")), {"BTCUSDT": Decimal("0.000")})

    assert row["target_lots"] == "0"


def test_flat_and_unwanted_has_no_row() -> None:
    assert made(read(position("0")), {"BTCUSDT": Decimal(0), "ETHUSDT": None}) == []


def test_a2_an_unreadable_row_is_unknown_not_flat() -> None:
    (row,) = made(read(unreadable=frozenset({"BTCUSDT"})), {})

    assert (row["size_lots"], row["side"], row["notional_usdt"]) == (None, None, None)


def test_large_and_tiny_numbers_are_plain_digits() -> None:
    (row,) = rows(ACCOUNT, read(position("1E+3")), {}, {"BTCUSDT": instrument()}, {})

    assert row["size_lots"] == "1000"


def test_a_failed_account_is_a_row() -> None:
    assert failed_row("first", "timed out") == {"account": "first", "error": "timed out"}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"first": {"BTCUSDT": {"lots": "0.10"}}}, {"BTCUSDT": Decimal("0.10")}),
        ({"first": {"BTCUSDT": {"lots": None}, "X": 3}}, {"BTCUSDT": None}),
        ({"first": {"BTCUSDT": {"lots": "nan"}}}, {"BTCUSDT": None}),
        ({"second": {}}, {}),
        ({"first": []}, {}),
        ([], {}),
        (None, {}),
    ],
)
def test_targets_are_the_frozen_lots(document: object, expected: dict[str, Any]) -> None:
    assert targets_of(document, "first") == expected


def test_cached_rows_tell_what_the_engine_last_saw() -> None:
    symbols = [
        {"symbol": "BTCUSDT", "held_lots": "-0.1", "target_lots": "0.2"},
        {"symbol": "ETHUSDT", "held_lots": "0", "target_lots": "1"},
        {"symbol": "SOLUSDT", "held_lots": None, "target_lots": None},
        {"symbol": "XRPUSDT", "held_lots": "0", "target_lots": "0"},
        {"symbol": "ADAUSDT", "held_lots": "0", "target_lots": None},
    ]
    found = cached_rows({"name": "first", "exchange": "bybit", "symbols": symbols})

    assert [row["symbol"] for row in found] == ["BTCUSDT", "ETHUSDT", "SOLUSDT"]
    assert [list(row) for row in found] == [KEYS] * 3
    assert (found[0]["side"], found[0]["size_lots"], found[0]["size_base"]) == (
        "short",
        "-0.1",
        None,
    )
    assert (found[1]["side"], found[1]["size_base"], found[1]["target_lots"]) == (None, "0", "1")
    assert found[2]["size_lots"] is None


numbers = st.none() | st.decimals(-1000, 1000, places=3)
symbols = st.sampled_from(["AUSDT", "BTCUSDT", "CUSDT"])


@given(
    st.dictionaries(symbols, st.decimals(-1000, 1000, places=3)),
    st.dictionaries(symbols, numbers),
    st.frozensets(symbols),
)
def test_nothing_held_or_wanted_is_ever_missing(
    held: dict[str, Decimal], targets: dict[str, Decimal | None], unreadable: frozenset[str]
) -> None:
    positions = read(
        *(Position(symbol=symbol, size_lots=lots) for symbol, lots in held.items()),
        unreadable=unreadable,
    )
    found = {row["symbol"]: row for row in made(positions, targets)}

    expected = {symbol for symbol, lots in held.items() if lots}
    expected |= {symbol for symbol, lots in targets.items() if lots} | unreadable
    assert set(found) == expected
    for symbol, row in found.items():
        assert list(row) == KEYS
        assert all(value is None or isinstance(value, str) for value in row.values())
        size = positions.size_lots(symbol)
        assert (row["size_lots"] is None) == (size is None)
        assert row["side"] == (None if not size else "long" if size > 0 else "short")
