"""`trade-engine disarm`: puts a live account back to dry-run. Needs no valid configuration."""

from typing import Annotated

import typer

from commands.braking import decide, now_ms, tell
from commands.refusal import RefusedError
from core.control.file import disarm, read_control
from core.errors import ConfigError
from core.home import Home

EXAMPLE = "./trade-engine disarm main"


def command(
    account: Annotated[str, typer.Argument(help="The account's name in credentials.json.")],
) -> None:
    """Put a live account back to dry-run: nothing is sent to it, reductions neither."""
    home = Home.from_environment()
    if not _may_be_armed(home, account):
        raise RefusedError(f"{account} is not armed; see ./trade-engine status")
    decide(home, lambda: disarm(home, account, now_ms=now_ms()))
    tell(
        home,
        f"Disarmed: {account} is dry-run. Its positions stay open and nothing closes them.",
        f"Undo: ./trade-engine arm {account}",
    )


def _may_be_armed(home: Home, account: str) -> bool:
    try:
        return account in read_control(home).armed
    except (ConfigError, OSError):
        return True  # unknown: make sure
