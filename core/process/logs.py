"""Log records as lines on stderr: JSON for machines, one plain line for a terminal; secrets masked.

stdout stays free for a command's answer. Each record is one write, so lines never interleave.
Never add a handler elsewhere: it would go round the masking.
"""

import json
import logging
import os
import re
import sys
import time
from pathlib import Path
from typing import Final
from urllib.parse import quote

LEVEL_VARIABLE: Final = "TRADE_ENGINE_LOG_LEVEL"
MASK: Final = "***"
SHORTEST_SECRET: Final = 4
"""Characters; masking anything shorter would blot out ordinary words."""

_secrets: set[str] = set()
_webhook_path = re.compile(r"(/webhook/)[^\s/?#\"'\\]+")
_standard_fields = frozenset(vars(logging.makeLogRecord({}))) | {
    *("message", "asctime", "taskName"),
    "color_message",  # uvicorn's, the same text again
}


def register_secret(value: str) -> None:
    """Mask this value in every later line, also where it appears JSON-escaped or URL-quoted."""
    if len(value) >= SHORTEST_SECRET:
        _secrets.update((value, json.dumps(value)[1:-1], quote(value, safe="")))


def redact(text: str) -> str:
    """Mask every registered secret and every webhook path."""
    for secret in sorted(_secrets, key=len, reverse=True):  # a secret may contain another
        text = text.replace(secret, MASK)
    return _webhook_path.sub(rf"\1{MASK}", text)


def configure_logging(service: str) -> None:
    """Send every record of this process to stderr; replaces earlier handlers.

    The level is INFO, or what TRADE_ENGINE_LOG_LEVEL names.
    """
    handler = _RedactingHandler(sys.stderr)
    handler.setFormatter(_PlainFormatter() if sys.stderr.isatty() else _json_formatter(service))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    level = os.environ.get(LEVEL_VARIABLE, "").upper()
    root.setLevel(level if level in logging.getLevelNamesMapping() else logging.INFO)
    logging.captureWarnings(capture=True)
    logging.raiseExceptions = False  # its report of a bad record goes round the masking


def reopen_streams(folder: Path, service: str) -> None:
    """Point stdout and stderr at PM2's log files themselves, once PM2 no longer reads our pipes."""
    for handle, kind in ((1, "out"), (2, "err")):
        file = os.open(
            folder / f"{service}.{kind}.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600
        )
        os.dup2(file, handle)
        os.close(file)


class _PlainFormatter(logging.Formatter):
    """One readable line, its fields behind the text as key=value; times in UTC."""

    converter = time.gmtime  # type: ignore[assignment] # typeshed asks for a wider one
    default_msec_format = "%s.%03dZ"

    def __init__(self) -> None:
        super().__init__("{asctime} {levelname:<7} {message}", style="{", datefmt="%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        extra = {k: v for k, v in vars(record).items() if k not in _standard_fields}
        fields = "".join(f" {key}={value}" for key, value in extra.items())
        head, newline, trace = super().format(record).partition("\n")
        return head + fields + newline + trace


class _RedactingHandler(logging.StreamHandler):  # type: ignore[type-arg]
    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


def _json_formatter(service: str) -> logging.Formatter:
    from pythonjsonlogger.orjson import OrjsonFormatter  # noqa: PLC0415 - a terminal needs none

    return OrjsonFormatter(
        "{levelname}{name}{message}",
        style="{",
        rename_fields={
            "levelname": "level",
            "name": "logger",
            "message": "event",
            "exc_info": "trace",
        },
        static_fields={"service": service},
        reserved_attrs=sorted(_standard_fields),
        timestamp="at",
    )
