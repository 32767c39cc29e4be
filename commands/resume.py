"""`trade-engine resume`: lifts exactly what it names, says what that was, and what still holds."""

from collections.abc import Iterator, Mapping
from typing import Any

import typer

from commands.braking import (
    AccountOption,
    SymbolArgument,
    WhyOption,
    YesOption,
    command_for,
    decide,
    now_ms,
    person,
    scope_of,
    tell,
)
from commands.tables import plain
from core.control import Control, Scope
from core.control.file import halt_file_exists, halt_path, read_control, resume
from core.errors import ConfigError
from core.home import Home
from core.status import read_status
from core.trips import LOST, Trip, read_trips

EXAMPLE = "./trade-engine resume BTCUSDT --account main"


def command(
    symbol: SymbolArgument = None,
    account: AccountOption = None,
    why: WhyOption = "",
    yes: YesOption = False,
) -> None:
    """Lift a pause, a halt or a flatten, and the engine's own stops of what you name.

    Name the symbol to lift a hold (adoption, external change, liquidation),
    the account to lift a stop (losses, orders, a second engine), nothing to
    lift a crash loop.
    """
    home = Home.from_environment()
    scope = scope_of(home, symbol, account, is_sure=yes)
    lifted = _lifted(home, scope)
    control = decide(
        home,
        lambda: resume(home, scope, who=person(), why=why, now_ms=now_ms()),
    )
    tell(home, f"Resumed: {scope}.")
    for line in lifted or ["Nothing of exactly this scope was in force."]:
        typer.echo(line)
    for line in _still_holding(home, control, scope):
        typer.echo(line)


def _lifted(home: Home, scope: Scope) -> list[str]:
    """Name what a resume of this scope lifts."""
    try:
        entry = read_control(home).mode_of(scope)
    except (ConfigError, OSError):
        entry = None  # damaged: `resume` writes it anew and keeps the old one aside
    lines = [] if entry is None else [f"Lifted: {entry.reason}"]
    if scope.symbol is None:
        ours = (t for t in _trips(home) if t.account == scope.account and t.code != LOST)
        lines.extend(f"Lifted: {plain(trip.reason)}" for trip in ours)
        if scope.account is not None and _trips_were_lost(home):
            lines.append(f"Lifted: {LOST} of {scope.account}, if it still held")
    return lines + [
        f"Lifted: hold of {row['symbol']} on {row['account']}: {plain(str(row['reason']))}"
        for row in read_status(home, now_ms())["frozen_positions"]
        if _is_named(scope, row)
    ]


def _trips(home: Home) -> tuple[Trip, ...]:
    now = now_ms()
    try:
        found = read_trips(home.state / "trips.json")
    except ConfigError as error:
        typer.echo(f"trade-engine: {error}", err=True)
        return ()
    return tuple(t for t in found if t.until_ms is None or now < t.until_ms)


def _trips_were_lost(home: Home) -> bool:
    """Tell whether state/trips.json was damaged once: accounts stay paused until named."""
    return any(trip.code == LOST for trip in _trips(home))


def _is_named(scope: Scope, frozen: Mapping[str, Any]) -> bool:
    return scope.symbol == frozen["symbol"] and scope.account in (None, frozen["account"])


def _still_holding(home: Home, control: Control, lifted: Scope) -> Iterator[str]:
    """Say what else is in force, each with what lifts it."""
    now = now_ms()
    if halt_file_exists(home):
        yield f"Nothing is sent while state/HALT is there: rm {halt_path(home)}"
    for entry in control.entries:
        if not entry.is_over(now):
            yield f"Still in force: {entry.reason}. Lift: {command_for('resume', entry.scope)}"
    for block in control.blocks:
        if not block.is_over(now):
            lift = command_for("unblock", block.scope)
            yield f"Still in force: {block.block_reason}. Lift: {lift}"
    yield from _still_stopped(home, lifted)
    for row in read_status(home, now)["frozen_positions"]:
        where = Scope(account=row["account"], symbol=row["symbol"])
        if not _is_named(lifted, row):
            reason, lift = plain(str(row["reason"])), command_for("resume", where)
            yield f"Still held by the engine: {where}: {reason}. Lift: {lift}"


def _still_stopped(home: Home, lifted: Scope) -> Iterator[str]:
    for trip in _trips(home):
        if trip.code == LOST:
            yield (
                "state/trips.json was damaged once: each account stays paused until "
                "./trade-engine resume --account NAME"
            )
        elif lifted.symbol is not None or trip.account != lifted.account:
            lift = command_for("resume", Scope(account=trip.account))
            yield f"Still stopped by the engine: {plain(trip.reason)}. Lift: {lift}"
