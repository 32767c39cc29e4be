"""`trade-engine version`: what runs here, for people and for bug reports. Loads none of it."""

import json
import platform
from importlib import metadata
from typing import Annotated

import typer

from core.home import CHECKOUT, Home
from core.process.version import version


def command(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Print the versions of what runs here."""
    facts = {
        "trade_engine": version(),
        "python": platform.python_version(),
        "ccxt": _installed("ccxt"),
        "checkout": str(CHECKOUT),
        "home": str(Home.from_environment().root),
    }
    if as_json:
        typer.echo(json.dumps(facts))
        return
    for name, value in facts.items():
        typer.echo(f"{name:<13} {value}")


def _installed(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
