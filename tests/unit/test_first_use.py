import json

from account_processors import venue_profiles
from account_processors.transport.access import keys_of
from commands.first_use import write_examples
from core.home import Home
from core.settings import load_settings


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
