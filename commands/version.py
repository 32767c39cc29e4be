"""`trade-engine version`: what runs here, for people and for bug reports. Loads none of it."""

import json
import platform
import shutil
import subprocess
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from core.home import CHECKOUT, Home
from core.process.version import version

EXAMPLE: Final = "./trade-engine version --json"
PATIENCE_S: Final = 5
"""Seconds for git or node to name its version."""


def command(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Print the versions of what runs here."""
    facts = versions()
    if as_json:
        typer.echo(json.dumps(facts))
        return
    for name, value in facts.items():
        typer.echo(f"{name:<13} {'unknown' if value is None else value}")


def versions() -> dict[str, str | None]:
    """Name the versions of everything that matters; None = not there."""
    return {
        "trade_engine": version(),
        "commit": _said(["git", "-C", str(CHECKOUT), "rev-parse", "--short=12", "HEAD"]),
        "python": platform.python_version(),
        "ccxt": installed("ccxt"),
        "bittensor": installed("bittensor"),
        "apprise": installed("apprise"),
        "pm2": pm2_version(),
        "node": node_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "checkout": str(CHECKOUT),
        "home": str(Home.from_environment().root),
    }


def installed(package: str) -> str | None:
    """Name an installed package's version without loading it."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def pm2_version() -> str | None:
    """Name the version of the PM2 that `up` uses."""
    try:
        row: Any = json.loads((CHECKOUT / "node_modules/pm2/package.json").read_bytes())
        return str(row["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def node_version() -> str | None:
    """Name the version of the Node that `up` uses: ours, else the machine's."""
    ours = CHECKOUT / ".venv/bin/node"
    said = _said([str(ours) if ours.exists() else "node", "--version"])
    return None if said is None else said.removeprefix("v")


def _said(words: Sequence[str]) -> str | None:
    program = words[0] if Path(words[0]).is_absolute() else shutil.which(words[0])
    if program is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603 - our own words
            [program, *words[1:]], capture_output=True, text=True, timeout=PATIENCE_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
