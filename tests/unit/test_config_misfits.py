"""The credentials wizard before what can never work: torn keys, venues that there are not."""

from typing import Any

import pytest

from commands.configuring.venue_fit import account_misfits
from config.account_rows import VenueForm
from config.credentials import CredentialsWizard, KeyTest
from config.editing import Opened
from core.settings.account import Credentials
from tests.unit.config_talk import Script

BYBIT = VenueForm(exchange="bybit", title="Bybit", has_demo=True)
MAIN: dict[str, Any] = {
    "name": "main",
    "exchange": "bybit",
    "api_key": "key-of-main-0123456789",
    "api_secret": "secret-of-main",
    "environment": "live",
}
NO_SN8 = ("Enter your API key for Bittensor SN8:", "")
NO_MORE = ("Enter the name of another Bybit account or press Enter to finish:", "")
ASK_MAIN = "Keep/Change/Remove main (k/c/r)?"
KEEP_KEY = ("Enter your Bybit API key (press Enter to keep ****6789):", "")
KEEP_SECRET = ("Enter your Bybit API secret (press Enter to keep the current one):", "")
KEEP_LIVE = ("Environment of main: paper, demo or live (press Enter for live):", "")
ENABLE_MAIN = "Enable main (y/n, press Enter for yes)?"


def asked(talk: Script, row: dict[str, Any], venue: VenueForm = BYBIT) -> dict[str, Any]:
    wizard = CredentialsWizard(
        talk=talk,
        venues=(venue,),
        test_key=lambda _account: KeyTest(is_ok=True, text="it works"),
        misfits=account_misfits,
    )
    after = wizard.ask(Opened(document={"accounts": [row]}, content=Credentials(), seen=b""))

    assert talk.lines == []
    return after


@pytest.mark.parametrize(
    "pasted",
    [
        pytest.param("key-of-main-11\nsecret-of-main-22", id="two-lines"),
        pytest.param("key-of-main-11 secret-of-main-22", id="two-words"),
        pytest.param("key-of-main-11\x1b", id="control"),
    ],
)
def test_what_can_be_no_key_is_asked_for_again_with_the_reason(pasted: str) -> None:
    talk = Script(
        (NO_SN8[0], pasted),
        NO_SN8,
        (ASK_MAIN, "c"),
        (KEEP_KEY[0], pasted),
        KEEP_KEY,
        (KEEP_SECRET[0], pasted),
        KEEP_SECRET,
        KEEP_LIVE,
        (ENABLE_MAIN, ""),
        NO_MORE,
    )
    after = asked(talk, MAIN)

    assert after == {"accounts": [{**MAIN, "enabled": True}]}
    assert talk.text.count("control character in it: enter one thing at a time") == 3
    assert "main-11" not in talk.text


@pytest.mark.parametrize(
    ("answers", "left"),
    [
        pytest.param([("Keep/Remove far (k/r)?", "")], ["far"], id="keep"),
        pytest.param(
            [("Keep/Remove far (k/r)?", "r"), ("Remove far (y/n)?", "y")], [], id="remove"
        ),
    ],
)
def test_an_account_at_no_venue_is_told_and_may_go(
    answers: list[tuple[str, str]], left: list[str]
) -> None:
    talk = Script(NO_SN8, ("Enter your Bybit API key:", ""), *answers)
    far = {**MAIN, "name": "far", "exchange": "binance"}
    after = asked(talk, far)

    assert [row["name"] for row in after["accounts"]] == left
    assert "was binance (credentials.json: far.exchange)" in talk.text


def test_demo_is_offered_only_where_there_is_one() -> None:
    mexc = VenueForm(exchange="mexc", title="MEXC")
    row = {**MAIN, "exchange": "mexc", "environment": "demo"}
    talk = Script(
        NO_SN8,
        (ASK_MAIN, "c"),
        (KEEP_KEY[0].replace("Bybit", "MEXC"), ""),
        (KEEP_SECRET[0].replace("Bybit", "MEXC"), ""),
        ("Environment of main: paper or live (press Enter for live):", ""),
        (ENABLE_MAIN, "n"),
        ("Enter the name of another MEXC account or press Enter to finish:", ""),
    )
    after = asked(talk, row, venue=mexc)

    assert after["accounts"][0]["environment"] == "live"
    assert "mexc has no demo trading" in talk.text
