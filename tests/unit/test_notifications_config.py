"""`notifications` of engine_config.json: its addresses are secrets wherever they may show."""

from typing import Any

import pytest

from core.home import Home
from core.settings import SettingsReader, load_settings
from core.settings.engine import NotificationsConfig, parse_engine_config
from core.settings.validation import InvalidFileError
from core.store import atomic_write_json
from monitor.secrecy import parts_of_address

SECRET = "123456789:AAsecret-of-the-bot"
URL = f"tgram://{SECRET}/42"


def parsed(*channels: Any, **common: Any) -> NotificationsConfig:
    return parse_engine_config(
        {"notifications": {"channels": list(channels), **common}}
    ).notifications


def refusal(*channels: Any, **common: Any) -> str:
    with pytest.raises(InvalidFileError) as caught:
        parsed(*channels, **common)
    return str(caught.value)


def test_an_address_is_in_no_repr_and_changes_no_hash(home: Home) -> None:
    hashes = []
    for url in (URL, "json://other"):
        channel = {"name": "phone", "url": url}
        atomic_write_json(home.engine_config, {"notifications": {"channels": [channel]}})
        settings = load_settings(home)
        hashes.append(settings.hash)

        assert SECRET not in repr(settings)
    assert hashes[0] == hashes[1]


@pytest.mark.parametrize(
    "channel",
    [
        pytest.param({"name": "phone", "url": SECRET}, id="no-scheme"),
        pytest.param({"name": "phone", "url": [URL]}, id="a-list"),
        pytest.param({"name": "phone", "url": URL, "what": ["gossip"]}, id="unknown-kind"),
        pytest.param({"name": "phone", "url": URL, "what": []}, id="no-kind"),
        pytest.param({"name": URL, "url": URL}, id="address-as-name"),
        pytest.param({"name": "phone", "urll": URL}, id="misspelt"),
        pytest.param(URL, id="address-alone"),
    ],
)
def test_a_wrong_channel_is_refused_without_its_address(channel: Any) -> None:
    text = refusal(channel)

    assert SECRET.lower() not in text.lower()
    assert "notifications.channels" in text


def test_a_broken_address_is_told_by_the_channels_name() -> None:
    assert "notifications.channels.phone.url" in refusal({"name": "phone", "url": "x"})


def test_two_channels_of_one_name_are_refused() -> None:
    assert "two channels are named phone" in refusal(*[{"name": "phone", "url": URL}] * 2)


def test_a_first_pause_beyond_the_longest_is_refused() -> None:
    assert "repeat_first_s" in refusal(repeat_first_s=10, repeat_max_s=5)


def test_a_bad_edit_keeps_the_channels_that_were_there(home: Home) -> None:
    reader = SettingsReader(home)
    good = {"notifications": {"channels": [{"name": "phone", "url": URL}]}}
    atomic_write_json(home.engine_config, good)
    reader.read()
    atomic_write_json(home.engine_config, {"notifications": {"channels": [{"name": "phone"}]}})

    assert [row.name for row in reader.read_engine().notifications.channels] == ["phone"]


@pytest.mark.parametrize(
    ("url", "part"),
    [
        pytest.param(URL, SECRET.partition(":")[2], id="token-as-host"),
        pytest.param("discord://1234567890/abcdefghij", "abcdefghij", id="path"),
        pytest.param("mailto://me:p%40ss@gmail.com", "p@ss", id="quoted-password"),
        pytest.param("json://host.example/x?token=abcdefghij", "abcdefghij", id="query"),
        pytest.param("ntfy://my-secret-topic", "my-secret-topic", id="topic"),
        pytest.param("ntfys://services/my-secret-topic", "my-secret-topic", id="topic-on-host"),
        pytest.param("spugpush://aaaa.Bbbbbbbb_c", "aaaa.Bbbbbbbb_c", id="token-with-a-dot"),
        pytest.param("pover://userkey0123@token0123456", "token0123456", id="token-behind-login"),
        pytest.param("https://hooks.slack.com/services/T0/B0/aB3defghij", "aB3defghij", id="slack"),
    ],
)
def test_the_parts_of_an_address_are_secrets_too(url: str, part: str) -> None:
    parts = set(parts_of_address(url))

    assert {url, part} <= parts
    assert not {"gmail.com", "host.example", "x"} & parts


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("ntfy://trade-engine", id="topic-of-our-name"),
        pytest.param("ntfy://Trade-Engine/", id="with-a-slash"),
        pytest.param("ntfy://alerts", id="short-topic"),
        pytest.param("json://localhost:8080/services", id="localhost"),
        pytest.param("json://services/production", id="machine-and-folder"),
        pytest.param("json://home-server:8080", id="machine-of-ones-own"),
        pytest.param("kafka://127.0.0.1:9092", id="machine-of-an-unknown-service"),
        pytest.param("mailto://localhost?to=bittensor&format=markdown", id="values"),
    ],
)
def test_ordinary_words_of_an_address_are_not_masked_elsewhere(url: str) -> None:
    text = "trade-engine on localhost, home-server: services, alerts in production, 127.0.0.1:9092"
    text += ", bittensor"
    shown = text
    for part in parts_of_address(url):
        shown = shown.replace(part, "***")

    assert shown == text
