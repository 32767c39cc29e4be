"""status, signals and send-signal as a person or program meets them."""

import os
import re
import threading
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import orjson
import pytest

from commands.braking import now_ms
from commands.main import run
from core.control import EVERYTHING
from core.control.file import set_mode
from core.home import HOME_VARIABLE, Home
from core.journal import Journal
from core.model import Mode, Signal
from core.process.lease import lock_now
from core.process.service_status import replace_status
from core.status import read_status

TOKEN = "token-0123456789"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    made = Home(tmp_path)
    made.make_folders()
    return made


def engine(home: Home, **changes: object) -> None:
    symbol = {
        "symbol": "BTCUSDT",
        "held_lots": "0.1",
        "target_lots": "0.2",
        "verified": False,
        "reason": "[margin] refused",
        "hold": None,
    }
    account = {
        "name": "first",
        "exchange": "bybit",
        "environment": "live",
        "state": "ready",
        "reason": "",
        "armed": False,
        "equity_usdt": "1000.5",
        "symbols": [symbol],
    }
    alert = {
        "key": "x",
        "severity": "warning",
        "text": "order refused",
        "since_ms": 1,
        "account": "first",
        "symbol": "BTCUSDT",
        "count": 1,
    }
    part = {
        "service": "trade-engine",
        "pid": os.getpid(),
        "started_at_ms": now_ms() - 200_000,
        "refreshed_at_ms": now_ms(),
        "completed_at_ms": now_ms() - 7_000,
        "cycles": 3,
        "completed_cycle": 3,
        "ready": True,
        "mode": "dry-run",
        "version": "0.1.0",
        "signal_age_s": {"tradingview": 7300.0, "bittensor": None},
        "accounts": [account],
        "alerts": [alert],
    }
    replace_status(home, "trade-engine", {**part, **changes})


def test_the_status_of_a_running_engine_is_shown(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    engine(home)
    set_mode(home, EVERYTHING, Mode.HALT, who="ann", why="[odd]", now_ms=1)
    with lock_now(home.state / "trade-engine.lock", "x"):
        assert run(["status"]) == 0
    said = capsys.readouterr().out

    for text in (
        "running, mode dry-run",
        "the last completed 7 s ago",
        "halt of everything by ann: [odd]",
        "tradingview 2 h, bittensor never",
        "live (dry-run)",
        "1000.5",
        "[margin] refused",
        "first BTCUSDT: order refused",
    ):
        assert text in said


def test_the_status_without_an_engine_says_so_and_exits_1(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["status"]) == 1
    said = capsys.readouterr().out

    assert "not running" in said
    assert "./trade-engine up" in said
    assert list(home.state.iterdir()) == [home.last_good]


def test_a_crashed_engine_exits_1(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    engine(home, exception={"type": "KeyError", "message": "boom", "tb": "", "at_ms": 1})
    with lock_now(home.state / "trade-engine.lock", "x"):
        assert run(["status"]) == 1

    assert "crashed: KeyError: boom" in capsys.readouterr().out


def test_status_json_is_the_document(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    engine(home)
    with lock_now(home.state / "trade-engine.lock", "x"):
        assert run(["status", "--json"]) == 0
        expected = read_status(home, now_ms())
    document = orjson.loads(capsys.readouterr().out)
    document.pop("signal_age_s")
    expected.pop("signal_age_s")

    assert document == expected


def test_a_status_without_alerts_says_so(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    part = {"pid": os.getpid(), "refreshed_at_ms": now_ms(), "ready": True}
    names = ("trade-engine", "tradingview-endpoint", "monitor")
    locks = [lock_now(home.state / f"{name}.lock", name) for name in names]
    for name in names:
        replace_status(home, name, {"service": name, **part})
    assert run(["status"]) == 0
    for lock in locks:
        lock.release()

    assert "No alerts." in capsys.readouterr().out


def signal(source: str, symbol: str, depth: str, at_ms: int, **changes: Any) -> dict[str, Any]:
    made = Signal(
        id=f"{source}-{symbol}-{at_ms}",
        source=source,
        source_symbol=symbol,
        symbol=symbol.removesuffix(".P"),
        depth=Decimal(depth),
        leverage=None,
        price=Decimal("3328.25"),
        fired_at_ms=None,
        received_at_ms=at_ms,
    )
    return {**made.to_row(), **changes}


def store(home: Home, source: str, *rows: dict[str, Any]) -> None:
    journal = Journal(home.raw_signals / source)
    journal.append_sync(rows, at_ms=1_700_000_000_000)
    journal.close()


@pytest.fixture
def stored(home: Home) -> list[dict[str, Any]]:
    newest = [
        signal("bittensor", "BTCUSD", "-0.2", 5),
        signal("tradingview", "BTCUSDT.P", "0.1", 3),
        signal("tradingview", "ETHUSDT", "0", 4),
    ]
    store(home, "bittensor", newest[0])
    store(home, "tradingview", signal("tradingview", "ETHUSDT", "0.5", 1), newest[1], newest[2])
    late = signal("tradingview", "ETHUSDT", "0.9", 6, status="superseded", reason="older")
    store(home, "tradingview", late)
    return newest


def test_the_newest_signal_of_each_source_and_symbol_is_given_as_stored(
    stored: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["signals", "--json"]) == 0

    assert orjson.loads(capsys.readouterr().out) == stored


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        (["--source", "bittensor"], [0]),
        (["--source", "nobody"], []),
        (["--symbol", "btcusdt"], [1]),
        (["--symbol", "BTCUSDT.P"], [1]),
        (["--source", "tradingview", "--symbol", "ETHUSDT"], [2]),
    ],
)
def test_signals_can_be_picked(
    stored: list[dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    kept: list[int],
) -> None:
    assert run(["signals", "--json", *arguments]) == 0

    assert orjson.loads(capsys.readouterr().out) == [stored[index] for index in kept]


@pytest.mark.usefixtures("stored")
def test_signals_are_shown_to_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["signals"]) == 0
    said = capsys.readouterr().out

    assert re.search(r"tradingview\s+BTCUSDT\.P\s+BTCUSDT\s+0\.1\s+3328\.25\s+1970-01-01", said)


@pytest.mark.usefixtures("home")
def test_without_a_signal_the_next_step_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["signals"]) == 0
    assert "send-signal" in capsys.readouterr().out
    assert run(["signals", "--json"]) == 0
    assert capsys.readouterr().out == "[]\n"


def test_without_a_signals_folder_there_are_none(home: Home) -> None:
    home.raw_signals.rmdir()

    assert run(["signals"]) == 0


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a7_lost_signals_are_a_row_and_exit_5_never_nothing(
    home: Home,
    stored: list[dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
    form: list[str],
) -> None:
    (path,) = (home.raw_signals / "bittensor").glob("*.jsonl")
    path.unlink()
    path.mkdir()
    checkpoint = b'{"v":1,"source":"bittensor","covered":{"file":"%s","offset":9},"symbols":{},'
    rest = b'"memory_from":null,"confirmed_at_ms":null,"fold":{}}'
    (home.raw_signals / "bittensor/latest.json").write_bytes(checkpoint % path.name.encode() + rest)
    assert run(["signals", *form]) == 5
    said = capsys.readouterr()
    if form:
        rows = orjson.loads(said.out)
        assert rows[0]["source"] == "bittensor"
        assert rows[0]["error"]
        assert rows[1:] == stored[1:]
    else:
        assert "bittensor: " in said.err


class Receiver(BaseHTTPRequestHandler):
    """Stands in for the other end of the wire; answers as told."""

    seen: list[tuple[str, bytes]]
    answer: tuple[int, bytes]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        type(self).seen.append((self.path, body))
        self.send_response(self.answer[0])
        self.end_headers()
        self.wfile.write(self.answer[1])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver(home: Home) -> Iterator[type[Receiver]]:
    Receiver.seen = []
    Receiver.answer = (200, b'{"status":"ok","id":"1","warnings":[],"ignored":[]}')
    server = HTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    config = {"webhook": {"token": TOKEN, "port": 1}}  # port 1: not where it really listens
    home.engine_config.write_bytes(orjson.dumps(config))
    home.engine_config.chmod(0o600)
    url = f"http://127.0.0.1:{server.server_port}"
    replace_status(home, "tradingview-endpoint", {"url": url})
    yield Receiver
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_signal_is_posted_with_the_token_and_the_reply_printed(
    receiver: type[Receiver], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--symbol", "ETHUSDT", "--direction", "long", "--size", "5.8/100"]
    assert run(["send-signal", *arguments, "--leverage", "3", "--price", "3328.25"]) == 0
    ((path, body),) = receiver.seen

    assert path == f"/webhook/{TOKEN}"
    assert orjson.loads(body) == {
        "symbol": "ETHUSDT",
        "direction": "long",
        "size": "5.8/100",
        "leverage": "3",
        "price": "3328.25",
    }
    assert orjson.loads(capsys.readouterr().out)["status"] == "ok"


def test_a_refused_signal_exits_3_and_shows_why(
    receiver: type[Receiver], capsys: pytest.CaptureFixture[str]
) -> None:
    receiver.answer = (422, b'{"status":"rejected","reason":"size","field":"size"}')

    assert run(["send-signal", "--symbol", "ETHUSDT", "--direction", "long"]) == 3
    said = capsys.readouterr()
    assert "rejected" in said.out
    assert "422" in said.err
    assert TOKEN not in said.out + said.err


def test_without_a_token_nothing_is_posted(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert home.engine_config.exists() is False
    assert run(["send-signal", "--symbol", "ETHUSDT", "--direction", "flat"]) == 4

    assert "webhook.token" in capsys.readouterr().err


def test_without_a_receiver_the_cure_is_told(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    config = {"webhook": {"token": TOKEN, "port": 1}}
    home.engine_config.write_bytes(orjson.dumps(config))

    assert run(["send-signal", "--symbol", "ETHUSDT", "--direction", "flat"]) == 1
    said = capsys.readouterr().err
    assert "./trade-engine up" in said
    assert TOKEN not in said


def test_a_signal_needs_symbol_and_direction() -> None:
    assert run(["send-signal", "--symbol", "ETHUSDT"]) == 2
