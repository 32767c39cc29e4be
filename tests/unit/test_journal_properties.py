"""Whatever happens to writer, reader, disk and clock: acknowledged rows are read once, in order."""

import tempfile
from contextlib import suppress
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from core.journal import Journal, JournalTail, encode_rows, journal_names
from tests.disk_full import disk_full_after

DAY = 86_400_000
T0 = 20_000 * DAY

padding = st.integers(0, 40).map(lambda n: "x" * n)


class JournalMachine(RuleBasedStateMachine):
    """One writer that crashes, one reader that restarts."""

    def __init__(self) -> None:
        super().__init__()
        self.temporary = tempfile.TemporaryDirectory()
        self.folder = Path(self.temporary.name)
        self.journal = Journal(self.folder)
        self.tail = JournalTail(self.folder)
        self.now_ms = T0
        self.count = 0
        self.acknowledged: list[int] = []
        self.read: list[int] = []

    def rows(self, pads: list[str]) -> list[dict[str, int | str]]:
        self.count += len(pads)
        return [{"n": self.count - len(pads) + i, "pad": pad} for i, pad in enumerate(pads)]

    def file(self) -> Path:
        names = journal_names(self.folder)
        return self.folder / (names[-1] if names else "2024-10-04.jsonl")

    @rule(pads=st.lists(padding, min_size=1, max_size=3))
    def append(self, pads: list[str]) -> None:
        rows = self.rows(pads)
        self.journal.append_sync(rows, at_ms=self.now_ms)
        self.acknowledged += [int(row["n"]) for row in rows]

    @rule(pads=st.lists(padding, min_size=1, max_size=3), room=st.integers(0, 120))
    def append_on_a_filling_disk(self, pads: list[str], room: int) -> None:
        file = self.file()
        size = file.stat().st_size if file.exists() else 0
        rows = self.rows(pads)
        with disk_full_after(size + room), suppress(OSError):
            self.journal.append_sync(rows, at_ms=self.now_ms)
            self.acknowledged += [int(row["n"]) for row in rows]

    @rule(pads=st.lists(padding, min_size=1, max_size=2), cut=st.integers(1, 200))
    def crash_within_a_write(self, pads: list[str], cut: int) -> None:
        lines = encode_rows(self.rows(pads)[-1:])  # torn anywhere, its newline at most missing
        with self.file().open("ab") as file:
            file.write(lines[: min(cut, len(lines) - 1)])
        self.journal.close()
        self.journal = Journal(self.folder)

    @rule(line=st.sampled_from([b"\xff\xfe\n", b"[]\n", b"\n", b"\x00" * 70 + b"\n"]))
    def somebody_adds_rubbish(self, line: bytes) -> None:
        file = self.file()
        if file.exists() and file.read_bytes()[-1:] in (b"", b"\n"):
            with file.open("ab") as handle:
                handle.write(line)

    @rule()
    def restart_writer(self) -> None:
        self.journal.close()
        self.journal = Journal(self.folder)

    @rule(days=st.integers(-1, 2))
    def clock_steps(self, days: int) -> None:
        self.now_ms += days * DAY

    @rule()
    def read_on(self) -> None:
        self.read += [row["n"] for row in self.tail.read_new()]

    @rule()
    def restart_reader(self) -> None:
        self.tail = JournalTail(self.folder, position=self.tail.position)

    @invariant()
    def nothing_is_read_that_was_not_acknowledged_nor_twice(self) -> None:
        assert self.read == self.acknowledged[: len(self.read)]

    def teardown(self) -> None:
        self.read_on()
        self.journal.close()
        self.temporary.cleanup()
        assert self.read == self.acknowledged


TestJournal = JournalMachine.TestCase
TestJournal.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)
