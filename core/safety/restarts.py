"""How often the engine ended uncleanly of late: PM2 starts a crash loop again and again.

Kept in `state/starts.json`. A file that cannot be read counts as none: it must not stop the engine.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from core.errors import ConfigError
from core.store import atomic_write_json, read_json

KEPT: Final = 1_000  # more than any window holds


def recent(times_ms: Sequence[int], now_ms: int, window_s: int) -> list[int]:
    """Keep the times within the window; those of a clock that was ahead are not believed."""
    return [at for at in times_ms if now_ms - window_s * 1000 < at <= now_ms][-KEPT:]


def unclean_ends(path: Path, *, was_unclean: bool, now_ms: int, window_s: int) -> list[int]:
    """Give the times of the unclean ends within the window, the last one among them."""
    return recent([*_read(path), *([now_ms] if was_unclean else ())], now_ms, window_s)


def keep_ends(path: Path, times_ms: Sequence[int]) -> None:
    """Keep them for the next start. Raises OSError."""
    atomic_write_json(path, {"unclean_ms": list(times_ms)})


def _read(path: Path) -> list[int]:
    try:
        found = read_json(path)["unclean_ms"]
        return [at for at in found if isinstance(at, int)]
    except (FileNotFoundError, ConfigError, OSError, KeyError, TypeError):
        return []
