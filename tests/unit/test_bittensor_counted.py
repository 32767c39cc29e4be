"""What reading a validator costs, counted: nothing is unpacked, decoded or looked at in vain."""

from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from core.clock import SystemClock
from signal_processors import bittensor_client, bittensor_payload, bittensor_reading
from signal_processors.bittensor_client import ValidatorClient
from signal_processors.bittensor_inflate import inflate
from signal_processors.bittensor_payload import Judge, read_positions
from signal_processors.bittensor_reading import Reader
from tests.sn8_servers import access, gzipped, packed, serving
from tests.unit.sn8_scene import JUDGE, PAIRS, body, closed_row, open_row, payload


class Counted:
    """Passes on what it is called with, and counts."""

    def __init__(self, real: Callable[..., Any]) -> None:
        self.count = 0
        self._real = real

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        self.count += 1
        return self._real(*arguments, **options)


class CountedDecoder:
    """A decoder that counts."""

    def __init__(self, real: Any) -> None:
        self.decode = Counted(real.decode)


async def test_an_unchanged_body_is_neither_unpacked_nor_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unpack, read = Counted(inflate), Counted(read_positions)
    monkeypatch.setattr(bittensor_client, "inflate", unpack)
    monkeypatch.setattr(bittensor_reading, "read_positions", read)
    first, second = payload([open_row(0, 0.25)]), payload([open_row(0, 0.5)])
    # the same content packed at other times is the same
    shown = iter([packed(first if n < 5 else second, mtime=1 + n) for n in range(7)])

    async def answer(_: web.BaseRequest) -> web.Response:
        return gzipped(next(shown))

    async with serving(answer) as base:
        client = ValidatorClient(access(base), clock=SystemClock())
        reader = Reader(client, lambda: Judge(pairs=PAIRS, now_ms=JUDGE.now_ms))
        counts = []
        for _ in range(7):
            await reader.positions()
            counts.append((unpack.count, read.count))
        await client.close()

    assert counts == [(1, 1)] * 5 + [(2, 2)] * 2


def test_orders_of_closed_positions_are_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    orders = CountedDecoder(bittensor_payload._orders)
    monkeypatch.setattr(bittensor_payload, "_orders", orders)
    closed = [closed_row(0, 1.01, number=n) for n in range(40)]
    document = payload(
        [open_row(0, 0.25), *closed], [open_row(1, 0.1), open_row(1, 0.1, pair="ETHUSD")]
    )

    found = read_positions(body(document), JUDGE)

    assert found.dropped == {}
    assert sum(len(miner.trades) for miner in found.miners.values()) == 40
    assert orders.decode.count == 3


def test_a_pair_is_decoded_once_a_payload(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = CountedDecoder(bittensor_payload._pair)
    monkeypatch.setattr(bittensor_payload, "_pair", pairs)
    closed = [closed_row(0, 1.01, number=n) for n in range(40)]

    read_positions(body(payload([*closed, open_row(0, 0.25, pair="ETHUSD")])), JUDGE)

    assert pairs.decode.count == 2
