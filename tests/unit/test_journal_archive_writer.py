"""A source's writer compresses its old days beside its work: at its start and as days pass."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from core.checkpoint import CHECKPOINT_NAME, Checkpoint, SymbolState, save_checkpoint
from core.errors import BusyError
from core.home import Home
from core.journal import Position, journal_names
from core.process.lease import lock_now
from core.source_reader import SourceReader
from signal_processors.base import discover
from signal_processors.source_profile import SourceProfile
from tests.archived_days import day, put
from tests.source_folder import DAY, T0, FixedClock, depths, folder, signal, writing
from tests.virtual_time import VirtualClock, run_virtually

AGE = 2
TODAY = 5
HOUR_S = 3600


class Threads(ThreadPoolExecutor):
    """Threads that work at once, or when the test lets them."""

    def __init__(self, *, is_held: bool = False) -> None:
        super().__init__(max_workers=1)
        self.is_held = is_held
        self.count = 0
        self.waiting: list[Callable[[], None]] = []

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.count += 1
        future: Future[Any] = Future()
        self.waiting.append(lambda: future.set_result(work(*args, **kwargs)))
        if not self.is_held:
            self.let_go()
        return future

    def let_go(self) -> None:
        self.is_held = False
        while self.waiting:
            self.waiting.pop(0)()


def threads(*, is_held: bool = False) -> Threads:
    """Put the running loop's threads into the test's hand."""
    made = Threads(is_held=is_held)
    asyncio.get_running_loop().set_default_executor(made)
    return made


@contextmanager
def held_threads() -> Iterator[Threads]:
    """Let the running loop's threads wait, to the end of the block at most."""
    made = threads(is_held=True)
    try:
        yield made
    finally:
        made.let_go()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A source of one symbol that spoke on each of six days."""
    home = Home(tmp_path)
    for number in range(TODAY + 1):
        put(folder(home), number, signal(number + 1))
    return home


def plain_days(home: Home) -> list[int]:
    names = [f"{day(number)}.jsonl" for number in range(20)]
    return [names.index(name) for name in journal_names(folder(home))]


def on(number: int) -> FixedClock:
    clock = FixedClock()
    clock.now = T0 + number * DAY
    return clock


compressing = partial(writing, compress_after_days=AGE)


async def leave_a_checkpoint(home: Home) -> None:
    """Let nothing but compressing need a thread afterwards."""
    threads()
    async with writing(home, clock=on(TODAY)):
        pass


async def test_days_beyond_the_age_are_compressed_at_the_start(home: Home) -> None:
    threads()
    async with compressing(home, clock=on(TODAY)):
        assert plain_days(home) == [0, 1, 2, 3, 4, 5]  # not before it has started
        await asyncio.sleep(0)

        assert plain_days(home) == [3, 4, 5]


async def test_a_writer_that_was_not_told_an_age_compresses_nothing(home: Home) -> None:
    made = threads()
    async with writing(home, clock=on(900)):
        await asyncio.sleep(0)

        assert made.count == 0
    assert plain_days(home) == [0, 1, 2, 3, 4, 5]


def test_each_new_day_the_next_file_is_compressed(home: Home) -> None:
    async def story() -> None:
        made = threads()
        async with compressing(home, clock=VirtualClock(T0 + TODAY * DAY + 1)):
            await asyncio.sleep(0.5)
            assert plain_days(home) == [3, 4, 5]
            await asyncio.sleep(2)  # the checkpoint
            before = made.count
            await asyncio.sleep(23 * HOUR_S)
            assert made.count == before
            await asyncio.sleep(HOUR_S)

            assert made.count == before + 1
            assert plain_days(home) == [4, 5]

    run_virtually(story())


def test_two_runs_are_never_under_way_at_once(home: Home) -> None:
    async def story() -> None:
        await leave_a_checkpoint(home)
        async with compressing(home, clock=VirtualClock(T0 + TODAY * DAY)):
            with held_threads() as made:
                await asyncio.sleep(72 * HOUR_S)
                assert made.count == 1
            await asyncio.sleep(2 * HOUR_S)

            assert made.count == 2

    run_virtually(story())


async def test_signals_are_stored_while_old_days_are_compressed(home: Home) -> None:
    await leave_a_checkpoint(home)
    async with compressing(home, clock=on(TODAY)) as writer:
        with held_threads() as made:
            await asyncio.sleep(0)
            assert made.count == 1
            await writer.store(signal(51))

            assert depths(SourceReader(home, "one")) == {"ETHUSDT": "0.51"}
            assert plain_days(home) == [0, 1, 2, 3, 4, 5]
        assert plain_days(home) == [3, 4, 5]


async def test_closing_waits_for_the_run_and_begins_no_other_file(home: Home) -> None:
    await leave_a_checkpoint(home)
    async with compressing(home, clock=on(TODAY)) as writer:
        with held_threads():
            await asyncio.sleep(0)
            closing = asyncio.create_task(writer.close())
            for _ in range(9):
                await asyncio.sleep(0)
            assert not closing.done()
            with pytest.raises(BusyError):
                lock_now(folder(home) / ".lock", "the folder")
        await closing

    assert plain_days(home) == [0, 1, 2, 3, 4, 5]


def saved(home: Home, covered: int, memory_from: int) -> None:
    """Leave a checkpoint as of an earlier day."""
    newest = signal(covered + 1)
    size = (folder(home) / f"{day(covered)}.jsonl").stat().st_size
    save_checkpoint(
        folder(home),
        Checkpoint(
            source="one",
            states={newest.source_symbol: SymbolState(newest=newest)},
            covered=Position(f"{day(covered)}.jsonl", size),
            memory_from=Position(f"{day(memory_from)}.jsonl", 0),
        ),
    )


async def test_the_files_of_the_checkpoint_are_left_alone(home: Home) -> None:
    threads()
    saved(home, covered=1, memory_from=0)
    async with compressing(home, clock=on(TODAY)):
        await asyncio.sleep(0)

        assert plain_days(home) == [0, 1, 3, 4, 5]


async def test_the_files_that_the_next_checkpoint_will_name_are_left_alone(home: Home) -> None:
    threads()
    saved(home, covered=1, memory_from=0)
    async with compressing(home, clock=on(TODAY)) as writer:
        (folder(home) / CHECKPOINT_NAME).write_bytes(b"{")
        await asyncio.sleep(0)
        assert plain_days(home) == [0, 3, 4, 5]
        assert (writer._covered or Position("", 0)).file == f"{day(5)}.jsonl"


async def test_a_restart_recalls_what_the_checkpoint_names_after_compressing(home: Home) -> None:
    threads()
    saved(home, covered=1, memory_from=0)
    async with compressing(home, clock=on(TODAY)):
        await asyncio.sleep(0)
    async with compressing(home, clock=on(TODAY + 1)) as writer:
        assert {row.id for row in writer.newest().values()} == {"tv-6"}


@pytest.mark.parametrize("loses_checkpoint", [False, True], ids=["kept", "lost"])
async def test_a_symbol_that_is_silent_since_long_is_found(
    tmp_path: Path, *, loses_checkpoint: bool
) -> None:
    threads()
    home = Home(tmp_path)
    put(folder(home), 0, signal(7, "SOLUSDT"), signal(1))
    for number in range(1, 9):
        put(folder(home), number, signal(number))
    async with compressing(home, clock=on(90)):
        await asyncio.sleep(0)
    if loses_checkpoint:
        (folder(home) / CHECKPOINT_NAME).unlink()

    expected = {"SOLUSDT": "0.07", "ETHUSDT": "0.08"}
    assert plain_days(home) == [0, 8]
    assert depths(SourceReader(home, "one")) == expected
    async with compressing(home, clock=on(91)) as writer:
        assert {s: str(row.depth) for s, row in writer.newest().items()} == expected


async def test_a_running_reader_follows_while_files_are_compressed(home: Home) -> None:
    async with compressing(home, clock=on(TODAY)) as writer:
        with held_threads():
            reader = SourceReader(home, "one")
            assert depths(reader) == {"ETHUSDT": "0.06"}
            await writer.store(signal(51))
        assert plain_days(home) == [3, 4, 5]
        assert depths(reader) == {"ETHUSDT": "0.51"}
        await writer.store(signal(52))

        assert depths(reader) == {"ETHUSDT": "0.52"}
        assert reader.problem == ""


async def test_a_defect_while_compressing_keeps_nothing_from_being_stored(home: Home) -> None:
    threads()
    async with compressing(home, clock=on(TODAY)) as writer:
        assert writer._compressing is not None
        writer._compressing.cancel()
        await writer.store(signal(51))

    assert depths(SourceReader(home, "one")) == {"ETHUSDT": "0.51"}
    lock_now(folder(home) / ".lock", "the folder").release()


def test_each_source_says_when_its_old_days_are_compressed() -> None:
    made = SourceProfile(name="a", kind="level", service="a")

    assert made.compress_after_days == 60
    assert discover()["tradingview"].compress_after_days == 60
