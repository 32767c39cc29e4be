"""Which of the engine's events a person wants to be told. Pure: a row in, news out."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from core.settings.engine import NewsKind
from monitor.notifier.news import News, harmless

OVER: Final = ":over"
"""Ends the code of an event that says that an alert is over."""


def pick(row: Mapping[str, Any]) -> News | None:
    """Make news of an event; None when nobody needs to hear of it."""
    at_ms, code = row.get("at_ms"), str(row.get("code", ""))
    kind = _kind(code, str(row.get("severity", "")), row.get("filled_lots"))
    if kind is None or not isinstance(at_ms, int):
        return None
    account, symbol = str(row.get("account") or ""), str(row.get("symbol") or "")
    text = str(row.get("text", "")) or code
    if symbol and symbol not in text:
        text = f"{symbol}: {text}"
    if account and account not in text:
        text = f"{account} {text}"
    # an alert and its end are one story: in a pause they must not overtake each other
    key = "" if kind == "trade" else f"{code.removesuffix(OVER)}/{account}/{symbol}"
    return News(kind=kind, at_ms=at_ms, text=harmless(text), key=key)


def _kind(code: str, severity: str, filled_lots: object) -> NewsKind | None:
    if severity == "error":
        return "error"
    # the end of an alert is news for whoever was told of the alert
    if severity == "warning" or code.endswith(OVER):
        return "alert"
    if code == "confirmed" or (code == "order_ended" and _was_filled(filled_lots)):
        return "trade"
    return None


def _was_filled(filled_lots: object) -> bool:
    try:
        return Decimal(str(filled_lots)) != 0
    except ArithmeticError:
        return True  # written otherwise than we know: rather told than kept
