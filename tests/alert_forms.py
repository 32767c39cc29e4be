"""The forms of an alert, understood and refused; told once, tried in memory and over HTTP."""

from typing import Any

import orjson

from signal_processors.tradingview_processor import ParsedAlert, Rejection, parse

NOW = 1_795_236_183_000  # 2026-11-21T04:43:03Z
MISSING: Any = object()

SIZES: list[tuple[Any, str, str]] = [
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
]
REFUSED_SIZES: list[tuple[Any, str]] = [
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
]
REFUSED_FIELDS: list[tuple[dict[str, Any], str]] = [
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
]


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
