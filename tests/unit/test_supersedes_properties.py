"""What holds for any alerts at all: an answer, the same answer, and the same after a rebuild."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from core.checkpoint import Checkpoint, SymbolState
from core.model import Signal
from signal_processors.tradingview_order import judge, position, supersedes
from tests.unit.test_supersedes_table import Step, alert, clock, play, refold, statuses

rubbish = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.just([1]))
times = st.integers(0, 120_000).map(lambda n: 1_795_236_000_000 + n)
signals = st.builds(
    Signal,
    id=st.uuids().map(str),
    source=st.just("tradingview"),
    source_symbol=st.just("ETHUSDT"),
    symbol=st.just("ETHUSDT"),
    depth=st.sampled_from(["0.05", "0.08", "0", "-0.05"]).map(Decimal),
    leverage=st.none(),
    price=st.none(),
    fired_at_ms=st.none() | times,
    received_at_ms=times,
    sequence=st.none() | st.integers(-3, 10**18),
    strategy=st.sampled_from(["", "", "trend"]),
    meta=st.fixed_dictionaries(
        {},
        optional={
            "action": st.sampled_from(["buy", "sell"]) | rubbish,
            "previous": st.sampled_from(["long", "short", "flat"]) | rubbish,
            "first_arrival_ms": times | rubbish,
            "body_sha256": rubbish,
            "event_id": rubbish,
            "warnings": rubbish,
        },
    ),
)


@given(newest=signals, candidate=signals)
@settings(max_examples=400)
def test_any_two_alerts_get_one_answer(newest: Signal, candidate: Signal) -> None:
    answer = supersedes(newest, candidate)

    assert answer == supersedes(newest, candidate)
    assert answer[0] is True or answer[1] != "arrival"


@given(one=signals, other=signals)
@settings(max_examples=400)
def test_where_a_key_decides_arrival_does_not_matter(one: Signal, other: Signal) -> None:
    """Timenow, number and chain give the same winner whichever came first."""
    there, back = supersedes(one, other), supersedes(other, one)
    symmetric = ("timenow", "signal_seq", "chain")

    if there[1] in symmetric:
        assert back == (not there[0], there[1])


@given(newest=signals, before=st.sampled_from([None, -1, 0, 1]), candidate=signals)
def test_only_an_accepted_flat_is_ambiguous(
    newest: Signal, before: int | None, candidate: Signal
) -> None:
    verdict = judge(newest, before, candidate)

    if verdict.is_ambiguous:
        assert verdict.is_newer
        assert position(candidate) == 0
        assert before == -position(newest)


@st.composite
def sequences(draw: st.DrawFn) -> list[Step]:
    steps: list[Step] = []
    at_s = 0.0
    for _ in range(draw(st.integers(1, 12))):
        at_s += draw(st.sampled_from([0.0, 0.2, 1, 2, 4, 6, 20, 31, 61, 700, -2, -3600]))
        fields: dict[str, Any] = {}
        if draw(st.booleans()):
            fields["timenow"] = clock(max(0.0, at_s + draw(st.sampled_from([0, -1, -5, 90]))))
        if draw(st.booleans()):
            fields["signal_seq"] = draw(st.integers(1, 4))
        if draw(st.booleans()):
            fields["strategy"] = draw(st.sampled_from(["a", "b"]))
        if draw(st.booleans()):
            fields["action"] = draw(st.sampled_from(["buy", "sell"]))
        if draw(st.booleans()):
            fields["prev_market_position"] = draw(st.sampled_from(["long", "short", "flat"]))
        if draw(st.booleans()):
            fields["event_id"] = draw(st.sampled_from(["x", "y"]))
        what = draw(st.sampled_from(["L5", "L8", "S", "F"]))
        steps.append(alert(at_s, what, refused=draw(st.integers(0, 4)) == 0, **fields))
    return steps


@given(steps=sequences())
@settings(max_examples=400)
def test_a_rebuild_gives_what_the_live_process_gave(steps: Sequence[Step]) -> None:
    replay = play(steps)

    assert statuses(refold(replay.journal)) == statuses(replay.journal)


@given(steps=sequences())
@settings(max_examples=200)
def test_the_newest_is_the_last_accepted_line(steps: Sequence[Step]) -> None:
    replay = play(steps)
    accepted = [row for row in replay.journal if row.status == "accepted"]

    assert (replay.state.newest if replay.state else None) == (accepted[-1] if accepted else None)


@given(steps=sequences())
@settings(max_examples=200)
def test_a_dropped_alert_repeats_one_that_is_stored(steps: Sequence[Step]) -> None:
    replay = play(steps)
    asked = sum(not step.is_refused for step in steps)
    bodies = {row.meta["body_sha256"] for row in replay.journal}

    assert len(replay.journal) + replay.duplicates == asked
    assert len(bodies) == len({step.body for step in steps if not step.is_refused})


def test_checkpoints_carry_the_state_of_the_fold(tmp_path: Any) -> None:
    from core.checkpoint import load_checkpoint, save_checkpoint  # noqa: PLC0415

    state = play([alert(0, "L"), alert(90, "S")]).state
    assert isinstance(state, SymbolState)
    save_checkpoint(tmp_path, Checkpoint(source="x", states={"ETHUSDT": state}, covered=None))
    again = load_checkpoint(tmp_path)

    assert again is not None
    assert again.states["ETHUSDT"].before_newest == 1
    assert again.states["ETHUSDT"].newest.id == "tv-1"
