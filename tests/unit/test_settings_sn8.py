"""What `bittensor_sn8` in credentials.json may say, and that its secrets are not repeated."""

from typing import Any

import pytest

from core.settings import BittensorCredentials, InvalidFileError
from core.settings.account import parse_credentials

SECRET = "sesame-0123456789"


def access(**row: Any) -> BittensorCredentials:
    read = parse_credentials({"bittensor_sn8": row}).bittensor_sn8
    assert read is not None
    return read


def test_without_words_it_is_live_with_a_bearer_key_of_the_highest_tier() -> None:
    read = access()

    assert (read.environment, read.auth_style, read.tier) == ("live", "bearer", 100)
    assert (read.endpoint, read.websocket, read.is_configured) == ("", None, False)


def test_empty_texts_of_an_older_file_are_the_defaults() -> None:
    empty = {"api_key": "", "endpoint": "", "websocket": "", "auth_style": " ", "tier": ""}

    assert access(**empty) == access()


@pytest.mark.parametrize(
    ("given", "tier"),
    [
        pytest.param(0, 0, id="none"),
        pytest.param(50, 50, id="number"),
        pytest.param("30", 30, id="text"),
        pytest.param(" 100 ", 100, id="blanks"),
    ],
)
def test_a_tier_is_a_number_also_where_it_is_text(given: object, tier: int) -> None:
    read = access(tier=given).tier

    assert (read, type(read)) == (tier, int)


@pytest.mark.parametrize("style", ["bearer", "request_network", "legacy_body"])
def test_each_style_of_showing_the_key_is_taken(style: str) -> None:
    assert access(auth_style=style).auth_style == style


def test_addresses_lose_their_last_slash() -> None:
    read = access(endpoint="https://example.org/sn8/", websocket="wss://example.org:8765/")

    assert read.endpoint == "https://example.org/sn8"
    assert read.websocket == "wss://example.org:8765"


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        pytest.param({"api_key": SECRET}, False, id="live-without-endpoint"),
        pytest.param({"endpoint": "https://x"}, False, id="no-key"),
        pytest.param({"environment": "paper"}, False, id="paper-without-key"),
        pytest.param({"api_key": SECRET, "endpoint": "https://x"}, True, id="live"),
        pytest.param({"api_key": SECRET, "environment": "paper"}, True, id="paper"),
    ],
)
def test_it_is_configured_with_a_key_and_an_address_to_ask(
    row: dict[str, str], expected: bool
) -> None:
    assert access(**row).is_configured is expected


@pytest.mark.parametrize(
    ("row", "text"),
    [
        pytest.param({"tier": 7}, "tier must be 0, 30, 50 or 100, was 7", id="tier"),
        pytest.param({"tier": False}, "tier must be 0, 30, 50 or 100", id="false-is-no-tier"),
        pytest.param({"tier": None}, "tier must be 0, 30, 50 or 100", id="null-tier"),
        pytest.param({"auth_style": "basic"}, "'request_network' or 'legacy_body'", id="style"),
        pytest.param({"environment": "demo"}, "'paper' or 'live', was demo", id="environment"),
        pytest.param({"endpoint": "ftp://x"}, "begins with http:// or https://", id="endpoint"),
        pytest.param({"endpoint": "https://"}, "begins with http:// or https://", id="no-host"),
        pytest.param({"endpoint": "http://[x"}, "begins with http:// or https://", id="bracket"),
        pytest.param({"endpoint": "http://x:0"}, "begins with http:// or https://", id="port"),
        pytest.param({"websocket": "http://x"}, "begins with ws:// or wss://", id="websocket"),
        pytest.param({"endpint": "https://x"}, "did you mean endpoint?", id="typo"),
    ],
)
def test_wrong_access_is_refused_in_words(row: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidFileError) as caught:
        access(**row)

    assert text in str(caught.value)
    assert "credentials.json: bittensor_sn8" in str(caught.value)


@pytest.mark.parametrize(
    "row",
    [
        pytest.param({"endpoint": SECRET}, id="key-for-endpoint"),
        pytest.param({"websocket": SECRET}, id="key-for-websocket"),
        pytest.param({"endpoint": f"http://x:{SECRET}"}, id="key-for-port"),
        pytest.param({"api_key": [SECRET]}, id="key-in-a-list"),
        pytest.param({"api_kee": SECRET}, id="mistyped-key"),
    ],
)
def test_c2_a_refused_access_repeats_no_secret(row: dict[str, Any]) -> None:
    with pytest.raises(InvalidFileError) as caught:
        access(**row)

    assert SECRET not in str(caught.value)


def test_c2_a_repr_shows_neither_key_nor_address() -> None:
    read = access(
        api_key=SECRET, endpoint=f"https://x/?key={SECRET}", websocket=f"wss://x/{SECRET}"
    )

    assert SECRET not in repr(read)
    assert SECRET not in str(read)
    assert SECRET in read.endpoint
    assert read.api_key.get_secret_value() == SECRET
