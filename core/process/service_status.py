"""A service's own part of the status: `state/status/<name>.json`, replaced whole, read by anybody.

Not fsynced: after a power cut it is stale anyway, and its reader checks pid and time.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from core.home import Home


def status_path(home: Home, name: str) -> Path:
    """Name the file of a service's status part."""
    return home.state / "status" / f"{name}.json"


def read_status(home: Home, name: str) -> dict[str, Any]:
    """Read what a service last said of itself; empty when there is nothing readable."""
    try:
        part = orjson.loads(status_path(home, name).read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return {}
    return part if isinstance(part, dict) else {}


def replace_status(home: Home, name: str, part: Mapping[str, Any]) -> None:
    """Replace a service's status part in one step; Decimals and paths become text."""
    path = status_path(home, name)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_bytes(orjson.dumps(part, default=str, option=orjson.OPT_NON_STR_KEYS))
    temporary.replace(path)
