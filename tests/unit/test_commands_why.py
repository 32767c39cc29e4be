"""`why`: a person must find who wants what, what it adds up to, what is held, and what holds it."""

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

from commands.main import run
from core.home import Home
from tests.unit.why_scene import (
    MINERS,
    account,
    confirm,
    engine,
    says,
    sn8,
    symbol_row,
    weights,
)

Screen = pytest.CaptureFixture[str]
TOKEN = "a-webhook-token-of-32-characters"
SN8_KEY = "key-of-the-validator"
ACCOUNT_KEYS = {
    *("account", "environment", "symbol", "held_lots", "target_lots", "version", "verified"),
    *("as_wanted", "reason", "hold", "retry_at_ms"),
}


@pytest.fixture
def house(home: Home) -> Home:
    """Give a home whose BTCUSDT hears both sources."""
    files: dict[Path, Any] = {
        home.credentials: {"bittensor_sn8": {"api_key": SN8_KEY}, "accounts": []},
        home.asset_mapping: {
            "tradingview": {"BTCUSDT": "BTCUSDT", "ETHUSDT": "ETHUSDT"},
            "bittensor": {"BTCUSD": "BTCUSDT", "BTCUSDC": "BTCUSDT", "ETHUSD": "ETHUSDT"},
        },
        home.signal_weights: [weights("BTCUSDT", bittensor="0.15"), weights("ETHUSDT")],
        home.engine_config: {"webhook": {"token": TOKEN}},
    }
    for path, content in files.items():
        path.write_bytes(orjson.dumps(content))
    return home


def told(capsys: Screen, symbol: str = "BTCUSDT", code: int = 0) -> str:
    """Give what a person sees, several blanks as one."""
    assert run(["why", symbol]) == code
    return re.sub(" +", " ", capsys.readouterr().out)


def document(capsys: Screen, symbol: str = "BTCUSDT", code: int = 0) -> dict[str, Any]:
    assert run(["why", symbol, "--json"]) == code
    found: dict[str, Any] = orjson.loads(capsys.readouterr().out)
    return found


@pytest.mark.usefixtures("house")
def test_without_a_signal_nothing_is_known(capsys: Screen) -> None:
    said = told(capsys)

    assert said.startswith("Nothing is known of BTCUSDT")
    assert "trade-engine never ran here: ./trade-engine up" in said
    assert "NOT running" not in said


def test_an_alert_alone_is_weighed_and_what_is_held_stands_beside_it(
    house: Home, capsys: Screen
) -> None:
    says(house, "tradingview", "BTCUSDT", "0.058")
    with engine(house, account("first", symbol_row("0.3", "0.3"))):
        said = told(capsys, "btcusdt")

    head, _, who, word, *_ = said.splitlines()
    assert head == ("BTCUSDT: wanted long 0.0174 x equity; held as wanted by 1 of 1 accounts")
    assert who.startswith("who its symbol wants x weight x leverage = adds")
    assert word.strip() == "tradingview BTCUSDT long 0.058 0.1 3 0.0174 5 s ago"
    assert "first long 0.3 long 0.3 yes" in said


def test_what_holds_an_account_back_is_in_the_first_line_and_beside_the_account(
    house: Home, capsys: Screen
) -> None:
    says(house, "tradingview", "BTCUSDT", "-0.058")
    held = symbol_row("-0.3", "-0.3", hold="external: 0.3 bought by hand")
    with engine(
        house,
        account("good", symbol_row("-0.3", "-0.3")),
        account("poor", symbol_row("0", "-0.3", reason="margin: refused")),
        account("odd", held, environment="live"),
        account("late", symbol_row("0", "-0.3", verified=True, reason="expired_entry: old")),
        account("unread", symbol_row(None, "-0.3")),
        account("keyless", state="parked", reason="credentials: key refused"),
        account("off", state="disabled"),
        account("other"),
    ):
        said = told(capsys)

    first = said.splitlines()[0]
    assert "wanted short 0.0174 x equity" in first
    assert first.endswith("by 1 of 6 accounts, NOT by poor, odd, late, unread, keyless")
    for row in (
        "good short 0.3 short 0.3 yes",
        "poor flat short 0.3 NO margin: refused",
        "odd short 0.3 short 0.3 NO external: 0.3 bought by hand",
        "late flat short 0.3 NO expired_entry: old",
        "unread ? short 0.3 NO",
        "keyless ? NO parked: credentials: key refused",
    ):
        assert row in said


def test_an_account_that_is_no_longer_ready_does_not_hold_as_wanted(
    house: Home, capsys: Screen
) -> None:
    row = symbol_row("0.3", "0.3", reason="leverage_capped: 5")
    with engine(house, account("first", row, state="parked", reason="key refused")):
        (found,) = document(capsys)["accounts"]

    assert found["as_wanted"] is False
    assert found["reason"] == "parked: key refused; leverage_capped: 5"


def test_sn8_says_who_made_its_depth(house: Home, capsys: Screen) -> None:
    sn8(house)
    confirm(house, ago_s=2)
    with engine(house, account("first", symbol_row("1", "1"))):
        said = told(capsys)

    assert "bittensor (simulated) BTCUSD long 0.03 0.15 3 0.0135 2 s / 5 s ago" in said
    assert (
        "bittensor BTCUSD: 1 miners long, 1 short, agreement 0.6, ranking risk_adjusted, "
        "no_chain, careful" in said
    )
    assert "5Long long 0.4 x 0.05 0.04" in said
    assert "5Short short 0.1 x 0.05 -0.01" in said


def test_a_depth_on_its_way_says_where_it_goes(house: Home, capsys: Screen) -> None:
    sn8(house, depth="0.01")

    assert "they want long 0.03, it is on its way" in told(capsys)


def test_many_miners_are_cut_to_the_largest_and_all_are_in_the_json(
    house: Home, capsys: Screen
) -> None:
    many = [{**MINERS[0], "hotkey": f"5M{n}", "depth": "0.001"} for n in range(20)]
    sn8(house, miners=many)
    said = told(capsys)

    assert len(re.findall("5M", said)) == 8
    assert "and 12 smaller, together 0.012: --json lists them all" in said
    assert len(document(capsys)["signals"][0]["meta"]["miners"]) == 20


def test_symbols_of_a_source_that_mean_the_same_add_up(house: Home, capsys: Screen) -> None:
    sn8(house, "BTCUSD", "0.03")
    sn8(house, "BTCUSDC", "-0.01")
    sn8(house, "ETHUSD", "0.9")
    found = document(capsys)

    assert [row["source_symbol"] for row in found["signals"]] == ["BTCUSD", "BTCUSDC"]
    assert Decimal(found["exposure"]) == Decimal("0.02") * Decimal("0.15") * 3


@pytest.mark.parametrize(
    ("asked", "counted", "shown"),
    [
        pytest.param("2", "2", "2 0.02", id="less-is-used"),
        pytest.param("20", "3", "3 (asked 20) 0.03", id="more-is-capped"),
        pytest.param(None, "3", "3 0.03", id="none"),
    ],
)
def test_the_leverage_that_a_signal_asks_for_counts_up_to_the_configured(
    house: Home, capsys: Screen, asked: str | None, counted: str, shown: str
) -> None:
    says(house, "tradingview", "BTCUSDT", "0.1", leverage=asked)
    (row,) = document(capsys)["signals"]

    assert (row["leverage"], row["asked_leverage"]) == (counted, asked)
    assert f"long 0.1 0.1 {shown} 5 s ago" in told(capsys)


def test_a_source_without_weight_is_shown_as_not_heard(house: Home, capsys: Screen) -> None:
    sn8(house, "ETHUSD", "0.5")
    said = told(capsys, "ETHUSDT")

    assert said.startswith("ETHUSDT: wanted flat;")
    assert "ETHUSD long 0.5 0: not heard 3 0" in said


def test_a_symbol_without_weights_has_no_target(house: Home, capsys: Screen) -> None:
    house.asset_mapping.write_bytes(orjson.dumps({"tradingview": {"XRPUSDT": "XRPUSDT"}}))
    says(house, "tradingview", "XRPUSDT", "0.5")
    with engine(house, account("first", state="connecting")):
        said = told(capsys, "XRPUSDT")
        found = document(capsys, "XRPUSDT")

    assert "not in signal_weight_config.json, so it has no target" in said.splitlines()[0]
    assert (found["is_configured"], found["leverage"], found["exposure"]) == (False, None, "0.0")
    assert found["accounts"] == []


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        pytest.param({}, "of a DOGEUSDT that means nothing", id="unmapped"),
        pytest.param({"DOGEUSDT": "BTCUSDT"}, "of a DOGEUSDT that means BTCUSDT", id="elsewhere"),
    ],
)
def test_a_word_that_means_something_else_is_told(
    house: Home, capsys: Screen, mapping: dict[str, str], words: str
) -> None:
    house.asset_mapping.write_bytes(orjson.dumps({"tradingview": mapping}))
    says(house, "tradingview", "DOGEUSDT", "0.5")

    assert f"tradingview says long 0.5 {words}" in told(capsys, "DOGEUSDT")


@pytest.mark.parametrize(
    ("confirmed_ago_s", "is_stale"),
    [pytest.param(3, False, id="confirmed"), pytest.param(700, True, id="silent")],
)
def test_a_level_is_as_old_as_its_last_confirmation(
    house: Home, capsys: Screen, confirmed_ago_s: int, is_stale: bool
) -> None:
    says(house, "bittensor", "BTCUSD", "0.03", ago_s=7200)
    confirm(house, confirmed_ago_s)
    (row,) = document(capsys)["signals"]
    said = told(capsys)

    assert row["is_stale"] is is_stale
    assert row["heard_s"] - confirmed_ago_s in (0, 1)
    assert ("STALE 11 min / 2 h ago" in said) is is_stale
    assert ("it closes nothing, and opens nothing" in said) is is_stale


def test_only_paper_accounts_are_told_to_follow_a_simulation(house: Home, capsys: Screen) -> None:
    says(house, "tradingview", "BTCUSDT", "0.1")
    sn8(house)
    live = account("real", symbol_row("1", "1"), environment="live")
    with engine(house, live, account("paper", symbol_row("1", "1"))):
        found, said = document(capsys), told(capsys)

    assert Decimal(found["exposure"]) == Decimal("0.0435")
    assert Decimal(found["exposure_without_simulated"]) == Decimal("0.03")
    assert "follow a simulated source; for the others it is long 0.03 x equity." in said


def test_among_paper_accounts_nothing_is_said_of_others(house: Home, capsys: Screen) -> None:
    sn8(house)
    with engine(house, account("paper", symbol_row("1", "1"))):
        assert "for the others" not in told(capsys)


def lose(home: Home, source: str) -> None:
    (path,) = (home.raw_signals / source).glob("*.jsonl")
    confirm(home, 1)
    path.unlink()
    path.mkdir()


def test_a7_a_lost_source_is_told_with_exit_5_and_never_counts_as_nothing(
    house: Home, capsys: Screen
) -> None:
    says(house, "tradingview", "BTCUSDT", "0.1")
    sn8(house)
    lose(house, "bittensor")
    assert run(["why", "BTCUSDT"]) == 5
    said = capsys.readouterr()
    found = document(capsys, code=5)

    assert "without bittensor, whose signals are lost" in said.out.splitlines()[0]
    assert said.err.startswith("LOST bittensor: its last word is held. ")
    assert set(found["signals"][0]) == {"source", "error"}
    assert found["signals"][1]["source"] == "tradingview"


def test_what_a_dead_engine_saw_is_called_old(house: Home, capsys: Screen) -> None:
    says(house, "tradingview", "BTCUSDT", "0.1")
    engine(house, account("first", symbol_row("1", "1")), ago_s=3 * 3600).release()
    said, found = told(capsys), document(capsys)

    assert "The engine is NOT running: ./trade-engine up. Accounts as 3 h ago." in said
    assert found["engine"]["is_running"] is False
    assert found["engine"]["seen_s"] - 3 * 3600 in (0, 1)


def test_alerts_of_the_symbol_and_of_everything_are_shown_and_no_others(
    house: Home, capsys: Screen
) -> None:
    says(house, "tradingview", "BTCUSDT", "0.1")
    alert = {"key": "k", "severity": "warning", "since_ms": 1, "count": 1, "account": ""}
    alerts = [
        {**alert, "key": "1", "symbol": "BTCUSDT", "account": "first", "text": "order refused"},
        {**alert, "key": "2", "symbol": "ETHUSDT", "text": "of another symbol"},
        {**alert, "key": "3", "symbol": "", "text": "the disk is full"},
    ]
    with engine(house, account("first", symbol_row("1", "1")), alerts=alerts):
        said = told(capsys)

    assert "warning: first: order refused" in said
    assert "warning: the disk is full" in said
    assert "of another symbol" not in said


def test_the_json_has_the_same_keys_whatever_is_known(house: Home, capsys: Screen) -> None:
    empty = document(capsys)
    says(house, "tradingview", "BTCUSDT", "0.1")
    with engine(house, account("first", symbol_row("1", "1")), account("x", state="parked")):
        full = document(capsys)

    assert (
        set(empty)
        == set(full)
        == {
            *("symbol", "is_configured", "leverage", "signals", "exposure"),
            *("exposure_without_simulated", "unmapped", "engine", "accounts", "alerts"),
            "chains",
        }
    )
    assert set(full["engine"]) == {"is_running", "seen_s"}
    assert set(full["signals"][0]) == {
        *("source", "source_symbol", "depth", "weight", "leverage", "asked_leverage", "adds"),
        *("age_s", "heard_s", "is_stale", "is_simulated", "id", "meta"),
    }
    assert [set(row) for row in full["accounts"]] == [ACCOUNT_KEYS, ACCOUNT_KEYS]


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["table", "json"])
def test_c2_neither_raw_alerts_nor_secrets_are_shown(
    house: Home, capsys: Screen, form: list[str]
) -> None:
    meta = {"raw": {"passphrase": "hidden-in-an-alert"}, "warnings": [f"see /webhook/{TOKEN}"]}
    says(house, "tradingview", "BTCUSDT", "0.1", meta=meta)
    alert = {"key": "k", "severity": "error", "account": "", "symbol": ""}
    alert["text"] = f"POST /webhook/other-token and {TOKEN} with {SN8_KEY}"
    with engine(house, account("first", symbol_row("1", "1")), alerts=[alert]):
        assert run(["why", "BTCUSDT", *form]) == 0
    said = capsys.readouterr().out

    assert "POST /webhook/***" in said
    for secret in (TOKEN, SN8_KEY, "other-token", "hidden-in-an-alert"):
        assert secret not in said


def test_brackets_in_a_name_are_no_markup(house: Home, capsys: Screen) -> None:
    says(house, "tradingview", "BTCUSDT", "0.1")
    with engine(house, account("[red]x", symbol_row("1", "0", reason="[margin] [/] refused"))):
        said = told(capsys)

    assert "NOT by [red]x" in said
    assert "[margin] [/] refused" in said


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["table", "json"])
def test_no_control_character_of_a_journal_reaches_the_terminal(
    house: Home, capsys: Screen, form: list[str]
) -> None:
    odd = "a\x1b]0;owned\x07\x9b31m\x7f\u202ez"
    miner = {**MINERS[0], "hotkey": odd}
    sn8(house, miners=[miner], ranking=odd, flags=[odd], agreement=odd)
    reason = symbol_row("1", "0", reason=odd)
    with engine(house, account(odd, reason), alerts=[{"severity": odd, "text": odd, "symbol": ""}]):
        assert run(["why", "BTCUSDT", *form]) == 0
    said = capsys.readouterr().out

    assert "owned" in said
    assert re.findall(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", said) == []
    assert form or "\u202e" not in said


@pytest.mark.parametrize(
    "meta",
    [
        pytest.param({"miners": "none"}, id="no-list"),
        pytest.param({"miners": [7, None, {}, {"weight": "x"}]}, id="no-miners"),
        pytest.param({"miners": [{**MINERS[0], "depth": "NaN"}]}, id="no-number"),
        pytest.param({"miners": MINERS, "wanted": [], "flags": 7, "agreement": {}}, id="no-words"),
    ],
)
def test_a_journal_that_holds_nonsense_about_miners_is_no_crash(
    house: Home, capsys: Screen, meta: dict[str, Any]
) -> None:
    sn8(house, **meta)

    assert "wanted long 0.0135 x equity" in told(capsys)


def test_a_configuration_that_never_was_good_is_exit_78(house: Home, capsys: Screen) -> None:
    house.signal_weights.write_text("{")

    assert run(["why", "BTCUSDT"]) == 78
    assert "signal_weight_config.json" in capsys.readouterr().err
