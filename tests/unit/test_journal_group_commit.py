"""Group commit: who waits for which fdatasync, and who gets which failure."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import SystemClock
from core.journal import GroupCommit, Journal, JournalTail, Position, encode_rows
from tests.disk_full import disk_full_after


class SlowJournal:
    """A real journal whose next flush waits until the test lets it go."""

    def __init__(self, folder: Path) -> None:
        self.journal = Journal(folder)
        self.started = threading.Event()
        self.go = threading.Event()

    def append_lines(self, lines: bytes, *, at_ms: int) -> Position:
        self.started.set()
        assert self.go.wait(10)
        return self.journal.append_lines(lines, at_ms=at_ms)

    def close(self) -> None:
        self.journal.close()


def numbers(folder: Path) -> list[int]:
    return [row["n"] for row in JournalTail(folder).read_new()]


async def until(event: threading.Event) -> None:
    await asyncio.to_thread(event.wait, 10)


@pytest.fixture
async def commit(tmp_path: Path) -> AsyncIterator[GroupCommit]:
    group = GroupCommit(Journal(tmp_path), SystemClock())
    yield group
    await group.close()


async def test_a_row_is_on_disk_when_its_commit_returns(
    commit: GroupCommit, tmp_path: Path
) -> None:
    await commit.commit([{"n": 1}])

    assert numbers(tmp_path) == [1]


async def test_an_append_returns_after_the_fdatasync_of_its_file(
    commit: GroupCommit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one thing that only a power cut would show; the real call is made all the same."""
    synced: list[int] = []
    real = os.fdatasync

    def watched(handle: int) -> None:
        real(handle)
        synced.append(os.fstat(handle).st_size)

    monkeypatch.setattr(os, "fdatasync", watched)
    await commit.commit([{"n": 1}])

    assert synced == [len(encode_rows([{"n": 1}]))]


async def test_what_arrives_together_shares_one_flush(commit: GroupCommit, tmp_path: Path) -> None:
    await asyncio.gather(*(commit.commit([{"n": n}]) for n in range(100)))

    assert commit.flush_count == 1
    assert numbers(tmp_path) == list(range(100))


async def test_what_arrives_during_a_flush_rides_the_next(tmp_path: Path) -> None:
    journal = SlowJournal(tmp_path)
    group = GroupCommit(journal, SystemClock())
    first = asyncio.create_task(group.commit([{"n": 0}]))
    await until(journal.started)
    rest = [asyncio.create_task(group.commit([{"n": n}])) for n in range(1, 50)]
    await asyncio.sleep(0)
    assert not first.done()
    journal.go.set()
    await asyncio.gather(first, *rest)
    await group.close()

    assert group.flush_count == 2
    assert numbers(tmp_path) == list(range(50))


async def test_a_cancelled_waiter_harms_nobody_and_its_row_is_stored(tmp_path: Path) -> None:
    journal = SlowJournal(tmp_path)
    group = GroupCommit(journal, SystemClock())
    tasks = [asyncio.create_task(group.commit([{"n": n}])) for n in range(3)]
    await until(journal.started)
    late = [asyncio.create_task(group.commit([{"n": n}])) for n in range(3, 6)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    late[1].cancel()
    journal.go.set()
    results = await asyncio.gather(*tasks, *late, return_exceptions=True)
    await group.close()

    assert [type(r) for r in results] == [type(None), asyncio.CancelledError, type(None)] * 2
    assert numbers(tmp_path) == [0, 1, 2, 3, 4, 5]


async def test_b15_a_failed_flush_fails_its_own_waiters_only(
    commit: GroupCommit, tmp_path: Path
) -> None:
    await commit.commit([{"n": 0}])
    with disk_full_after(10):
        failed = await asyncio.gather(
            commit.commit([{"n": 1}]), commit.commit([{"n": 2}]), return_exceptions=True
        )
    await commit.commit([{"n": 3}])

    assert [type(r) for r in failed] == [OSError, OSError]
    assert numbers(tmp_path) == [0, 3]


async def test_a_row_that_is_not_json_fails_alone(commit: GroupCommit, tmp_path: Path) -> None:
    results = await asyncio.gather(
        commit.commit([{"n": 1}]),
        commit.commit([{"n": object()}]),
        commit.commit_late(lambda: encode_rows([{"n": object()}])),
        commit.commit([{"n": 3}]),
        return_exceptions=True,
    )

    assert [type(r) for r in results] == [type(None), TypeError, TypeError, type(None)]
    assert numbers(tmp_path) == [1, 3]


async def test_late_rows_are_made_when_the_earlier_ones_are_settled(tmp_path: Path) -> None:
    stored: list[Position] = []
    failures: list[str] = []
    group = GroupCommit(
        Journal(tmp_path),
        SystemClock(),
        on_stored=stored.append,
        on_failed=lambda: failures.append("failed"),
    )

    def count() -> bytes:
        return encode_rows([{"n": len(stored) * 10 + len(failures)}])

    await group.commit_late(count)
    with disk_full_after(1), pytest.raises(OSError, match="File too large"):
        await group.commit_late(count)
    await group.commit_late(count)
    await group.commit_late(bytes)
    await group.close()

    assert numbers(tmp_path) == [0, 11]
    assert len(stored) == group.flush_count == 2


async def test_close_stores_what_waits_and_refuses_more(tmp_path: Path) -> None:
    journal = SlowJournal(tmp_path)
    group = GroupCommit(journal, SystemClock())
    first = asyncio.create_task(group.commit([{"n": 1}]))
    await until(journal.started)
    second = asyncio.create_task(group.commit([{"n": 2}]))
    await asyncio.sleep(0)
    closing = asyncio.create_task(group.close())
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="closed"):
        await group.commit([{"n": 3}])
    journal.go.set()
    await asyncio.gather(first, second, closing)

    assert numbers(tmp_path) == [1, 2]


@given(
    script=st.lists(st.sampled_from(["commit", "cancel", "full", "turn", "bad"]), max_size=40),
)
@settings(max_examples=60, deadline=None)
def test_acknowledged_rows_are_stored_in_order_of_arrival(
    tmp_path_factory: pytest.TempPathFactory, script: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    asyncio.run(_play(folder, script))


async def _play(folder: Path, script: list[str]) -> None:
    group = GroupCommit(Journal(folder), SystemClock())
    tasks: dict[int, asyncio.Task[None]] = {}
    for n, step in enumerate(script):
        match step:
            case "turn":
                await asyncio.sleep(0)
            case "cancel" if tasks:
                tasks[max(tasks)].cancel()
            case "full":
                with disk_full_after(0):
                    tasks[n] = asyncio.create_task(group.commit([{"n": n}]))
                    await asyncio.wait([tasks[n]])
            case _:
                row = {"n": n} if step == "commit" else {"n": {1, 2}}
                tasks[n] = asyncio.create_task(group.commit([row]))
    results = await asyncio.gather(*tasks.values(), return_exceptions=True)
    await group.close()
    acknowledged = [n for n, r in zip(tasks, results, strict=True) if r is None]
    cancelled = {
        n for n, r in zip(tasks, results, strict=True) if isinstance(r, asyncio.CancelledError)
    }
    stored = numbers(folder)

    assert stored == sorted(stored)
    assert set(acknowledged) <= set(stored) <= set(acknowledged) | cancelled
