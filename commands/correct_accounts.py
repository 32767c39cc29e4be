"""`trade-engine correct-accounts`: finds what the engine holds back, and lets it go to the target.

Positions that somebody else changed, that were held before us, or that nothing wants any more. It
shows them, asks, lifts the holds (or closes what is foreign), waits, and looks again.
"""

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from commands.braking import AccountOption, YesOption, ask, known_settings
from commands.refusal import RefusedError
from commands.tables import plain, print_table
from core.control import Scope
from core.control.file import halt_file_exists, halt_path
from core.home import Home
from core.process.exit_codes import ExitCode
from core.store import to_json

if TYPE_CHECKING:
    from commands.correcting import Difference

EXAMPLE: Final = "./trade-engine correct-accounts --account paper-bybit --dry-run"
WAIT_S: Final = 90.0


def command(  # noqa: PLR0913 - one option each
    *,
    account: AccountOption = None,
    foreign: Annotated[
        Literal["ignore", "close"],
        typer.Option("--foreign", help="Positions that nothing wants."),
    ] = "ignore",
    liquidated: Annotated[
        bool, typer.Option("--liquidated", help="Buy back the liquidated too.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show it; 6 if any.")] = False,
    wait_s: Annotated[
        float,
        typer.Option("--wait", metavar="SECONDS", help="For the result.", min=0, max=3600),
    ] = WAIT_S,
    yes: YesOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Bring positions that are held back to their targets, once, after showing them.

    Ends in 0 when all is as wanted, in 6 when differences are left, in 5 when an account failed.
    """
    from commands.correcting import Wish, correct, differences  # noqa: PLC0415 - calls ccxt

    home = Home.from_environment()
    wish = Wish(account=account, closes_foreign=foreign == "close", buys_back=liquidated)
    found = differences(home, wish)
    if not as_json:
        _show(found.rows, found.failures)
    due = [row for row in found.rows if row.remedy]
    if not dry_run and due:
        _ask(home, Scope(account=account), is_sure=yes)
        asyncio.run(correct(home, due, wait_s=wait_s))
        found = differences(home, wish)
        if not as_json:
            typer.echo("After it:")
            _show(found.rows, found.failures)
    if as_json:
        rows = [asdict(row) for row in found.rows]
        typer.echo(to_json({"differences": rows, "failures": list(found.failures)}))
    if found.failures:
        raise typer.Exit(ExitCode.PARTLY_FAILED)
    if found.rows:
        raise typer.Exit(ExitCode.DRIFT)


def _ask(home: Home, scope: Scope, *, is_sure: bool) -> None:
    if halt_file_exists(home):
        raise RefusedError(f"nothing is sent while state/HALT is there: rm {halt_path(home)}")
    settings = known_settings(home)
    is_paper = settings is not None and all(
        row.is_paper
        for row in settings.accounts
        if row.enabled and scope.account in (None, row.name)
    )
    if not is_paper:
        ask("This trades with real money", expected="correct", is_sure=is_sure)


def _show(rows: tuple["Difference", ...], failures: tuple[str, ...]) -> None:
    if rows:
        print_table(
            ("account", "symbol", "held lots", "target lots", "what", "what is done"),
            (
                (
                    r.account,
                    r.symbol,
                    r.held_lots or "unknown",
                    r.target_lots or "none",
                    r.what,
                    r.remedy or "nothing",
                )
                for r in rows
            ),
        )
    elif not failures:
        typer.echo("All accounts are as wanted.")
    for failure in failures:
        typer.echo(plain(failure), err=True)
