"""JSON files that are whole or not there: read them, replace them.

A replace writes beside the file, syncs, renames, syncs the folder; whoever reads meets the old
content or the new, after a power cut too. No file here is ever edited in place.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path
from tempfile import mkstemp
from typing import Any, Final

import orjson

from core.errors import ConfigError

OWNER_ONLY: Final = 0o600


def json_default(value: object) -> str:
    """Turn a Decimal into plain digits and a path into text, for `orjson.dumps(default=...)`."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def to_json(value: Any, *, is_indented: bool = False) -> bytes:  # noqa: ANN401 - any JSON value
    """Render a value as JSON, Decimals as text; indented by two and newline-ended for people."""
    if not is_indented:
        return orjson.dumps(value, default=json_default)
    option = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(value, default=json_default, option=option)


def read_json(path: Path) -> Any:  # noqa: ANN401 - any JSON value
    """Read a JSON file.

    Raises:
        FileNotFoundError: there is none.
        ConfigError: it is not JSON (torn, half-written, not UTF-8).
        OSError: it cannot be read.
    """
    return parse_json(path.read_bytes(), path)


def parse_json(content: bytes, path: Path) -> Any:  # noqa: ANN401 - any JSON value
    """Parse what was read from `path`. Raises ConfigError naming file, line and column."""
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        where = "empty file" if not content.strip() else error.msg
        raise ConfigError(f"{path.name} is not valid JSON: {where} ({path})") from error


def atomic_write_json(
    path: Path,
    value: Any,  # noqa: ANN401 - any JSON value
    *,
    mode: int = OWNER_ONLY,
    is_indented: bool = False,
) -> None:
    """Replace a JSON file in one step, durably. Raises OSError with the old file whole."""
    atomic_write_bytes(path, to_json(value, is_indented=is_indented), mode=mode)


def atomic_write_bytes(path: Path, content: bytes, *, mode: int = OWNER_ONLY) -> None:
    """Replace a file in one step, durably. Raises OSError with the old file whole, no temp left."""
    with _temporary_beside(path, mode) as (handle, temporary):
        _write_all(handle, content)
        os.fsync(handle)
        temporary.replace(path)
    sync(path.parent)


@contextmanager
def _temporary_beside(path: Path, mode: int) -> Iterator[tuple[int, Path]]:
    # the leading dot and the ending keep it out of every reader's glob
    handle, name = mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    temporary = Path(name)
    try:
        os.fchmod(handle, mode)
        yield handle, temporary
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    finally:
        os.close(handle)


def _write_all(handle: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(handle, left) :]


def sync(path: Path) -> None:
    """Make a file's content, or a folder's names, outlive a power cut. Raises OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
