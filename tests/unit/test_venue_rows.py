"""Reading raw rows: unknown is not zero, and one bad row is that symbol's alone."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from account_processors.bybit import PROFILE, read_equity
from account_processors.transport.rows import (
    dig,
    number,
    read_instrument,
    read_orders,
    read_positions,
    read_ticker,
    rows_at,
    text,
)
from core.errors import TransientError
from core.model import OrderStatus, Position

POSITION = {
    "positionIdx": 0, "symbol": "BTCUSDT", "side": "Buy", "size": "0.010", "avgPrice": "59000",
    "leverage": "10", "markPrice": "60000.5", "unrealisedPnl": "10.005",
}  # fmt: skip
ORDER = {
    "symbol": "BTCUSDT", "orderLinkId": "te1", "orderId": "o1", "side": "Sell", "qty": "0.01",
    "cumExecQty": "0.004", "orderStatus": "PartiallyFilledCanceled", "avgPrice": "60000.1",
    "reduceOnly": True, "updatedTime": "1795224688302", "rejectReason": "EC_NoError",
}  # fmt: skip
INSTRUMENT = {
    "status": "Trading",
    "lotSizeFilter": {
        "qtyStep": "0.001", "minOrderQty": "0.001", "maxMktOrderQty": "119.000",
        "minNotionalValue": "5",
    },
    "priceFilter": {"tickSize": "0.10"},
    "leverageFilter": {"maxLeverage": "100.00", "leverageStep": "0.01"},
}  # fmt: skip
COIN = {
    "coin": "USDT", "equity": "1010.5", "walletBalance": "1000", "locked": "1",
    "totalOrderIM": "2", "totalPositionIM": "190", "unrealisedPnl": "10.5",
}  # fmt: skip
WALLET = {
    "totalEquity": "2000", "totalAvailableBalance": "800", "totalPerpUPL": "11", "coin": [COIN],
}  # fmt: skip


def positions_of(*rows: dict[str, object]) -> tuple[dict[str, Position], frozenset[str]]:
    read = read_positions(rows, PROFILE.position, lambda raw: raw, 0)
    return dict(read.positions), read.unreadable


def test_a_position_is_read_exactly() -> None:
    held, unreadable = positions_of(POSITION)

    assert not unreadable
    assert held["BTCUSDT"] == Position(
        symbol="BTCUSDT",
        size_lots=Decimal("0.010"),
        entry_price=Decimal(59000),
        mark_price=Decimal("60000.5"),
        leverage=Decimal(10),
        unrealized_pnl_usdt=Decimal("10.005"),
    )


def test_a_short_is_negative() -> None:
    held, _ = positions_of({**POSITION, "side": "Sell"})

    assert held["BTCUSDT"].size_lots == Decimal("-0.010")


@pytest.mark.parametrize("empty", ["", None, "n/a", [], True])
def test_a2_a_missing_field_is_an_unknown_field_not_a_missing_position(empty: object) -> None:
    optional = dict.fromkeys(("leverage", "avgPrice", "markPrice", "unrealisedPnl"), empty)
    held, unreadable = positions_of({**POSITION, **optional})

    assert not unreadable
    assert held["BTCUSDT"] == Position(symbol="BTCUSDT", size_lots=Decimal("0.010"))


@pytest.mark.parametrize("size", ["", None, "NaN", "much", True, [], "-1"])
def test_a2_a_size_that_cannot_be_read_makes_that_symbol_unknown_and_only_it(size: object) -> None:
    held, unreadable = positions_of({**POSITION, "size": size}, {**POSITION, "symbol": "ETHUSDT"})

    assert unreadable == {"BTCUSDT"}
    assert set(held) == {"ETHUSDT"}


def test_a2_a_size_whose_side_is_unknown_is_unknown() -> None:
    _, unreadable = positions_of({**POSITION, "side": ""})

    assert unreadable == {"BTCUSDT"}


def test_a_flat_row_is_no_position() -> None:
    assert positions_of({**POSITION, "size": "0", "side": ""}) == ({}, frozenset())


def test_a_row_without_a_symbol_fails_the_read() -> None:
    with pytest.raises(TransientError):
        positions_of({**POSITION, "symbol": None})


def test_a15_a_hedged_side_that_is_held_alone_is_an_ordinary_position() -> None:
    long = {**POSITION, "positionIdx": 1, "size": "0", "side": ""}
    short = {**POSITION, "positionIdx": 2, "side": "Sell", "size": "0.1"}
    held, unreadable = positions_of(long, short)

    assert not unreadable
    assert held["BTCUSDT"].is_hedged
    assert held["BTCUSDT"].size_lots == Decimal("-0.1")


def test_a15_both_sides_of_a_hedged_symbol_are_told_and_no_sum_is_made_of_them() -> None:
    long = {**POSITION, "positionIdx": 1, "size": "0.3"}
    short = {**POSITION, "positionIdx": 2, "side": "Sell", "size": "0.1"}
    read = read_positions([short, long], PROFILE.position, lambda raw: raw, 7)

    assert read.both_sides == {"BTCUSDT": (Decimal("0.3"), Decimal("-0.1"))}
    assert read.size_lots("BTCUSDT") is None
    assert read.positions == {}
    assert read.began_at_ms == 7


def test_two_pages_that_tell_different_sizes_are_unknown() -> None:
    held, unreadable = positions_of(POSITION, {**POSITION, "size": "0.020"})

    assert not held
    assert unreadable == {"BTCUSDT"}


@pytest.mark.parametrize(
    "reply",
    [
        *({}, {"result": {}}, {"result": {"list": None}}, "x", None, []),
        *({"result": {"list": {}}}, {"result": {"list": ["row"]}}),
    ],
)
def test_a1_a_reply_without_a_list_is_an_error_never_empty(reply: object) -> None:
    with pytest.raises(TransientError):
        rows_at(reply, PROFILE.rows, "positions")


def test_a20_equity_includes_unrealised_pnl_from_one_reply() -> None:
    equity = read_equity([WALLET], "usdt")

    assert equity.equity_usdt == Decimal("1010.5")
    assert equity.free_margin_usdt == 800
    assert equity.used_margin_usdt == 190
    assert equity.unrealized_pnl_usdt == Decimal("10.5")


def test_the_account_scope_takes_the_whole_account() -> None:
    equity = read_equity([WALLET], "account")

    assert equity.equity_usdt == 2000
    assert equity.unrealized_pnl_usdt == 11


@pytest.mark.parametrize("empty", ["", None, "x"])
def test_an_equity_that_cannot_be_read_is_unknown_not_zero(empty: object) -> None:
    row = {**WALLET, "totalEquity": empty, "coin": [{**COIN, "equity": empty}]}

    assert read_equity([row], "usdt").equity_usdt is None
    assert read_equity([row], "account").equity_usdt is None


@pytest.mark.parametrize("coins", [[], None, [None], [{"coin": "BTC", "equity": "1"}]])
def test_a_wallet_without_a_usdt_row_is_unknown_not_zero(coins: object) -> None:
    assert read_equity([{**WALLET, "coin": coins}], "usdt").equity_usdt is None


def test_isolated_margin_has_no_account_wide_figures_the_coin_s_then_tell() -> None:
    equity = read_equity([{**WALLET, "totalAvailableBalance": ""}], "usdt")

    assert equity.free_margin_usdt == 1000 - 1 - 2 - 190


def test_free_margin_is_unknown_when_nothing_tells_it() -> None:
    row = {**WALLET, "totalAvailableBalance": "", "coin": [{**COIN, "totalOrderIM": ""}]}

    assert read_equity([row], "usdt").free_margin_usdt is None


@pytest.mark.parametrize(
    ("said", "mode"),
    [
        ("REGULAR_MARGIN", "cross"),
        ("ISOLATED_MARGIN", "isolated"),
        ("PORTFOLIO_MARGIN", "portfolio"),
        ("", None),
        (None, None),
    ],
)
def test_the_margin_mode_is_read(said: object, mode: str | None) -> None:
    read = PROFILE.margin_mode
    assert read is not None
    assert read.words.get(text(dig({"result": {"marginMode": said}}, read.path))) == mode


def orders_of(**changes: object) -> list[object]:
    return [*read_orders([{**ORDER, **changes}], PROFILE.order, lambda raw: raw, "test")]


def test_an_order_is_read_with_signed_sizes() -> None:
    order = read_orders([ORDER], PROFILE.order, lambda raw: raw, "test")[0]

    assert (order.size_lots, order.filled_lots) == (Decimal("-0.01"), Decimal("-0.004"))
    assert order.status is OrderStatus.CANCELED
    assert order.is_terminal
    assert (order.client_id, order.order_id, order.reason) == ("te1", "o1", "")
    assert order.updated_at_ms == 1795224688302


@pytest.mark.parametrize(
    "change",
    [{"orderStatus": "Dreaming"}, {"cumExecQty": ""}, {"qty": None}, {"side": ""}, {"orderId": ""}],
)
def test_an_order_row_that_cannot_be_read_fails_the_read(change: dict[str, object]) -> None:
    with pytest.raises(TransientError):
        orders_of(**change)


def test_a_ticker_needs_its_mark_price_alone() -> None:
    row = {"symbol": "BTCUSDT", "markPrice": "60000.5", "lastPrice": "", "bid1Price": None}
    ticker = read_ticker(row, PROFILE.ticker, "BTCUSDT", 7)

    assert ticker is not None
    assert (ticker.mark_price, ticker.last_price, ticker.bid_price) == (
        Decimal("60000.5"),
        None,
        None,
    )
    assert read_ticker({**row, "markPrice": "0"}, PROFILE.ticker, "BTCUSDT", 7) is None


def test_a30_an_instrument_is_read_from_its_own_row() -> None:
    instrument = read_instrument(INSTRUMENT, PROFILE.instrument, "BTCUSDT")

    assert instrument is not None
    assert (instrument.step_lots, instrument.tick_size) == (Decimal("0.001"), Decimal("0.10"))
    assert instrument.max_market_lots == 119
    assert instrument.contract_size == 1
    assert instrument.is_trading


def test_an_instrument_without_a_step_is_not_guessed() -> None:
    row = {**INSTRUMENT, "lotSizeFilter": {"minOrderQty": "0.001"}}

    assert read_instrument(row, PROFILE.instrument, "BTCUSDT") is None


@given(
    st.decimals(
        allow_nan=False, allow_infinity=False, places=8, min_value=-(10**9), max_value=10**9
    )
)
def test_b14_a_number_s_text_is_its_value(value: Decimal) -> None:
    assert number(format(value, "f")) == value


@pytest.mark.parametrize("value", [True, False, None, "", "1e", "inf", "nan", [], {}])
def test_what_is_no_number_is_none(value: object) -> None:
    assert number(value) is None


@pytest.mark.parametrize("value", [None, 1.5, []])
def test_what_is_no_identifier_is_empty(value: object) -> None:
    assert text(value) == ""
