"""`ecosystem.config.js` as PM2 reads it: which services there are, and with which limits."""

import json
import os
import subprocess
from typing import Any

import pytest

from core.home import HOME_VARIABLE, Home
from core.settings.snapshot import CREDENTIALS
from tests.process.installation import ROOT, node

pytestmark = pytest.mark.process
ALWAYS = ["tradingview-endpoint", "bittensor-signals", "trade-engine", "monitor"]
PAPER = {"name": "a", "exchange": "bybit", "environment": "paper"}
LIVE = {"name": "b", "exchange": "bybit", "environment": "live"}
SN8 = {"api_key": "key-of-a-test", "environment": "paper"}


def apps(home: Home) -> dict[str, dict[str, Any]]:
    """Load the file as PM2 does; the apps by name, in their order."""
    program = node()
    if program is None:
        pytest.skip("there is no node here: run ./trade-engine test")
    script = (
        f"console.log(JSON.stringify(require({json.dumps(str(ROOT / 'ecosystem.config.js'))})))"
    )
    done = subprocess.run(  # noqa: S603 - this test's own words
        [str(program), "-e", script],
        env={**os.environ, HOME_VARIABLE: str(home.root), "SOME_SECRET": "planted-by-the-caller"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "planted-by-the-caller" not in done.stdout
    return {row["name"]: row for row in json.loads(done.stdout)["apps"]}


def write(home: Home, **keys: Any) -> None:
    home.credentials.write_text(json.dumps({"accounts": [], **keys}))


def test_the_sources_the_engine_and_the_monitor_are_always_there(home: Home) -> None:
    found = apps(home)

    assert list(found) == ALWAYS
    for row in found.values():
        assert os.path.exists(row["script"])  # noqa: PTH110 - as text
        assert (row["wait_ready"], row["autorestart"], row["stop_exit_codes"]) == (True, True, [78])


def test_only_the_one_that_reads_large_payloads_is_limited_in_memory(home: Home) -> None:
    limits = {name: row.get("max_memory_restart") for name, row in apps(home).items()}

    assert limits == {**dict.fromkeys(ALWAYS), "bittensor-signals": "1G"}


@pytest.mark.parametrize(
    ("keys", "is_there"),
    [
        pytest.param({"accounts": [PAPER]}, True, id="a-paper-account"),
        pytest.param({"accounts": [LIVE], "bittensor_sn8": SN8}, True, id="sn8-alone-on-paper"),
        pytest.param({"accounts": [LIVE]}, False, id="neither"),
        pytest.param({"bittensor_sn8": {**SN8, "environment": "live"}}, False, id="sn8-live"),
        pytest.param({"bittensor_sn8": {"api_key": "k"}}, False, id="sn8-live-by-default"),
        pytest.param({"bittensor_sn8": {**SN8, "endpoint": "http://h"}}, False, id="sn8-elsewhere"),
        pytest.param({"bittensor_sn8": None}, False, id="sn8-null"),
        pytest.param({"accounts": [{**PAPER, "enabled": False}]}, False, id="disabled"),
        pytest.param({"accounts": [{**PAPER, "base_url": "http://h"}]}, False, id="elsewhere"),
    ],
)
def test_the_paper_exchange_is_there_while_somebody_is_on_paper(
    home: Home, keys: dict[str, Any], is_there: bool
) -> None:
    write(home, **keys)

    assert list(apps(home)) == ["paper-exchange"] * is_there + ALWAYS


def test_a_broken_file_leaves_the_decision_to_its_last_good_copy(home: Home) -> None:
    home.credentials.write_text("{broken")
    good = home.last_good / CREDENTIALS.name
    good.write_text(json.dumps({"bittensor_sn8": SN8}))

    assert "paper-exchange" in apps(home)
