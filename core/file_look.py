"""Tell by one `stat` whether a file may have changed, so that unchanged files are not read again.

A file changed within the last tick of the file system's clock may change once more without a new
time: it is *unsettled*, and is read again although it looks the same.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SETTLED_NS: Final = 50_000_000
"""Ticks are 10 ms at most on the systems we know; five of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLook:
    """How a file looks from outside; `signature` is None when there is no file."""

    signature: tuple[int, int, int] | None  # mtime_ns, size, inode
    is_settled: bool
    mode: int = 0

    def is_same_as(self, before: "FileLook | None") -> bool:
        """Tell whether the file is surely what it was when `before` was taken and the file read."""
        return before is not None and before.is_settled and before.signature == self.signature

    @property
    def is_there(self) -> bool:
        """Tell whether there is a file, readable or not."""
        return self.signature is not None


def look_at(path: Path) -> FileLook:
    """Look at a file; take it before reading, so that a later change is seen the next time."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return FileLook(signature=None, is_settled=True)
    except OSError:
        return FileLook(signature=(0, 0, 0), is_settled=False)
    is_settled = abs(time.time_ns() - found.st_mtime_ns) > SETTLED_NS
    signature = (found.st_mtime_ns, found.st_size, found.st_ino)
    return FileLook(signature=signature, is_settled=is_settled, mode=found.st_mode)
