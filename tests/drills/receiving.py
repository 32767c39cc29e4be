"""The receiver's side of the stage: alerts through the real door into the real journal."""

import json
from functools import partial
from typing import Any

import httpx

from core.clock import SystemClock
from core.home import Home
from core.nudge import send_nudge
from core.settings.engine import WebhookConfig
from signal_processors.base import SignalWriter
from signal_processors.tradingview_door import Door
from signal_processors.tradingview_fold import TradingViewFold
from signal_processors.tradingview_intake import Intake

BTC, ETH = "BTCUSDT", "ETHUSDT"
TOKEN = "drill-token"


class ShiftedClock(SystemClock):
    """The receiver's clock: alerts seconds apart without waiting for them."""

    def __init__(self) -> None:
        self.shift_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.shift_ms


class Receiving:
    """A receiver that can be closed and opened again."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.clock = ShiftedClock()
        self._numbers = iter(range(1_000_000))
        self._writer: SignalWriter | None = None
        self.open_receiver()

    def open_receiver(self) -> None:
        """Take the journal's lock and open the door."""
        fold = TradingViewFold()
        self._writer = SignalWriter(
            self.home,
            "tradingview",
            clock=self.clock,
            fold=fold,
            on_stored=partial(send_nudge, self.home),
        )
        self._writer.open()
        intake = Intake(writer=self._writer, fold=fold, mapping=dict, clock=self.clock)
        config = WebhookConfig.model_validate({"token": TOKEN})
        self.door = Door(intake=intake, config=lambda: config)

    async def close_receiver(self) -> None:
        """Write the checkpoint and give the journal back."""
        if self._writer is not None:
            await self._writer.close()
            self._writer = None

    async def post(self, body: object) -> tuple[int, dict[str, Any]]:
        """Send an alert to the door; gives status and answer."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        transport = httpx.ASGITransport(app=self.door)
        async with httpx.AsyncClient(transport=transport, base_url="http://door") as client:
            answer = await client.post(f"/webhook/{TOKEN}", content=content)
        return answer.status_code, answer.json()

    async def alert(
        self, direction: str, size: str = "", *, symbol: str = BTC, **fields: object
    ) -> str:
        """Send an alert that is no copy of another; gives its id."""
        body = {"symbol": symbol, "direction": direction, "note": next(self._numbers), **fields}
        status, answer = await self.post({**body, "size": size} if size else body)
        assert status == 200, answer
        return str(answer["id"])
