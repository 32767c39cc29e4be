"""The monitor over HTTP: three routes, files only, closed to web pages."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from jsonschema import Draft202012Validator

from core.control import EVERYTHING
from core.control.file import set_mode
from core.home import CHECKOUT, HOME_VARIABLE, Home
from core.model import Mode
from core.process.lease import lock_now
from core.process.listening import bind_port, url_of
from core.process.service_status import read_status, replace_status
from monitor.http_guard import is_loopback
from monitor.http_server import serve
from monitor.status_routes import build_app

NOW = 1_700_000_000_000
SCHEMA = Draft202012Validator(orjson.loads((CHECKOUT / "docs/status.schema.json").read_bytes()))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path)
    made.make_folders()
    return made


@pytest.fixture
async def url(home: Home) -> AsyncIterator[str]:
    listener, stopping = bind_port("127.0.0.1", 0), asyncio.Event()
    where = url_of(listener)
    task = asyncio.create_task(serve(build_app(home, "127.0.0.1", lambda: NOW), listener, stopping))
    yield where
    stopping.set()
    await asyncio.wait_for(task, 10)


@pytest.fixture
async def ask(url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        yield client


def engine(home: Home, **changes: object) -> None:
    part = {
        "service": "trade-engine",
        "pid": os.getpid(),
        "started_at_ms": NOW - 10_000,
        "refreshed_at_ms": NOW - 1_000,
        "ready": True,
        "completed_at_ms": NOW - 2_000,
        "version": "0.1.0",
    }
    replace_status(home, "trade-engine", {**part, **changes})


async def test_ping_is_answered(ask: httpx.AsyncClient) -> None:
    answer = await ask.get("/ping")

    assert (answer.status_code, answer.json()) == (200, {"ping": "pong"})


async def test_the_status_of_an_empty_home_fits_the_schema(ask: httpx.AsyncClient) -> None:
    answer = await ask.get("/status")

    assert answer.status_code == 200
    SCHEMA.validate(answer.json())
    assert answer.json()["executor_running"] is False


async def test_the_status_follows_the_files(ask: httpx.AsyncClient, home: Home) -> None:
    engine(home)
    with lock_now(home.state / "trade-engine.lock", "x"):
        made = (await ask.get("/status")).json()
        engine(home, pid=os.getpid() + 1)
        later = (await ask.get("/status")).json()

    SCHEMA.validate(made)
    assert made["executor_running"] is True
    assert later["services"]["trade-engine"]["state"] == "dead"


async def test_a_living_engine_is_healthy_also_when_halted(
    ask: httpx.AsyncClient, home: Home
) -> None:
    engine(home)
    set_mode(home, EVERYTHING, Mode.HALT, who="ann", now_ms=NOW)
    with lock_now(home.state / "trade-engine.lock", "x"):
        answer = await ask.get("/health")
        status = (await ask.get("/status")).json()

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert status["halted"]["who"] == "ann"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"pid": 1}, "not running"),
        ({"completed_at_ms": NOW - 1_000_000}, "no cycle was completed for 1000 s"),
        ({"exception": {"type": "KeyError", "message": "x", "tb": "t"}}, "crashed: KeyError: x"),
    ],
)
async def test_an_engine_in_trouble_is_503_with_reasons(
    ask: httpx.AsyncClient, home: Home, changes: dict[str, Any], reason: str
) -> None:
    engine(home, **changes)
    with lock_now(home.state / "trade-engine.lock", "x"):
        answer = await ask.get("/health")

    assert answer.status_code == 503
    assert answer.json()["status"] == "unhealthy"
    assert reason in answer.json()["reasons"][0]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""])
@pytest.mark.parametrize("path", ["/status", "/nowhere"])
async def test_c6_a_web_page_cannot_ask_under_its_own_name(
    ask: httpx.AsyncClient, host: str, path: str
) -> None:
    answer = await ask.get(path, headers={"Host": host})

    assert answer.status_code == 421
    assert "executor_running" not in answer.text


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8010", "[::1]:8010", "127.0.0.1:1"])
async def test_a_loopback_name_is_answered(ask: httpx.AsyncClient, host: str) -> None:
    assert (await ask.get("/ping", headers={"Host": host})).status_code == 200


async def test_c6_two_host_headers_are_one_too_many(url: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    names = b"Host: localhost\r\nHost: evil.example\r\n"
    writer.write(b"GET /status HTTP/1.1\r\n" + names + b"Connection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()

    assert answer.split()[1] in (b"400", b"421")


async def test_c6_other_origins_are_given_no_leave_to_read(ask: httpx.AsyncClient) -> None:
    answer = await ask.get("/status", headers={"Origin": "https://evil.example"})

    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "server" not in answer.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", ["/ping", "/status", "/health"])
async def test_c6_nothing_can_be_changed_over_http(
    ask: httpx.AsyncClient, method: str, path: str
) -> None:
    assert (await ask.request(method, path)).status_code == 405


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/", "/../credentials.json"])
async def test_there_is_nothing_else_to_see(ask: httpx.AsyncClient, path: str) -> None:
    assert (await ask.get(path)).status_code == 404


async def test_a_head_request_is_a_get_without_body(ask: httpx.AsyncClient) -> None:
    answer = await ask.head("/ping")

    assert (answer.status_code, answer.content) == (200, b"")


async def test_beyond_loopback_any_name_is_answered(home: Home) -> None:
    transport = httpx.ASGITransport(app=build_app(home, "192.0.2.1", lambda: NOW))
    async with httpx.AsyncClient(transport=transport, base_url="http://proxy.example") as client:
        assert (await client.get("/ping")).status_code == 200


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),  # noqa: S104 - not bound
        ("", False),
        ("localhost.evil.example", False),
        ("2130706433", False),
    ],
)
def test_only_names_of_this_machine_are_loopback(host: str, *, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.fixture
def process(home: Home) -> Iterator["subprocess.Popen[bytes]"]:
    (home.root / "engine_config.json").write_bytes(b'{"monitor": {"port": 0}}')
    (home.root / "signal_weight_config.json").write_bytes(b"[{")  # broken, and never was good
    environment = {**os.environ, HOME_VARIABLE: str(home.root)}
    started = subprocess.Popen(  # noqa: S603 - our own script
        [sys.executable, str(CHECKOUT / "monitor/app.py")], cwd="/", env=environment
    )
    yield started
    started.kill()
    started.wait()


def wait_until_ready(home: Home, pid: int) -> dict[str, Any]:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        part = read_status(home, "monitor")
        if part.get("ready") is True and part.get("pid") == pid:
            return part
        time.sleep(0.02)
    raise AssertionError("the monitor was not ready in time")


@pytest.mark.process
def test_the_process_serves_without_an_engine_or_valid_weights_and_stops_cleanly(
    home: Home, process: "subprocess.Popen[bytes]"
) -> None:
    part = wait_until_ready(home, process.pid)
    made = httpx.get(f"{part['url']}/status", trust_env=False).json()
    SCHEMA.validate(made)

    assert made["services"]["monitor"]["state"] == "running"
    assert any("signal_weight_config.json" in alert["text"] for alert in made["alerts"])
    assert httpx.get(f"{part['url']}/health", trust_env=False).status_code == 503
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert "stopped_at_ms" in read_status(home, "monitor")
