"""What `check` says of the installation: services, settings, brakes, disk, a source's service."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any, NamedTuple

import pytest

from commands.checks.findings import Finding, State
from commands.checks.system import judge_service, judge_system
from commands.main import run
from core.control import EVERYTHING, Scope
from core.control.file import halt_path, set_mode
from core.home import Home
from core.model import Mode
from core.settings import ConfigProblem, EngineConfig, Settings
from core.status.parts import ServicePart, StatusParts, read_parts
from core.store import atomic_write_json

NOW = 1_800_000_000_000
RUNNING = {"pid": 7, "ready": True, "refreshed_at_ms": NOW - 1000}


def part(name: str, *, is_alive: bool = True, **said: Any) -> ServicePart:
    return ServicePart(name=name, said={**RUNNING, **said}, is_alive=is_alive)


def parts(*services: ServicePart) -> StatusParts:
    return StatusParts(services={one.name: one for one in services})


def settings(*problems: ConfigProblem) -> Settings:
    return Settings(accounts=(), mapping={}, weights=(), engine=EngineConfig(), problems=problems)


def system(
    home: Home, found: StatusParts | None = None, *problems: ConfigProblem
) -> dict[str, list[Finding]]:
    """Give the findings by what they are about."""
    rows: dict[str, list[Finding]] = {}
    for row in judge_system(home, settings(*problems), found or StatusParts(), NOW):
        rows.setdefault(row.what, []).append(row)
    return rows


@pytest.mark.parametrize(
    ("service", "state"),
    [
        pytest.param(part("trade-engine"), State.OK, id="running"),
        pytest.param(part("trade-engine", ready=False), State.WARN, id="starting"),
        pytest.param(
            part("trade-engine", is_alive=False, stopped_at_ms=1), State.WARN, id="stopped"
        ),
        pytest.param(part("trade-engine", is_alive=False), State.FAIL, id="dead"),
        pytest.param(part("trade-engine", refreshed_at_ms=1), State.FAIL, id="stuck"),
        pytest.param(part("trade-engine", orphan=True), State.WARN, id="orphan"),
        pytest.param(
            part("trade-engine", exception={"type": "ValueError", "message": "odd"}),
            State.FAIL,
            id="crashed",
        ),
    ],
)
def test_a_service_is_judged(home: Home, service: ServicePart, state: State) -> None:
    (found,) = system(home, parts(service))["trade-engine"]

    assert found.state is state


def test_a_service_that_never_ran_is_a_warning_with_its_remedy(home: Home) -> None:
    found = system(home)

    assert [found[name][0].state for name in ("trade-engine", "monitor")] == [State.WARN] * 2
    assert "./trade-engine up" in found["monitor"][0].detail


@pytest.mark.parametrize(
    ("severity", "state"),
    [pytest.param("warning", State.WARN, id="warns"), pytest.param("error", State.FAIL, id="bad")],
)
def test_a_problem_of_the_settings_names_file_key_and_remedy(
    home: Home, severity: Any, state: State
) -> None:
    problem = ConfigProblem(
        file="a.json", key="k", text="k must be 1, was 2", remedy="correct it", severity=severity
    )
    (found,) = system(home, None, problem)["settings"]

    assert found.state is state
    assert found.detail == "k must be 1, was 2 (a.json: k); correct it"


def test_brakes_in_force_are_warnings_that_say_how_they_are_lifted(home: Home) -> None:
    set_mode(home, EVERYTHING, Mode.PAUSE, who="me", now_ms=NOW, why="news")
    set_mode(home, Scope(symbol="BTCUSDT"), Mode.HALT, who="me", now_ms=NOW)
    halt_path(home).write_text("")
    trip = {"code": "second_engine", "text": "two engines", "at_ms": 1, "account": "main"}
    atomic_write_json(home.state / "trips.json", {"trips": [trip]})
    found = system(home, read_parts(home))["brakes"]

    assert [row.state for row in found] == [State.WARN] * 4
    said = " ".join(row.detail for row in found)
    assert "state/HALT" in said
    assert "news" in said
    assert "halt of BTCUSDT" in said
    assert "second_engine: two engines; ./trade-engine resume --account main" in said


@pytest.mark.parametrize("name", ["control.json", "trips.json"])
def test_brakes_that_nobody_can_read_fail(home: Home, name: str) -> None:
    (home.state / name).write_text("{")
    found = system(home, read_parts(home))["brakes"]

    assert [row.state for row in found] == [State.FAIL]


class Usage(NamedTuple):
    """What the system says of a disk."""

    free: int


@pytest.mark.parametrize(
    ("free_mb", "state"),
    [
        pytest.param(99, State.FAIL, id="full"),
        pytest.param(999, State.WARN, id="little"),
        pytest.param(1_001, State.OK, id="enough"),
    ],
)
def test_a_disk_that_fills_up_is_told(
    home: Home, monkeypatch: pytest.MonkeyPatch, free_mb: int, state: State
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(free_mb * 1_000_000))
    (found,) = system(home)["disk"]

    assert found.state is state


@contextmanager
def answering(status: int) -> Iterator[str]:
    """Serve every request with a status; gives the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.path == "/ping"
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def service(**said: Any) -> Finding:
    told = parts(part("the-service", **said))
    (found,) = judge_service("the-service", "source", told, NOW)
    return found


def test_a_receiver_is_asked_where_it_listens() -> None:
    with answering(200) as url:
        good = service(url=url)
    with answering(503) as url:
        bad = service(url=url)
    gone = service(url=url)

    assert [row.state for row in (good, bad, gone)] == [State.OK, State.FAIL, State.FAIL]
    assert "503" in bad.detail
    assert "restart the-service" in gone.detail


@pytest.mark.parametrize(
    ("said", "state", "text"),
    [
        pytest.param({"waiting_for": "no SN8 key"}, State.WARN, "no SN8 key", id="no-key"),
        pytest.param({"push": {"live": True}}, State.OK, "connected", id="connected"),
        pytest.param(
            {"push": {"live": False, "problem": "401: key refused"}}, State.WARN, "key refused",
            id="refused",
        ),
        pytest.param({"problems": ["positions: HTTP 503"]}, State.WARN, "503", id="problem"),
        pytest.param({"stopping": True}, State.WARN, "does not run", id="stopping"),
    ],
)  # fmt: skip
def test_a_service_that_fetches_says_how_it_stands(
    said: dict[str, Any], state: State, text: str
) -> None:
    found = service(**said)

    assert found.state is state
    assert text in found.detail


def test_a_source_whose_service_never_ran_is_a_warning() -> None:
    (found,) = judge_service("the-service", "source", parts(), NOW)

    assert found.state is State.WARN


@pytest.mark.usefixtures("home")
def test_one_source_is_checked_without_any_account(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "--source", "tradingview"]) == 0
    said = capsys.readouterr().out

    assert "it never spoke" in said
    assert "engine" not in said.splitlines()[1]
    assert said.rstrip().endswith("All ok, 1 warning")
    assert run(["check", "--source", "nobody"]) == 2


def test_a_weight_for_a_source_that_does_not_exist_fails_the_check(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    sources = [{"source": "tradingveiw", "weight": 0.1}]
    rows = [{"symbol": "BTCUSDT", "leverage": 3, "sources": sources}]
    atomic_write_json(home.root / "signal_weight_config.json", rows)

    assert run(["check"]) == 3
    assert "tradingveiw source" in capsys.readouterr().err


def test_a_home_without_accounts_fails_and_loads_no_venue(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    atomic_write_json(home.credentials, {"accounts": []})
    atomic_write_json(home.root / "asset_mapping_config.json", {})
    atomic_write_json(home.root / "signal_weight_config.json", [])

    assert run(["check"]) == 3
    assert "none is enabled" in capsys.readouterr().out
