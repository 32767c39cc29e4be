"""Every safety control is one line of the status: ready, off, near, or in force."""

from dataclasses import replace
from typing import Any

import pytest

from core.control import Control, ControlEntry, Scope
from core.model import Mode
from core.settings import EngineConfig
from core.status import build_status
from core.status.engine_part import _limits
from core.status.parts import HaltFile, StatusParts
from tests.unit.status_cases import ACCOUNT, NOW, SCHEMA, SYMBOL, engine

SAFETY = {
    "daily_loss": {"share": "0.012", "baseline_usdt": "100000", "is_near": False},
    "daily_loss_limit": "0.05",
    "drawdown": {"share": "0.09", "baseline_usdt": "110000", "is_near": True},
    "drawdown_limit": "0.1",
    "stopped": [],
    "orders_minute": 3,
    "max_orders_minute": 60,
    "orders_day": 1000,
    "max_orders_day": 1000,
}
LIMITS = _limits(EngineConfig())


def rows(parts: StatusParts) -> dict[str, dict[str, str]]:
    document = build_status(parts, NOW)
    SCHEMA.validate(document)
    return {row["control"]: row for row in document["controls"]}


def said(**changes: Any) -> StatusParts:
    return engine(**{"limits": LIMITS, "restarts": 0, "trips": [], **changes})


def with_account(**changes: Any) -> StatusParts:
    return said(accounts=[{**ACCOUNT, "safety": SAFETY, **changes}])


def entry(mode: Mode, until_ms: int | None = None) -> ControlEntry:
    scope = Scope(symbol="BTCUSDT")
    return ControlEntry(scope=scope, mode=mode, who="ann", when_ms=1, id="a", until_ms=until_ms)


def test_when_all_is_well_nothing_is_in_force() -> None:
    found = rows(with_account(safety={**SAFETY, "orders_day": 3}))

    assert {row["state"] for row in found.values()} == {"ready", "near"}
    assert found["price collar"]["limit"] == "0.5 % from mark, reductions 0.5 %, 1.5 %, 5 %"
    assert found["daily loss"]["now"] == "1.2 % below 100000 USDT"
    assert "?" not in "".join(row["limit"] for row in found.values())


def test_a_loss_near_its_limit_says_so() -> None:
    assert rows(with_account())["drawdown"]["state"] == "near"


@pytest.mark.parametrize(
    ("control", "parts"),
    [
        pytest.param(
            "kill file", replace(said(), halt=HaltFile(note="odd", since_ms=1)), id="halt-file"
        ),
        pytest.param(
            "pause", replace(said(), control=Control(entries=(entry(Mode.PAUSE),))), id="pause"
        ),
        pytest.param(
            "block",
            replace(said(), control=Control(blocks=(entry(Mode.PAUSE, NOW + 9),))),
            id="block",
        ),
        pytest.param(
            "stopped: drawdown",
            said(
                trips=[
                    {
                        "code": "drawdown",
                        "text": "lost much",
                        "at_ms": 1,
                        "account": "first",
                        "mode": "pause",
                        "until_ms": None,
                    }
                ]
            ),
            id="trip",
        ),
        pytest.param(
            "arming", with_account(environment="live", armed=False, needs_arming=True), id="dry-run"
        ),
        pytest.param(
            "daily loss", with_account(safety={**SAFETY, "stopped": ["daily_loss"]}), id="loss"
        ),
        pytest.param("orders a day", with_account(), id="orders"),
        pytest.param("restarts", said(restarts=5), id="restarts"),
        pytest.param("account quarantine", with_account(state="parked"), id="parked"),
        pytest.param(
            "drift",
            said(
                alerts=[
                    {
                        **dict.fromkeys(("severity", "text"), "info"),
                        "key": "drift/first/BTCUSDT",
                        "account": "first",
                        "symbol": "BTCUSDT",
                        "since_ms": 1,
                        "count": 1,
                    }
                ]
            ),
            id="drift",
        ),
    ],
)
def test_a_control_that_holds_something_back_is_in_force(control: str, parts: StatusParts) -> None:
    assert rows(parts)[control]["state"] == "in force"


@pytest.mark.parametrize(
    ("control", "code"),
    [
        ("price sanity", "wide_spread"),
        ("stale source", "stale_source"),
        ("entry age", "expired_entry"),
        ("dead band", "dead_band"),
        ("order size", "order_cap"),
        ("exposure caps", "gross_cap"),
        ("equity jump", "equity_jump"),
        ("external change", "liquidation"),
        ("adoption", "adopt"),
        ("orphans", "orphan"),
        ("symbol quarantine", "backoff"),
        ("venue quarantine", "rate_limited"),
        ("clock skew", "clock_skew"),
        ("hedge mode", "both_sides"),
    ],
)
def test_a_control_names_the_symbols_that_it_holds(control: str, code: str) -> None:
    found = rows(with_account(symbols=[{**SYMBOL, "codes": ["other", code]}]))[control]

    assert (found["now"], found["state"]) == ("BTCUSDT on first", "in force")


def test_what_is_off_says_off() -> None:
    limits = {
        **LIMITS,
        "equity_jump_limit": "0",
        "max_restarts": 0,
        "drift_alert_s": 0,
        "max_entry_age_s": 0,
    }
    none = {**SAFETY, "daily_loss_limit": "0", "drawdown_limit": "0", "max_orders_day": 0}
    found = rows(said(limits=limits, accounts=[{**ACCOUNT, "safety": none}]))
    off = {name for name, row in found.items() if row["state"] == "off"}

    assert off == {
        *("equity jump", "restarts", "drift", "entry age"),
        *("daily loss", "drawdown", "orders a day"),
    }


def test_a_decision_whose_time_is_over_is_not_shown() -> None:
    control = Control(entries=(entry(Mode.HALT, NOW),), blocks=(entry(Mode.PAUSE, NOW - 1),))
    found = rows(replace(said(), control=control))

    assert found["pause, halt, flatten"]["state"] == "ready"
    assert found["block"]["state"] == "ready"


def test_an_engine_that_never_ran_shows_what_people_decided_and_no_more() -> None:
    found = rows(StatusParts(control=Control(entries=(entry(Mode.PAUSE),))))

    assert set(found) == {"kill file", "pause", "block"}
