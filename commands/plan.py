"""`trade-engine plan`: what the engine would do now, and why; writes nothing, sends nothing."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from commands.quiet import quiet
from core.home import Home
from core.process.exit_codes import ExitCode
from core.process.logs import redact
from core.store import to_json

if TYPE_CHECKING:
    from commands.plans.single_cycle import Cycle


def command(
    account: Annotated[str | None, typer.Option("--account", help="One account only.")] = None,
    symbol: Annotated[str | None, typer.Option("--symbol", help="One symbol only.")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Exit code 6 when something is off its target.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Show what the engine would do now, and why; also beside a live engine.

    It reads exchanges and files; it writes and sends nothing.

    Exit code 5: an account could not be read. Example: ./trade-engine plan --symbol BTCUSDT
    """
    told = rehearse(Home.from_environment(), kind="plan", account=account, symbol=symbol)
    tell(told, as_json=as_json)
    finish(told, checks=check)


def rehearse(
    home: Home, *, kind: str, account: str | None = None, symbol: str | None = None
) -> dict[str, Any]:
    """Rehearse one cycle and give its rows.

    Raises RefusedError for an account that is not there, ConfigError without a configuration.
    """
    from commands.plans.rehearsal import Rehearsal  # noqa: PLC0415
    from commands.plans.rows import document  # noqa: PLC0415 - loads what calls ccxt
    from commands.plans.single_cycle import run_cycle  # noqa: PLC0415

    world = Rehearsal(home, account=account)
    if account is not None:
        refuse_unknown(account, [row.name for row in world.settings().read().accounts])
    with quiet():
        cycle = asyncio.run(run_cycle(world))
    wanted = None if symbol is None else symbol.strip().upper()
    told = document(cycle, kind=kind, symbol=wanted)
    if wanted is not None and not told["symbols"]:
        _refuse_unknown_symbol(wanted, cycle)
    return told


def _refuse_unknown_symbol(symbol: str, cycle: "Cycle") -> None:
    """Refuse a symbol that nothing here bears; one that is only not held is fine."""
    from commands.refusal import RefusedError  # noqa: PLC0415

    known = {row.symbol for row in cycle.inputs.settings.weights}
    known |= {target for row in cycle.inputs.settings.mapping.values() for target in row.values()}
    if symbol not in known:
        there_are = ", ".join(sorted(known)) or "none"
        raise RefusedError(f"{symbol} is neither configured nor held; known are: {there_are}")


def tell(told: dict[str, Any], *, as_json: bool) -> None:
    """Print a cycle for a person or a program."""
    if as_json:
        typer.echo(redact(to_json(told).decode()))
        return
    from commands.plans.view import show  # noqa: PLC0415 - programs that ask for JSON need none

    show(told)


def finish(told: dict[str, Any], *, checks: bool) -> None:
    """End in the exit code of a cycle: 5 a failed account, 6 (if it `checks`) something off."""
    from commands.plans.rows import has_failed, is_off_target  # noqa: PLC0415

    if has_failed(told):
        raise typer.Exit(ExitCode.PARTLY_FAILED)
    if checks and is_off_target(told):
        raise typer.Exit(ExitCode.DRIFT)


def refuse_unknown(account: str, names: list[str]) -> None:
    """Refuse a name that no account bears. Raises RefusedError."""
    from commands.refusal import RefusedError  # noqa: PLC0415

    if account not in names:
        there_are = ", ".join(names) or "none"
        raise RefusedError(f"no account is named {account}; there are: {there_are}")
