"""`trade-engine why SYMBOL`: from the sources' words to what each account holds, and why.

Reads files only: journals, configuration, status. It decides nothing; what it adds up is what the
engine adds up, before staleness and caps, which the reasons of each account tell.
"""

import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, Final

import typer

from commands.signals import newest_rows, source_names
from commands.tables import print_table
from core.home import Home
from core.process.exit_codes import ExitCode
from core.settings import Settings, SymbolWeights, load_settings
from core.status import read_status
from core.store import to_json

WORDS: Final = ("source", "its symbol", "depth", "weight", "leverage", "adds", "age", "detail")
MINERS: Final = ("miner", "weight", "net leverage", "adds to the depth")
ACCOUNTS: Final = ("account", "held lots", "target lots", "verified", "reason")
NOTHING: Final = "Nothing is known of {symbol}: no source spoke of it, no account holds it."


def command(
    symbol: Annotated[str, typer.Argument(help="Our symbol, such as BTCUSDT.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Show why SYMBOL is held as it is: signals, weights, miners, targets, reasons.

    Example: ./trade-engine why BTCUSDT
    """
    home = Home.from_environment()
    document = explain(home, symbol.upper(), time.time_ns() // 1_000_000)
    if as_json:
        typer.echo(to_json(document))
    else:
        _show(document)
    if any("error" in row for row in document["signals"]):
        raise typer.Exit(ExitCode.PARTLY_FAILED)


def explain(home: Home, symbol: str, now_ms: int) -> dict[str, Any]:
    """Collect what is known of a symbol."""
    settings = load_settings(home)
    weights = settings.symbol_weights(symbol)
    signals = [
        _word(row, weights, now_ms) if "error" not in row else row
        for source in source_names(home)
        for row in newest_rows(home, source)
        if "error" in row or _means(settings, row, symbol)
    ]
    status = read_status(home, now_ms)
    adds = [Decimal(row["adds"]) for row in signals if "error" not in row]
    return {
        "symbol": symbol,
        "is_configured": weights is not None,
        "leverage": None if weights is None else format(weights.leverage, "f"),
        "signals": signals,
        "exposure": format(sum(adds, Decimal(0)), "f"),
        "accounts": [
            {"account": account.get("name"), **row}
            for account in status["accounts"]
            for row in account.get("symbols") or ()
            if row.get("symbol") == symbol
        ],
        "alerts": [row for row in status["alerts"] if row.get("symbol") in (symbol, "")],
    }


def _means(settings: Settings, row: Mapping[str, Any], symbol: str) -> bool:
    mapped = settings.mapping.get(row["source"], {}).get(row["source_symbol"])
    return mapped == symbol


def _word(row: Mapping[str, Any], weights: SymbolWeights | None, now_ms: int) -> dict[str, Any]:
    """Say what one source's newest signal adds to the target."""
    weight = Decimal(0) if weights is None else weights.weight_of(row["source"])
    leverage = Decimal(0) if weights is None else weights.leverage
    if row["leverage"] is not None:
        leverage = min(leverage, Decimal(row["leverage"]))
    adds = weight * Decimal(row["depth"]) * leverage
    return {
        "source": row["source"],
        "source_symbol": row["source_symbol"],
        "depth": row["depth"],
        "weight": format(weight, "f"),
        "leverage": format(leverage, "f"),
        "adds": format(adds, "f"),
        "age_s": max(0, now_ms - row["received_at_ms"]) // 1000,
        "id": row["id"],
        "meta": {key: value for key, value in row["meta"].items() if key != "raw"},
    }


def _show(document: Mapping[str, Any]) -> None:
    symbol, signals = document["symbol"], document["signals"]
    words = [row for row in signals if "error" not in row]
    if not words and not document["accounts"]:
        typer.echo(NOTHING.format(symbol=symbol))
    if not document["is_configured"]:
        typer.echo(f"{symbol} is not in signal_weight_config.json: it has no target.")
    _show_words(document, words)
    if document["accounts"]:
        print_table(ACCOUNTS, [_account(row) for row in document["accounts"]])
    for row in document["alerts"]:
        typer.echo(f"{row['severity']}: {row['text']}")
    for row in signals:
        if "error" in row:
            typer.echo(f"{row['source']}: {row['error']}", err=True)


def _show_words(document: Mapping[str, Any], words: Sequence[Mapping[str, Any]]) -> None:
    if words:
        print_table(WORDS, [_cells(row) for row in words])
        typer.echo(
            f"Together {_short(document['exposure'])} x equity, before staleness and caps.\n"
        )
    for row in words:
        if miners := row["meta"].get("miners"):
            typer.echo(f"{row['source']} {row['source_symbol']}: {_detail(row['meta'])}")
            print_table(MINERS, [_miner(one) for one in miners])
            typer.echo("")


def _cells(row: Mapping[str, Any]) -> list[str]:
    numbers = ("depth", "weight", "leverage", "adds")
    return [
        *(str(row[key]) for key in ("source", "source_symbol")),
        *(_short(row[key]) for key in numbers),
        f"{row['age_s']} s",
        _detail(row["meta"]),
    ]


def _detail(meta: Mapping[str, Any]) -> str:
    """Put into words what a source says about its own signal."""
    miners = meta.get("miners")
    if not isinstance(miners, list):
        return ""
    signs = [Decimal(one["depth"]) for one in miners]
    told = [
        f"{sum(depth > 0 for depth in signs)} miners long, {sum(d < 0 for d in signs)} short",
        f"agreement {meta.get('agreement')}",
        f"wanted {meta.get('wanted')}",
        f"ranking {meta.get('ranking')}",
        *(str(flag) for flag in meta.get("flags") or ()),
    ]
    if meta.get("simulated") is True:
        told.append("simulated")
    return ", ".join(told)


def _miner(one: Mapping[str, Any]) -> Sequence[str]:
    return [str(one["hotkey"]), *(_short(one[key]) for key in ("weight", "net_leverage", "depth"))]


def _short(number: object) -> str:
    """Write a number without the zeros at its end."""
    return format(Decimal(str(number)).normalize(), "f")


def _account(row: Mapping[str, Any]) -> list[str]:
    held, target = row.get("held_lots"), row.get("target_lots")
    return [
        str(row["account"]),
        "?" if held is None else str(held),
        "" if target is None else str(target),
        "yes" if row.get("verified") else "no",
        str(row.get("hold") or row.get("reason") or ""),
    ]
