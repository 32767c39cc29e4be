"""The signal weights: leverage of each traded symbol and how much each source counts there.

`apply` is pure, exact and keeps the order; the prompts are thin around it. What is refused here is
refused by the engine's own parser. Run as a script it is `trade-engine config weights`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Self

from config.editing import Opened
from config.entry import hand_over
from config.prompting import Conversation, ask_until, choose
from core.errors import ConfigError
from core.settings.signals import AssetMapping, SourceWeight, SymbolWeights, parse_weights
from core.settings.validation import InvalidFileError

Weights = tuple[SymbolWeights, ...]
SHOWN_DIGITS: Final = Decimal("0.01")
LEVERAGE: Final = "leverage"
TITLES: Final = ("symbol", "leverage", "weights", "together", "largest position")


def apply(weights: Weights, row: SymbolWeights) -> Weights:
    """Give the weights with one symbol's row anew, in its old place, or at the end.

    Raises ConfigError where they exceed 1 together.
    """
    known = [old.symbol for old in weights]
    if row.symbol in known:
        after = tuple(row if old.symbol == row.symbol else old for old in weights)
    else:
        after = (*weights, row)
    try:
        return parse_weights(to_document(after))
    except InvalidFileError as error:
        raise ConfigError(f"{row.symbol}: {error.problems[0].text}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One number of one symbol: the weight of a source, or with no source the leverage."""

    symbol: str
    source: str = ""
    value: Decimal

    @classmethod
    def read(cls, symbol: str, what: str, value: str) -> Self:
        """Read a change as it was typed. Raises ConfigError."""
        if what == LEVERAGE:
            return cls(symbol=symbol, value=read_leverage(value))
        return cls(symbol=symbol, source=what, value=read_weight(value, Decimal(1)))


def apply_changes(weights: Weights, changes: Sequence[Change]) -> Weights:
    """Give the weights with single numbers changed; their sums are judged when all are in.

    Raises ConfigError.
    """
    for symbol in dict.fromkeys(change.symbol for change in changes):
        row = _row_of(weights, symbol)
        entered = {} if row is None else {one.source: one.weight for one in row.sources}
        leverage = None if row is None else row.leverage
        for change in changes:
            if change.symbol == symbol and change.source:
                entered[change.source] = change.value
            elif change.symbol == symbol:
                leverage = change.value
        if leverage is None:
            raise ConfigError(f"{symbol} is new and needs a leverage too")
        sources = [{"source": name, "weight": weight} for name, weight in entered.items()]
        weights = apply(
            weights, _read({"symbol": symbol, "leverage": leverage, "sources": sources})
        )
    return weights


def without(weights: Weights, symbol: str) -> Weights:
    """Give the weights without a symbol. Raises ConfigError when it is not there."""
    after = tuple(row for row in weights if row.symbol != symbol)
    if len(after) == len(weights):
        raise ConfigError(f"{symbol} has no weights")
    return after


def to_document(weights: Iterable[SymbolWeights]) -> list[dict[str, Any]]:
    """Give the file's content; numbers are exact."""
    return [
        {
            "symbol": row.symbol,
            "leverage": _plain(row.leverage),
            "sources": [
                {"source": one.source, "weight": _plain(one.weight)} for one in row.sources
            ],
        }
        for row in weights
    ]


def read_leverage(typed: str) -> Decimal:
    """Read a leverage. Raises ConfigError when it is not 1 to 20."""
    return _read({"symbol": "AA", "leverage": typed, "sources": []}).leverage


def read_weight(typed: str, remaining: Decimal) -> Decimal:
    """Read a weight. Raises ConfigError when it is not 0 to what remains."""
    sources = [{"source": "one", "weight": typed}]
    weight = _read({"symbol": "AA", "leverage": 1, "sources": sources}).sources[0].weight
    if weight > remaining:
        text = f"the weights of a symbol are at most 1 together: {shown(remaining)} is left"
        raise ConfigError(f"{text}, was {shown(weight)}")
    return weight


def shown(value: Decimal) -> str:
    """Show a weight with two digits, or all that it has."""
    as_is = value.normalize()
    return format(max(as_is, as_is.quantize(SHOWN_DIGITS), key=_digits), "f")


def symbols_of(mapping: AssetMapping, weights: Weights) -> list[str]:
    """List what may be configured: the targets of the mapping in order, then what already is."""
    mapped = [target for rows in mapping.values() for target in rows.values()]
    return list(dict.fromkeys([*mapped, *(row.symbol for row in weights)]))


def sources_of(mapping: AssetMapping, row: SymbolWeights | None, symbol: str) -> list[str]:
    """List the sources to ask about: those that speak of a symbol, then those already listed."""
    speaking = [name for name, rows in mapping.items() if symbol in rows.values()]
    listed = [] if row is None else [one.source for one in row.sources]
    return list(dict.fromkeys([*speaking, *listed]))


def summary_of(weights: Weights) -> list[tuple[str, str, str, str, str]]:
    """Give a row a symbol under TITLES; the largest position is a multiple of equity."""
    found = []
    for row in weights:
        together = sum((one.weight for one in row.sources), Decimal(0))
        heard = ", ".join(f"{one.source} {shown(one.weight)}" for one in row.sources) or "none"
        most = f"{shown(together * row.leverage)} x equity"
        found.append((row.symbol, number(row.leverage), heard, shown(together), most))
    return found


def number(value: Decimal) -> str:
    """Show a number as it may be typed."""
    return format(value.normalize(), "f")


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsWizard:
    """Asks about every symbol in turn."""

    talk: Conversation
    mapping: AssetMapping

    def ask(self, opened: Opened[Weights]) -> list[dict[str, Any]]:
        """Ask for all weights, print a summary and give the file's content."""
        weights = opened.content
        symbols = symbols_of(self.mapping, weights)
        if not symbols:
            self.talk.say("No symbol is mapped yet: run config/asset_mapping.py first.")
        for symbol in symbols:
            if any(symbol in rows.values() for rows in self.mapping.values()):
                weights = self._ask_symbol(weights, symbol)
            else:
                weights = self._ask_unmapped(weights, symbol)
        if symbols:
            self.talk.say("")
            self.talk.say("Configured weights:")
            self.talk.table(TITLES, summary_of(weights))
        return to_document(weights)

    def _ask_symbol(self, weights: Weights, symbol: str) -> Weights:
        row = _row_of(weights, symbol)
        self.talk.say("")
        self.talk.say(f"Configuring {symbol}")
        leverage = self._ask_leverage(symbol, row)
        if leverage is None:
            self.talk.say(f"  {symbol} stays out: it is not traded")
            return weights
        entered: list[SourceWeight] = []
        for source in sources_of(self.mapping, row, symbol):
            remaining = 1 - sum((one.weight for one in entered), Decimal(0))
            weight = self._ask_weight(symbol, source, row, remaining)
            if weight is not None:
                entered.append(SourceWeight(source=source, weight=weight))
        return apply(weights, _ordered(symbol, leverage, entered, row))

    def _ask_leverage(self, symbol: str, row: SymbolWeights | None) -> Decimal | None:
        """Ask for a leverage; None = Enter, where there is none yet."""
        hint = f" (press Enter for current value: {number(row.leverage)})" if row else ""
        return ask_until(
            self.talk,
            f"Enter leverage for {symbol}{hint}:",
            lambda typed: read_leverage(typed) if typed else (row.leverage if row else None),
        )

    def _ask_weight(
        self, symbol: str, source: str, row: SymbolWeights | None, remaining: Decimal
    ) -> Decimal | None:
        """Ask for a weight; None = Enter, where there is none yet: the source is not heard."""
        known = (
            next((one.weight for one in row.sources if one.source == source), None) if row else None
        )
        hint = "" if known is None else f", press Enter for current value: {shown(known)}"
        question = f"Assign weight for {symbol} from {source}"

        def read(typed: str) -> Decimal | None:
            if not typed and known is None:
                return None
            return read_weight(typed or str(known), remaining)

        return ask_until(
            self.talk, f"{question} (remaining weight: {shown(remaining)}{hint}):", read
        )

    def _ask_unmapped(self, weights: Weights, symbol: str) -> Weights:
        self.talk.say("")
        self.talk.say(f"{symbol} has weights, but no mapping leads to it: no new signal can come.")
        wish = choose(self.talk, "Keep/Remove (k/r)?", ("keep", "remove"), default="keep")
        if wish == "keep":
            return weights
        self.talk.say(
            f"  A position of {symbol} is then left to orphan_policy (engine_config.json)."
        )
        return without(weights, symbol)


def _row_of(weights: Weights, symbol: str) -> SymbolWeights | None:
    return next((row for row in weights if row.symbol == symbol), None)


def _ordered(
    symbol: str, leverage: Decimal, entered: Sequence[SourceWeight], row: SymbolWeights | None
) -> SymbolWeights:
    """Keep the order in which the file has a symbol's sources; new ones go to the end."""
    places = {} if row is None else {one.source: place for place, one in enumerate(row.sources)}
    ordered = sorted(entered, key=lambda one: places.get(one.source, len(places)))
    return SymbolWeights(symbol=symbol, leverage=leverage, sources=tuple(ordered))


def _read(row: dict[str, Any]) -> SymbolWeights:
    try:
        return parse_weights([row])[0]
    except InvalidFileError as error:
        raise ConfigError(error.problems[0].text) from None


def _digits(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 0


def _plain(value: Decimal) -> object:
    """Make a JSON number of a Decimal, or text where a number would not be exact."""
    if value == value.to_integral_value():
        return int(value)
    return float(value) if Decimal(str(float(value))) == value else format(value, "f")


if __name__ == "__main__":
    hand_over("weights")
