"""`trade-engine webhook`: what to enter at TradingView, and whether it would be understood.

Sends nothing that trades, and stores nothing.
"""

import sys
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from commands.refusal import CheckFailedError
from commands.tables import plain
from commands.webhook_door import Knock, base_url, knock
from commands.webhook_samples import FILLED_IN, PLACEHOLDERS, samples, to_rows
from core.errors import ConfigError
from core.home import Home
from core.process.logs import register_secret
from core.settings import Settings, SettingsReader, load_settings
from core.store import to_json
from signal_processors.tradingview_processor import (
    POSITION_NAMES,
    SOURCE,
    ParsedAlert,
    parse,
)

FIRED: Final = FILLED_IN["{{timenow}}"].encode()
PUBLIC: Final = "https://YOUR-NAME"
RULE: Final = (
    "TradingView reaches only the ports 80 and 443 of a public name: put a TLS proxy in front that",
    "passes this path on to the address above, and list it in webhook.trusted_proxies",
    "(docs/signals.md, Behind a proxy). The URL is a secret: whoever has it moves your accounts.",
)
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object.")]

app = typer.Typer(epilog="Example: ./trade-engine webhook show")


@app.command("show", epilog="Example: ./trade-engine webhook show --symbol BTCUSDT")
def show(
    symbol: Annotated[
        str | None, typer.Option("--symbol", help="In place of the chart's own {{ticker}}.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Print the webhook's URL and the alert messages to paste into TradingView."""
    home = Home.from_environment()
    config = SettingsReader(home).read_engine().webhook
    token = config.token.get_secret_value()
    if not token:
        raise ConfigError("webhook.token is empty (engine_config.json): run ./trade-engine up")
    path = f"/webhook/{token}"
    url = base_url(home, config) + path
    found = samples(symbol)
    if as_json:
        row = {"url": url, "path": path, "public_url": PUBLIC + path, "alerts": to_rows(found)}
        typer.echo(to_json(row))
        return
    # as it is, to be copied: therefore not through what masks secrets
    typer.echo(f"On this machine:  {url}")
    typer.echo(f"At TradingView:   {PUBLIC}{path}")
    for line in RULE:
        typer.echo(f"  {line}")
    for one in found:
        typer.echo(f"\n{one.use}:\n  {one.text}")
    typer.echo("\nsize is a share of the account, leverage at most the configured one. And:")
    for placeholder, meaning in PLACEHOLDERS.items():
        typer.echo(f"  {placeholder:<35} {meaning}")
    typer.echo("\nWould it be understood? ./trade-engine webhook test --body '...'")


@app.command("test", epilog="Example: ./trade-engine webhook test --file alert.json")
def try_out(
    body: Annotated[str | None, typer.Option("--body", help="An alert's message.")] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="The same from a file; - is the input.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show how an alert would be understood; nothing is traded or stored. Exit 3: it is refused."""
    home = Home.from_environment()
    settings = load_settings(home)
    token = settings.engine.webhook.token.get_secret_value()
    register_secret(token)
    content = _content(body, file)
    alert = parse(content, received_at_ms=time.time_ns() // 1_000_000, secret=token)
    understood = _understood(alert, settings) if isinstance(alert, ParsedAlert) else None
    refused = None
    if not isinstance(alert, ParsedAlert):
        refused = {"reason": alert.reason, "field": alert.field}
    knocks = knock(home, settings.engine.webhook)
    if as_json:
        rows = [one.to_row() for one in knocks]
        typer.echo(to_json({"understood": understood, "refused": refused, "receiver": rows}))
    else:
        _print(content, understood, refused, knocks)
    if refused is not None:
        raise CheckFailedError(f"the receiver would answer 422: {refused['reason']}")
    bad = [one for one in knocks if one.state == "failed"]
    if bad:
        raise CheckFailedError(bad[0].detail)


def _content(body: str | None, file: Path | None) -> bytes:
    if body is not None and file is not None:
        raise typer.BadParameter("give --body or --file, not both")
    if body is not None:
        return body.encode()
    if file is None:
        fired = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ").encode()
        return samples(None)[0].filled_in.replace(FIRED, fired)
    try:
        return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        told = f"{file}: {error.strerror or error}"
        raise typer.BadParameter(told, param_hint="--file") from error


def _understood(alert: ParsedAlert, settings: Settings) -> dict[str, Any]:
    symbol = settings.mapping.get(SOURCE.name, {}).get(alert.source_symbol, "")
    weights = settings.symbol_weights(symbol) if symbol else None
    exposure = None
    if weights is not None:
        asked = weights.leverage if alert.leverage is None else alert.leverage
        leverage = min(asked, weights.leverage)
        exposure = weights.weight_of(SOURCE.name) * alert.depth * leverage
    return {
        "source_symbol": alert.source_symbol,
        "symbol": symbol or None,
        "depth": alert.depth,
        "leverage": alert.leverage,
        "adds_to_the_target": exposure,
        "price": alert.price,
        "fired_at_ms": alert.fired_at_ms,
        "signal_seq": alert.sequence,
        "prev_market_position": _position(alert.previous_position),
        "action": alert.action,
        "strategy": alert.strategy,
        "event_id": alert.event_id,
        "ignored": list(alert.ignored),
        "warnings": [*alert.warnings, *_holes(alert, symbol, exposure), *_age(alert, settings)],
    }


def _position(sign: int | None) -> str | None:
    return None if sign is None else POSITION_NAMES[sign]


def _holes(alert: ParsedAlert, symbol: str, exposure: Decimal | None) -> list[str]:
    name = alert.source_symbol
    if not symbol:
        return [f'{name} is not mapped: add it to "{SOURCE.name}" in asset_mapping_config.json']
    if exposure is None:
        return [f"{symbol} has no weights: add it to signal_weight_config.json"]
    if alert.depth and not exposure:
        return [f"the weight of {SOURCE.name} for {symbol} is 0: the alert moves nothing"]
    return []


def _age(alert: ParsedAlert, settings: Settings) -> list[str]:
    most_s = int(settings.engine.engine.max_entry_age_s)
    age_s = (alert.received_at_ms - (alert.fired_at_ms or alert.received_at_ms)) // 1000
    if not (most_s and alert.depth and age_s > most_s):
        return []
    return [f"it fired {age_s} s ago: beyond max_entry_age_s ({most_s} s) it opens nothing"]


def _print(
    content: bytes,
    understood: dict[str, Any] | None,
    refused: dict[str, str] | None,
    knocks: list[Knock],
) -> None:
    typer.echo(f"{'alert':<21} {plain(content.decode(errors='replace'))}")
    if refused is not None:
        typer.echo(f"{'refused':<21} {plain(refused['reason'])}")
        typer.echo(f"{'field':<21} {plain(refused['field']) or 'the whole of it'}")
    for key, value in (understood or {}).items():
        for one in value if isinstance(value, list) else [value]:
            if one not in (None, ""):
                typer.echo(f"{key:<21} {plain(_text(key, one))}")
    for row in knocks:
        typer.echo(f"{row.what:<21} {row.state}: {plain(row.detail)}")
    typer.echo("Nothing was sent that trades.")


def _text(key: str, value: object) -> str:
    if isinstance(value, Decimal):
        text = format(value.normalize(), "f")
        return f"{text} x equity" if key == "adds_to_the_target" else text
    return str(value)
