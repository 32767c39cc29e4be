"""Rankings of whole recorded payloads: what they decide, and how long they take."""

import gzip
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from statistics import median
from time import process_time

import pytest

from signal_processors.bittensor_model import Snapshot
from signal_processors.bittensor_payload import Judge, read_positions
from signal_processors.bittensor_ranking import RankingInputs, rank
from tests.unit.test_bittensor_ranking import codes, config, inputs

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "sn8"
PAIRS = frozenset({"BTCUSD", "ETHUSD", "SOLUSD", "XRPUSD", "DOGEUSD", "ADAUSD"})
LONG_AFTER_MS = 4_000_000_000_000
BUDGET_S = 0.150


def payload(name: str) -> Snapshot:
    """Read a recorded payload, or skip."""
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{name} is not here: shared/data/sn8")
    body = path.read_bytes()
    body = gzip.decompress(body) if name.endswith(".gz") else body
    return read_positions(body, Judge(pairs=PAIRS, now_ms=LONG_AFTER_MS))


def scene(snapshot: Snapshot) -> RankingInputs:
    return inputs(
        miners=snapshot.miners, crypto_pairs=PAIRS, now_ms=snapshot.watermark_ms + 3_600_000
    )


@pytest.fixture(scope="module")
def network() -> RankingInputs:
    return scene(payload("SYNTHETIC_full_200miners_tier100.json.gz"))


def test_the_genuine_miner_wins_too_rarely_for_the_classic_defaults() -> None:
    given = scene(payload("miner_positions_1miner_auto_sync_ck.json"))

    (row,) = rank(given, config("classic")).rows

    assert codes(row) == {"profitable_rate"}
    assert row.figures["trades"] == 73
    assert row.figures["profitable_rate"] == pytest.approx(37 / 73)
    assert row.figures["total_return"] == pytest.approx(0.0646, abs=0.0005)


def test_the_genuine_miner_is_judged_by_days_where_nothing_else_is_known() -> None:
    given = scene(payload("miner_positions_1miner_auto_sync_ck.json"))

    (row,) = rank(given, config()).rows

    assert codes(row) == {"no_statistics"}
    assert row.figures["days"] == 101
    assert row.weight == Decimal("0.05")


@pytest.mark.parametrize("name", ["risk_adjusted", "classic"])
def test_a_whole_network_fills_what_there_is_to_give(network: RankingInputs, name: str) -> None:
    ranking = rank(network, config(name))

    assert len(ranking.rows) == 200
    assert len(ranking.weights) == 20
    assert set(ranking.weights.values()) == {Decimal("0.05")}  # half the cap: owners are unknown
    assert all(row.reasons for row in ranking.rows if not row.is_kept)


@pytest.mark.parametrize("name", ["risk_adjusted", "classic"])
def test_a_whole_network_is_ranked_in_time(
    network: RankingInputs, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = config(name)
    every_pair = frozenset(t.pair for m in network.miners.values() for t in m.trades)
    worst = replace(network, crypto_pairs=every_pair, previous=rank(network, settings))
    assert sum(len(m.trades) + len(m.positions) for m in network.miners.values()) == 12_012

    taken_s = []
    for _ in range(5):
        began = process_time()
        rank(worst, settings)
        taken_s.append(process_time() - began)
    with capsys.disabled():
        print(f"\n{name}: 12,012 positions ranked in {1000 * median(taken_s):.1f} ms")  # noqa: T201

    assert min(taken_s) <= BUDGET_S
