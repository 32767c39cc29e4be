"""What the values of an alert mean: sizes, directions, numbers, times.

Pure. Each function gives a value or raises RefusedError; none guesses. Decimals only.
"""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from signal_processors.tradingview_message import RefusedError, whole_text

DIRECTIONS: Final = {"long": 1, "bullish": 1, "short": -1, "bearish": -1, "flat": 0}
LONGEST_NUMBER: Final = 50
LARGEST_EXPONENT: Final = 30
LONGEST_TEXT: Final = 200
LARGEST_INTEGER: Final = 2**63 - 1
FUTURE_MS: Final = 60_000
"""A fire time farther ahead of our clock than this is somebody's wrong clock."""
BAR_MS: Final = 60_000
BAR_AGE_MS: Final = 30_000
FIRST_YEAR_MS: Final = 946_684_800_000  # 2000
LAST_YEAR_MS: Final = 4_102_444_800_000  # 2100
SECONDS_BELOW: Final = 10**11
"""A smaller number is epoch seconds (until the year 5138), a larger one milliseconds."""

_number = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
_symbol = re.compile(r"[A-Za-z0-9._:/!&+@=^-]{1,64}", re.ASCII)


def read_text(value: Any, field: str) -> str:  # noqa: ANN401 - any JSON value
    """Give a text or a number as stripped text; "" for null."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise RefusedError(f"{field} must be text or a number", field)
    text = whole_text(value).strip()
    if len(text) > LONGEST_TEXT:
        raise RefusedError(f"{field} is longer than {LONGEST_TEXT} characters", field)
    return text


def read_symbol(text: str) -> str:
    """Check a symbol; it is kept as it came."""
    if not text:
        raise RefusedError('"symbol" is missing', "symbol")
    if not _symbol.fullmatch(text):
        raise RefusedError(
            f"symbol must be 1 to 64 letters, digits or ._:/!&+@=^-, was {text[:70]!r}", "symbol"
        )
    return text


def read_direction(text: str, field: str) -> int:
    """Give 1 for long, -1 for short, 0 for flat."""
    direction = DIRECTIONS.get(text.lower())
    if direction is None:
        words = "/".join(DIRECTIONS)
        raise RefusedError(f"{field} must be one of {words}, was {text[:40]!r}", field)
    return direction


def read_number(text: str, field: str) -> Decimal:
    """Read a finite decimal number of sane length."""
    if len(text) > LONGEST_NUMBER or not _number.fullmatch(text):
        raise RefusedError(f"{field} must be a number, was {text[:60]!r}", field)
    number = Decimal(text)
    if number and abs(number.adjusted()) > LARGEST_EXPONENT:
        raise RefusedError(f"{field} is out of any range: {text!r}", field)
    return number


def read_positive(text: str, field: str) -> Decimal | None:
    """Read a number above zero; "" = none."""
    if not text:
        return None
    number = read_number(text, field)
    if number <= 0:
        raise RefusedError(f"{field} must be above 0, was {text}", field)
    return number


def read_depth(text: str, direction: int) -> Decimal:
    """Give the signed share of equity that `size` asks for; flat is 0 whatever the size.

    "5.8/100", a bare number and "5.8%" are percent of equity; a sign must agree with `direction`.
    """
    if direction == 0:
        return Decimal(0)
    if not text:
        raise RefusedError('"size" is missing: send such as "5.8/100"', "size")
    if text.lower().startswith("exit"):
        raise RefusedError(f"size {text[:40]!r} closes: that goes with direction flat only", "size")
    share = _share(text)
    if share == 0:
        raise RefusedError(f"size {text} closes: that goes with direction flat only", "size")
    is_signed = text[0] in "+-"
    if is_signed and (share > 0) != (direction > 0):
        raise RefusedError(f"size {text} and the direction differ in sign", "size")
    if abs(share) > 1:
        raise RefusedError(f"size {text} is more than the whole equity (100/100)", "size")
    return abs(share) * direction


def _share(text: str) -> Decimal:
    above, slash, below = text.partition("/")
    if not slash:
        return read_number(text.removesuffix("%").rstrip(), "size") / 100
    whole = read_number(below.strip(), "size")
    if whole <= 0:
        raise RefusedError(f"size {text} is divided by {below.strip()}: must be above 0", "size")
    return read_number(above.strip(), "size") / whole


def read_integer(text: str, field: str) -> int | None:
    """Read a whole number of 63 bits; "" = none."""
    if not text:
        return None
    number = read_number(text, field)
    if number != number.to_integral_value() or abs(number) > LARGEST_INTEGER:
        raise RefusedError(f"{field} must be a whole number, was {text}", field)
    return int(number)


def read_time_ms(text: str, field: str) -> int:
    """Read ISO 8601 with a zone, epoch seconds or epoch milliseconds as ms UTC."""
    if _number.fullmatch(text):
        number = read_number(text, field)
        at_ms = int(number * 1000 if abs(number) < SECONDS_BELOW else number)
    else:
        at_ms = _iso_ms(text, field)
    if not FIRST_YEAR_MS <= at_ms < LAST_YEAR_MS:
        raise RefusedError(f"{field} is not a time of this century: {text}", field)
    return at_ms


def fire_time_ms(text: str, field: str, received_at_ms: int) -> int:
    """Read a fire time that may order alerts; refuses those that would mislead."""
    at_ms = read_time_ms(text, field)
    if at_ms > received_at_ms + FUTURE_MS:
        raise RefusedError(f"{field} lies more than 60 s in the future: {text}", field)
    is_bar = at_ms % BAR_MS == 0 and received_at_ms - at_ms > BAR_AGE_MS
    if is_bar and field != "timenow":
        raise RefusedError(f"{field} is a bar's time, not the alert's: {text}", field)
    return at_ms


def _iso_ms(text: str, field: str) -> int:
    try:
        at = datetime.fromisoformat(text)
        since = at.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    except (ValueError, OverflowError):
        raise RefusedError(f"{field} is no time: {text[:40]!r}", field) from None
    if at.tzinfo is None:
        raise RefusedError(f"{field} has no time zone (end it in Z): {text[:40]}", field)
    return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000
