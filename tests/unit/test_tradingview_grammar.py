"""Every value of an alert, and every value that is refused."""

from decimal import Decimal
from typing import Any

import orjson
import pytest

from signal_processors.tradingview_processor import to_signal
from tests.alert_forms import (
    MISSING,
    NOW,
    REFUSED_FIELDS,
    REFUSED_SIZES,
    SIZES,
    accepted,
    body,
    refused,
)


@pytest.mark.parametrize(
    ("size", "direction", "depth"),
    SIZES,
)
def test_sizes_mean_a_share_of_equity(size: Any, direction: str, depth: str) -> None:
    alert = accepted(body(size=size, direction=direction))

    assert str(alert.depth) == str(Decimal(depth)) or alert.depth == Decimal(depth)
    assert isinstance(alert.depth, Decimal)


@pytest.mark.parametrize(
    ("size", "direction"),
    REFUSED_SIZES,
)
def test_a8_b3_sizes_that_are_not_understood_are_refused(size: Any, direction: str) -> None:
    assert refused(body(size=size, direction=direction)).field == "size"


@pytest.mark.parametrize("number", [b"1e400", b"9" * 5000, b"NaN", b"-Infinity", b"1E+99999999"])
def test_huge_json_numbers_are_refused_quickly(number: bytes) -> None:
    raw = b'{"symbol":"A","direction":"long","size":' + number + b"}"

    assert refused(raw).field == "size"


@pytest.mark.parametrize(
    ("fields", "sign"),
    [
        ({"direction": "LONG "}, 1),
        ({"direction": MISSING, "market_position": "short"}, -1),
        ({"direction": MISSING, "sentiment": "bullish"}, 1),
        ({"direction": MISSING, "sentiment": "bearish"}, -1),
        ({"direction": MISSING, "sentiment": "flat"}, 0),
        ({"direction": "", "market_position": "flat"}, 0),
        ({"direction": None, "market_position": "flat"}, 0),
        ({"direction": "long", "market_position": "long", "sentiment": "bullish"}, 1),
        ({"direction": "flat", "action": "sell"}, 0),
        ({"direction": "long", "action": "sell"}, 1),
    ],
)
def test_direction_and_its_aliases_decide(fields: dict[str, Any], sign: int) -> None:
    depth = accepted(body(**fields)).depth

    assert (depth > 0) - (depth < 0) == sign


@pytest.mark.parametrize(
    ("fields", "field"),
    REFUSED_FIELDS,
)
def test_fields_that_are_not_understood_are_refused(fields: dict[str, Any], field: str) -> None:
    rejection = refused(body(**fields))

    assert rejection.field == field
    assert rejection.reason


@pytest.mark.parametrize("symbol", ["BINANCE:BTCUSDT", "BTCUSDT.P", "BTC1!", "1000PEPEUSDT", "eth"])
def test_symbols_are_kept_as_they_came(symbol: str) -> None:
    assert accepted(body(symbol=symbol)).source_symbol == symbol


def test_ticker_stands_in_for_symbol() -> None:
    assert accepted(body(symbol=MISSING, ticker="BTCUSDT")).source_symbol == "BTCUSDT"
    both = accepted(body(symbol="ETHUSDT", ticker="BTCUSDT"))
    assert (both.source_symbol, both.ignored) == ("ETHUSDT", ("ticker",))


def test_b4_numbers_instead_of_strings_mean_the_same() -> None:
    texts = accepted(body(size="5.8", leverage="3", price="3328.25", signal_seq="7"))
    numbers = accepted(body(size=5.8, leverage=3, price=3328.25, signal_seq=7))

    for name in ("depth", "leverage", "price", "sequence"):
        assert getattr(texts, name) == getattr(numbers, name)


@pytest.mark.parametrize("empty", ["", " ", None, MISSING])
def test_b3_empty_leverage_and_price_mean_none(empty: Any) -> None:
    alert = accepted(body(leverage=empty, price=empty))

    assert (alert.leverage, alert.price) == (None, None)


@pytest.mark.parametrize("field", ["price", "leverage"])
def test_an_exit_is_not_refused_for_its_decoration(field: str) -> None:
    alert = accepted(body(direction="flat", **{field: "nan"}))

    assert alert.depth == 0
    assert field in alert.warnings[0]


def test_unknown_keys_are_kept_and_listed() -> None:
    alert = accepted(body(takeprofit="1", trailstop=2, priority="high", my_note={"a": [1.50]}))

    assert alert.ignored == ("takeprofit", "trailstop", "priority", "my_note")
    row = orjson.loads(orjson.dumps(to_signal(alert, signal_id="x", symbol="").to_row()))
    assert row["meta"]["raw"]["my_note"] == {"a": [1.5]}


def test_known_keys_are_not_listed_as_ignored() -> None:
    names = ("action", "event_id", "time", "strategy", "prev_market_position", "token", "timestamp")

    assert accepted(body(**dict.fromkeys(names, ""))).ignored == ()


@pytest.mark.parametrize(
    ("text", "at_ms"),
    [
        ("2026-11-21T04:43:01Z", NOW - 2000),
        ("2026-11-21T04:43:01.500Z", NOW - 1500),
        ("2026-11-21T06:43:01+02:00", NOW - 2000),
        (1_795_236_181, NOW - 2000),
        ("1795236181", NOW - 2000),
        (1_795_236_181_000, NOW - 2000),
        ("1795236181.25", NOW - 1750),
        ("2026-11-21T04:43:00Z", NOW - 3000),
        ("2026-11-20T04:43:00Z", NOW - 3000 - 86_400_000),
        ("2026-11-21T04:44:03Z", NOW + 60_000),
    ],
)
def test_a21_timenow_is_read_as_utc(text: Any, at_ms: int) -> None:
    alert = accepted(body(timenow=text))

    assert (alert.fired_at_ms, alert.warnings) == (at_ms, ())


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"timenow": "2026-11-21T04:44:04Z"}, "future"),
        ({"timenow": "2026-11-21T04:43:01"}, "zone"),
        ({"timenow": "{{timenow}}"}, "no time"),
        ({"timenow": "0001-01-01T00:00:00+20:00"}, "no time"),
        ({"timenow": 0}, "century"),
        ({"timenow": 1e300}, "range"),
        ({"timenow": [1]}, "text"),
        ({"timestamp": "2026-11-21T04:42:00Z"}, "bar"),
        ({"alertTimestamp": "2026-11-21T04:00:00Z"}, "bar"),
    ],
)
def test_a_time_that_would_mislead_is_not_used_and_said(fields: dict[str, Any], word: str) -> None:
    alert = accepted(body(**fields))

    assert alert.fired_at_ms is None
    assert word in alert.warnings[0]


def test_timestamp_stands_in_for_timenow_unless_it_is_a_bars_time() -> None:
    assert accepted(body(timestamp="2026-11-21T04:43:00Z")).fired_at_ms == NOW - 3000  # 3 s old
    assert accepted(body(alertTimestamp=1_795_236_181)).fired_at_ms == NOW - 2000
    both = accepted(body(timenow="2026-11-21T04:43:01Z", timestamp="2026-11-21T04:00:00Z"))
    assert both.fired_at_ms == NOW - 2000


def test_the_bars_time_never_orders() -> None:
    assert accepted(body(time="2026-11-21T04:43:01Z")).fired_at_ms is None


@pytest.mark.parametrize(
    ("field", "value", "attribute", "default"),
    [
        ("signal_seq", "7.5", "sequence", None),
        ("signal_seq", "e10", "sequence", None),
        ("signal_seq", 2**63, "sequence", None),
        ("signal_seq", True, "sequence", None),
        ("action", "exit", "action", ""),
        ("prev_market_position", "?", "previous_position", None),
        ("strategy", ["x"], "strategy", ""),
        ("strategy", "x" * 201, "strategy", ""),
        ("event_id", {"a": 1}, "event_id", ""),
    ],
)
def test_hints_that_are_not_understood_are_said_and_not_used(
    field: str, value: Any, attribute: str, default: Any
) -> None:
    alert = accepted(body(**{field: value}))

    assert getattr(alert, attribute) == default
    assert "not used" in alert.warnings[0]


def test_b11_numbers_are_numbers_not_text() -> None:
    ten, nine = accepted(body(signal_seq="10")).sequence, accepted(body(signal_seq="9")).sequence
    assert ten is not None
    assert nine is not None
    assert ten > nine
