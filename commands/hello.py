"""`trade-engine hello`: the smallest sign of life. Loads nothing heavy, reads no file of yours."""

import platform
from typing import Final

import typer

from commands.version import installed
from core.home import Home
from core.process.version import version

EXAMPLE: Final = "./trade-engine hello"


def command() -> None:
    """Say hello: the program's version, Python, ccxt and the home folder."""
    typer.echo("Hello trader")
    facts = {
        "trade-engine": version(),
        "python": platform.python_version(),
        "ccxt": installed("ccxt") or "not installed",
        "home": Home.from_environment().root,
    }
    for name, value in facts.items():
        typer.echo(f"{name:<13} {value}")
