"""Takes what is secret out of files that are given away: by key, by value, and by how it looks.

Only what is known to be harmless is kept of credentials; every other value becomes `***`, and is
masked wherever else it stands: in logs, journals and status.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import orjson

from core.errors import ConfigError
from core.home import Home
from core.process.logs import MASK, redact, register_secret
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
LOOKS_SECRET: Final = re.compile(
    r"""(["']?(?:[\w-]{0,40}(?:secret|passphrase|password|api[_-]?key|token|signature)|sign)["']?"""
    r"""\s*[:=]\s*)("(?:[^"\\]|\\.)*"|'[^']*'|[^\s,;&}\]"']+)""",
    re.IGNORECASE,
)
ADDRESS: Final = re.compile(r"\b(?!https?://)[a-z][a-z0-9+.-]{1,20}://[^\s\"'\\]+", re.IGNORECASE)
"""Addresses of notification services hold their token."""


def learn_secrets(home: Home) -> None:
    """Find the secrets of a home's files, broken ones and old copies too, and mask them."""
    for folder in (home.root, home.last_good):
        for secret in _secrets_of(folder):
            register_secret(secret)
            # text that is written into other text may lose its ends
            if "://" in secret:
                for part in parts_of_address(secret):
                    register_secret(part)


def masked(text: str) -> str:
    """Mask what is a secret of this home, and what looks like anybody's."""
    shown = LOOKS_SECRET.sub(_without_value, redact(text))
    return ADDRESS.sub(lambda found: found[0].partition("://")[0] + f"://{MASK}", shown)


def _without_value(found: re.Match[str]) -> str:
    quote = found[2][0] if found[2][0] in "\"'" else ""  # JSON stays JSON
    return f"{found[1]}{quote}{MASK}{quote}"


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


def _secrets_of(folder: Path) -> Iterator[str]:
    for path in folder.glob("*.json"):
        is_credentials = path.name == "credentials.json"
        try:
            content = read_json(path)
        except (ConfigError, OSError):
            if is_credentials:
                yield from _words_of_broken(path)
            continue
        yield from _secret_values(content, is_credentials=is_credentials)


def _secret_values(value: Any, *, is_credentials: bool, key: str = "") -> Iterator[str]:  # noqa: ANN401
    if isinstance(value, dict):
        for name, row in value.items():
            yield from _secret_values(row, is_credentials=is_credentials, key=name)
    elif isinstance(value, list):
        for row in value:
            yield from _secret_values(row, is_credentials=is_credentials, key=key)
    elif isinstance(value, str) and _is_secret(key, is_credentials=is_credentials):
        yield value


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
