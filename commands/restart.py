"""`trade-engine restart [NAME]`: restarts services with the settings of `ecosystem.config.js`."""

from typing import Annotated

import typer

from commands.installation.pm2 import Pm2
from commands.installation.readiness import wait_until_ready
from core.home import Home

EXAMPLE = "./trade-engine restart trade-engine"


def command(
    name: Annotated[str | None, typer.Argument(help="One service; all when left out.")] = None,
) -> None:
    """Restart all services, or one, and wait until they are ready."""
    home = Home.from_environment()
    pm2 = Pm2(home)
    pm2.our_apps()  # refuses a foreign app
    wanted = pm2.wanted()
    if name is not None and name not in wanted:
        raise typer.BadParameter(f"must be one of {', '.join(wanted)}, was {name}")
    names = wanted if name is None else (name,)
    pm2.start(names)
    for row in wait_until_ready(pm2, home, names):
        typer.echo(f"{row.name} is ready (pid {row.app.pid if row.app else 0})")
