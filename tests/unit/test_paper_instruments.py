"""The table of contracts: complete, coherent, and honest about where each number comes from."""

from pathlib import Path

import orjson
import pytest

from core.errors import ConfigError
from paper_exchange.instruments import TABLE, PaperInstrument, load_instruments

DOCUMENT = orjson.loads(TABLE.read_bytes())
ROWS = DOCUMENT["instruments"]
OWN_CHOICE = {"reference_price", "maintenance_rate", "status", "min_notional_usdt"}


def test_fifty_are_listed_and_at_least_twelve_confirmed() -> None:
    confirmed = [row for row in ROWS if row["source"] == "confirmed"]

    assert len(load_instruments()) == len(ROWS) == 50
    assert len(confirmed) >= 12
    for row in confirmed:
        assert set(row["synthetic"]) <= OWN_CHOICE, row["symbol"]
    assert sum("min_notional_usdt" not in row["synthetic"] for row in confirmed) >= 11


def test_every_row_says_where_its_numbers_come_from() -> None:
    for row in ROWS:
        assert row["source"] in {"confirmed", "synthetic"}
        assert row["document"]
        assert row["synthetic"]


def test_the_symbols_that_people_try_first_are_there() -> None:
    wanted = ["BTC", "ETH", "SOL", "XRP", "DOGE", "ADA", "LTC", "TAO", "1000PEPE"]

    assert {f"{base}USDT" for base in wanted} <= set(load_instruments())
    assert load_instruments()["ETHUSDT"].reference_price == 3328


@pytest.mark.parametrize("row", load_instruments().values(), ids=lambda row: row.symbol)
def test_steps_and_limits_agree(row: PaperInstrument) -> None:
    assert row.symbol == f"{row.base}USDT"
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
