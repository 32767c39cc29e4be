"""How a flatten ended, for a person or a program."""

import typer

from commands.flattens.waiting import Outcome
from commands.tables import plain, print_table
from core.control import Scope
from core.store import to_json


def show(outcome: Outcome, scope: Scope, *, resume: str, as_json: bool) -> None:
    """Print what is left, or that nothing is."""
    if as_json:
        typer.echo(to_json(_document(outcome, scope)))
        return
    for note in outcome.notes:
        typer.echo(plain(note))
    if outcome.is_flat:
        where = ", ".join(outcome.accounts) or "no enabled account"
        typer.echo(f"Flat: {scope} ({where}). Nothing is sent until: {resume}")
        return
    typer.echo("NOT FLAT. Left:")
    print_table(
        ("account", "symbol", "lots", "why"),
        (
            (
                row.account,
                row.symbol or "unknown",
                "unknown" if row.lots is None else format(row.lots, "f"),
                row.why,
            )
            for row in outcome.left
        ),
    )
    if outcome.goes_on:
        typer.echo("The engine goes on closing. Look again: ./trade-engine positions")
    else:
        typer.echo("Nothing goes on closing it: run this again; ./trade-engine status says more")


def _document(outcome: Outcome, scope: Scope) -> dict[str, object]:
    return {
        "is_flat": outcome.is_flat,
        "scope": {"account": scope.account, "symbol": scope.symbol},
        "accounts": list(outcome.accounts),
        "left": [
            {
                "account": row.account,
                "symbol": row.symbol or None,
                "lots": None if row.lots is None else format(row.lots, "f"),
                "why": plain(row.why),
            }
            for row in outcome.left
        ],
        "notes": [plain(note) for note in outcome.notes],
        "goes_on": outcome.goes_on,
    }
