"""The knock: heard when sent, harmless when not."""

import asyncio
import os
import shutil
import socket
import stat
import tempfile
from pathlib import Path

import pytest

from core.home import Home
from core.nudge import LONGEST_PATH, NudgeReceiver, nudge_path, send_nudge


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    home.make_folders()
    return home


async def test_a_knock_ends_the_wait(home: Home) -> None:
    async with NudgeReceiver(home) as receiver:
        waiting = asyncio.create_task(receiver.wait(20))
        await asyncio.sleep(0)
        send_nudge(home)

        assert await waiting is True


async def test_without_a_knock_the_time_is_up(home: Home) -> None:
    async with NudgeReceiver(home) as receiver:
        assert await receiver.wait(0) is False


async def test_a_knock_before_the_wait_is_not_lost_and_many_are_one(home: Home) -> None:
    async with NudgeReceiver(home) as receiver:
        for _ in range(200):  # more than the socket holds
            send_nudge(home)

        assert await receiver.wait(20) is True
        assert await receiver.wait(0) is False


async def test_sending_where_nobody_listens_does_nothing(home: Home) -> None:
    send_nudge(home)
    receiver = NudgeReceiver(home)
    receiver.open()
    receiver.close()
    send_nudge(home)

    assert not receiver.path.exists()


async def test_a_stale_socket_is_replaced(home: Home) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
        dead.bind(os.fspath(nudge_path(home)))
    async with NudgeReceiver(home) as receiver:
        send_nudge(home)

        assert await receiver.wait(20) is True


async def test_the_socket_is_its_owners_alone(home: Home) -> None:
    async with NudgeReceiver(home) as receiver:
        assert stat.S_IMODE(receiver.path.stat().st_mode) == 0o600


async def test_a_long_home_gets_a_short_socket_in_a_folder_of_our_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = tempfile.mkdtemp(prefix="te", dir="/tmp")
    monkeypatch.setattr("tempfile.tempdir", short)
    home = Home(tmp_path / ("x" * LONGEST_PATH))
    async with NudgeReceiver(home) as receiver:
        send_nudge(home)

        assert await receiver.wait(20) is True
        assert stat.S_IMODE(receiver.path.parent.stat().st_mode) == 0o700
        assert receiver.path.parent.parent == Path(short)
    shutil.rmtree(short)


async def test_a_socket_that_cannot_be_bound_leaves_the_sweeps(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "state").write_text("not a folder")
    async with NudgeReceiver(Home(tmp_path)) as receiver:
        assert await receiver.wait(0) is False
        assert "no nudge socket" in caplog.text


async def test_a_folder_of_somebody_else_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tempfile.tempdir", os.fspath(tmp_path))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / f"trade-engine-{os.getuid()}").symlink_to(elsewhere)
    async with NudgeReceiver(Home(tmp_path / ("x" * LONGEST_PATH))) as receiver:
        assert await receiver.wait(0) is False
        assert "belongs to somebody else" in vars(caplog.records[0])["error"]


async def test_two_services_of_one_home_hear_their_own(home: Home) -> None:
    async with NudgeReceiver(home, "monitor") as other, NudgeReceiver(home) as engine:
        send_nudge(home)

        assert await engine.wait(20) is True
        assert await other.wait(0) is False
