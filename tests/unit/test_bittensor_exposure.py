"""From positions and weights to depths, and how fast a depth may move."""

from collections.abc import Mapping
from decimal import Decimal
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signal_processors.bittensor_exposure import (
    Measure,
    is_live,
    is_worth_publishing,
    next_depth,
    over_limit,
    wanted_depths,
)
from signal_processors.bittensor_model import MinerPosition
from tests.unit.sn8_scene import hotkey, position, ranking

TARGETS = {"BTCUSD": "BTCUSDT", "BTCUSDC": "BTCUSDT", "ETHUSD": "ETHUSDT"}
ZERO = Decimal(0)
MEASURE = Measure(limit=Decimal("0.5"), targets=TARGETS)


def depths(
    positions: list[MinerPosition], weights: Mapping[int, str], measure: Measure = MEASURE
) -> dict[str, Decimal]:
    found = wanted_depths(positions, ranking(weights), measure)
    return {pair: row.depth for pair, row in found.items()}


def test_a_position_counts_as_its_share_of_the_limit_times_its_miner_s_weight() -> None:
    held = [position(0, "0.25"), position(1, "-0.5"), position(0, "0.1", pair="ETHUSD")]

    assert depths(held, {0: "0.1", 1: "0.02"}) == {
        "BTCUSD": Decimal("0.0300"),
        "ETHUSD": Decimal("0.0200"),
    }


def test_nobody_s_weight_grows_when_a_miner_drops_out() -> None:
    both = [position(0, "0.5"), position(1, "0.5")]

    assert depths(both, {0: "0.1", 1: "0.1"})["BTCUSD"] == Decimal("0.2")
    assert depths(both[:1], {0: "0.1", 1: "0.1"})["BTCUSD"] == Decimal("0.1")


def test_leverage_beyond_the_limit_counts_as_the_whole_of_it() -> None:
    assert depths([position(0, "-0.8")], {0: "0.1"}) == {"BTCUSD": Decimal("-0.1")}
    assert over_limit([position(0, "-0.8"), position(1, "0.5")], MEASURE) == 1


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        pytest.param("0.5", "0.5", "0.1", id="both-long"),
        pytest.param("-0.5", "-0.25", "-0.1", id="both-short"),
        pytest.param("0.5", "-0.5", "0", id="against-each-other"),
        pytest.param("0.2", "0.1", "0.06", id="within-the-limit"),
    ],
)
def test_aliases_add_up_within_one_miner_s_weight(first: str, second: str, together: str) -> None:
    held = [position(0, first), position(0, second, pair="BTCUSDC")]

    found = depths(held, {0: "0.1"})

    assert abs(sum(found.values()) - Decimal(together)) <= Decimal("0.0001")


def test_who_is_not_followed_and_what_is_not_mapped_do_not_count() -> None:
    held = [position(5, "0.5"), position(0, "5", pair="EURUSD")]

    assert depths(held, {0: "0.1"}) == {}


def test_agreement_tells_how_many_pull_the_other_way() -> None:
    held = [position(0, "0.5"), position(1, "0.5"), position(2, "-0.5")]

    found = wanted_depths(held, ranking({0: "0.1", 1: "0.1", 2: "0.1"}), MEASURE)["BTCUSD"]

    assert found.agreement == Decimal("0.3333")
    assert [part.hotkey for part in found.parts] == sorted(hotkey(n) for n in range(3))
    assert sum(part.depth for part in found.parts) == found.depth


def test_below_tier_100_only_sampled_positions_are_live() -> None:
    uuids = [f"uuid-{n}" for n in range(3000)]
    live = [uuid for uuid in uuids if is_live(uuid, 30)]
    stale = next(uuid for uuid in uuids if uuid not in live)
    measure = Measure(limit=Decimal("0.5"), targets=TARGETS, tier=30)

    assert 0.27 < len(live) / len(uuids) < 0.33
    assert [u for u in live if int(sha256(u.encode()).hexdigest(), 16) % 100 >= 30] == []
    assert depths([position(0, "0.5", uuid=stale)], {0: "0.1"}, measure) == {}
    assert depths([position(0, "0.5", uuid=live[0])], {0: "0.1"}, measure) != {}
    assert [uuid for uuid in uuids if not is_live(uuid, 100)] == []


@pytest.mark.parametrize(
    ("published", "wanted", "allowance", "reached"),
    [
        pytest.param("0", "0.9", "0.25", "0.25", id="grows-as-allowed"),
        pytest.param("0.2", "0.3", "0.25", "0.3", id="grows-to-what-is-wanted"),
        pytest.param("-0.2", "-0.9", "0.25", "-0.45", id="grows-short"),
        pytest.param("0.9", "0.1", "0", "0.1", id="shrinks-at-once"),
        pytest.param("0.9", "0", "0", "0", id="ends-at-once"),
        pytest.param("0.9", "-0.9", "0.25", "-0.25", id="crosses-then-grows"),
        pytest.param("0.9", "-0.9", "0", "0", id="crosses-no-farther-than-zero"),
        pytest.param("0.5", "0.9", "0", "0.5", id="may-not-grow"),
    ],
)
def test_a_depth_moves_as_far_as_it_may(
    published: str, wanted: str, allowance: str, reached: str
) -> None:
    assert next_depth(Decimal(published), Decimal(wanted), Decimal(allowance)) == Decimal(reached)


@pytest.mark.parametrize(
    ("published", "depth", "is_worth"),
    [
        pytest.param("0.2", "0.209", False, id="small-change"),
        pytest.param("0.2", "0.21", True, id="enough"),
        pytest.param("0.001", "0", True, id="to-zero"),
        pytest.param("0", "-0.001", True, id="from-zero"),
        pytest.param("0.001", "-0.001", True, id="other-sign"),
        pytest.param("0", "0", False, id="nothing"),
    ],
)
def test_what_is_published_moved_enough_or_changed_its_sign(
    published: str, depth: str, is_worth: bool
) -> None:
    change = Decimal("0.01")

    assert is_worth_publishing(Decimal(published), Decimal(depth), change) is is_worth


shares = st.decimals(-3, 3, places=3)
books = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from(sorted(TARGETS)), shares), max_size=20
)


depth_values = st.decimals(-1, 1, places=4)


@given(books, st.integers(0, 5), st.sampled_from(sorted(TARGETS)), shares)
def test_one_miner_moves_a_symbol_by_its_weight_to_either_side_at_most(
    held: list[tuple[int, str, Decimal]], who: int, pair: str, net: Decimal
) -> None:
    weights = dict.fromkeys(range(6), "0.1")
    before = {(n, p): position(n, str(x), pair=p) for n, p, x in held}
    after = {**before, (who, pair): position(who, str(net), pair=pair)}

    then, now = depths(list(before.values()), weights), depths(list(after.values()), weights)

    for symbol in set(TARGETS.values()):
        pairs = [p for p, target in TARGETS.items() if target == symbol]
        moved = sum((now.get(p, ZERO) - then.get(p, ZERO) for p in pairs), Decimal(0))
        assert abs(moved) <= Decimal("0.2") + Decimal("0.0004")
        assert abs(sum((now.get(p, ZERO) for p in pairs), Decimal(0))) <= Decimal("0.6004")


@given(depth_values, depth_values, st.decimals(0, 1, places=4))
def test_a_depth_never_grows_by_more_than_allowed_nor_past_what_is_wanted(
    published: Decimal, wanted: Decimal, allowance: Decimal
) -> None:
    reached = next_depth(published, wanted, allowance)

    start = abs(published) if published * wanted > 0 else Decimal(0)
    assert abs(reached) <= max(start + allowance, Decimal(0))
    assert min(published, wanted) <= reached <= max(published, wanted)
    if abs(wanted) <= start or allowance == 1:
        assert reached == wanted
