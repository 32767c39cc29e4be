"""What a validator's frames mean, and that no frame can break the reading."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from signal_processors.bittensor_frames import (
    Frame,
    Garbage,
    Ignored,
    Pong,
    Refusal,
    Subscribed,
    Update,
    read_frame,
)

POSITION = '{"position_uuid": "u1", "close_ms": null, "orders": [{"price": 1.50}]}'
NAMES = st.sampled_from(
    [
        *("type", "status", "action", "code", "message", "sequence", "data", "messages"),
        *("position", "dashboard", "client_timestamp", "server_timestamp", "pong", "other"),
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


def numbered(number: object, data: str) -> str:
    return f'{{"sequence": {number}, "timestamp": 1, "data": {data}}}'


ONE = numbered(1, f'{{"position": {POSITION}}}')
NONE = numbered(3, '{"position": null}')


@pytest.mark.parametrize(
    ("raw", "frames"),
    [
        pytest.param(
            numbered(7, f'{{"position": {POSITION}, "miner_repo_version": "8"}}'),
            [Update(sequence=7, position=POSITION.encode())],
            id="position",
        ),
        pytest.param(numbered(8, '{"dashboard": {}}'), [Update(sequence=8)], id="dashboard"),
        pytest.param('{"data": {"dashboard": {}}}', [Update(sequence=None)], id="no-number"),
        pytest.param(
            f'{{"type": "batch", "count": 3, "messages": [{ONE}, 3, {NONE}]}}',
            [Update(sequence=1, position=POSITION.encode()), Garbage(), Update(sequence=3)],
            id="batch",
        ),
        pytest.param('{"type": "batch", "messages": []}', [], id="empty-batch"),
        pytest.param(
            '{"type": "subscription_status", "status": "success", "action": "subscribe"}',
            [Subscribed()],
            id="subscribed",
        ),
        pytest.param(
            '{"type": "subscription_status", "status": "error", "action": "subscribe_subaccounts",'
            ' "code": "INSUFFICIENT_TIER"}',
            [Ignored()],
            id="somebody-else-s-subscription",
        ),
        pytest.param(
            '{"type": "pong", "client_timestamp": 5, "server_timestamp": 6.5, "timestamp": 6.5}',
            [Pong(client_ms=5, server_ms=6.5)],
            id="pong",
        ),
        pytest.param(
            f'{{"type": "pong", "client_timestamp": "5", "server_timestamp": {"9" * 400}}}',
            [Pong(client_ms=None, server_ms=None)],
            id="pong-of-nonsense",
        ),
        pytest.param(
            '{"status": "success", "message": "Hi", "current_sequence": 0, "tier": 100}',
            [Ignored()],
            id="let-in",
        ),
        pytest.param('{"type": "news", "x": [1]}', [Ignored()], id="unknown-type"),
        pytest.param('{"type": "news", "data": null}', [Ignored()], id="nothing-in-it"),
        pytest.param(
            '{"status": "error", "message": "Invalid API key. Authentication failed."}',
            [Refusal(why="key", text="Invalid API key. Authentication failed.")],
            id="bad-key",
        ),
        pytest.param(
            '{"status": "error", "message": "Error validating API key: disk"}',
            [Refusal(why="other", text="Error validating API key: disk")],
            id="its-own-fault",
        ),
        pytest.param(
            '{"status": "error", "message": 5, "code": "INSUFFICIENT_TIER"}',
            [Refusal(why="tier", text="")],
            id="tier",
        ),
        pytest.param(
            '{"status": "error", "message": "Full", "code": "MAX_CONNECTIONS_EXCEEDED"}',
            [Refusal(why="crowded", text="Full")],
            id="crowded",
        ),
        pytest.param('{"type": "error"}', [Refusal(why="other", text="")], id="error"),
    ],
)
def test_each_frame_has_its_meaning(raw: str, frames: list[Frame]) -> None:
    assert list(read_frame(raw)) == frames
    assert list(read_frame(raw.encode())) == frames


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param("", id="empty"),
        pytest.param("hello", id="words"),
        pytest.param("[1]", id="list"),
        pytest.param('{"sequence": 1', id="half"),
        pytest.param(numbered('"1"', "{}"), id="number-as-text"),
        pytest.param(numbered("true", "{}"), id="number-as-bool"),
        pytest.param(numbered(1, "[]"), id="data-as-list"),
        pytest.param(numbered(1, "null"), id="no-data"),
        pytest.param(numbered(1, '{"position": "x"}'), id="position-as-text"),
        pytest.param(numbered(1, '{"position": {"a": bad}}'), id="position-damaged"),
        pytest.param("[" * 500_000, id="deep"),
        pytest.param('{"data": ' + "[" * 500_000, id="deep-within"),
        pytest.param(b"\xff\xfe\x00", id="binary"),
        pytest.param(b'{"message": "\xff"}', id="no-utf-8"),
    ],
)
def test_what_no_validator_sends_is_garbage(raw: str | bytes) -> None:
    assert list(read_frame(raw)) == [Garbage()]


@given(st.binary(max_size=60) | st.text(max_size=60))
def test_no_bytes_break_the_reading(raw: bytes | str) -> None:
    for frame in read_frame(raw):
        assert isinstance(frame, Frame)


@given(st.dictionaries(NAMES, JSON, max_size=6))
def test_no_json_breaks_the_reading_and_a_position_is_always_an_object(
    value: dict[str, object],
) -> None:
    for frame in read_frame(json.dumps(value)):
        assert isinstance(frame, Frame)
        if isinstance(frame, Update) and frame.position is not None:
            assert isinstance(msgspec.json.decode(frame.position), dict)
