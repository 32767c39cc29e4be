"""What the status tells beyond the engine's own word."""

import pytest

from core.control import Control
from core.status import unhealthy_reasons
from core.status.parts import ServicePart, StatusParts
from tests.unit.status_cases import CRASH, NOW, document, engine, keys, plain


@pytest.mark.parametrize(("age_ms", "is_told"), [(60_000, True), (25 * 3_600_000, False)])
def test_a_crash_that_was_survived_is_told_for_a_day(age_ms: int, *, is_told: bool) -> None:
    made = document(engine(last_crash={**CRASH, "at_ms": NOW - age_ms}))

    assert made["exception"] is None
    assert ("crash/trade-engine" in keys(made)) is is_told


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
