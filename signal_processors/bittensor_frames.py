"""What a validator's websocket says, in both of its dialects, as values.

Pure. Reads envelopes only: a position stays the bytes it came as.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

BAD_KEY: Final = re.compile(
    r"invalid api key|authentication (?:required|failed)|unauthorized", re.IGNORECASE
)
NO_TIER: Final = "INSUFFICIENT_TIER"
CROWDED: Final = "MAX_CONNECTIONS_EXCEEDED"
MOST_MS: Final = 1e15
MALFORMED: Final = (msgspec.MsgspecError, RecursionError, UnicodeError)

Why = Literal["key", "tier", "crowded", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """One numbered message; `position` is None when it is about something else."""

    sequence: int | None  # None = not numbered
    position: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscribed:
    """All position changes will come from now on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pong:
    """The answer to a ping; both times in ms, the first is ours."""

    client_ms: float | None
    server_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The validator will not serve us."""

    why: Why
    text: str  # its own words


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """Understood, and of no interest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Garbage:
    """Not what a validator sends: something may be lost in it."""


Frame = Update | Subscribed | Pong | Refusal | Ignored | Garbage


ABSENT: Final = msgspec.Raw()


class _Envelope(msgspec.Struct):
    type: str = ""
    status: str = ""
    action: str = ""
    code: object = ""
    message: object = ""
    sequence: int | None = None
    data: msgspec.Raw = ABSENT
    messages: list[msgspec.Raw] | None = None
    client_timestamp: object = None
    server_timestamp: object = None


class _Data(msgspec.Struct):
    position: msgspec.Raw = ABSENT


_read_envelope = msgspec.json.Decoder(_Envelope).decode
_read_data = msgspec.json.Decoder(_Data).decode


def read_frame(raw: str | bytes) -> Iterator[Frame]:
    """Give what a frame says, in its order; a batch says several things."""
    try:
        envelope = _read_envelope(raw)
    except MALFORMED:
        yield Garbage()
        return
    if envelope.messages is None:
        yield _read_one(envelope)
        return
    for message in envelope.messages:
        yield _read_numbered(message)


def _read_numbered(raw: msgspec.Raw) -> Frame:
    try:
        envelope = _read_envelope(raw)
    except MALFORMED:
        return Garbage()
    return _update(envelope) if _is_there(envelope.data) else Garbage()


def _read_one(envelope: _Envelope) -> Frame:
    if _is_there(envelope.data):
        return _update(envelope)
    if envelope.sequence is not None:
        return Garbage()
    if envelope.type == "pong":
        return Pong(
            client_ms=_number(envelope.client_timestamp),
            server_ms=_number(envelope.server_timestamp),
        )
    is_ours = envelope.type != "subscription_status" or envelope.action in ("subscribe", "")
    if is_ours and (envelope.status == "error" or envelope.type == "error"):
        return _refusal(envelope)
    if is_ours and envelope.type == "subscription_status" and envelope.status == "success":
        return Subscribed()
    return Ignored()


def _update(envelope: _Envelope) -> Frame:
    try:
        position = _read_data(envelope.data).position
    except MALFORMED:
        return Garbage()
    if not _is_there(position):
        return Update(sequence=envelope.sequence)
    body = bytes(position)
    if not body.startswith(b"{"):
        return Garbage()
    return Update(sequence=envelope.sequence, position=body)


def _is_there(raw: msgspec.Raw) -> bool:
    return bytes(raw) not in (b"", b"null")


def _refusal(envelope: _Envelope) -> Refusal:
    text = envelope.message if isinstance(envelope.message, str) else ""
    why: Why = "key" if BAD_KEY.search(text) else "other"
    if envelope.code == NO_TIER:
        why = "tier"
    elif envelope.code == CROWDED:
        why = "crowded"
    return Refusal(why=why, text=text)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) < MOST_MS else None
