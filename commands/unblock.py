"""`trade-engine unblock`: lifts the block of exactly what it names."""

from typing import Annotated, Final

import typer

from commands.braking import AccountOption, YesOption, decide, now_ms, scope_of, tell
from commands.braking import command_for as line_for
from commands.refusal import RefusedError
from core.control import Control, ControlEntry
from core.control.file import read_control, unblock
from core.errors import ConfigError
from core.home import Home

EXAMPLE: Final = "./trade-engine unblock BTCUSDT"


def command(
    symbol: Annotated[str, typer.Argument(help="The blocked symbol.")],
    account: AccountOption = None,
    yes: YesOption = False,
) -> None:
    """Lift the block of a symbol; what the sources want of it is opened again."""
    home = Home.from_environment()
    scope = scope_of(home, symbol, account, is_sure=True)
    blocks = _blocks(home)
    if not yes and blocks is not None and all(row.scope != scope for row in blocks):
        there = ", ".join(line_for("unblock", row.scope) for row in blocks) or "nothing is blocked"
        raise RefusedError(f"{scope} is not blocked; {there}")
    control = decide(home, lambda: unblock(home, scope, now_ms=now_ms()))
    tell(home, f"Unblocked: {scope}.")
    for line in _still_blocking(control, scope.symbol):
        typer.echo(line)


def _blocks(home: Home) -> tuple[ControlEntry, ...] | None:
    try:
        return read_control(home).blocks
    except (ConfigError, OSError):
        return None  # unknown: lift it all the same


def _still_blocking(control: Control, symbol: str | None) -> list[str]:
    return [
        f"Still in force: {row.block_reason}. Lift: {line_for('unblock', row.scope)}"
        for row in control.blocks
        if row.scope.symbol == symbol and not row.is_over(now_ms())
    ]
