"""The contracts that the paper exchange lists, read from `instruments.json`.

Venue-neutral: sizes in lots (base coin where `contract_size` is 1), prices in USDT per base coin.
What a public document confirms and what we made up is marked in the file itself, field by field.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson

from core.errors import ConfigError

TABLE = Path(__file__).resolve().parent / "instruments.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperInstrument:
    """One USDT perpetual with its steps and limits."""

    symbol: str
    base: str
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


def load_instruments(path: Path = TABLE) -> Mapping[str, PaperInstrument]:
    """Read the table, in the order of the file. Raises ConfigError naming the row."""
    document = orjson.loads(path.read_bytes())
    defaults = document["defaults"]
    return {row["symbol"]: _instrument(defaults | row, path) for row in document["instruments"]}


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
