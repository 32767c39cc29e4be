"""`trade-engine resume`: lifts exactly what it names, and says what still holds."""

import typer

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
from core.control import Control, Scope
from core.control.file import halt_file_exists, halt_path, resume
from core.home import Home
from core.status import read_status


def command(
    symbol: SymbolArgument = None,
    account: AccountOption = None,
    why: WhyOption = "",
    yes: YesOption = False,
) -> None:
    """Lift a pause, a halt or a flatten, and the engine's own holds of what is named.

    Holds of one symbol (adoption, external change, liquidation) are lifted by naming the symbol,
    stops of one account by naming the account.
    """
    home = Home.from_environment()
    scope = scope_of(home, symbol, account, is_sure=yes)
    control = decide(
        home,
        lambda: resume(home, scope, who=person(), why=why, now_ms=now_ms()),
    )
    tell(home, f"Resumed: {scope}.")
    for line in _still_holding(home, control, scope):
        typer.echo(line)


def _still_holding(home: Home, control: Control, lifted: Scope) -> list[str]:
    lines = [
        f"Still in force: {row.reason}. Lift: {command_for('resume', row.scope)}"
        for row in control.entries
    ]
    if halt_file_exists(home):
        lines.insert(0, f"Nothing is sent while state/HALT is there: rm {halt_path(home)}")
    for row in read_status(home, now_ms())["frozen_positions"]:
        where = Scope(account=row["account"], symbol=row["symbol"])
        is_named = lifted.symbol == where.symbol and lifted.account in (None, where.account)
        if not is_named:
            lift = command_for("resume", where)
            lines.append(f"Still held by the engine: {where}: {row['reason']}. Lift: {lift}")
    return lines
