"""TradingView alerts as signals: the whole grammar of an alert and the order between two.

Pure: bytes and the time of arrival in, a value out; no clock, file or network.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from hashlib import sha256
from typing import Any, Final, TypeVar

from core.model import Signal
from signal_processors.source_profile import SourceProfile
from signal_processors.tradingview_grammar import (
    fire_time_ms,
    read_depth,
    read_direction,
    read_integer,
    read_positive,
    read_symbol,
    read_text,
)
from signal_processors.tradingview_message import (
    AlertMessage,
    RefusedError,
    read_message,
    whole_text,
)
from signal_processors.tradingview_order import supersedes

__all__ = ["SOURCE", "ParsedAlert", "Rejection", "parse", "supersedes", "to_signal"]

SOURCE: Final = SourceProfile(
    name="tradingview",
    kind="instruction",
    service="tradingview-endpoint",
    compress_after_days=60,
)

DIRECTION_FIELDS: Final = ("direction", "market_position", "sentiment")
TIME_FIELDS: Final = ("timenow", "timestamp", "alertTimestamp")
OTHER_FIELDS: Final = frozenset(
    {
        "action",
        "event_id",
        "leverage",
        "prev_market_position",
        "price",
        "signal_seq",
        "size",
        "strategy",
        "symbol",
        "time",
        "token",
    }
)
UNDERSTOOD: Final = OTHER_FIELDS.union(DIRECTION_FIELDS, TIME_FIELDS)
POSITION_NAMES: Final = {1: "long", -1: "short", 0: "flat"}
MOST_IGNORED: Final = 50

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedAlert:
    """An alert that was understood; `depth` is the signed share of equity, -1..1."""

    source_symbol: str
    depth: Decimal
    leverage: Decimal | None
    price: Decimal | None
    fired_at_ms: int | None
    received_at_ms: int
    sequence: int | None
    strategy: str
    action: str
    previous_position: int | None
    event_id: str
    body_sha256: str
    raw: dict[str, Any] = field(repr=False)
    ignored: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """Why an alert was not understood, and which field is to blame."""

    reason: str
    field: str = ""


def parse(
    body: bytes, *, received_at_ms: int, content_type: str = "", secret: str = ""
) -> ParsedAlert | Rejection:
    """Understand an alert or say why not; never raises. `secret` is masked in what is kept."""
    try:
        message = read_message(body, content_type=content_type, secret=secret)
        return _Reading(message, received_at_ms).alert(sha256(body).hexdigest())
    except RefusedError as error:
        return Rejection(reason=error.reason, field=error.field)


def to_signal(alert: ParsedAlert, *, signal_id: str, symbol: str) -> Signal:
    """Make the signal that is journaled; `symbol` is ours, or "" where nothing is mapped."""
    previous = alert.previous_position
    return Signal(
        id=signal_id,
        source=SOURCE.name,
        source_symbol=alert.source_symbol,
        symbol=symbol,
        depth=alert.depth,
        leverage=alert.leverage,
        price=alert.price,
        fired_at_ms=alert.fired_at_ms,
        received_at_ms=alert.received_at_ms,
        sequence=alert.sequence,
        strategy=alert.strategy,
        meta={
            "body_sha256": alert.body_sha256,
            "event_id": alert.event_id,
            "action": alert.action,
            "previous": None if previous is None else POSITION_NAMES[previous],
            "ignored": list(alert.ignored),
            "warnings": list(alert.warnings),
            "raw": alert.raw,
        },
    )


class _Reading:
    """One alert while it is read: what was used, what there is to warn of."""

    def __init__(self, message: AlertMessage, received_at_ms: int) -> None:
        self.fields = message.fields
        self.raw = message.raw
        self.received_at_ms = received_at_ms
        self.warnings: list[str] = []
        self.unused_aliases: set[str] = set()

    def alert(self, body_sha256: str) -> ParsedAlert:
        symbol = read_symbol(self._symbol_text())
        direction = self._direction()
        size = "" if direction == 0 else read_text(self.fields.get("size"), "size")
        depth = read_depth(size, direction)
        return ParsedAlert(
            source_symbol=symbol,
            depth=depth,
            leverage=self._number("leverage", is_optional=direction == 0),
            price=self._number("price", is_optional=direction == 0),
            fired_at_ms=self._fire_time(),
            received_at_ms=self.received_at_ms,
            sequence=self._hint("signal_seq", partial(read_integer, field="signal_seq"), None),
            strategy=self._hint("strategy", str, ""),
            action=self._hint("action", _action, ""),
            previous_position=self._hint("prev_market_position", _previous, None),
            event_id=self._hint("event_id", str, ""),
            body_sha256=body_sha256,
            raw=self.raw,
            ignored=self._ignored(),
            warnings=tuple(self.warnings),
        )

    def _symbol_text(self) -> str:
        symbol = read_text(self.fields.get("symbol"), "symbol")
        if symbol:
            self.unused_aliases.add("ticker")
            return symbol
        return read_text(self.fields.get("ticker"), "ticker")

    def _direction(self) -> int:
        """All fields that speak of the direction must say the same."""
        found: dict[str, int] = {}
        for name in DIRECTION_FIELDS:
            text = read_text(self.fields.get(name), name)
            if text:
                found[name] = read_direction(text, name)
        if not found:
            raise RefusedError(
                '"direction" is missing (long, short or flat): an action alone is no target',
                "direction",
            )
        if len(set(found.values())) > 1:
            told = ", ".join(f"{name} says {POSITION_NAMES[sign]}" for name, sign in found.items())
            raise RefusedError(f"the direction is not clear: {told}", "direction")
        return next(iter(found.values()))

    def _number(self, name: str, *, is_optional: bool) -> Decimal | None:
        """A position needs readable numbers; an exit is never refused for its decoration."""
        if is_optional:
            return self._hint(name, partial(read_positive, field=name), None)
        return read_positive(read_text(self.fields.get(name), name), name)

    def _fire_time(self) -> int | None:
        for name in TIME_FIELDS:
            read = partial(fire_time_ms, field=name, received_at_ms=self.received_at_ms)
            at_ms = self._hint(name, read, None)
            if at_ms is not None:
                return at_ms
        return None

    def _hint(self, name: str, read: Callable[[str], T], default: T) -> T:
        """Read a field that helps but must not stand in the way: unreadable = a warning."""
        try:
            text = read_text(self.fields.get(name), name)
            return read(text) if text else default
        except RefusedError as error:
            self.warnings.append(f"{error.reason} (not used)")
            return default

    def _ignored(self) -> tuple[str, ...]:
        names = [
            name
            for name in self.fields
            if name in self.unused_aliases or (name not in UNDERSTOOD and name != "ticker")
        ]
        return tuple(whole_text(name[:64]) for name in names[:MOST_IGNORED])


def _action(text: str) -> str:
    action = text.lower()
    if action not in ("buy", "sell"):
        raise RefusedError(f"action must be buy or sell, was {text[:40]!r}", "action")
    return action


def _previous(text: str) -> int:
    return read_direction(text, "prev_market_position")
