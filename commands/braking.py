"""What pause, resume, halt, flatten, arm and disarm have in common: scopes, questions, effects."""

import getpass
import sys
import time
from collections.abc import Callable
from typing import Annotated, Final

import typer

from commands.refusal import RefusedError
from core.control import Control, Scope
from core.control.file import read_control
from core.errors import ConfigError, TradeEngineError
from core.home import Home
from core.model import Mode
from core.nudge import send_nudge
from core.settings import Settings, load_settings
from core.status import read_status

SPANS_MS: Final = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}
MOST: Final = 10_000
HARDNESS: Final = {Mode.RUN: 0, Mode.PAUSE: 1, Mode.HALT: 2, Mode.FLATTEN: 3}

SymbolArgument = Annotated[str | None, typer.Argument(help="One symbol; without it, all of them.")]
AccountOption = Annotated[str | None, typer.Option("--account", help="One account only.")]
WhyOption = Annotated[str, typer.Option("--why", help="Kept with the decision, for others.")]
UntilOption = Annotated[
    str, typer.Option("--until", help="Ends by itself after this: 30m, 24h, 7d; without it never.")
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def person() -> str:
    """Name who decides."""
    try:
        return f"{getpass.getuser()} (command line)"
    except (KeyError, OSError):
        return "somebody (command line)"


def now_ms() -> int:
    """Wall time, ms UTC."""
    return time.time_ns() // 1_000_000


def known_settings(home: Home) -> Settings | None:
    """Load the settings; None when they are broken: a brake must work all the same."""
    try:
        return load_settings(home)
    except ConfigError as error:
        typer.echo(f"trade-engine: {error}", err=True)
        return None


def scope_of(home: Home, symbol: str | None, account: str | None, *, is_sure: bool) -> Scope:
    """Build the scope and refuse names that nothing here bears: a mistyped brake brakes nothing."""
    scope = Scope(account=account, symbol=symbol.strip().upper() if symbol else None)
    settings = known_settings(home)
    if settings is None or is_sure:
        return scope
    accounts = {row.name for row in settings.accounts}
    if scope.account is not None and scope.account not in accounts:
        raise RefusedError(f"no account is named {account}; there are: {_listed(accounts)}")
    symbols = _symbols(home, settings)
    if scope.symbol is not None and scope.symbol not in symbols:
        raise RefusedError(
            f"{scope.symbol} is neither configured nor held; known are: {_listed(symbols)} "
            "(--yes to go on all the same)"
        )
    return scope


def end_of(span: str, now_ms: int) -> int | None:
    """Turn a span such as 30m, 24h or 7d into its end; None when there is none.

    Raises a usage error for anything else.
    """
    text = span.strip().lower()
    if not text:
        return None
    count, unit_ms = text[:-1], SPANS_MS.get(text[-1])
    if unit_ms is None or not (count.isascii() and count.isdigit()) or not 0 < int(count) <= MOST:
        raise typer.BadParameter(f"--until must be a span such as 30m, 24h or 7d, was {span}")
    return now_ms + int(count) * unit_ms


def refuse_softer(
    home: Home, scope: Scope, mode: Mode, until_ms: int | None, *, is_block: bool = False
) -> None:
    """Refuse to put a softer or shorter decision in place of one for exactly this scope.

    Raises RefusedError: it would look like a brake and loosen one.
    """
    try:
        control = read_control(home)
    except (ConfigError, OSError):
        return  # damaged: it is written anew, everything paused
    rows = control.blocks if is_block else control.entries
    before = next((r for r in rows if r.scope == scope and not r.is_over(now_ms())), None)
    if before is None:
        return
    ends_earlier = until_ms is not None and (before.until_ms is None or until_ms < before.until_ms)
    if HARDNESS[before.mode] > HARDNESS[mode] or (before.mode is mode and ends_earlier):
        reason = before.block_reason if is_block else before.reason
        lift = command_for("unblock" if is_block else "resume", scope)
        raise RefusedError(f"{reason} is in force, and stricter: it stays. To lift it: {lift}")
    if before.mode is not mode:
        typer.echo(f"It takes the place of: {before.reason}", err=True)


def ask(question: str, *, expected: str, is_sure: bool) -> None:
    """Let a person type `expected`. Raises RefusedError for another answer or without a person."""
    if is_sure:
        return
    if not sys.stdin.isatty():
        raise RefusedError(f"{question}: nobody is there to ask; say --yes")
    typed = typer.prompt(f"{question}. Type {expected} to go on", default="", show_default=False)
    if typed.strip() != expected:
        raise RefusedError("not confirmed; nothing was changed")


def decide(home: Home, change: Callable[[], Control]) -> Control:
    """Write a decision and wake the engine. Raises TradeEngineError when it cannot be written."""
    try:
        control = change()
    except OSError as error:
        raise TradeEngineError(
            f"{home.state}/control.json was not written: {error.strerror or error}; "
            f"to stop everything: touch {home.state}/HALT"
        ) from error
    send_nudge(home)
    return control


def tell(home: Home, *lines: str) -> None:
    """Say what happens next, and warn when nobody is there to obey."""
    for line in lines:
        typer.echo(line)
    if not read_status(home, now_ms())["executor_running"]:
        typer.echo("The engine is not running: it obeys once it is started.", err=True)


def command_for(name: str, scope: Scope) -> str:
    """Write the command line of a brake for a scope."""
    account = f" --account {scope.account}" if scope.account else ""
    symbol = f" {scope.symbol}" if scope.symbol else ""
    return f"./trade-engine {name}{symbol}{account}"


def _symbols(home: Home, settings: Settings) -> set[str]:
    configured = {row.symbol for row in settings.weights}
    mapped = {symbol for row in settings.mapping.values() for symbol in row.values()}
    held = {
        str(row.get("symbol"))
        for account in read_status(home, now_ms())["accounts"]
        for row in account.get("symbols", ())
    }
    return configured | mapped | held


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"
