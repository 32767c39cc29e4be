"""`trade-engine arm`: lets the engine trade a live account. The one step that risks money."""

from typing import Annotated

import typer

from commands.braking import YesOption, ask, decide, now_ms, person, tell
from commands.refusal import RefusedError
from core.control.file import arm
from core.home import Home
from core.settings import AccountConfig, load_settings

EXAMPLE = "./trade-engine arm main"


def command(
    account: Annotated[str, typer.Argument(help="The account's name in credentials.json.")],
    yes: YesOption = False,
) -> None:
    """Let the engine send orders to a live account; without it, it only says what it would do."""
    home = Home.from_environment()
    found = _account(home, account)
    if not found.needs_arming:
        typer.echo(f"{account} is a {found.environment} account: it needs no arming.")
        return
    if not found.is_configured:
        raise RefusedError(f"{account} has no API key yet: enter it in credentials.json")
    question = f"{account} ({found.exchange}) will be traded with real money"
    ask(question, expected=account, is_sure=yes)
    decide(home, lambda: arm(home, found, who=person(), now_ms=now_ms()))
    tell(
        home,
        f"Armed: {account}. Orders go out from the next pass, as long as it has this API key.",
        f"Undo: ./trade-engine disarm {account}",
    )
    if not found.enabled:
        text = f"{account} is disabled in credentials.json: only what is ours on it is closed down."
        typer.echo(text, err=True)


def _account(home: Home, name: str) -> AccountConfig:
    settings = load_settings(home)
    found = settings.account(name)
    if found is None:
        names = ", ".join(row.name for row in settings.accounts) or "none"
        raise RefusedError(f"no account is named {name}; there are: {names}")
    return found
