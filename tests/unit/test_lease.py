import asyncio
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import BusyError
from core.process.identity import is_same_process, send_signal, start_time
from core.process.key_lease import key_fingerprint, key_lease
from core.process.lease import Holder, read_holder, take_over, try_lock

HOLD = """
import signal, sys, time
from pathlib import Path
from core.process.lease import try_lock
lease = try_lock(Path(sys.argv[1]))
marks = dict(mark.split("=") for mark in sys.argv[2:])
lease.mark(orphan="orphan" in marks, stopping="stopping" in marks)
if "deaf" in marks:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("held", flush=True)
time.sleep(float(marks.get("stopping") or 60))
"""


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "engine.lock"


class HolderProcess:
    """Another process that holds a lease until it is told to stop."""

    def __init__(self, lock: Path, *marks: str) -> None:
        self.process = subprocess.Popen(  # noqa: S603 - this test's own words
            [sys.executable, "-c", HOLD, str(lock), *marks], stdout=subprocess.PIPE
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"held\n"

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


def rewrite(lock: Path, **changes: object) -> None:
    record = json.loads(lock.read_bytes()) | changes
    lock.write_bytes(json.dumps(record).encode().ljust(255) + b"\n")


@pytest.fixture
def holders() -> Iterator[list[HolderProcess]]:
    started: list[HolderProcess] = []
    yield started
    for holder in started:
        holder.end()


def test_a_lease_has_one_holder_at_a_time(lock: Path) -> None:
    first = try_lock(lock)

    assert first is not None
    assert try_lock(lock) is None
    first.release()
    assert try_lock(lock) is not None


def test_a_lease_names_its_holder_for_others(lock: Path) -> None:
    with try_lock(lock) as lease:  # type: ignore[union-attr] # free here
        me = Holder(pid=os.getpid(), started=start_time(os.getpid()))
        assert read_holder(lock) == me
        lease.mark(orphan=True)
        lease.mark(stopping=True)
        marked = read_holder(lock)

    assert marked == Holder(pid=me.pid, started=me.started, orphan=True, stopping=True)


def test_a_holder_that_was_killed_frees_its_lease(lock: Path, holders: list[HolderProcess]) -> None:
    holder = HolderProcess(lock)
    holders.append(holder)
    assert try_lock(lock) is None
    holder.process.kill()
    holder.process.wait()

    assert try_lock(lock) is not None


def test_a_lock_file_that_was_removed_guards_nothing_and_is_noticed(lock: Path) -> None:
    lease = try_lock(lock)
    assert lease is not None
    assert lease.is_ours()
    lock.unlink()

    assert not lease.is_ours()
    assert try_lock(lock) is not None


def test_a_file_removed_between_opening_and_locking_is_not_taken_for_the_lock(
    lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really_lock = fcntl.flock

    def lock_late(handle: int, operation: int) -> None:
        lock.unlink()  # what a tidy-up may do at that moment
        monkeypatch.setattr(fcntl, "flock", really_lock)
        really_lock(handle, operation)

    monkeypatch.setattr(fcntl, "flock", lock_late)
    with try_lock(lock) as lease:  # type: ignore[union-attr] # free here
        assert lease.is_ours()
        assert try_lock(lock) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"pid": "x"}', b"\xff"])
def test_an_unreadable_record_names_nobody(lock: Path, content: bytes) -> None:
    lock.write_bytes(content)

    assert read_holder(lock) is None


def test_a_record_is_never_shorter_after_a_change(lock: Path) -> None:
    with try_lock(lock) as lease:  # type: ignore[union-attr] # free here
        sizes = {lock.stat().st_size}
        lease.mark(orphan=True)
        sizes.add(lock.stat().st_size)

        assert sizes == {256}
        assert json.loads(lock.read_bytes())["orphan"] is True


async def test_a_supervised_holder_is_left_alone_and_named(
    lock: Path, holders: list[HolderProcess]
) -> None:
    holders.append(HolderProcess(lock))
    pid = holders[0].process.pid

    with pytest.raises(BusyError, match=f"pid {pid}"):
        await take_over(lock, "trade-engine", grace_s=0.2)
    assert holders[0].process.poll() is None


async def test_an_orphan_is_asked_to_stop_and_relieved(
    lock: Path, holders: list[HolderProcess]
) -> None:
    holders.append(HolderProcess(lock, "orphan=1"))

    lease = await take_over(lock, "trade-engine", grace_s=0.2)

    assert holders[0].process.wait(5) == -signal.SIGTERM
    assert read_holder(lock) == Holder(pid=os.getpid(), started=start_time(os.getpid()))
    lease.release()


async def test_an_orphan_that_does_not_listen_is_killed_at_the_kill_time_out(
    lock: Path, holders: list[HolderProcess]
) -> None:
    holders.append(HolderProcess(lock, "orphan=1", "deaf=1"))

    lease = await take_over(lock, "trade-engine", kill_timeout_s=0.3, grace_s=2)

    assert holders[0].process.wait(5) == -signal.SIGKILL
    lease.release()


async def test_a_stopping_holder_is_waited_for_without_a_signal(
    lock: Path, holders: list[HolderProcess]
) -> None:
    holders.append(HolderProcess(lock, "stopping=0.5"))

    lease = await take_over(lock, "trade-engine", grace_s=0.1)

    assert holders[0].process.wait(5) == 0
    lease.release()


async def test_the_holder_becoming_an_orphan_while_we_wait_is_noticed(
    lock: Path, holders: list[HolderProcess]
) -> None:
    holders.append(HolderProcess(lock))
    waiting = asyncio.create_task(take_over(lock, "trade-engine", grace_s=5))
    await asyncio.sleep(0)
    rewrite(lock, orphan=True)

    lease = await asyncio.wait_for(waiting, 5)

    assert holders[0].process.wait(5) == -signal.SIGTERM
    lease.release()


async def test_a_record_of_another_process_never_gets_a_signal(
    lock: Path, holders: list[HolderProcess]
) -> None:
    holders.append(HolderProcess(lock, "orphan=1"))
    rewrite(lock, started=1)

    with pytest.raises(BusyError, match="does not name itself"):
        await take_over(lock, "trade-engine", kill_timeout_s=0.1, grace_s=0.3)
    assert holders[0].process.poll() is None


async def test_a_stop_ends_the_wait_for_a_lease(lock: Path, holders: list[HolderProcess]) -> None:
    holders.append(HolderProcess(lock))
    stop = asyncio.Event()
    stop.set()
    begun = time.monotonic()

    with pytest.raises(BusyError):
        await take_over(lock, "trade-engine", stop=stop, grace_s=20)
    assert time.monotonic() - begun < 5


def test_a_pid_that_means_another_process_is_not_signalled() -> None:
    me, started = os.getpid(), start_time(os.getpid())

    assert is_same_process(me, started)
    assert not is_same_process(me, started + 1)
    assert not send_signal(me, started + 1, signal.SIGKILL)
    assert not send_signal(0, 0, signal.SIGKILL)


def test_a_process_that_ended_is_nobody_also_before_its_parent_knows() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        started = start_time(child.pid)
        assert is_same_process(child.pid, started)
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # ended, not collected

        assert not is_same_process(child.pid, started)
    assert not is_same_process(2**22 + 1, 1)
    assert start_time(2**22 + 1) == 0


def test_two_engines_never_hold_one_key(tmp_path: Path) -> None:
    fingerprint = key_fingerprint("bybit", "key-1")
    other = key_fingerprint("bybit", "key-2")

    with key_lease(fingerprint, folder=tmp_path):
        with pytest.raises(BusyError, match=f"pid {os.getpid()}"):
            key_lease(fingerprint, folder=tmp_path)
        key_lease(other, folder=tmp_path).release()


def test_a_fingerprint_tells_exchanges_apart_and_not_the_key() -> None:
    fingerprint = key_fingerprint("bybit", "secret-key")

    assert len(fingerprint) == 16
    assert fingerprint != key_fingerprint("mexc", "secret-key")
    assert "secret" not in fingerprint


def test_a_planted_link_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("content")
    (tmp_path / "trade-engine-key-x.lock").symlink_to(target)

    with pytest.raises(OSError, match="symbolic"):
        key_lease("x", folder=tmp_path)
    assert target.read_text() == "content"
