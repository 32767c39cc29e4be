"""`bittensor_processor.py --config` in a real terminal, as a person drives it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.home import HOME_VARIABLE, Home
from core.process.exit_codes import ExitCode
from signal_processors.bittensor_config import FILE
from tests.process.installation import ROOT
from tests.process.terminal import CTRL_C, DOWN, ENTER, UP, Terminal

pytestmark = pytest.mark.process
SCRIPT = str(ROOT / "signal_processors" / "bittensor_processor.py")


def wizard(home: Home) -> Terminal:
    environment = {**os.environ, HOME_VARIABLE: str(home.root)}
    return Terminal([sys.executable, SCRIPT, "--config"], environment, "/")


def choose(terminal: Terminal, steps_down: int) -> None:
    terminal.expect("Set what?")
    terminal.expect("quit, change nothing")
    terminal.type(DOWN * steps_down + ENTER)


def saved(home: Home) -> object:
    return json.loads((home.root / FILE).read_bytes())


def test_a_value_is_asked_for_refused_typed_again_and_saved(home: Home) -> None:
    with wizard(home) as terminal:
        choose(terminal, 1)  # filtering
        terminal.expect("closed positions a miner must have (1 to 10000), default 10")
        terminal.expect("press Enter for current value: 10")
        terminal.type("0" + ENTER)
        terminal.expect("min_trades must be at least 1, was 0")
        terminal.type("\x7f20" + ENTER)
        for name in ("max_drawdown", "min_profitable_rate", "min_total_return"):
            terminal.expect(f"{name} (press Enter")
            terminal.type(ENTER)
        terminal.expect("save and quit (1 changed)")
        terminal.type(UP * 3 + ENTER)  # from the group that was chosen
        terminal.expect("filtering.min_trades: 10 -> 20")
        code = terminal.end()

    assert code == ExitCode.OK
    assert saved(home) == {"filtering": {"min_trades": 20}}
    assert (home.root / FILE).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "keys", [pytest.param(CTRL_C, id="ctrl-c"), pytest.param(UP + ENTER, id="quit")]
)
def test_ending_without_saving_leaves_the_file_as_it_was(home: Home, keys: str) -> None:
    before = b'{"following": {"max_weight": 0.05}}'
    (home.root / FILE).write_bytes(before)
    with wizard(home) as terminal:
        choose(terminal, 0)  # general
        terminal.expect("ranking (press Enter for current value: risk_adjusted)")
        terminal.type("classic" + ENTER)
        terminal.expect("save and quit (1 changed)")
        terminal.expect("quit, change nothing")
        terminal.type(keys)
        terminal.expect("Nothing was changed.")
        code = terminal.end()

    assert code == 130
    assert (home.root / FILE).read_bytes() == before


def test_what_needs_a_restart_is_told_when_it_is_saved(home: Home) -> None:
    with wizard(home) as terminal:
        choose(terminal, 8)  # fetching
        for typed in ("", "", "", "no", "", ""):
            terminal.expect("(press Enter for current value")
            terminal.type(typed + ENTER)
        choose(terminal, 3)  # save, from the group that was chosen
        terminal.expect("fetching.use_push: yes -> no")
        terminal.expect("Not yet in force: fetching.use_push. For that: ./trade-engine restart")
        code = terminal.end()

    assert code == ExitCode.OK
    assert saved(home) == {"fetching": {"use_push": False}}


def test_groups_that_the_ranking_does_not_read_are_marked(home: Home) -> None:
    with wizard(home) as terminal:
        terminal.expect(
            "filtering: thresholds that a miner must pass; ranking `classic` (not in use)"
        )
        terminal.expect("risk_adjusted: the default ranking\n")
        terminal.expect("quit, change nothing")
        terminal.type(ENTER)
        terminal.expect("ranking (press Enter for current value: risk_adjusted)")
        terminal.type("classic" + ENTER)
        terminal.expect("filtering: thresholds that a miner must pass; ranking `classic`\n")
        terminal.expect("risk_adjusted: the default ranking (not in use)")


def test_ctrl_c_within_a_question_leaves_the_file_as_it_was(home: Home) -> None:
    with wizard(home) as terminal:
        choose(terminal, 1)
        terminal.expect("min_trades (press Enter")
        terminal.type("15" + CTRL_C)
        terminal.expect("Nothing was changed.")
        code = terminal.end()

    assert code == 130
    assert not (home.root / FILE).exists()


def test_a_broken_file_is_told_and_not_written_over(home: Home) -> None:
    (home.root / FILE).write_text('{"following": {"max_weight": 7}}')
    with wizard(home) as terminal:
        terminal.expect("max_weight must be at most 1, was 7")
        code = terminal.end()

    assert code == ExitCode.CONFIG
    assert saved(home) == {"following": {"max_weight": 7}}


def test_without_a_terminal_it_says_what_to_do(home: Home, tmp_path: Path) -> None:
    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, SCRIPT, "--config"],
        env={**os.environ, HOME_VARIABLE: str(home.root)},
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert done.returncode == ExitCode.USAGE
    assert f"edit {home.root / FILE}" in done.stderr
