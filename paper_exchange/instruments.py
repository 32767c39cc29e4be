"""The contracts that a venue of the paper exchange lists, read from its `instruments.json`.

Venue-neutral: sizes in lots (base coin where `contract_size` is 1), prices in USDT per base coin.
`symbol` is the house's name (BTCUSDT), `id` the venue's own (XBTUSDTM). What a public document
confirms and what we made up is marked in the file itself, field by field.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson

from core.errors import ConfigError

DEFAULTS = {"contract_size": "1", "min_notional_usdt": "0", "leverage_step": "1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperInstrument:
    """One USDT perpetual with its steps and limits."""

    symbol: str
    id: str  # the venue's own name of it
    base: str  # the coin as the venue names it: XBT
    tick_size: Decimal  # USDT
    step_lots: Decimal
    min_lots: Decimal
    max_lots: Decimal  # of a limit order
    max_market_lots: Decimal
    min_notional_usdt: Decimal  # reductions are exempt
    min_price: Decimal
    max_price: Decimal
    max_leverage: Decimal
    leverage_step: Decimal
    maintenance_rate: Decimal  # of the position's value at mark
    contract_size: Decimal  # base coin per lot
    reference_price: Decimal  # USDT; where the random walk is anchored
    taker_fee: Decimal  # of the value traded
    maker_fee: Decimal
    funding_interval_min: int
    launch_ms: int
    status: str


class Instruments(Mapping[str, PaperInstrument]):
    """A venue's contracts by our symbol, in the order given."""

    def __init__(self, rows: Iterable[PaperInstrument]) -> None:
        self._by_symbol = {row.symbol: row for row in rows}
        self.by_id = {row.id: row for row in self._by_symbol.values()}

    def __getitem__(self, symbol: str) -> PaperInstrument:
        return self._by_symbol[symbol]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_symbol)

    def __len__(self) -> int:
        return len(self._by_symbol)


def load_instruments(path: Path) -> Instruments:
    """Read a venue's table, in the order of the file. Raises ConfigError naming the row.

    A row without an `id` has the symbol for it.
    """
    document = orjson.loads(path.read_bytes())
    defaults = DEFAULTS | document["defaults"]
    rows = document["instruments"]
    return Instruments(
        _instrument(defaults | {"id": row.get("symbol")} | row, path) for row in rows
    )


def _instrument(row: Mapping[str, Any], path: Path) -> PaperInstrument:
    try:
        values: dict[str, Any] = {
            field.name: Decimal(row[field.name]) if field.type is Decimal else row[field.name]
            for field in fields(PaperInstrument)
        }
    except (KeyError, TypeError, ArithmeticError) as error:
        message = f"instrument {row.get('symbol')!r} is incomplete: {error!r} ({path.name})"
        raise ConfigError(message) from error
    return PaperInstrument(**values)
