# ruff: noqa: INP001 - a script beside its kind, not a package
"""A whole network of SN8 from bytes to weights: our way beside json.loads, in one run.

    python3 bench/sn8.py [--rounds 5]

Ours reads a payload as following does (packed, unpacked, understood, ranked); json.loads only
parses the same bytes. Both take turns, and only ratios within one run mean anything. Memory is that
of a process of its own, above what it held before it unpacked the payload. Takes the recorded
payload of 200 miners where it is, and else makes one of that size. Needs Linux, but no network.
"""

import argparse
import asyncio
import gzip
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from paper_exchange.sn8.ss58 import hotkey
from signal_processors.bittensor_config import ProcessorConfig
from signal_processors.bittensor_inflate import digest_of, inflate
from signal_processors.bittensor_model import Ranking, Snapshot
from signal_processors.bittensor_payload import Judge, read_positions
from signal_processors.bittensor_ranking import RankingInputs, rank

RECORDED: Final = (
    Path(__file__).resolve().parents[2] / "shared/data/sn8/SYNTHETIC_full_200miners_tier100.json.gz"
)
PAIRS: Final = frozenset(f"{coin}USD" for coin in ("BTC", "ETH", "SOL", "XRP", "DOGE", "ADA"))
JUDGE: Final = Judge(pairs=PAIRS, now_ms=4_000_000_000_000)
MOST_BYTES: Final = 256 * 1024 * 1024
MIB: Final = 1024 * 1024
HOUR_MS: Final = 3_600_000
START_MS: Final = 1_750_000_000_000
MINERS: Final = 200
POSITIONS: Final = 60  # of a miner
ORDERS: Final = 6.5  # of a position
TICK_S: Final = 0.001
WAYS: Final = ("ours", "json.loads")
TARGETS: Final = "decode + rank 0.30 x json.loads, memory 6.0 x the payload, loop 100 ms"


def made() -> bytes:
    """Make a payload of the recorded one's size and shape, packed."""
    chance = random.Random(8)  # noqa: S311 - no secret
    document = {}
    for number in range(MINERS):
        key = hotkey(8, number)
        rows = [_position(chance, key, f"{number}-{n}", n) for n in range(POSITIONS)]
        document[key] = {
            "positions": rows,
            "thirty_day_returns": 1.01,
            "all_time_returns": 1.02,
            "n_positions": POSITIONS,
            "percentage_profitable": 0.6,
            "tier": 100,
        }
    return gzip.compress(json.dumps(document).encode(), 6, mtime=0)


def _position(chance: random.Random, key: str, uuid: str, number: int) -> dict[str, Any]:
    """Make a position; a miner's first two are open, the older ones closed."""
    open_ms = START_MS - number * 40 * HOUR_MS
    pair = sorted(PAIRS)[number % len(PAIRS)]
    is_open, net = number < 2, round(chance.uniform(0.01, 0.5), 5)  # noqa: PLR2004
    return {
        "average_entry_price": chance.uniform(1, 1e5),
        "close_ms": 0 if is_open else open_ms + 20 * HOUR_MS,
        "cumulative_entry_value": chance.uniform(1, 1e5),
        "current_return": 1.0,
        "is_closed_position": not is_open,
        "miner_hotkey": key,
        "net_leverage": net if is_open else 0.0,
        "open_ms": open_ms,
        "position_type": "LONG" if is_open else "FLAT",
        "position_uuid": uuid,
        "realized_pnl": chance.uniform(-100, 100),
        "return_at_close": chance.gauss(1.002, 0.01),
        "trade_pair": [pair, f"{pair[:-3]}/USD", 0.003, 0.01, 0.5],
        "orders": [_order(chance, f"{uuid}-{n}", open_ms + n) for n in range(_orders(chance))],
    }


def _orders(chance: random.Random) -> int:
    return max(2, round(chance.gauss(ORDERS, 2)))


def _order(chance: random.Random, uuid: str, at_ms: int) -> dict[str, Any]:
    price = chance.uniform(1, 1e5)
    return {
        "ask": price * 1.0001,
        "bid": price * 0.9999,
        "leverage": round(chance.uniform(-0.5, 0.5), 5),
        "order_type": "LONG",
        "order_uuid": f"{uuid}-{chance.getrandbits(96):024x}",
        "price": price,
        "price_sources": [],
        "processed_ms": at_ms,
        "slippage": chance.uniform(0, 1e-4),
        "src": 0,
        "trade_pair": None,
    }


def understood(body: bytes) -> Snapshot:
    """Read the payload."""
    return read_positions(body, JUDGE)


def ranked(snapshot: Snapshot) -> Ranking:
    """Rank its miners by the default ranking."""
    inputs = RankingInputs(
        miners=snapshot.miners,
        statistics=None,
        eliminated={},
        registry=None,
        is_registry_stale=False,
        crypto_pairs=PAIRS,
        previous=None,
        now_ms=snapshot.watermark_ms + HOUR_MS,
    )
    return rank(inputs, ProcessorConfig())


def unpacked(packed: bytes) -> bytes:
    """Unpack within the default bound."""
    return inflate(packed, "gzip", max_bytes=MOST_BYTES)


def timed(packed: bytes, body: bytes, rounds: int) -> dict[str, float]:
    """Give the median seconds of every step, measured in turns."""
    snapshot = understood(body)
    steps: dict[str, Callable[[], object]] = {
        "json.loads": lambda: json.loads(body),
        "decode": lambda: understood(body),
        "decode + rank": lambda: ranked(understood(body)),
        "rank alone": lambda: ranked(snapshot),
        "unpack": lambda: unpacked(packed),
        "hash and skip": lambda: digest_of(packed, "gzip"),
    }
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            began = time.perf_counter()
            step()
            taken[name].append(time.perf_counter() - began)
    return {name: statistics.median(values) for name, values in taken.items()}


async def blocked_s(packed: bytes, work: Callable[[bytes], object]) -> float:
    """Give the longest time that the loop was not run while threads work as following's do."""
    worst, is_done = 0.0, False

    async def watch() -> None:
        nonlocal worst
        while not is_done:
            began = time.perf_counter()
            await asyncio.sleep(TICK_S)
            worst = max(worst, time.perf_counter() - began - TICK_S)

    watching = asyncio.create_task(watch())
    await asyncio.sleep(10 * TICK_S)
    body = await asyncio.to_thread(unpacked, packed)
    found = await asyncio.to_thread(work, body)
    if isinstance(found, Snapshot):
        await asyncio.to_thread(ranked, found)
    is_done = True
    await watching
    return worst


def child(way: str, path: Path, is_traced: bool) -> None:
    """Read the payload once and print the bytes that it took at most."""
    packed = path.read_bytes()
    if is_traced:
        tracemalloc.start()
    before = _resident_bytes()
    body = unpacked(packed)
    kept: object = ranked(understood(body)) if way == "ours" else json.loads(body)
    most = tracemalloc.get_traced_memory()[1] if is_traced else _resident_bytes() - before
    sys.stdout.write(f"{most if kept else 0}\n")


def _resident_bytes() -> int:
    """Give the most that was ever resident, of this program alone: getrusage knows no better."""
    words = Path("/proc/self/status").read_text(encoding="ascii").partition("VmHWM:")[2].split()
    return int(words[0]) * 1024


def memory(packed: bytes) -> dict[str, tuple[int, int]]:
    """Give the most bytes of each way: traced, resident."""
    with tempfile.NamedTemporaryFile(suffix=".gz") as file:
        file.write(packed)
        file.flush()
        return {
            way: (_child_bytes(way, file.name, "traced"), _child_bytes(way, file.name, "resident"))
            for way in WAYS
        }


def _child_bytes(way: str, path: str, kind: str) -> int:
    words = [sys.executable, __file__, "--child", way, kind, path]
    return int(subprocess.run(words, check=True, capture_output=True).stdout)  # noqa: S603 - ours


def report(packed: bytes, origin: str, rounds: int) -> None:
    """Measure everything and print it."""
    body = unpacked(packed)
    taken = timed(packed, body, rounds)
    blocks = {
        "ours": [asyncio.run(blocked_s(packed, understood)) for _ in range(rounds)],
        "json.loads": [asyncio.run(blocked_s(packed, json.loads)) for _ in range(rounds)],
    }
    _print(taken, blocks, memory(packed), f"{origin}, {len(body) / MIB:.1f} MiB", len(body))


def _print(
    taken: Mapping[str, float],
    blocks: Mapping[str, list[float]],
    most: Mapping[str, tuple[int, int]],
    title: str,
    size: int,
) -> None:
    lines = [title, ""]
    for name, seconds in taken.items():
        ratio = seconds / taken["json.loads"]
        lines.append(f"{name:16} {seconds * 1000:8.1f} ms   {ratio:6.3f} x json.loads")
    lines.append("")
    for way, (traced, resident) in most.items():
        lines.append(
            f"{way:16} memory at most {traced / size:5.2f} x the payload traced,"
            f" {resident / size:5.2f} x resident"
        )
    lines.append("")
    for way, values in blocks.items():
        worst = 1000 * max(values)
        lines.append(f"{way:16} loop blocked {1000 * statistics.median(values):7.1f} ms median")
        lines[-1] += f", {worst:7.1f} ms worst"
    lines += ["", f"meant to be at most: {TARGETS}"]
    sys.stdout.write("\n".join(lines) + "\n")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--made", action="store_true", help="even if the recorded one is there")
    parser.add_argument("--child", nargs=3, metavar=("WAY", "KIND", "FILE"), help="for itself")
    options = parser.parse_args()
    if options.child:
        way, kind, path = options.child
        child(way, Path(path), is_traced=kind == "traced")
    elif RECORDED.exists() and not options.made:
        report(RECORDED.read_bytes(), "recorded payload of 200 miners", options.rounds)
    else:
        report(made(), f"made payload of {MINERS} miners", options.rounds)


if __name__ == "__main__":
    main()
