"""`trade-engine pause`: reductions only."""

from commands.braking import (
    AccountOption,
    SymbolArgument,
    WhyOption,
    YesOption,
    command_for,
    decide,
    now_ms,
    person,
    scope_of,
    tell,
)
from core.control.file import set_mode
from core.home import Home
from core.model import Mode


def command(
    symbol: SymbolArgument = None,
    account: AccountOption = None,
    why: WhyOption = "",
    yes: YesOption = False,
) -> None:
    """Allow reductions only: positions may shrink and close, none opens or grows."""
    home = Home.from_environment()
    scope = scope_of(home, symbol, account, is_sure=yes)
    decide(
        home,
        lambda: set_mode(home, scope, Mode.PAUSE, who=person(), why=why, now_ms=now_ms()),
    )
    tell(
        home,
        f"Paused: {scope}. Reductions and exits go on, nothing opens or grows.",
        f"Undo: {command_for('resume', scope)}",
    )
