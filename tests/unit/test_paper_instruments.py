"""The venues' tables of contracts: complete, coherent, honest about where numbers come from."""

from pathlib import Path
from typing import Any

import orjson
import pytest

import paper_exchange.wires
from core.errors import ConfigError
from paper_exchange.instruments import PaperInstrument, load_instruments

FOLDER = Path(paper_exchange.wires.__file__).parent
TABLES = sorted(FOLDER.glob("*/instruments.json"))
LISTED = [
    pytest.param(row, id=f"{path.parent.name}-{row.symbol}")
    for path in TABLES
    for row in load_instruments(path).values()
]
OWN_CHOICE = {"reference_price", "maintenance_rate", "status", "min_notional_usdt"}


def rows_of(path: Path) -> list[dict[str, Any]]:
    return list(orjson.loads(path.read_bytes())["instruments"])


def test_fifty_are_listed_at_bybit_and_at_least_twelve_confirmed() -> None:
    rows = rows_of(FOLDER / "bybit" / "instruments.json")
    confirmed = [row for row in rows if row["source"] == "confirmed"]

    assert len(load_instruments(FOLDER / "bybit" / "instruments.json")) == len(rows) == 50
    assert len(confirmed) >= 12
    for row in confirmed:
        assert set(row["synthetic"]) <= OWN_CHOICE, row["symbol"]
    assert sum("min_notional_usdt" not in row["synthetic"] for row in confirmed) >= 11


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.parent.name)
def test_every_row_says_where_its_numbers_come_from(path: Path) -> None:
    for row in rows_of(path):
        assert row["source"] in {"confirmed", "synthetic"}
        assert row["document"]
        assert row["synthetic"]


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.parent.name)
def test_the_symbols_that_people_try_first_are_there(path: Path) -> None:
    wanted = ["BTC", "ETH", "SOL", "XRP", "DOGE", "ADA", "LTC", "TAO"]
    listed = load_instruments(path)

    assert {f"{base}USDT" for base in wanted} <= set(listed)
    assert listed["ETHUSDT"].reference_price == 3328
    assert len(listed.by_id) == len(listed)


@pytest.mark.parametrize("row", LISTED)
def test_steps_and_limits_agree(row: PaperInstrument) -> None:
    assert row.symbol == f"{row.base.replace('XBT', 'BTC')}USDT"
    assert 0 < row.step_lots <= row.min_lots < row.max_market_lots <= row.max_lots
    assert row.min_lots % row.step_lots == row.max_lots % row.step_lots == 0
    assert row.max_market_lots % row.step_lots == 0
    assert row.reference_price % row.tick_size == 0
    assert row.min_price <= row.reference_price <= row.max_price
    assert row.maintenance_rate < 1 / row.max_leverage
    assert row.min_lots * row.reference_price * row.contract_size < 100


def test_an_incomplete_row_is_named(tmp_path: Path) -> None:
    path = tmp_path / "instruments.json"
    path.write_bytes(orjson.dumps({"defaults": {}, "instruments": [{"symbol": "AUSDT"}]}))

    with pytest.raises(ConfigError, match="AUSDT"):
        load_instruments(path)
