"""`trade-engine config credentials`: accounts and their keys; by questions, or from a file.

There is no option for a key: command lines are seen by everybody on the machine and kept by shells.
"""

import time
from typing import Any, Final

import typer

from commands.configuring.files import (
    CheckOption,
    FromOption,
    JsonOption,
    ShowOption,
    View,
    Wish,
    look_or_take,
    person,
    run_wizard,
)
from commands.tables import plain
from config.account_rows import new_shape, redacted, summary_of
from config.credentials import TITLES, CredentialsWizard, effect
from config.editing import Opened
from config.unechoed import unechoed
from core.control.file import disarm_what_left
from core.errors import ConfigError
from core.home import Home
from core.settings.files import ConfigFile
from core.settings.snapshot import CREDENTIALS

EXAMPLE: Final = "Example: ./trade-engine config credentials --from my-accounts.json"
INSTEAD: Final = "--from FILE, or --from - for stdin (a key never goes on the command line)"


def _document(opened: Opened[Any]) -> dict[str, Any]:
    return new_shape(opened.document)


VIEW: Final = View(
    kind=CREDENTIALS,
    titles=TITLES,
    rows=lambda opened: summary_of(_document(opened)),
    redacted=lambda opened: redacted(_document(opened)),
)


def command(
    *,
    source: FromOption = "",
    check: CheckOption = False,
    show: ShowOption = False,
    as_json: JsonOption = False,
) -> None:
    """Enter API keys and accounts, each tested at once; without options it asks."""
    home = Home.from_environment()
    try:
        _do(home, source=source, check=check, show=show, as_json=as_json)
    finally:
        if not (check or show or as_json):
            _disarm_what_left(home)


def _do(home: Home, *, source: str, check: bool, show: bool, as_json: bool) -> None:
    wish = Wish(check=check, show=show, as_json=as_json, source=source, has_changes=False)
    if look_or_take(home, VIEW, wish, in_new_shape=new_shape):
        return
    talk = person("credentials", INSTEAD, has_secrets=True)
    from commands.configuring.venue_fit import account_misfits  # noqa: PLC0415
    from commands.configuring.venues import Venues, forms  # noqa: PLC0415 - only a person waits for it

    wizard = CredentialsWizard(
        talk=talk, venues=forms(), test_key=Venues(home).test_key, misfits=account_misfits
    )
    with unechoed():
        run_wizard(talk, home, CREDENTIALS, wizard.ask, effect=effect)


def _disarm_what_left(home: Home) -> None:
    """Disarm what is no live account of that key any more: back again, it is dry-run."""
    try:
        accounts = ConfigFile(CREDENTIALS, home.root, home.last_good).read().content.accounts
        left = disarm_what_left(home, accounts, now_ms=time.time_ns() // 1_000_000)
    except (ConfigError, OSError) as error:
        typer.echo(plain(f"nothing was disarmed: {error}"), err=True)
        return
    if left:
        typer.echo(f"Disarmed: {', '.join(left)}. To trade it again: ./trade-engine arm NAME")
