"""The credentials wizard: what becomes of the file, what it asks, and what it never shows."""

from typing import Any

import pytest

from config.account_rows import (
    VenueForm,
    apply,
    bare_address,
    masked,
    name_refusal,
    new_shape,
    redacted,
    summary_of,
    without,
)
from config.credentials import CredentialsWizard, KeyTest, effect
from config.editing import Opened
from core.errors import ConfigError
from core.settings.account import AccountConfig, Credentials, parse_credentials
from tests.unit.config_talk import Script

BYBIT = VenueForm(exchange="bybit", title="Bybit", has_demo=True)
KUCOIN = VenueForm(exchange="kucoin", title="KuCoin", has_passphrase=True)
KEY = "key-of-main-0123456789"
MAIN: dict[str, Any] = {
    "name": "main",
    "exchange": "bybit",
    "api_key": KEY,
    "api_secret": "secret-of-main",
    "environment": "live",
    "margin_mode": "isolated",
    "base_url": "https://venue.example",
    "leverage_override": 2,
}
NO_SN8 = ("Enter your API key for Bittensor SN8:", "")
NO_MORE = ("Enter the name of another Bybit account or press Enter to finish:", "")
ASK_MAIN = "Keep/Change/Remove main (k/c/r)?"
KEEP_KEY = ("Enter your Bybit API key (press Enter to keep ****6789):", "")
KEEP_SECRET = ("Enter your Bybit API secret (press Enter to keep the current one):", "")
KEEP_LIVE = ("Environment of main: paper, demo or live (press Enter for live):", "")
ENABLE_MAIN = "Enable main (y/n, press Enter for yes)?"
OK = KeyTest(is_ok=True, text="equity 12.5 USDT")
FAILED = KeyTest(is_ok=False, text="bybit did not answer")


class KeyTrials:
    """Stands for the venues: gives prepared results, notes what was tested."""

    def __init__(self, *results: KeyTest) -> None:
        self.results = list(results)
        self.tested: list[AccountConfig] = []

    def __call__(self, account: AccountConfig) -> KeyTest:
        self.tested.append(account)
        return self.results.pop(0)


def asked(
    talk: Script, document: Any, *venues: VenueForm, trials: KeyTrials | None = None
) -> dict[str, Any]:
    wizard = CredentialsWizard(talk=talk, venues=venues or (BYBIT,), test_key=trials or KeyTrials())
    after = wizard.ask(Opened(document=document, content=Credentials(), seen=b""))

    assert talk.lines == []
    parse_credentials(after)  # raises
    return after


def test_a_first_key_is_asked_for_as_the_readme_says() -> None:
    talk = Script(
        ("Enter your API key for Bittensor SN8:", "key-of-sn8"),
        ("Enter the Bittensor endpoint URL:", "https://validator.example"),
        ("Enter your Bybit API key:", "key-of-bybit"),
        ("Enter your Bybit API secret:", "secret-of-bybit"),
        ("Enter a name for this account (press Enter for bybit):", ""),
        ("Environment of bybit: paper, demo or live (press Enter for live):", ""),
        ("Enable bybit (y/n, press Enter for yes)?", ""),
        NO_MORE,
        ("Enter your KuCoin API key:", "key-of-kucoin"),
        ("Enter your KuCoin API secret:", "secret-of-kucoin"),
        ("Enter your KuCoin API passphrase:", "phrase-of-kucoin"),
        ("Enter a name for this account (press Enter for kucoin):", "second"),
        ("Environment of second: paper or live (press Enter for live):", "paper"),
        ("Enable second (y/n, press Enter for yes)?", "n"),
        ("Enter the name of another KuCoin account or press Enter to finish:", ""),
    )
    trials = KeyTrials(OK)
    after = asked(talk, None, BYBIT, KUCOIN, trials=trials)

    assert after == {
        "bittensor_sn8": {"api_key": "key-of-sn8", "endpoint": "https://validator.example"},
        "accounts": [
            {
                "name": "bybit",
                "exchange": "bybit",
                "api_key": "key-of-bybit",
                "api_secret": "secret-of-bybit",
                "environment": "live",
                "enabled": True,
            },
            {
                "name": "second",
                "exchange": "kucoin",
                "api_key": "key-of-kucoin",
                "api_secret": "secret-of-kucoin",
                "api_passphrase": "phrase-of-kucoin",
                "environment": "paper",
                "enabled": False,
            },
        ],
    }
    assert [account.name for account in trials.tested] == ["bybit"]  # the other is disabled
    assert "nothing is sent until ./trade-engine arm bybit" in talk.text
    assert "  ok: equity 12.5 USDT" in talk.said
    assert len(talk.hidden) == 6


def test_entering_nothing_changes_nothing() -> None:
    after = asked(Script(NO_SN8, ("Enter your Bybit API key:", "")), None)

    assert after == {"accounts": []}


def test_enter_keeps_every_account_as_it_is() -> None:
    document = {"accounts": [MAIN]}

    assert asked(Script(NO_SN8, (ASK_MAIN, ""), NO_MORE), document) == document


def test_a_changed_account_keeps_all_that_was_not_asked_about() -> None:
    talk = Script(
        NO_SN8,
        (ASK_MAIN, "c"),
        (KEEP_KEY[0], "another-key-9876543210"),
        KEEP_SECRET,
        KEEP_LIVE,
        (ENABLE_MAIN, ""),
        NO_MORE,
    )
    after = asked(talk, {"accounts": [MAIN]}, trials=KeyTrials(OK))

    assert after["accounts"] == [{**MAIN, "api_key": "another-key-9876543210", "enabled": True}]
    assert "not armed with this key: ./trade-engine arm main" in talk.text


def test_the_old_shape_becomes_a_list_and_keeps_its_keys() -> None:
    old = {"bybit": {"api_key": KEY, "api_secret": "s", "copy_trading": True}}
    talk = Script(NO_SN8, ("Keep/Change/Remove bybit (k/c/r)?", "k"), NO_MORE)

    assert asked(talk, old)["accounts"] == [
        {
            "name": "bybit",
            "exchange": "bybit",
            "environment": "live",
            "api_key": KEY,
            "api_secret": "s",
            "copy_trading": True,
        }
    ]
    assert "become a list" in talk.text


@pytest.mark.parametrize(
    ("answer", "left"), [pytest.param("y", [], id="yes"), pytest.param("n", [MAIN], id="no")]
)
def test_removing_warns_of_positions_and_asks(answer: str, left: list[Any]) -> None:
    talk = Script(NO_SN8, (ASK_MAIN, "r"), ("Remove main (y/n)?", answer), NO_MORE)

    assert asked(talk, {"accounts": [MAIN]})["accounts"] == left
    assert "stay open, and nobody closes them" in talk.text


def test_a_disabled_account_is_said_to_be_closed_down() -> None:
    talk = Script(
        NO_SN8, (ASK_MAIN, "c"), KEEP_KEY, KEEP_SECRET, KEEP_LIVE, (ENABLE_MAIN, "n"), NO_MORE
    )
    after = asked(talk, {"accounts": [MAIN]})

    assert after["accounts"][0]["enabled"] is False
    assert "will be closed down once" in talk.text


def test_a_key_that_failed_is_saved_only_if_the_person_says_so() -> None:
    again = [KEEP_KEY, KEEP_SECRET, KEEP_LIVE, (ENABLE_MAIN, "")]
    ask_save = "Save anyway (y/n)?"
    talk = Script(
        NO_SN8, (ASK_MAIN, "c"), *again, (ask_save, "n"), *again, (ask_save, "y"), NO_MORE
    )
    trials = KeyTrials(FAILED, FAILED)
    after = asked(talk, {"accounts": [MAIN]}, trials=trials)

    assert after["accounts"] == [{**MAIN, "enabled": True}]
    assert talk.said.count("  failed: bybit did not answer") == 2


def test_one_key_on_two_enabled_accounts_is_refused_and_asked_again() -> None:
    talk = Script(
        NO_SN8,
        (ASK_MAIN, "k"),
        (NO_MORE[0], "main"),
        (NO_MORE[0], "twin"),
        ("Enter your Bybit API key:", KEY),
        ("Enter your Bybit API secret:", "any-secret"),
        ("Environment of twin: paper, demo or live (press Enter for live):", "live"),
        ("Enable twin (y/n, press Enter for yes)?", "y"),
        KEEP_KEY,
        KEEP_SECRET,
        ("Environment of twin: paper, demo or live (press Enter for live):", ""),
        ("Enable twin (y/n, press Enter for yes)?", "n"),
        NO_MORE,
    )
    after = asked(talk, {"accounts": [MAIN]})

    assert [row["name"] for row in after["accounts"]] == ["main", "twin"]
    assert "main is taken" in talk.text
    assert "the same as that of account main: disable one of the two" in talk.text
    assert KEY not in talk.text


def test_a_simulated_sn8_becomes_live_with_an_endpoint() -> None:
    simulated = {"bittensor_sn8": {"api_key": "any-text", "environment": "paper", "tier": 30}}
    talk = Script(
        ("Keep/Change/Remove (k/c/r)?", "c"),
        ("Enter your API key for Bittensor SN8 (press Enter to keep ****):", "key-of-sn8"),
        ("Enter the Bittensor endpoint URL:", "validator.example"),
        ("Enter the Bittensor endpoint URL:", "https://validator.example"),
        ("Environment of SN8: paper (simulated) or live (press Enter for live):", ""),
        ("Enter your Bybit API key:", ""),
    )
    after = asked(talk, simulated)

    assert after["bittensor_sn8"] == {
        "api_key": "key-of-sn8",
        "environment": "live",
        "tier": 30,
        "endpoint": "https://validator.example",
    }
    assert "begins with http:// or https://" in talk.text


def test_access_to_sn8_can_be_removed() -> None:
    document = {"bittensor_sn8": {"api_key": "any", "endpoint": "https://v.example/path-key"}}
    talk = Script(("Keep/Change/Remove (k/c/r)?", "r"), ("Enter your Bybit API key:", ""))

    assert asked(talk, document) == {"accounts": []}
    assert "https://v.example/****" in talk.text
    assert "path-key" not in talk.text


def test_nothing_secret_is_shown() -> None:
    addressed = {
        **MAIN,
        "api_passphrase": "phrase-of-main",
        "base_url": "https://v.example/path-key",
    }
    document = new_shape({"accounts": [addressed]})
    shown = str(redacted(document)) + str(summary_of(document))

    assert "****6789" in shown
    for secret in (KEY, "secret-of-main", "phrase-of-main", "path-key"):
        assert secret not in shown


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        pytest.param("", "none", id="none"),
        pytest.param("short-key", "****", id="short"),
        pytest.param(KEY, "****6789", id="long"),
    ],
)
def test_a_key_is_shown_by_its_end_at_most(secret: str, text: str) -> None:
    assert masked(secret) == text


@pytest.mark.parametrize(
    ("address", "text"),
    [
        pytest.param("https://h.example", "https://h.example", id="bare"),
        pytest.param("https://u:p@h.example:99/x?key=1", "https://h.example:99/****", id="full"),
        pytest.param("no-address", "****", id="none"),
        pytest.param("http://[", "****", id="broken"),
    ],
)
def test_an_address_is_shown_by_its_host(address: str, text: str) -> None:
    assert bare_address(address) == text


@pytest.mark.parametrize("name", ["main", "two words", "-x", "x" * 41])
def test_a_name_that_cannot_be_is_refused(name: str) -> None:
    assert name_refusal({"accounts": [MAIN]}, name)
    assert name_refusal({"accounts": [MAIN]}, "second") == ""


def test_an_account_keeps_its_place() -> None:
    second = {**MAIN, "name": "second", "api_key": "another"}
    document = {"accounts": [MAIN, second]}
    after = apply(document, {**MAIN, "enabled": False})

    assert [row["name"] for row in after["accounts"]] == ["main", "second"]
    assert without(after, "main") == {"accounts": [second]}
    with pytest.raises(ConfigError):
        apply(document, {**second, "environment": "test"})


def test_the_first_paper_account_needs_an_up() -> None:
    live, paper = {"accounts": [MAIN]}, {"accounts": [{**MAIN, "environment": "paper"}]}

    assert "starts or stops paper-exchange" in effect(live, paper)
    assert "starts or stops" not in effect(paper, paper)


@pytest.mark.parametrize(
    ("base_url", "count"),
    [
        pytest.param(None, 0, id="our-paper-exchange-takes-any"),
        pytest.param("http://127.0.0.1:9", 1, id="another-host-may-not"),
    ],
)
def test_a_paper_key_is_tried_only_where_it_could_be_refused(
    base_url: str | None, count: int
) -> None:
    paper = {**MAIN, "environment": "paper", "base_url": base_url}
    keep_paper = ("Environment of main: paper, demo or live (press Enter for paper):", "")
    talk = Script(
        NO_SN8, (ASK_MAIN, "c"), KEEP_KEY, KEEP_SECRET, keep_paper, (ENABLE_MAIN, ""), NO_MORE
    )
    trials = KeyTrials(OK)
    asked(talk, {"accounts": [paper]}, trials=trials)

    assert len(trials.tested) == count
