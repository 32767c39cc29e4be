"""What is understood of `/miner-positions`, and what of it is not believed."""

import gzip
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signal_processors.bittensor_exposure import is_live
from signal_processors.bittensor_model import Snapshot
from signal_processors.bittensor_payload import Judge, PayloadError, read_positions, read_push
from signal_processors.bittensor_ss58 import is_ss58
from tests.unit.sn8_scene import (
    JUDGE,
    NOW_MS,
    PAIRS,
    body,
    closed_row,
    hotkey,
    miner_row,
    open_row,
    payload,
)

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "sn8"
Change = Callable[[dict[str, Any]], object]


def data(name: str) -> Path:
    """Find a recorded payload, or skip."""
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{name} is not here: shared/data/sn8")
    return path


def read(document: object) -> Snapshot:
    return read_positions(body(document), JUDGE)


def test_a_payload_is_read_as_it_says() -> None:
    found = read(payload([open_row(0, 0.25), closed_row(0, 1.02)], [open_row(1, -0.5)]))

    first, second = found.miners[hotkey(0)], found.miners[hotkey(1)]
    assert [(p.pair, p.net_leverage) for p in first.positions] == [("BTCUSD", Decimal("0.25"))]
    assert [(t.result, t.closed_at_ms) for t in first.trades] == [(1.02, NOW_MS - 7_200_000)]
    assert second.positions[0].net_leverage == Decimal("-0.5")
    assert found.dropped == {}
    assert found.watermark_ms == NOW_MS - 3_600_000


def test_unknown_keys_and_missing_optional_ones_do_not_matter() -> None:
    row = open_row(0, 0.25) | {"unrealized_pnl": 3.5, "orders_v2": [1, {"a": None}]}
    for name in ("close_ms", "current_return", "return_at_close", "position_type", "orders"):
        del row[name]

    found = read({hotkey(0): {"positions": [row]}})

    assert found.miners[hotkey(0)].positions[0].updated_at_ms == row["open_ms"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(lambda r: r.pop("net_leverage"), "unreadable", id="leverage-missing"),
        pytest.param(lambda r: r.update(net_leverage="0.5"), "unreadable", id="leverage-text"),
        pytest.param(lambda r: r.update(net_leverage=None), "unreadable", id="leverage-null"),
        pytest.param(lambda r: r.update(net_leverage=21), "leverage", id="leverage-impossible"),
        pytest.param(lambda r: r.update(net_leverage=-0.25), "side", id="sign-against-the-side"),
        pytest.param(lambda r: r.update(position_type="FLAT"), "side", id="flat-and-held"),
        pytest.param(lambda r: r.update(is_closed_position=True), "closed_with", id="closed"),
        pytest.param(lambda r: r.update(is_closed_position=0), "unreadable", id="closed-number"),
        pytest.param(lambda r: r.update(open_ms=NOW_MS + 90_000), "time", id="from-the-future"),
        pytest.param(lambda r: r.update(open_ms=-1), "time", id="before-time"),
        pytest.param(lambda r: r.update(miner_hotkey=hotkey(9)), "other_hotkey", id="other-miner"),
        pytest.param(lambda r: r.update(position_uuid=""), "no_id", id="no-id"),
        pytest.param(lambda r: r.update(trade_pair=[]), "no_pair", id="no-pair"),
        pytest.param(lambda r: r.update(trade_pair=[7]), "no_pair", id="pair-a-number"),
        pytest.param(lambda r: r.update(trade_pair="BTCUSD"), "no_pair", id="pair-a-text"),
        pytest.param(lambda r: r.update(orders=[{"price": 1}]), "orders", id="orders-untimed"),
        pytest.param(
            lambda r: r.update(orders=[{"processed_ms": NOW_MS + 90_000}]),
            "time",
            id="order-from-the-future",
        ),
    ],
)
def test_a_miner_of_which_something_is_wrong_is_dropped_alone(change: Change, reason: str) -> None:
    row = open_row(0, 0.25)
    change(row)

    found = read({hotkey(0): miner_row([row]), hotkey(1): miner_row([open_row(1, 0.5)])})

    assert found.dropped[hotkey(0)].startswith(reason)
    assert list(found.miners) == [hotkey(1)]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"return_at_close": None}, id="no-result"),
        pytest.param({"close_ms": 0}, id="no-time"),
        pytest.param({"close_ms": NOW_MS + 90_000}, id="future"),
    ],
)
def test_a_closed_position_without_result_or_time_drops_its_miner(change: dict[str, Any]) -> None:
    found = read(payload([closed_row(0, 1.0) | change], [open_row(1, 0.5)]))

    assert list(found.dropped) == [hotkey(0)]


def test_two_open_positions_in_a_pair_drop_their_miner() -> None:
    found = read(payload([open_row(0, 0.2), open_row(0, 0.3, uuid="another")]))

    assert found.dropped[hotkey(0)].startswith("two_open")


def test_a_position_that_two_miners_claim_drops_both() -> None:
    rows = [[open_row(n, 0.2, uuid="same")] for n in (0, 1)]

    assert set(read(payload(*rows)).dropped) == {hotkey(0), hotkey(1)}


@pytest.mark.parametrize(
    "key",
    [
        pytest.param("DEVELOPMENT", id="a-word"),
        pytest.param(hotkey(0)[:-1] + ("A" if hotkey(0)[-1] != "A" else "B"), id="wrong-checksum"),
        pytest.param(hotkey(0) + "_", id="no-number"),
        pytest.param(hotkey(0) + "_x", id="not-a-number"),
        pytest.param("", id="empty"),
    ],
)
def test_what_is_no_key_is_nobody(key: str) -> None:
    assert list(read({key: miner_row([])}).miners) == []


def test_an_entity_s_synthetic_hotkey_is_somebody() -> None:
    key = f"{hotkey(0)}_3"
    row = open_row(0, 0.2) | {"miner_hotkey": key}

    assert list(read({key: miner_row([row])}).miners) == [key]


def test_leverage_above_today_s_limit_is_no_damage() -> None:
    assert read(payload([open_row(0, 0.8)])).dropped == {}


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"[]", id="a-list"),
        pytest.param(b"null", id="null"),
        pytest.param(b'{"a": ', id="cut-short"),
        pytest.param(b"<html></html>", id="a-web-page"),
        pytest.param(b'{"\xff": 1}', id="not-utf-8"),
        pytest.param(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", id="deep"),
    ],
)
def test_what_is_no_payload_raises(content: bytes) -> None:
    with pytest.raises(PayloadError):
        read_positions(content, JUDGE)


def test_a_push_is_read_like_a_row_of_the_payload() -> None:
    row = open_row(0, -0.25) | {"close_ms": None}

    pushed = read_push(body(row), JUDGE)

    assert pushed == read(payload([row])).miners[hotkey(0)].positions[0]


def test_a_pushed_close_is_read_as_closed() -> None:
    pushed = read_push(body(closed_row(0, 1.01)), JUDGE)

    assert pushed.is_closed
    assert pushed.net_leverage == Decimal(0)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"miner_hotkey": None}, id="nobody-s"),
        pytest.param({"miner_hotkey": "x"}, id="no-key"),
        pytest.param({"net_leverage": "x"}, id="unreadable"),
        pytest.param({"net_leverage": 1e9}, id="impossible"),
    ],
)
def test_a_push_that_is_not_usable_raises(change: dict[str, Any]) -> None:
    with pytest.raises(PayloadError):
        read_push(body(open_row(0, 0.25) | change), JUDGE)


def test_the_genuine_miner_is_read_whole() -> None:
    content = data("miner_positions_1miner_auto_sync_ck.json").read_bytes()

    found = read_positions(content, JUDGE_OF_TODAY)

    (miner,) = found.miners.values()
    assert len(miner.trades) == 73
    assert [(p.pair, p.net_leverage) for p in miner.positions] == [("BTCUSD", Decimal("0.24509"))]


def test_departed_hotkeys_are_all_keys() -> None:
    departed = json.loads(data("departed_hotkeys.json").read_bytes())["departed_hotkeys"]

    assert [key for key in departed if not is_ss58(key)] == []
    assert len(departed) > 300


def test_the_full_size_payload_is_read_whole() -> None:
    content = gzip.decompress(data("SYNTHETIC_full_200miners_tier100.json.gz").read_bytes())

    found = read_positions(content, JUDGE_OF_TODAY)

    assert (len(found.miners), found.dropped) == (200, {})
    assert sum(len(miner.positions) for miner in found.miners.values()) == 352
    assert sum(len(miner.trades) for miner in found.miners.values()) == 11_660


JUDGE_OF_TODAY = Judge(pairs=PAIRS, now_ms=1_800_000_000_000)


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_else(content: bytes) -> None:
    for reader in (read_positions, read_push):
        try:
            reader(content, JUDGE)
        except PayloadError:
            continue


def test_half_a_character_in_one_miner_s_id_makes_nobody_unreadable() -> None:
    found = read(payload([open_row(0, 0.2, uuid="a\ud800b")], [open_row(1, 0.3)]))

    assert (len(found.miners), found.dropped) == (2, {})


def test_who_copied_the_id_of_an_older_position_is_dropped_and_the_owner_stays() -> None:
    older, newer = NOW_MS - 7_200_000, NOW_MS - 3_600_000
    for owner, thief in ((0, 1), (1, 0)):
        rows = {
            owner: [open_row(owner, 0.2, uuid="same", at_ms=older)],
            thief: [open_row(thief, 0.2, uuid="same", at_ms=newer)],
        }

        found = read(payload(rows[0], rows[1]))

        assert list(found.dropped) == [hotkey(thief)]


def test_a_day_old_position_of_a_lower_tier_is_left_out_and_drops_nobody() -> None:
    uuids = [f"uuid-{n}" for n in range(200)]
    live = next(uuid for uuid in uuids if is_live(uuid, 30))
    old = next(uuid for uuid in uuids if not is_live(uuid, 30))
    content = body(payload([open_row(0, 0.2, uuid=old), open_row(0, -0.3, uuid=live)]))

    found = read_positions(content, Judge(pairs=PAIRS, now_ms=NOW_MS, tier=30))

    assert [p.uuid for p in found.miners[hotkey(0)].positions] == [live]
    assert list(read_positions(content, JUDGE).dropped) == [hotkey(0)]


def test_a_stranger_s_words_are_short_and_harmless() -> None:
    row = open_row(0, 0.2) | {"position_type": "\x1b[31m" + "é" * 100_000}

    (told,) = read(payload([row])).dropped.values()

    assert len(told) < 600
    assert told.isprintable()
    assert told.isascii()
