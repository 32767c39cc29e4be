"""What `up` tells a person in the end: what runs, in which mode, where, and what to do next."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import typer
from rich.console import Console

from commands.installation.readiness import Standing
from commands.tables import print_table
from core.home import Home
from core.settings import Settings

SAMPLE = '{"symbol":"ETHUSDT","direction":"long","action":"buy","size":"5.8/100"}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where the services listen; None = not running, or no token."""

    webhook: str | None
    monitor: str | None
    paper_exchange: str | None

    @classmethod
    def of(cls, ready: Sequence[Standing], settings: Settings) -> Self:
        """Read the actual addresses, which differ from the wished ones when a port was busy."""
        urls = {row.name: row.url for row in ready}
        receiver = urls.get("tradingview-endpoint")
        token = settings.engine.webhook.token.get_secret_value()
        return cls(
            webhook=f"{receiver}/webhook/{token}" if receiver and token else None,
            monitor=urls.get("monitor"),
            paper_exchange=urls.get("paper-exchange"),
        )


def show(
    home: Home,
    settings: Settings,
    ready: Sequence[Standing],
    addresses: Addresses,
    written: Sequence[str],
) -> None:
    """Print the overview."""
    console = Console(highlight=False, soft_wrap=True)
    print_table(
        ("service", "state", "pid", "address"),
        ((row.name, row.word, str(row.app.pid) if row.app else "", row.url or "") for row in ready),
    )
    if written:
        console.print(f"\nWritten for a first try, change what you like: {', '.join(written)}")
    console.print(f"\nHome      {home.root}")
    console.print(f"Mode      {_mode(settings)}")
    console.print(f"Monitor   {addresses.monitor}/status")
    for row in _moved(ready, settings):
        console.print(f"[yellow]{row}[/yellow]")
    if addresses.webhook is None:
        console.print("[red]No webhook token: set webhook.token in engine_config.json[/red]")
        return
    console.print("Webhook   ", end="")
    typer.echo(addresses.webhook)  # as it is: to be copied
    console.print("\nTry it:")
    typer.echo(f"  curl -X POST '{addresses.webhook}' -d '{SAMPLE}'")
    console.print("  ./trade-engine positions\n")
    console.print("Next      ./trade-engine logs · status · down;  the URL is a secret: it trades")


def _mode(settings: Settings) -> str:
    enabled = [account for account in settings.accounts if account.enabled]
    if not enabled:
        return "no account is enabled: see credentials.json"
    told = ", ".join(f"{row.name} ({row.exchange}, {row.environment})" for row in enabled)
    kinds = {row.environment for row in enabled}
    if kinds == {"paper"}:
        return f"paper, no real money: {told}"
    return f"{told}; a live account stays dry-run until `./trade-engine arm`"


def _moved(ready: Sequence[Standing], settings: Settings) -> list[str]:
    config = settings.engine
    wished = {
        "tradingview-endpoint": config.webhook.port,
        "monitor": config.monitor.port,
        "paper-exchange": config.paper_exchange.port,
    }
    return [
        f"port {port} was busy: {row.name} listens at {row.url}"
        for row in ready
        if row.url and (port := wished.get(row.name)) and not row.url.endswith(f":{port}")
    ]
