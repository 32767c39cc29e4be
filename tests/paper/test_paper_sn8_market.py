"""The made-up network: deterministic, consistent with itself, and of differing skill."""

import hashlib
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paper_exchange.sn8 import trading
from paper_exchange.sn8.figures import figures, metrics
from paper_exchange.sn8.market import departed, make_miners
from paper_exchange.sn8.model import Miner, Order, Position, as_of, fees, nets, result
from paper_exchange.sn8.quotes import DAY_MS, PAIRS, price
from paper_exchange.sn8.ss58 import ALPHABET, hotkey
from paper_exchange.sn8.tiers import is_sampled, shown
from paper_exchange.sn8.trading import Move

DAY = 20_700
NOW_MS = DAY * DAY_MS
MINERS = make_miners(1, DAY, 40)
ALICE = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"  # the ecosystem's well-known test key
CRYPTO = {"BTCUSD", "ETHUSD", "SOLUSD", "XRPUSD", "DOGEUSD", "ADAUSD"}


def has_checksum(address: str) -> bool:
    number = 0
    for letter in address:
        number = number * 58 + ALPHABET.index(letter)
    raw = number.to_bytes(35)
    digest = hashlib.blake2b(b"SS58PRE" + raw[:33], digest_size=64).digest()
    return raw[0] == 42 and raw[33:] == digest[:2]


def kinds(position: Position) -> list[tuple[str, float]]:
    return [(order.kind, order.leverage) for order in position.orders]


def test_hotkeys_are_addresses_with_a_correct_checksum() -> None:
    assert has_checksum(ALICE)
    assert not has_checksum(ALICE[:-1] + "Z")
    assert all(has_checksum(miner.hotkey) for miner in MINERS)
    assert all(has_checksum(row.hotkey) for row in departed(1, DAY))
    assert len({miner.hotkey for miner in MINERS}) == 40
    assert hotkey(1, 0) != hotkey(2, 0)


def test_the_same_seed_and_day_give_the_same_network() -> None:
    make_miners.cache_clear()

    assert make_miners(1, DAY, 40) == MINERS
    assert make_miners(2, DAY, 40)[0].hotkey != MINERS[0].hotkey


def test_the_next_day_has_the_same_miners_and_the_same_history() -> None:
    later = {miner.hotkey: miner for miner in make_miners(1, DAY + 1, 40)}
    recent_ms = (DAY - 30) * DAY_MS
    kept = [row for miner in MINERS for row in miner.history if row.open_ms > recent_ms]

    assert [miner.hotkey for miner in MINERS] == list(later)
    assert len(kept) > 200
    assert [row for row in kept if row not in later[row.hotkey].history] == []


@pytest.mark.parametrize("seed", range(3))
def test_positions_keep_the_network_s_rules(seed: int) -> None:
    for miner in make_miners(seed, DAY, 40):
        pairs = [row.pair for row in miner.holding]
        assert len(set(pairs)) == len(pairs)
        for row in miner.positions:
            times = [order.processed_ms for order in row.orders]
            assert times == sorted(set(times))
            assert times[-1] < NOW_MS
            assert max(map(abs, nets(row))) <= PAIRS[row.pair].max_leverage
            assert all(nets(row)[:-1])  # nothing comes after what closed it
            assert PAIRS[row.pair].asset_class == miner.asset_class


def test_both_ways_to_close_occur_and_every_pair_is_traded() -> None:
    closed = [row for miner in MINERS for row in miner.history]
    by_flat = [row for row in closed if row.orders[-1].kind == "FLAT"]

    assert 0.5 < len(by_flat) / len(closed) < 0.9
    assert {row.pair for miner in MINERS for row in miner.holding} >= CRYPTO
    assert {row.pair for row in closed} & {"EURUSD", "GBPUSD", "USDJPY", "AUDUSD"}


def test_daily_returns_add_up_to_what_the_positions_earned() -> None:
    for miner in MINERS[:12]:
        daily = sum(figures(miner, 1, NOW_MS).values)
        earned = sum(result(row, 1, NOW_MS) - 1 for row in miner.positions)

        assert daily == pytest.approx(earned, abs=1e-9)


def test_skill_shows_in_the_figures() -> None:
    ranked = sorted((row for row in MINERS if row.bucket == "success"), key=lambda row: row.skill)
    sortinos = [metrics(figures(miner, 1, NOW_MS))["sortino"] for miner in ranked]

    assert sum(sortinos[-8:]) / 8 > 2 + sum(sortinos[:8]) / 8
    assert sum(value > 2 for value in sortinos) >= 8


def test_drawdown_is_what_is_left_of_the_peak() -> None:
    for miner in MINERS:
        found = figures(miner, 1, NOW_MS)
        equity = peak = worst = 1.0
        for value in found.values:
            equity *= 1 + value
            peak = max(peak, equity)
            worst = min(worst, equity / peak)

        assert found.daily_drawdown == worst
        assert 0.85 < found.drawdown <= found.daily_drawdown <= 1


def test_buckets_are_mostly_success_with_some_of_each_other() -> None:
    buckets = [miner.bucket for miner in MINERS]

    assert buckets.count("success") >= 28
    assert {"testing", "probation", "plagiarism"} < set(buckets)


@given(
    split=st.integers(min_value=0, max_value=3_600_000),
    every_ms=st.sampled_from([5000, 20_000, 61_000]),
)
def test_trading_in_two_parts_comes_to_the_same_as_at_once(split: int, every_ms: int) -> None:
    miners = {row.hotkey: row for row in make_miners(1, DAY, 5)}
    end_ms = NOW_MS + 3_600_000
    at_once = trading.replay(miners, 1, NOW_MS, end_ms, every_ms)
    first = trading.replay(miners, 1, NOW_MS, NOW_MS + split, every_ms)

    assert trading.replay(first, 1, NOW_MS + split, end_ms, every_ms) == at_once
    assert at_once != miners


def test_there_is_about_one_change_in_each_interval() -> None:
    times = [at_ms for _, at_ms in trading.slots(1, NOW_MS, NOW_MS + 3_600_000, 20_000)]

    assert times == sorted(times)
    assert abs(len(times) - 180) <= 1
    assert list(trading.slots(1, NOW_MS, NOW_MS + 3_600_000, 0)) == []


def test_a_day_of_trading_keeps_the_limits_and_moves_most_miners() -> None:
    miners = {row.hotkey: row for row in MINERS}
    after = trading.replay(miners, 1, NOW_MS, NOW_MS + DAY_MS, 60_000)

    assert sum(after[name] != miners[name] for name in miners) >= 38
    for miner in after.values():
        pairs = [row.pair for row in miner.holding]
        assert len(set(pairs)) == len(pairs)
        for row in miner.positions:
            assert max(map(abs, nets(row))) <= PAIRS[row.pair].max_leverage
            assert len(row.orders) <= trading.MAX_ORDERS + 1


def moved(miner: Miner, *wanted: float) -> tuple[Miner, list[Position]]:
    pushes: list[Position] = []
    for number, net in enumerate(wanted):
        move = Move(hotkey=miner.hotkey, pair="BTCUSDC", net=net)
        step = trading.apply_move(miner, move, 1, NOW_MS + 1000 * number)
        miner = step.miner
        pushes += step.pushes
    return miner, pushes


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        pytest.param((0.2,), [[("LONG", 0.2)]], id="open"),
        pytest.param((-0.2, -0.5), [[("SHORT", -0.2), ("SHORT", -0.3)]], id="add"),
        pytest.param((0.3, 0.1), [[("LONG", 0.3), ("SHORT", -0.2)]], id="reduce"),
        pytest.param((0.3, 0.0), [[("LONG", 0.3), ("FLAT", -0.3)]], id="close"),
        pytest.param(
            (0.3, -0.1), [[("LONG", 0.3), ("SHORT", -0.3)], [("SHORT", -0.1)]], id="through-zero"
        ),
        pytest.param((0.3, 0.3), [[("LONG", 0.3)]], id="no-change"),
        pytest.param((0.0,), [], id="nothing-to-close"),
    ],
)
def test_a_move_places_the_orders_it_needs(
    wanted: tuple[float, ...], expected: list[list[tuple[str, float]]]
) -> None:
    miner, pushes = moved(MINERS[0], *wanted)
    found = [kinds(row) for row in miner.positions if row.pair == "BTCUSDC"]
    held = miner.held("BTCUSDC")

    assert found == expected
    assert (held.net_leverage if held else 0) == wanted[-1]
    assert len({row.uuid for row in miner.positions if row.pair == "BTCUSDC"}) == len(expected)
    assert not pushes or pushes[-1] in miner.positions


def test_an_elimination_closes_everything_at_no_price() -> None:
    miner, _ = moved(MINERS[0], 0.2)
    gone = trading.eliminate(miner, 1, NOW_MS + 60_000)

    assert gone.miner.holding == ()
    assert len(gone.pushes) == len(miner.holding) > 0
    for row in gone.pushes:
        assert (row.orders[-1].kind, row.orders[-1].src, row.orders[-1].price) == ("FLAT", 1, 0)
        assert 0.5 < result(row, 1, NOW_MS + 60_000) < 1.5


def three_orders() -> Position:
    orders = [
        Order(
            uuid=f"order-{number}",
            kind=kind,
            leverage=leverage,
            mark=100.0,
            processed_ms=1000 * number,
        )
        for number, (kind, leverage) in enumerate(
            [("LONG", 0.2), ("LONG", 0.1), ("FLAT", -0.3)], start=1
        )
    ]
    return Position(hotkey="x", pair="BTCUSD", account_usd=1000.0, orders=tuple(orders))


@pytest.mark.parametrize(
    ("at_ms", "expected"),
    [(999, None), (1000, 0.2), (2500, 0.3), (3000, 0.0), (9000, 0.0)],
)
def test_a_position_as_of_a_time_has_the_orders_until_then(
    at_ms: int, expected: float | None
) -> None:
    then = as_of(three_orders(), at_ms)

    assert (then.net_leverage if then else None) == expected


def test_fees_are_charged_on_what_is_traded() -> None:
    assert fees(three_orders()) == pytest.approx(0.6 * PAIRS["BTCUSD"].fee)


def test_a_lower_tier_sees_the_rest_a_day_late() -> None:
    closed = [replace(three_orders(), orders=_shifted(f"id-{number}")) for number in range(2000)]
    now_ms = 2500 + DAY_MS  # a day ago the second order had come, the third had not
    seen = {row.uuid: shown(row, 30, now_ms) for row in closed}
    at_once = [uuid for uuid, row in seen.items() if row is not None and row.is_closed]

    assert all(is_sampled(uuid, 30) for uuid in at_once)
    assert 0.26 < len(at_once) / len(closed) < 0.34
    late = [row for uuid, row in seen.items() if uuid not in at_once]
    assert {row.net_leverage for row in late if row} == {0.3}
    assert shown(closed[0], 0, 999 + DAY_MS) is None
    assert all(shown(row, 100, 0) is row for row in closed)


def _shifted(uuid: str) -> tuple[Order, ...]:
    first, *rest = three_orders().orders
    return (replace(first, uuid=uuid), *rest)


@pytest.mark.parametrize(("tier", "expected"), [(0, False), (52, False), (53, True), (100, True)])
def test_the_sample_is_by_the_hash_of_the_id(tier: int, expected: bool) -> None:
    uuid = "ce872e03-8527-48f3-acad-26f2736a23e6"  # its SHA-256 is 52 modulo 100

    assert is_sampled(uuid, tier) is expected


def test_prices_are_a_function_of_time_and_move_as_much_as_they_should() -> None:
    days = [price(1, "BTCUSD", NOW_MS + number * DAY_MS) for number in range(200)]
    moves = [abs(now / before - 1) for before, now in pairwise(days)]

    assert price(1, "BTCUSD", NOW_MS) == days[0] != price(2, "BTCUSD", NOW_MS)
    assert 0.005 < sum(moves) / len(moves) < 0.04
    assert min(days) > 20_000
    assert max(days) < 180_000
