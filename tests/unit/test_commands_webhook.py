"""What a trader enters at TradingView, and how an alert would be understood."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from commands.main import run
from commands.webhook_samples import FILLED_IN, PLACEHOLDERS, Sample, samples
from core.home import Home
from core.process.service_status import replace_status
from core.store import atomic_write_json
from signal_processors.tradingview_processor import ParsedAlert, parse
from tests.contract.receiver import TOKEN, Receiver, running

pytestmark = pytest.mark.usefixtures("home")
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def home(home: Home) -> Home:
    atomic_write_json(home.engine_config, {"webhook": {"token": TOKEN}})
    atomic_write_json(home.asset_mapping, {"tradingview": {"BTCUSDT": "BTCUSDT", "X": "XUSDT"}})
    weights = {"symbol": "BTCUSDT", "leverage": 2}
    sources = [{"source": "tradingview", "weight": 0.1}]
    atomic_write_json(home.signal_weights, [{**weights, "sources": sources}])
    return home


@pytest.fixture
async def receiver(home: Home) -> AsyncIterator[Receiver]:
    async with running(home) as receiver:
        url = f"http://{receiver.address[0]}:{receiver.address[1]}"
        replace_status(home, "tradingview-endpoint", {"url": url})
        yield receiver


def tried(capsys: Capture, *options: str) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = run(["webhook", "test", "--json", *options])
    return code, orjson.loads(capsys.readouterr().out)


@pytest.mark.parametrize("sample", samples(None), ids=lambda sample: sample.name)
def test_each_message_is_understood_as_tradingview_fills_it_in(sample: Sample) -> None:
    alert = parse(sample.filled_in, received_at_ms=1_767_323_046_000)

    assert isinstance(alert, ParsedAlert)
    assert alert.warnings == ()
    assert set(alert.ignored) <= {"position_size"}
    assert alert.source_symbol == "BTCUSDT"
    assert (alert.depth > 0, alert.depth < 0) == (
        sample.name in ("long", "strategy"),
        sample.name == "short",
    )
    assert b"{{" not in sample.filled_in


def test_each_placeholder_that_is_used_is_explained() -> None:
    used = "".join(sample.text for sample in samples(None))

    assert {name for name in FILLED_IN if name in used} == set(PLACEHOLDERS)


def test_the_url_is_shown_as_it_is_with_the_rule_of_the_ports(home: Home, capsys: Capture) -> None:
    replace_status(home, "tradingview-endpoint", {"url": "http://127.0.0.1:8123"})
    code = run(["webhook", "show", "--symbol", "ETHUSDT"])
    text = capsys.readouterr().out

    assert code == 0
    assert f"http://127.0.0.1:8123/webhook/{TOKEN}" in text
    assert f"https://YOUR-NAME/webhook/{TOKEN}" in text
    assert "80 and 443" in text
    assert '{"symbol":"ETHUSDT","direction":"{{strategy.market_position}}"' in text


def test_the_url_is_shown_to_programs_too(capsys: Capture) -> None:
    assert run(["webhook", "show", "--json"]) == 0
    row = orjson.loads(capsys.readouterr().out)

    assert row["url"] == f"http://127.0.0.1:8000/webhook/{TOKEN}"
    assert [alert["name"] for alert in row["alerts"]] == ["strategy", "long", "short", "flat"]


def test_without_a_token_there_is_nothing_to_show(home: Home, capsys: Capture) -> None:
    home.engine_config.unlink()

    assert run(["webhook", "show"]) == 78
    assert "./trade-engine up" in capsys.readouterr().err


async def test_an_alert_is_tried_out_and_nothing_is_stored(
    receiver: Receiver, capsys: Capture
) -> None:
    code, told = await asyncio.to_thread(tried, capsys)
    understood = told["understood"]

    assert code == 0
    assert (understood["symbol"], understood["depth"]) == ("BTCUSDT", "0.05")
    assert understood["adds_to_the_target"] == "0.010"  # 0.1 x 0.05 x 2: never more than configured
    assert understood["ignored"] == ["position_size"]
    assert [(row["what"], row["state"]) for row in told["receiver"]] == [
        ("receiver", "ok"),
        ("token", "ok"),
    ]
    assert receiver.rows == []
    assert receiver.intake.counters.rejected == 0
    assert receiver.intake.counters.unauthorized == 0


async def test_a_token_that_the_receiver_does_not_take_is_told(
    home: Home, receiver: Receiver, capsys: Capture
) -> None:
    atomic_write_json(home.engine_config, {"webhook": {"token": "another-token"}})
    code, told = await asyncio.to_thread(tried, capsys)

    assert code == 3
    assert told["receiver"][1]["state"] == "failed"
    assert receiver.rows == []


async def test_an_address_that_may_not_send_leaves_the_token_unknown(
    receiver: Receiver, capsys: Capture
) -> None:
    allowed = {"token": TOKEN, "allow_ips": ["10.0.0.0/8"]}
    receiver.webhook = type(receiver.webhook).model_validate(allowed)
    code, told = await asyncio.to_thread(tried, capsys)

    assert code == 0
    assert told["receiver"][1]["state"] == "unknown"
    assert "allow_ips" in told["receiver"][1]["detail"]


def test_an_alert_that_is_not_understood_is_told_with_its_field(capsys: Capture) -> None:
    code, told = tried(capsys, "--body", '{"symbol": "BTCUSDT", "direction": "up"}')

    assert code == 3
    assert told["understood"] is None
    assert told["refused"]["field"] == "direction"


@pytest.mark.parametrize(
    ("symbol", "words"),
    [
        pytest.param("DOGE", "DOGE is not mapped", id="unmapped"),
        pytest.param("X", "XUSDT has no weights", id="unweighed"),
    ],
)
def test_holes_behind_an_alert_are_told(
    capsys: Capture, tmp_path: Path, symbol: str, words: str
) -> None:
    file = tmp_path / "alert.json"
    file.write_text(f'{{"symbol": "{symbol}", "direction": "long", "size": "5%"}}')
    _, told = tried(capsys, "--file", str(file))

    assert any(words in warning for warning in told["understood"]["warnings"])


@pytest.mark.parametrize(
    ("body", "is_told"),
    [
        pytest.param('"direction": "long", "timenow": "2026-01-02T03:04:05Z"', True, id="old"),
        pytest.param('"direction": "flat", "timenow": "2026-01-02T03:04:05Z"', False, id="exit"),
        pytest.param('"direction": "long"', False, id="now"),
    ],
)
def test_an_alert_too_old_to_open_anything_is_told(
    capsys: Capture, body: str, is_told: bool
) -> None:
    _, told = tried(capsys, "--body", f'{{"symbol": "BTCUSDT", "size": "5%", {body}}}')

    assert ("max_entry_age_s (900 s)" in str(told["understood"]["warnings"])) is is_told


def test_our_own_sample_fires_now(capsys: Capture) -> None:
    assert tried(capsys)[1]["understood"]["warnings"] == []


def test_what_a_stranger_wrote_is_shown_harmless_and_without_the_token(capsys: Capture) -> None:
    body = f'{{"symbol": "BTC\\u001b[2J", "token": "{TOKEN}", "direction": "flat"}}\x1b[2J'
    code = run(["webhook", "test", "--body", body])
    told = capsys.readouterr()

    assert code == 3
    assert "\x1b[2J" not in told.out
    assert TOKEN not in told.out + told.err


@pytest.mark.parametrize("options", [["--body", "{}", "--file", "x"], ["--file", "not-there"]])
def test_wrong_words_are_a_usage_error(options: list[str]) -> None:
    assert run(["webhook", "test", *options]) == 2
