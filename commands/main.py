"""The `trade-engine` command line: a table of commands, each loaded only when it is asked for.

A command is a file here with a function `command` (typer options as its parameters), or with an
`app` of sub-commands, and one line in the table. It raises our errors; here they become exit codes.
"""

import importlib
import inspect
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import typer

from commands.tables import plain
from core.errors import BusyError, ConfigError, TradeEngineError
from core.process.exit_codes import ExitCode

SET_UP: Final = "Set up and prove"
RUN: Final = "Run"
READ: Final = "Look"
BRAKES: Final = "Stop and allow"
MEND: Final = "Put right"
DEVELOP: Final = "Develop"
MARK: Final = "Example: "
"""Before the command line that each help ends with."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a command lives and what the overview says of it."""

    module: str
    help: str
    panel: str
    is_alias: bool = False  # works, and is not in the overview


COMMANDS: Final = {
    "up": Entry("up", "Start everything, wait until it is ready, print its addresses.", SET_UP),
    "config": Entry(
        "config", "List the wizards for accounts, mapping, weights; check files.", SET_UP
    ),
    "check": Entry("check", "Check keys, rights, markets, sources and services.", SET_UP),
    "check-wallet": Entry("check", "The same as check.", SET_UP, is_alias=True),
    "check-universe": Entry("check", "The same as check.", SET_UP, is_alias=True),
    "webhook": Entry("webhook", "Show what to enter at TradingView; try an alert out.", SET_UP),
    "send-signal": Entry(
        "send_signal", "Post an alert to the receiver, as TradingView would.", SET_UP
    ),
    "test-trade": Entry("test_trade", "Open and close the smallest position, to prove it.", SET_UP),
    "send-log-message": Entry(
        "send_log_message", "Send a test message to each notification channel.", SET_UP
    ),
    "down": Entry("down", "Stop everything of this checkout and home.", RUN),
    "restart": Entry("restart", "Restart all services, or one.", RUN),
    "ps": Entry("ps", "Show the services under PM2.", RUN),
    "logs": Entry("logs", "Show or follow the services' logs.", RUN),
    "start": Entry("start", "Run the engine in the foreground, or one cycle of it.", RUN),
    "status": Entry("status", "Show how the engine stands.", READ),
    "positions": Entry("positions", "Show what is held and wanted, read from the exchange.", READ),
    "signals": Entry("signals", "Show the newest signal of each source and symbol.", READ),
    "why": Entry("why", "Show why a symbol is held as it is.", READ),
    "plan": Entry("plan", "Show what the engine would do now, and why; sends nothing.", READ),
    "doctor": Entry("doctor", "Look at this machine; bundle what a helper needs.", READ),
    "console": Entry("console", "Open Python with everything at hand, read-only.", READ),
    "version": Entry("version", "Print the versions of what runs here.", READ),
    "hello": Entry("hello", "Say hello: versions and the home folder.", READ),
    "pause": Entry("pause", "Allow reductions only.", BRAKES),
    "halt": Entry("halt", "Send nothing at all.", BRAKES),
    "flatten": Entry("flatten", "Cancel our orders, reduce everything to zero, then halt.", BRAKES),
    "resume": Entry("resume", "Lift a pause, a halt or a stop of the engine's own.", BRAKES),
    "block": Entry("block", "Let a symbol only be reduced.", BRAKES),
    "unblock": Entry("unblock", "Lift the block of a symbol.", BRAKES),
    "arm": Entry("arm", "Let the engine trade a live account.", BRAKES),
    "disarm": Entry("disarm", "Put a live account back to dry-run.", BRAKES),
    "correct-accounts": Entry(
        "correct_accounts", "Bring positions that are held back to their targets.", MEND
    ),
    "repair": Entry("repair", "Settle orders whose end nobody knows.", MEND),
    "test": Entry("test", "Run linters, types, import contracts and all tests.", DEVELOP),
}


def build(wanted: str | None) -> typer.Typer:
    """Build the command line with one command loaded and the others as lines of the overview."""
    line = typer.Typer(
        name="trade-engine",
        help="Weighs trading signals into one target per symbol; makes your accounts hold it.",
        epilog=f"{MARK}./trade-engine up",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @line.callback()
    def only_commands() -> None:
        """Make typer expect a command's name even where only one command is loaded."""

    for name, entry in COMMANDS.items():
        if name != wanted:
            line.command(name, help=entry.help, rich_help_panel=entry.panel, hidden=entry.is_alias)(
                _not_loaded
            )
            continue
        module = importlib.import_module(f"commands.{entry.module}")
        if isinstance(group := getattr(module, "app", None), typer.Typer):
            line.add_typer(group, name=name, help=entry.help, rich_help_panel=entry.panel)
        else:
            _add(line, name, entry, module)
    return line


def _add(line: typer.Typer, name: str, entry: Entry, module: Any) -> None:  # noqa: ANN401
    told, example = help_of(module)
    words = example.split(" ")
    line.command(
        name,
        help=told,
        epilog=" ".join([*words[:2], name, *words[3:]]),  # an alias's own example
        rich_help_panel=entry.panel,
        context_settings=getattr(module, "CONTEXT_SETTINGS", None),
    )(module.command)


def help_of(module: Any) -> tuple[str, str]:  # noqa: ANN401 - a command's module
    """Give what a command says of itself, and its example: `EXAMPLE`, else the docstring's end."""
    told, _, last = (inspect.getdoc(module.command) or "").partition(MARK)
    example = str(getattr(module, "EXAMPLE", last)).removeprefix(MARK)
    return told.strip(), f"{MARK}{example.strip()}" if example else ""


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; our own errors become one line on stderr."""
    wanted = next((word for word in arguments if not word.startswith("-")), None)
    try:
        build(wanted)(list(arguments), prog_name="trade-engine")
    except SystemExit as end:
        return int(ExitCode.UNEXPECTED) if isinstance(end.code, str) else int(end.code or 0)
    except TradeEngineError as error:
        for line in f"trade-engine: {error}".splitlines():
            typer.echo(plain(line), err=True)
        return int(_code_of(error))
    except KeyboardInterrupt:
        return 130  # as a shell reports Ctrl-C
    return int(ExitCode.OK)


def app() -> int:
    """Run the command line of this process."""
    logging.getLogger().addHandler(logging.NullHandler())  # what matters is said by the command
    return run(sys.argv[1:])


def _code_of(error: TradeEngineError) -> ExitCode:
    if isinstance(error, BusyError):
        return ExitCode.BUSY
    if isinstance(error, ConfigError):
        return ExitCode.CONFIG
    return getattr(error, "exit_code", ExitCode.UNEXPECTED)


def _not_loaded() -> None:
    """Stand in the overview for a command that was not asked for."""
