"""A bundle for whoever helps: versions, findings, configuration, status, the ends of the logs.

Every byte goes through the masking of `redaction`; signals, and anything older than the end of a
file, stay at home.
"""

import io
import stat
import tarfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from commands.checks.findings import Finding
from commands.diagnosis.checks import as_document
from commands.diagnosis.redaction import masked, masked_file
from commands.version import versions
from core.home import Home
from core.status import read_status
from core.store import atomic_write_bytes, to_json

CONFIGURATION: Final = (
    "credentials.json",
    "asset_mapping_config.json",
    "signal_weight_config.json",
    "bittensor_processor_config.json",
    "engine_config.json",
)
STATE: Final = (
    *("control.json", "trips.json", "targets.json", "contributions.json", "engine.json"),
    *("status/*.json", "*.lock"),
)
TAILS: Final = ("events-*.jsonl", "orders-*.jsonl")
TAIL_BYTES: Final = 256 * 1024
"""Bytes from the end of each journal and log."""
NEWEST_JOURNALS: Final = 2


def write_bundle(home: Home, path: Path, findings: list[Finding], now_ms: int) -> int:
    """Write the bundle, mode 0600, and give its size in bytes. Raises OSError."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, text in _contents(home, findings, now_ms):
            content = masked(text).encode()
            entry = tarfile.TarInfo(f"trade-engine-bundle/{name}")
            entry.size, entry.mode, entry.mtime = len(content), 0o600, now_ms // 1000
            archive.addfile(entry, io.BytesIO(content))
    content = made.getvalue()
    atomic_write_bytes(path, content)
    return len(content)


def _contents(home: Home, findings: list[Finding], now_ms: int) -> Iterator[tuple[str, str]]:
    yield "versions.json", _pretty(versions())
    yield "findings.json", _pretty(as_document(findings))
    yield "files.txt", "\n".join(_listing(home)) + "\n"
    for name in CONFIGURATION:
        yield f"config/{name}", _pretty(masked_file(home.root / name))
    yield "status.json", _pretty(read_status(home, now_ms))
    for pattern in STATE:
        for path in sorted(home.state.glob(pattern)):
            yield f"state/{path.relative_to(home.state)}", _end_of(path)
    for pattern in TAILS:
        for path in sorted(home.state.glob(pattern))[-NEWEST_JOURNALS:]:
            yield f"state/{path.name}", _end_of(path)
    for path in sorted(home.logs.glob("*.log")):
        yield f"logs/{path.name}", _end_of(path)


def _pretty(value: Mapping[str, Any] | list[dict[str, Any]]) -> str:
    return to_json(value, is_indented=True).decode()


def _end_of(path: Path) -> str:
    """Give the last whole lines of a file."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            start = file.seek(max(0, size - TAIL_BYTES))
            content = file.read()
    except OSError as error:
        return f"(not readable: {error.strerror or error})\n"
    if start:
        content = content.partition(b"\n")[2]  # half a line may hold half a secret
    return content.decode(errors="replace")


def _listing(home: Home) -> Iterator[str]:
    for folder in (home.root, home.state, home.last_good, home.raw_signals, home.logs):
        for path in sorted(folder.glob("*")):
            try:
                found = path.lstat()
            except OSError:
                continue
            changed = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(found.st_mtime))
            name = path.relative_to(home.root)
            yield f"{stat.filemode(found.st_mode)} {found.st_size:>12} {changed} {name}"
