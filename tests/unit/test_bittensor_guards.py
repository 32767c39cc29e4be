"""When a snapshot is believed, refused, and believed in the end all the same."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from signal_processors.bittensor_config import Guards
from signal_processors.bittensor_guards import GuardMemory, Surroundings, Verdict, judge
from signal_processors.bittensor_model import Snapshot
from tests.unit.sn8_scene import HOUR_MS, NOW_MS, hotkey, position, registry, snapshot, trade

FOLLOWED = {hotkey(n): Decimal("0.1") for n in range(10)}
GUARDS = Guards()


def around(**changes: Any) -> Surroundings:
    given: dict[str, Any] = {
        "weights": FOLLOWED,
        "registry": None,
        "vanished": (0, 0),
        "pushed_at_ms": 0,
        "now_ms": NOW_MS,
    }
    return Surroundings(**given | changes)


def network(*, without: int = 0, **changes: Any) -> Snapshot:
    """Twenty miners, the first of them missing; the followed are the first ten."""
    return snapshot(position(19, "0.1"), miners=range(without, 20), **changes)


def codes(verdict: Verdict) -> list[str]:
    return [reason.partition(":")[0] for reason in verdict.reasons]


def test_a_sound_snapshot_is_believed() -> None:
    verdict = judge(network(), around(), GuardMemory(), GUARDS)

    assert (verdict.is_accepted, verdict.reasons) == (True, ())
    assert verdict.memory.watermark_ms == NOW_MS - 60_000


@pytest.mark.parametrize(
    ("seen", "surroundings", "memory", "code"),
    [
        pytest.param(snapshot(), {}, {}, "empty", id="no-miner"),
        pytest.param(network(dropped=[30, 31]), {}, {}, "too_many_bad", id="unreadable"),
        pytest.param(network(watermark_ms=NOW_MS - 7 * HOUR_MS), {}, {}, "silent", id="silent"),
        pytest.param(network(), {}, {"watermark_ms": NOW_MS + 300_000}, "went_back", id="back"),
        pytest.param(network(), {"pushed_at_ms": NOW_MS + HOUR_MS}, {}, "behind_push", id="stale"),
        pytest.param(network(without=3), {}, {}, "followed_missing", id="other-miners"),
        pytest.param(network(), {"registry": registry(range(8))}, {}, "unregistered", id="chain"),
        pytest.param(network(), {"vanished": (3, 5)}, {}, "positions_vanished", id="emptied"),
        pytest.param(
            network(),
            {"eliminated": {hotkey(n) for n in range(3)}},
            {},
            "mass_elimination",
            id="out",
        ),
    ],
)
def test_each_guard_refuses_what_it_is_for(
    seen: Snapshot, surroundings: Mapping[str, Any], memory: Mapping[str, Any], code: str
) -> None:
    verdict = judge(seen, around(**surroundings), GuardMemory(**memory), GUARDS)

    assert not verdict.is_accepted
    assert codes(verdict)[0] == code


@pytest.mark.parametrize(
    ("seen", "surroundings", "memory"),
    [
        pytest.param(network(dropped=[30]), {}, {}, id="one-unreadable-miner"),
        pytest.param(network(watermark_ms=NOW_MS - 5 * HOUR_MS), {}, {}, id="five-quiet-hours"),
        pytest.param(network(), {}, {"watermark_ms": NOW_MS + 200_000}, id="four-minutes-back"),
        pytest.param(network(without=2), {}, {}, id="two-of-ten-missing"),
        pytest.param(network(), {"registry": registry(range(1, 20))}, {}, id="one-deregistered"),
        pytest.param(network(), {"vanished": (2, 2)}, {}, id="two-positions-vanished"),
        pytest.param(network(), {"vanished": (3, 6)}, {}, id="half-vanished"),
        pytest.param(network(), {"eliminated": {hotkey(0), hotkey(1)}}, {}, id="two-eliminated"),
        pytest.param(network(without=10), {"weights": {}}, {}, id="nobody-followed-yet"),
    ],
)
def test_what_happens_on_a_usual_day_is_believed(
    seen: Snapshot, surroundings: Mapping[str, Any], memory: Mapping[str, Any]
) -> None:
    verdict = judge(seen, around(**surroundings), GuardMemory(**memory), GUARDS)

    assert verdict.reasons == ()


def test_followed_miners_that_are_unreadable_are_not_there() -> None:
    one = judge(network(without=1, dropped=[0]), around(), GuardMemory(), GUARDS)
    more = judge(network(without=2, dropped=[0]), around(), GuardMemory(), GUARDS)
    third = judge(network(without=3, dropped=[0]), around(), GuardMemory(), GUARDS)

    assert one.reasons == more.reasons == ()
    assert codes(third) == ["followed_missing"]


def test_pushed_positions_that_a_snapshot_shows_otherwise_are_refused() -> None:
    verdicts = [
        judge(network(), around(contradicted=pair), GuardMemory(), GUARDS)
        for pair in ((2, 2), (3, 6), (3, 5))
    ]

    assert [codes(verdict) for verdict in verdicts] == [[], [], ["contradicts_push"]]


def history(result: float, count: int = 60) -> Snapshot:
    trades = {n: [trade(n, i, result) for i in range(3)] for n in range(count // 3)}
    return network(trades=trades)


def test_history_that_changes_behind_us_is_refused() -> None:
    known = judge(history(1.01), around(), GuardMemory(), GUARDS).memory

    verdict = judge(history(1.02), around(), known, GUARDS)

    assert codes(verdict) == ["history_changed"]
    assert "60 of 60" in verdict.reasons[0]


def test_a_miner_that_left_changes_no_history() -> None:
    known = judge(history(1.01), around(), GuardMemory(), GUARDS).memory
    rest = {n: [trade(n, i) for i in range(3)] for n in range(2, 20)}

    verdict = judge(network(without=2, trades=rest), around(), known, GUARDS)

    assert verdict.reasons == ()


def test_closed_positions_that_are_gone_are_history_that_changed() -> None:
    known = judge(history(1.01), around(), GuardMemory(), GUARDS).memory

    verdict = judge(network(), around(), known, GUARDS)

    assert codes(verdict) == ["history_changed"]


def test_history_of_a_miner_that_is_unreadable_meanwhile_is_remembered() -> None:
    known = judge(history(1.01), around(), GuardMemory(), GUARDS).memory
    kept = {uuid: row for uuid, row in known.results.items() if row[0] == hotkey(12)}
    rest = {n: [trade(n, i) for i in range(3)] for n in range(20) if n != 12}
    seen = snapshot(position(19, "0.1"), miners=[n for n in range(20) if n != 12], trades=rest)
    unreadable = Snapshot(
        miners=seen.miners, dropped={hotkey(12): "in a test"}, watermark_ms=seen.watermark_ms
    )

    after = judge(unreadable, around(), known, GUARDS).memory

    assert len(kept) == 3
    assert kept.items() <= after.results.items()


def test_small_steps_back_do_not_add_up() -> None:
    memory, believed = GuardMemory(), []
    for minutes in (0, 4, 8):
        seen = network(watermark_ms=NOW_MS - 60_000 * minutes)
        verdict = judge(seen, around(), memory, GUARDS)
        memory = verdict.memory
        believed.append(verdict.is_accepted)

    assert believed == [True, True, False]


def test_refused_snapshots_that_go_back_again_do_not_agree() -> None:
    memory = GuardMemory(watermark_ms=NOW_MS + HOUR_MS)
    for turn in range(20):
        verdict = judge(network(watermark_ms=NOW_MS - turn), around(), memory, GUARDS)
        memory = verdict.memory

        assert not verdict.is_accepted


def repeat(seen: Snapshot, times: int, **surroundings: Any) -> list[Verdict]:
    memory, found = GuardMemory(watermark_ms=NOW_MS + HOUR_MS), []
    for _ in range(times):
        found.append(judge(seen, around(**surroundings), memory, GUARDS))
        memory = found[-1].memory
    return found


def test_what_is_refused_and_repeated_is_believed_in_the_end_with_its_reasons() -> None:
    found = repeat(network(), 6)

    assert [verdict.is_accepted for verdict in found] == [False] * 4 + [True, True]
    assert [verdict.is_forced for verdict in found] == [False] * 4 + [True, False]
    assert codes(found[4]) == ["went_back"]
    assert found[5].reasons == ()


def test_refused_snapshots_that_do_not_agree_are_never_believed() -> None:
    memory = GuardMemory(watermark_ms=NOW_MS + HOUR_MS)
    verdicts = []
    for turn in range(20):
        seen = snapshot(miners=range(100 * turn, 100 * turn + 20))
        verdicts.append(judge(seen, around(), memory, GUARDS))
        memory = verdicts[-1].memory

    assert not any(verdict.is_accepted for verdict in verdicts)


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param(snapshot(), id="empty"),
        pytest.param(network(dropped=range(30, 60)), id="unreadable"),
        pytest.param(network(watermark_ms=NOW_MS - 7 * HOUR_MS), id="silent"),
    ],
)
def test_bad_data_is_not_made_good_by_repetition_and_good_data_ends_it(seen: Snapshot) -> None:
    memory = GuardMemory()
    for _ in range(20):
        verdict = judge(seen, around(), memory, GUARDS)
        memory = verdict.memory
        assert not verdict.is_accepted

    assert judge(network(), around(), memory, GUARDS).is_accepted


def test_a_believed_snapshot_forgets_what_was_refused_before() -> None:
    memory = repeat(network(), 4)[-1].memory

    good = judge(network(watermark_ms=NOW_MS + HOUR_MS), around(now_ms=NOW_MS), memory, GUARDS)

    assert good.is_accepted
    assert good.memory.refused is None
