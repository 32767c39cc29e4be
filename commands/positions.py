"""`trade-engine positions`: what is held and wanted, read from the exchanges, not our files."""

import asyncio
import time
from collections.abc import Sequence
from decimal import Context, Decimal
from typing import Annotated, Final

import typer

from commands.position_reading import Targets, read_rows
from commands.position_rows import Row, cached_rows, failed_row, targets_of
from commands.tables import print_table
from core.errors import ConfigError, TradeEngineError
from core.home import Home
from core.process.exit_codes import ExitCode
from core.settings import Settings, load_settings
from core.status import read_status
from core.store import read_json, to_json

EXAMPLE: Final = "./trade-engine positions --cached"
AVERAGES: Final = ("entry_price", "notional_usdt", "unrealized_pnl_usdt")
DIGITS: Final = 10
COLUMNS: Final = {
    "account": "account",
    "symbol": "symbol",
    "side": "side",
    "size_lots": "lots",
    "target_lots": "target",
    "notional_usdt": "USDT",
    "entry_price": "entry",
    "mark_price": "mark",
    "leverage": "leverage",
    "margin_mode": "margin",
    "unrealized_pnl_usdt": "PnL USDT",
}


def command(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON list.")] = False,
    cached: Annotated[
        bool, typer.Option("--cached", help="What the engine last saw; asks no exchange.")
    ] = False,
) -> None:
    """Show what is held and wanted; exit code 5 when an account could not be read."""
    home = Home.from_environment()
    rows = _cached(home) if cached else asyncio.run(_read(home, load_settings(home)))
    if as_json:
        typer.echo(to_json(rows))
    else:
        _show(rows)
    if any("error" in row for row in rows):
        raise typer.Exit(ExitCode.PARTLY_FAILED)


async def _read(home: Home, settings: Settings) -> list[Row]:
    from commands.opened_accounts import open_venues  # noqa: PLC0415 - loads ccxt

    targets = _targets(home, settings)
    async with open_venues(home, settings) as (opened, failed):
        return [*await read_rows(opened, targets), *failed]


def _targets(home: Home, settings: Settings) -> dict[str, Targets]:
    try:
        document = read_json(home.state / "targets.json")
    except FileNotFoundError:
        document = {}
    except (ConfigError, OSError) as error:
        typer.echo(f"targets are unknown: {error}", err=True)
        document = {}
    return {account.name: targets_of(document, account.name) for account in settings.accounts}


def _cached(home: Home) -> list[Row]:
    status = read_status(home, time.time_ns() // 1_000_000)
    if status["started_at"] is None:
        raise TradeEngineError("the engine never ran here: ./trade-engine up")
    rows: list[Row] = []
    for account in status["accounts"]:
        if account.get("state") == "disabled":
            continue
        if account.get("last_pass_at_ms") is None:
            text = f"not read yet: {account.get('state')} {account.get('reason') or ''}"
            rows.append(failed_row(str(account.get("name")), text.strip()))
        else:
            rows.extend(cached_rows(account))
    return rows


def _show(rows: Sequence[Row]) -> None:
    found = [row for row in rows if "error" not in row]
    if found:
        print_table(list(COLUMNS.values()), [_cells(row) for row in found])
    elif not rows:
        typer.echo("Nothing is held and nothing is wanted.")
    for row in rows:
        if "error" in row:
            typer.echo(f"{row['account']}: {row['error']}", err=True)


def _cells(row: Row) -> list[str]:
    # an unknown size must not look like none
    return [
        _shown(key, str(row[key])) if row[key] is not None else "?" if key == "size_lots" else ""
        for key in COLUMNS
    ]


def _shown(key: str, text: str) -> str:
    """Cut an average price to the digits that a person reads; --json has them all."""
    if key not in AVERAGES or len(text) <= DIGITS:
        return text
    return format(Decimal(text).normalize(Context(prec=DIGITS)), "f")
