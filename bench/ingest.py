# ruff: noqa: INP001 - a script beside its kind, not a package
"""Durable alerts a second: our receiver beside the shapes that others use, in one run.

    python3 bench/ingest.py [--seconds 2] [--clients 16]

All shapes are the same raw ASGI server over HTTP on 127.0.0.1, measured in turns, the clients in
the same process; only ratios within one run mean anything. Needs no network.
"""

import argparse
import asyncio
import os
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from core.clock import SystemClock
from core.home import Home
from core.journal import GroupCommit, Journal
from core.model import Signal
from core.settings.engine import WebhookConfig
from signal_processors.base import Decision, SignalWriter
from signal_processors.http_serving import serve
from signal_processors.tradingview_door import Door
from signal_processors.tradingview_fold import TradingViewFold
from signal_processors.tradingview_intake import Intake

ROUNDS: Final = 3
TOKEN: Final = "bench"  # noqa: S105 - guards nothing
BODY: Final = b'{"symbol":"ETHUSDT","direction":"long","size":"5.8/100","signal_seq":%d}'
ROW: Final = {"id": "x", "source_symbol": "ETHUSDT", "depth": "0.058", "meta": {"raw": {"a": "b"}}}

PAIRS: Final = (
    ("our receiver", "ours, nothing stored"),
    ("group commit alone", "nothing stored"),
    ("group commit alone", "fdatasync a request"),
    ("group commit alone", "file a signal"),
)

Store = Callable[[], Awaitable[None]]
App = Callable[..., Awaitable[None]]


def plain(store: Store) -> App:
    """A server that reads the body, stores a line its own way and says ok."""

    async def app(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401, ARG001 - ASGI
        while (await receive()).get("more_body"):
            pass
        await store()
        headers = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})

    return app


async def nothing() -> None:
    """Store nothing."""


def fsync_each(folder: Path) -> Store:
    """One write and one fdatasync a request, on the loop."""
    journal = Journal(folder)

    async def store() -> None:
        journal.append_sync([ROW], at_ms=time.time_ns() // 1_000_000)

    return store


def file_each(folder: Path) -> Store:
    """One file a signal: temporary, fsync, rename, fsync of the folder."""
    folder.mkdir()
    handle = os.open(folder, os.O_RDONLY)

    async def store() -> None:
        temporary = folder / "signal.tmp"
        with temporary.open("wb") as file:
            file.write(repr(ROW).encode())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(folder / "ETHUSDT.json")
        os.fsync(handle)

    return store


def group_commit(folder: Path) -> Store:
    """What arrives together shares one fdatasync, in a thread."""
    group = GroupCommit(Journal(folder), SystemClock())

    async def store() -> None:
        await group.commit([ROW])

    return store


class Nowhere(SignalWriter):
    """Judges alerts as ever and stores none."""

    async def store(self, candidate: Signal) -> Decision:
        """Decide, remember, forget the disk."""
        decision = self._fold.decide(self._state(candidate.source_symbol), candidate)
        self._fold.note(decision)
        self._fold.keep()
        return decision


def receiver(writer_kind: type[SignalWriter], root: Path) -> tuple[App, SignalWriter]:
    """Build the receiver as the service does."""
    fold, clock = TradingViewFold(), SystemClock()
    writer = writer_kind(Home(root), "tradingview", clock=clock, fold=fold)
    writer.open()
    mapping = {"ETHUSDT": "ETHUSDT"}
    intake = Intake(writer=writer, fold=fold, mapping=lambda: mapping, clock=clock)
    config = WebhookConfig.model_validate({"token": TOKEN})
    return Door(intake=intake, config=lambda: config), writer


async def client(address: tuple[str, int], path: str, until: float, latencies: list[float]) -> None:
    """Post alerts over one connection, one after the other."""
    reader, writer = await asyncio.open_connection(*address)
    n = id(reader) % 1_000_000 * 1_000_000
    while (start := time.perf_counter()) < until:
        n += 1
        body = BODY % n
        writer.write(
            f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode()
            + body
        )
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(head.decode())
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        latencies.append(time.perf_counter() - start)
    writer.close()


async def measure(app: App, path: str, clients: int, seconds: float) -> tuple[float, float]:
    """Give requests a second and the 99th percentile in ms."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    stopping = asyncio.Event()
    serving = asyncio.create_task(serve(app, listener, stopping=stopping, started=nothing))
    latencies: list[float] = []
    address = listener.getsockname()[:2]
    until = time.perf_counter() + seconds
    await asyncio.gather(*(client(address, path, until, latencies) for _ in range(clients)))
    stopping.set()
    await serving
    return len(latencies) / seconds, statistics.quantiles(latencies, n=100)[98] * 1000


async def run(seconds: float, clients: int) -> None:
    """Measure every shape in turns and print what ours is beside each."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as temporary:  # a real disk, not a tmpfs
        root = Path(temporary)
        ours, writer = receiver(SignalWriter, root / "ours")
        storeless, nowhere = receiver(Nowhere, root / "nowhere")
        shapes: dict[str, tuple[App, str]] = {
            "our receiver": (ours, f"/webhook/{TOKEN}"),
            "ours, nothing stored": (storeless, f"/webhook/{TOKEN}"),
            "group commit alone": (plain(group_commit(root / "group")), "/"),
            "nothing stored": (plain(nothing), "/"),
            "fdatasync a request": (plain(fsync_each(root / "each")), "/"),
            "file a signal": (plain(file_each(root / "files")), "/"),
        }
        results: dict[str, list[tuple[float, float]]] = {name: [] for name in shapes}
        for _ in range(ROUNDS):
            for name, (app, path) in shapes.items():
                results[name].append(await measure(app, path, clients, seconds))
        flushes = writer.flush_count
        await writer.close()
        await nowhere.close()
    _print(results, clients, flushes)


def _print(results: dict[str, list[tuple[float, float]]], clients: int, flushes: int) -> None:
    rates = {name: statistics.median(rate for rate, _ in rows) for name, rows in results.items()}
    lines = [f"{clients} clients, median of {ROUNDS}", ""]
    for name, rows in results.items():
        p99 = statistics.median(p for _, p in rows)
        lines.append(f"{name:22} {rates[name]:8.0f}/s   p99 {p99:7.1f} ms")
    lines.append("")
    lines += [f"{one} / {other}: {rates[one] / rates[other]:.2f}" for one, other in PAIRS]
    lines.append(f"fdatasyncs of our receiver: {flushes}")
    sys.stdout.write("\n".join(lines) + "\n")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--clients", type=int, default=16)
    options = parser.parse_args()
    factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    with suppress(ImportError):
        import uvloop  # noqa: PLC0415 - as the service does

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(run(options.seconds, options.clients))


if __name__ == "__main__":
    main()
