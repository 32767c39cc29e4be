"""What a first start writes: an example that trades on paper at once, and nobody's file twice."""

import json

from account_processors import venue_profiles
from account_processors.transport.access import keys_of
from commands.installation.first_use import write_examples
from core.home import Home
from core.settings import load_settings
from signal_processors.base import discover
from signal_processors.bittensor_config import FILE
from signal_processors.bittensor_files import BittensorFiles


def test_a_fresh_home_gets_a_paper_account_a_venue_and_a_token(home: Home) -> None:
    written = write_examples(home)
    settings = load_settings(home)

    assert sorted(written) == [
        *("asset_mapping_config.json", "credentials.json", "engine_config.json"),
        "signal_weight_config.json",
    ]
    assert settings.problems == ()
    assert [(row.environment, row.exchange) for row in settings.accounts] == [
        ("paper", exchange) for exchange in venue_profiles()
    ]
    assert all(keys_of(row, venue_profiles()[row.exchange]) for row in settings.accounts)
    assert [row.symbol for row in settings.weights] == ["BTCUSDT", "ETHUSDT"]
    assert len(settings.engine.webhook.token.get_secret_value()) >= 32


def test_secrets_are_random_and_private(home: Home) -> None:
    other = Home(home.root.parent / "other")
    other.root.mkdir()
    write_examples(home)
    write_examples(other)
    texts = [json.loads(row.credentials.read_text()) for row in (home, other)]

    assert texts[0] != texts[1]
    assert home.credentials.stat().st_mode & 0o777 == 0o600
    assert home.engine_config.stat().st_mode & 0o777 == 0o600
    assert home.state.stat().st_mode & 0o777 == 0o700


def test_what_is_there_is_never_touched(home: Home) -> None:
    home.credentials.write_text("{broken")
    write_examples(home)

    assert home.credentials.read_text() == "{broken"


def test_a_lost_file_does_not_come_back_as_our_example(home: Home) -> None:
    write_examples(home)
    load_settings(home)  # keeps the last good copies
    home.credentials.unlink()

    assert write_examples(home) == []
    assert not home.credentials.exists()


def test_a_fresh_example_follows_the_simulated_sn8_with_a_random_key(home: Home) -> None:
    other = Home(home.root.parent / "other")
    other.root.mkdir()
    keys = []
    for one in (home, other):
        write_examples(one)
        sn8 = load_settings(one).bittensor
        assert sn8 is not None
        assert (sn8.environment, sn8.endpoint, sn8.is_configured) == ("paper", "", True)
        keys.append(sn8.api_key.get_secret_value())

    assert keys[0] != keys[1]
    assert min(len(key) for key in keys) >= 16


def test_btcusdt_hears_both_sources_and_ethusdt_is_left_to_alerts(home: Home) -> None:
    write_examples(home)
    settings = load_settings(home)
    btc, eth = settings.weights

    assert btc.weight_of("tradingview") > 0
    assert btc.weight_of("bittensor") > 0
    assert eth.weight_of("tradingview") > 0
    assert eth.weight_of("bittensor") == 0  # so that a first flat alert ends flat


def test_every_mapped_pair_of_the_example_is_weighed_and_every_symbol_mapped(home: Home) -> None:
    write_examples(home)
    settings = load_settings(home)
    weighed = {row.symbol for row in settings.weights}
    sources = discover()

    mapped = {name: set(pairs.values()) for name, pairs in settings.mapping.items()}
    assert mapped == dict.fromkeys(sources, weighed)
    for row in settings.weights:
        assert {source.source for source in row.sources} == set(sources)


def test_the_example_needs_no_settings_of_sn8_and_its_defaults_are_good(home: Home) -> None:
    write_examples(home)

    assert not (home.root / FILE).exists()
    assert BittensorFiles(home).settings().targets == {"BTCUSD": "BTCUSDT", "ETHUSD": "ETHUSDT"}
    assert BittensorFiles(home).problems() == []
