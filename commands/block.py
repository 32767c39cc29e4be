"""`trade-engine block`: a symbol may only be reduced, whatever else is paused and resumed."""

from typing import Annotated, Final

import typer

from commands.braking import (
    AccountOption,
    UntilOption,
    WhyOption,
    YesOption,
    decide,
    end_of,
    now_ms,
    person,
    refuse_softer,
    scope_of,
    tell,
)
from commands.braking import command_for as line_for
from core.clock import utc_minute
from core.control.file import block
from core.home import Home
from core.model import Mode

EXAMPLE: Final = "./trade-engine block BTCUSDT --until 24h"


def command(
    symbol: Annotated[str, typer.Argument(help="The symbol, as in signal_weight_config.json.")],
    account: AccountOption = None,
    until: UntilOption = "",
    why: WhyOption = "",
    yes: YesOption = False,
) -> None:
    """Let a symbol only be reduced; `resume` does not lift it, `unblock` does."""
    home = Home.from_environment()
    scope = scope_of(home, symbol, account, is_sure=yes)
    until_ms = end_of(until, now_ms())
    refuse_softer(home, scope, Mode.PAUSE, until_ms, is_block=True)
    decide(
        home,
        lambda: block(home, scope, who=person(), why=why, now_ms=now_ms(), until_ms=until_ms),
    )
    ends = "" if until_ms is None else f" until {utc_minute(until_ms)}"
    tell(
        home,
        f"Blocked: {scope}{ends}. It is reduced and closed as wanted, and not opened or added to.",
        f"Undo: {line_for('unblock', scope)}",
    )
