"""`trade-engine pause`: reductions only."""

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
from core.control.file import set_mode
from core.home import Home
from core.model import Mode

EXAMPLE = './trade-engine pause BTCUSDT --account main --why "news at noon"'


def command(
    symbol: SymbolArgument = None,
    account: AccountOption = None,
    until: UntilOption = "",
    why: WhyOption = "",
    yes: YesOption = False,
) -> None:
    """Allow reductions only: positions may shrink and close, none opens or grows."""
    home = Home.from_environment()
    scope = scope_of(home, symbol, account, is_sure=yes)
    until_ms = end_of(until, now_ms())
    refuse_softer(home, scope, Mode.PAUSE, until_ms)
    decide(
        home,
        lambda: set_mode(
            home, scope, Mode.PAUSE, who=person(), why=why, now_ms=now_ms(), until_ms=until_ms
        ),
    )
    ends = "" if until_ms is None else f" until {utc_minute(until_ms)}"
    tell(
        home,
        f"Paused: {scope}{ends}. Reductions and exits go on, nothing opens or grows.",
        f"Undo: {command_for('resume', scope)}",
    )
