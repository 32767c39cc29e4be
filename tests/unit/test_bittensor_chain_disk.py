"""What a restart of the chain's view begins with, and what its file may look like."""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.clock import SystemClock
from signal_processors.bittensor_chain import ChainView, Rim, load_snapshot
from signal_processors.bittensor_config import ChainConfig
from signal_processors.bittensor_registry import Subnet
from tests.chain_scene import DOWN, HOUR_S, NAME, Scene, play, registry, seen, stored
from tests.virtual_time import EPOCH_MS


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(state=tmp_path)


@pytest.mark.parametrize(
    ("age_s", "standing"),
    [(60, "fresh"), (3 * HOUR_S, "stale"), (25 * HOUR_S, "unknown")],
)
def test_a_restart_begins_with_what_is_on_disk(scene: Scene, age_s: float, standing: str) -> None:
    stored(scene.state, age_s)
    scene.answers = iter([DOWN] * 100)
    notes: list[Any] = []
    play(scene, 0.5, seen(notes, lambda: scene.view.standing(EPOCH_MS)))
    _, _, _, previous = scene.asked[0]

    assert notes == [standing]
    assert scene.times() == [0]
    assert previous is not None
    assert previous.block == 77
    assert scene.changes == 0


@pytest.mark.parametrize(
    ("age_s", "config", "is_given"),
    [
        pytest.param(24 * HOUR_S, ChainConfig(), True, id="known"),
        pytest.param(24 * HOUR_S + 1, ChainConfig(), False, id="too-old"),
        pytest.param(60, ChainConfig(netuid=9), False, id="another-subnet"),
        pytest.param(60, ChainConfig(network="off"), False, id="off"),
    ],
)
def test_others_read_the_file_while_it_is_worth_something(
    tmp_path: Path, age_s: float, config: ChainConfig, is_given: bool
) -> None:
    stored(tmp_path, age_s)

    assert (load_snapshot(tmp_path, config, EPOCH_MS) is not None) is is_given


def test_what_was_read_is_on_disk_for_the_next_start(scene: Scene) -> None:
    play(scene, 1)
    again = Scene(state=scene.state, script=[DOWN])
    play(again, 1)

    assert again.view.registry == scene.view.registry == registry(EPOCH_MS)
    assert (scene.state / NAME).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda path: path.write_bytes(path.read_bytes()[:40]), id="torn"),
        pytest.param(lambda path: path.write_bytes(b""), id="empty"),
        pytest.param(lambda path: path.write_bytes(b"\x00" * 99), id="zeros"),
        pytest.param(lambda path: path.write_bytes(b'{"a": 1}'), id="foreign"),
        pytest.param(lambda path: (path.unlink(), path.mkdir()), id="a-folder"),
    ],
)
def test_a_spoilt_file_is_told_and_ignored(
    scene: Scene, spoil: Callable[[Path], Any], caplog: pytest.LogCaptureFixture
) -> None:
    stored(scene.state, 60)
    spoil(scene.state / NAME)
    play(scene, 1)

    assert "chain snapshot ignored" in caplog.messages
    assert scene.asked[0][3] is None
    assert scene.view.registry == registry(EPOCH_MS)


@pytest.mark.parametrize(
    "subnet", [Subnet(network="test", netuid=8), Subnet(network="finney", netuid=9)]
)
def test_a_file_of_another_subnet_is_ignored(scene: Scene, subnet: Subnet) -> None:
    stored(scene.state, 60, subnet)
    play(scene, 1)

    assert scene.asked[0][3] is None


def test_the_disk_is_touched_in_a_thread_only(scene: Scene) -> None:
    play(scene, 1)

    assert scene.offloaded == 2  # one look, one write


def test_no_file_is_no_problem(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    play(scene, 1)

    assert caplog.messages == []


def test_a_state_folder_that_cannot_be_written_keeps_nothing_from_working(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.state.rmdir()
    play(scene, 1)

    assert "chain snapshot not written" in caplog.messages
    assert scene.view.registry == registry(EPOCH_MS)


def test_the_file_holds_nothing_that_an_address_hides(scene: Scene) -> None:
    scene.config = ChainConfig(network="wss://me:secret@host.example/secret")
    play(scene, 1)
    again = Scene(state=scene.state, script=[DOWN], config=scene.config)
    play(again, 1)

    assert b"secret" not in (scene.state / NAME).read_bytes()
    assert again.view.registry == scene.view.registry is not None


async def test_it_runs_on_real_threads_too(tmp_path: Path) -> None:
    changed = asyncio.Event()
    fetch = Scene(state=tmp_path).fetch
    view = ChainView(
        ChainConfig,
        state=tmp_path,
        clock=SystemClock(),
        chance=random.Random(1),
        on_change=changed.set,
        rim=Rim(fetch=fetch),
    )
    running = asyncio.create_task(view.run())
    async with asyncio.timeout(10):
        await changed.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert (tmp_path / NAME).exists()
