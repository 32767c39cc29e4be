"""`--rank` and `--once` against the simulated validator: what they print, store, and refuse."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from core.home import Home
from core.process.exit_codes import ExitCode
from core.process.service_status import replace_status
from paper_exchange.server import PaperServer
from paper_exchange.sn8.options import Sn8Options
from signal_processors.bittensor_config import FILE
from signal_processors.bittensor_processor import main

Screen = pytest.CaptureFixture[str]
SCRIPT = Path(__file__).resolve().parents[2] / "signal_processors" / "bittensor_processor.py"
KEY = "key-of-a-test"
BTC = {"BTCUSD": "BTCUSDT", "BTCUSDC": "BTCUSDT", "ETHUSD": "ETHUSDT"}


@asynccontextmanager
async def validator(home: Home, **options: Any) -> AsyncIterator[PaperServer]:
    """Run a quiet validator; the home knows it as its paper exchange, and has its key."""
    chosen: dict[str, Any] = {"seed": 1, "change_every_s": 0.0, "keys": {KEY: 100}, **options}
    home.asset_mapping.write_bytes(orjson.dumps({"bittensor": BTC}))
    async with PaperServer(sn8=Sn8Options(**chosen)) as server:
        replace_status(home, "paper-exchange", {"url": server.url})
        give_key(home)
        yield server


def give_key(home: Home, **changes: Any) -> None:
    keys = {"bittensor_sn8": {"api_key": KEY, "environment": "paper", **changes}}
    home.credentials.write_bytes(orjson.dumps(keys))
    home.credentials.chmod(0o600)


async def look(capsys: Screen, *words: str) -> tuple[int, str, str]:
    """Run it as a person would, beside the server's loop; exit code, stdout, stderr."""
    code = await asyncio.to_thread(main, list(words))
    told = capsys.readouterr()
    return code, told.out, told.err


async def document(capsys: Screen, *words: str) -> dict[str, Any]:
    code, out, err = await look(capsys, *words, "--json")
    assert (code, err, out.count("\n")) == (0, "", 1)
    found: dict[str, Any] = orjson.loads(out)
    return found


def files(home: Home) -> dict[Path, bytes]:
    """Give everything that is stored, but for copies of the settings."""
    found = {path: path.read_bytes() for path in home.root.rglob("*") if path.is_file()}
    return {path: body for path, body in found.items() if home.last_good not in path.parents}


async def test_every_miner_is_ranked_with_a_weight_or_a_reason(home: Home, capsys: Screen) -> None:
    async with validator(home) as server:
        found = await document(capsys, "--rank")

    rows = found["rows"]
    kept = [row for row in rows if row["rank"] and float(row["weight"])]
    assert set(found) == {"ranking", "flags", "miners", "unreadable", "problems", "rows"}
    assert (found["ranking"], found["flags"], found["problems"]) == (
        *("risk_adjusted", ["no_chain"], {}),
    )
    assert {row["hotkey"] for row in rows} == set(server.sn8.hotkeys)
    assert found["miners"] == len(rows)
    assert kept
    assert [row["rank"] for row in kept] == sorted(row["rank"] for row in kept)
    assert [row for row in rows if not float(row["weight"]) and not row["reasons"]] == []


async def test_the_depths_of_this_moment_follow_what_the_miners_hold(
    home: Home, capsys: Screen
) -> None:
    async with validator(home) as server:
        ranked = await document(capsys, "--rank")
        best = next(row["hotkey"] for row in ranked["rows"] if row["rank"] == 1)
        for hotkey in server.sn8.hotkeys:
            if server.sn8.held("BTCUSD", hotkey=hotkey):
                server.sn8.set_position("BTCUSD", 0.0, hotkey=hotkey)
        server.sn8.set_position("BTCUSD", -0.2, hotkey=best)
        server.sn8.rebuild()
        found = await document(capsys, "--once")

    (row,) = (row for row in found["depths"] if row["pair"] == "BTCUSD")
    (miner,) = row["miners"]
    assert set(row) == {"pair", "symbol", "wanted", "agreement", "miners"}
    assert (row["symbol"], miner["hotkey"]) == ("BTCUSDT", best)
    assert float(row["wanted"]) == pytest.approx(-0.2 / 0.5 * float(miner["weight"]))
    assert float(row["agreement"]) == 1


@pytest.mark.parametrize("words", [["--rank"], ["--once"], ["--rank", "--json"]], ids=str)
async def test_looking_stores_and_publishes_nothing(
    home: Home, capsys: Screen, words: list[str]
) -> None:
    async with validator(home):
        before = files(home)
        code, out, _ = await look(capsys, *words)

        assert (code, bool(out)) == (0, True)
        assert files(home) == before


async def test_the_table_names_miners_whole_and_what_is_not_known(
    home: Home, capsys: Screen
) -> None:
    async with validator(home) as server:
        _, ranked, _ = await look(capsys, "--rank")
        _, summed, _ = await look(capsys, "--once")

    lines = ranked.splitlines()
    assert lines[0] == "40 miners, 0 unreadable, without full knowledge: no_chain"
    assert lines[1].split() == ["rank", "hotkey", "weight", "score", "figures", "reasons"]
    assert [hotkey for hotkey in server.sn8.hotkeys if hotkey not in ranked] == []
    assert "no_skill: " in ranked
    assert summed.splitlines()[1].split() == [
        *("pair", "symbol", "depth", "agreement", "miners", "largest")
    ]
    assert summed.splitlines()[2].startswith("BTCUSD")


async def test_where_nobody_holds_a_mapped_pair_that_is_said(home: Home, capsys: Screen) -> None:
    async with validator(home):
        home.asset_mapping.write_text('{"bittensor": {"XRPUSD": "XRPUSDT"}}')
        home.signal_weights.write_text("[]")
        (home.root / FILE).write_text('{"risk_adjusted": {"min_daily_returns": 1000}}')
        code, out, _ = await look(capsys, "--once")

    assert code == 0
    assert "Nobody who is followed holds a mapped pair now." in out


@pytest.mark.usefixtures("home")
async def test_without_a_key_the_remedy_is_told_with_exit_78(capsys: Screen) -> None:
    code, out, err = await look(capsys, "--rank")

    assert (code, out) == (ExitCode.CONFIG, "")
    assert "no SN8 key: add bittensor_sn8 to credentials.json" in err


async def test_without_the_paper_exchange_the_remedy_is_told_with_exit_3(
    home: Home, capsys: Screen
) -> None:
    give_key(home)
    code, _, err = await look(capsys, "--once")

    assert code == ExitCode.CHECK_FAILED
    assert err.rstrip().endswith("which simulates SN8: ./trade-engine up")


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["table", "json"])
async def test_a_validator_that_is_down_is_exit_3_and_prints_nothing(
    home: Home, capsys: Screen, form: list[str]
) -> None:
    async with validator(home) as server:
        gone = server.url
    code, out, err = await look(capsys, "--once", *form)

    assert (code, out) == (ExitCode.CHECK_FAILED, "")
    assert err.count("\n") == 1
    assert err.startswith("bittensor_processor: ")
    assert gone in err
    assert KEY not in err


def test_a_validator_that_is_down_is_told_in_one_line(home: Home) -> None:
    give_key(home, environment="live", endpoint="http://127.0.0.1:1")
    done = subprocess.run(  # noqa: S603 - our own script, without pytest's log handlers
        [sys.executable, SCRIPT, "--rank"], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout) == (ExitCode.CHECK_FAILED, "")
    (line,) = done.stderr.splitlines()
    assert "http://127.0.0.1:1: " in line
    assert "name another validator (credentials.json: bittensor_sn8.endpoint)" in line


async def test_a_wrong_key_is_exit_3_with_the_remedy_and_without_the_key(
    home: Home, capsys: Screen
) -> None:
    async with validator(home):
        give_key(home, api_key="another-key-of-a-test")
        code, out, err = await look(capsys, "--rank")

    assert (code, out) == (ExitCode.CHECK_FAILED, "")
    assert "check api_key and auth_style (credentials.json: bittensor_sn8)" in err
    assert "another-key-of-a-test" not in err


async def test_a_key_of_one_address_is_ranked_without_statistics_and_says_so(
    home: Home, capsys: Screen
) -> None:
    path = "/miner-positions?tier=100"
    async with validator(home, auth_style="request_network", bound_url=path) as server:
        give_key(home, auth_style="request_network", endpoint=f"{server.url}/sn8{path}")
        found = await document(capsys, "--rank")
        _, out, _ = await look(capsys, "--rank")
        asked = {row.path for row in server.sn8.requests()}

    assert found["flags"] == ["no_chain", "no_statistics"]
    assert {"statistics"} <= set(found["problems"])
    assert "without full knowledge: no_chain, no_statistics" in out.splitlines()[0]
    assert asked == {path}
    assert all("skill" in row["figures"] for row in found["rows"] if float(row["weight"]))


async def test_a_broken_settings_file_that_never_was_good_is_exit_78(
    home: Home, capsys: Screen
) -> None:
    async with validator(home):
        (home.root / FILE).write_text('{"ranking": "best"}')
        code, _, err = await look(capsys, "--rank")

    assert code == ExitCode.CONFIG
    assert FILE in err


async def test_an_eliminated_miner_counts_no_more(home: Home, capsys: Screen) -> None:
    async with validator(home) as server:
        ranked = await document(capsys, "--rank")
        best = next(row["hotkey"] for row in ranked["rows"] if row["rank"] == 1)
        server.sn8.eliminate(hotkey=best)
        server.sn8.rebuild()
        (row,) = (
            row for row in (await document(capsys, "--rank"))["rows"] if row["hotkey"] == best
        )

    assert (float(row["weight"]), row["rank"]) == (0, None)
    assert row["reasons"][0].startswith("eliminated")


async def test_an_unreadable_miner_is_counted_and_the_others_are_ranked(
    home: Home, capsys: Screen
) -> None:
    async with validator(home) as server:
        server.sn8.misbehave("poisoned", index=0, field="net_leverage", value=400)
        found = await document(capsys, "--rank")
        _, out, _ = await look(capsys, "--rank")
        poisoned = server.sn8.hotkeys[0]

    assert set(found["unreadable"]) == {poisoned}
    assert out.splitlines()[0].startswith("40 miners, 1 unreadable")
    assert poisoned not in {row["hotkey"] for row in found["rows"] if row["rank"]}
