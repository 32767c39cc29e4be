"""The asset mapping: what a source's symbol means, changed step by step.

`apply` is pure and keeps the order; the prompts are thin around it. Symbols of a source are kept as
they come, ours are capitals. Run as a script it is `trade-engine config mapping`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from config.editing import Opened
from config.entry import hand_over
from config.prompting import Conversation, agree, ask_until, choose
from core.errors import ConfigError
from core.settings.signals import AssetMapping, parse_mapping
from core.settings.validation import InvalidFileError

Document = dict[str, dict[str, str]]
Markets = Mapping[str, frozenset[str] | None]
"""Venue -> the symbols that it lists; None = it could not be asked."""
NEXT_SYMBOL: Final = "Enter source asset symbol (e.g., ETHUSD) or press Enter to finish:"
WHAT_NOW: Final = (
    "What would you like to do with existing mappings?",
    "k - keep all existing mappings",
    "m - modify existing mappings one by one",
    "n - start fresh with no mappings",
)
STILL_COUNTS: Final = (
    "Note: a mapping that is gone switches nothing off. The last signal of {names} goes on "
    "counting for {targets} until you let it go: once this is saved, {commands}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What becomes of one symbol of a source."""

    source: str
    symbol: str  # as the source sends it
    target: str | None  # ours; None = the mapping is removed
    is_alias: bool = False  # others of the source that mean the same stay; else they are removed


def apply(mapping: AssetMapping, change: Change) -> Document:
    """Give the mapping with one change; a new symbol goes to the end, a known one keeps its place.

    Raises ConfigError that says what is wrong with the change.
    """
    document = to_document(mapping)
    rows = document.setdefault(change.source, {})
    if change.target is None:
        if change.symbol not in rows:
            raise ConfigError(f"{change.source} has no mapping of {change.symbol}")
        del rows[change.symbol]
        return document
    target = target_of(change.source, change.symbol, change.target)
    if not change.is_alias:
        for other in others_of(mapping, change.source, change.symbol, target):
            del rows[other]
    rows[change.symbol] = target
    return document


def to_document(mapping: AssetMapping) -> Document:
    """Give the file's content."""
    return {source: dict(rows) for source, rows in mapping.items()}


def others_of(mapping: AssetMapping, source: str, symbol: str, target: str) -> list[str]:
    """List the other symbols of a source that mean the same as `symbol` would."""
    rows = mapping.get(source, {})
    return [other for other, meant in rows.items() if meant == target and other != symbol]


def target_of(source: str, symbol: str, target: str) -> str:
    """Give our symbol in capitals. Raises ConfigError when a name is no name."""
    if not symbol or any(letter.isspace() for letter in symbol):
        raise ConfigError(f"a symbol has no spaces, was {symbol!r}")
    try:
        return parse_mapping({source: {symbol: target}})[source][symbol]
    except InvalidFileError as error:
        raise ConfigError(f"{error.problems[0].text}; e.g. ETHUSDT") from None


def lost(before: AssetMapping, after: AssetMapping) -> list[tuple[str, str, str]]:
    """List what is not mapped any more: source, its symbol, ours."""
    return [
        (source, symbol, target)
        for source, rows in before.items()
        for symbol, target in rows.items()
        if symbol not in after.get(source, {})
    ]


def warnings_of(target: str, markets: Markets) -> list[str]:
    """Say at which venues a symbol is not traded, or may not be: they could not be asked."""
    missing = [venue for venue, listed in markets.items() if listed and target not in listed]
    unknown = [venue for venue, listed in markets.items() if not listed]
    found = [f"{target} is not listed at {', '.join(missing)}: nothing is traded there"] * bool(
        missing
    )
    if unknown:
        found.append(f"{target} could not be checked at {', '.join(unknown)}: no answer")
    return found


def what_still_counts(before: AssetMapping, after: AssetMapping) -> str:
    """Say that removed mappings leave a last word behind; empty when nothing was removed."""
    gone = lost(before, after)
    names = ", ".join(f"{source} {symbol}" for source, symbol, _ in gone)
    targets = list(dict.fromkeys(target for _, _, target in gone))
    commands = "; ".join(f"./trade-engine resume {target}" for target in targets)
    told = STILL_COUNTS.format(names=names, targets=", ".join(targets), commands=commands)
    return told if gone else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingWizard:
    """Asks about every source in turn."""

    talk: Conversation
    sources: tuple[str, ...]  # those that there are; more may be in the file
    markets: Callable[[], Markets]  # asks the venues; may take seconds

    def ask(self, opened: Opened[AssetMapping]) -> Document:
        """Ask for the whole mapping, print a summary and give it."""
        mapping: AssetMapping = opened.content
        for source in (*mapping, *(name for name in self.sources if name not in mapping)):
            mapping = self._ask_source(mapping, source)
        self._summarize(mapping)
        if note := what_still_counts(opened.content, mapping):
            self.talk.say(note)
        # a source that nothing was entered for gets no empty entry
        return {
            name: dict(rows) for name, rows in mapping.items() if rows or name in opened.content
        }

    def _ask_source(self, mapping: AssetMapping, source: str) -> AssetMapping:
        rows = mapping.get(source, {})
        if rows:
            self.talk.say("")
            self.talk.say(f"Current mappings for {source}:")
            for symbol, target in rows.items():
                self.talk.say(f"{symbol} -> {target}")
            self.talk.say("")
            for line in WHAT_NOW:
                self.talk.say(line)
            wish = choose(self.talk, "Choose (k/m/n):", ("keep", "modify", "new"), default="keep")
            if wish == "new":
                mapping = {**mapping, source: {}}
            elif wish == "modify":
                mapping = self._modify(mapping, source)
        self.talk.say("")
        self.talk.say(f"Configuring mappings for {source}")
        while symbol := ask_until(self.talk, NEXT_SYMBOL, _source_symbol):
            mapping = self._add(mapping, source, symbol)
        return mapping

    def _modify(self, mapping: AssetMapping, source: str) -> AssetMapping:
        for symbol in list(mapping[source]):
            if symbol not in mapping[source]:  # gave way to one before it
                continue
            self.talk.say("")
            self.talk.say(f"Current mapping: {symbol} -> {mapping[source][symbol]}")
            question = "Keep/Modify/Remove (k/m/r)?"
            wish = choose(self.talk, question, ("keep", "modify", "remove"), default="keep")
            if wish == "remove":
                mapping = apply(mapping, Change(source=source, symbol=symbol, target=None))
            elif wish == "modify":
                mapping = self._ask_target(mapping, source, symbol)
        return mapping

    def _add(self, mapping: AssetMapping, source: str, symbol: str) -> AssetMapping:
        known = mapping.get(source, {}).get(symbol)
        if known is not None:
            question = f"{symbol} is already mapped to {known}. Update it (y/n)?"
            if not agree(self.talk, question):
                return mapping
        elif symbol != symbol.upper():
            self.talk.say(f"  {symbol} is kept as it is: a signal for {symbol.upper()} is another")
        return self._ask_target(mapping, source, symbol)

    def _ask_target(self, mapping: AssetMapping, source: str, symbol: str) -> AssetMapping:
        known = mapping.get(source, {}).get(symbol, "")
        hint = f" (press Enter for current value: {known})" if known else ""
        target = ask_until(
            self.talk,
            f"Enter translated asset symbol for {symbol}{hint}:",
            lambda typed: target_of(source, symbol, typed or known),
        )
        if target == known:
            return mapping
        for warning in warnings_of(target, self.markets()):
            self.talk.say(f"! {warning}")
        is_alias = self._keeps(others_of(mapping, source, symbol, target), target)
        change = Change(source=source, symbol=symbol, target=target, is_alias=is_alias)
        return apply(mapping, change)

    def _keeps(self, others: list[str], target: str) -> bool:
        if not others:
            return False
        old = ", ".join(others)
        self.talk.say(f"{old} is already mapped to {target}.")
        question = (
            f"Remove {old}, or keep both so that their signals add up (r/k, press Enter to remove)?"
        )
        if choose(self.talk, question, ("remove", "keep"), default="remove") == "keep":
            return True
        self.talk.say(f"Removed {old} -> {target}")
        return False

    def _summarize(self, mapping: AssetMapping) -> None:
        self.talk.say("")
        self.talk.say("Configured mappings:")
        rows = [(name, *row) for name, entries in mapping.items() for row in entries.items()]
        self.talk.table(("source", "its symbol", "our symbol"), rows)


def _source_symbol(typed: str) -> str:
    if any(letter.isspace() for letter in typed):
        raise ConfigError("a symbol has no spaces")
    return typed


if __name__ == "__main__":
    hand_over("mapping")
