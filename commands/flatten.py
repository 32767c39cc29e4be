"""`trade-engine flatten`: everything to zero, then nothing."""

from commands.braking import (
    AccountOption,
    SymbolArgument,
    WhyOption,
    YesOption,
    ask,
    command_for,
    decide,
    known_settings,
    now_ms,
    person,
    scope_of,
    tell,
)
from commands.refusal import RefusedError
from core.control import Scope
from core.control.file import halt_file_exists, halt_path, set_mode
from core.home import Home
from core.model import Mode


def command(
    symbol: SymbolArgument = None,
    account: AccountOption = None,
    why: WhyOption = "",
    yes: YesOption = False,
) -> None:
    """Cancel our orders, reduce positions to zero, then send nothing until a resume."""
    home = Home.from_environment()
    if halt_file_exists(home):
        raise RefusedError(
            f"remove state/HALT first, it stops reductions too: rm {halt_path(home)}"
        )
    scope = scope_of(home, symbol, account, is_sure=yes)
    if _touches_money(home, scope):
        ask(f"This closes {scope} at the market, with real money", expected="flatten", is_sure=yes)
    decide(
        home,
        lambda: set_mode(home, scope, Mode.FLATTEN, who=person(), why=why, now_ms=now_ms()),
    )
    tell(
        home,
        f"Flattening: {scope}. Our orders are cancelled, positions reduced to zero (reduce-only),",
        "then nothing is sent. A live account that is not armed sends nothing at all.",
        "Watch: ./trade-engine positions",
        f"Trade again: {command_for('resume', scope)}",
    )


def _touches_money(home: Home, scope: Scope) -> bool:
    settings = known_settings(home)
    if settings is None:
        return True  # nobody can tell
    return any(
        row.enabled and row.environment != "paper" and scope.account in (None, row.name)
        for row in settings.accounts
    )
