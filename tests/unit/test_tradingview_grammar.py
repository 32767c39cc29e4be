"""Every form of an alert, and every form that is refused."""

from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.model import Signal
from signal_processors.tradingview_message import preview
from signal_processors.tradingview_processor import (
    SOURCE,
    ParsedAlert,
    Rejection,
    parse,
    to_signal,
)

NOW = 1_795_236_183_000  # 2026-11-21T04:43:03Z
MISSING = object()


def body(**fields: Any) -> bytes:
    whole = {"symbol": "ETHUSDT", "direction": "long", "size": "5.8/100"} | fields
    return orjson.dumps({key: value for key, value in whole.items() if value is not MISSING})


def accepted(raw: bytes, **kwargs: Any) -> ParsedAlert:
    alert = parse(raw, received_at_ms=NOW, **kwargs)
    assert isinstance(alert, ParsedAlert), alert
    return alert


def refused(raw: bytes, **kwargs: Any) -> Rejection:
    rejection = parse(raw, received_at_ms=NOW, **kwargs)
    assert isinstance(rejection, Rejection), rejection
    return rejection


@pytest.mark.parametrize(
    ("size", "direction", "depth"),
    [
        ("5.8/100", "long", "0.058"),
        ("5.8/100", "short", "-0.058"),
        ("-14/100", "short", "-0.14"),
        ("+14/100", "long", "0.14"),
        (" 5.8 / 100 ", "long", "0.058"),
        ("1/4", "long", "0.25"),
        ("100/100", "long", "1"),
        ("5.8%", "long", "0.058"),
        ("5.8 %", "long", "0.058"),
        ("5.8", "long", "0.058"),
        (".5", "long", "0.005"),
        ("5.", "long", "0.05"),
        (5.8, "long", "0.058"),
        (14, "short", "-0.14"),
        (-14, "short", "-0.14"),
        ("1e1", "long", "0.1"),
        ("0/100", "flat", "0"),
        ("Exit @ 3263.55", "flat", "0"),
        ("5.8/100", "flat", "0"),
        ("-5.8/100", "flat", "0"),
        ("nan", "flat", "0"),
        ("5/0", "flat", "0"),
        ("", "flat", "0"),
        (MISSING, "flat", "0"),
        ([1], "flat", "0"),
        ("x" * 1000, "flat", "0"),
    ],
)
def test_sizes_mean_a_share_of_equity(size: Any, direction: str, depth: str) -> None:
    alert = accepted(body(size=size, direction=direction))

    assert str(alert.depth) == str(Decimal(depth)) or alert.depth == Decimal(depth)
    assert isinstance(alert.depth, Decimal)


@pytest.mark.parametrize(
    ("size", "direction"),
    [
        ("-14/100", "long"),
        ("+14/100", "short"),
        (-5, "long"),
        ("5000/100", "long"),
        ("100.01", "long"),
        ("5/0", "long"),
        ("5/-100", "long"),
        ("0/100", "long"),
        ("0", "short"),
        ("-0/100", "long"),
        ("Exit @ 3263.55", "long"),
        ("exit", "short"),
        ("nan", "long"),
        ("Infinity", "long"),
        ("-inf", "short"),
        ("5,8/100", "long"),
        ("1_0/100", "long"),
        ("\u0665/100", "long"),
        ("5/100/2", "long"),
        ("5.8%/100", "long"),
        ("", "long"),
        (None, "long"),
        (MISSING, "long"),
        (True, "long"),
        ([5], "long"),
        ({"a": 1}, "long"),
        ("1e999999", "long"),
        ("1e-999999", "long"),
        ("1e-40/100", "long"),
        ("9" * 60, "long"),
        ("x" * 300, "long"),
    ],
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
    [
        ({"direction": MISSING}, "direction"),
        ({"direction": MISSING, "action": "buy"}, "direction"),
        ({"direction": "buy"}, "direction"),
        ({"direction": 1}, "direction"),
        ({"direction": True}, "direction"),
        ({"direction": ["long"]}, "direction"),
        ({"sentiment": "neutral"}, "sentiment"),
        ({"direction": "long", "market_position": "flat"}, "direction"),
        ({"symbol": MISSING}, "symbol"),
        ({"symbol": ""}, "symbol"),
        ({"symbol": "ETH USDT"}, "symbol"),
        ({"symbol": "ETH\nUSDT"}, "symbol"),
        ({"symbol": "ÉTH"}, "symbol"),
        ({"symbol": "../../etc/passwd\x00"}, "symbol"),
        ({"symbol": "X" * 65}, "symbol"),
        ({"symbol": {"a": 1}}, "symbol"),
        ({"leverage": "nan"}, "leverage"),
        ({"leverage": 0}, "leverage"),
        ({"leverage": "-3"}, "leverage"),
        ({"leverage": "3x"}, "leverage"),
        ({"price": "Infinity"}, "price"),
        ({"price": "1e99"}, "price"),
        ({"price": [1]}, "price"),
    ],
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


@pytest.mark.parametrize(
    ("raw", "word"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (b"BTCUSD Crossing 100", "not JSON"),
        (b'{"symbol":"A"', "not JSON"),
        (b'{"symbol":"A"} x', "not JSON"),
        (b"[]", "object"),
        (b'"text"', "object"),
        (b"7", "object"),
        (b"null", "object"),
        (b'{"symbol":"\xff"}', "UTF-8"),
        (b"\xff\xfe{\x00}\x00", "UTF-8"),
        (b"\x1f\x8b\x08\x00", "UTF-8"),
        (b"[" * 60_000, "nested"),
        (b'{"a":' * 17 + b"1" + b"}" * 17, "nested"),
        (b'{"a":' * 9000 + b"1" + b"}" * 9000, "nested"),
        (b'{"direction":"long","direction":"flat","symbol":"A","size":1}', "twice"),
    ],
)
def test_bodies_that_are_no_alert_are_refused(raw: bytes, word: str) -> None:
    assert word in refused(raw).reason


def test_a_key_that_stands_there_twice_with_one_value_is_no_matter() -> None:
    assert accepted(b'{"symbol":"A","symbol":"A","direction":"flat"}').source_symbol == "A"


def test_a_byte_order_mark_and_a_declared_charset_are_understood() -> None:
    raw = '{"symbol":"A","direction":"flat","note":"é"}'

    assert accepted(b"\xef\xbb\xbf" + raw.encode()).source_symbol == "A"
    latin = accepted(raw.encode("latin-1"), content_type="text/plain; charset=ISO-8859-1")
    assert latin.raw["note"] == "é"


def test_half_a_character_is_replaced_not_lost() -> None:
    alert = accepted(rb'{"symbol":"A","direction":"flat","strategy":"\ud800x","\udfff":1}')

    assert alert.strategy == "?x"
    orjson.dumps(to_signal(alert, signal_id="x", symbol="").to_row())


def test_c2_tokens_and_secrets_are_masked_wherever_they_stand() -> None:
    raw = (
        b'{"symbol":"A","direction":"flat","token":"abc","Token":7,"deep":{"token":["s"]},'
        b'"url":"https://x/webhook/SECRET","SECRET":1}'
    )
    alert = accepted(raw, secret="SECRET")
    row = orjson.dumps(to_signal(alert, signal_id="x", symbol="").to_row())

    assert b"SECRET" not in row
    assert b"abc" not in row
    assert alert.raw["token"] == alert.raw["Token"] == alert.raw["deep"]["token"] == "***"
    assert alert.ignored == ("Token", "deep", "url", "***")


@pytest.mark.parametrize(
    "raw",
    [b'{"token": "abc", "x', b'{"token":"abc', b'{"TOKEN" : abc}', b'x SECRET "token":"a\\"bc"'],
)
def test_c2_what_was_not_understood_is_kept_without_secrets(raw: bytes) -> None:
    kept = preview(raw, "SECRET")

    assert "abc" not in kept
    assert "SECRET" not in kept
    assert "bc" not in kept


def test_the_journal_line_has_the_agreed_shape() -> None:
    raw = body(
        action="buy", leverage="3", price="3328.25", event_id=12, prev_market_position="short"
    )
    row = to_signal(accepted(raw), signal_id="tv-1", symbol="ETHUSDT").to_row()

    assert list(row) == [
        "v",
        "id",
        "source",
        "source_symbol",
        "symbol",
        "depth",
        "leverage",
        "price",
        "fired_at_ms",
        "received_at_ms",
        "sequence",
        "strategy",
        "status",
        "reason",
        "meta",
    ]
    assert (row["depth"], row["leverage"], row["price"]) == ("0.058", "3", "3328.25")
    assert row["meta"]["event_id"] == "12"
    assert row["meta"]["previous"] == "short"
    assert len(row["meta"]["body_sha256"]) == 64
    assert Signal.from_row(orjson.loads(orjson.dumps(row))).depth == Decimal("0.058")


def test_the_source_is_one_of_instructions() -> None:
    assert (SOURCE.name, SOURCE.is_level) == ("tradingview", False)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["long", "flat", "5/100", "nan", "Exit @ 1", "-1", "2026-11-21T04:43:00Z"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
FIELDS = [
    "symbol",
    "ticker",
    "direction",
    "market_position",
    "sentiment",
    "size",
    "action",
    "leverage",
    "price",
    "event_id",
    "signal_seq",
    "timenow",
    "timestamp",
    "alertTimestamp",
    "time",
    "strategy",
    "prev_market_position",
    "token",
    "x",
]


@given(fields=st.dictionaries(st.sampled_from(FIELDS), json_values))
@settings(max_examples=500)
def test_any_json_is_stored_as_a_bounded_depth_or_refused(fields: dict[str, Any]) -> None:
    import json  # noqa: PLC0415 - it can write NaN, as some scripts do

    base = {"symbol": "A", "direction": "long", "size": "5"} if "symbol" not in fields else {}
    outcome = parse(json.dumps(base | fields).encode(), received_at_ms=NOW)
    if isinstance(outcome, Rejection):
        assert outcome.reason
        return
    assert abs(outcome.depth) <= 1
    row = to_signal(outcome, signal_id="x", symbol="").to_row()
    again = Signal.from_row(orjson.loads(orjson.dumps(row)))
    assert again.depth == outcome.depth
    assert again.leverage == outcome.leverage
    assert not any(isinstance(value, float) for value in row.values())


@given(raw=st.binary(max_size=200))
@settings(max_examples=300)
def test_any_bytes_get_an_answer(raw: bytes) -> None:
    assert isinstance(parse(raw, received_at_ms=NOW), ParsedAlert | Rejection)
