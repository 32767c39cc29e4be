"""Old days are compressed without a line or a symbol's newest state getting lost."""

import gzip
import shutil
import zlib
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from core.checkpoint import Checkpoint, SymbolState, save_checkpoint
from core.home import Home
from core.journal import Position, archive, compress_old_days, journal_names
from core.source_reader import SourceReader
from tests.archived_days import content_of, day, lines_of, put, put_back, states_during
from tests.disk_full import disk_full_after
from tests.source_folder import depths, folder, signal

NEWEST = {"ETHUSDT": "tv-9"}
PLAIN, PACKED = f"{day(0)}.jsonl", f"{day(0)}.jsonl.gz"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A source that spoke on three days, the newest state of its symbol on the last."""
    home = Home(tmp_path)
    put(folder(home), 0, signal(1), signal(2))
    put(folder(home), 1, signal(3))
    put(folder(home), 2, signal(9))
    return home


@pytest.fixture
def one(home: Home) -> Path:
    return folder(home)


def compress(one: Path, before: int = 2, **given: object) -> list[str]:
    values: dict[str, object] = {"before_day": day(before), "newest": NEWEST, **given}
    return compress_old_days(one, **values)  # type: ignore[arg-type]


def told(caplog: pytest.LogCaptureFixture) -> str:
    return " ".join(str(getattr(record, "reason", "")) for record in caplog.records)


def test_old_days_are_compressed_and_hold_the_same_lines(one: Path) -> None:
    before = lines_of(one)

    assert compress(one) == [f"{day(0)}.jsonl", f"{day(1)}.jsonl"]
    assert list(content_of(one)) == [PACKED, f"{day(1)}.jsonl.gz", f"{day(2)}.jsonl"]
    assert lines_of(one) == before
    assert (one / PACKED).stat().st_mode & 0o777 == 0o600


def test_the_days_that_are_not_old_yet_stay(one: Path) -> None:
    assert compress(one, before=1) == [PLAIN]
    assert journal_names(one) == [f"{day(1)}.jsonl", f"{day(2)}.jsonl"]


def test_the_same_lines_give_the_same_bytes_at_any_time(one: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(one, other, copy_function=shutil.copyfile)  # with other times
    compress(one)
    compress(other)

    assert content_of(one) == content_of(other)
    assert (one / PACKED).read_bytes()[4:8] == bytes(4)  # the header's time
    assert (one / PACKED).read_bytes()[3] == 0  # no name in it


def test_the_newest_file_stays_however_old_it_is(one: Path) -> None:
    compress(one, before=99, newest={"ETHUSDT": "tv-elsewhere"})

    assert journal_names(one) == [f"{day(2)}.jsonl"]


def test_a_file_with_the_newest_signal_of_any_symbol_is_left_alone(one: Path) -> None:
    put(one, 2, signal(4, "BTCUSDT"), signal(5, "SOLUSDT"))
    put(one, 3, signal(6, "SOLUSDT"))
    newest = {**NEWEST, "BTCUSDT": "tv-4", "SOLUSDT": "tv-6"}

    assert compress(one, before=9, newest=newest) == [PLAIN, f"{day(1)}.jsonl"]


def test_a_file_with_a_symbol_of_which_nothing_newer_is_known_is_left_alone(one: Path) -> None:
    assert compress(one, newest={}) == []


def test_a_row_that_is_not_accepted_keeps_no_file(tmp_path: Path) -> None:
    put(tmp_path, 0, signal(9, status="superseded"), signal(9, "X", status="rejected"))
    put(tmp_path, 1, signal(9))

    assert compress(tmp_path) == [PLAIN]


def test_the_files_that_are_still_needed_are_left_alone(one: Path) -> None:
    assert compress(one, kept={PLAIN}) == [f"{day(1)}.jsonl"]


def make_unreadable(path: Path) -> None:
    path.unlink()
    path.symlink_to("/proc/self/mem")  # opens, then cannot be read


def make_binary(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\n" + path.read_bytes())


@pytest.mark.parametrize("damage", [make_unreadable, make_binary])
def test_a_file_that_is_no_text_is_left_alone_and_told(
    one: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    damage(one / PLAIN)

    assert compress(one) == [f"{day(1)}.jsonl"]
    assert (one / PLAIN).exists()
    assert "left as they are" in caplog.text


@pytest.mark.parametrize("end", [b'{"id": "tv-9', b"\xc3", b'{"torn~\n', b"~\n", b""])
def test_torn_lines_are_kept_as_they_are(one: Path, end: bytes) -> None:
    with (one / PLAIN).open("ab") as file:
        file.write(end)
    before = (one / PLAIN).read_bytes()
    compress(one)

    assert gzip.decompress((one / PACKED).read_bytes()) == before


def test_a_large_day_is_compressed_in_pieces(one: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "CHUNK", 7)
    before = lines_of(one)
    compress(one)

    assert lines_of(one) == before
    assert PLAIN not in content_of(one)


def test_what_was_packed_already_is_checked_and_then_only_removed(one: Path) -> None:
    packed = gzip.compress((one / PLAIN).read_bytes(), 1, mtime=77)
    (one / PACKED).write_bytes(packed)

    assert compress(one) == [PLAIN, f"{day(1)}.jsonl"]
    assert (one / PACKED).read_bytes() == packed
    assert not (one / PLAIN).exists()


def nothing(lines: bytes) -> bytes:
    return lines[:0]


def torn(lines: bytes) -> bytes:
    return gzip.compress(lines)[:90]


def without_its_check(lines: bytes) -> bytes:
    return gzip.compress(lines)[:-8]


def flipped(lines: bytes) -> bytes:
    packer = zlib.compressobj(0, zlib.DEFLATED, 31)
    stored = packer.compress(lines) + packer.flush()
    return stored[:40] + bytes([stored[40] ^ 1]) + stored[41:]


def no_gzip(lines: bytes) -> bytes:
    return lines


def with_fewer_lines(lines: bytes) -> bytes:
    return gzip.compress(lines.splitlines(keepends=True)[0])


@pytest.mark.parametrize(
    "left", [nothing, torn, without_its_check, flipped, no_gzip, with_fewer_lines]
)
def test_a_packed_file_that_does_not_hold_all_is_made_anew(
    one: Path, left: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "CHUNK", 7)  # so that a difference is met before the damage
    lines = (one / PLAIN).read_bytes()
    (one / PACKED).write_bytes(left(lines))

    assert compress(one) == [PLAIN, f"{day(1)}.jsonl"]
    assert gzip.decompress((one / PACKED).read_bytes()) == lines


@pytest.mark.parametrize("more", [b"", b"more\n"], ids=["others", "more"])
def test_a_packed_file_with_other_lines_is_not_overwritten(
    one: Path, more: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    lines = (one / PLAIN).read_bytes() if more else b"other\n"
    (one / PACKED).write_bytes(gzip.compress(lines + more))
    before = content_of(one)

    assert compress(one) == [f"{day(1)}.jsonl"]
    assert content_of(one)[PLAIN] == before[PLAIN]
    assert content_of(one)[PACKED] == before[PACKED]
    assert "other lines" in told(caplog)


def test_a_full_disk_leaves_everything_as_it_was(
    one: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = content_of(one)
    with disk_full_after(20):
        assert compress(one) == []

    assert content_of(one) == before
    assert caplog.text.count("left as they are") == 1  # the next would meet the same


def test_the_last_room_on_the_disk_is_left_to_the_journal(
    one: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    before = content_of(one)
    monkeypatch.setattr(archive, "SPARE_BYTES", 1 << 60)

    assert compress(one) == []
    assert content_of(one) == before
    assert "left as they are" in caplog.text


def test_a_folder_in_the_way_costs_one_day_only(
    one: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (one / PACKED).mkdir()

    assert compress(one) == [f"{day(1)}.jsonl"]
    assert PACKED in told(caplog)


def test_a_missing_folder_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert compress(tmp_path / "none") == []
    assert "not compressed" in caplog.text


def test_it_can_be_stopped_between_two_files(one: Path) -> None:
    asked = count()

    assert compress(one, is_stopped=lambda: next(asked) == 1) == [PLAIN]
    assert journal_names(one) == [f"{day(1)}.jsonl", f"{day(2)}.jsonl"]


def test_what_a_killed_run_left_half_written_is_removed(one: Path) -> None:
    (one / f".{PACKED}.abc.tmp").write_bytes(b"half")
    (one / ".latest.json.abc.tmp").write_bytes(b"somebody else's")
    compress(one)

    assert [name for name in content_of(one) if name.startswith(".")] == [".latest.json.abc.tmp"]


def test_a_kill_between_any_two_steps_loses_no_line_and_is_made_good(home: Home, one: Path) -> None:
    lines = lines_of(one)
    left_behind = states_during(lambda: compress(one), one)
    in_the_end = content_of(one)

    assert len(left_behind) > 8  # both files, each with its temp, its rename and its unlink
    for content in left_behind:
        put_back(one, content)
        assert lines_of(one) == lines
        assert depths(SourceReader(home, "one")) == {"ETHUSDT": "0.09"}
        compress(one)
        assert content_of(one) == in_the_end


def checkpoint(covered: Position) -> Checkpoint:
    return Checkpoint(
        source="one", states={"ETHUSDT": SymbolState(newest=signal(9))}, covered=covered
    )


def test_a_reader_that_stood_in_a_compressed_file_goes_on_from_the_checkpoint(
    tmp_path: Path,
) -> None:
    home = Home(tmp_path)
    put(folder(home), 0, signal(1))
    reader = SourceReader(home, "one")
    assert depths(reader) == {"ETHUSDT": "0.01"}
    newest = put(folder(home), 1, signal(9))
    save_checkpoint(folder(home), checkpoint(Position(newest.name, newest.stat().st_size)))

    assert compress(folder(home)) == [PLAIN]
    assert depths(reader) == {"ETHUSDT": "0.09"}
    assert reader.problem == ""


def test_a_reader_that_stood_in_a_compressed_file_needs_no_checkpoint(tmp_path: Path) -> None:
    home = Home(tmp_path)
    put(folder(home), 0, signal(1))
    reader = SourceReader(home, "one")
    depths(reader)
    put(folder(home), 1, signal(9))
    compress(folder(home))

    assert depths(reader) == {"ETHUSDT": "0.09"}
