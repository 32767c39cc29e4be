"""The writing and the reading end of a journal, on a real disk."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from core.journal import Journal, JournalLostError, JournalTail, Position
from tests.disk_full import disk_full_after

DAY = 86_400_000
T0 = 20_000 * DAY  # 2024-10-04
FIRST, SECOND = "2024-10-04.jsonl", "2024-10-05.jsonl"


def rows(*numbers: int) -> list[dict[str, Any]]:
    return [{"n": number} for number in numbers]


def numbers(tail: JournalTail) -> list[int]:
    return [row["n"] for row in tail.read_new()]


def test_what_is_appended_is_read_once_in_order(tmp_path: Path) -> None:
    journal, tail = Journal(tmp_path), JournalTail(tmp_path)
    journal.append_sync(rows(1, 2), at_ms=T0)
    journal.append_sync(rows(3), at_ms=T0)

    assert numbers(tail) == [1, 2, 3]
    assert numbers(tail) == []


def test_the_position_given_back_is_where_a_reader_may_start(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    position = journal.append_sync(rows(1), at_ms=T0)
    journal.append_sync(rows(2), at_ms=T0)

    assert position == Position(FIRST, len(b'{"n":1}\n'))
    assert numbers(JournalTail(tmp_path, position=position)) == [2]


def test_files_and_folder_belong_to_their_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "raw" / "one"
    Journal(folder).append_sync(rows(1), at_ms=T0)

    assert (folder / FIRST).stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700


def test_prefixes_keep_journals_of_one_folder_apart(tmp_path: Path) -> None:
    Journal(tmp_path, "orders-").append_sync(rows(1), at_ms=T0)
    Journal(tmp_path, "events-").append_sync(rows(2), at_ms=T0)

    assert numbers(JournalTail(tmp_path, "orders-")) == [1]
    assert (tmp_path / "orders-2024-10-04.jsonl").exists()


def test_b5_a_torn_line_is_skipped_and_the_next_one_stands_alone(tmp_path: Path) -> None:
    Journal(tmp_path).append_sync(rows(1), at_ms=T0)
    with (tmp_path / FIRST).open("ab") as file:
        file.write(b'{"n":2')
    Journal(tmp_path).append_sync(rows(3), at_ms=T0)
    tail = JournalTail(tmp_path)

    assert numbers(tail) == [1, 3]
    assert tail.skipped == 1


def test_a_torn_line_that_only_lacks_its_newline_never_comes_back(tmp_path: Path) -> None:
    (tmp_path / FIRST).write_bytes(b'{"n":1}')  # not acknowledged, so nobody counted on it
    tail = JournalTail(tmp_path)
    assert numbers(tail) == []
    Journal(tmp_path).append_sync(rows(2), at_ms=T0)

    assert numbers(tail) == [2]


def test_b15_a_write_that_fails_halfway_leaves_nothing_behind(tmp_path: Path) -> None:
    journal, tail = Journal(tmp_path), JournalTail(tmp_path)
    size = journal.append_sync(rows(1), at_ms=T0).offset
    with disk_full_after(size + 12), pytest.raises(OSError, match="File too large") as caught:
        journal.append_sync(rows(2, 3), at_ms=T0)

    assert caught.value.errno == errno.EFBIG
    assert (tmp_path / FIRST).stat().st_size == size
    journal.append_sync(rows(4), at_ms=T0)
    assert numbers(tail) == [1, 4]
    assert tail.skipped == 0


def test_b15_what_could_not_be_cut_off_is_cut_off_before_the_next_append(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path)
    size = journal.append_sync(rows(1), at_ms=T0).offset
    with monkeypatch.context() as broken, disk_full_after(size + 20):
        broken.setattr(os, "ftruncate", _failing)  # no file system fails it on demand
        with pytest.raises(OSError, match="File too large"):
            journal.append_sync(rows(2, 3, 4), at_ms=T0)
    assert (tmp_path / FIRST).stat().st_size > size
    journal.append_sync(rows(5), at_ms=T0)

    assert numbers(JournalTail(tmp_path)) == [1, 5]


def _failing(*_: object) -> None:
    raise OSError(errno.EIO, "broken")


def test_a_row_that_is_not_json_stores_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    with pytest.raises(TypeError):
        journal.append_sync([{"n": 1}, {"n": object()}], at_ms=T0)

    assert list(tmp_path.iterdir()) == []


def test_a_file_removed_under_the_writer_is_begun_anew(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append_sync(rows(1), at_ms=T0)
    (tmp_path / FIRST).unlink()
    journal.append_sync(rows(2), at_ms=T0)

    assert numbers(JournalTail(tmp_path)) == [2]


def test_a_file_replaced_under_the_writer_is_appended_to(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append_sync(rows(1), at_ms=T0)
    (tmp_path / FIRST).rename(tmp_path / "archive")
    (tmp_path / FIRST).write_bytes(b'{"n":5}')
    journal.append_sync(rows(2, 3), at_ms=T0)

    assert numbers(JournalTail(tmp_path)) == [2, 3]


def test_a_new_day_within_one_tick_of_the_folders_time_is_seen(tmp_path: Path) -> None:
    journal, tail = Journal(tmp_path), JournalTail(tmp_path)
    journal.append_sync(rows(1), at_ms=T0)
    assert numbers(tail) == [1]
    seen = tmp_path.stat()
    journal.append_sync(rows(2), at_ms=T0 + DAY)
    os.utime(tmp_path, ns=(seen.st_atime_ns, seen.st_mtime_ns))

    assert numbers(tail) == [2]


def test_the_reader_finishes_a_day_before_it_goes_on(tmp_path: Path) -> None:
    journal, tail = Journal(tmp_path), JournalTail(tmp_path)
    journal.append_sync(rows(1), at_ms=T0)
    assert numbers(tail) == [1]
    journal.append_sync(rows(2), at_ms=T0)
    journal.append_sync(rows(3), at_ms=T0 + DAY)
    journal.append_sync(rows(4), at_ms=T0 + 5 * DAY)

    assert numbers(tail) == [2, 3, 4]
    assert tail.position is not None
    assert tail.position.file == "2024-10-09.jsonl"


def test_a21_a_clock_that_steps_back_over_midnight_hides_no_row(tmp_path: Path) -> None:
    journal, tail = Journal(tmp_path), JournalTail(tmp_path)
    journal.append_sync(rows(1), at_ms=T0 + DAY)
    assert numbers(tail) == [1]
    journal.append_sync(rows(2), at_ms=T0)
    journal.close()
    Journal(tmp_path).append_sync(rows(3), at_ms=T0)

    assert numbers(tail) == [2, 3]


def test_with_nothing_new_no_byte_is_read(tmp_path: Path) -> None:
    journal, tail = Journal(tmp_path), JournalTail(tmp_path)
    journal.append_sync(rows(1, 2, 3), at_ms=T0)
    tail.read_new()
    before = tail.bytes_read
    for _ in range(10):
        tail.read_new()

    assert tail.bytes_read == before


def test_a_torn_end_is_not_read_again_and_again(tmp_path: Path) -> None:
    (tmp_path / FIRST).write_bytes(b'{"n":1}\n{"n":')
    os.utime(tmp_path / FIRST, (1_700_000_000, 1_700_000_000))
    tail = JournalTail(tmp_path)
    assert numbers(tail) == [1]
    before = tail.bytes_read
    tail.read_new()

    assert tail.bytes_read == before


def test_b16_reading_costs_new_bytes_only(tmp_path: Path) -> None:
    journal, tail = Journal(tmp_path), JournalTail(tmp_path)
    journal.append_sync(rows(*range(20_000)), at_ms=T0)
    tail.read_new()
    before = tail.bytes_read
    journal.append_sync(rows(7), at_ms=T0)
    tail.read_new()

    # the new line, and the one before it to see that the file is still the same
    assert tail.bytes_read - before <= 2 * len(b'{"n":20000}\n')


def test_b1_lines_that_are_no_objects_are_skipped_and_counted(tmp_path: Path) -> None:
    (tmp_path / FIRST).write_bytes(
        b'{"n":1}\n[1]\n7\n"text"\n{"n":NaN}\n\xff\xfe\n\n{"n"\x00}\n'
        + b"[" * 9999
        + b'\n{"n":2}\n'
    )
    tail = JournalTail(tmp_path)

    assert numbers(tail) == [1, 2]
    assert tail.skipped == 7


def test_b1_swap_files_and_foreign_names_are_not_read(tmp_path: Path) -> None:
    Journal(tmp_path).append_sync(rows(1), at_ms=T0)
    for name in (
        f".{FIRST}.swp",
        f"{FIRST}~",
        f"{FIRST}.gz",
        "notes.jsonl",
        "x2024-10-04.jsonl",
        "latest.json",
    ):
        (tmp_path / name).write_bytes(b'{"n":99}\n')
    (tmp_path / SECOND).mkdir()

    assert numbers(JournalTail(tmp_path)) == [1]


def test_a_folder_that_never_was_is_empty_not_lost(tmp_path: Path) -> None:
    tail = JournalTail(tmp_path / "none")
    assert tail.read_new() == []
    Journal(tmp_path / "none").append_sync(rows(1), at_ms=T0)

    assert numbers(tail) == [1]


@pytest.mark.parametrize("loss", ["file", "folder", "shrunk", "rewritten", "other-folder-in-place"])
def test_a7_what_was_read_and_is_gone_is_an_error(tmp_path: Path, loss: str) -> None:
    folder = tmp_path / "source"
    Journal(folder).append_sync(rows(1, 2), at_ms=T0)
    tail = JournalTail(folder)
    assert numbers(tail) == [1, 2]
    file = folder / FIRST
    match loss:
        case "file":
            file.rename(tmp_path / "archive")
        case "folder":
            folder.rename(tmp_path / "archive")
        case "shrunk":
            file.write_bytes(b"")
        case "rewritten":
            file.write_bytes(b'{"n":3}\n{"n":4}\n{"n":5}\n')
        case _:
            folder.rename(tmp_path / "archive")
            folder.mkdir()

    with pytest.raises(JournalLostError):
        tail.read_new()
    with pytest.raises(JournalLostError):
        tail.read_new()


def test_a7_rows_read_before_a_loss_are_given_first(tmp_path: Path) -> None:
    journal, tail = Journal(tmp_path), JournalTail(tmp_path)
    journal.append_sync(rows(1), at_ms=T0)
    assert numbers(tail) == [1]
    journal.append_sync(rows(2), at_ms=T0)
    (tmp_path / SECOND).symlink_to("/proc/self/mem")  # opens, then cannot be read

    assert numbers(tail) == [2]


def test_a_position_inside_a_line_is_refused(tmp_path: Path) -> None:
    Journal(tmp_path).append_sync(rows(1, 2), at_ms=T0)

    with pytest.raises(JournalLostError, match="rewritten"):
        JournalTail(tmp_path, position=Position(FIRST, 3)).read_new()
