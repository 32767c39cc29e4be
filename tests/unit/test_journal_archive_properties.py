"""Whatever is appended, compressed, killed or lost: each symbol's newest signal is found."""

import gzip
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from core.checkpoint import (
    CHECKPOINT_NAME,
    Checkpoint,
    SymbolState,
    load_checkpoint,
    save_checkpoint,
)
from core.home import Home
from core.journal import Journal, Position, compress_old_days, encode_rows
from core.source_reader import SourceReader
from tests.archived_days import day, lines_of, put_back, states_during
from tests.source_folder import DAY, T0, depths, folder, signal

symbols = st.sampled_from(["ETHUSDT", "BTCUSDT", "SOLUSDT"])
statuses = st.sampled_from(["accepted", "accepted", "superseded", "rejected"])
ages = st.integers(0, 3)


class ArchiveMachine(RuleBasedStateMachine):
    """A source's writer with its checkpoint, and a reader that looks in now and then."""

    def __init__(self) -> None:
        super().__init__()
        self.temporary = tempfile.TemporaryDirectory()
        self.home = Home(Path(self.temporary.name))
        self.folder = folder(self.home)
        self.folder.mkdir(parents=True)
        self.journal = Journal(self.folder)
        self.today = 0
        self.count = 0
        self.written = b""
        self.states: dict[str, SymbolState] = {}
        self.covered: Position | None = None
        self.follower = SourceReader(self.home, "one")

    @rule(symbol=symbols, status=statuses)
    def append(self, symbol: str, status: str) -> None:
        self.count += 1
        said = signal(self.count % 90, symbol, id=f"tv-{self.count}", status=status)
        at_ms = T0 + self.today * DAY
        self.covered = self.journal.append_sync([said.to_row()], at_ms=at_ms)
        self.written += encode_rows([said.to_row()])
        if status == "accepted":
            self.states[symbol] = SymbolState.after(self.states.get(symbol), said)

    @rule(days=st.integers(1, 3))
    def days_pass(self, days: int) -> None:
        self.today += days

    @rule()
    def save(self) -> None:
        save_checkpoint(
            self.folder,
            Checkpoint(source="one", states=dict(self.states), covered=self.covered),
        )

    @rule()
    def lose_the_checkpoint(self) -> None:
        (self.folder / CHECKPOINT_NAME).unlink(missing_ok=True)

    @rule(age=ages)
    def compress(self, age: int) -> None:
        saved = load_checkpoint(self.folder)
        positions = [self.covered, None if saved is None else saved.covered]
        compress_old_days(
            self.folder,
            before_day=day(self.today - age),
            newest={symbol: state.newest.id for symbol, state in self.states.items()},
            kept={position.file for position in positions if position is not None},
        )

    @rule(age=ages, when=st.integers(0, 1000))
    def compress_and_be_killed(self, age: int, when: int) -> None:
        left_behind = states_during(lambda: self.compress(age), self.folder)
        self.journal.close()
        put_back(self.folder, left_behind[when % len(left_behind)])

    @rule()
    def somebody_unpacks_a_day(self) -> None:
        for packed in list(self.folder.glob("*.gz"))[:1]:
            packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))

    @rule()
    def restart_writer(self) -> None:
        self.journal.close()
        self.journal = Journal(self.folder)

    @rule()
    def follow(self) -> None:
        assert self.found_by(self.follower) == self.newest()

    @invariant()
    def no_line_is_lost(self) -> None:
        assert lines_of(self.folder) == self.written

    @invariant()
    def a_fresh_reader_finds_the_newest_of_each_symbol(self) -> None:
        assert self.found_by(SourceReader(self.home, "one")) == self.newest()

    @invariant()
    def so_it_does_without_the_checkpoint(self) -> None:
        checkpoint = self.folder / CHECKPOINT_NAME
        aside = self.folder / "aside"
        if checkpoint.exists():
            checkpoint.rename(aside)
        found = self.found_by(SourceReader(self.home, "one"))
        if aside.exists():
            aside.rename(checkpoint)
        assert found == self.newest()

    def found_by(self, reader: SourceReader) -> dict[str, str] | None:
        reader._retry_at_s = 0
        if depths(reader) is None:
            return None
        return {symbol: found.id for symbol, found in (reader.sweep() or {}).items()}

    def newest(self) -> dict[str, str]:
        return {symbol: state.newest.id for symbol, state in self.states.items()}

    def teardown(self) -> None:
        self.journal.close()
        self.temporary.cleanup()


TestArchive = ArchiveMachine.TestCase
TestArchive.settings = settings(max_examples=100, stateful_step_count=25, deadline=None)
