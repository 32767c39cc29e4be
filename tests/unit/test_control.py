"""What people decided: scopes, strictness, lifted holds, armed accounts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from core.control import (
    EVERYTHING,
    FREE,
    Armed,
    Control,
    ControlEntry,
    Resumed,
    Scope,
    strictest,
)
from core.model import Mode
from core.settings import AccountConfig

ACCOUNTS, SYMBOLS = ("a", "b"), ("BTCUSDT", "ETHUSDT")
scopes = st.builds(
    Scope, account=st.sampled_from((None, *ACCOUNTS)), symbol=st.sampled_from((None, *SYMBOLS))
)


def entry(scope: Scope, mode: Mode, why: str = "") -> ControlEntry:
    return ControlEntry(scope=scope, mode=mode, who="ann", when_ms=1, why=why, id="x")


def resumed(scope: Scope, when_ms: int = 5) -> Resumed:
    return Resumed(scope=scope, who="ann", when_ms=when_ms, id="y")


def live(name: str = "a", key: str = "k") -> AccountConfig:
    return AccountConfig(
        name=name,
        exchange="bybit",
        api_key=SecretStr(key),
        api_secret=SecretStr("s"),
        environment="live",
    )


def test_nothing_decided_lets_everything_run() -> None:
    assert Control().mode_for("a", "BTCUSDT", now_ms=1) == FREE


@pytest.mark.parametrize(
    ("scope", "holds"),
    [
        (EVERYTHING, {("a", "BTCUSDT"), ("a", "ETHUSDT"), ("b", "BTCUSDT"), ("b", "ETHUSDT")}),
        (Scope(account="a"), {("a", "BTCUSDT"), ("a", "ETHUSDT")}),
        (Scope(symbol="BTCUSDT"), {("a", "BTCUSDT"), ("b", "BTCUSDT")}),
        (Scope(account="a", symbol="BTCUSDT"), {("a", "BTCUSDT")}),
    ],
)
def test_a_mode_holds_in_its_scope_and_nowhere_else(
    scope: Scope, holds: set[tuple[str, str]]
) -> None:
    control = Control().with_mode(entry(scope, Mode.PAUSE))
    held = {
        (account, symbol)
        for account in ACCOUNTS
        for symbol in SYMBOLS
        if control.mode_for(account, symbol, now_ms=1)[0] is Mode.PAUSE
    }

    assert held == holds


def test_a_symbols_mode_is_not_the_accounts() -> None:
    control = Control().with_mode(entry(Scope(symbol="BTCUSDT"), Mode.HALT))

    assert control.mode_for("a", now_ms=1) == FREE


@pytest.mark.parametrize(
    ("modes", "expected"),
    [
        ((), Mode.RUN),
        ((Mode.RUN, Mode.PAUSE), Mode.PAUSE),
        ((Mode.PAUSE, Mode.HALT), Mode.HALT),
        ((Mode.FLATTEN, Mode.PAUSE), Mode.FLATTEN),
        ((Mode.HALT, Mode.FLATTEN), Mode.FLATTEN),
    ],
)
def test_the_strictest_holds_and_flatten_overrides_halt(
    modes: tuple[Mode, ...], expected: Mode
) -> None:
    assert strictest(*((mode, str(mode)) for mode in modes))[0] is expected


def test_the_reason_names_mode_scope_person_and_why() -> None:
    scope = Scope(account="a", symbol="BTCUSDT")
    control = Control().with_mode(entry(scope, Mode.HALT, "exchange looks odd"))

    assert control.mode_for("a", "BTCUSDT", now_ms=1) == (
        Mode.HALT,
        "halt of BTCUSDT on a by ann: exchange looks odd",
    )
    assert entry(EVERYTHING, Mode.PAUSE).reason == "pause of everything by ann"
    assert entry(Scope(account="a"), Mode.PAUSE).reason == "pause of everything on a by ann"


def test_unknown_decisions_let_nothing_increase() -> None:
    control = Control(problem="control.json is damaged", is_unknown=True)

    assert control.mode_for("a", "BTCUSDT", now_ms=1) == (Mode.PAUSE, "control.json is damaged")
    assert not control.is_armed(live())


def test_a_resume_lifts_exactly_its_scope() -> None:
    control = (
        Control()
        .with_mode(entry(EVERYTHING, Mode.PAUSE))
        .with_mode(entry(Scope(symbol="BTCUSDT"), Mode.HALT))
        .with_resumed(resumed(EVERYTHING))
    )

    assert control.mode_for("a", "ETHUSDT", now_ms=1) == FREE
    assert control.mode_for("a", "BTCUSDT", now_ms=1)[0] is Mode.HALT


@pytest.mark.parametrize(
    ("scope", "symbol_hold", "account_hold"),
    [
        (EVERYTHING, None, None),
        (Scope(account="a"), None, 5),
        (Scope(account="b"), None, None),
        (Scope(symbol="BTCUSDT"), 5, None),
        (Scope(account="a", symbol="BTCUSDT"), 5, None),
        (Scope(account="b", symbol="BTCUSDT"), None, None),
        (Scope(symbol="ETHUSDT"), None, None),
    ],
)
def test_a9_only_a_resume_that_names_it_lifts_a_hold(
    scope: Scope, symbol_hold: int | None, account_hold: int | None
) -> None:
    control = Control().with_resumed(resumed(scope))

    assert control.resumed_at_ms("a", "BTCUSDT") == symbol_hold
    assert control.resumed_at_ms("a") == account_hold


def test_the_newest_of_several_resumes_counts() -> None:
    control = (
        Control()
        .with_resumed(resumed(Scope(symbol="BTCUSDT"), 9))
        .with_resumed(resumed(Scope(account="a", symbol="BTCUSDT"), 7))
    )

    assert control.resumed_at_ms("a", "BTCUSDT") == 9


def test_a_live_account_is_dry_run_until_armed() -> None:
    account = live()
    armed = Armed(fingerprint=account.fingerprint, who="ann", when_ms=1)
    control = Control().with_armed("a", armed)

    assert not Control().is_armed(account)
    assert control.is_armed(account)
    assert not control.with_armed("a", None).is_armed(account)


def test_arming_is_void_for_another_key() -> None:
    armed = Armed(fingerprint=live().fingerprint, who="ann", when_ms=1)

    assert not Control().with_armed("a", armed).is_armed(live(key="changed"))


@pytest.mark.parametrize("environment", ["paper", "demo"])
def test_paper_and_demo_need_no_arming(environment: str) -> None:
    account = live().model_copy(update={"environment": environment})

    assert Control().is_armed(account)


decisions = st.lists(st.tuples(scopes, st.sampled_from(list(Mode))), max_size=8)


@given(decisions)
def test_one_decision_a_scope_the_last(changes: list[tuple[Scope, Mode]]) -> None:
    control = Control()
    for scope, mode in changes:
        control = control.with_mode(entry(scope, mode))
    last = dict(changes)

    assert {row.scope: row.mode for row in control.entries} == last
    assert len(control.entries) == len(last)
    for scope, mode in last.items():
        found = control.mode_of(scope)
        assert found is not None
        assert found.mode is mode


@given(decisions, scopes)
def test_more_decisions_never_loosen_but_by_flatten(
    changes: list[tuple[Scope, Mode]], scope: Scope
) -> None:
    control = Control(entries=tuple(entry(where, mode) for where, mode in changes))
    before = control.mode_for("a", "BTCUSDT", now_ms=1)[0]
    after = control.model_copy(
        update={"entries": (*control.entries, entry(scope, Mode.PAUSE))}
    ).mode_for("a", "BTCUSDT", now_ms=1)[0]

    assert after is before or before is Mode.RUN


@given(decisions)
def test_a_control_survives_its_file(changes: list[tuple[Scope, Mode]]) -> None:
    control = Control(
        entries=tuple(entry(scope, mode) for scope, mode in changes),
        resumed=tuple(resumed(scope) for scope, _ in changes),
        armed={"a": Armed(fingerprint="f", who="ann", when_ms=3)},
    )

    assert Control.model_validate(control.model_dump(mode="json")) == control
