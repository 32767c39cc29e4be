"""The receiver as it runs, in this process: real sockets, real files, a home of its own."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson

from core.clock import SystemClock
from core.home import Home
from core.journal import JournalTail
from core.settings.engine import WebhookConfig
from signal_processors.base import SignalWriter
from signal_processors.http_serving import serve
from signal_processors.tradingview_door import Door
from signal_processors.tradingview_fold import TradingViewFold
from signal_processors.tradingview_intake import Intake

TOKEN = "t0k3n-of-the-tests"
PATH = f"/webhook/{TOKEN}"
LONG: Mapping[str, Any] = {
    "symbol": "ETHUSDT",
    "direction": "long",
    "action": "buy",
    "leverage": "3",
    "size": "5.8/100",
    "price": "3328.25",
}
FLAT: Mapping[str, Any] = {"symbol": "ETHUSDT", "direction": "flat", "size": "Exit @ 3263.55"}


@dataclass
class Receiver:
    """A running receiver and a client of it."""

    home: Home
    writer: SignalWriter
    intake: Intake
    client: httpx.AsyncClient
    address: tuple[str, int]
    webhook: WebhookConfig
    mapping: dict[str, str] = field(default_factory=lambda: {"ETHUSDT": "ETHUSDT"})

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Everything in the journal."""
        return JournalTail(self.home.raw_signals / "tradingview").read_new()

    @property
    def journal_size(self) -> int:
        """Bytes in today's file."""
        folder = self.home.raw_signals / "tradingview"
        return sum(path.stat().st_size for path in folder.glob("*.jsonl"))

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Let the loop turn until something is so."""
        for _ in range(10_000):
            if is_so():
                return
            await asyncio.sleep(0)
        raise AssertionError("it never came to be")

    async def post(
        self, alert: Mapping[str, Any] | bytes, path: str = PATH, **headers: str
    ) -> httpx.Response:
        """Send an alert; header names with _ for -."""
        content = alert if isinstance(alert, bytes) else orjson.dumps(dict(alert))
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.post(path, content=content, headers=named)


async def _nothing() -> None:
    """The socket listens already: requests wait there until they are served."""


@asynccontextmanager
async def running(
    home: Home,
    *,
    mapping: dict[str, str] | None = None,
    answer_within_s: float = 2.5,
    body_within_s: float = 5,
    headers_within_s: float = 10,
    **webhook: Any,
) -> AsyncIterator[Receiver]:
    """Run a receiver on a free port; webhook settings as keywords."""
    config = WebhookConfig.model_validate({"token": TOKEN} | webhook)
    fold = TradingViewFold()
    writer = SignalWriter(home, "tradingview", clock=SystemClock(), fold=fold)
    writer.open()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    stopping = asyncio.Event()
    mapped = {"ETHUSDT": "ETHUSDT"} if mapping is None else mapping
    intake = Intake(
        writer=writer,
        fold=fold,
        mapping=lambda: mapped,
        clock=SystemClock(),
        answer_within_s=answer_within_s,
    )
    door = Door(intake=intake, config=lambda: receiver.webhook, body_within_s=body_within_s)
    address = listener.getsockname()[:2]
    url = f"http://{address[0]}:{address[1]}"
    async with httpx.AsyncClient(base_url=url, timeout=20, trust_env=False) as client:
        receiver = Receiver(home, writer, intake, client, address, webhook=config, mapping=mapped)
        serving = asyncio.create_task(
            serve(
                door,
                listener,
                stopping=stopping,
                started=_nothing,
                headers_within_s=headers_within_s,
            )
        )
        try:
            yield receiver
        finally:
            await client.aclose()
            stopping.set()
            await serving
            await writer.close()
