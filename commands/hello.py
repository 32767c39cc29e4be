"""`trade-engine hello`: the smallest sign of life. Loads nothing heavy, reads no file of yours."""

import platform
from typing import Annotated, Final

import typer

from commands.version import installed
from core.home import Home
from core.process.version import version
from core.store import to_json

EXAMPLE: Final = "./trade-engine hello"


def command(
    *, as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False
) -> None:
    """Say hello: the program's version, Python, ccxt and the home folder."""
    facts = {
        "trade-engine": version(),
        "python": platform.python_version(),
        "ccxt": installed("ccxt") or "not installed",
        "home": str(Home.from_environment().root),
    }
    if as_json:
        typer.echo(to_json({name.replace("-", "_"): value for name, value in facts.items()}))
        return
    typer.echo("Hello trader")
    for name, value in facts.items():
        typer.echo(f"{name:<13} {value}")
