"""What a bundle masks: a home's secrets in every form, and what looks like anybody's."""

import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from commands.diagnosis.redaction import learn_secrets, masked
from core.home import Home
from core.store import atomic_write_json

KEY = "AKIA+key/of=main-0123456789"
SECRET = 's3cret"with\\quotes/and+slashes=='


@pytest.fixture(autouse=True)
def own_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test masks must not be masked in the next."""
    monkeypatch.setattr("core.process.logs._secrets", set())
    monkeypatch.setattr("commands.diagnosis.redaction._short", set())


def learnt(home: Home, **changes: Any) -> None:
    account = {"name": "main", "exchange": "bybit", "api_key": KEY, "api_secret": SECRET}
    atomic_write_json(home.credentials, {"accounts": [account | changes]})
    learn_secrets(home)


def lowered(text: str) -> str:
    return "".join(c.lower() if "%" in text[max(0, n - 2) : n] else c for n, c in enumerate(text))


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(str, id="as-it-is"),
        pytest.param(lambda text: json.dumps(json.dumps(json.dumps(text))), id="json-thrice"),
        pytest.param(repr, id="repr"),
        pytest.param(lambda text: quote(text, safe=""), id="quote"),
        pytest.param(quote, id="quote-but-slashes"),
        pytest.param(quote_plus, id="quote-plus"),
        pytest.param(lambda text: lowered(quote(text, safe="")), id="small-escapes"),
        pytest.param(lambda text: quote(quote(text, safe=""), safe=""), id="quoted-twice"),
        pytest.param(lambda text: b64encode(text.encode()).decode(), id="base64"),
        pytest.param(lambda text: urlsafe_b64encode(text.encode()).decode(), id="base64-url"),
        pytest.param(lambda text: text.encode().hex(), id="hex"),
        pytest.param(lambda text: text.encode().hex().upper(), id="hex-capitals"),
    ],
)
@pytest.mark.parametrize("secret", [KEY, SECRET], ids=["key", "secret"])
def test_a_known_secret_is_masked_in_every_form(
    home: Home, write: Callable[[str], str], secret: str
) -> None:
    learnt(home)

    assert masked(write(secret)).strip("\"'\\") == "***"


@pytest.mark.parametrize("before", ["", "x", "xy", "someone:"])
def test_a_known_secret_is_masked_within_a_longer_text_in_base64(home: Home, before: str) -> None:
    learnt(home)
    whole = b64encode(f"{before}{SECRET}:tail".encode()).decode()

    assert len(masked(whole).replace("***", "")) <= len(before) * 2 + 10


def test_key_and_secret_together_in_base64_leave_nothing(home: Home) -> None:
    learnt(home)

    assert masked(b64encode(f"{KEY}:{SECRET}".encode()).decode()) == "***"


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_short_secret_is_masked_where_it_stands_under_its_key(home: Home, depth: int) -> None:
    learnt(home, memo="ab")
    text = json.dumps({"memo": "ab", "note": "ab abc"})
    for _ in range(depth - 1):
        text = json.dumps(text)
    shown: Any = masked(text)
    for _ in range(depth):
        shown = json.loads(shown)

    assert shown == {"memo": "***", "note": "ab abc"}


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize("value", ["abcq", 'abcq"abcq', "abcq\\", 12345, "a,abcq}"])
def test_json_stays_json_without_its_secrets(depth: int, value: object) -> None:
    text = json.dumps({"api_secret": value, "size": "0.5", "token": None})
    for _ in range(depth - 1):
        text = json.dumps({"event": text})
    shown = masked(text)
    for _ in range(depth - 1):
        shown = json.loads(shown)["event"]

    assert "abcq" not in shown
    assert "12345" not in shown
    if value != "abcq\\" or depth == 1:  # there more is masked, to be sure
        assert json.loads(shown) == {"api_secret": "***", "size": "0.5", "token": None}


@pytest.mark.parametrize(
    "text",
    [
        '{"text": "{\\"api_secret\\": \\"abcdefgh',
        '{"api_secret": "abcdefgh',
        "ACCESS-KEY: abcdefgh",
        "X-MBX-APIKEY: abcdefgh",
        "KC-API-SIGN: abcdefgh",
        "wss://h/ws?listenKey=abcdefgh",
        "listenKey=abcdefgh",
        "token=none-abcdefgh",
        "{'token': ['abcdefgh']}",
        'headers["token"] = "abcdefgh"',
        "Authorization: Bearer abcdefgh",
        "Authorization: Basic abcdefgh==",
        "{'Authorization': b'Basic abcdefgh'}",
        '{\\"authorization\\": \\"Bearer abcdefgh\\"}',
        "(b'authorization', b'Bearer abcdefgh0123')",
        "Cookie: a=1; b=abcdefgh",
        "https://me:abcdefgh@host/path",
        "https:\\/\\/me:abcdefgh@host",
        "https%3A%2F%2Fme%3Aabcdefgh%40host%2F",
        "next=%2Fwebhook%2Fabcdefgh&x=1",
        "next=%252fwebhook%252fabcdefgh",
        "\\/webhook\\/abcdefgh",
        "https://hooks.slack.com/services/T012/B012/abcdefgh",
        "host='hooks.slack.com' url: /services/T012/B012/abcdefgh",
        "https://api.telegram.org/bot123456789:abcdefgh/sendMessage",
        "Max retries exceeded with url: /bot123456789:abcdefgh/sendMessage",
        "https://discord.com/api/webhooks/123/abcdefgh",
        "url: /api/webhooks/123/abcdefgh",
        "tgram%3A%2F%2F123%3Aabcdefgh%2F1",
        "tgram:\\/\\/abcdefgh\\/abcdefgh",
        "xoxb-123-abcdefgh",
        "https://ntfy.sh/abcdefgh",
        "https:\\/\\/hooks.zapier.com\\/hooks\\/abcdefgh",
        "404 for 123456789:abcdefghijklmnopqrstuvwxyz0123456789",
        "?key=abcdefgh&x=1",
    ],
)
def test_a_strangers_secret_is_masked_by_its_name_or_shape(text: str) -> None:
    shown = masked(text)

    assert "abcdefgh" not in shown
    assert "***" in shown


@pytest.mark.parametrize(
    "text",
    [
        "https://api.bybit.com/v5/order?symbol=BTCUSDT",
        "mail me@host about https://host/path",
        "basic authentication is needed; the bearer of it",
        "design: round; assigned: 3",
        '{"token": null, "key": "config/engine_config.json"}',
        "the services are up: /services is a folder",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert masked(text) == text


def test_a_word_of_ours_in_an_address_is_not_masked_elsewhere(home: Home) -> None:
    channel = {"name": "phone", "url": "ntfy://trade-engine"}
    atomic_write_json(home.engine_config, {"notifications": {"channels": [channel]}})
    learn_secrets(home)

    assert masked("trade-engine on localhost") == "trade-engine on localhost"
