"""`trade-engine config weights`: leverage and weights of each symbol; by questions, or options."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Annotated, Final

import typer

from commands.configuring.files import (
    CheckOption,
    FromOption,
    JsonOption,
    ShowOption,
    View,
    Wish,
    look_or_take,
    open_to_change,
    person,
    run_wizard,
    store,
)
from commands.configuring.mapping import EFFECT, refuse_unknown_source
from config.editing import Opened, open_file
from config.signal_weights import (
    TITLES,
    Change,
    Weights,
    WeightsWizard,
    apply_changes,
    summary_of,
    symbols_of,
    to_document,
    without,
)
from core.errors import ConfigError
from core.home import Home
from core.settings.snapshot import MAPPING, WEIGHTS

EXAMPLE: Final = (
    "Example: ./trade-engine config weights --set TAOUSDT.leverage=3 --set TAOUSDT.bittensor=0.1"
)
INSTEAD: Final = "--set SYMBOL.leverage=3 --set SYMBOL.SOURCE=0.1, --remove SYMBOL or --from FILE"
VIEW: Final = View(
    kind=WEIGHTS,
    titles=TITLES,
    rows=lambda opened: summary_of(opened.content),
    redacted=lambda opened: to_document(opened.content),
)


def command(
    *,
    changed: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="SYMBOL.WHAT=NUMBER",
            help="WHAT is leverage, or a source for its weight; may be repeated.",
        ),
    ] = None,
    removed: Annotated[
        list[str] | None, typer.Option("--remove", metavar="SYMBOL", help="Take a symbol out.")
    ] = None,
    source: FromOption = "",
    check: CheckOption = False,
    show: ShowOption = False,
    as_json: JsonOption = False,
) -> None:
    """Say how much each source counts for a symbol, and its leverage; without options it asks."""
    home = Home.from_environment()
    changes = [_change(text) for text in changed or ()]
    has_changes = bool(changes or removed)
    wish = Wish(check=check, show=show, as_json=as_json, source=source, has_changes=has_changes)
    if look_or_take(home, VIEW, wish):
        return
    if has_changes:
        _apply(home, changes, removed or ())
        return
    talk = person("weights", INSTEAD)
    mapping = open_file(MAPPING, home)
    for problem in mapping.problems:
        talk.say(f"! {problem}")
    wizard = WeightsWizard(talk=talk, mapping=mapping.content)
    run_wizard(talk, home, WEIGHTS, wizard.ask, effect=lambda _before, _after: EFFECT)


def _apply(home: Home, changes: Sequence[Change], removed: Sequence[str]) -> None:
    opened: Opened[Weights] = open_to_change(home, WEIGHTS)
    heard = {one.source: one for row in opened.content for one in row.sources}
    for change in changes:
        if change.source:
            refuse_unknown_source(change.source, heard)
    gone = [symbol.strip().upper() for symbol in removed]
    _refuse_what_leads_nowhere(home, opened.content, changes, gone)
    try:
        weights = opened.content
        for symbol in gone:
            weights = without(weights, symbol)
        weights = apply_changes(weights, changes)
    except ConfigError as error:
        raise ConfigError(f"{error} ({WEIGHTS.name}); nothing was changed") from error
    store(home, WEIGHTS, opened, to_document(weights))


def _refuse_what_leads_nowhere(
    home: Home, weights: Weights, changes: Sequence[Change], gone: Sequence[str]
) -> None:
    """Raise a usage error for a symbol set and removed at once, or one that nobody speaks of."""
    if not changes:
        return
    known = symbols_of(open_file(MAPPING, home).content, weights)
    for symbol in dict.fromkeys(change.symbol for change in changes):
        if symbol in gone:
            raise typer.BadParameter(f"{symbol} is both set and removed: say one of the two")
        if symbol in known:
            continue
        near = get_close_matches(symbol, known, n=1, cutoff=0.5)
        hint = f": did you mean {near[0]}?" if near else "."
        raise typer.BadParameter(
            f"no mapping leads to {symbol}{hint} To trade it, map it first: "
            f"./trade-engine config mapping --set SOURCE:SYMBOL={symbol}"
        )


def _change(text: str) -> Change:
    left, equals, value = text.rpartition("=")
    symbol, dot, what = left.rpartition(".")
    if not (equals and dot and symbol and what and value):
        raise typer.BadParameter(f"--set wants SYMBOL.leverage=3 or SYMBOL.SOURCE=0.1, was {text}")
    what = what.strip().lower()
    try:
        return Change.read(symbol.strip().upper(), what, value.strip())
    except ConfigError as error:
        raise ConfigError(f"{error} ({WEIGHTS.name}: {text}); nothing was changed") from error
