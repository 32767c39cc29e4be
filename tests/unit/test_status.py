"""The status document: what it says in each state, and that it never fails to say something."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from core.status import build_status, unhealthy_reasons
from core.status.parts import HaltFile, StatusParts
from tests.unit.status_cases import (
    ACCOUNT,
    CRASH,
    ENGINE,
    NOW,
    RULES,
    SYMBOL,
    document,
    engine,
    keys,
    with_symbol,
)


def test_the_schema_is_itself_valid() -> None:
    Draft202012Validator.check_schema(RULES)


def test_a_healthy_engine_shows_itself_and_nothing_to_look_at() -> None:
    made = document(engine())

    assert made["executor_running"] is True
    assert (made["cycles"], made["completed_cycle"], made["mode"]) == (7, 7, "paper")
    assert made["last_refreshed_at"] == pytest.approx((NOW - 1000) / 1000)
    assert made["started_at"] == pytest.approx((NOW - 100_000) / 1000)
    assert (made["exception"], made["crashed_at"], made["halted"]) == (None, None, None)
    assert (made["frozen_positions"], made["drift"], made["alerts"]) == ([], [], [])
    assert made["accounts"] == [ACCOUNT]
    assert made["services"]["monitor"]["url"] == "http://127.0.0.1:8010"
    assert {row["state"] for row in made["services"].values()} == {"running"}
    assert unhealthy_reasons(engine(), NOW) == []


def test_where_nothing_ever_ran_all_is_null_and_what_to_run_is_told() -> None:
    made = document(StatusParts())

    assert made["executor_running"] is False
    assert (made["last_refreshed_at"], made["version"], made["mode"]) == (None, None, None)
    assert keys(made) == {
        "service/trade-engine",
        "service/tradingview-endpoint",
        "service/monitor",
    }
    assert all("trade-engine up" in alert["text"] for alert in made["alerts"])
    assert unhealthy_reasons(StatusParts(), NOW)


def test_an_engine_that_was_killed_is_not_running() -> None:
    parts = engine(is_alive=False)
    made = document(parts)

    assert made["executor_running"] is False
    assert made["services"]["trade-engine"]["state"] == "dead"
    assert made["services"]["trade-engine"]["ready"] is False
    assert keys(made) == {"service/trade-engine"}
    assert "not running" in unhealthy_reasons(parts, NOW)[0]


def test_an_engine_that_was_stopped_says_so() -> None:
    made = document(engine(is_alive=False, stopped_at_ms=NOW - 500, ready=False))

    assert made["services"]["trade-engine"]["state"] == "stopped"
    assert "stopped" in made["alerts"][0]["text"]


def test_a_crash_is_told_with_its_trace_and_time() -> None:
    parts = engine(is_alive=False, exception=CRASH, ready=False)
    made = document(parts)

    assert made["exception"] == {"message": "ValueError: boom", "traceback": "Trace"}
    assert made["crashed_at"] == pytest.approx((NOW - 9) / 1000)
    assert made["executor_running"] is False
    assert keys(made) == {"service/trade-engine"}
    assert unhealthy_reasons(parts, NOW) == ["trade-engine crashed: ValueError: boom"]


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"ready": False}, "starting"),
        ({"stopping": True}, "stopping"),
        ({"refreshed_at_ms": NOW - 31_000}, "stuck"),
    ],
)
def test_a_living_service_is_named_by_what_it_does(changes: dict[str, Any], state: str) -> None:
    made = document(engine(**changes))

    assert made["services"]["trade-engine"]["state"] == state


@pytest.mark.parametrize(
    ("changes", "is_running"),
    [
        ({"refreshed_at_ms": NOW - 180_000}, True),
        ({"refreshed_at_ms": NOW - 180_001}, False),
        ({"refreshed_at_ms": NOW - 3_001, "resync_interval_s": 1}, False),
        ({"refreshed_at_ms": NOW - 180_000, "resync_interval_s": 0}, True),
        ({"refreshed_at_ms": None}, False),
        ({"exception": CRASH}, False),
    ],
)
def test_an_engine_silent_for_three_resyncs_does_not_run(
    changes: dict[str, Any], *, is_running: bool
) -> None:
    assert document(engine(**changes))["executor_running"] is is_running


@pytest.mark.parametrize(
    ("changes", "is_healthy"),
    [
        ({"completed_at_ms": NOW - 180_000}, True),
        ({"completed_at_ms": NOW - 181_000}, False),
        ({"completed_at_ms": None, "started_at_ms": NOW - 5_000}, True),
        ({"completed_at_ms": None, "started_at_ms": NOW - 200_000}, False),
    ],
)
def test_an_engine_without_a_completed_cycle_for_three_resyncs_is_unhealthy(
    changes: dict[str, Any], *, is_healthy: bool
) -> None:
    assert (unhealthy_reasons(engine(**changes), NOW) == []) is is_healthy


def test_the_halt_file_is_shown_but_is_not_unhealthy() -> None:
    parts = engine()
    parts = StatusParts(
        services=parts.services, halt=HaltFile(note="weird fills", since_ms=NOW - 5)
    )
    made = document(parts)

    assert made["halted"]["reason"] == "state/HALT exists: weird fills"
    assert unhealthy_reasons(parts, NOW) == []


def test_held_symbols_are_frozen_positions() -> None:
    made = document(with_symbol(hold="liquidated: resume BTCUSDT to go on"))

    assert made["frozen_positions"] == [
        {
            "account": "first",
            "symbol": "BTCUSDT",
            "reason": "liquidated: resume BTCUSDT to go on",
        }
    ]


@pytest.mark.parametrize(
    ("changes", "is_drift"),
    [
        pytest.param({}, False, id="equal"),
        pytest.param({"held_lots": "0.102"}, False, id="within-the-band"),
        pytest.param({"held_lots": "0.103"}, True, id="beyond-the-band"),
        pytest.param({"held_lots": "-0.100"}, True, id="wrong-side"),
        pytest.param({"held_lots": "0.1", "target_lots": "0"}, True, id="should-be-flat"),
        pytest.param({"held_lots": "0", "target_lots": "0"}, False, id="flat"),
        pytest.param({"verified": False}, True, id="not-verified"),
        pytest.param({"held_lots": None}, True, id="unknown"),
        pytest.param({"target_lots": None}, False, id="foreign"),
        pytest.param({"target_lots": None, "verified": False}, False, id="not-sized-yet"),
    ],
)
def test_drift_is_held_against_wanted(changes: dict[str, Any], *, is_drift: bool) -> None:
    made = document(with_symbol(**changes))

    assert bool(made["drift"]) is is_drift


def test_the_engines_own_dead_band_counts() -> None:
    parts = with_symbol(held_lots="0.105")
    wide = {**parts.engine.said, "dead_band": "0.1"}

    assert document(parts)["drift"]
    assert not document(engine(**wide))["drift"]


def test_ages_of_signals_go_on_after_the_engine_died() -> None:
    made = document(engine(is_alive=False, refreshed_at_ms=NOW - 60_000))

    assert made["signal_age_s"] == {"tradingview": 72.5, "bittensor": None}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(st.sampled_from([*ENGINE, "dead_band", "resync_interval_s"]), json_values),
    st.dictionaries(st.sampled_from(list(ACCOUNT)), json_values),
    st.dictionaries(st.sampled_from(list(SYMBOL)), json_values),
    st.booleans(),
)
def test_whatever_a_service_says_there_is_a_document(
    said: dict[str, Any],
    account: dict[str, Any],
    symbol: dict[str, Any],
    is_alive: bool,
) -> None:
    rows = [{**ACCOUNT, **account, "symbols": [{**SYMBOL, **symbol}]}]
    parts = engine(is_alive=is_alive, **{"accounts": rows, **said})
    made = build_status(parts, NOW)

    assert set(made) == set(RULES["properties"])
    unhealthy_reasons(parts, NOW)
