"""Small SN8 payloads to build tests from: made by hand, synthetic in content, genuine in shape."""

import json
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from hashlib import blake2b, sha256
from typing import Any

from core.clock import SystemClock
from signal_processors.bittensor_model import (
    ClosedTrade,
    Miner,
    MinerPosition,
    Neuron,
    RankedMiner,
    Ranking,
    Registry,
    Snapshot,
)
from signal_processors.bittensor_payload import Judge
from signal_processors.bittensor_ss58 import ALPHABET

NOW_MS = 1_700_000_000_000
HOUR_MS = 3_600_000
PAIRS = frozenset({"BTCUSD", "ETHUSD", "BTCUSDC"})
JUDGE = Judge(pairs=PAIRS, now_ms=NOW_MS)


class StillClock(SystemClock):
    """A clock that stands still until the test moves it; threads may read it."""

    def __init__(self) -> None:
        self.now = NOW_MS

    def now_ms(self) -> int:
        return self.now

    def monotonic_ms(self) -> int:
        return self.now

    def pass_s(self, seconds: float) -> None:
        self.now += int(seconds * 1000)


def hotkey(number: int) -> str:
    """Make a valid key."""
    body = b"\x2a" + sha256(f"miner {number}".encode()).digest()
    value = int.from_bytes(body + blake2b(b"SS58PRE" + body, digest_size=64).digest()[:2])
    text = ""
    while value:
        value, rest = divmod(value, 58)
        text = ALPHABET[rest] + text
    return text


def open_row(
    miner: int, net: float, *, pair: str = "BTCUSD", uuid: str = "", at_ms: int = NOW_MS - HOUR_MS
) -> dict[str, Any]:
    """Give an open position as REST shows it."""
    return {
        "miner_hotkey": hotkey(miner),
        "position_uuid": uuid or f"open-{miner}-{pair}",
        "open_ms": at_ms - 60_000,
        "close_ms": 0,
        "trade_pair": [pair, f"{pair[:3]}/USD", 0.001, 0.01, 0.5],
        "position_type": "LONG" if net > 0 else "SHORT",
        "is_closed_position": False,
        "net_leverage": net,
        "current_return": 1.0,
        "return_at_close": 1.0,
        "orders": [
            {"order_type": "LONG", "leverage": net, "price": 1.5, "processed_ms": at_ms, "src": 0}
        ],
    }


def closed_row(
    miner: int, result: float, *, pair: str = "BTCUSD", number: int = 0
) -> dict[str, Any]:
    """Give a closed position, one an hour, the newest first."""
    row = open_row(miner, 0.1, pair=pair, uuid=f"closed-{miner}-{pair}-{number}")
    closed_ms = NOW_MS - (number + 2) * HOUR_MS
    changed = {
        "close_ms": closed_ms,
        "open_ms": closed_ms - 60_000,
        "is_closed_position": True,
        "net_leverage": 0.0,
        "position_type": "FLAT",
        "return_at_close": result,
    }
    return {**row, **changed}


def miner_row(positions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Give one miner's object."""
    return {
        "positions": list(positions),
        "thirty_day_returns": 1.01,
        "all_time_returns": 1.02,
        "n_positions": len(positions),
        "percentage_profitable": 0.6,
        "tier": 100,
    }


def payload(*miners: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Give a payload of miners 0, 1, 2 ... with these positions."""
    return {hotkey(number): miner_row(rows) for number, rows in enumerate(miners)}


def body(document: object) -> bytes:
    """Render it as the validator does."""
    return json.dumps(document).encode()


def position(
    miner: int,
    net: str,
    *,
    pair: str = "BTCUSD",
    uuid: str = "",
    at_ms: int = NOW_MS - HOUR_MS,
    is_closed: bool = False,
) -> MinerPosition:
    """Make a position as it is understood."""
    return MinerPosition(
        hotkey=hotkey(miner),
        uuid=uuid or f"open-{miner}-{pair}",
        pair=pair,
        net_leverage=Decimal(net),
        opened_at_ms=at_ms - 60_000,
        updated_at_ms=at_ms,
        is_closed=is_closed,
    )


def trade(miner: int, number: int, result: float = 1.01) -> ClosedTrade:
    """Make a closed position as it is understood."""
    closed_ms = NOW_MS - (number + 2) * HOUR_MS
    return ClosedTrade(
        uuid=f"closed-{miner}-{number}",
        pair="BTCUSD",
        opened_at_ms=closed_ms - 60_000,
        closed_at_ms=closed_ms,
        result=result,
    )


def snapshot(
    *positions: MinerPosition,
    miners: Sequence[int] = (),
    trades: Mapping[int, Sequence[ClosedTrade]] | None = None,
    dropped: Sequence[int] = (),
    watermark_ms: int = NOW_MS - 60_000,
) -> Snapshot:
    """Make a snapshot of these positions; `miners` are there without any."""
    keys = {hotkey(n) for n in miners} | {p.hotkey for p in positions}
    histories = {hotkey(n): tuple(rows) for n, rows in (trades or {}).items()}
    keys |= histories.keys()
    return Snapshot(
        miners={
            key: Miner(
                hotkey=key,
                positions=tuple(p for p in positions if p.hotkey == key),
                trades=histories.get(key, ()),
            )
            for key in sorted(keys)
        },
        dropped={hotkey(n): "unreadable: in a test" for n in dropped},
        watermark_ms=watermark_ms,
    )


def ranking(weights: Mapping[int, str], *, flags: Sequence[str] = ()) -> Ranking:
    """Make a ranking with these weights."""
    rows = tuple(
        RankedMiner(hotkey=hotkey(n), weight=Decimal(w), score=1.0, rank=place)
        for place, (n, w) in enumerate(weights.items(), start=1)
    )
    return Ranking(name="risk_adjusted", made_at_ms=NOW_MS, rows=rows, flags=tuple(flags))


def registry(numbers: Iterable[int], *, at_ms: int = NOW_MS, owner: str = "") -> Registry:
    """Make a chain that knows these miners, each its own owner's or all of one."""
    neurons = {
        hotkey(n): Neuron(
            hotkey=hotkey(n), uid=n, coldkey=owner or f"cold {n}", incentive=0.1, registered_at_ms=0
        )
        for n in numbers
    }
    return Registry(block=1, fetched_at_ms=at_ms, neurons=neurons)
