"""A source of signals that sends too much: C4."""

import gzip
import tracemalloc

import pytest
from aiohttp import web

from core.clock import SystemClock
from signal_processors.bittensor_client import FetchError, Limits, ValidatorClient
from signal_processors.bittensor_config import Fetching
from tests.sn8_servers import access, gzipped, packed, serving

MIB = 1024 * 1024
# what the kernel and the library may hold on the way between two sockets
ON_THE_WAY_BYTES = 24 * MIB


async def test_c4_a_gzip_bomb_from_a_source_is_cut_off() -> None:
    """A gz bomb from a signal source: memory full, everything on the host dies.

    Must happen: unpacking stops at the cap, the read is an error that names the setting, and the
    same source is read again as soon as it is sane.
    """
    bomb = gzip.compress(b'{"a":"' + bytes(300 * MIB) + b'"}', 1)
    assert len(bomb) < 2 * MIB
    bodies = iter([gzipped(bomb), gzipped(packed({"a": 1}))])

    async def answer(_: web.BaseRequest) -> web.Response:
        return next(bodies)

    async with serving(answer) as base:
        limits = Limits(max_decoded_bytes=32 * MIB)
        client = ValidatorClient(access(base), clock=SystemClock(), limits=limits)
        tracemalloc.start()
        try:
            with pytest.raises(FetchError) as caught:
                await client.fetch("positions")
            _, peak_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        sane = await client.fetch("positions")
        await client.close()

    assert caught.value.reason == "too_large"
    assert "bittensor_processor_config.json: fetching.max_decoded_mb" in str(caught.value)
    assert peak_bytes < 48 * MIB
    assert sane.body == b'{"a": 1}'


@pytest.mark.parametrize("is_announced", [True, False], ids=["announced", "unannounced"])
async def test_c4_a_body_of_100_mb_is_cut_off(is_announced: bool) -> None:
    """A 100 MB body from a signal source: memory full, or the loop busy with it for minutes.

    Must happen: one that is announced is not read at all, another is left at the cap; the read is
    an error that names the setting.
    """
    sent_bytes = 0

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        nonlocal sent_bytes
        response = web.StreamResponse()
        if is_announced:
            response.content_length = 100 * MIB
        else:
            response.enable_chunked_encoding()
        await response.prepare(request)
        for _ in range(100):
            await response.write(bytes(MIB))
            sent_bytes += MIB
        return response

    async with serving(answer) as base:
        client = ValidatorClient(access(base), clock=SystemClock())
        with pytest.raises(FetchError) as caught:
            await client.fetch("positions")
        await client.close()

    cap_bytes = 0 if is_announced else 64 * MIB
    assert caught.value.reason == "too_large"
    assert "bittensor_processor_config.json: fetching.max_compressed_mb" in str(caught.value)
    assert cap_bytes <= sent_bytes + ON_THE_WAY_BYTES
    assert sent_bytes <= cap_bytes + ON_THE_WAY_BYTES


def test_c4_the_caps_are_those_of_the_settings() -> None:
    settings, limits = Fetching(), Limits()

    assert limits.max_compressed_bytes == settings.max_compressed_mb * MIB
    assert limits.max_decoded_bytes == settings.max_decoded_mb * MIB
