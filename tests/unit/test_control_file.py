"""control.json and state/HALT on disk."""

import errno
import os
import stat
from pathlib import Path
from threading import Thread

import pytest
from filelock import FileLock
from pydantic import SecretStr

from core.control import EVERYTHING, FREE, Scope
from core.control import file as control_file
from core.control.file import (
    ControlReader,
    arm,
    control_path,
    disarm,
    disarm_what_left,
    halt_file_exists,
    halt_path,
    read_control,
    resume,
    set_mode,
)
from core.errors import BusyError, ConfigError
from core.home import Home
from core.model import Mode
from core.settings import AccountConfig

BTC = Scope(symbol="BTCUSDT")
ACCOUNT = AccountConfig(
    name="a",
    exchange="bybit",
    api_key=SecretStr("key-AAAA"),
    api_secret=SecretStr("secret-BBBB"),
    environment="live",
)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def damage(home: Home, content: bytes = b'{"entries": [') -> None:
    home.state.mkdir(exist_ok=True)
    control_path(home).write_bytes(content)


def settle(home: Home) -> None:
    os.utime(control_path(home), ns=(10**18, 10**18))


def test_a_decision_is_read_back_by_another_process(home: Home) -> None:
    set_mode(home, BTC, Mode.HALT, who="ann", why="odd", now_ms=7)

    assert ControlReader(home).read().mode_for("a", "BTCUSDT", now_ms=1)[0] is Mode.HALT
    assert stat.S_IMODE(control_path(home).stat().st_mode) == 0o600


def test_to_run_is_to_resume(home: Home) -> None:
    set_mode(home, BTC, Mode.PAUSE, who="ann", now_ms=7)
    control = set_mode(home, BTC, Mode.RUN, who="ann", now_ms=8)

    assert control.entries == ()
    assert control.resumed_at_ms("a", "BTCUSDT") == 8


def test_arming_tells_no_key_and_disarm_takes_it_back(home: Home) -> None:
    assert arm(home, ACCOUNT, who="ann", now_ms=1).is_armed(ACCOUNT)
    assert b"AAAA" not in control_path(home).read_bytes()
    assert not disarm(home, "a", now_ms=2).is_armed(ACCOUNT)


def test_without_a_file_nobody_decided_anything(home: Home) -> None:
    control = ControlReader(home).read()

    assert control.mode_for("a", "BTCUSDT", now_ms=1) == FREE
    assert control.problem == ""


def test_an_unchanged_file_costs_no_read(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    set_mode(home, BTC, Mode.PAUSE, who="ann", now_ms=1)
    settle(home)
    reader = ControlReader(home)
    first = reader.read()

    def forbidden(_: Path) -> bytes:
        raise AssertionError("a byte was read")

    monkeypatch.setattr(Path, "read_bytes", forbidden)

    assert reader.read() is first


def test_a_change_is_seen_at_the_next_read(home: Home) -> None:
    reader = ControlReader(home)
    reader.read()
    set_mode(home, EVERYTHING, Mode.HALT, who="ann", now_ms=1)
    assert reader.read().mode_for("a", now_ms=1)[0] is Mode.HALT
    resume(home, EVERYTHING, who="ann", now_ms=2)

    assert reader.read().mode_for("a", now_ms=1) == FREE


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b'{"entries": [', id="torn"),
        pytest.param(b"[]", id="list"),
        pytest.param(
            b'{"entries": [{"scope": {}, "mode": "stop", "who": "", "when_ms": 1, "id": ""}]}',
            id="unknown-mode",
        ),
    ],
)
def test_a_damaged_file_never_read_before_lets_nothing_increase(home: Home, content: bytes) -> None:
    damage(home, content)
    control = ControlReader(home).read()
    mode, reason = control.mode_for("a", "BTCUSDT", now_ms=1)

    assert mode is Mode.PAUSE
    assert "control.json" in reason
    assert "correct" in reason
    with pytest.raises(ConfigError, match="control"):
        read_control(home)


def test_a_damaged_file_keeps_the_decisions_read_before(home: Home) -> None:
    set_mode(home, BTC, Mode.HALT, who="ann", now_ms=1)
    arm(home, ACCOUNT, who="ann", now_ms=1)
    reader = ControlReader(home)
    reader.read()
    damage(home)
    control = reader.read()

    assert control.mode_for("a", "BTCUSDT", now_ms=1)[0] is Mode.HALT
    assert control.mode_for("a", "ETHUSDT", now_ms=1) == FREE
    assert control.is_armed(ACCOUNT)
    assert "control.json" in control.problem


def test_a_file_that_vanished_keeps_the_decisions_read_before(home: Home) -> None:
    set_mode(home, EVERYTHING, Mode.HALT, who="ann", now_ms=1)
    reader = ControlReader(home)
    reader.read()
    control_path(home).unlink()
    control = reader.read()

    assert control.mode_for("a", now_ms=1)[0] is Mode.HALT
    assert "gone" in control.problem


def test_a_file_that_can_be_read_again_is_though_it_looks_the_same(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_mode(home, BTC, Mode.PAUSE, who="ann", now_ms=1)
    settle(home)
    reader = ControlReader(home)

    def refuse(_: Path) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", refuse)
        assert reader.read().is_unknown

    assert reader.read().problem == ""


def test_a_folder_that_cannot_be_reached_lets_nothing_increase(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")

    assert ControlReader(Home(tmp_path)).read().mode_for("a", now_ms=1)[0] is Mode.PAUSE


def test_a_brake_works_on_a_damaged_file_which_is_kept_aside(home: Home) -> None:
    damage(home)
    control = set_mode(home, BTC, Mode.HALT, who="ann", now_ms=99)

    assert control.mode_for("a", "BTCUSDT", now_ms=1)[0] is Mode.HALT
    assert control.mode_for("a", "ETHUSDT", now_ms=1)[0] is Mode.PAUSE
    assert (home.state / "control.json.damaged-99").read_bytes() == b'{"entries": ['
    assert ControlReader(home).read() == control


def test_a_resume_of_everything_mends_a_damaged_file(home: Home) -> None:
    damage(home)

    assert resume(home, EVERYTHING, who="ann", now_ms=1).mode_for("a", now_ms=1) == FREE


def test_people_who_decide_at_once_overwrite_nobody(home: Home) -> None:
    def decide(number: int) -> None:
        set_mode(home, Scope(symbol=f"C{number}USDT"), Mode.PAUSE, who="ann", now_ms=number)

    threads = [Thread(target=decide, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(read_control(home).entries) == 12


def test_a_held_lock_is_told_not_waited_for_for_ever(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_file, "LOCK_WAIT_S", 0.01)
    home.state.mkdir()
    with (
        FileLock(home.state / "control.json.lock"),
        pytest.raises(BusyError, match="another command"),
    ):
        set_mode(home, BTC, Mode.PAUSE, who="ann", now_ms=1)


def test_a_full_disk_changes_nothing_and_is_told(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = set_mode(home, BTC, Mode.PAUSE, who="ann", now_ms=1)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            set_mode(home, EVERYTHING, Mode.HALT, who="ann", now_ms=2)

    assert read_control(home) == before


@pytest.mark.parametrize("kind", ["file", "folder", "dangling-link"])
def test_a_halt_file_of_any_kind_halts(home: Home, kind: str) -> None:
    assert not halt_file_exists(home)
    home.state.mkdir()
    assert not halt_file_exists(home)
    if kind == "file":
        halt_path(home).touch()
    elif kind == "folder":
        halt_path(home).mkdir()
    else:
        halt_path(home).symlink_to(home.root / "nowhere")

    assert halt_file_exists(home)


def test_a_folder_that_cannot_be_looked_into_halts(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "lstat", refuse)

    assert halt_file_exists(home)


def live_account(name: str) -> AccountConfig:
    return ACCOUNT.model_copy(
        update={"name": name, "environment": "live", "api_key": SecretStr(f"key of {name}")}
    )


def test_an_account_that_left_live_is_disarmed_and_stays_so_when_it_is_back(
    tmp_path: Path,
) -> None:
    home = Home(tmp_path)
    live = [live_account(name) for name in ("kept", "gone", "paper-now", "new-key")]
    for one in live:
        arm(home, one, who="ann", now_ms=1)
    after = [
        live[0],
        live[2].model_copy(update={"environment": "paper"}),
        live[3].model_copy(update={"api_key": SecretStr("another")}),
    ]

    assert disarm_what_left(home, after, now_ms=2) == ["gone", "new-key", "paper-now"]
    assert [one.name for one in live if read_control(home).is_armed(one)] == ["kept"]
    assert disarm_what_left(home, after, now_ms=3) == []
