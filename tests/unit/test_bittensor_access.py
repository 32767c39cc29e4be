"""Where the SN8 data is asked for, and what is never shown of it."""

import pytest

from core.errors import ConfigError
from signal_processors.bittensor_access import AuthStyle, Kind
from tests.sn8_servers import KEY, access

BASE = "http://v.example:48888"


@pytest.mark.parametrize(
    ("endpoint", "kind", "expected"),
    [
        pytest.param(BASE, "positions", f"{BASE}/miner-positions?tier=50", id="base"),
        pytest.param(f"{BASE}/", "positions", f"{BASE}/miner-positions?tier=50", id="slash"),
        pytest.param(
            f"{BASE}/miner-positions", "positions", f"{BASE}/miner-positions?tier=50", id="whole"
        ),
        pytest.param(
            f"{BASE}/a/miner-positions/?tier=30&x=1",
            "positions",
            f"{BASE}/a/miner-positions?x=1&tier=50",
            id="pasted-with-query",
        ),
        pytest.param(
            f"{BASE}/a/miner-positions?tier=30&x=1",
            "statistics",
            f"{BASE}/a/statistics?x=1&checkpoints=false",
            id="statistics-of-the-whole",
        ),
        pytest.param(f"{BASE}/sn8", "eliminations", f"{BASE}/sn8/eliminations", id="eliminations"),
    ],
)
def test_the_address_of_a_kind_is_made_from_what_people_enter(
    endpoint: str, kind: Kind, expected: str
) -> None:
    assert str(access(endpoint, tier=50).url(kind)) == expected


@pytest.mark.parametrize(
    ("style", "endpoint", "positions", "statistics"),
    [
        pytest.param(
            "request_network",
            f"{BASE}/miner-positions?tier=100&q=a%2Fb",
            f"{BASE}/miner-positions?tier=100&q=a%2Fb",
            None,
            id="request-network-to-the-letter",
        ),
        pytest.param("legacy_body", f"{BASE}/x", f"{BASE}/x", None, id="legacy-as-given"),
        pytest.param(
            "legacy_body",
            f"{BASE}/miner-positions",
            f"{BASE}/miner-positions",
            f"{BASE}/statistics?checkpoints=false",
            id="legacy-whole",
        ),
    ],
)
def test_other_ways_to_pay_leave_the_address_as_it_was_given(
    style: AuthStyle, endpoint: str, positions: str, statistics: str | None
) -> None:
    given = access(endpoint, auth_style=style, tier=50)
    url = given.url("statistics")

    assert str(given.url("positions")) == positions
    assert (None if url is None else str(url)) == statistics


def test_an_access_shows_neither_key_nor_path_nor_query() -> None:
    given = access(f"{BASE}/{KEY}?key={KEY}", websocket=f"wss://w.example/{KEY}?k={KEY}")

    assert repr(given) == str(given)
    assert repr(given) == f"Access({BASE}, bearer, tier 100, websocket: wss://w.example)"
    assert given == access(f"{BASE}/{KEY}?key={KEY}", websocket=f"wss://w.example/{KEY}?k={KEY}")


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        pytest.param(f'{{"error": "no key {KEY}!"}}', "no key ***!", id="key"),
        pytest.param(f'{{"error": "{KEY.lower()}"}}', "***", id="other-case"),
        pytest.param("no Sn8%2BKey%2FOf-Ours%3D42", "no ***", id="quoted"),
        pytest.param("of s3cret-in-query", "of ***", id="from-the-query"),
        pytest.param('{"message": "tier 100"}', "tier 100", id="public-parameter"),
        pytest.param("a\x1b[31m\nb", "a [31m b", id="control-characters"),
        pytest.param("<html>no</html>", "a web page", id="page"),
        pytest.param('{"error": {"deep": 1}}', "", id="no-words"),
        pytest.param("[" * 100_000, "[" * 160, id="deep"),
        pytest.param("x" * 150 + KEY, "x" * 150 + "***", id="key-across-the-cut"),
    ],
)
def test_a_server_s_words_are_made_harmless(said: str, shown: str) -> None:
    given = access(f"{BASE}/x?tier=100&token=s3cret-in-query")

    assert given.said(said.encode()) == shown


@pytest.mark.parametrize(
    ("endpoint", "websocket", "key", "named"),
    [
        pytest.param("", None, KEY, "endpoint", id="empty"),
        pytest.param("v.example:48888", None, KEY, "endpoint", id="no-scheme"),
        pytest.param(f"ftp://{KEY}", None, KEY, "endpoint", id="other-scheme"),
        pytest.param(f"http://u:{KEY}@h", None, KEY, "endpoint", id="user"),
        pytest.param(f"http://h/{KEY} x", None, KEY, "endpoint", id="space"),
        pytest.param(f"http://h:x{KEY}", None, KEY, "endpoint", id="port"),
        pytest.param(f"http:///{KEY}", None, KEY, "endpoint", id="no-host"),
        pytest.param(BASE, f"http://h/{KEY}", KEY, "websocket", id="websocket-scheme"),
        pytest.param(BASE, None, f"{KEY}\r\nX: 1", "api_key", id="key-of-two-lines"),
        pytest.param(BASE, None, f"{KEY}\u00fc", "api_key", id="key-of-other-letters"),
    ],
)
def test_an_unusable_access_is_refused_by_the_name_of_its_setting(
    endpoint: str, websocket: str | None, key: str, named: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        access(endpoint, websocket=websocket, key=key)

    assert f"credentials.json: bittensor_sn8.{named}" in str(caught.value)
    assert KEY not in str(caught.value)
    assert caught.value.__context__ is None
