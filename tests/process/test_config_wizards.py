"""The wizards of `config/` in a real terminal, as a person drives them."""

import fcntl
import json
import os
import signal
import socket
import struct
import sys
import termios
from pathlib import Path
from typing import Any

import pytest

from commands.installation.first_use import write_examples
from core.home import HOME_VARIABLE, Home
from core.process.exit_codes import ExitCode
from tests.process.installation import ROOT
from tests.process.terminal import CTRL_C, ENTER, Terminal

pytestmark = pytest.mark.process
NEXT = "Enter source asset symbol (e.g., ETHUSD) or press Enter to finish:"
WHAT_NOW = """
What would you like to do with existing mappings?
k - keep all existing mappings
m - modify existing mappings one by one
n - start fresh with no mappings
"""
SECRETS = ("key-of-a-person-0123456789", "secret-of-a-person-0123456789", "phrase-of-a-person")


class WideTerminal(Terminal):
    """A terminal in which no question is folded."""

    def __init__(self, script: str, home: Home) -> None:
        environment = {**os.environ, HOME_VARIABLE: str(home.root)}
        words = [sys.executable, str(ROOT / "config" / script)]
        super().__init__(words, environment, "/", columns=160)
        fcntl.ioctl(self._handle, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 160, 0, 0))

    @property
    def local_modes(self) -> int:
        """How the terminal is set now."""
        return int(termios.tcgetattr(self._handle)[3])

    def signal(self, number: int) -> None:
        """Send the wizard a signal."""
        self._process.send_signal(number)

    def answer(self, question: str, typed: str = "") -> None:
        """Wait for a question at the beginning of a line, then type."""
        self.expect(f"\n{question}")
        self.type(typed + ENTER)


def echoes(terminal: WideTerminal) -> bool:
    return bool(terminal.local_modes & termios.ECHO)


@pytest.fixture
def ready(home: Home) -> Home:
    """Give a home with our example configuration."""
    write_examples(home)
    return home


def content(path: Path) -> Any:
    return json.loads(path.read_bytes())


def test_a_new_pair_is_mapped_as_the_readme_shows(ready: Home) -> None:
    with WideTerminal("asset_mapping.py", ready) as terminal:
        terminal.expect("Current mappings for tradingview:\nBTCUSDT -> BTCUSDT\nETHUSDT -> ETHUSDT")
        terminal.expect(WHAT_NOW)
        terminal.type("k" + ENTER)
        terminal.expect("Choose (k/m/n): k")
        terminal.expect("Configuring mappings for tradingview")
        terminal.answer(NEXT, "TAOUSDT")
        terminal.answer("Enter translated asset symbol for TAOUSDT:", "TAOUSDT")
        terminal.answer(NEXT)
        terminal.expect("Current mappings for bittensor:\nBTCUSD -> BTCUSDT\nETHUSD -> ETHUSDT")
        terminal.expect("Choose (k/m/n):")
        terminal.type("k" + ENTER)
        terminal.expect("Configuring mappings for bittensor")
        terminal.answer(NEXT, "TAOUSD")
        terminal.answer("Enter translated asset symbol for TAOUSD:", "TAOUSDT")
        terminal.answer(NEXT)
        terminal.expect("Configured mappings:")
        terminal.expect("It takes effect in the next cycle, without a restart.")
        code = terminal.end()

    assert code == ExitCode.OK
    assert list(content(ready.asset_mapping)["tradingview"]) == ["BTCUSDT", "ETHUSDT", "TAOUSDT"]
    assert content(ready.asset_mapping)["bittensor"] == {
        "BTCUSD": "BTCUSDT",
        "ETHUSD": "ETHUSDT",
        "TAOUSD": "TAOUSDT",
    }


def test_a_new_pair_is_weighed_as_the_readme_shows(ready: Home) -> None:
    mapping = {
        "tradingview": {"BTCUSDT": "BTCUSDT", "TAOUSDT": "TAOUSDT"},
        "bittensor": {"BTCUSD": "BTCUSDT", "TAOUSD": "TAOUSDT"},
    }
    ready.asset_mapping.write_text(json.dumps(mapping))
    ask_tradingview = "Assign weight for {} from tradingview (remaining weight: 1.00{}):"
    ask_bittensor = "Assign weight for {} from bittensor (remaining weight: 0.90{}):"
    now = ", press Enter for current value: {}".format
    with WideTerminal("signal_weights.py", ready) as terminal:
        terminal.expect("Configuring BTCUSDT")
        terminal.answer("Enter leverage for BTCUSDT (press Enter for current value: 3):")
        terminal.answer(ask_tradingview.format("BTCUSDT", now("0.10")))
        terminal.answer(ask_bittensor.format("BTCUSDT", now("0.15")))
        terminal.expect("Configuring TAOUSDT")
        terminal.answer("Enter leverage for TAOUSDT:", "30")
        terminal.expect("leverage must be at most 20, was 30")
        terminal.answer("Enter leverage for TAOUSDT:", "3")
        terminal.answer(ask_tradingview.format("TAOUSDT", ""), "0.10")
        terminal.answer(ask_bittensor.format("TAOUSDT", ""), "0.15")
        terminal.expect("ETHUSDT has weights, but no mapping leads to it")
        terminal.answer("Keep/Remove (k/r)?")
        terminal.expect("0.75 x equity")
        code = terminal.end()

    assert code == ExitCode.OK
    saved = content(ready.signal_weights)
    assert [row["symbol"] for row in saved] == ["BTCUSDT", "ETHUSDT", "TAOUSDT"]
    assert saved[-1] == {
        "symbol": "TAOUSDT",
        "leverage": 3,
        "sources": [
            {"source": "tradingview", "weight": 0.1},
            {"source": "bittensor", "weight": 0.15},
        ],
    }


def test_keys_are_entered_and_nothing_secret_is_shown(home: Home) -> None:
    with WideTerminal("credentials.py", home) as terminal:
        terminal.answer("Enter your API key for Bittensor SN8:", SECRETS[0] + "-sn8")
        terminal.answer("Enter the Bittensor endpoint URL:", "https://validator.example")
        terminal.answer("Enter your Bybit API key:")
        terminal.answer("Enter your BloFin API key:", SECRETS[0])
        terminal.answer("Enter your BloFin API secret:", SECRETS[1])
        terminal.answer("Enter your BloFin API passphrase:", SECRETS[2])
        terminal.answer("Enter a name for this account (press Enter for blofin):", "mine")
        terminal.answer("Environment of mine: paper, demo or live (press Enter for live):", "paper")
        terminal.answer("Enable mine (y/n, press Enter for yes)?")
        terminal.answer("Enter the name of another BloFin account or press Enter to finish:")
        terminal.answer("Enter your KuCoin API key:")
        terminal.answer("Enter your MEXC API key:")
        terminal.expect("It takes effect after ./trade-engine up")
        code = terminal.end()

    assert code == ExitCode.OK
    saved = content(home.credentials)
    assert saved["bittensor_sn8"]["api_key"] == SECRETS[0] + "-sn8"
    assert tuple(saved["accounts"][0][name] for name in ("api_key", "api_secret")) == SECRETS[:2]
    assert home.credentials.stat().st_mode & 0o777 == 0o600
    assert [secret for secret in SECRETS if secret in terminal.text] == []


def test_a_secret_pasted_while_a_key_is_tried_is_never_shown(home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes a connection, says nothing
        account = {
            "name": "main",
            "exchange": "bybit",
            "environment": "paper",
            "api_key": "old-key-of-a-person-01",
            "api_secret": "old-secret-of-a-person",
            "base_url": f"http://127.0.0.1:{silent.getsockname()[1]}",
        }
        home.credentials.write_text(json.dumps({"accounts": [account]}))
        with WideTerminal("credentials.py", home) as terminal:
            terminal.answer("Enter your API key for Bittensor SN8:")
            terminal.answer("Keep/Change/Remove main (k/c/r)?", "c")
            terminal.answer("Enter your Bybit API key", SECRETS[0])
            terminal.answer("Enter your Bybit API secret")
            terminal.answer("Environment of main")
            terminal.answer("Enable main")
            terminal.expect("Testing the key of main ...")
            was_echoing = echoes(terminal)
            terminal.type(SECRETS[1] + ENTER + SECRETS[2])
            silent.accept()[0].close()
            silent.close()
            terminal.expect("Save anyway (y/n)?")
            terminal.type(CTRL_C)
            terminal.expect("Nothing was changed.")
            code = terminal.end()

            assert code == 130
            assert not was_echoing
            assert echoes(terminal)
            assert [secret for secret in SECRETS if secret in terminal.text] == []


def test_a_wizard_that_is_ended_leaves_a_terminal_that_echoes(home: Home) -> None:
    with WideTerminal("credentials.py", home) as terminal:
        terminal.expect("Enter your API key for Bittensor SN8:")
        terminal.signal(signal.SIGTERM)
        code = terminal.end()

        assert code == 128 + signal.SIGTERM
        assert echoes(terminal)
    assert not home.credentials.exists()


@pytest.mark.parametrize(
    ("script", "answers", "last"),
    [
        pytest.param("asset_mapping.py", ["Choose (k/m/n):", NEXT], "", id="mapping-first"),
        pytest.param(
            "asset_mapping.py",
            ["n>Choose (k/m/n):", f"XUSDT>{NEXT}", "Enter translated asset symbol for XUSDT:"],
            "XUS",
            id="mapping-in-a-word",
        ),
        pytest.param(
            "signal_weights.py",
            [
                "9>Enter leverage for BTCUSDT (press Enter for current value: 3):",
                "Assign weight for BTCUSDT from tradingview",
            ],
            "0.9",
            id="weights",
        ),
        pytest.param(
            "credentials.py",
            [
                "r>Keep/Change/Remove (k/c/r)?",
                "c>Keep/Change/Remove paper-bybit (k/c/r)?",
                "Enter your Bybit API key",
            ],
            SECRETS[0],
            id="credentials-in-a-key",
        ),
    ],
)
def test_ctrl_c_leaves_every_file_as_it_was(
    ready: Home, script: str, answers: list[str], last: str
) -> None:
    before = {path.name: path.read_bytes() for path in ready.root.glob("*.json")}
    with WideTerminal(script, ready) as terminal:
        for answer in answers[:-1]:
            typed, _, question = answer.rpartition(">")
            terminal.answer(question, typed)
        terminal.expect(answers[-1])
        terminal.type(last + CTRL_C)
        terminal.expect("Nothing was changed.")
        code = terminal.end()

    assert code == 130
    assert {path.name: path.read_bytes() for path in ready.root.glob("*.json")} == before
    assert SECRETS[0] not in terminal.text
