"""`trade-engine halt`: nothing is sent."""

import typer

from commands.braking import (
    AccountOption,
    SymbolArgument,
    UntilOption,
    WhyOption,
    YesOption,
    command_for,
    decide,
    end_of,
    now_ms,
    person,
    refuse_softer,
    scope_of,
    tell,
)
from core.clock import utc_minute
from core.control import Control, Scope
from core.control.file import set_mode
from core.home import Home
from core.model import Mode

EXAMPLE = './trade-engine halt --why "something is odd"'


def command(
    symbol: SymbolArgument = None,
    account: AccountOption = None,
    until: UntilOption = "",
    why: WhyOption = "",
    yes: YesOption = False,
) -> None:
    """Send nothing at all: positions stay as they are, exits are not executed either."""
    home = Home.from_environment()
    scope = scope_of(home, symbol, account, is_sure=yes)
    until_ms = end_of(until, now_ms())
    refuse_softer(home, scope, Mode.HALT, until_ms)
    control = decide(
        home,
        lambda: set_mode(
            home, scope, Mode.HALT, who=person(), why=why, now_ms=now_ms(), until_ms=until_ms
        ),
    )
    ends = "" if until_ms is None else f" until {utc_minute(until_ms)}"
    tell(
        home,
        f"Halted: {scope}{ends}. Nothing is sent; positions stay open, exits are not executed.",
        f"Undo: {command_for('resume', scope)}",
    )
    for other in _still_flattened(control, scope):
        typer.echo(
            f"A flatten overrides a halt and goes on for {other}. To stop it: "
            f"{command_for('resume', other)}, or touch {home.state}/HALT",
            err=True,
        )


def _still_flattened(control: Control, halted: Scope) -> list[Scope]:
    flattened = (row.scope for row in control.entries if row.mode is Mode.FLATTEN)
    return [scope for scope in flattened if scope.overlaps(halted)]
