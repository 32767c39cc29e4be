"""`trade-engine signals`: the newest signal of each source and symbol, from their journals."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from commands.tables import print_table
from core.home import Home
from core.process.exit_codes import ExitCode
from core.source_reader import SourceReader
from core.store import to_json

EXAMPLE: Final = "./trade-engine signals --symbol BTCUSDT"
TITLES: Final = ("source", "its symbol", "symbol", "depth", "leverage", "price", "received (UTC)")


def command(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON list.")] = False,
    source: Annotated[str | None, typer.Option("--source", help="One source only.")] = None,
    symbol: Annotated[
        str | None, typer.Option("--symbol", help="One symbol only, the source's name or ours.")
    ] = None,
) -> None:
    """Show the newest signal of each source and symbol, as stored; exit code 5 if one is lost."""
    home = Home.from_environment()
    names = [name for name in source_names(home) if source in (None, name)]
    rows = [row for name in names for row in newest_rows(home, name, symbol)]
    if as_json:
        typer.echo(to_json(rows))
    else:
        _show(rows)
    if any("error" in row for row in rows):
        raise typer.Exit(ExitCode.PARTLY_FAILED)


def source_names(home: Home) -> list[str]:
    """Name the sources that ever wrote something, by their folders."""
    if not home.raw_signals.is_dir():
        return []
    return sorted(folder.name for folder in home.raw_signals.iterdir() if folder.is_dir())


def newest_rows(home: Home, name: str, symbol: str | None = None) -> list[dict[str, Any]]:
    """Read a source's newest signals as stored; one row {source, error} when they are lost."""
    reader = SourceReader(home, name)
    newest = reader.sweep()
    if newest is None:
        return [{"source": name, "error": reader.problem}]
    wanted = None if symbol is None else symbol.upper()
    return [
        signal.to_row()
        for _, signal in sorted(newest.items())
        if wanted in (None, signal.source_symbol.upper(), signal.symbol.upper())
    ]


def _show(rows: Sequence[dict[str, Any]]) -> None:
    found = [row for row in rows if "error" not in row]
    if found:
        print_table(TITLES, [_cells(row) for row in found])
    elif not rows:
        typer.echo("No signal yet. Try: ./trade-engine send-signal --help")
    for row in rows:
        if "error" in row:
            typer.echo(f"{row['source']}: {row['error']}", err=True)


def _cells(row: dict[str, Any]) -> list[str]:
    received = datetime.fromtimestamp(row["received_at_ms"] / 1000, tz=UTC)
    keys = ("source", "source_symbol", "symbol", "depth", "leverage", "price")
    return [*(str(row[key] or "") for key in keys), received.strftime("%Y-%m-%d %H:%M:%S")]
