"""Bodies are unpacked whole and within a bound, or not at all."""

import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signal_processors.bittensor_inflate import (
    PIECE_BYTES,
    SLICE_BYTES,
    Coding,
    InflateError,
    coding_of,
    digest_of,
    inflate,
)

TEXT = b'{"a": 1}' * 40_000
MIB = 1024 * 1024


def deflated(body: bytes, window_bits: int) -> bytes:
    packer = zlib.compressobj(wbits=window_bits)
    return packer.compress(body) + packer.flush()


@pytest.mark.parametrize(
    ("body", "said", "coding"),
    [
        pytest.param(gzip.compress(TEXT), "gzip", "gzip", id="gzip"),
        pytest.param(gzip.compress(TEXT), "", "gzip", id="gzip-without-saying-so"),
        pytest.param(TEXT, "gzip", "identity", id="plain-called-gzip"),
        pytest.param(TEXT, "", "identity", id="plain"),
        pytest.param(deflated(TEXT, 15), "deflate", "deflate", id="zlib"),
        pytest.param(deflated(TEXT, -15), "Deflate ", "deflate", id="bare-deflate"),
    ],
)
def test_every_coding_gives_the_same_text(body: bytes, said: str, coding: Coding) -> None:
    assert coding_of(body, said) == coding
    assert inflate(bytearray(body), coding, max_bytes=len(TEXT)) == TEXT


@given(st.binary(max_size=4 * SLICE_BYTES), st.integers(0, 9), st.integers(0, 3))
def test_what_was_packed_comes_back(body: bytes, level: int, times: int) -> None:
    whole = body * 10**times if len(body) < 2000 else body
    unpacked = inflate(gzip.compress(whole, level), "gzip", max_bytes=len(whole))

    assert unpacked == whole


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * MIB])
def test_a_body_may_be_as_large_as_the_bound_and_no_larger(size: int) -> None:
    body = gzip.compress(b"x" * size)

    assert len(inflate(body, "gzip", max_bytes=size)) == size
    with pytest.raises(InflateError, match="too_large"):
        inflate(gzip.compress(b"x" * (size + 1)), "gzip", max_bytes=size)
    with pytest.raises(InflateError, match="too_large"):
        inflate(b"x" * (size + 1), "identity", max_bytes=size)


@pytest.mark.parametrize("size", range(PIECE_BYTES, PIECE_BYTES + 300, 7))
def test_what_is_left_in_the_unpacker_at_the_end_of_the_input_is_not_lost(size: int) -> None:
    body = deflated(bytes(size), -15)

    assert inflate(body, "deflate", max_bytes=size) == bytes(size)


def test_a_bomb_takes_no_more_memory_than_the_bound() -> None:
    bomb = gzip.compress(bytes(200 * MIB))
    assert len(bomb) < MIB
    tracemalloc.start()
    try:
        with pytest.raises(InflateError, match="too_large"):
            inflate(bomb, "gzip", max_bytes=16 * MIB)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak_bytes < 24 * MIB


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        pytest.param(b"", "truncated", id="empty"),
        pytest.param(gzip.compress(TEXT)[:200], "truncated", id="cut-short"),
        pytest.param(gzip.compress(TEXT)[:-1], "truncated", id="last-byte-missing"),
        pytest.param(gzip.compress(TEXT) + b"x", "damaged", id="something-behind"),
        pytest.param(gzip.compress(TEXT) + bytes(2 * SLICE_BYTES), "damaged", id="much-behind"),
        pytest.param(gzip.compress(TEXT) * 2, "damaged", id="two-in-one"),
        pytest.param(gzip.compress(TEXT)[:-8] + bytes(8), "damaged", id="wrong-sum"),
        pytest.param(b"\x1f\x8bnonsense" * 9, "damaged", id="nonsense"),
    ],
)
def test_half_a_body_or_a_damaged_one_is_an_error(body: bytes, fault: str) -> None:
    with pytest.raises(InflateError) as caught:
        inflate(body, "gzip", max_bytes=MIB)

    assert caught.value.fault == fault


def test_something_right_behind_a_full_slice_is_seen() -> None:
    bodies = (gzip.compress(bytes(size), 0) for size in range(SLICE_BYTES - 64, SLICE_BYTES))
    exact = next(body for body in bodies if len(body) == SLICE_BYTES)

    assert inflate(exact, "gzip", max_bytes=MIB)
    with pytest.raises(InflateError, match="damaged"):
        inflate(exact + b"x", "gzip", max_bytes=MIB)


def test_the_digest_passes_over_the_time_of_packing_and_nothing_else() -> None:
    one, other = gzip.compress(TEXT, mtime=1), gzip.compress(TEXT, mtime=2)
    changed = bytearray(one)
    changed[-1] ^= 1

    assert one != other
    assert digest_of(one, "gzip") == digest_of(other, "gzip")
    assert digest_of(changed, "gzip") != digest_of(one, "gzip")
    assert digest_of(one, "identity") != digest_of(other, "identity")
