"""`trade-engine config credentials`: accounts and their keys; by questions, or from a file.

There is no option for a key: command lines are seen by everybody on the machine and kept by shells.
"""

from typing import Any, Final

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
from config.account_rows import new_shape, redacted, summary_of
from config.credentials import TITLES, CredentialsWizard, effect
from config.editing import Opened
from core.home import Home
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
    wish = Wish(check=check, show=show, as_json=as_json, source=source, has_changes=False)
    if look_or_take(home, VIEW, wish, in_new_shape=new_shape):
        return
    talk = person("credentials", INSTEAD)
    from commands.configuring.venues import Venues, forms  # noqa: PLC0415 - only a person waits for it

    wizard = CredentialsWizard(talk=talk, venues=forms(), test_key=Venues(home).test_key)
    run_wizard(talk, home, CREDENTIALS, wizard.ask, effect=effect)
