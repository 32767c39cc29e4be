"""`trade-engine config ...` without a person: changes, files, checks and looks."""

import io
import json
import sys
from decimal import Decimal
from typing import Any

import pytest

from account_processors import venue_profiles
from account_processors.probing import KeyProbe
from commands.configuring.mapping import source_names
from commands.configuring.venues import DAY_MS, Venues, forms, said_of
from commands.installation.first_use import write_examples
from commands.main import run
from core.home import Home
from core.model import KeyFacts
from core.process.exit_codes import ExitCode

Capture = pytest.CaptureFixture[str]
SECRET = "secret-of-a-test-0123456789"
ACCOUNTS = {
    "bybit": {"api_key": "key-of-a-test-0123456789", "api_secret": SECRET, "enabled": False}
}


@pytest.fixture
def ready(home: Home) -> Home:
    write_examples(home)
    return home


def content(home: Home, name: str) -> Any:
    return json.loads((home.root / name).read_bytes())


def test_mappings_are_set_and_removed(ready: Home, capsys: Capture) -> None:
    words = ["--set", "bittensor:TAOUSD=taousdt", "--remove", "tradingview:ETHUSDT"]

    assert run(["config", "mapping", *words]) == 0
    assert content(ready, "asset_mapping_config.json") == {
        "tradingview": {"BTCUSDT": "BTCUSDT"},
        "bittensor": {"BTCUSD": "BTCUSDT", "ETHUSD": "ETHUSDT", "TAOUSD": "TAOUSDT"},
    }
    assert "Removed tradingview ETHUSDT -> ETHUSDT" in capsys.readouterr().out


def test_a_used_target_moves_unless_it_is_an_alias(ready: Home) -> None:
    assert run(["config", "mapping", "--set", "bittensor:BTCUSDC=BTCUSDT", "--alias"]) == 0
    both = content(ready, "asset_mapping_config.json")["bittensor"]
    assert run(["config", "mapping", "--set", "bittensor:BTCUSDP=BTCUSDT"]) == 0
    one = content(ready, "asset_mapping_config.json")["bittensor"]

    assert both == {"BTCUSD": "BTCUSDT", "ETHUSD": "ETHUSDT", "BTCUSDC": "BTCUSDT"}
    assert one == {"ETHUSD": "ETHUSDT", "BTCUSDP": "BTCUSDT"}


def test_symbols_of_sources_may_hold_colons_and_equal_signs(ready: Home) -> None:
    assert run(["config", "mapping", "--set", "tradingview:BINANCE:TAO=F.P=TAOUSDT"]) == 0
    rows = content(ready, "asset_mapping_config.json")["tradingview"]

    assert rows["BINANCE:TAO=F.P"] == "TAOUSDT"


def test_weights_are_set_and_removed(ready: Home) -> None:
    words = ["--set", "BTCUSDT.leverage=5", "--set", "btcusdt.tradingview=0.85"]

    assert run(["config", "weights", *words, "--remove", "ETHUSDT"]) == 0
    assert content(ready, "signal_weight_config.json") == [
        {
            "symbol": "BTCUSDT",
            "leverage": 5,
            "sources": [
                {"source": "tradingview", "weight": 0.85},
                {"source": "bittensor", "weight": 0.15},
            ],
        }
    ]


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        pytest.param("mapping --set tradingview=X", 2, "SOURCE:SYMBOL=OURS", id="no-symbol"),
        pytest.param("mapping --set tradingveiw:X=XUSDT", 2, "no source is named", id="source"),
        pytest.param("mapping --remove tradingview:X", 78, "no mapping of X", id="not-there"),
        pytest.param("mapping --set tradingview:X=Y", 78, "tradingview.X", id="no-target"),
        pytest.param("mapping --check --show", 2, "one at a time", id="mixture"),
        pytest.param("weights --set BTCUSDT=3", 2, "SYMBOL.leverage=3", id="no-what"),
        pytest.param("weights --set BTCUSDT.leverage=21", 78, "at most 20", id="leverage"),
        pytest.param("weights --set BTCUSDT.tradingview=0.9", 78, "exceed 1", id="sum"),
        pytest.param("weights --set BTCUSDT.nobody=0.1", 2, "no source is named", id="nobody"),
        pytest.param("weights --set NEWUSDT.bittensor=0.1", 78, "needs a leverage", id="new"),
        pytest.param("weights --set BTC.P.leverage=3", 2, "did you mean BTCUSDT", id="nowhere"),
        pytest.param("weights --set XY.leverage=3", 2, "SOURCE:SYMBOL=XY", id="nothing-near"),
        pytest.param(
            "weights --set BTCUSDT.leverage=2 --remove btcusdt", 2, "set and removed", id="both"
        ),
        pytest.param(
            "mapping --set bittensor:A=AUSDT --remove bittensor:A", 2, "named twice", id="at-odds"
        ),
        pytest.param("weights --remove XUSDT", 78, "XUSDT has no weights", id="not-listed"),
    ],
)
def test_what_is_wrong_changes_nothing(
    ready: Home, capsys: Capture, words: str, code: int, text: str
) -> None:
    ready.asset_mapping.write_text('{"bittensor": {"BTCUSD": "BTCUSDT", "NEW": "NEWUSDT"}}')
    before = {path.name: path.read_bytes() for path in ready.root.glob("*.json")}

    assert run(["config", *words.split()]) == code
    assert {path.name: path.read_bytes() for path in ready.root.glob("*.json")} == before
    assert text in " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_a_broken_file_is_not_written_over(ready: Home, capsys: Capture) -> None:
    assert run(["config", "--check"]) == 0  # keeps copies
    ready.asset_mapping.write_text("{")

    assert run(["config", "mapping", "--set", "tradingview:X=XUSDT"]) == ExitCode.CONFIG
    assert ready.asset_mapping.read_text() == "{"
    assert "asset_mapping_config.json" in capsys.readouterr().err


def test_accounts_come_from_stdin_in_the_shape_of_today(
    home: Home, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = io.TextIOWrapper(io.BytesIO(json.dumps(ACCOUNTS).encode()))
    monkeypatch.setattr(sys, "stdin", given)

    assert run(["config", "credentials", "--from", "-"]) == 0
    assert content(home, "credentials.json") == {
        "accounts": [
            {"name": "bybit", "exchange": "bybit", "environment": "live", **ACCOUNTS["bybit"]}
        ]
    }
    assert home.credentials.stat().st_mode & 0o777 == 0o600
    assert SECRET not in capsys.readouterr().out


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("{", id="torn"),
        pytest.param(json.dumps({"accounts": [{"api_secret": SECRET}]}), id="incomplete"),
        pytest.param(" " * 1_000_001, id="huge"),
    ],
)
def test_a_file_that_is_not_valid_is_not_taken(ready: Home, capsys: Capture, text: str) -> None:
    before = ready.credentials.read_bytes()
    source = ready.root / "mine.txt"
    source.write_text(text)

    assert run(["config", "credentials", "--from", str(source)]) == ExitCode.CONFIG
    assert ready.credentials.read_bytes() == before
    assert SECRET not in capsys.readouterr().err


def test_a_file_that_is_not_there_is_told(ready: Home, capsys: Capture) -> None:
    assert run(["config", "weights", "--from", str(ready.root / "none")]) == ExitCode.CONFIG
    assert "No such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "key", "text"),
    [
        pytest.param({"exchange": "binance"}, "exchange", "bybit, kucoin, mexc", id="nowhere"),
        pytest.param({"exchange": "bybitt"}, "exchange", "did you mean bybit?", id="mistyped"),
        pytest.param(
            {"exchange": "mexc", "environment": "demo"},
            "environment",
            "paper or live, was demo: mexc has no demo",
            id="no-demo",
        ),
        pytest.param({"exchange": "blofin"}, "api_passphrase", "is missing", id="no-passphrase"),
        pytest.param(
            {"exchange": "mexc", "copy_trading": True}, "copy_trading", "must be false", id="copies"
        ),
        pytest.param({"api_key": "KEY\nSECOND"}, "api_key", "line break", id="two-lines"),
        pytest.param({"api_secret": "one two"}, "api_secret", "a space", id="two-words"),
        pytest.param(
            {"api_passphrase": "phrase\x00"}, "api_passphrase", "control character", id="control"
        ),
    ],
)
def test_an_account_that_can_never_work_is_neither_taken_nor_passed(
    ready: Home, capsys: Capture, changes: dict[str, Any], key: str, text: str
) -> None:
    before = ready.credentials.read_bytes()
    row = {"name": "main", "exchange": "bybit", "environment": "live", "api_key": "k"}
    source = ready.root / "mine.txt"
    source.write_text(json.dumps({"accounts": [{**row, "api_secret": SECRET, **changes}]}))

    assert run(["config", "credentials", "--from", str(source)]) == ExitCode.CONFIG
    assert ready.credentials.read_bytes() == before
    ready.credentials.write_bytes(source.read_bytes())
    assert run(["config", "--check"]) == ExitCode.CONFIG
    told = capsys.readouterr()
    for words in (f"credentials.json: main.{key}", text):
        assert words in told.out
        assert words in told.err
    assert not any(
        secret in told.out + told.err for secret in (SECRET, "SECOND", "two", "phrase\x00")
    )


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"exchange": "blofin", "enabled": False}, id="disabled-without-passphrase"),
        pytest.param({"exchange": "blofin", "api_key": ""}, id="without-a-key"),
        pytest.param(
            {"exchange": "mexc", "environment": "demo", "base_url": "http://127.0.0.1:9"},
            id="demo-of-another-host",
        ),
    ],
)
def test_an_account_that_is_left_out_or_elsewhere_is_taken(
    home: Home, changes: dict[str, Any]
) -> None:
    row = {"name": "main", "environment": "live", "api_key": "k", "api_secret": SECRET}
    source = home.root / "mine.txt"
    source.write_text(json.dumps({"accounts": [{**row, **changes}]}))

    assert run(["config", "credentials", "--from", str(source)]) == 0


def test_a_pasted_key_of_sn8_is_judged_too(ready: Home, capsys: Capture) -> None:
    ready.credentials.write_text('{"bittensor_sn8": {"api_key": "a b", "endpoint": ""}}')

    assert run(["config", "credentials", "--check"]) == ExitCode.CONFIG
    assert "credentials.json: bittensor_sn8.api_key" in capsys.readouterr().out


def test_the_key_of_a_removed_account_is_nowhere_any_more(home: Home) -> None:
    home.credentials.write_text(json.dumps(ACCOUNTS))
    assert run(["config", "--check"]) == 0  # keeps a copy
    copy = home.last_good / "credentials.json"
    before = copy.read_text()
    source = home.root / "mine.txt"
    source.write_text('{"accounts": []}')
    took = run(["config", "credentials", "--from", str(source)])

    assert SECRET in before
    assert took == 0
    assert SECRET not in copy.read_text()


def test_a_mapping_is_taken_whole_from_a_file(ready: Home) -> None:
    source = ready.root / "mine.txt"
    source.write_text('{"bittensor": {"TAOUSD": "TAOUSDT"}}')

    assert run(["config", "mapping", "--from", str(source)]) == 0
    assert content(ready, "asset_mapping_config.json") == {"bittensor": {"TAOUSD": "TAOUSDT"}}


def test_check_names_file_key_and_remedy(ready: Home, capsys: Capture) -> None:
    ready.signal_weights.write_text('[{"symbol": "BTCUSDT", "leverage": 50, "sources": []}]')

    assert run(["config", "--check"]) == ExitCode.CONFIG
    assert run(["config", "mapping", "--check"]) == 0
    out = capsys.readouterr().out
    assert "leverage must be at most 20, was 50" in out
    assert "signal_weight_config.json: BTCUSDT.leverage" in out
    assert "asset_mapping_config.json: ok" in out


def test_check_is_one_json_line_for_programs(ready: Home, capsys: Capture) -> None:
    ready.asset_mapping.write_text("[]")

    assert run(["config", "--check", "--json"]) == ExitCode.CONFIG
    told = json.loads(capsys.readouterr().out)
    assert told["valid"] is False
    assert {row["file"]: len(row["problems"]) for row in told["files"]} == {
        "credentials.json": 0,
        "asset_mapping_config.json": 1,
        "signal_weight_config.json": 0,
        "engine_config.json": 0,
        "bittensor_processor_config.json": 0,
    }


def test_show_and_json_tell_no_secret(home: Home, capsys: Capture) -> None:
    home.credentials.write_text(json.dumps(ACCOUNTS))

    assert run(["config", "--show"]) == 0
    assert run(["config", "--json"]) == 0
    assert run(["config", "credentials", "--json"]) == 0
    told = capsys.readouterr()
    assert "****6789" in told.out
    assert SECRET not in told.out + told.err
    assert "key-of-a-test" not in told.out + told.err


@pytest.mark.usefixtures("ready")
@pytest.mark.parametrize("name", ["credentials", "mapping", "weights"])
def test_without_a_terminal_it_says_what_to_use_instead(capsys: Capture, name: str) -> None:
    assert run(["config", name]) == ExitCode.USAGE
    assert "--from FILE" in capsys.readouterr().err


@pytest.mark.usefixtures("ready")
def test_config_alone_explains_itself(capsys: Capture) -> None:
    assert run(["config"]) == 0
    assert "credentials" in capsys.readouterr().out


def test_people_s_instructions_are_asked_about_first() -> None:
    assert source_names() == ("tradingview", "bittensor")


def test_each_venue_has_a_form_of_what_it_asks() -> None:
    found = {form.exchange: form for form in forms()}

    assert list(found)[:4] == ["bybit", "blofin", "kucoin", "mexc"]
    assert found.keys() == venue_profiles().keys()
    assert [name for name, form in found.items() if form.has_passphrase] == ["blofin", "kucoin"]
    assert [name for name, form in found.items() if form.has_demo] == ["bybit", "blofin"]


def test_venues_that_cannot_be_reached_are_unknown(ready: Home) -> None:
    markets = Venues(ready).markets()  # the paper exchange does not run

    assert markets == {f"{name} (paper)": None for name in venue_profiles()}


@pytest.mark.parametrize(
    ("probe", "is_ok", "text"),
    [
        pytest.param(KeyProbe(error="10003: no"), False, "10003: no", id="refused"),
        pytest.param(KeyProbe(equity_usdt=Decimal("12.5")), True, "equity 12.5 USDT", id="works"),
        pytest.param(KeyProbe(facts=KeyFacts(can_trade=False)), False, "NOT trade", id="no-trade"),
        pytest.param(KeyProbe(facts=KeyFacts(can_withdraw=True)), True, "withdraw", id="withdraw"),
        pytest.param(
            KeyProbe(facts=KeyFacts(expires_at_ms=9 * DAY_MS)), True, "in 8 days", id="expires"
        ),
        pytest.param(
            KeyProbe(facts=KeyFacts(expires_at_ms=-2 * DAY_MS)),
            True,
            "expired 3 days ago",
            id="old",
        ),
        pytest.param(
            KeyProbe(facts=KeyFacts(expires_at_ms=DAY_MS - 1)),
            True,
            "less than a day ago",
            id="just",
        ),
        pytest.param(
            KeyProbe(facts=KeyFacts(expires_at_ms=DAY_MS + 1)), True, "within a day", id="soon"
        ),
        pytest.param(KeyProbe(facts=KeyFacts(allowed_ips=())), True, "every address", id="ips"),
        pytest.param(KeyProbe(), True, "the key works", id="says-nothing"),
    ],
)
def test_what_came_of_trying_a_key_is_one_line(probe: KeyProbe, is_ok: bool, text: str) -> None:
    tried = said_of(probe, now_ms=DAY_MS)

    assert tried.is_ok is is_ok
    assert text in tried.text
