"""How scores become weights: caps, who is taken up and left, and how far weights move at once."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from signal_processors.bittensor_config import Following
from signal_processors.bittensor_model import RankedMiner, Ranking, Registry
from signal_processors.bittensor_weighing import (
    Judged,
    RankingInputs,
    cap_of,
    moved,
    owner_of,
    weigh,
)
from tests.unit.sn8_scene import hotkey, ranking
from tests.unit.test_bittensor_ranking import codes, inputs, miner, neuron, registry

STEP = Decimal("0.000001")
KNOWN = registry(*(neuron(number) for number in range(60)))
AT_ONCE = Following(max_weight_change=Decimal(2))
STEPWISE = Following()


def good(number: int, score: float = 1.0, **changed: Any) -> Judged:
    return replace(Judged(hotkey=hotkey(number), is_eligible=True, score=score), **changed)


def bad(number: int, **changed: Any) -> Judged:
    row = Judged(hotkey=hotkey(number), is_eligible=False, reasons=("drawdown: in a test",))
    return replace(row, **changed)


def by_score(chosen: Sequence[Judged]) -> list[float]:
    return [row.score for row in chosen]


def scene(
    rows: Sequence[Judged],
    *,
    before: Mapping[int, str] | Ranking | None = None,
    chain: Registry | None = KNOWN,
    **changed: Any,
) -> RankingInputs:
    miners = {row.hotkey: replace(miner(0), hotkey=row.hotkey) for row in rows}
    previous = ranking(before) if isinstance(before, Mapping) else before
    return replace(inputs(registry=chain, previous=previous), miners=miners, **changed)


def weighed(
    rows: Sequence[Judged], following: Following = AT_ONCE, **around: Any
) -> dict[int, RankedMiner]:
    """Weigh these miners; rows by their number."""
    numbers = {hotkey(number): number for number in range(60)}
    found = weigh(rows, by_score, scene(rows, **around), following)
    return {numbers[row.hotkey]: row for row in found}


def weights(
    rows: Sequence[Judged], following: Following = AT_ONCE, **around: Any
) -> dict[int, str]:
    found = weighed(rows, following, **around)
    return {number: str(row.weight.normalize()) for number, row in found.items() if row.weight}


def test_weights_are_in_proportion_to_strength() -> None:
    rows = [good(0, 5.0), good(1, 3.0), good(2, 2.0)]

    assert weights(rows, Following(max_weight=Decimal(1))) == {0: "0.5", 1: "0.3", 2: "0.2"}


def test_what_one_cannot_take_goes_to_the_others() -> None:
    rows = [good(0, 1e300), good(1, 3.0), good(2, 1.0), good(3, 1e-300)]

    found = weights(rows, Following(max_weight=Decimal("0.4")))

    assert found == {0: "0.4", 1: "0.4", 2: "0.2"}


@pytest.mark.parametrize(
    ("count", "total"),
    [
        pytest.param(3, "0.3", id="few"),
        pytest.param(10, "1", id="enough"),
        pytest.param(17, "1", id="many"),
    ],
)
def test_all_weights_are_one_or_as_much_as_the_caps_let(count: int, total: str) -> None:
    found = weighed([good(n, 1.0 + n * n) for n in range(count)])

    given = sum(row.weight for row in found.values())
    assert Decimal(total) - count * STEP <= given <= Decimal(total)
    assert max(row.weight for row in found.values()) <= Decimal("0.1")


def test_keys_of_one_owner_share_one_cap() -> None:
    chain = registry(*(neuron(n, coldkey="one owner") for n in range(3)), neuron(3))
    rows = [good(0, 3.0), good(1, 1.0), bad(2), good(3, 0.1)]

    found = weighed(rows, chain=chain)

    assert {n: row.weight for n, row in found.items()} == {
        0: Decimal("0.075"),
        1: Decimal("0.025"),
        2: 0,
        3: Decimal("0.1"),
    }
    assert [codes(found[n]) for n in (0, 1, 3)] == [
        {"same_coldkey_cap"},
        {"same_coldkey_cap"},
        set(),
    ]


def test_synthetic_keys_of_an_entity_have_its_owner() -> None:
    keys = [f"{hotkey(0)}_{number}" for number in range(3)]
    rows = [good(0, hotkey=key) for key in keys]

    for chain, cap in ((KNOWN, "0.1"), (None, "0.05")):
        found = weigh(rows, by_score, scene(rows, chain=chain), AT_ONCE)

        assert sum(row.weight for row in found) <= Decimal(cap)
        assert min(row.weight for row in found) > Decimal(cap) / 3 - STEP


def test_an_owner_is_its_coldkey_or_else_the_registered_key() -> None:
    nameless = registry(neuron(0, coldkey=""), neuron(1))

    assert owner_of(hotkey(1), nameless) == "coldkey owner-1"
    assert owner_of(f"{hotkey(1)}_4", nameless) == "coldkey owner-1"
    assert owner_of(hotkey(0), nameless) == owner_of(hotkey(0), None) == f"hotkey {hotkey(0)}"
    assert owner_of(f"{hotkey(0)}_4", None) == f"hotkey {hotkey(0)}"


def test_the_cap_is_halved_without_the_chain_and_lies_on_the_grid() -> None:
    given, odd = scene([good(0)]), Following(max_weight=Decimal("0.1234567"))

    assert cap_of(given, odd) == Decimal("0.123456")
    assert cap_of(replace(given, registry=None), odd) == Decimal("0.061728")


def test_ties_are_ordered_by_hotkey() -> None:
    found = weigh(
        [good(n) for n in (3, 1, 2)], by_score, scene([good(n) for n in range(4)]), AT_ONCE
    )

    assert [row.hotkey for row in found] == sorted(hotkey(n) for n in (1, 2, 3))


def test_new_ones_are_taken_up_and_followed_ones_left_at_other_ranks() -> None:
    following = Following(join_rank=2, leave_rank=4, max_weight_change=Decimal(2))
    rows = [good(n, 10.0 - n) for n in range(6)]  # miner n has rank n + 1

    assert weights(rows, following).keys() == {0, 1}
    assert weights(rows, following, before={3: "0.1", 4: "0.1"}).keys() == {0, 1, 3}
    behind = weighed(rows, following, before={3: "0.1", 4: "0.1"})
    assert [n for n, row in behind.items() if codes(row) == {"behind"}] == [2, 4, 5]
    assert behind[4].rank == 5


def test_only_so_many_are_followed() -> None:
    following = Following(max_miners=3, max_weight_change=Decimal(2))
    rows = [good(n, 10.0 - n) for n in range(6)]

    assert weights(rows, following, before={4: "0.1"}).keys() == {0, 1, 2}


def test_the_first_ranking_is_taken_whole_and_later_ones_step_by_step() -> None:
    rows = [good(0), good(1), good(2)]

    assert weights(rows, STEPWISE) == {0: "0.1", 1: "0.1", 2: "0.1"}
    found = weighed(rows, STEPWISE, before={0: "0.1"})
    assert {n: row.weight for n, row in found.items()} == {
        0: Decimal("0.1"),
        1: Decimal("0.05"),
        2: Decimal("0.05"),
    }
    assert found[1].reasons == ("limited_change: on the way to 0.100000",)
    assert found[0].reasons == ()


def test_a_ranking_of_nobody_is_not_a_first_one() -> None:
    assert weights([good(0), good(1)], STEPWISE, before={}) == {0: "0.05", 1: "0.05"}


def test_who_is_dropped_leaves_step_by_step() -> None:
    alone = weighed([good(0), bad(1)], STEPWISE, before={0: "0.1", 1: "0.1"})
    both = weighed([bad(0), bad(1)], STEPWISE, before={0: "0.1", 1: "0.1"})

    assert [alone[n].weight for n in (0, 1)] == [Decimal("0.1"), 0]
    assert [both[n].weight for n in (0, 1)] == [Decimal("0.050001")] * 2  # within the allowance
    assert codes(both[0]) == {"drawdown", "limited_change"}


def test_who_is_expelled_leaves_at_once_and_nobody_grows_for_it() -> None:
    rows = [bad(0, is_expelled=True), good(1, 3.0), good(2, 1.0), good(3, 9.0)]
    before = {0: "0.1", 1: "0.08", 2: "0.02"}

    found = weighed(rows, STEPWISE, before=before)

    assert {n: row.weight for n, row in found.items()} == {
        0: 0,
        1: Decimal("0.08"),
        2: Decimal("0.02"),
        3: 0,
    }
    assert codes(found[3]) == {"limited_change"}
    after = Ranking(name="x", made_at_ms=0, rows=tuple(found.values()))
    again = weighed(rows, STEPWISE, before=after)
    assert again[3].weight > 0


def test_others_still_shrink_when_somebody_is_expelled() -> None:
    rows = [bad(0, is_expelled=True), bad(1), good(2)]

    found = weighed(rows, STEPWISE, before={0: "0.1", 1: "0.1", 2: "0.1"})

    assert [found[n].weight for n in range(3)] == [0, 0, Decimal("0.1")]


def test_who_is_absent_keeps_its_weight_and_its_pairs() -> None:
    gone = RankedMiner(
        hotkey=hotkey(2), weight=Decimal("0.07"), rank=3, refused_pairs=frozenset({"ETHUSD"})
    )
    before = Ranking(name="x", made_at_ms=0, rows=(gone,))

    row = weighed([good(0), good(1)], STEPWISE, before=before)[2]

    assert (row.weight, row.rank, row.refused_pairs) == (Decimal("0.07"), None, gone.refused_pairs)
    assert codes(row) == {"absent"}


@pytest.mark.parametrize(
    ("around", "code"),
    [
        pytest.param({"eliminated": {hotkey(2): "LIQUIDATED"}}, "eliminated", id="eliminated"),
        pytest.param(
            {"chain": registry(neuron(0), neuron(1))}, "not_registered", id="deregistered"
        ),
    ],
)
def test_who_is_absent_and_no_more_loses_its_weight(around: dict[str, Any], code: str) -> None:
    found = weighed([good(0), good(1)], STEPWISE, before={0: "0.1", 1: "0.1", 2: "0.1"}, **around)

    assert found[2].weight == 0
    assert codes(found[2]) == {code, "absent"}


def test_what_is_kept_for_an_absent_key_counts_against_its_owner_and_the_whole() -> None:
    chain = registry(neuron(0, coldkey="one"), neuron(1, coldkey="one"), neuron(2))
    rows = [good(0), good(2)]

    found = weighed(rows, before={1: "0.1", 0: "0"}, chain=chain)

    assert [found[n].weight for n in (0, 1, 2)] == [0, Decimal("0.1"), Decimal("0.1")]
    assert codes(found[0]) == {"same_coldkey_cap", "no_room"}
    half = Following(max_weight=Decimal("0.5"), max_weight_change=Decimal(2))
    assert weights([good(0), good(2)], half, before={1: "0.5", 3: "0.4"}) == {
        0: "0.05",
        1: "0.5",
        2: "0.05",
        3: "0.4",
    }


def test_caps_hold_at_once_whatever_the_allowed_change() -> None:
    before = dict.fromkeys(range(5), "0.1")
    rows = [good(n) for n in range(8)]

    assert weights(rows, STEPWISE, before=before, chain=None) == dict.fromkeys(range(5), "0.05")


def test_what_caps_take_is_part_of_the_allowed_change() -> None:
    following = Following(max_weight=Decimal("0.08"))
    rows = [good(n) for n in range(4)]

    found = weighed(rows, following, before={0: "0.1", 1: "0.1", 2: "0.02"})

    old = {0: Decimal("0.1"), 1: Decimal("0.1"), 2: Decimal("0.02"), 3: Decimal(0)}
    assert sum(abs(found[n].weight - old[n]) for n in range(4)) <= Decimal("0.1")
    assert found[0].weight == found[1].weight == Decimal("0.08")
    assert found[2].weight > Decimal("0.04")


def test_weights_that_cannot_have_been_ours_are_brought_within_the_limits() -> None:
    whole = Following(max_weight=Decimal(1))

    found = weighed([good(0), good(1)], whole, before={0: "0.9", 1: "0.7"})

    assert sum(row.weight for row in found.values()) <= 1


def test_all_go_the_same_part_of_their_way() -> None:
    base = {"a": Decimal("0.1"), "b": Decimal("0.3")}
    wanted = {"b": Decimal("0.1"), "c": Decimal("0.3")}

    found = moved(base, wanted, Decimal("0.300002"))

    assert found == {"a": Decimal("0.05"), "b": Decimal("0.2"), "c": Decimal("0.15")}
    assert moved(base, wanted, Decimal("0.6")) == wanted
    assert moved(base, wanted, Decimal(-1)) == {**base, "c": 0}


def test_weights_arrive_and_then_rest() -> None:
    rows = [good(n, 1.0 + n * 0.37) for n in range(15)]
    state: Ranking = ranking(dict.fromkeys(range(20, 40), "0.05"))
    everybody = [*rows, *(bad(n) for n in range(20, 40))]
    wanted = {row.hotkey: row.weight for row in weighed(everybody).values()}

    for _ in range(40):
        found = weigh(everybody, by_score, scene(everybody, before=state), STEPWISE)
        state = Ranking(name="x", made_at_ms=0, rows=found)

    assert {row.hotkey: row.weight for row in state.rows} == wanted
    assert weigh(everybody, by_score, scene(everybody, before=state), STEPWISE) == state.rows
