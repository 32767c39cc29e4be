"""What a cycle saw and did, as rows and as words."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from commands.plans.rows import document, has_failed, is_off_target
from commands.plans.single_cycle import AccountCycle, Cycle
from commands.plans.view import show
from commands.plans.watched_venue import Step
from core.cycle import CycleInputs, PassReport, SymbolReport
from core.decision import Reason
from core.errors import (
    CredentialsError,
    NotPlacedError,
    RejectedError,
    TradeEngineError,
    TransientError,
    UnknownOutcomeError,
)
from core.events import Alert
from core.model import Mode, OrderRequest, Position, PositionsRead, Target
from tests.engine.harness import paper_account, settings_for

BTC, ETH = "BTCUSDT", "ETHUSDT"
Screen = pytest.CaptureFixture[str]


def target(symbol: str = BTC) -> Target:
    return Target(
        symbol=symbol,
        exposure=Decimal(1),
        fresh_exposure=Decimal(1),
        leverage=Decimal(3),
        version="v",
        newest_signal_at_ms=0,
        instructed_at_ms=None,
        instruction_id="",
        reasons=(),
    )


def seen(held: str | None, wanted: str | None, *codes: str, verified: bool = False) -> SymbolReport:
    return SymbolReport(
        symbol=BTC,
        held_lots=None if held is None else Decimal(held),
        target_lots=None if wanted is None else Decimal(wanted),
        verified=verified,
        reasons=tuple(Reason(code=code, text=f"says {code}") for code in codes),
    )


def order(
    size: str, *, reduce_only: bool = False, error: TradeEngineError | None = None, name: str = ""
) -> Step:
    made = OrderRequest(
        client_id=name or f"id{size}",
        symbol=BTC,
        size_lots=Decimal(size),
        reduce_only=reduce_only,
        limit_price=None,
    )
    return Step(symbol=BTC, order=made, error=error)


def account(
    report: SymbolReport | None = None,
    *steps: Step,
    before: Mapping[str, str] | None = None,
    **changes: Any,
) -> AccountCycle:
    """An account after a cycle of one symbol; `before` is what was held at first."""
    rows = {s: Position(symbol=s, size_lots=Decimal(x)) for s, x in (before or {}).items()}
    told = None
    if report is not None:
        told = PassReport(
            account="one",
            generation=0,
            began_at_ms=0,
            ended_at_ms=5,
            equity_usdt=Decimal("1000.50"),
            symbols={BTC: report},
            targets={BTC: target()},
            confirmed={},
        )
    fields: dict[str, Any] = {
        "account": paper_account(),
        "state": "ready",
        "is_armed": True,
        "brake": Mode.RUN,
        "brake_reason": "",
        "failures": (),
        "took_ms": 7,
        "report": told,
        "first_positions": PositionsRead(began_at_ms=0, positions=rows),
        "steps": steps,
        "filled": {},
        "frozen": {},
    }
    return AccountCycle(**{**fields, **changes})


def tell(*accounts: AccountCycle, kind: str = "plan", alerts: tuple[Alert, ...] = ()) -> Any:
    settings = settings_for((BTC, ETH), account=paper_account())
    inputs = CycleInputs(generation=0, settings=settings, contributions=())
    return document(Cycle(inputs=inputs, accounts=accounts, alerts=alerts), kind=kind)


@pytest.mark.parametrize(
    ("before", "steps", "does"),
    [
        pytest.param({}, [order("2")], "open", id="open"),
        pytest.param({BTC: "1"}, [order("2")], "increase", id="increase"),
        pytest.param({BTC: "3"}, [order("-2", reduce_only=True)], "reduce", id="reduce"),
        pytest.param({BTC: "2"}, [order("-2", reduce_only=True)], "close", id="close"),
        pytest.param({BTC: "2"}, [order("-2", reduce_only=True), order("-1")], "flip", id="flip"),
        pytest.param(
            {BTC: "2"}, [order("-2", reduce_only=True), order("2")], "reopen", id="reopen"
        ),
        pytest.param({BTC: "2"}, [Step(symbol=BTC, leverage=Decimal(3))], "nothing", id="setting"),
    ],
)
def test_what_orders_amount_to_is_named(
    before: dict[str, str], steps: list[Step], does: str
) -> None:
    (row,) = tell(account(seen("1", "2"), *steps, before=before))["symbols"]

    assert row["does"] == does
    assert [r["code"] for r in row["reasons"]] == ([] if does == "nothing" else [does])


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        pytest.param(None, "placed", id="placed"),
        pytest.param(UnknownOutcomeError("?"), "unknown", id="unknown"),
        pytest.param(RejectedError("no", kind="margin"), "rejected", id="rejected"),
        pytest.param(RejectedError("again", kind="duplicate_id"), "unknown", id="duplicate-id"),
        pytest.param(NotPlacedError("not sent"), "not_placed", id="not-placed"),
        pytest.param(CredentialsError("key"), "rejected", id="key"),
        pytest.param(TransientError("odd"), "unknown", id="whatever-else"),
    ],
)
def test_an_order_is_only_said_to_be_what_its_answer_proves(
    error: TradeEngineError | None, outcome: str
) -> None:
    (row,) = tell(account(seen("0", "2"), order("2", error=error)), kind="real")["symbols"]

    assert row["steps"][0]["outcome"] == outcome


def test_a_position_that_nobody_wants_has_a_row_of_its_own() -> None:
    told = tell(account(seen("1", "1", verified=True), before={BTC: "1", ETH: "-4"}))
    stranger = told["symbols"][1]

    assert (stranger["symbol"], stranger["held_lots"], stranger["target_lots"]) == (ETH, "-4", None)
    assert [r["code"] for r in stranger["reasons"]] == ["orphan"]
    assert is_off_target(told) is False


@pytest.mark.parametrize(
    ("report", "steps", "kind", "off"),
    [
        pytest.param(seen("2", "2", verified=True), [order("2")], "plan", True, id="to-be-sent"),
        pytest.param(seen("2", "2", verified=True), [order("2")], "real", False, id="sent"),
        pytest.param(seen("0", "2", "paused"), [], "plan", True, id="blocked"),
        pytest.param(seen("0", "2", "paused"), [], "real", True, id="blocked-for-real"),
        pytest.param(seen(None, "2", "read_unreadable"), [], "real", True, id="unread"),
        pytest.param(seen("0", "0", "below_minimum", verified=True), [], "plan", False, id="final"),
    ],
)
def test_off_target_is_what_is_not_held_as_wanted(
    report: SymbolReport, steps: list[Step], kind: str, *, off: bool
) -> None:
    assert is_off_target(tell(account(report, *steps), kind=kind)) is off


def test_a_halted_symbol_is_measured_by_its_frozen_lots() -> None:
    halted = account(seen("0", None, "halted"), frozen={BTC: Decimal(2)})
    (row,) = tell(halted)["symbols"]

    assert (row["target_lots"], row["delta_lots"], row["is_off_target"]) == ("2", "2", True)


def test_failures_and_alerts_are_told_once() -> None:
    alerts = tuple(
        Alert(key=key, severity="error", text=key, since_ms=0, account=name)
        for key, name in [("account/one", "one"), ("source_lost/x", ""), ("removed/old", "old")]
    )
    told = tell(account(failures=("no key",)), alerts=alerts)

    assert has_failed(told) is True
    assert told["symbols"] == []
    assert [row["key"] for row in told["alerts"]] == ["source_lost/x", "removed/old"]


def shown(told: Any, screen: Screen) -> tuple[list[str], str]:
    """Lines of stdout with blanks as one, and stderr."""
    show(told)
    said = screen.readouterr()
    return [" ".join(line.split()) for line in said.out.splitlines()], said.err


def test_a_person_reads_both_steps_of_a_flip_and_its_reason(capsys: Screen) -> None:
    flip = account(
        seen("-0.3", "-0.3", verified=True),
        order("-0.52", reduce_only=True),
        Step(symbol=BTC, leverage=Decimal(3)),
        order("-0.1", name="a"),
        order("-0.2", name="b"),
        before={BTC: "0.52"},
        is_armed=False,
    )
    lines, _ = shown(tell(flip), capsys)

    assert lines[0] == "What the engine would do now. Nothing was sent."
    assert "one bybit paper 1000.5 7" in lines
    assert (
        "one BTCUSDT 0.52 -0.3 -0.82 sell 0.52 reduce-only, then set leverage 3, then sell 0.3 in "
        "2 orders closes, is seen flat, then opens the other side (flip); not armed: none of this "
        "is sent until `./trade-engine arm one` (dry_run)"
    ) in lines
    assert "No source ever spoke of BTCUSDT, ETHUSDT: no target, nothing is sent." in lines


def test_a_person_reads_what_was_done_what_was_refused_and_what_failed(capsys: Screen) -> None:
    done = account(
        seen("0.1", "0.3", "backoff"),
        Step(symbol=BTC, leverage=Decimal(3), error=RejectedError("\x1b[31mno")),
        order("0.1", name="a"),
        order("0.2", name="b", error=RejectedError("too much", kind="margin")),
        filled={"a": Decimal("0.1")},
        brake=Mode.PAUSE,
        brake_reason="pause by ann",
        failures=("tickers: no answer",),
    )
    lines, err = shown(tell(done, kind="real"), capsys)

    assert lines[0] == "One cycle, done."
    assert "one bybit paper, pause: pause by ann 1000.5 7" in lines
    row = next(line for line in lines if line.startswith("one BTCUSDT"))
    assert "\x1b" not in row
    assert "then buy 0.3 in 2 orders: filled 0.1; refused: too much 0.1 opens (open)" in row
    assert row.endswith("says backoff (backoff)")
    assert err == "one: tickers: no answer\n"


def test_what_is_unknown_is_never_shown_as_nothing(capsys: Screen) -> None:
    unread = account(seen(None, None, "read_unreadable"), first_positions=None)
    lines, _ = shown(tell(unread), capsys)

    assert "one BTCUSDT ? says read_unreadable (read_unreadable)" in lines


def test_without_anything_it_says_so(capsys: Screen) -> None:
    lines, _ = shown(tell(kind="simulated"), capsys)

    assert lines[0].startswith("One cycle (simulated)")
    assert "Nothing is held and nothing is wanted." in lines
