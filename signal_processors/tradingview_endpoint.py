"""The process `tradingview-endpoint`: receives TradingView's alerts and stores them durably.

Started as `python3 signal_processors/tradingview_endpoint.py`; it never calls an exchange.
"""

import sys
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final

from core.clock import SystemClock
from core.errors import ConfigError
from core.nudge import send_nudge
from core.process.logs import register_secret
from core.process.service import Service, run_service
from core.settings.engine import WebhookConfig
from core.settings.files import ConfigFile
from core.settings.snapshot import ENGINE, MAPPING
from signal_processors.base import SignalWriter
from signal_processors.http_serving import serve
from signal_processors.tradingview_door import TOKENLESS, App, Door
from signal_processors.tradingview_fold import TradingViewFold
from signal_processors.tradingview_intake import Intake
from signal_processors.tradingview_processor import SOURCE

NAME: Final = SOURCE.service


class Configuration:
    """The two files that matter here; each costs one `stat` while it is unchanged."""

    def __init__(self, service: Service) -> None:
        where = (service.home.root, service.home.last_good)
        self._engine = ConfigFile(ENGINE, *where)
        self._mapping = ConfigFile(MAPPING, *where)
        self._known: WebhookConfig | None = None

    def webhook(self) -> WebhookConfig:
        """Give the door's settings in force. Raises ConfigError when there never were good ones."""
        webhook = self._engine.read().content.webhook
        if webhook is not self._known:
            self._known = webhook
            register_secret(webhook.token.get_secret_value())
        return webhook

    def mapping(self) -> Mapping[str, str]:
        """Give our symbols by TradingView's; only people read them in the journal."""
        try:
            return self._mapping.read().content.get(SOURCE.name, {})
        except ConfigError:
            return {}


class StatusPart(Mapping[str, Any]):
    """What the service says of itself: looked up anew each time it is written."""

    def __init__(self, intake: Intake, configuration: Configuration) -> None:
        self._intake = intake
        self._configuration = configuration
        self._values: dict[str, Any] = {}

    def __iter__(self) -> Iterator[str]:
        counters = self._intake.status()
        token = self._configuration.webhook().token.get_secret_value()
        problems = (counters["problem"], "" if token else TOKENLESS)
        self._values = {
            **counters,
            "webhook_path": "/webhook/***",
            "problems": [text for text in problems if text],
        }
        return iter(self._values)

    def __getitem__(self, key: str) -> Any:  # noqa: ANN401 - any JSON value
        return self._values[key]

    def __len__(self) -> int:
        return len(self._values)


async def receive_alerts(service: Service) -> None:
    """Run the receiver until the service stops."""
    configuration, clock = Configuration(service), SystemClock()
    webhook = configuration.webhook()
    fold = TradingViewFold()
    writer = SignalWriter(
        service.home,
        SOURCE.name,
        clock=clock,
        fold=fold,
        on_stored=partial(send_nudge, service.home),
        compress_after_days=SOURCE.compress_after_days,
    )
    writer.open()
    try:
        intake = Intake(writer=writer, fold=fold, mapping=configuration.mapping, clock=clock)
        docs = _docs() if webhook.show_docs else None
        door = Door(intake=intake, config=configuration.webhook, docs=docs)
        listener = service.listen(webhook.host, webhook.port)
        service.write_status(StatusPart(intake, configuration))
        await serve(door, listener, stopping=service.stopping, started=service.ready)
    finally:
        await writer.close()


def _docs() -> App:
    from signal_processors.tradingview_docs import docs_app  # noqa: PLC0415 - off by default

    return docs_app()


if __name__ == "__main__":
    sys.exit(run_service(NAME, receive_alerts))
