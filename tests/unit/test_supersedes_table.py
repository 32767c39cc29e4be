"""The 22 sequences of alerts whose end is agreed: numbered as in the rules.

Each is played through grammar and fold as the receiver does, and folded again from its journal.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import orjson
import pytest

from core.checkpoint import SymbolState
from core.model import Signal
from signal_processors.tradingview_fold import TradingViewFold
from signal_processors.tradingview_order import position
from signal_processors.tradingview_processor import ParsedAlert, parse, to_signal

T0 = 1_795_236_000_000  # 2026-11-21T04:40:00Z
H = 3600.0
NAMES = {1: "L", -1: "S", 0: "F"}
WORDS = {"L": "long", "S": "short", "F": "flat"}


@dataclass(frozen=True)
class Step:
    """One alert: what it says, when it comes, whether our disk was full."""

    body: bytes
    at_s: float
    is_refused: bool = False


def alert(at_s: float, what: str, *, refused: bool = False, **fields: Any) -> Step:
    """`what` is L, S or F with a size in percent behind it, such as L5."""
    body: dict[str, Any] = {"symbol": "ETHUSDT", "direction": WORDS[what[0]]}
    if what[0] != "F":
        body["size"] = f"{what[1:] or '5'}/100"
    return Step(orjson.dumps(body | fields), at_s, refused)


def clock(at_s: float) -> str:
    """The time of a fire, as TradingView writes {{timenow}}."""
    minutes, seconds = divmod(int(at_s), 60)
    return f"2026-11-21T{4 + (40 + minutes) // 60:02}:{(40 + minutes) % 60:02}:{seconds:02}Z"


@dataclass
class Replay:
    """What a sequence led to."""

    fold: TradingViewFold = field(default_factory=TradingViewFold)
    state: SymbolState | None = None
    journal: list[Signal] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    duplicates: int = 0

    @property
    def end(self) -> str:
        assert self.state is not None
        return NAMES[position(self.state.newest)]

    @property
    def is_ambiguous(self) -> bool:
        return any("order_ambiguous" in warning for warning in self.warnings)

    def take(self, candidate: Signal, *, is_refused: bool = False) -> None:
        decision = self.fold.decide(self.state, candidate)
        self.fold.note(decision)
        if is_refused:
            self.fold.drop()
            self.fold.note_refused(candidate)
            return
        self.fold.keep()
        self.warnings += decision.warnings
        if decision.signal is None:
            self.duplicates += 1
            return
        self.journal.append(decision.signal)
        if decision.signal.status == "accepted":
            self.state = SymbolState.after(self.state, decision.signal)


def play(steps: Sequence[Step]) -> Replay:
    replay = Replay()
    for n, step in enumerate(steps):
        parsed = parse(step.body, received_at_ms=T0 + round(step.at_s * 1000))
        assert isinstance(parsed, ParsedAlert), parsed
        candidate = to_signal(parsed, signal_id=f"tv-{n}", symbol="ETHUSDT")
        replay.take(candidate, is_refused=step.is_refused)
    return replay


def statuses(journal: Sequence[Signal]) -> list[tuple[str, str, str]]:
    return [(row.id, row.status, row.reason) for row in journal]


def refold(journal: Sequence[Signal]) -> list[Signal]:
    """Fold what was journaled anew, as if it had just come."""
    again = Replay()
    for row in journal:
        stored = Signal.from_row(orjson.loads(orjson.dumps(row.to_row())))
        meta = {**stored.meta, "warnings": []}
        again.take(replace(stored, status="accepted", reason="", meta=meta))
    return again.journal


ROWS = [
    pytest.param([alert(0, "L5"), alert(60, "L8"), alert(63, "F")], "F", id="1"),
    pytest.param([alert(0, "F"), alert(1, "F"), alert(5, "L")], "L", id="2"),
    pytest.param([alert(0, "L"), alert(90, "F"), alert(91, "S")], "S", id="3"),
    pytest.param(
        [
            alert(0, "L"),
            alert(90, "S", action="sell"),
            alert(91, "F", action="sell"),
        ],
        "S",
        id="4",
    ),
    pytest.param(
        [alert(0, "L"), alert(90, "S", action="sell"), alert(92, "F", action="buy")], "F", id="5"
    ),
    pytest.param([alert(0, "L"), alert(90, "S"), alert(92, "F")], "F", id="6"),
    pytest.param([alert(0, "S"), alert(2, "F")], "F", id="7"),
    pytest.param([alert(0, "F"), alert(20, "L"), alert(40, "F")], "F", id="8"),
    pytest.param([alert(0, "L5", event_id="x"), alert(24 * H, "L8", event_id="x")], "L", id="9"),
    pytest.param([alert(0, "L", signal_seq=812), alert(H, "S", signal_seq=1)], "S", id="10"),
    pytest.param(
        [
            alert(0, "L", time="2026-11-21T04:35:00Z"),
            alert(60, "S", time="2026-11-21T04:00:00Z"),
        ],
        "S",
        id="11",
    ),
    pytest.param(
        [
            alert(0, "L", timenow=clock(2 * H)),
            alert(60, "S", timenow=clock(60)),
            alert(120, "F", timenow=clock(120)),
        ],
        "F",
        id="12",
    ),
    pytest.param([alert(0, "L", refused=True), alert(2, "S"), alert(5, "L")], "S", id="13"),
    pytest.param([alert(2, "S", timenow=clock(2)), alert(5, "L", timenow=clock(0))], "S", id="14"),
    pytest.param([alert(0, "L", signal_seq=7), alert(2, "S", timenow=clock(0))], "S", id="15"),
    pytest.param(
        [alert(0, "L", signal_seq=10), alert(2, "S", signal_seq=12), alert(4, "F", signal_seq=11)],
        "S",
        id="16",
    ),
    pytest.param(
        [
            alert(0, "L", signal_seq=900, strategy="trend"),
            alert(2, "S", signal_seq=3, strategy="grid"),
        ],
        "S",
        id="17",
    ),
    pytest.param(
        [
            alert(0, "L"),
            alert(90, "S", prev_market_position="flat"),
            alert(91, "F", prev_market_position="long"),
        ],
        "S",
        id="18",
    ),
    pytest.param(
        [alert(0, "L", prev_market_position="flat"), alert(9, "F", prev_market_position="long")],
        "F",
        id="19",
    ),
    pytest.param(
        [alert(0, "S", timenow=clock(0)), alert(600, "L", timenow=clock(-60))], "S", id="20"
    ),
    pytest.param(
        [alert(0, "F", event_id="x"), alert(200, "L", event_id="x"), alert(400, "F", event_id="x")],
        "F",
        id="21",
    ),
    pytest.param([alert(H, "L"), alert(3, "S"), alert(90, "F")], "F", id="22"),
]


def row(number: int) -> list[Step]:
    steps, _ = ROWS[number - 1].values
    return cast("list[Step]", steps)


def test_all_rows_are_there() -> None:
    assert [param.id for param in ROWS] == [str(n) for n in range(1, 23)]


@pytest.mark.parametrize(("steps", "end"), ROWS)
def test_sequence_ends_as_agreed(
    steps: list[Step], end: str, request: pytest.FixtureRequest
) -> None:
    replay = play(steps)

    assert replay.end == end
    assert replay.is_ambiguous is (request.node.callspec.id == "6")
    assert statuses(refold(replay.journal)) == statuses(replay.journal)


@pytest.mark.parametrize(("number", "stored"), [(2, 2), (8, 3), (9, 2), (13, 2), (21, 3)])
def test_only_certain_duplicates_are_dropped(number: int, stored: int) -> None:
    assert len(play(row(number)).journal) == stored


def test_a4_entry_add_exit_three_seconds_later_ends_flat() -> None:
    assert play([alert(0, "L5"), alert(1, "L8"), alert(4, "F")]).end == "F"


def test_a4_flat_duplicate_flat_long_four_seconds_later_ends_long() -> None:
    assert play([alert(0, "F"), alert(0.5, "F"), alert(4.5, "L")]).end == "L"


def test_a4_long_short_flat_one_second_apart_ends_flat() -> None:
    assert play([alert(0, "L"), alert(1, "S"), alert(2, "F")]).end == "F"


def test_the_loser_is_journaled_and_says_why() -> None:
    replay = play(row(16))

    assert [row.status for row in replay.journal] == ["accepted", "accepted", "superseded"]
    assert replay.journal[-1].reason == "older than tv-1 by signal_seq"
    assert any("superseded" in warning for warning in replay.warnings)


def test_ambiguity_names_its_cure() -> None:
    assert any("{{timenow}}" in warning for warning in play(row(6)).warnings)


def test_after_a_reversal_of_minutes_ago_a_flat_is_not_ambiguous() -> None:
    assert not play([alert(0, "L"), alert(90, "S"), alert(96, "F")]).is_ambiguous


def test_two_alerts_refused_in_a_row_keep_their_order() -> None:
    """The disk was full for a while: the entry, then the exit, then both come again."""
    replay = play(
        [
            alert(0, "L", refused=True),
            alert(3, "F", refused=True),
            alert(5, "L"),
            alert(8, "F"),
        ]
    )

    assert replay.end == "F"


def test_a_copy_refused_again_still_counts_from_its_first_try() -> None:
    replay = play(
        [
            alert(0, "L", refused=True),
            alert(2, "S"),
            alert(5, "L", refused=True),
            alert(10, "L"),
        ]
    )

    assert replay.end == "S"
    assert replay.journal[-1].meta["first_arrival_ms"] == T0


def test_the_first_stored_copy_uses_the_memory_up() -> None:
    replay = play([alert(0, "L", refused=True), alert(5, "L"), alert(8, "S"), alert(50, "L")])

    assert replay.end == "L"


def test_a_refusal_is_forgotten_after_a_minute() -> None:
    assert play([alert(0, "L", refused=True), alert(2, "S"), alert(61, "L")]).end == "L"


def test_an_identical_body_after_a_minute_is_news() -> None:
    assert len(play([alert(0, "L"), alert(60, "L"), alert(61, "L")]).journal) == 2


def test_a_late_copy_of_one_firing_is_dropped_though_others_came_between() -> None:
    replay = play(
        [
            alert(0, "L", event_id="a", timenow=clock(0)),
            alert(200, "S"),
            alert(500, "L", event_id="a", timenow=clock(0)),
            alert(700, "L", event_id="a", timenow=clock(0)),
        ]
    )

    assert replay.duplicates == 1
    assert replay.end == "L"  # the last one is beyond the memory, and the newest has no timenow


def test_the_same_event_id_with_another_body_is_stored_with_a_warning() -> None:
    replay = play([alert(0, "L5", event_id="a"), alert(60, "L8", event_id="a")])

    assert len(replay.journal) == 2
    assert any("event_id" in warning for warning in replay.warnings)
