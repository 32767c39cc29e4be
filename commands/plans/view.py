"""A cycle's rows on the terminal: the accounts, then what is done of each symbol and why.

Prints only; what failed goes to stderr.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import groupby
from typing import Any, Final

import typer

from commands.tables import plain, print_table

Row = Mapping[str, Any]
ACCOUNTS: Final = ("account", "exchange", "mode", "equity USDT", "ms")
PLANNED: Final = ("account", "symbol", "held", "target", "delta", "orders", "because")
DONE: Final = ("account", "symbol", "held", "target", "delta", "done", "now", "because")
HEADS: Final = {
    "plan": "What the engine would do now. Nothing was sent.",
    "simulated": "One cycle (simulated): read from the exchanges, nothing was sent.",
    "real": "One cycle, done.",
}
OUTCOMES: Final = {
    "unknown": "no clear answer, it is looked up",
    "rejected": "refused",
    "not_placed": "not placed",
}


def show(told: Row) -> None:
    """Print the whole story."""
    typer.echo(HEADS[told["kind"]])
    if told["accounts"]:
        typer.echo()
        print_table(ACCOUNTS, [_account(row) for row in told["accounts"]])
    if told["symbols"]:
        typer.echo()
        titles = PLANNED if told["kind"] == "plan" else DONE
        print_table(titles, [_symbol(row, told["kind"]) for row in told["symbols"]])
    elif not any(row["failures"] for row in told["accounts"]):
        typer.echo("\nNothing is held and nothing is wanted.")
    for line in _notes(told):
        typer.echo(plain(line))
    for row in told["accounts"]:
        for failure in row["failures"]:
            typer.echo(plain(f"{row['account']}: {failure}"), err=True)


def _account(row: Row) -> list[str]:
    mode = row["mode"]
    if row["brake"] != "run":
        mode += f", {row['brake']}: {row['brake_reason']}"
    if row["state"] != "ready":
        mode += f" ({row['state']})"
    took = "" if row["took_ms"] is None else str(row["took_ms"])
    return [row["account"], row["exchange"], mode, row["equity_usdt"] or "?", took]


def _symbol(row: Row, kind: str) -> list[str]:
    reasons = [f"{one['text']} ({one['code']})" for one in row["reasons"]]
    start = [row["account"], row["symbol"], _size(row["held_lots"])]
    wanted = ["", ""] if row["target_lots"] is None else [row["target_lots"], row["delta_lots"]]
    orders = ", then ".join(_steps(row["steps"], has_fills=kind != "plan"))
    now = [] if kind == "plan" else [_size(row["held_after_lots"])]
    return [*start, *(_size(size) if size != "" else "" for size in wanted), orders, *now,
            "; ".join(reasons)]  # fmt: skip


def _steps(steps: Sequence[Row], *, has_fills: bool) -> Iterator[str]:
    """Put steps into words; orders of one kind that follow each other are told together."""
    for (side, reduce_only), group in groupby(
        steps, key=lambda row: (row.get("side"), row.get("reduce_only"))
    ):
        rows = list(group)
        if side is None:
            yield from (_setting(row) for row in rows)
            continue
        words = f"{side} {_sum(rows, 'size_lots')}" + " reduce-only" * bool(reduce_only)
        if len(rows) > 1:
            words += f" in {len(rows)} orders"
        if has_fills:
            words += f": filled {_sum(rows, 'filled_lots')}"
        troubles = dict.fromkeys(_trouble(row) for row in rows if row["error"])
        yield "; ".join([words, *troubles])


def _setting(row: Row) -> str:
    words = f"leverage {row['leverage']}" if "leverage" in row else f"{row['margin_mode']} margin"
    return f"set {words}" + (f", refused: {row['error']}" if row["error"] else "")


def _trouble(row: Row) -> str:
    return f"{OUTCOMES[row['outcome']]}: {row['error']}"


def _notes(told: Row) -> Iterator[str]:
    if told["unspoken"]:
        yield f"No source ever spoke of {', '.join(told['unspoken'])}: no target, nothing is sent."
    for alert in told["alerts"]:
        where = f"{alert['account']}: " if alert["account"] else ""
        yield f"{alert['severity']}: {where}{alert['text']}"


def _sum(rows: Sequence[Row], key: str) -> str:
    total = sum((abs(Decimal(row[key])) for row in rows if row[key] is not None), Decimal(0))
    return format(total.normalize(), "f")


def _size(lots: str | None) -> str:
    return "?" if lots is None else lots
