"""`trade-engine up`: everything runs, is ready, and you know where.

Asks no question. Never touches an app of somebody else, a file that is there, or a service that is
ready and up to date.
"""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Final

import typer

from commands.installation.first_use import write_examples
from commands.installation.pm2 import Pm2
from commands.installation.readiness import Standing, is_current, standings, wait_until_ready
from commands.installation.welcome import Addresses, show
from core.errors import BusyError
from core.home import Home
from core.process.lease import Lease, try_lock
from core.settings import load_settings

EXAMPLE: Final = "./trade-engine up"
PATIENCE_S: Final = 120
"""Seconds to wait for another `up` of the same home."""


def command(
    as_json: Annotated[
        bool, typer.Option("--json", help="End with one JSON line for programs.")
    ] = False,
) -> None:
    """Start everything, wait until it is ready, print its addresses."""
    home = Home.from_environment()
    pm2 = Pm2(home)
    pm2.our_apps()  # refuses a foreign app before anything is written
    written = write_examples(home)
    settings = load_settings(home)
    with _alone(home):
        ready = start(pm2, home)
    addresses = Addresses.of(ready, settings)
    if as_json:
        typer.echo(json.dumps(_document(home, ready, addresses)))
    else:
        show(home, settings, ready, addresses, written)


def start(pm2: Pm2, home: Home) -> list[Standing]:
    """Start what is wanted and not current, drop what is no longer wanted, wait until ready."""
    wanted = pm2.wanted()
    unwanted = [name for name in pm2.our_apps() if name not in wanted]
    if unwanted:
        pm2.delete(unwanted)
    stale = [row.name for row in standings(pm2, home, wanted) if not is_current(row, home)]
    if stale:
        typer.echo(f"starting {', '.join(stale)}", err=True)
        pm2.start(stale)
    return wait_until_ready(pm2, home, wanted)


def _document(home: Home, ready: Sequence[Standing], addresses: Addresses) -> dict[str, object]:
    apps = {
        row.name: {"pid": row.app.pid, "status": row.app.status}
        for row in ready
        if row.app is not None
    }
    return {
        "webhook_url": addresses.webhook,
        "monitor_url": addresses.monitor,
        "paper_exchange_url": addresses.paper_exchange,
        "home": str(home.root),
        "apps": apps,
    }


@contextmanager
def _alone(home: Home) -> Iterator[Lease]:
    deadline = time.monotonic() + PATIENCE_S
    while (lease := try_lock(home.state / "up.lock")) is None:
        if time.monotonic() > deadline:
            raise BusyError("another `trade-engine up` of this home is still running")
        time.sleep(0.1)
    with lease:
        yield lease
