"""Recorded payloads from bytes to depths, beside the same reckoned from plain JSON.

One miner is genuine; the network of 200 is synthetic in content and genuine in shape. What is
reckoned here uses nothing of what it checks but the weights.
"""

import gzip
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from decimal import ROUND_DOWN, Decimal
from functools import cache
from hashlib import sha256
from math import prod
from pathlib import Path
from typing import Any

import pytest

from core.home import CHECKOUT
from signal_processors.bittensor_config import ProcessorConfig, parse_processor_config
from signal_processors.bittensor_exposure import Measure, wanted_depths
from signal_processors.bittensor_model import RankedMiner, Ranking, Snapshot
from signal_processors.bittensor_payload import Judge, read_positions
from signal_processors.bittensor_ranking import RankingInputs, rank

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "sn8"
GENUINE = "miner_positions_1miner_auto_sync_ck.json"
NETWORK = "SYNTHETIC_full_200miners_tier100.json.gz"
SYMBOLS = {f"{coin}USD": f"{coin}USDT" for coin in ("BTC", "ETH", "SOL", "XRP", "DOGE", "ADA")}
PAIRS = frozenset(SYMBOLS)
DOCS = (CHECKOUT / "docs/bittensor.md").read_text(encoding="utf-8")
DAY_MS = 86_400_000
Row = Mapping[str, Any]
Document = Mapping[str, Row]


@cache
def content(name: str) -> bytes:
    """Read a recorded payload, or skip."""
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{name} is not here: shared/data/sn8")
    body = path.read_bytes()
    return gzip.decompress(body) if name.endswith(".gz") else body


@cache
def plain(name: str) -> Document:
    """Read it as nobody here does."""
    document: Document = json.loads(content(name))
    return document


@cache
def snapshot(name: str) -> Snapshot:
    """Read it as we do, an hour after its newest order."""
    return read_positions(content(name), Judge(pairs=PAIRS, now_ms=now_ms(name)))


@cache
def now_ms(name: str) -> int:
    newest = max(order["processed_ms"] for row in positions(plain(name)) for order in row["orders"])
    return int(newest) + 3_600_000


def positions(document: Document) -> Iterator[Row]:
    return (row for miner in document.values() for row in miner["positions"])


def config(**document: Any) -> ProcessorConfig:
    return parse_processor_config(document)


def ranked(name: str, settings: ProcessorConfig) -> Ranking:
    inputs = RankingInputs(
        miners=snapshot(name).miners,
        statistics=None,
        eliminated={},
        registry=None,
        is_registry_stale=False,
        crypto_pairs=PAIRS,
        previous=None,
        now_ms=now_ms(name),
    )
    return rank(inputs, settings)


def depths(name: str, ranking: Ranking, settings: ProcessorConfig, tier: int) -> dict[str, Decimal]:
    """Give the depths as following makes them."""
    measure = Measure(limit=settings.trading_limits.leverage_limit, targets=SYMBOLS, tier=tier)
    held = [p for miner in snapshot(name).miners.values() for p in miner.positions]
    return {pair: row.depth for pair, row in wanted_depths(held, ranking, measure).items()}


def reckoned(
    document: Document, weights: Mapping[str, Decimal], settings: ProcessorConfig, tier: int
) -> dict[str, Decimal]:
    """Give the depths as docs/bittensor.md describes them."""
    limit, fewest = (
        settings.trading_limits.leverage_limit,
        settings.asset_filtering.min_trades_per_asset if settings.ranking == "classic" else 0,
    )
    found: dict[str, Decimal] = {}
    for hotkey, weight in weights.items():
        rows = document[hotkey]["positions"]
        closed = Counter(row["trade_pair"][0] for row in rows if row["is_closed_position"])
        for row in rows:
            pair = row["trade_pair"][0]
            is_sampled = int(sha256(row["position_uuid"].encode()).hexdigest(), 16) % 100 < tier
            if row["is_closed_position"] or pair not in PAIRS or not is_sampled:
                continue
            if closed[pair] >= fewest:
                share = min(max(Decimal(str(row["net_leverage"])) / limit, Decimal(-1)), Decimal(1))
                found[pair] = found.get(pair, Decimal(0)) + weight * share
    return {pair: depth.quantize(Decimal("0.0001"), ROUND_DOWN) for pair, depth in found.items()}


def codes(row: RankedMiner) -> set[str]:
    return {reason.partition(":")[0] for reason in row.reasons}


@pytest.mark.parametrize(
    ("name", "miners", "opened", "closed"),
    [
        pytest.param(GENUINE, 1, 1, 73, id="genuine"),
        pytest.param(NETWORK, 200, 352, 11_660, id="network"),
    ],
)
def test_a_recorded_payload_is_understood_whole(
    name: str, miners: int, opened: int, closed: int
) -> None:
    found = snapshot(name)
    held = [p for miner in found.miners.values() for p in miner.positions]
    trades = [t for miner in found.miners.values() for t in miner.trades]

    assert found.dropped == {}
    assert (len(found.miners), len(held), len(trades)) == (miners, opened, closed)
    assert {(p.uuid, p.hotkey, p.pair, p.net_leverage, p.updated_at_ms) for p in held} == {
        (
            row["position_uuid"],
            row["miner_hotkey"],
            row["trade_pair"][0],
            Decimal(str(row["net_leverage"])),
            max(order["processed_ms"] for order in row["orders"]),
        )
        for row in positions(plain(name))
        if not row["is_closed_position"]
    }
    assert {(t.uuid, t.pair, t.result, t.opened_at_ms, t.closed_at_ms) for t in trades} == {
        (
            row["position_uuid"],
            row["trade_pair"][0],
            row["return_at_close"],
            row["open_ms"],
            row["close_ms"],
        )
        for row in positions(plain(name))
        if row["is_closed_position"]
    }
    assert found.watermark_ms == now_ms(name) - 3_600_000


def test_the_genuine_miner_is_judged_as_its_json_says() -> None:
    closed = sorted(
        (row for row in positions(plain(GENUINE)) if row["is_closed_position"]),
        key=lambda row: int(row["close_ms"]),
    )
    results = [float(row["return_at_close"]) for row in closed]
    equity = [prod(results[: n + 1]) for n in range(len(results))]
    falls = [value / max(1.0, *equity[: n + 1]) - 1 for n, value in enumerate(equity)]

    (row,) = ranked(GENUINE, config(ranking="classic")).rows

    assert codes(row) == {"profitable_rate"}
    assert row.figures["trades"] == len(results)
    assert row.figures["profitable_rate"] == sum(r > 1 for r in results) / len(results)
    assert row.figures["total_return"] == pytest.approx(prod(results) - 1)
    assert row.figures["drawdown"] == pytest.approx(min(falls))


def test_the_genuine_miner_s_days_are_those_of_its_json() -> None:
    days = [r["close_ms"] // DAY_MS for r in positions(plain(GENUINE)) if r["is_closed_position"]]

    (row,) = ranked(GENUINE, config()).rows

    assert codes(row) == {"no_statistics"}
    assert row.figures["days"] == max(days) - min(days) + 1
    assert (row.rank, row.weight) == (1, Decimal("0.05"))  # half the cap: owners are unknown


@pytest.mark.parametrize(
    "document",
    [
        pytest.param({}, id="risk-adjusted"),
        pytest.param(
            {"ranking": "classic", "filtering": {"min_profitable_rate": 0.5}}, id="classic"
        ),
    ],
)
def test_the_genuine_miner_s_depth_is_what_it_holds_open(document: dict[str, Any]) -> None:
    settings = config(**document)
    ranking = ranked(GENUINE, settings)

    assert ranking.weights == {next(iter(plain(GENUINE))): Decimal("0.05")}
    # 0.05 x 0.24509 of 0.5
    assert depths(GENUINE, ranking, settings, 100) == {"BTCUSD": Decimal("0.0245")}
    assert reckoned(plain(GENUINE), ranking.weights, settings, 100) == {"BTCUSD": Decimal("0.0245")}


@pytest.mark.parametrize(
    ("document", "tier"),
    [
        pytest.param({}, 100, id="risk-adjusted"),
        pytest.param({"following": {"max_weight": 0.2, "max_miners": 7}}, 100, id="few"),
        pytest.param({"trading_limits": {"leverage_limit": 0.1}}, 100, id="beyond-the-limit"),
        pytest.param({}, 30, id="sampled"),
        pytest.param({"ranking": "classic"}, 100, id="classic"),
        pytest.param(
            {"ranking": "classic", "asset_filtering": {"min_trades_per_asset": 6}},
            100,
            id="classic-by-pair",
        ),
    ],
)
def test_each_depth_of_a_network_is_what_its_json_says(document: dict[str, Any], tier: int) -> None:
    settings = config(**document)
    ranking = ranked(NETWORK, settings)
    found = depths(NETWORK, ranking, settings, tier)

    assert found == reckoned(plain(NETWORK), ranking.weights, settings, tier)
    assert any(found.values())


def test_all_six_pairs_of_a_network_get_a_depth() -> None:
    settings = config(
        following={"max_weight": 0.05, "max_miners": 100, "join_rank": 100, "leave_rank": 100}
    )
    ranking = ranked(NETWORK, settings)
    found = depths(NETWORK, ranking, settings, 100)

    assert set(found) == PAIRS
    assert all(found.values())
    assert found == reckoned(plain(NETWORK), ranking.weights, settings, 100)


@pytest.mark.parametrize("name", ["risk_adjusted", "classic"])
def test_every_reason_a_network_gets_is_one_that_the_page_promises(name: str) -> None:
    rows = ranked(NETWORK, config(ranking=name)).rows
    given = set().union(*map(codes, rows))

    assert given
    assert [code for code in given if f"| `{code}` |" not in DOCS] == []
    assert unexplained(rows) == []


def unexplained(rows: Iterable[RankedMiner]) -> list[str]:
    """Name those that are not followed without a word."""
    return [row.hotkey for row in rows if not row.is_kept and not row.reasons]
