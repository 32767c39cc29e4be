"""`trade-engine config`: the wizards, and the same without a terminal; looks at the files too.

One file a sub-command; they are what the scripts in `config/` become.
"""

from typing import Annotated, Final

import typer

from commands.configuring import credentials, mapping, weights
from commands.configuring.files import CheckOption, JsonOption, check_files, show_kinds
from core.home import Home
from core.settings.snapshot import CREDENTIALS, ENGINE, MAPPING, WEIGHTS
from signal_processors.bittensor_config import PROCESSOR

KINDS: Final = (CREDENTIALS, MAPPING, WEIGHTS, ENGINE, PROCESSOR)

app = typer.Typer(epilog="Example: ./trade-engine config --check")
app.command("credentials", epilog=credentials.EXAMPLE)(credentials.command)
app.command("mapping", epilog=mapping.EXAMPLE)(mapping.command)
app.command("weights", epilog=weights.EXAMPLE)(weights.command)


@app.callback(invoke_without_command=True)
def overview(
    context: typer.Context,
    *,
    check: CheckOption = False,
    show: Annotated[
        bool, typer.Option("--show", help="Show mapping, weights and accounts.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List the wizards, each with its own help; or look at all the files."""
    if context.invoked_subcommand is not None:
        return
    home = Home.from_environment()
    if check:
        raise typer.Exit(check_files(home, KINDS, as_json=as_json))
    if show or as_json:
        views = (credentials.VIEW, mapping.VIEW, weights.VIEW)
        show_kinds(home, views, as_json=as_json)
        return
    typer.echo(context.get_help())


@app.command("bittensor", epilog="Example: ./trade-engine config bittensor")
def bittensor() -> None:
    """Ask how the miners of Bittensor SN8 are ranked and followed."""
    from signal_processors.bittensor_wizard import run_wizard  # noqa: PLC0415 - loads questionary

    raise typer.Exit(run_wizard(Home.from_environment()))
