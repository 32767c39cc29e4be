"""`trade-engine down`: stops what belongs to this checkout and home, and says what it left.

Positions stay as they are: nothing is closed. PM2's daemon stays too, it may run other apps.
"""

import signal
import time
from typing import Final

import typer

from commands.installation.pm2 import OUR_NAMES, Pm2
from commands.installation.readiness import living_holder
from commands.refusal import PartlyFailedError
from core.home import Home
from core.process.identity import send_signal
from core.process.lease import KILL_TIMEOUT_S, Holder

EXAMPLE: Final = "./trade-engine down"
POLL_S: Final = 0.05


def command() -> None:
    """Stop everything of this checkout and home; open positions stay as they are."""
    home = Home.from_environment()
    pm2 = Pm2(home)
    ours = [app.name for app in pm2.apps() if pm2.is_ours(app)]
    if ours:
        pm2.delete(ours)
        typer.echo(f"stopped {', '.join(ours)}")
    left = _stop_orphans(home)
    if not ours and not left:
        typer.echo("nothing was running")
    typer.echo("positions are as they were; ./trade-engine up starts again")
    if left:
        raise PartlyFailedError("; ".join(left))


def _stop_orphans(home: Home) -> list[str]:
    """Stop services that outlived PM2's daemon; tell those that are not ours to stop."""
    left = []
    for name in OUR_NAMES:
        holder = living_holder(home, name)
        if holder is None:
            continue
        if not holder.orphan:
            left.append(f"{name} runs outside PM2 as pid {holder.pid}: stop it there")
        elif _stop(holder):
            typer.echo(f"stopped {name}, which had outlived PM2's daemon")
        else:
            left.append(f"{name} (pid {holder.pid}) does not stop; kill -9 {holder.pid} ends it")
    return left


def _stop(holder: Holder) -> bool:
    send_signal(holder.pid, holder.started, signal.SIGTERM)
    deadline = time.monotonic() + KILL_TIMEOUT_S
    while time.monotonic() < deadline:
        if not holder.is_alive:
            return True
        time.sleep(POLL_S)
    return False
