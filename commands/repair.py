"""`trade-engine repair`: orders of ours whose end nobody knows, looked up until it is known.

The engine does that by itself at every pass; this shows it, and does it where no engine runs,
sending nothing.
"""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any, Final

import typer

from commands.braking import AccountOption
from commands.quiet import quiet
from commands.tables import print_table
from core.clock import SteadyClock, utc_minute
from core.control import Scope
from core.home import Home
from core.intents import OrdersJournal, minted_at_ms
from core.ledger import OpenIntent
from core.orders_history import newest_rows
from core.process.exit_codes import ExitCode
from core.store import to_json

EXAMPLE: Final = "./trade-engine repair --account paper-bybit"
WAIT_S: Final = 60.0
Open = tuple[str, str, OpenIntent]


def command(
    account: AccountOption = None,
    wait_s: Annotated[
        float, typer.Option("--wait", help="Seconds to wait for the venue.", min=0, max=3600)
    ] = WAIT_S,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Settle orders without a known end: found at the venue they count, else they are dropped.

    Ends in 0 when none is left, in 5 when the venue did not tell. Sends no order.
    """
    home = Home.from_environment()
    before = open_intents(home, account)
    if before and not as_json:
        _show(before)
    after = asyncio.run(_settle(home, account, wait_s)) if before else before
    if as_json:
        typer.echo(to_json({"before": _rows(before), "after": _rows(after)}))
    elif not before:
        typer.echo("Nothing to repair: every order of ours has a known end.")
    elif not after:
        typer.echo(f"Settled: {len(before)}. ./trade-engine positions shows what is held.")
    else:
        typer.echo(f"Settled: {len(before) - len(after)}. Still without a known end:")
        _show(after)
    if after:
        raise typer.Exit(ExitCode.PARTLY_FAILED)


def open_intents(home: Home, account: str | None) -> list[Open]:
    """Read from the orders journal which orders have no known end."""
    journal = OrdersJournal(_NoLog(), SteadyClock())
    rows, _ = newest_rows(home.state, "orders-")
    journal.replay(rows)
    return [
        (name, symbol, intent)
        for name in journal.accounts()
        if account in (None, name)
        for symbol in journal.symbols(name)
        for intent in journal.ledger(name, symbol).open
    ]


async def _settle(home: Home, account: str | None, wait_s: float) -> list[Open]:
    from commands.engine_at_hand import engine_at_hand  # noqa: PLC0415 - loads what calls ccxt

    with quiet():
        async with engine_at_hand(home, [Scope(account=account)], is_sending=False) as engine:
            await engine.until(lambda: not open_intents(home, account), within_s=wait_s)
    return open_intents(home, account)


class _NoLog:
    async def commit(self, rows: object) -> None:
        """Store nothing: this only reads."""


def _show(rows: list[Open]) -> None:
    print_table(
        ("account", "symbol", "lots", "kind", "sent", "client id", "last known"),
        (
            (
                name,
                symbol,
                format(intent.size_lots, "f"),
                "reduction" if intent.reduce_only else "increase",
                utc_minute(minted_at_ms(intent.client_id) or intent.sent_at_ms),
                intent.client_id,
                intent.status,
            )
            for name, symbol, intent in rows
        ),
    )


def _rows(rows: list[Open]) -> list[Mapping[str, Any]]:
    return [
        {
            "account": name,
            "symbol": symbol,
            "client_id": intent.client_id,
            "size_lots": format(intent.size_lots, "f"),
            "reduce_only": intent.reduce_only,
            "status": intent.status,
        }
        for name, symbol, intent in rows
    ]
