"""Keeping the registry up to date: when it is read, and what it is worth."""

from pathlib import Path
from typing import Any

import pytest

from signal_processors.bittensor_chain import ChainError
from signal_processors.bittensor_config import ChainConfig
from tests.chain_scene import DOWN, HOUR_S, Scene, play, registry, seen, turned
from tests.virtual_time import EPOCH_MS


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(state=tmp_path)


def test_it_reads_at_once_and_then_at_its_interval(scene: Scene) -> None:
    play(scene, HOUR_S + 1)

    assert scene.times() == [0, 1200, 2400, 3600]
    assert [held and held.block for *_, held in scene.asked] == [None, 1, 2, 3]
    assert scene.changes == 4
    assert scene.view.problem == ""


def test_before_the_first_answer_nothing_is_known(scene: Scene) -> None:
    scene.takes_s = 40
    notes: list[Any] = []
    play(
        scene,
        30,
        seen(notes, scene.standing),
        seen(notes, lambda: scene.view.registry),
        seen(notes, lambda: scene.view.age_s(scene.clock.now_ms())),
        30,
        seen(notes, scene.standing),
        seen(notes, lambda: scene.view.age_s(scene.clock.now_ms())),
    )

    assert notes == ["unknown", None, None, "fresh", 60.0]


def test_its_worth_fades_while_the_chain_is_away(scene: Scene) -> None:
    scene.answers = iter([None] + [DOWN] * 10_000)
    notes: list[Any] = []
    look = seen(notes, scene.standing)
    play(scene, 2 * HOUR_S - 1, look, 1, look, 22 * HOUR_S, look, 1, look)

    assert notes == ["fresh", "stale", "stale", "unknown"]
    assert scene.view.problem == "it is down"
    assert scene.view.registry == registry(EPOCH_MS)
    assert scene.changes == 1


def test_it_waits_longer_after_each_failure_and_never_at_the_same_pace(scene: Scene) -> None:
    scene.answers = iter([DOWN] * 10_000)
    play(scene, 12 * HOUR_S)
    gaps = scene.gaps()
    least = [30, 60, 120, 240] + [300] * len(gaps)
    most = [60, 120, 240, 480] + [600] * len(gaps)

    assert all(low <= gap <= high + 0.01 for low, gap, high in zip(least, gaps, most, strict=False))
    assert len(set(gaps)) == len(gaps)


def test_a_chain_that_is_away_for_weeks_ends_nothing(scene: Scene) -> None:
    scene.answers = iter([DOWN] * 10_000)
    play(scene, 1, lambda: setattr(scene.view, "_failures", 5_000), HOUR_S)

    assert len(scene.gaps()) >= 6


def test_success_resets_the_waiting_and_the_problem(scene: Scene) -> None:
    scene.answers = iter([DOWN, DOWN, DOWN, None, DOWN])
    play(scene, HOUR_S)
    gaps = scene.gaps()

    assert gaps[3] == 1200
    assert gaps[4] <= 60.01
    assert scene.view.problem == ""


def test_it_stays_away_as_long_as_it_is_told(scene: Scene) -> None:
    scene.answers = iter([ChainError("too often", retry_after_s=1800)])
    play(scene, HOUR_S)

    assert scene.gaps()[0] == 1800


def test_being_told_a_short_time_shortens_no_waiting(scene: Scene) -> None:
    scene.answers = iter([ChainError("too often", retry_after_s=1)])
    play(scene, HOUR_S)

    assert scene.gaps()[0] >= 30


@pytest.mark.parametrize("changes", [{"netuid": 9}, {"network": "test"}])
def test_another_subnet_is_read_soon_and_the_old_one_is_forgotten_at_once(
    scene: Scene, changes: dict[str, Any]
) -> None:
    notes: list[Any] = []
    play(
        scene,
        7,
        turned(scene, **changes),
        seen(notes, scene.standing),
        seen(notes, lambda: scene.view.registry),
        5,
        seen(notes, scene.standing),
    )
    _, network, netuid, previous = scene.asked[1]

    assert notes == ["unknown", None, "fresh"]
    assert (network, netuid) == (changes.get("network", "finney"), changes.get("netuid", 8))
    assert previous is None  # means of another subnet say nothing here
    assert scene.times()[1] <= 12


def test_a_failure_is_waited_out_no_longer_once_the_subnet_changes(scene: Scene) -> None:
    scene.answers = iter([ChainError("too often", retry_after_s=6 * HOUR_S)])
    play(scene, 7, turned(scene, network="test"), 5)

    assert [network for _, network, *_ in scene.asked] == ["finney", "test"]
    assert scene.view.problem == ""


def test_an_answer_for_a_subnet_that_is_no_longer_wanted_is_not_shown(scene: Scene) -> None:
    scene.takes_s = 40
    notes: list[Any] = []
    play(
        scene,
        30,
        turned(scene, netuid=9),
        10.001,
        seen(notes, lambda: scene.view.registry),
        seen(notes, lambda: scene.changes),
        60,
        seen(notes, lambda: scene.changes),
    )

    assert notes == [None, 0, 1]
    assert [netuid for _, _, netuid, _ in scene.asked] == [8, 9]
    assert [previous for *_, previous in scene.asked] == [None, None]


def test_a_shorter_interval_holds_at_once(scene: Scene) -> None:
    play(scene, 600, turned(scene, interval_s=60), 100)

    assert scene.times() == [0, pytest.approx(600, abs=5), pytest.approx(660, abs=5)]


def test_off_asks_nothing_and_on_again_asks_soon(scene: Scene) -> None:
    scene.config = ChainConfig(network="off")
    notes: list[Any] = []
    play(scene, HOUR_S, seen(notes, scene.standing), turned(scene, network="finney"), 5)

    assert notes == ["off"]
    assert scene.times() == [pytest.approx(HOUR_S, abs=5)]


def test_switched_off_while_it_runs_nothing_is_shown_or_asked(scene: Scene) -> None:
    scene.answers = iter([DOWN])
    play(scene, 1, turned(scene, network="off"), HOUR_S)

    assert scene.view.standing(EPOCH_MS) == "off"
    assert (scene.view.registry, scene.view.problem) == (None, "")
    assert scene.times() == [0]
