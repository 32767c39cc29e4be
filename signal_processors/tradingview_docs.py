"""The receiver's `/docs`, for those who switch it on: describes the alert, receives nothing.

FastAPI is imported only here, so that the hot path neither loads nor runs it.
"""

from typing import cast

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field

from core.process.version import version
from signal_processors.tradingview_door import App


class Alert(BaseModel):
    """An alert's JSON; numbers may be numbers or text, further keys are kept."""

    model_config = ConfigDict(extra="allow")

    symbol: str = Field(description="as your chart names it; alias ticker", examples=["ETHUSDT"])
    direction: str = Field(
        description="long, short or flat; aliases market_position, sentiment", examples=["long"]
    )
    size: str = Field(default="", description="percent of equity", examples=["5.8/100", "5.8%"])
    action: str = Field(default="", description="buy or sell: tells a late exit")
    leverage: str = Field(default="", description="empty = the configured one", examples=["3"])
    price: str = Field(default="", description="for people", examples=["3328.25"])
    timenow: str = Field(default="", description="when it fired: orders late alerts")
    signal_seq: str = Field(default="", description="a number that counts up")
    event_id: str = Field(default="", description="the same firing has the same id")
    strategy: str = Field(default="", description="keeps two strategies of a symbol apart")
    prev_market_position: str = Field(default="", description="long, short or flat before it")


class Stored(BaseModel):
    """The answer once the alert is on the disk."""

    status: str
    id: str
    warnings: list[str]
    ignored: list[str]


def docs_app() -> App:
    """Make the ASGI application that serves `/docs` and `/openapi.json`."""
    app = FastAPI(title="tradingview-endpoint", version=version(), redoc_url=None)

    @app.post("/webhook/{token}")
    def webhook(token: str, alert: Alert) -> Stored:
        """Store an alert durably, then answer; 401, 413, 422 and 503 as in docs/signals.md."""
        raise NotImplementedError(token, alert)  # the door in front answers every POST

    return cast("App", app)
