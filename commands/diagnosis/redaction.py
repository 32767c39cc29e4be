"""Takes what is secret out of files that are given away: by key, by value, and by how it looks.

Only what is known to be harmless is kept of credentials; every other value becomes `***`, and is
masked wherever else it stands: in logs, journals and status.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from commands.diagnosis.forms import ESCAPE, forms_of
from commands.diagnosis.looks import without_lookalikes
from core.errors import ConfigError
from core.home import Home
from core.process.logs import MASK, SHORTEST_SECRET, redact, register_secret
from core.store import read_json
from monitor.secrecy import SHORTEST_PART, parts_of_address

HARMLESS: Final = frozenset(
    {
        *("name", "exchange", "enabled", "environment", "margin_mode", "allow_reopen"),
        *("position_mode", "equity_scope", "leverage_override", "copy_trading"),
        *("min_order_notional_usdt", "auth_style", "tier"),
    }
)
"""Keys of credentials.json whose values may be seen."""
SECRET_KEYS: Final = frozenset({"token", "url", "key", "api_key", "api_secret", "api_passphrase"})
"""Keys of the other files whose values may not."""
SHORT_NUMBER: Final = 8
"""Digits: a shorter number under a secret key stands elsewhere by chance."""
BETWEEN: Final = r"""\\{0,31}["']\s*:\s*(?P<mark>\\{0,31}["'])"""
"""What stands in JSON between a key and a text, however often escaped."""

_short: set[tuple[str, str]] = set()  # key and value: masked only where they stand together


def learn_secrets(home: Home) -> None:
    """Find the secrets of a home's files, broken ones and old copies too, and mask them."""
    for folder in (home.root, home.last_good):
        for key, secret in _secrets_of(folder):
            if len(secret) < SHORTEST_SECRET:
                _short.add((key, secret))
                continue
            # text that is written into other text may lose its ends
            parts = parts_of_address(secret) if "://" in secret else (secret,)
            for part in parts:
                if len(part) >= SHORTEST_SECRET:
                    _learn(part)


def _learn(secret: str) -> None:
    for form in forms_of(secret):
        register_secret(form)


def masked(text: str) -> str:
    """Mask what is a secret of this home, and what looks like anybody's."""
    text = ESCAPE.sub(lambda found: found[0].upper(), text)  # %2f is %2F: one form to look for
    return without_lookalikes(_without_short(redact(text)))


def _without_short(text: str) -> str:
    for key, value in sorted(_short):
        pair = rf"(?P<head>{re.escape(key)}{BETWEEN}){re.escape(value)}(?=(?P=mark))"
        text = re.sub(pair, rf"\g<head>{MASK}", text)
    return text


def masked_file(path: Path) -> Any:  # noqa: ANN401 - any JSON value
    """Read a configuration file without its secrets; a note in place of one that is broken."""
    try:
        content = read_json(path)
    except FileNotFoundError:
        return {"_note": "there is no such file"}
    except (ConfigError, OSError):
        return {"_note": "it cannot be read as JSON, so it is left out"}
    is_credentials = path.name == "credentials.json"
    return _bare(content, is_credentials=is_credentials)


def _bare(value: Any, *, is_credentials: bool, key: str = "") -> Any:  # noqa: ANN401
    if isinstance(value, dict):
        return {
            name: _bare(row, is_credentials=is_credentials, key=name) for name, row in value.items()
        }
    if isinstance(value, list):
        return [_bare(row, is_credentials=is_credentials, key=key) for row in value]
    if value in ("", None) or isinstance(value, bool):
        return value
    if _is_secret(key, is_credentials=is_credentials):
        return MASK
    return masked(value) if isinstance(value, str) else value


def _is_secret(key: str, *, is_credentials: bool) -> bool:
    return key not in HARMLESS if is_credentials else key in SECRET_KEYS


def _secrets_of(folder: Path) -> Iterator[tuple[str, str]]:
    """Give each secret with its key."""
    for path in folder.glob("*.json"):
        is_credentials = path.name == "credentials.json"
        try:
            content = read_json(path)
        except (ConfigError, OSError):
            if is_credentials:
                yield from (("", word) for word in _words_of_broken(path))
            continue
        yield from _secret_values(content, is_credentials=is_credentials)


def _secret_values(
    value: Any,  # noqa: ANN401 - any JSON value
    *,
    is_credentials: bool,
    key: str = "",
) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        yield from _logins(value)
        for name, row in value.items():
            yield from _secret_values(row, is_credentials=is_credentials, key=name)
    elif isinstance(value, list):
        for row in value:
            yield from _secret_values(row, is_credentials=is_credentials, key=key)
    elif value and _is_secret(key, is_credentials=is_credentials):
        if isinstance(value, str):
            yield key, value
        elif not isinstance(value, bool) and len(str(value)) >= SHORT_NUMBER:
            yield key, str(value)


def _logins(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Give key and secret as one text, as they are sent together in a header."""
    login = row.get("api_key"), row.get("api_secret")
    if all(isinstance(part, str) and part for part in login):
        yield "", ":".join(map(str, login))


def _words_of_broken(path: Path) -> Iterator[str]:
    """Take every long quoted word of a broken credentials file for a secret: rather too many."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for quoted in re.findall(r'"(?:[^"\\\n]|\\.)+"(?!\s*:)', text):
        try:
            word = str(orjson.loads(quoted))
        except orjson.JSONDecodeError:
            word = quoted[1:-1]
        if len(word) >= SHORTEST_PART:
            yield word
