import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest

from core.process import logs
from core.process.logs import configure_logging, redact, register_secret

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _own_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    monkeypatch.setattr(logs, "_secrets", set())
    monkeypatch.setattr(logging, "raiseExceptions", logging.raiseExceptions)
    yield
    logging.captureWarnings(capture=False)
    root.handlers[:], root.level = handlers, level


def fail_with(text: str) -> None:
    raise ValueError(text)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_record_is_one_json_line_with_its_fields(capsys: Capture) -> None:
    configure_logging("trade-engine")
    logging.getLogger("core.lanes.lane").warning(
        "order placed", extra={"account": "a", "symbol": "BTCUSDT"}
    )
    line = capsys.readouterr().err
    record = json.loads(line)

    assert line.count("\n") == 1
    assert record["event"] == "order placed"
    assert (record["level"], record["logger"]) == ("WARNING", "core.lanes.lane")
    assert (record["account"], record["symbol"]) == ("a", "BTCUSDT")
    assert (record["service"], record["at"][-6:]) == ("trade-engine", "+00:00")


def test_a_server_s_coloured_copy_of_its_text_is_left_out(capsys: Capture) -> None:
    configure_logging("monitor")
    logging.getLogger("uvicorn.error").info("up", extra={"color_message": "\x1b[36mup"})

    assert "color_message" not in capsys.readouterr().err


def test_a_traceback_is_in_the_same_line(capsys: Capture) -> None:
    configure_logging("trade-engine")
    try:
        fail_with("no such lot")
    except ValueError:
        logging.getLogger().exception("crashed")

    assert "ValueError: no such lot" in json.loads(capsys.readouterr().err)["trace"]


def test_a_terminal_gets_plain_lines(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    configure_logging("trade-engine")
    logging.getLogger().info("held", extra={"symbol": "ETHUSDT"})

    assert "INFO    held symbol=ETHUSDT\n" in terminal.getvalue()
    assert "{" not in terminal.getvalue()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("secret", ["s3cr3t-key", 'quo"ted\\key', "slash/and space"])
def test_c2_a_secret_reaches_no_line(capsys: Capture, secret: str) -> None:
    configure_logging("trade-engine")
    register_secret(secret)
    try:
        fail_with(f"bad signature for {secret}")
    except ValueError:
        logging.getLogger().exception("key %s", secret, extra={"row": {"api_key": secret}})
    line = capsys.readouterr().err

    assert secret not in line
    assert json.dumps(secret)[1:-1] not in line
    assert secret not in str(json.loads(line))
    assert line.count(logs.MASK) >= 3


def test_c2_a_webhook_path_is_masked_without_being_registered(capsys: Capture) -> None:
    configure_logging("tradingview-endpoint")
    logging.getLogger("access").info("POST /webhook/Abc_-123?x=1 200")

    assert json.loads(capsys.readouterr().err)["event"] == "POST /webhook/***?x=1 200"


def test_a_longer_secret_is_masked_before_one_that_it_contains() -> None:
    register_secret("abcd")
    register_secret("abcdefgh")

    assert redact("x abcdefgh y") == "x *** y"


def test_a_very_short_secret_does_not_blot_out_words() -> None:
    register_secret("a")
    register_secret("")

    assert redact("a market order") == "a market order"


def test_c2_a_record_that_cannot_be_rendered_does_not_leak_either(capsys: Capture) -> None:
    configure_logging("trade-engine")
    register_secret("s3cr3t-key")
    logging.getLogger().info("%d", "s3cr3t-key")

    assert "s3cr3t-key" not in capsys.readouterr().err


def test_a_dead_stderr_stops_nobody(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    class Dead(io.StringIO):
        def write(self, _text: str, /) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Dead())
    configure_logging("trade-engine")
    logging.getLogger().error("goes nowhere")

    assert capsys.readouterr().err == ""
