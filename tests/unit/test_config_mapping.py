"""The asset mapping wizard: what becomes of a mapping, and what it asks."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.asset_mapping import (
    NEXT_SYMBOL,
    Change,
    MappingWizard,
    Markets,
    apply,
    others_of,
    to_document,
    warnings_of,
    what_still_counts,
)
from config.editing import Opened
from core.errors import ConfigError
from core.settings.signals import AssetMapping, parse_mapping
from core.store import parse_json, to_json
from tests.unit.config_talk import Script

BEFORE = {
    "tradingview": {"BTCUSDT": "BTCUSDT", "ETHUSDT": "ETHUSDT"},
    "bittensor": {"BTCUSD": "BTCUSDT", "ETHUSD": "ETHUSDT"},
}
CHOOSE = "Choose (k/m/n):"
KEEP = [(CHOOSE, "k"), (NEXT_SYMBOL, "")]
ASK_ONE = "Keep/Modify/Remove (k/m/r)?"


def changed(symbol: str, target: str | None, *, is_alias: bool = False) -> Change:
    return Change(source="bittensor", symbol=symbol, target=target, is_alias=is_alias)


def asked(talk: Script, before: AssetMapping = BEFORE, markets: Markets | None = None) -> object:
    wizard = MappingWizard(
        talk=talk, sources=("tradingview", "bittensor"), markets=lambda: markets or {}
    )
    document = wizard.ask(Opened(document=before, content=before, seen=b""))

    assert talk.lines == []
    return document


def test_a_new_symbol_goes_to_the_end() -> None:
    after = apply(BEFORE, changed("TAOUSD", "taousdt"))

    assert list(after["bittensor"].items())[-1] == ("TAOUSD", "TAOUSDT")


def test_a_known_symbol_keeps_its_place() -> None:
    after = apply(BEFORE, changed("BTCUSD", "XBTUSDT"))

    assert list(after["bittensor"].items()) == [("BTCUSD", "XBTUSDT"), ("ETHUSD", "ETHUSDT")]


def test_a_used_target_takes_the_old_mapping_away() -> None:
    after = apply(BEFORE, changed("BTCUSDC", "BTCUSDT"))

    assert after["bittensor"] == {"ETHUSD": "ETHUSDT", "BTCUSDC": "BTCUSDT"}
    assert after["tradingview"] == BEFORE["tradingview"]


def test_an_alias_leaves_the_old_mapping() -> None:
    after = apply(BEFORE, changed("BTCUSDC", "BTCUSDT", is_alias=True))

    assert after["bittensor"] == {**BEFORE["bittensor"], "BTCUSDC": "BTCUSDT"}


def test_a_mapping_that_is_not_there_cannot_be_removed() -> None:
    with pytest.raises(ConfigError, match="bittensor has no mapping of XAUUSD"):
        apply(BEFORE, changed("XAUUSD", None))


@pytest.mark.parametrize(
    ("symbol", "target"),
    [
        pytest.param("TAO USD", "TAOUSDT", id="space-in-theirs"),
        pytest.param("TAOUSD", "TAO USDT", id="space-in-ours"),
        pytest.param("TAOUSD", "", id="nothing"),
        pytest.param("T" * 101, "TAOUSDT", id="long"),
    ],
)
def test_what_is_no_symbol_is_refused(symbol: str, target: str) -> None:
    with pytest.raises(ConfigError):
        apply(BEFORE, changed(symbol, target))


symbols = st.sampled_from([f"S{n}USD" for n in range(6)])
targets = st.sampled_from([f"T{n}USDT" for n in range(4)])


@given(st.lists(st.tuples(symbols, targets | st.none(), st.booleans())))
def test_order_is_kept_and_what_is_saved_is_what_was_made(
    steps: list[tuple[str, str | None, bool]],
) -> None:
    mapping: AssetMapping = BEFORE
    for symbol, target, is_alias in steps:
        if target is None and symbol not in mapping["bittensor"]:
            continue
        before = list(mapping["bittensor"])
        mapping = apply(mapping, changed(symbol, target, is_alias=is_alias))
        after = list(mapping["bittensor"])

        stayed = [one for one in before if one in after]
        assert after[: len(stayed)] == stayed
        if target is not None and not is_alias:
            assert others_of(mapping, "bittensor", symbol, target) == []
    read = parse_mapping(parse_json(to_json(to_document(mapping)), Path("saved")))

    assert to_json(to_document(read)) == to_json(to_document(mapping))


def test_a_new_pair_is_asked_for_as_the_readme_says() -> None:
    talk = Script(
        (CHOOSE, "k"),
        (NEXT_SYMBOL, "TAOUSDT"),
        ("Enter translated asset symbol for TAOUSDT:", "TAOUSDT"),
        (NEXT_SYMBOL, ""),
        (CHOOSE, "k"),
        (NEXT_SYMBOL, "TAOUSD"),
        ("Enter translated asset symbol for TAOUSD:", "TAOUSDT"),
        (NEXT_SYMBOL, ""),
    )

    assert asked(talk) == {
        "tradingview": {**BEFORE["tradingview"], "TAOUSDT": "TAOUSDT"},
        "bittensor": {**BEFORE["bittensor"], "TAOUSD": "TAOUSDT"},
    }
    assert talk.said[1:9] == [
        "Current mappings for tradingview:",
        "BTCUSDT -> BTCUSDT",
        "ETHUSDT -> ETHUSDT",
        "",
        "What would you like to do with existing mappings?",
        "k - keep all existing mappings",
        "m - modify existing mappings one by one",
        "n - start fresh with no mappings",
    ]
    assert ("bittensor", "TAOUSD", "TAOUSDT") in talk.rows


def test_modifying_asks_about_each_and_enter_keeps() -> None:
    talk = Script(
        (CHOOSE, "m"),
        (ASK_ONE, "m"),
        ("Enter translated asset symbol for BTCUSDT (press Enter for current value: BTCUSDT):", ""),
        (ASK_ONE, "r"),
        (NEXT_SYMBOL, ""),
        (CHOOSE, "m"),
        (ASK_ONE, ""),
        (ASK_ONE, "m"),
        ("Enter translated asset symbol for ETHUSD (press Enter for current value: ETHUSDT):", "X"),
        (
            "Enter translated asset symbol for ETHUSD (press Enter for current value: ETHUSDT):",
            "ETHUSDC",
        ),
        (NEXT_SYMBOL, ""),
    )

    assert asked(talk) == {
        "tradingview": {"BTCUSDT": "BTCUSDT"},
        "bittensor": {"BTCUSD": "BTCUSDT", "ETHUSD": "ETHUSDC"},
    }
    assert "Current mapping: BTCUSD -> BTCUSDT" in talk.said
    assert "was X" in talk.text
    assert "goes on counting for ETHUSDT" in talk.text


def test_starting_fresh_drops_what_was_there_and_nothing_else() -> None:
    talk = Script(*KEEP, (CHOOSE, "n"), (NEXT_SYMBOL, ""))

    assert asked(talk) == {"tradingview": BEFORE["tradingview"], "bittensor": {}}


@pytest.mark.parametrize(
    ("answer", "after"),
    [pytest.param("n", "ETHUSDT", id="no"), pytest.param("y", "WETHUSDT", id="yes")],
)
def test_a_mapped_symbol_is_updated_only_when_the_person_says_so(answer: str, after: str) -> None:
    update = "Enter translated asset symbol for ETHUSD (press Enter for current value: ETHUSDT):"
    talk = Script(
        *KEEP,
        (CHOOSE, "k"),
        (NEXT_SYMBOL, "ETHUSD"),
        ("ETHUSD is already mapped to ETHUSDT. Update it (y/n)?", answer),
        *([(update, "WETHUSDT")] if answer == "y" else []),
        (NEXT_SYMBOL, ""),
    )

    assert asked(talk) == {**BEFORE, "bittensor": {"BTCUSD": "BTCUSDT", "ETHUSD": after}}


@pytest.mark.parametrize(
    ("answer", "after"),
    [
        pytest.param("", {"ETHUSD": "ETHUSDT", "BTCUSDC": "BTCUSDT"}, id="enter-removes"),
        pytest.param("k", {**BEFORE["bittensor"], "BTCUSDC": "BTCUSDT"}, id="keep-both"),
    ],
)
def test_a_used_target_is_asked_about(answer: str, after: dict[str, str]) -> None:
    question = (
        "Remove BTCUSD, or keep both so that their signals add up (r/k, press Enter to remove)?"
    )
    talk = Script(
        *KEEP,
        (CHOOSE, "k"),
        (NEXT_SYMBOL, "BTCUSDC"),
        ("Enter translated asset symbol for BTCUSDC:", "BTCUSDT"),
        (question, answer),
        (NEXT_SYMBOL, ""),
    )

    assert asked(talk) == {**BEFORE, "bittensor": after}


def test_a_first_mapping_is_asked_for_without_a_choice() -> None:
    talk = Script(
        (NEXT_SYMBOL, "ethusdt"),
        ("Enter translated asset symbol for ethusdt:", "ethusdt"),
        (NEXT_SYMBOL, ""),
        (NEXT_SYMBOL, ""),
    )

    assert asked(talk, before={}) == {"tradingview": {"ethusdt": "ETHUSDT"}}
    assert "a signal for ETHUSDT is another" in talk.text


def test_a_market_that_is_not_there_is_warned_of() -> None:
    markets: Markets = {
        "bybit (live)": frozenset({"TAOUSDT"}),
        "mexc (live)": frozenset({"BTCUSDT"}),
        "kucoin (demo)": None,
    }
    talk = Script(
        (CHOOSE, "k"),
        (NEXT_SYMBOL, "TAOUSDT"),
        ("Enter translated asset symbol for TAOUSDT:", "TAOUSDT"),
        (NEXT_SYMBOL, ""),
        *KEEP,
    )
    asked(talk, markets=markets)

    assert "! TAOUSDT is not listed at mexc (live): nothing is traded there" in talk.said
    assert "! TAOUSDT could not be checked at kucoin (demo): no answer" in talk.said
    assert warnings_of("BTCUSDT", {"mexc (live)": frozenset({"BTCUSDT"})}) == []


def test_a_removed_mapping_is_said_to_leave_its_last_word() -> None:
    after = apply(BEFORE, changed("BTCUSD", None))

    assert "last signal of bittensor BTCUSD" in what_still_counts(BEFORE, after)
    assert what_still_counts(BEFORE, BEFORE) == ""


def test_each_removed_symbol_has_its_command() -> None:
    note = what_still_counts(BEFORE, {})

    assert note.endswith("./trade-engine resume BTCUSDT; ./trade-engine resume ETHUSDT")
