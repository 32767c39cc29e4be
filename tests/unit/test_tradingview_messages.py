"""Alerts as bytes: what is JSON, what is masked, what is journaled; and any bytes at all."""

from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.model import Signal
from signal_processors.tradingview_message import preview
from signal_processors.tradingview_processor import SOURCE, ParsedAlert, Rejection, parse, to_signal
from tests.alert_forms import (
    NOW,
    accepted,
    body,
    refused,
)


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
