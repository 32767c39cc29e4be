"""`trade-engine start`: the engine in the foreground, or one cycle of it."""

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Annotated, Final

import typer

from commands.plan import finish, rehearse, tell
from core.home import Home
from core.process.lease import lock_now
from core.process.logs import configure_logging

if TYPE_CHECKING:
    from commands.plans.single_cycle import Cycle

NAME: Final = "trade-engine"
TERMINATED: Final = 143  # as a shell reports SIGTERM


def command(
    single_cycle: Annotated[
        bool, typer.Option("--run-single-cycle", help="One decision cycle now, then exit.")
    ] = False,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Real reads, simulated writes; one cycle.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The cycle as one JSON object.")] = False,
) -> None:
    """Run the engine in the foreground, as PM2 does; or one cycle of it.

    A cycle tells what was done. It ends in 0, 5 (an account failed),
    6 (something is off its target) or 75 (an engine runs).

    Example: ./trade-engine start --run-single-cycle --simulate
    """
    if as_json and not (single_cycle or simulate):
        raise typer.BadParameter("--json tells one cycle: add --run-single-cycle or --simulate")
    home = Home.from_environment()
    if simulate:
        told = rehearse(home, kind="simulated")
    elif single_cycle:
        told = _for_real(home)
    else:
        raise typer.Exit(_serve())
    tell(told, as_json=as_json)
    finish(told, checks=True)


def _serve() -> int:
    from commands.wiring import run_engine  # noqa: PLC0415 - loads what calls ccxt
    from core.process.service import run_service  # noqa: PLC0415

    return run_service(NAME, run_engine)


def _for_real(home: Home) -> dict[str, object]:
    """Do one cycle under the engine's lock. Raises BusyError naming the engine that lives."""
    from commands.plans.rows import document  # noqa: PLC0415

    os.umask(0o077)  # whatever is written is its owner's alone
    home.make_folders()
    path = home.state / f"{NAME}.lock"
    with lock_now(path, f"{NAME} ({path})") as lease:
        configure_logging(NAME)
        lease.mark(stopping=True)  # an engine that is started meanwhile waits for our end
        try:
            cycle = asyncio.run(_cycle(home))
        except asyncio.CancelledError:
            raise typer.Exit(TERMINATED) from None
        return document(cycle, kind="real")


async def _cycle(home: Home) -> "Cycle":
    from commands.plans.single_cycle import WatchedWorld, run_cycle  # noqa: PLC0415

    me = asyncio.current_task()
    if me is not None:  # Ctrl-C and SIGTERM alike: what is on the wire is waited for, then the end
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, me.cancel)
    return await run_cycle(WatchedWorld(home))
