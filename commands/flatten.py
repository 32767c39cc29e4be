"""`trade-engine flatten`: everything to zero, then nothing; ends flat or says exactly what is left.

The living engine does it, or one of our own under its lock. What is left is read from the exchange.
"""

import asyncio
from typing import Annotated, Final

import typer

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
    refuse_softer,
    scope_of,
)
from commands.refusal import RefusedError
from core.control import Scope
from core.control.file import halt_file_exists, halt_path, set_mode
from core.home import Home
from core.model import Mode
from core.process.exit_codes import ExitCode
from core.status import read_status

EXAMPLE: Final = "./trade-engine flatten BTCUSDT --account paper-bybit"
WAIT_S: Final = 120.0
INTERRUPTED: Final = 130


def command(
    *,
    symbol: SymbolArgument = None,
    account: AccountOption = None,
    why: WhyOption = "",
    wait_s: Annotated[
        float,
        typer.Option("--wait", metavar="SECONDS", help="Until it is flat.", min=0, max=3600),
    ] = WAIT_S,
    yes: YesOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="What is left, as JSON.")] = False,
) -> None:
    """Cancel our orders, reduce positions to zero, then send nothing until a resume.

    Ends in 0 when everything in its scope is flat, in 5 when something is left, and says what.
    """
    home = Home.from_environment()
    if halt_file_exists(home):
        raise RefusedError(
            f"remove state/HALT first, it stops reductions too: rm {halt_path(home)}"
        )
    scope = scope_of(home, symbol, account, is_sure=yes)
    _refuse_disabled(home, scope)
    if _touches_money(home, scope):
        ask(f"This closes {scope} at the market, with real money", expected="flatten", is_sure=yes)
    refuse_softer(home, scope, Mode.FLATTEN, None)
    control = decide(
        home,
        lambda: set_mode(home, scope, Mode.FLATTEN, who=person(), why=why, now_ms=now_ms()),
    )
    entry = control.mode_of(scope)
    typer.echo(
        f"Flattening: {scope}. Our orders are cancelled, positions reduced to zero.", err=True
    )
    from commands.flattens.view import show  # noqa: PLC0415
    from commands.flattens.waiting import flatten_and_look  # noqa: PLC0415 - loads what calls ccxt

    flatten_id = entry.id if entry is not None else ""
    try:
        outcome = asyncio.run(flatten_and_look(home, scope, flatten_id, wait_s=wait_s))
    except asyncio.CancelledError:
        typer.echo("Ended before it was flat; the flatten stays in force.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    show(outcome, scope, resume=command_for("resume", scope), as_json=as_json)
    if not outcome.is_flat:
        raise typer.Exit(ExitCode.PARTLY_FAILED)


def _refuse_disabled(home: Home, scope: Scope) -> None:
    """Refuse an account that no lane works on. Raises RefusedError."""
    settings = known_settings(home)
    found = None if settings is None or scope.account is None else settings.account(scope.account)
    rows = read_status(home, now_ms())["accounts"]
    is_traded = any(r.get("name") == scope.account and r.get("state") != "disabled" for r in rows)
    if found is not None and not found.enabled and not is_traded:
        raise RefusedError(
            f"{scope.account} is disabled: what was ours there is closed down already, all else is "
            "left alone; to flatten it set enabled to true and restart trade-engine"
        )


def _touches_money(home: Home, scope: Scope) -> bool:
    settings = known_settings(home)
    if settings is None:
        return True  # nobody can tell
    return any(
        row.enabled and not row.is_paper and scope.account in (None, row.name)
        for row in settings.accounts
    )
