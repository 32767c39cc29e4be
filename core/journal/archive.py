"""Old days of a journal, compressed: its folder stays small, no symbol loses its newest state.

For the journal's writer, in a thread of its own beside the appends: the newest file is not touched.
A day goes from `.jsonl` to `.jsonl.gz` only by way of both: killed or cut off at any step, every
line is still there, and the next run ends what was begun.
"""

import errno
import gzip
import logging
import os
import zlib
from collections.abc import Callable, Collection, Mapping
from io import BytesIO
from pathlib import Path
from typing import Final, Literal

import orjson

from core.journal.files import journal_name, journal_names
from core.store import atomic_write_bytes, sync

log = logging.getLogger(__name__)

ENDING: Final = ".gz"
CHUNK: Final = 1 << 20
"""Bytes handled at once."""
LEVEL: Final = 6
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
SPARE_BYTES: Final = 16 << 20
"""The journal must never find the disk full because of us: with less than this beside what the
packed file may need, nothing is packed."""


def compress_old_days(
    folder: Path,
    *,
    before_day: str,
    newest: Mapping[str, str],
    kept: Collection[str] = (),
    is_stopped: Callable[[], bool] = lambda: False,
) -> list[str]:
    """Compress the files of days before `before_day` (`YYYY-MM-DD`, UTC); give their names.

    `newest` is the id of each symbol's newest accepted signal: a file that holds one, or an
    accepted signal of a symbol that is not in it, is left alone, as are those named by `kept`, the
    newest of all, and what cannot be read. `is_stopped` is asked between two files. What goes wrong
    is logged, never raised: the file then stays as it was.
    """
    done: list[str] = []
    try:
        names = journal_names(folder)
        _remove_torn(folder)
    except OSError as error:
        log.warning("old signals not compressed", extra={"reason": str(error)})
        return done
    for name in names[:-1]:
        if is_stopped() or name >= journal_name("", before_day):
            break
        path = folder / name
        try:
            if name not in kept and _may_go(path, newest) and _compress(path):
                done.append(name)
        except OSError as error:
            _tell_left(path, str(error))
            if error.errno in FULL:
                break
    if done:
        log.info("old signals compressed", extra={"folder": str(folder), "files": len(done)})
    return done


def _remove_torn(folder: Path) -> None:
    """Remove what a kill left half-written; there is one writer, so nobody else is at it."""
    for path in folder.glob(f".*.jsonl{ENDING}.*.tmp"):
        path.unlink(missing_ok=True)


def _may_go(path: Path, newest: Mapping[str, str]) -> bool:
    """Read a whole file: is it text, and does every symbol have its newest signal elsewhere?"""
    with path.open("rb") as file:
        for line in file:
            try:
                # what has no newline was not acknowledged
                if line.endswith(b"\n") and _holds_newest(line, newest):
                    return False
            except UnicodeDecodeError as error:
                _tell_left(path, f"a line is not UTF-8: {error.reason}")
                return False
    return True


def _holds_newest(line: bytes, newest: Mapping[str, str]) -> bool:
    text = line.decode()
    try:
        row = orjson.loads(text)
    except orjson.JSONDecodeError:
        return False  # a torn line that was closed: no reader takes it for a signal
    if not isinstance(row, dict) or row.get("status") != "accepted":
        return False
    symbol, signal_id = row.get("source_symbol"), row.get("id")
    # a symbol that is not known has no newer signal that we know of
    return not isinstance(symbol, str) or newest.get(symbol, signal_id) == signal_id


def _compress(path: Path) -> bool:
    """Exchange a file for its packed form. Raises OSError with every line still there."""
    packed = path.with_name(path.name + ENDING)
    found = _compared(packed, path)
    if found == "other":
        _tell_left(path, f"{packed.name} is there with other lines: put one of them elsewhere")
        return False
    if found != "same":
        _refuse_on_full_disk(path)
        atomic_write_bytes(packed, _packed(path))
        if _compared(packed, path) != "same":  # the disk lies, or somebody edits an old day
            _tell_left(path, f"{packed.name} does not unpack to the same")
            return False
    sync(packed)  # an earlier run, or a person, may not have come so far
    sync(path.parent)
    path.unlink()
    sync(path.parent)
    return True


def _compared(packed: Path, path: Path) -> Literal["same", "less", "other"]:
    """Tell whether `packed` holds what `path` does, less (or is torn or missing), or other lines.

    Raises OSError when `path` cannot be read.
    """
    with path.open("rb") as plain:
        try:
            with gzip.open(packed) as unpacked:
                while True:
                    there = unpacked.read(CHUNK)  # less than asked for only at its checked end
                    here = plain.read(CHUNK)
                    if there != here:
                        break
                    if not here:
                        return "same"
                is_less = here.startswith(there)
                while there:
                    there = unpacked.read(CHUNK)  # to its end: a damaged one counts for nothing
                return "less" if is_less else "other"
        except (FileNotFoundError, gzip.BadGzipFile, EOFError, zlib.error):
            return "less"


def _packed(path: Path) -> bytes:
    """Give the packed form: the same bytes for the same lines, whenever it is made."""
    made = BytesIO()
    with (
        path.open("rb") as plain,
        gzip.GzipFile(filename="", mode="wb", compresslevel=LEVEL, fileobj=made, mtime=0) as packer,
    ):
        while chunk := plain.read(CHUNK):
            packer.write(chunk)
    return made.getvalue()


def _refuse_on_full_disk(path: Path) -> None:
    disk = os.statvfs(path.parent)
    needed = path.stat().st_size + SPARE_BYTES
    if disk.f_bavail * disk.f_frsize < needed:
        raise OSError(errno.ENOSPC, f"less than {needed} bytes are free: free some space")


def _tell_left(path: Path, reason: str) -> None:
    log.warning("old signals left as they are", extra={"file": str(path), "reason": reason})
