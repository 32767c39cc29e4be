"""`trade-engine doctor`: is this machine fit, and a bundle without secrets for whoever helps."""

import time
from pathlib import Path
from typing import Annotated, Final

import typer

from commands.checks.findings import document, failed, verdict
from commands.diagnosis.bundle import write_bundle
from commands.diagnosis.checks import examine
from commands.diagnosis.redaction import learn_secrets, masked
from commands.refusal import CheckFailedError
from commands.tables import plain, print_table
from core.errors import TradeEngineError
from core.home import Home
from core.process.exit_codes import ExitCode
from core.status.parts import read_parts
from core.store import to_json

EXAMPLE: Final = "./trade-engine doctor --bundle for-support.tar.gz"
TITLES: Final = ("where", "what", "state", "detail")


def command(
    bundle: Annotated[
        Path | None,
        typer.Option("--bundle", help="Also write a .tar.gz for whoever helps, without secrets."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Look at programs, files, disk, locks, ports, clock and last ends; asks no exchange."""
    home = Home.from_environment()
    if bundle is not None and bundle.exists():
        raise typer.BadParameter(f"{bundle} is there already", param_hint="--bundle")
    learn_secrets(home)
    now_ms = time.time_ns() // 1_000_000
    findings = examine(home, read_parts(home), now_ms)
    if as_json:
        typer.echo(masked(to_json(document(findings)).decode()))
    else:
        print_table(TITLES, [list(row.to_row().values()) for row in findings])
        typer.echo()
    if bundle is not None:
        try:
            size = write_bundle(home, bundle, findings, now_ms)
        except OSError as error:
            raise TradeEngineError(f"{bundle}: {error.strerror or error}") from error
        typer.echo(
            f"Written: {bundle} ({size} bytes). It holds no secret we know of, but", err=True
        )
        typer.echo(
            "accounts' names, positions and orders: look into it before you send it.", err=True
        )
    if as_json:
        raise typer.Exit(ExitCode.CHECK_FAILED if failed(findings) else ExitCode.OK)
    if failed(findings):
        raise CheckFailedError(plain(verdict(findings)))
    typer.echo(verdict(findings))
