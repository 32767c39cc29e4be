"""`trade-engine status`: the monitor's document, from the same files, for people or programs."""

import time
from typing import Annotated

import typer

from core.home import Home
from core.process.exit_codes import ExitCode
from core.status import read_status
from core.store import to_json

EXAMPLE = "./trade-engine status --json"


def command(
    as_json: Annotated[
        bool, typer.Option("--json", help="The document of the monitor's /status.")
    ] = False,
) -> None:
    """Show how the engine stands; exit code 1 when it crashed or does not run."""
    now_ms = time.time_ns() // 1_000_000
    document = read_status(Home.from_environment(), now_ms)
    if as_json:
        typer.echo(to_json(document))
    else:
        from commands.status_view import show  # noqa: PLC0415 - programs need none of it

        show(document, now_ms)
    if document["exception"] is not None or not document["executor_running"]:
        raise typer.Exit(ExitCode.UNEXPECTED)
