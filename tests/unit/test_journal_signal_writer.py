"""A source's writer and the engine's reader of it, over real files: memory follows the disk."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

from core.checkpoint import (
    Checkpoint,
    CheckpointError,
    SymbolState,
    load_checkpoint,
    save_checkpoint,
)
from core.clock import SystemClock
from core.errors import BusyError
from core.home import Home
from core.journal import Journal, JournalTail, Position
from core.model import Signal
from core.source_reader import SourceReader
from signal_processors.base import SignalWriter, discover
from signal_processors.tradingview_fold import TradingViewFold
from tests.disk_full import disk_full_after

DAY = 86_400_000
T0 = 20_000 * DAY


class FixedClock(SystemClock):
    """A clock that the test sets."""

    now = T0

    def now_ms(self) -> int:
        return self.now


def signal(n: int, symbol: str = "ETHUSDT", **fields: Any) -> Signal:
    values: dict[str, Any] = {
        "id": f"tv-{n}",
        "source": "one",
        "source_symbol": symbol,
        "symbol": symbol,
        "depth": Decimal(n) / 100,
        "leverage": None,
        "price": None,
        "fired_at_ms": None,
        "received_at_ms": T0 + n * 1000,
        "meta": {"body_sha256": str(n)},
    }
    return Signal(**values | fields)


@asynccontextmanager
async def writing(home: Home, **kwargs: Any) -> AsyncIterator[SignalWriter]:
    clock = kwargs.pop("clock", FixedClock())
    writer = SignalWriter(home, "one", clock=clock, fold=TradingViewFold(), **kwargs)
    writer.open()
    try:
        yield writer
    finally:
        await writer.close()


def folder(home: Home) -> Path:
    return home.raw_signals / "one"


def depths(reader: SourceReader) -> dict[str, str] | None:
    seen = reader.sweep()
    return None if seen is None else {symbol: str(row.depth) for symbol, row in seen.items()}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


async def test_a_reader_sees_each_signal_as_soon_as_it_is_stored(home: Home) -> None:
    reader = SourceReader(home, "one")
    assert depths(reader) == {}
    async with writing(home) as writer:
        await writer.store(signal(5))
        assert depths(reader) == {"ETHUSDT": "0.05"}
        await writer.store(signal(8))
        await writer.store(signal(3, "BTCUSDT"))

        assert depths(reader) == {"ETHUSDT": "0.08", "BTCUSDT": "0.03"}


async def test_b16_a_reader_that_starts_reads_the_checkpoint_not_history(home: Home) -> None:
    async with writing(home) as writer:
        await asyncio.gather(*(writer.store(signal(n % 90, f"S{n}")) for n in range(1, 3_000)))
    async with writing(home) as writer:
        await writer.store(signal(7, "S1"))
        reader = SourceReader(home, "one")

        assert (depths(reader) or {})["S1"] == "0.07"
        assert reader.bytes_read < 1_000
        before = reader.bytes_read
        first = reader.sweep()
        assert all(reader.sweep() is first for _ in range(50))
        assert reader.bytes_read == before


async def test_superseded_and_rejected_rows_do_not_count(home: Home) -> None:
    async with writing(home) as writer:
        await writer.store(signal(5, fired_at_ms=T0 + 9_000))
        await writer.store(signal(8, fired_at_ms=T0))
        await writer.record({"id": "r", "status": "rejected", "depth": None})

        assert depths(SourceReader(home, "one")) == {"ETHUSDT": "0.05"}


async def test_b1_lines_that_are_no_signals_are_skipped_and_counted(home: Home) -> None:
    rows: list[dict[str, Any]] = [
        signal(5).to_row(),
        {**signal(6).to_row(), "depth": 0.06},
        {**signal(7).to_row(), "depth": "nan"},
        {**signal(8).to_row(), "depth": "7"},
        {**signal(8).to_row(), "received_at_ms": None},
        {"status": "accepted"},
        {**signal(8).to_row(), "status": ["accepted"]},
    ]
    Journal(folder(home)).append_sync(rows, at_ms=T0)
    reader = SourceReader(home, "one")

    assert depths(reader) == {"ETHUSDT": "0.05"}
    assert reader.skipped == 5
    async with writing(home) as writer:
        assert [row.id for row in writer.newest().values()] == ["tv-5"]


async def stored(home: Home) -> SourceReader:
    """A source with two days of signals, and a reader that saw them."""
    clock = FixedClock()
    async with writing(home, clock=clock) as writer:
        await writer.store(signal(5))
        clock.now += DAY
        await writer.store(signal(3, "BTCUSDT"))
    reader = SourceReader(home, "one")
    assert depths(reader) == {"ETHUSDT": "0.05", "BTCUSDT": "0.03"}
    return reader


def archive_all(one: Path) -> None:
    one.rename(one.with_name("archived"))


def archive_journals(one: Path) -> None:
    for path in one.glob("*.jsonl"):
        path.rename(path.with_suffix(".old"))


def empty_newest(one: Path) -> None:
    max(one.glob("*.jsonl")).write_bytes(b"")


@pytest.mark.parametrize("loss", [archive_all, archive_journals, empty_newest])
async def test_a7_a_vanished_source_is_unknown_not_flat(
    home: Home, loss: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    reader = await stored(home)
    loss(folder(home))

    assert reader.sweep() is None
    assert reader.sweep() is None
    assert str(folder(home)) in reader.problem
    assert caplog.text.count("signals unreadable") == 1


async def test_a7_a_reader_that_starts_without_the_journal_knows_nothing(home: Home) -> None:
    await stored(home)
    archive_journals(folder(home))
    reader = SourceReader(home, "one")

    assert reader.sweep() is None
    assert reader.problem


@pytest.mark.parametrize("loss", [archive_journals, empty_newest])
async def test_a_lost_journal_is_healed_by_a_restart_of_its_service(
    home: Home, loss: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    reader = await stored(home)
    loss(folder(home))
    assert reader.sweep() is None
    async with writing(home) as writer:
        assert {row.id for row in writer.newest().values()} == {"tv-5", "tv-3"}
    assert "is lost" in caplog.text
    reader._retry_at_s = 0

    assert depths(reader) == {"ETHUSDT": "0.05", "BTCUSDT": "0.03"}
    assert reader.problem == ""


async def test_a_file_removed_under_the_writer_heals_with_its_next_checkpoint(home: Home) -> None:
    reader = SourceReader(home, "one")
    async with writing(home) as writer:
        await writer.store(signal(5))
        await writer.store(signal(3, "BTCUSDT"))
        depths(reader)
        archive_journals(folder(home))
        await writer.store(signal(8))
    reader._retry_at_s = 0

    assert depths(reader) == {"ETHUSDT": "0.08", "BTCUSDT": "0.03"}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"v":2}', b'{"v":1}', b"\xff", b"null"])
async def test_a12_a_torn_checkpoint_is_no_flat_account(
    home: Home, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    await stored(home)
    (folder(home) / "latest.json").write_bytes(content)
    reader = SourceReader(home, "one")

    assert depths(reader) == {"ETHUSDT": "0.05", "BTCUSDT": "0.03"}
    assert "reading the journals instead" in caplog.text
    async with writing(home) as writer:
        assert {row.id for row in writer.newest().values()} == {"tv-5", "tv-3"}
    assert load_checkpoint(folder(home)) is not None


async def test_history_without_a_checkpoint_is_read_newest_first_and_once(home: Home) -> None:
    journal = Journal(folder(home))
    for n in range(1, 5):
        rows = [signal(n).to_row(), signal(n, f"S{n}").to_row()]
        journal.append_sync(rows, at_ms=T0 + n * DAY)
    reader = SourceReader(home, "one")

    seen = depths(reader)
    assert seen == {"ETHUSDT": "0.04", "S1": "0.01", "S2": "0.02", "S3": "0.03", "S4": "0.04"}
    before = reader.bytes_read
    depths(reader)
    assert reader.bytes_read == before


async def test_an_unreadable_file_of_history_makes_it_unknown(home: Home) -> None:
    journal = Journal(folder(home))
    for n in (1, 2):
        journal.append_sync([signal(n).to_row()], at_ms=T0 + n * DAY)
    oldest = min(folder(home).glob("*.jsonl"))
    oldest.unlink()
    oldest.symlink_to("/proc/self/mem")  # opens, then cannot be read

    assert SourceReader(home, "one").sweep() is None


async def test_a_reader_survives_rows_that_were_cut_off_again(home: Home) -> None:
    """It read a row of a flush that failed afterwards: what it knew is told anew."""
    reader = SourceReader(home, "one")
    async with writing(home) as writer:
        await writer.store(signal(5))
        assert depths(reader) == {"ETHUSDT": "0.05"}
        (file,) = folder(home).glob("*.jsonl")
        size = file.stat().st_size
        with file.open("ab") as handle:
            handle.write(orjson.dumps(signal(9).to_row()) + b"\n")
        assert depths(reader) == {"ETHUSDT": "0.09"}
        with file.open("r+b") as handle:
            handle.truncate(size)
        await writer.store(signal(7))

    assert depths(reader) == {"ETHUSDT": "0.07"}


async def test_b15_what_could_not_be_stored_left_no_trace_in_memory(home: Home) -> None:
    async with writing(home) as writer:
        await writer.store(signal(5))
        with disk_full_after(20):
            results = await asyncio.gather(
                writer.store(signal(8)),
                writer.store(signal(9)),
                return_exceptions=True,
            )
        assert [type(result) for result in results] == [OSError, OSError]
        assert writer.newest()["ETHUSDT"].id == "tv-5"
        decision = await writer.store(signal(8))
        assert decision.signal is not None


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


async def test_a_level_source_tells_when_it_was_confirmed(home: Home) -> None:
    reader = SourceReader(home, "one", is_level=True)
    async with writing(home) as writer:
        await writer.store(signal(5))
        depths(reader)
        assert reader.confirmed_at_ms() is None
        writer.confirm(T0 + 77)
    depths(reader)
    assert reader.confirmed_at_ms() == T0 + 77
    (folder(home) / "latest.json").write_bytes(b"{")

    assert depths(reader) == {"ETHUSDT": "0.05"}
    assert reader.confirmed_at_ms() == T0 + 77


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


def test_logging_is_quiet_when_all_is_well(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    assert SourceReader(home, "one").sweep() == {}
    assert caplog.text == ""
