"""A source's writer, over real files: memory follows the disk, also across restarts."""

import asyncio
from pathlib import Path

import orjson
import pytest

from core.checkpoint import (
    Checkpoint,
    CheckpointError,
    SymbolState,
    load_checkpoint,
    save_checkpoint,
)
from core.errors import BusyError
from core.home import Home
from core.journal import Journal, JournalTail, Position
from core.source_reader import SourceReader
from signal_processors.base import SignalWriter, discover
from signal_processors.tradingview_fold import TradingViewFold
from tests.disk_full import disk_full_after
from tests.source_folder import DAY, T0, FixedClock, depths, folder, signal, stored, writing


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


async def test_b15_what_could_not_be_stored_left_no_trace_in_memory(home: Home) -> None:
    firing = signal(8, sequence=1, meta={"body_sha256": "8", "event_id": "a"})
    async with writing(home) as writer:
        await writer.store(signal(5))
        with disk_full_after(20):
            results = await asyncio.gather(
                writer.store(firing), writer.store(signal(9)), return_exceptions=True
            )
        assert [type(result) for result in results] == [OSError, OSError]
        assert writer.newest()["ETHUSDT"].id == "tv-5"
        await writer.store(signal(9))
        decision = await writer.store(firing)

        assert decision.duplicate_of == ""
        assert [row["id"] for row in JournalTail(folder(home)).read_new()] == [
            "tv-5",
            "tv-9",
            "tv-8",
        ]


async def test_duplicates_are_known_across_two_restarts_without_a_checkpoint(home: Home) -> None:
    firing = signal(8, sequence=1, meta={"body_sha256": "8", "event_id": "a"})
    Journal(folder(home)).append_sync([firing.to_row()], at_ms=T0)  # killed right after
    async with writing(home) as writer:
        await writer.store(signal(9))
    async with writing(home) as writer:
        assert (await writer.store(firing)).duplicate_of == "tv-8"


async def test_a_later_day_counts_though_the_covered_one_is_archived(home: Home) -> None:
    await stored(home)
    later = signal(7, "SOLUSDT").to_row()
    Journal(folder(home)).append_sync([later], at_ms=T0 + 2 * DAY)  # killed right after
    sorted(folder(home).glob("*.jsonl"))[-2].unlink()
    async with writing(home) as writer:
        assert {row.id for row in writer.newest().values()} == {"tv-5", "tv-3", "tv-7"}
    assert depths(SourceReader(home, "one")) == {
        "ETHUSDT": "0.05",
        "BTCUSDT": "0.03",
        "SOLUSDT": "0.07",
    }


async def test_a_batch_is_judged_in_its_own_order(home: Home) -> None:
    async with writing(home) as writer:
        decisions = await asyncio.gather(
            writer.store(signal(5, sequence=2)),
            writer.store(signal(8, sequence=1)),
            writer.store(signal(5, sequence=2)),
        )

        assert writer.flush_count == 1
        assert [d.signal and d.signal.status for d in decisions] == [
            "accepted",
            "superseded",
            None,
        ]


async def test_a_signal_that_cannot_be_told_fails_alone(home: Home) -> None:
    async with writing(home) as writer:
        results = await asyncio.gather(
            writer.store(signal(5)),
            writer.store(signal(8, meta={"raw": object()})),
            return_exceptions=True,
        )

        assert isinstance(results[1], TypeError)
        assert writer.newest()["ETHUSDT"].id == "tv-5"


async def test_a_failed_checkpoint_is_tried_again(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    async with writing(home) as writer:
        await writer.store(signal(5))
        with disk_full_after(10):
            await writer._save()
        assert "checkpoint not written" in caplog.text
    checkpoint = load_checkpoint(folder(home))

    assert checkpoint is not None
    assert checkpoint.states["ETHUSDT"].newest.id == "tv-5"


async def test_a_crash_before_the_checkpoint_loses_nothing(home: Home) -> None:
    async with writing(home) as writer:
        await writer.store(signal(5))
    before = (folder(home) / "latest.json").read_bytes()
    async with writing(home) as writer:
        await writer.store(signal(8, sequence=12))
    (folder(home) / "latest.json").write_bytes(before)  # as if killed before it was written
    async with writing(home) as writer:
        decision = await writer.store(signal(9, sequence=11))

        assert decision.signal is not None
        assert decision.signal.status == "superseded"
        assert writer.newest()["ETHUSDT"].id == "tv-8"


async def test_the_memory_reaches_back_ten_minutes_and_not_further(home: Home) -> None:
    clock = FixedClock()
    async with writing(home, clock=clock) as writer:
        for n in range(1, 8):
            clock.now = T0 + n * 120_000
            await writer.store(signal(n))
    checkpoint = load_checkpoint(folder(home))
    assert checkpoint is not None
    rows = JournalTail(folder(home), position=checkpoint.memory_from).read_new()

    assert [row["id"] for row in rows] == ["tv-2", "tv-3", "tv-4", "tv-5", "tv-6", "tv-7"]


async def test_a_memory_that_is_lost_does_not_keep_the_writer_from_starting(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    await stored(home)
    min(folder(home).glob("*.jsonl")).unlink()
    async with writing(home) as writer:
        assert {row.id for row in writer.newest().values()} == {"tv-5", "tv-3"}
    assert "not recalled" in caplog.text


async def test_one_writer_a_source(home: Home) -> None:
    async with writing(home):
        with pytest.raises(BusyError, match="raw_signals/one"):
            SignalWriter(home, "one", clock=FixedClock(), fold=TradingViewFold()).open()


async def test_each_flush_is_told(home: Home) -> None:
    knocks: list[int] = []
    async with writing(home, on_stored=lambda: knocks.append(1)) as writer:
        await writer.store(signal(5))
        await writer.store(signal(5))  # a duplicate: nothing new

    assert len(knocks) == 1


def test_checkpoints_of_other_shapes_are_refused(tmp_path: Path) -> None:
    save_checkpoint(
        tmp_path,
        Checkpoint(
            source="one",
            states={"A": SymbolState(newest=signal(5), before_newest=-1)},
            covered=Position("2024-10-04.jsonl", 3),
            memory_from=Position("2024-10-04.jsonl", 0),
            confirmed_at_ms=7,
            fold={"x": 1},
        ),
    )
    path = tmp_path / "latest.json"
    good = orjson.loads(path.read_bytes())
    again = load_checkpoint(tmp_path)
    assert again is not None
    assert (again.covered, again.states["A"].before_newest) == (Position("2024-10-04.jsonl", 3), -1)
    for key, value in [
        ("covered", {"file": 1, "offset": 2}),
        ("covered", {"file": "a", "offset": -1}),
        ("covered", 7),
        ("symbols", {"A": {"signal": {}, "before_newest": 1}}),
        ("symbols", {"A": good["symbols"]["A"] | {"before_newest": 5}}),
        ("symbols", []),
        ("fold", 7),
    ]:
        path.write_bytes(orjson.dumps(good | {key: value}))
        with pytest.raises(CheckpointError, match=r"latest\.json"):
            load_checkpoint(tmp_path)


def test_sources_are_found_by_their_file() -> None:
    found = discover()

    assert found["tradingview"].service == "tradingview-endpoint"
    assert list(found) == sorted(found)
