"""Drill B19 over HTTP: channels that throttle, hang and raise, beside one that works.

The real monitor's parts, the real library, real sockets; the engine is only files here, which is
the point: nothing of this can reach it.
"""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson
import pytest

from core.clock import SteadyClock, SystemClock
from core.home import Home
from core.journal import Journal
from core.settings.engine import NotificationsConfig
from monitor.notifier.delivery import load_library
from monitor.notifier.notifier import Notifier

SECRET = "S3cretPathOfTheChannel"
LIMIT_S = 20


@dataclass
class Server:
    """Takes messages at /SECRET/well, throttles /429, and never answers at /hangs."""

    port: int = 0
    got: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def text(self) -> str:
        return "\n".join(str(one["message"]) for one in self.got)


@contextmanager
def serving() -> Iterator[Server]:
    server = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            server.asked.append(self.path)
            if self.path.endswith("hangs"):
                server.over.wait(LIMIT_S)
                return
            code = 429 if self.path.endswith("429") else 200
            if code == 200:
                server.got.append(orjson.loads(body))
            self.send_response(code)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        server.port = http.server_address[1]
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.over.set()
            http.shutdown()
            thread.join()


def raises(*_: object, **__: object) -> bool:
    raise RuntimeError(f"the plugin broke over {SECRET}")


@pytest.fixture(scope="module", autouse=True)
def library() -> None:
    """The library, with a plugin that raises."""
    load_library().decorators.notify(on="raises")(raises)


def event(journal: Journal, text: str) -> None:
    now_ms = SystemClock().now_ms()
    row = {"at_ms": now_ms, "code": text, "severity": "error", "text": text}
    journal.append_lines(orjson.dumps(row) + b"\n", at_ms=now_ms)


@asynccontextmanager
async def telling(home: Home, server: Server, *names: str) -> AsyncIterator[Notifier]:
    address = f"json://127.0.0.1:{server.port}/{SECRET}"
    urls = {name: f"{address}/{name}" for name in names} | {"raises": f"raises://{SECRET}"}
    channels = [{"name": name, "url": urls[name]} for name in names]
    common = {"batch_s": 0, "timeout_s": 1, "max_per_minute": 60}
    config = NotificationsConfig.model_validate({"channels": channels, **common})
    notifier = Notifier(home, SteadyClock(), lambda: config)
    task = asyncio.create_task(notifier.run())
    await until((home.state / "notified.json").exists)
    try:
        yield notifier
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(is_so: Any) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not is_so():
        assert time.monotonic() < deadline, "it never came to be"
        await asyncio.sleep(0.02)


async def test_b19_channels_that_throttle_hang_or_raise_stop_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    home = Home(tmp_path)
    home.make_folders()
    journal = Journal(home.state, "events-")
    with serving() as server:
        async with telling(home, server, "hangs", "429", "raises", "well") as notifier:
            event(journal, "first error")
            await until(lambda: "first error" in server.text)
            await until(lambda: len(notifier.problems) == 3)
            event(journal, "second error")
            await until(lambda: "second error" in server.text)
            problems = {problem.key: problem.text for problem in notifier.problems}
            status = notifier.status()
    told = f"{problems} {status} {caplog.text} {(home.state / 'notified.json').read_text()}"

    assert server.text.count("first error") == 1
    assert set(problems) == {
        f"notifications.channels.{name}" for name in ("hangs", "429", "raises")
    }
    assert "429" in problems["notifications.channels.429"]
    assert "no answer within 1 s" in problems["notifications.channels.hangs"]
    assert status["well"]["last_ok_at_ms"] is not None
    assert SECRET not in told
