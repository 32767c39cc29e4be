"""The bytes of an alert as a JSON object: nothing is guessed, nothing is turned into a float.

Pure. Numbers stay the text they were written as; secrets are masked before anything is kept.
"""

import json
import re
from dataclasses import dataclass
from email.message import Message as Headers
from typing import Any, Final

import orjson

MASK: Final = "***"
DEEPEST: Final = 16
"""Levels of nesting; an alert has one."""
PREVIEW: Final = 2_000
"""Characters kept of what was not understood."""
OTHER_CHARSETS: Final = frozenset({"iso-8859-1", "iso8859-1", "latin-1", "latin1", "windows-1252"})

_quoted_token = re.compile(r'("token"\s*:\s*)("(?:[^"\\]|\\.)*"?|[^\s,}]+)', re.IGNORECASE)


class NumberText(str):
    """A JSON number as it was written."""

    __slots__ = ()


class RefusedError(ValueError):
    """An alert, or a field of it, that is not understood."""

    def __init__(self, reason: str, field: str = "") -> None:
        super().__init__(reason)
        self.reason = whole_text(reason)
        self.field = whole_text(field)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertMessage:
    """An alert's JSON object: `fields` to decide by, `raw` to keep."""

    fields: dict[str, Any]
    raw: dict[str, Any]


def read_message(body: bytes, *, content_type: str = "", secret: str = "") -> AlertMessage:
    """Read a body under any content type; `secret` is masked wherever it stands.

    Raises RefusedError.
    """
    text = _decode(body, content_type)
    if secret:
        text = text.replace(secret, MASK)
    if not text.strip():
        raise RefusedError("the body is empty: send the alert as a JSON object")
    try:
        value = json.loads(
            text,
            object_pairs_hook=_Object.of,
            parse_int=NumberText,
            parse_float=NumberText,
            parse_constant=NumberText,
        )
    except RecursionError:
        raise RefusedError(f"nested deeper than {DEEPEST} levels") from None
    except ValueError as error:
        raise RefusedError(f"not JSON: {error}") from None
    if not isinstance(value, _Object):
        raise RefusedError("a JSON object is expected, such as {...}")
    if value.clashes:
        key = value.clashes[0]
        raise RefusedError(f'"{key}" stands there twice with different values', key)
    return AlertMessage(fields=value, raw=_kept(value, 0))


def preview(body: bytes, secret: str = "") -> str:
    """Give the beginning of a body that was not understood, secrets masked."""
    text = body[: PREVIEW * 4].decode("utf-8", "replace")
    if secret:
        text = text.replace(secret, MASK)
    return _quoted_token.sub(rf'\1"{MASK}"', text)[:PREVIEW]


def whole_text(text: str) -> str:
    """Replace halves of surrogate pairs, which JSON can escape but no file can hold."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


class _Object(dict[str, Any]):
    """A JSON object that remembers which of its keys stood there twice with other values."""

    clashes: tuple[str, ...] = ()

    @classmethod
    def of(cls, pairs: list[tuple[str, Any]]) -> "_Object":
        made = cls(pairs)
        if len(made) < len(pairs):
            clashing = {key: None for key, value in pairs if made[key] is not value}
            made.clashes = tuple(
                key
                for key in clashing
                if any(name == key and not _is_same(value, made[key]) for name, value in pairs)
            )
        return made


def _is_same(one: object, other: object) -> bool:
    return isinstance(one, str) and isinstance(other, str) and one == other


def _decode(body: bytes, content_type: str) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        headers = Headers()
        headers["content-type"] = content_type
        charset = str(headers.get_param("charset", "")).lower()
        if charset in OTHER_CHARSETS:
            return body.decode(charset, "replace")
        raise RefusedError(f"not UTF-8 at byte {error.start}") from None


def _kept(value: Any, depth: int) -> Any:  # noqa: ANN401 - any JSON value
    """Copy a value for the journal: numbers as written, tokens masked, no half characters."""
    if depth > DEEPEST:
        raise RefusedError(f"nested deeper than {DEEPEST} levels")
    if isinstance(value, NumberText):
        return str(value) if value.lstrip("-").isalpha() else orjson.Fragment(str(value))
    if isinstance(value, str):
        return whole_text(value)
    if isinstance(value, dict):
        return {
            whole_text(key): MASK if key.lower() == "token" else _kept(item, depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_kept(item, depth + 1) for item in value]
    return value
