"""`trade-engine config mapping`: what each source's symbols mean; by questions, or by options."""

from collections.abc import Callable, Mapping
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
from config.asset_mapping import (
    Change,
    MappingWizard,
    Markets,
    apply,
    lost,
    to_document,
    what_still_counts,
)
from config.editing import Opened
from config.prompting import Conversation
from core.errors import ConfigError
from core.home import Home
from core.settings.signals import AssetMapping
from core.settings.snapshot import MAPPING
from signal_processors.base import discover

EXAMPLE: Final = "Example: ./trade-engine config mapping --set bittensor:TAOUSD=TAOUSDT"
INSTEAD: Final = "--set SOURCE:SYMBOL=OURS, --remove SOURCE:SYMBOL or --from FILE"
EFFECT: Final = "It takes effect in the next cycle, without a restart."


def _rows(opened: Opened[AssetMapping]) -> list[tuple[str, str, str]]:
    return [
        (source, symbol, target)
        for source, rows in opened.content.items()
        for symbol, target in rows.items()
    ]


VIEW: Final = View(
    kind=MAPPING,
    titles=("source", "its symbol", "our symbol"),
    rows=_rows,
    redacted=lambda opened: to_document(opened.content),
)


def command(  # noqa: PLR0913 - one option a thing that may be done
    *,
    changed: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SOURCE:SYMBOL=OURS", help="Map a symbol; may be repeated."),
    ] = None,
    removed: Annotated[
        list[str] | None,
        typer.Option("--remove", metavar="SOURCE:SYMBOL", help="Remove a mapping."),
    ] = None,
    alias: Annotated[
        bool,
        typer.Option("--alias", help="Keep what means the same already: their signals add up."),
    ] = False,
    source: FromOption = "",
    check: CheckOption = False,
    show: ShowOption = False,
    as_json: JsonOption = False,
) -> None:
    """Say what a source's symbols mean; without options it asks."""
    home = Home.from_environment()
    changes = [_removal(text) for text in removed or ()]
    changes += [_change(text, is_alias=alias) for text in changed or ()]
    _refuse_contradictions(changes)
    wish = Wish(check=check, show=show, as_json=as_json, source=source, has_changes=bool(changes))
    if look_or_take(home, VIEW, wish):
        return
    if changes:
        _apply(home, changes)
        return
    talk = person("mapping", INSTEAD)
    wizard = MappingWizard(talk=talk, sources=source_names(), markets=_markets(home, talk))
    run_wizard(talk, home, MAPPING, wizard.ask, effect=lambda _before, _after: EFFECT)


def source_names() -> tuple[str, ...]:
    """Name the sources that there are, people's own instructions first."""
    profiles = sorted(discover().values(), key=lambda profile: (profile.is_level, profile.name))
    return tuple(profile.name for profile in profiles)


def refuse_unknown_source(name: str, known: Mapping[str, object]) -> None:
    """Raise a usage error for a source that there is not: a mistyped one would never be heard."""
    names = list(dict.fromkeys([*known, *source_names()]))
    if name not in names:
        raise typer.BadParameter(f"no source is named {name}; there are: {', '.join(names)}")


def _apply(home: Home, changes: list[Change]) -> None:
    opened: Opened[AssetMapping] = open_to_change(home, MAPPING)
    mapping: AssetMapping = opened.content
    for change in changes:
        refuse_unknown_source(change.source, mapping)
        try:
            mapping = apply(mapping, change)
        except ConfigError as error:
            where = f"{MAPPING.name}: {change.source}.{change.symbol}"
            raise ConfigError(f"{error} ({where}); nothing was changed") from error
    store(home, MAPPING, opened, to_document(mapping))
    for name, symbol, target in lost(opened.content, mapping):
        typer.echo(f"Removed {name} {symbol} -> {target}")
    if note := what_still_counts(opened.content, mapping):
        typer.echo(note)


def _refuse_contradictions(changes: list[Change]) -> None:
    wished: dict[tuple[str, str], str | None] = {}
    for change in changes:
        name = (change.source, change.symbol)
        if wished.setdefault(name, change.target) != change.target:
            raise typer.BadParameter(f"{':'.join(name)} is named twice, with different wishes")


def _change(text: str, *, is_alias: bool) -> Change:
    left, equals, target = text.rpartition("=")
    name, colon, symbol = left.partition(":")
    if not (equals and colon and symbol and target):
        raise typer.BadParameter(f"--set wants SOURCE:SYMBOL=OURS, was {text}")
    return Change(
        source=name.strip().lower(), symbol=symbol.strip(), target=target, is_alias=is_alias
    )


def _removal(text: str) -> Change:
    name, colon, symbol = text.partition(":")
    if not (colon and symbol):
        raise typer.BadParameter(f"--remove wants SOURCE:SYMBOL, was {text}")
    return Change(source=name.strip().lower(), symbol=symbol.strip(), target=None)


def _markets(home: Home, talk: Conversation) -> Callable[[], Markets]:
    from commands.configuring.venues import Venues  # noqa: PLC0415 - only a person waits for venues

    return Venues(home, say=talk.say).markets
