"""send-log-message over HTTP: each channel is proved alone, and no address is ever shown."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson
import pytest

from commands.main import run
from core.home import Home
from core.process.exit_codes import ExitCode
from core.store import atomic_write_json

Capture = pytest.CaptureFixture[str]
SECRET = "S3cretOfTheChannel"


@pytest.fixture
def messages() -> list[dict[str, Any]]:
    return []


@pytest.fixture
def address(messages: list[dict[str, Any]]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.path.endswith("/well"):
                messages.append(orjson.loads(body))
            self.send_response(200 if self.path.endswith("/well") else 403)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        yield f"json://127.0.0.1:{http.server_address[1]}/{SECRET}"
        http.shutdown()
        thread.join()


def configure(home: Home, *channels: dict[str, Any]) -> None:
    atomic_write_json(home.engine_config, {"notifications": {"channels": channels}})


def test_each_kind_reaches_each_channel(
    home: Home, address: str, messages: list[dict[str, Any]], capsys: Capture
) -> None:
    configure(
        home,
        {"name": "phone", "url": f"{address}/well"},
        {"name": "desk", "url": f"{address}/well", "what": ["error"]},
    )
    code = run(["send-log-message", "--json"])
    rows = orjson.loads(capsys.readouterr().out)

    assert code == 0
    assert [(row["channel"], row["kind"], row["ok"]) for row in rows] == [
        ("phone", "error", True),
        ("phone", "alert", True),
        ("phone", "trade", True),
        ("phone", "service", True),
        ("desk", "error", True),
    ]
    assert sorted(message["title"] for message in messages) == [
        "trade-engine: test (alert)",
        "trade-engine: test (error)",
        "trade-engine: test (error)",
        "trade-engine: test (service)",
        "trade-engine: test (trade)",
    ]


def test_a_channel_that_fails_is_named_and_the_others_are_told(
    home: Home, address: str, messages: list[dict[str, Any]], capsys: Capture
) -> None:
    configure(
        home,
        {"name": "phone", "url": f"{address}/well", "what": ["error"]},
        {"name": "closed", "url": f"{address}/refused", "what": ["error"]},
        {"name": "typo", "url": f"nonsense://{SECRET}", "what": ["error"]},
    )
    code = run(["send-log-message"])
    told = capsys.readouterr()

    assert code == ExitCode.CHECK_FAILED
    assert "not everything was taken by: closed, typo" in told.err
    assert "403" in told.out
    assert "The monitor does not run" in told.out
    assert len(messages) == 1
    assert SECRET not in told.out + told.err


def test_one_channel_may_be_chosen(
    home: Home, address: str, messages: list[dict[str, Any]]
) -> None:
    configure(
        home,
        {"name": "phone", "url": f"{address}/well", "what": ["trade"]},
        {"name": "closed", "url": f"{address}/refused"},
    )

    assert run(["send-log-message", "--channel", "phone"]) == 0
    assert len(messages) == 1


def test_a_wrong_channel_gives_the_nearest_right_one(home: Home, capsys: Capture) -> None:
    configure(home, {"name": "phone", "url": "json://localhost"})

    assert run(["send-log-message", "--channel", "phoen"]) == ExitCode.USAGE
    assert "phone" in capsys.readouterr().err


def test_without_a_channel_it_says_how_to_add_one(home: Home, capsys: Capture) -> None:
    configure(home)

    assert run(["send-log-message"]) == ExitCode.CONFIG
    assert '{"name": "phone", "url": "tgram://TOKEN/CHAT"}' in capsys.readouterr().err
