"""Journals of old days and how they are compressed, for the tests of that."""

import gzip
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from core import store
from core.clock import utc_day
from core.journal import Journal, archive
from core.model import Signal
from tests.source_folder import DAY, T0

Content = dict[str, bytes]


def day(number: int) -> str:
    """The UTC day that lies `number` days behind the first."""
    return utc_day(T0 + number * DAY)


def put(folder: Path, number: int, *signals: Signal) -> Path:
    """Append signals to the file of a day, which must not be older than the newest."""
    journal = Journal(folder)
    position = journal.append_sync([one.to_row() for one in signals], at_ms=T0 + number * DAY)
    journal.close()
    return folder / position.file


def content_of(folder: Path) -> Content:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def lines_of(folder: Path) -> bytes:
    """All that the folder holds, oldest first, packed or not."""
    days: Content = {}
    for name, content in content_of(folder).items():
        if name.endswith(".jsonl.gz"):
            days.setdefault(name.removesuffix(".gz"), gzip.decompress(content))
    days.update({n: c for n, c in content_of(folder).items() if n.endswith(".jsonl")})
    return b"".join(days[name] for name in sorted(days))


def put_back(folder: Path, content: Content) -> None:
    """Make a folder hold exactly this."""
    for path in folder.iterdir():
        path.unlink()
    for name, written in content.items():
        (folder / name).write_bytes(written)


def states_during(work: Callable[[], Any], folder: Path) -> list[Content]:
    """What a kill would have left behind, at each line that was run where it changes."""
    files = {archive.__file__, store.__file__}
    seen = [content_of(folder)]

    def look(frame: FrameType, _event: str, _argument: object) -> Any:
        if frame.f_code.co_filename not in files:
            return None
        now = content_of(folder)
        if now != seen[-1]:
            seen.append(now)
        return look

    before = sys.gettrace()
    sys.settrace(look)
    try:
        work()
    finally:
        sys.settrace(before)
    return [*seen, content_of(folder)]
