"""What strangers' bytes are fed to, and what must hold of whatever comes out.

Each target takes any bytes. It may end in the error that its reader declares; anything else, also
an odd value, is a finding. Knows no fuzzer.
"""

import gzip
import zlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from math import isfinite
from typing import Final

from signal_processors.bittensor_config import ProcessorConfig
from signal_processors.bittensor_exposure import Measure, wanted_depths
from signal_processors.bittensor_frames import (
    MOST_MS,
    Garbage,
    Ignored,
    Pong,
    Refusal,
    Subscribed,
    Update,
    read_frame,
)
from signal_processors.bittensor_inflate import (
    Coding,
    InflateError,
    coding_of,
    digest_of,
    inflate,
)
from signal_processors.bittensor_model import Miner, MinerPosition, Snapshot, Statistics, parent_of
from signal_processors.bittensor_payload import (
    FUTURE_MS,
    HIGHEST_LEVERAGE,
    HIGHEST_TRADED,
    LONGEST_NAME,
    Judge,
    PayloadError,
    read_positions,
    read_push,
)
from signal_processors.bittensor_ranking import RankingInputs, rank
from signal_processors.bittensor_ss58 import is_ss58
from signal_processors.bittensor_statistics import read_eliminations, read_statistics

Target = Callable[[bytes], None]

NOW_MS: Final = 1_700_000_000_000
TARGETS: Final = {"BTCUSD": "BTCUSDT", "BTCUSDC": "BTCUSDT", "ETHUSD": "ETHUSDT"}
JUDGE: Final = Judge(pairs=frozenset(TARGETS), now_ms=NOW_MS)
MOST_BYTES: Final = 64 * 1024  # unpacked
LONGEST_HOTKEY: Final = 64
CONFIGS: Final = tuple(
    ProcessorConfig.model_validate({"ranking": name, **loose})
    for name in ("risk_adjusted", "classic")
    for loose in (
        {},
        {
            "filtering": {"min_trades": 1, "min_profitable_rate": 0, "min_total_return": -1},
            "asset_filtering": {"max_trade_age_days": 3650},
            "risk_adjusted": {"min_daily_returns": 5, "max_drawdown": 1},
        },
    )
)


def fuzz_positions(data: bytes) -> None:
    """Read a whole payload, rank its miners and add up what they hold."""
    try:
        snapshot = read_positions(data, JUDGE)
    except PayloadError:
        return
    assert not snapshot.miners.keys() & snapshot.dropped.keys()
    assert 0 <= snapshot.watermark_ms <= NOW_MS + FUTURE_MS
    for hotkey, miner in snapshot.miners.items():
        assert miner.hotkey == hotkey
        _check_hotkey(hotkey)
        for position in miner.positions:
            assert position.hotkey == hotkey
            assert not position.is_closed
            assert position.updated_at_ms <= snapshot.watermark_ms
            _check_position(position)
        _check_trades(snapshot, hotkey)
    _check_owners(snapshot)
    _check_ranking(snapshot, None)


def fuzz_push(data: bytes) -> None:
    """Read one pushed position."""
    with suppress(PayloadError):
        position = read_push(data, JUDGE)
        _check_hotkey(position.hotkey)
        _check_position(position)
        assert not (position.is_closed and position.net_leverage)


def fuzz_statistics(data: bytes) -> None:
    """Read statistics, and rank a miner by them."""
    try:
        statistics = read_statistics(data)
    except PayloadError:
        return
    for hotkey, row in statistics.miners.items():
        assert row.hotkey == hotkey
        assert row.bucket == row.bucket.lower()
        assert row.drawdown is None or 0 <= row.drawdown <= 1
        assert row.penalty is None or 0 <= row.penalty <= 1
        days = [day for day, _ in row.daily_returns]
        assert days == sorted(set(days))
        assert all(isfinite(value) for _, value in row.daily_returns)
    _check_ranking(_sound(statistics.miners), statistics)


def fuzz_eliminations(data: bytes) -> None:
    """Read who is eliminated; each has a reason."""
    with suppress(PayloadError):
        assert all(read_eliminations(data).values())


def fuzz_frames(data: bytes) -> None:
    """Read a websocket's frame, as bytes and as text; what it pushes is read too."""
    frames = list(read_frame(data))
    assert len(frames) <= len(data) + 1
    for frame in frames:
        assert isinstance(frame, Update | Subscribed | Pong | Refusal | Ignored | Garbage)
        if isinstance(frame, Pong):
            times = (frame.client_ms, frame.server_ms)
            assert all(at is None or abs(at) < MOST_MS for at in times)
        elif isinstance(frame, Update) and frame.position is not None:
            assert frame.position.startswith(b"{")
            fuzz_push(frame.position)
    with suppress(UnicodeDecodeError):
        assert list(read_frame(data.decode())) == frames


def fuzz_inflate(data: bytes) -> None:
    """Unpack within a bound; what comes out is what others unpack too."""
    said = "deflate" if data[:1] < b"\x80" else "gzip"
    coding = coding_of(data, said)
    assert len(digest_of(data, coding)) == 64
    with suppress(InflateError):
        out = inflate(data, coding, max_bytes=MOST_BYTES)
        assert len(out) <= MOST_BYTES
        assert out == _unpacked(data, coding)
    both: tuple[tuple[bytes, Coding], ...] = (
        (gzip.compress(data, 1, mtime=0), "gzip"),
        (zlib.compress(data, 1), "deflate"),
    )
    for packed, other in both:
        assert inflate(packed, other, max_bytes=len(data)) == data
        _check_refused(packed[:-1], other, len(data))
        _check_refused(packed + b"\0", other, len(data))
        if data:
            _check_refused(packed, other, len(data) - 1)


def trap(data: bytes) -> None:
    """Fail where an object begins: shows that a finding is told."""
    assert not data.startswith(b"{")


READERS: Final[Mapping[str, Target]] = {
    "positions": fuzz_positions,
    "push": fuzz_push,
    "statistics": fuzz_statistics,
    "eliminations": fuzz_eliminations,
    "frames": fuzz_frames,
    "inflate": fuzz_inflate,
}


def _check_hotkey(hotkey: str) -> None:
    assert is_ss58(parent_of(hotkey))
    assert len(hotkey) <= LONGEST_HOTKEY


def _check_position(position: MinerPosition) -> None:
    net = position.net_leverage
    highest = HIGHEST_TRADED if position.pair in TARGETS else HIGHEST_LEVERAGE
    assert net.is_finite()
    assert abs(net) <= Decimal(highest)
    assert 0 < len(position.uuid) <= LONGEST_NAME
    assert 0 < len(position.pair) <= LONGEST_NAME
    assert 0 < position.opened_at_ms <= NOW_MS + FUTURE_MS
    assert 0 < position.updated_at_ms <= NOW_MS + FUTURE_MS


def _check_trades(snapshot: Snapshot, hotkey: str) -> None:
    trades = snapshot.miners[hotkey].trades
    closed = [trade.closed_at_ms for trade in trades]
    assert closed == sorted(closed)
    assert all(0 < at_ms <= snapshot.watermark_ms for at_ms in closed)
    assert all(isfinite(trade.result) for trade in trades)


def _check_owners(snapshot: Snapshot) -> None:
    """No position is two miners', no miner has two of a pair."""
    held = [p for miner in snapshot.miners.values() for p in miner.positions]
    owners = {(p.uuid, p.hotkey) for p in held}
    assert len({uuid for uuid, _ in owners}) == len(owners)
    assert len({(p.hotkey, p.pair) for p in held}) == len(held)


def _check_ranking(snapshot: Snapshot, statistics: Statistics | None) -> None:
    """Whatever was read can be ranked, and moves nothing beyond its bounds."""
    inputs = RankingInputs(
        miners=snapshot.miners,
        statistics=statistics,
        eliminated={},
        registry=None,
        is_registry_stale=False,
        crypto_pairs=frozenset(TARGETS),
        previous=None,
        now_ms=NOW_MS,
    )
    positions = [p for miner in snapshot.miners.values() for p in miner.positions]
    for config in CONFIGS:
        ranking = rank(inputs, config)
        weights = ranking.weights.values()
        assert {row.hotkey for row in ranking.rows} == snapshot.miners.keys()
        assert all(isfinite(row.score) for row in ranking.rows)
        assert all(0 < weight <= config.following.max_weight / 2 for weight in weights)
        assert sum(weights) <= 1
        measure = Measure(limit=config.trading_limits.leverage_limit, targets=TARGETS)
        for depth in wanted_depths(positions, ranking, measure).values():
            assert abs(depth.depth) <= sum(weights)
            assert 0 <= depth.agreement <= 1


def _sound(hotkeys: Iterable[str]) -> Snapshot:
    """Give a snapshot in which these miners, where they can be, hold one position each."""
    sound = read_positions(b"{}", JUDGE)
    miners = {}
    for number, hotkey in enumerate(hotkeys):
        if is_ss58(parent_of(hotkey)) and len(hotkey) <= LONGEST_HOTKEY:
            miners[hotkey] = _holder(hotkey, number)
    return replace(sound, miners=miners)


def _holder(hotkey: str, number: int) -> Miner:
    position = MinerPosition(
        hotkey=hotkey,
        uuid=str(number),
        pair="BTCUSD",
        net_leverage=Decimal("0.5"),
        opened_at_ms=NOW_MS - 1,
        updated_at_ms=NOW_MS - 1,
    )
    return Miner(hotkey=hotkey, positions=(position,), trades=())


def _unpacked(data: bytes, coding: Coding) -> bytes:
    """Unpack as the standard library does."""
    if coding == "identity":
        return data
    if coding == "gzip":
        return gzip.decompress(data)
    try:
        return zlib.decompress(data)
    except zlib.error:
        return zlib.decompress(data, -zlib.MAX_WBITS)


def _check_refused(packed: bytes, coding: Coding, most: int) -> None:
    try:
        inflate(packed, coding, max_bytes=most)
    except InflateError:
        return
    raise AssertionError(f"unpacked although it must not be: {coding}, at most {most} bytes")
