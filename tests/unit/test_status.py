"""The status document: what it says in each state, and that it never fails to say something."""

import os
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from core.control import EVERYTHING, Control, Scope
from core.control_file import control_path, halt_path, set_mode
from core.home import CHECKOUT, Home
from core.lease import lock_now
from core.model import Mode
from core.service_status import replace_status
from core.status import build_status, read_status, unhealthy_reasons
from core.status_parts import HaltFile, ServicePart, StatusParts, read_parts

NOW = 1_700_000_000_000
RULES: dict[str, Any] = orjson.loads((CHECKOUT / "docs/status.schema.json").read_bytes())
SCHEMA = Draft202012Validator(RULES)
SYMBOL = {
    "symbol": "BTCUSDT",
    "held_lots": "0.100",
    "target_lots": "0.100",
    "version": "v1",
    "verified": True,
    "reason": "",
    "hold": None,
    "retry_at_ms": None,
}
ACCOUNT = {
    "name": "first",
    "exchange": "bybit",
    "environment": "paper",
    "state": "ready",
    "reason": "",
    "armed": True,
    "equity_usdt": "100000.5",
    "last_pass_at_ms": NOW - 2000,
    "last_pass_ms": 120,
    "open_intents": 0,
    "symbols": [SYMBOL],
}
ENGINE = {
    "service": "trade-engine",
    "pid": 4711,
    "started_at_ms": NOW - 100_000,
    "refreshed_at_ms": NOW - 1000,
    "ready": True,
    "stopping": False,
    "orphan": False,
    "version": "0.1.0",
    "url": None,
    "exception": None,
    "last_crash": None,
    "cycles": 7,
    "completed_cycle": 7,
    "completed_at_ms": NOW - 2000,
    "mode": "paper",
    "config_hash": "ab" * 32,
    "engine_id": "abcde",
    "signal_age_s": {"tradingview": 12.5, "bittensor": None},
    "accounts": [ACCOUNT],
    "alerts": [],
    "problems": [],
}
CRASH = {"type": "ValueError", "exit_code": 1, "message": "boom", "tb": "Trace", "at_ms": NOW - 9}


def plain(name: str, **changes: object) -> ServicePart:
    keys = ("pid", "started_at_ms", "refreshed_at_ms", "ready", "orphan", "version", "url")
    said = {key: ENGINE[key] for key in keys} | {"service": name} | changes
    return ServicePart(name=name, said=said, is_alive="stopped_at_ms" not in changes)


def engine(*, is_alive: bool = True, **changes: object) -> StatusParts:
    """All services well, but for what is changed of the engine's part."""
    part = ServicePart(name="trade-engine", said={**ENGINE, **changes}, is_alive=is_alive)
    others = (plain("tradingview-endpoint"), plain("monitor", url="http://127.0.0.1:8010"))
    return StatusParts(services={row.name: row for row in (part, *others)})


def with_symbol(**changes: object) -> StatusParts:
    return engine(accounts=[{**ACCOUNT, "symbols": [{**SYMBOL, **changes}]}])


def document(parts: StatusParts) -> dict[str, Any]:
    """Build it, as it goes over the wire, and hold it against the schema."""
    made: dict[str, Any] = orjson.loads(orjson.dumps(build_status(parts, NOW)))
    SCHEMA.validate(made)
    return made


def keys(made: dict[str, Any]) -> set[str]:
    return {alert["key"] for alert in made["alerts"]}


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


@pytest.mark.parametrize(("age_ms", "is_told"), [(60_000, True), (25 * 3_600_000, False)])
def test_a_crash_that_was_survived_is_told_for_a_day(age_ms: int, *, is_told: bool) -> None:
    made = document(engine(last_crash={**CRASH, "at_ms": NOW - age_ms}))

    assert made["exception"] is None
    assert ("crash/trade-engine" in keys(made)) is is_told


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


def test_a_dead_receiver_is_unhealthy_a_stopped_one_is_not() -> None:
    parts = engine()
    name = "tradingview-endpoint"
    dead = ServicePart(name=name, said=parts.services[name].said, is_alive=False)
    stopped = plain(name, stopped_at_ms=NOW)

    assert unhealthy_reasons(StatusParts(services={**parts.services, name: dead}), NOW) == [
        "tradingview-endpoint is dead"
    ]
    assert unhealthy_reasons(StatusParts(services={**parts.services, name: stopped}), NOW) == []


def test_an_orphan_is_told_with_its_cure() -> None:
    made = document(engine(orphan=True))

    assert made["services"]["trade-engine"]["orphan"] is True
    assert keys(made) == {"orphan/trade-engine"}


def test_the_halt_file_is_shown_but_is_not_unhealthy() -> None:
    parts = engine()
    parts = StatusParts(
        services=parts.services, halt=HaltFile(note="weird fills", since_ms=NOW - 5)
    )
    made = document(parts)

    assert made["halted"]["reason"] == "state/HALT exists: weird fills"
    assert unhealthy_reasons(parts, NOW) == []


def test_brakes_are_shown_with_who_and_why(tmp_path: Path) -> None:
    home = Home(tmp_path)
    set_mode(home, Scope(symbol="BTCUSDT"), Mode.PAUSE, who="ann", why="news", now_ms=NOW)
    made = read_status(home, NOW)
    assert made["halted"] is None
    assert made["control"]["entries"] == [
        {
            "account": None,
            "symbol": "BTCUSDT",
            "mode": "pause",
            "who": "ann",
            "when": NOW / 1000,
            "why": "news",
        }
    ]
    set_mode(home, EVERYTHING, Mode.HALT, who="bob", why="odd", now_ms=NOW)
    made = read_status(home, NOW)
    SCHEMA.validate(made)

    assert made["halted"] == {
        "reason": "halt of everything by bob: odd",
        "who": "bob",
        "when": NOW / 1000,
    }


@pytest.mark.parametrize(
    ("mode", "is_halted"), [(Mode.PAUSE, False), (Mode.HALT, True), (Mode.FLATTEN, True)]
)
def test_everything_flattened_counts_as_halted(
    tmp_path: Path, mode: Mode, *, is_halted: bool
) -> None:
    set_mode(Home(tmp_path), EVERYTHING, mode, who="ann", now_ms=NOW)

    assert (read_status(Home(tmp_path), NOW)["halted"] is not None) is is_halted


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


def test_the_engines_alerts_come_first_as_they_are() -> None:
    alert = {
        "key": "hold:BTCUSDT",
        "severity": "warning",
        "text": "held",
        "since_ms": NOW,
        "account": "first",
        "symbol": "BTCUSDT",
        "count": 3,
    }

    assert document(engine(alerts=[alert], orphan=True))["alerts"][0] == alert


def test_a_problem_that_two_services_see_is_told_once() -> None:
    problem = {
        "file": "engine_config.json",
        "key": "webhook.port",
        "text": "port is wrong",
        "remedy": "correct the file",
        "severity": "error",
    }
    parts = engine(problems=[problem, "something else"])
    monitor = plain("monitor", problems=[problem])
    parts = StatusParts(services={**parts.services, "monitor": monitor})
    texts = [alert["text"] for alert in document(parts)["alerts"]]

    assert texts == [
        "port is wrong (engine_config.json: webhook.port); correct the file",
        "something else",
    ]


def test_an_alert_that_the_engine_raises_itself_is_not_repeated() -> None:
    alert = {
        "key": "config/engine_config.json/",
        "severity": "error",
        "text": "as the engine says it",
        "since_ms": NOW,
        "account": "",
        "symbol": "",
        "count": 1,
    }
    problem = {"file": "engine_config.json", "key": "", "text": "torn", "remedy": "mend"}
    parts = engine(alerts=[alert])
    monitor = plain("monitor", problems=[problem])
    made = document(StatusParts(services={**parts.services, "monitor": monitor}))

    assert [row["text"] for row in made["alerts"]] == ["as the engine says it"]


def test_problems_of_a_dead_service_are_history() -> None:
    made = document(engine(is_alive=False, problems=["old"]))

    assert keys(made) == {"service/trade-engine"}


def test_a_control_file_that_cannot_be_read_is_an_alert() -> None:
    parts = StatusParts(
        services=engine().services, control=Control(problem="control.json is torn", is_unknown=True)
    )
    made = document(parts)

    assert keys(made) == {"control"}
    assert made["control"]["problem"] == "control.json is torn"


def put_part(home: Home, said: dict[str, Any]) -> None:
    home.make_folders()
    replace_status(home, "trade-engine", said)


def test_a_living_engine_is_known_by_its_lock(tmp_path: Path) -> None:
    home = Home(tmp_path)
    put_part(home, {**ENGINE, "pid": os.getpid()})
    assert read_status(home, NOW)["executor_running"] is False
    with lock_now(home.state / "trade-engine.lock", "x"):
        assert read_status(home, NOW)["executor_running"] is True
        put_part(home, {**ENGINE, "pid": os.getpid() + 1})

        assert read_status(home, NOW)["executor_running"] is False


def test_a_reused_pid_is_not_the_engine(tmp_path: Path) -> None:
    home = Home(tmp_path)
    put_part(home, {**ENGINE, "pid": os.getpid()})
    (home.state / "trade-engine.lock").write_bytes(orjson.dumps({"pid": os.getpid(), "started": 1}))

    assert read_status(home, NOW)["executor_running"] is False


def test_what_is_on_disk_is_read_but_never_created(tmp_path: Path) -> None:
    SCHEMA.validate(read_status(Home(tmp_path), NOW))

    assert list(tmp_path.iterdir()) == []


def test_the_halt_file_is_read_with_its_note(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.make_folders()
    halt_path(home).write_bytes(b"weird \xff fills\nsecond line")
    os.utime(halt_path(home), ns=(NOW * 1_000_000, NOW * 1_000_000))
    halted = read_status(home, NOW)["halted"]

    assert halted["reason"].startswith("state/HALT exists: weird")
    assert "second" not in halted["reason"]
    assert halted["when"] == pytest.approx(NOW / 1000)


def test_a_halt_that_cannot_be_looked_at_is_still_a_halt(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.make_folders()
    halt_path(home).mkdir()

    assert read_status(home, NOW)["halted"]["reason"] == "state/HALT exists"


def test_damaged_files_are_told_not_raised(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.make_folders()
    control_path(home).write_bytes(b"{")
    (home.state / "status").mkdir()
    (home.state / "status/trade-engine.json").write_bytes(b"{")
    made = read_status(home, NOW)
    SCHEMA.validate(made)

    assert "control" in keys(made)
    assert made["executor_running"] is False


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


def test_reading_makes_one_document_of_parts(tmp_path: Path) -> None:
    home = Home(tmp_path)
    put_part(home, ENGINE)

    assert build_status(read_parts(home), NOW) == read_status(home, NOW)
