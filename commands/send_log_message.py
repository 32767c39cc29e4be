"""`trade-engine send-log-message`: proves that each notification channel reaches somebody.

Sends straight from here, not through the monitor: what fails here fails there too. Loads apprise.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any, Final

import typer

from commands.refusal import CheckFailedError
from commands.tables import print_table
from core.errors import ConfigError
from core.home import Home
from core.process.logs import register_secret
from core.settings import SettingsReader
from core.settings.engine import NewsKind, NotificationChannel, NotificationsConfig
from core.status import read_status
from core.store import to_json
from monitor.notifier.delivery import AppriseCourier, DeliveryError
from monitor.notifier.mailbox import Message, tone_of
from monitor.notifier.news import News
from monitor.secrecy import secrets_of_engine

EXAMPLE: Final = "./trade-engine send-log-message --channel phone"
HOW_TO_ADD: Final = (
    "no notification channel is configured (engine_config.json: notifications.channels); add one, "
    'such as {"notifications": {"channels": [{"name": "phone", "url": "tgram://TOKEN/CHAT"}]}}; '
    "docs/notifications.md lists what there is"
)
SAMPLES: Final[dict[NewsKind, str]] = {
    "error": "a test of errors: nothing is wrong",
    "alert": "a test of alerts: nothing is wrong",
    "trade": "a test of trades: nothing was traded",
    "service": "a test of starts and stops: nothing was started",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one kind of message on one channel; `error` is empty when it was taken."""

    channel: str
    kind: NewsKind
    error: str

    def to_row(self) -> dict[str, Any]:
        """Give its JSON object."""
        return {
            "channel": self.channel,
            "kind": self.kind,
            "ok": not self.error,
            "error": self.error,
        }


def command(
    channel: Annotated[str | None, typer.Option("--channel", help="One channel only.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON list.")] = False,
) -> None:
    """Send one test message of each kind to each notification channel; exit code 3 if one fails."""
    home = Home.from_environment()
    engine = SettingsReader(home).read_engine()
    for secret in secrets_of_engine(engine):
        register_secret(secret)
    config = engine.notifications
    results = asyncio.run(_send_all(_chosen(config, channel), config.timeout_s))
    if as_json:
        typer.echo(to_json([result.to_row() for result in results]))
    else:
        _show(home, results)
    failed = sorted({result.channel for result in results if result.error})
    if failed:
        raise CheckFailedError(
            f"not everything was taken by: {', '.join(failed)} "
            "(engine_config.json: notifications.channels; see docs/notifications.md)"
        )


def _chosen(config: NotificationsConfig, name: str | None) -> list[NotificationChannel]:
    if not config.channels:
        raise ConfigError(HOW_TO_ADD)
    chosen = [channel for channel in config.channels if name in (None, channel.name)]
    if chosen:
        return chosen
    names = [channel.name for channel in config.channels]
    close = get_close_matches(str(name), names, n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(names)}"
    raise typer.BadParameter(f"no channel is named {name}; {hint}", param_hint="--channel")


async def _send_all(channels: Sequence[NotificationChannel], timeout_s: float) -> list[Result]:
    """Send everything at once: a channel that hangs delays no other."""
    return await asyncio.gather(
        *(_send(channel, kind, timeout_s) for channel in channels for kind in channel.what)
    )


async def _send(channel: NotificationChannel, kind: NewsKind, timeout_s: float) -> Result:
    news = News(kind=kind, at_ms=time.time_ns() // 1_000_000, text=SAMPLES[kind])
    message = Message(title=f"trade-engine: test ({kind})", body=news.line, tone=tone_of({kind: 1}))
    # one of its own for each message: apprise makes an address wait between two
    courier = AppriseCourier(channel.url.get_secret_value())
    error = ""
    try:
        async with asyncio.timeout(timeout_s):
            await courier.deliver(message)
    except TimeoutError:
        error = f"no answer within {timeout_s:g} s"
    except DeliveryError as failure:
        error = str(failure)
    return Result(channel=channel.name, kind=kind, error=error)


def _show(home: Home, results: Sequence[Result]) -> None:
    print_table(
        ("channel", "kind", "result"),
        [(row.channel, row.kind, f"failed: {row.error}" if row.error else "ok") for row in results],
    )
    now_ms = time.time_ns() // 1_000_000
    monitor = read_status(home, now_ms)["services"].get("monitor", {})
    if monitor.get("state") != "running":
        typer.echo("The monitor does not run: nobody will tell you anything. ./trade-engine up")
