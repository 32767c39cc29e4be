"""The engine's reader of a source, over real files: gone is unknown, and history is not read."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from core.checkpoint import (
    load_checkpoint,
)
from core.home import Home
from core.journal import Journal
from core.source_reader import SourceReader
from tests.source_folder import DAY, T0, depths, folder, signal, stored, writing


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


def archive_all(one: Path) -> None:
    one.rename(one.with_name("archived"))


def archive_journals(one: Path) -> None:
    for path in one.glob("*.jsonl"):
        path.rename(path.with_suffix(".old"))


def empty_newest(one: Path) -> None:
    max(one.glob("*.jsonl")).write_bytes(b"")


def cut_last_line(one: Path) -> None:
    file = max(one.glob("*.jsonl"))
    file.write_bytes(file.read_bytes().splitlines(keepends=True)[0])


@pytest.mark.parametrize("loss", [archive_all, archive_journals, empty_newest, cut_last_line])
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


@pytest.mark.parametrize("loss", [archive_journals, empty_newest, cut_last_line])
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


def test_logging_is_quiet_when_all_is_well(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    assert SourceReader(home, "one").sweep() == {}
    assert caplog.text == ""
