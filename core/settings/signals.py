"""`asset_mapping_config.json` and `signal_weight_config.json`: what a signal means and weighs."""

from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Annotated, Final

from pydantic import Field, RootModel

from core.settings.validation import (
    ConfigModel,
    ConfigProblem,
    InvalidFileError,
    Name,
    Number,
    Symbol,
    validate,
)

MAPPING_FILE: Final = "asset_mapping_config.json"
WEIGHTS_FILE: Final = "signal_weight_config.json"

AssetMapping = Mapping[str, Mapping[str, str]]
"""Source -> source symbol, as it comes -> our symbol; order kept."""
SourceSymbol = Annotated[str, Field(min_length=1, max_length=100)]


class SourceWeight(ConfigModel):
    """What one source's word is worth for a symbol: a share of equity at depth 1."""

    source: Name
    weight: Annotated[Number, Field(ge=0, le=1)]


class SymbolWeights(ConfigModel):
    """One symbol that is traded: its leverage, 1..20, and the sources that are heard."""

    symbol: Symbol
    leverage: Annotated[Number, Field(ge=1, le=20)]
    sources: tuple[SourceWeight, ...]

    def weight_of(self, source: str) -> Decimal:
        """Weight of a source, 0 when it is not listed."""
        return next((row.weight for row in self.sources if row.source == source), Decimal(0))


class _Mapping(RootModel[dict[Name, dict[SourceSymbol, Symbol]]]):
    pass


class _Weights(RootModel[tuple[SymbolWeights, ...]]):
    pass


def parse_mapping(value: object) -> AssetMapping:
    """Build from parsed JSON. Raises InvalidFileError."""
    mapping = validate(_Mapping, value, MAPPING_FILE).root
    return MappingProxyType({name: MappingProxyType(row) for name, row in mapping.items()})


def parse_weights(value: object) -> tuple[SymbolWeights, ...]:
    """Build from parsed JSON: no symbol or source twice, weights of a symbol at most 1 together.

    Raises InvalidFileError.
    """
    weights = validate(_Weights, value, WEIGHTS_FILE).root
    if twice := _twice(row.symbol for row in weights):
        raise _refused(twice, "symbol is listed twice", "keep one entry for each symbol")
    for row in weights:
        if twice := _twice(source.source for source in row.sources):
            raise _refused(row.symbol, f"source {twice} is listed twice", "keep one of them")
        total = sum((source.weight for source in row.sources), Decimal(0))
        if total > 1:
            text = f"weights must not exceed 1 together, were {total:f}"
            raise _refused(row.symbol, text, "lower one of them")
    return weights


def _twice(names: Iterable[str]) -> str:
    return next((name for name, count in Counter(names).items() if count > 1), "")


def _refused(symbol: str, text: str, remedy: str) -> InvalidFileError:
    return InvalidFileError(
        [ConfigProblem(file=WEIGHTS_FILE, key=symbol, text=text, remedy=remedy)]
    )
