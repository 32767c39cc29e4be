"""`why SYMBOL --account`: every step from a source's word to an account's order, with figures."""

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

from commands.main import run
from commands.plans.unkept import UnkeptSettings
from core.cycle import weighing_for
from core.home import Home
from core.model import Contribution
from core.targets import compute_targets
from tests.engine.plan_scene import tree
from tests.unit.why_scene import account, engine, says, sn8, symbol_row, weights

Screen = pytest.CaptureFixture[str]
CHAIN_KEYS = {
    *("account", "exchange", "environment", "is_armed", "brake", "brake_reason", "parts"),
    *("asked_exposure", "symbol_cap", "gross_asked", "max_gross", "exposure", "fresh_exposure"),
    *("leverage", "version", "limits", "signal_age_s", "max_entry_age_s", "frozen_lots"),
    *("frozen_is_current", "frozen_reason", "is_confirmed", "is_started", "is_expired"),
    *("dead_band", "dead_band_lots", "state", "equity_usdt", "seen_s", "worth_usdt"),
    *("wanted_lots", "held_lots", "delta_lots", "is_of_this_target", "is_verified", "reason"),
    "hold",
}


def row(name: str, **changes: Any) -> dict[str, Any]:
    made = {"name": name, "exchange": "bybit", "api_key": name, "api_secret": "s"}
    return {**made, "environment": "paper", **changes}


@pytest.fixture
def house(home: Home) -> Home:
    """Give a home with a paper and a live account whose BTCUSDT hears both sources."""
    override = row("bold", leverage_override=10)
    files: dict[Path, Any] = {
        home.credentials: {"accounts": [row("main"), row("real", environment="live"), override]},
        home.asset_mapping: {
            "tradingview": {"BTCUSDT": "BTCUSDT", "ETHUSDT": "ETHUSDT"},
            "bittensor": {"BTCUSD": "BTCUSDT"},
        },
        home.signal_weights: [weights("BTCUSDT", bittensor="0.15"), weights("ETHUSDT")],
        home.engine_config: {},
    }
    for path, content in files.items():
        path.write_bytes(orjson.dumps(content))
    return home


def chain(screen: Screen, name: str = "main") -> dict[str, Any]:
    screen.readouterr()
    assert run(["why", "BTCUSDT", "--json"]) == 0
    (found,) = (
        one for one in orjson.loads(screen.readouterr().out)["chains"] if one["account"] == name
    )
    assert set(found) == CHAIN_KEYS
    return dict(found)


def story(screen: Screen, name: str = "main") -> str:
    """What a person reads of the steps, several blanks as one."""
    screen.readouterr()
    assert run(["why", "BTCUSDT", "--account", name]) == 0
    said = re.sub(" +", " ", screen.readouterr().out)
    return said.partition("step by step:")[2]


def freeze(home: Home, version: str, lots: str, **changes: Any) -> None:
    """Have the engine freeze lots of a version."""
    frozen = {
        "version": version,
        "exposure": "0.1",
        "leverage": "3",
        "lots": lots,
        "reason": "",
        "confirmed": False,
        "started": False,
        "expired": False,
        **changes,
    }
    content = orjson.dumps({"main": {"BTCUSDT": frozen}})
    (home.state / "targets.json").write_bytes(content)


def test_each_word_is_weighed_as_the_engine_weighs_it(house: Home, capsys: Screen) -> None:
    says(house, "tradingview", "BTCUSDT", "0.5", leverage="5")
    sn8(house, depth="-0.2")
    found = chain(capsys)

    by_source = {part["source"]: part for part in found["parts"]}
    assert by_source["tradingview"]["adds"] == "0.15"
    assert (by_source["tradingview"]["leverage"], found["limits"]) == (
        "3",
        ["leverage_capped: tradingview asked for 5, 3 is set"],
    )
    assert by_source["bittensor"]["adds"] == "-0.09"
    assert found["asked_exposure"] == found["exposure"] == "0.06"
    assert found["symbol_cap"] == "0.75"
    assert (found["gross_asked"], found["max_gross"]) == ("0.06", "3")


def test_the_version_is_the_engine_s_own(house: Home, capsys: Screen) -> None:
    says(house, "tradingview", "BTCUSDT", "0.5")
    settings = UnkeptSettings(house).read()
    (line,) = next((house.raw_signals / "tradingview").glob("*.jsonl")).read_bytes().splitlines()
    signal = orjson.loads(line)
    said = Contribution(
        source="tradingview",
        source_symbol="BTCUSDT",
        symbol="BTCUSDT",
        depth=Decimal("0.5"),
        leverage=None,
        signal_id=signal["id"],
        received_at_ms=signal["received_at_ms"],
    )
    weighing = weighing_for(settings, settings.accounts[0])

    assert (
        chain(capsys)["version"] == compute_targets([said], weighing, now_ms=0)["BTCUSDT"].version
    )


def test_an_account_s_own_leverage_and_ears_count(house: Home, capsys: Screen) -> None:
    says(house, "tradingview", "BTCUSDT", "0.5")
    sn8(house, depth="0.2")  # a simulated one: only paper accounts follow it
    bold, real = chain(capsys, "bold"), chain(capsys, "real")

    assert (bold["exposure"], bold["leverage"], bold["symbol_cap"]) == ("0.8", "10", "2.5")
    assert (real["exposure"], real["is_armed"]) == ("0.15", False)
    assert [part["is_heard"] for part in real["parts"] if part["source"] == "bittensor"] == [False]
    assert "simulated, only paper accounts follow it" in story(capsys, "real")
    assert "not armed, so orders are only told (dry-run)" in story(capsys, "real")


def test_the_gross_cap_shows_what_was_asked_and_what_is_left(house: Home, capsys: Screen) -> None:
    house.engine_config.write_bytes(orjson.dumps({"engine": {"max_gross_exposure": 0.1}}))
    says(house, "tradingview", "BTCUSDT", "0.5")
    says(house, "tradingview", "ETHUSDT", "-0.5")
    found = chain(capsys)

    assert (found["gross_asked"], found["max_gross"], found["exposure"]) == ("0.3", "0.1", "0.05")
    assert found["limits"][0].startswith("gross_cap")
    assert "all symbols together want 0.3, at most 0.1" in story(capsys)


def test_from_equity_to_what_is_left_to_do_every_figure_is_told(
    house: Home, capsys: Screen
) -> None:
    says(house, "tradingview", "BTCUSDT", "0.5", ago_s=60)
    version = chain(capsys)["version"]
    freeze(house, version, "0.25", started=True)
    seen = symbol_row("0.1", "0.25", version=version, reason="backoff: next try in 3 s")
    with engine(house, account("main", seen, equity_usdt="1000", last_pass_at_ms=0)):
        said = story(capsys)

    for line in (
        "tradingview BTCUSDT 0.5 x weight 0.1 x leverage 3 = 0.15",
        "sum 0.15 x equity",
        "target 0.15 x equity at leverage 3",
        "an entry must begin within 900 s: it began in time",
        "equity 1000 USDT",
        "the target is 150 USDT",
        "lots 0.25, fixed when this target came",
        "held 0.1; +0.15 to go",
        "less than 2 % of the target (0.005 lots)",
        "brakes none",
        "result backoff: next try in 3 s",
    ):
        assert line in said


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"expired": True}, "expired, it opens nothing", id="expired"),
        pytest.param({"confirmed": True}, "seen to be held since", id="confirmed"),
        pytest.param({"lots": "0", "reason": "below_minimum"}, "(below_minimum: less", id="small"),
        pytest.param({"version": "old"}, "(0.25 before it)", id="an-earlier-target"),
    ],
)
def test_what_the_engine_remembers_of_a_target_is_told(
    changes: dict[str, Any], words: str, house: Home, capsys: Screen
) -> None:
    says(house, "tradingview", "BTCUSDT", "0.5", ago_s=2000)
    freeze(house, **{"version": chain(capsys)["version"], "lots": "0.25", **changes})

    assert words in story(capsys)


def test_a_signal_that_is_too_old_is_said_to_open_nothing(house: Home, capsys: Screen) -> None:
    says(house, "tradingview", "BTCUSDT", "0.5", ago_s=2000)

    assert "an entry must begin within 900 s: too old to open now" in story(capsys)


def test_without_engine_network_or_word_each_step_says_what_is_missing(
    house: Home, capsys: Screen
) -> None:
    before = tree(house.root)
    said = story(capsys)

    assert "target none: no source ever spoke of it" in said
    assert "equity unknown: the engine has not read this account" in said
    assert "held unknown" in said
    assert "the engine made no pass with this target yet" in said
    assert tree(house.root) == before


def test_a_halt_is_named_among_the_brakes(house: Home, capsys: Screen) -> None:
    (house.state / "HALT").touch()
    says(house, "tradingview", "BTCUSDT", "0.5")

    assert re.search(r"brakes halt: \S+HALT exists: remove it to go on", story(capsys))


def test_an_account_that_is_not_there_is_refused_by_name(house: Home, capsys: Screen) -> None:
    del house

    assert run(["why", "BTCUSDT", "--account", "mian"]) == 4
    assert "there are: main, real, bold" in capsys.readouterr().err


def test_a_status_of_another_version_is_no_crash(house: Home, capsys: Screen) -> None:
    says(house, "tradingview", "BTCUSDT", "0.5")
    odd = symbol_row("much", None, version=7)
    with engine(house, account("main", odd, equity_usdt="NaN")):
        found = chain(capsys)

    assert (found["equity_usdt"], found["held_lots"], found["worth_usdt"]) == (None, None, None)
