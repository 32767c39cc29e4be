"""From one answer of the chain to who is registered: what is believed, and the mean incentive."""

import json
from dataclasses import dataclass, replace
from math import exp, inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signal_processors.bittensor_model import Neuron, Registry
from signal_processors.bittensor_registry import (
    BLOCK_MS,
    ChainError,
    Subnet,
    build_registry,
    from_document,
    to_document,
)

NOW_MS = 1_700_000_000_000
BLOCK = 6_000_000
DAY_MS = 86_400_000
SUBNET = Subnet(network="finney", netuid=8)


@dataclass(frozen=True)
class Row:
    hotkey: str
    uid: int = 5
    incentive: float = 0.1
    coldkey: str = "cold"
    validator_permit: bool = False
    block_at_registration: int = BLOCK - 1000


@dataclass(frozen=True)
class Answer:
    neurons: tuple[Row, ...]
    block: int = BLOCK
    owner_hotkey: str = "owner"
    owner_coldkey: str = "owners-cold"


def built(*rows: Row, **options: Any) -> Registry:
    block = options.pop("block", BLOCK)
    settings = {"netuid": 8, "previous": None, "now_ms": NOW_MS, **options}
    return build_registry(Answer(rows, block), **settings)


def incentives(registry: Registry) -> dict[str, float]:
    return {key: row.incentive for key, row in registry.neurons.items()}


def test_incentive_is_a_share_of_what_miners_get() -> None:
    registry = built(
        Row("a", incentive=0.1),
        Row("b", incentive=0.3),
        Row("validator", incentive=0.2, validator_permit=True),
        Row("owner", incentive=0.2),
        Row("owned", incentive=0.1, coldkey="owners-cold"),
        Row("burn", uid=229, incentive=0.9),
    )

    assert incentives(registry) == pytest.approx(
        {"a": 0.25, "b": 0.75, "validator": 0, "owner": 0, "owned": 0, "burn": 0}
    )


def test_another_subnet_has_no_such_burn_key() -> None:
    assert built(Row("a", uid=229), netuid=9).neurons["a"].incentive == 1


def test_when_nobody_is_paid_nobody_has_a_share() -> None:
    assert incentives(built(Row("a", incentive=0), Row("b", incentive=0))) == {"a": 0, "b": 0}


def test_registration_is_counted_back_in_blocks() -> None:
    registry = built(Row("a", block_at_registration=BLOCK - 7200))

    assert registry.neurons["a"].registered_at_ms == NOW_MS - 7200 * BLOCK_MS == NOW_MS - DAY_MS


OLD = (Row(f"old{uid}", uid=uid, incentive=0) for uid in range(30))
CROWD = tuple(OLD)  # so that one bad row is no large share


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param({"incentive": nan}, id="nan"),
        pytest.param({"incentive": inf}, id="infinite"),
        pytest.param({"incentive": -0.1}, id="negative"),
        pytest.param({"incentive": 1.1}, id="more-than-all"),
        pytest.param({"uid": -1}, id="negative-uid"),
        pytest.param({"block_at_registration": -1}, id="registered-before-the-chain"),
        pytest.param({"block_at_registration": 0}, id="registration-unknown"),
        pytest.param({"block_at_registration": BLOCK + 1}, id="registered-in-the-future"),
        pytest.param({"hotkey": ""}, id="no-hotkey"),
        pytest.param({"coldkey": "None"}, id="no-coldkey"),
    ],
)
def test_an_impossible_neuron_is_dropped_and_the_others_stay(bad: dict[str, Any]) -> None:
    registry = built(*CROWD, Row("good"), replace(Row("bad"), **bad))

    assert set(registry.neurons) == {"good", *(row.hotkey for row in CROWD)}


def test_an_answer_with_many_impossible_neurons_is_refused() -> None:
    bad = [Row(f"bad{n}", incentive=nan) for n in range(5)]

    assert len(built(*CROWD, *bad[:3]).neurons) == 30
    with pytest.raises(ChainError, match="4 of 34 neurons cannot be right"):
        built(*CROWD, *bad[:4])


def test_an_answer_without_neurons_is_refused() -> None:
    with pytest.raises(ChainError):
        built()


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_registrations_of_a_key_the_newest_counts(order: int) -> None:
    rows = [
        Row("a", uid=1, block_at_registration=100, incentive=0.9),
        Row("a", uid=2, block_at_registration=200, incentive=0.1),
        Row("b", uid=3, incentive=0.1),
    ][::order]
    registry = built(*rows)

    assert registry.neurons["a"].uid == 2
    assert incentives(registry) == pytest.approx({"a": 0.5, "b": 0.5})


def before(incentive: dict[str, float], *, age_ms: int = DAY_MS, block: int = 1) -> Registry:
    return Registry(
        block=block,
        fetched_at_ms=NOW_MS - age_ms,
        neurons={
            key: Neuron(hotkey=key, uid=1, coldkey="cold", incentive=amount, registered_at_ms=0)
            for key, amount in incentive.items()
        },
    )


LONG_AGO = BLOCK - 100_000


def test_the_mean_moves_by_the_time_between() -> None:
    rows = [
        Row("a", incentive=0.0, block_at_registration=LONG_AGO),
        Row("b", incentive=0.5, block_at_registration=LONG_AGO),
    ]
    means = incentives(built(*rows, previous=before({"a": 0.8, "b": 0.2}, age_ms=3 * DAY_MS)))

    assert means["a"] == pytest.approx(0.8 * exp(-0.1))
    assert means["b"] == pytest.approx(1 - means["a"])


def test_many_small_steps_come_to_the_same_as_a_large_one() -> None:
    def rows() -> list[Row]:
        return [Row(key, incentive=0.5, block_at_registration=LONG_AGO) for key in "ab"]

    start = before({"a": 1.0, "b": 0.0}, age_ms=10 * DAY_MS)
    small = start
    for day in range(9, -1, -1):
        block = BLOCK - 7200 * day
        small = built(*rows(), previous=small, now_ms=NOW_MS - day * DAY_MS, block=block)

    assert incentives(small) == pytest.approx(incentives(built(*rows(), previous=start)))


def test_a_day_on_which_nobody_is_paid_changes_no_mean() -> None:
    rows = [Row(key, incentive=0, block_at_registration=LONG_AGO) for key in "ab"]

    assert incentives(built(*rows, previous=before({"a": 0.8, "b": 0.2}))) == pytest.approx(
        {"a": 0.8, "b": 0.2}
    )


def test_a_key_registered_since_begins_anew() -> None:
    rows = [
        Row("back", incentive=0.5, block_at_registration=BLOCK - 10),
        Row("stayed", incentive=0.5, block_at_registration=LONG_AGO),
    ]
    means = incentives(built(*rows, previous=before({"back": 0.8, "stayed": 0.2})))
    share = 0.5 * (1 - exp(-1 / 30))

    assert means["back"] == pytest.approx(share / (2 * share + 0.2 * exp(-1 / 30)))


def test_the_share_of_keys_that_left_goes_to_the_rest() -> None:
    rows = [Row("a", block_at_registration=LONG_AGO)]

    assert incentives(built(*rows, previous=before({"a": 0.2, "gone": 0.8}))) == {"a": 1}


def test_a_clock_that_went_back_leaves_the_mean_alone() -> None:
    rows = [Row(key, incentive=0.5, block_at_registration=1) for key in "ab"]
    previous = before({"a": 0.8, "b": 0.2}, age_ms=-DAY_MS)

    assert incentives(built(*rows, previous=previous)) == pytest.approx({"a": 0.8, "b": 0.2})


@pytest.mark.parametrize(
    ("block", "age_ms", "text"),
    [
        pytest.param(BLOCK + 1, 60_000, "lags", id="went-back"),
        pytest.param(BLOCK, 600_000, "stands still", id="stands-still"),
        pytest.param(BLOCK, 599_999, "", id="same-block-a-moment-later"),
        pytest.param(BLOCK - 1, 600_000, "", id="went-on"),
        pytest.param(BLOCK + 1, DAY_MS, "", id="a-day-later-all-is-forgiven"),
    ],
)
def test_an_endpoint_that_lags_behind_is_not_believed_for_a_day(
    block: int, age_ms: int, text: str
) -> None:
    previous = before({"a": 1.0}, age_ms=age_ms, block=block)
    if text:
        with pytest.raises(ChainError, match=text):
            built(Row("a"), previous=previous)
        return

    assert "a" in built(Row("a"), previous=previous).neurons


amounts = st.floats(0, 1) | st.sampled_from([nan, inf, -1.0, 5e-324])
rows = st.builds(
    Row,
    st.sampled_from("abcdefgh"),
    uid=st.sampled_from([1, 2, 229]),
    incentive=amounts,
    coldkey=st.sampled_from(["cold", "owners-cold", ""]),
    validator_permit=st.booleans(),
    block_at_registration=st.sampled_from([0, 1, BLOCK - 5, BLOCK, BLOCK + 1]),
)


@given(st.lists(rows, max_size=20), st.lists(rows, max_size=20), st.integers(-DAY_MS, 9 * DAY_MS))
def test_shares_are_shares_whatever_the_chain_says(
    first: list[Row], second: list[Row], age_ms: int
) -> None:
    previous = None
    for answer in (first, second):
        try:
            previous = built(*answer, previous=previous)
        except ChainError:
            continue
        shares = incentives(previous)

        assert all(0 <= share <= 1 for share in shares.values())
        assert sum(shares.values()) == pytest.approx(1) or not any(shares.values())

        previous = replace(previous, fetched_at_ms=NOW_MS - age_ms, block=BLOCK - 1)


def test_a_registry_comes_back_from_disk_as_it_went() -> None:
    registry = built(Row("a", incentive=0.1), Row("b", incentive=0.2, validator_permit=True))
    document = json.loads(json.dumps(to_document(registry, SUBNET)))

    assert from_document(document, SUBNET, now_ms=NOW_MS) == registry


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"network": "test"}, id="another-network"),
        pytest.param({"netuid": 9}, id="another-subnet"),
        pytest.param({"version": 2}, id="another-version"),
        pytest.param({"neurons": {}}, id="nobody"),
        pytest.param({"neurons": []}, id="a-list"),
        pytest.param({"block": "x"}, id="a-word"),
        pytest.param({"more": 1}, id="an-unknown-key"),
        pytest.param({"fetched_at_ms": NOW_MS + 60_001}, id="from-the-future"),
    ],
)
def test_a_foreign_document_is_refused(changes: dict[str, Any]) -> None:
    document = to_document(built(Row("a")), SUBNET) | changes
    with pytest.raises(ChainError):
        from_document(document, SUBNET, now_ms=NOW_MS)


@pytest.mark.parametrize("damage", [-0.1, 1.1, nan, "x", None])
def test_a_document_with_an_impossible_share_is_refused(damage: object) -> None:
    document = to_document(built(Row("a")), SUBNET)
    document["neurons"]["a"]["incentive"] = damage
    with pytest.raises(ChainError):
        from_document(document, SUBNET, now_ms=NOW_MS)


@pytest.mark.parametrize("value", [None, 5, [], {}, "x"])
def test_what_is_no_document_is_refused(value: object) -> None:
    with pytest.raises(ChainError):
        from_document(value, SUBNET, now_ms=NOW_MS)


def test_who_was_known_and_cannot_be_read_now_stays_registered() -> None:
    rows = [Row(f"key {n}", uid=n) for n in range(12)]
    known = built(*rows)
    odd = Row("key 0", uid=0, incentive=-1e-9)

    later = built(odd, *rows[1:], previous=known, block=BLOCK + 10)

    assert later.neurons["key 0"] == known.neurons["key 0"]


@pytest.mark.parametrize("block", [0, -1, 2**32, 2**60])
def test_a_block_that_cannot_be_is_refused(block: int) -> None:
    with pytest.raises(ChainError, match="cannot be at block"):
        built(Row("key", block_at_registration=1), block=block)
