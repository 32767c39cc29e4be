"""`trade-engine console`: Python with everything at hand, to look around. Read-only unless told."""

import code
import contextlib
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final

import typer

from commands.braking import ask, now_ms
from commands.console_accounts import ConsoleAccounts
from commands.position_rows import Row, cached_rows
from commands.signals import newest_rows, source_names
from core.errors import TradeEngineError
from core.home import Home
from core.process.lease import lock_now
from core.process.logs import redact
from core.settings import load_settings
from core.status import read_status
from monitor.secrecy import mask_secrets

EXAMPLE: Final = "./trade-engine console"
NAMES: Final = """\
home         the folder of configuration, signals and state
settings     what is configured, as it is in force
status       how everything stood when this console began; status_now() asks again
signals      the newest signal of each source and symbol
positions()  what the engine last saw to be held
accounts     accounts["NAME"].fetch_positions(), .fetch_equity(), .fetch_open_orders() ..."""


def command(
    unsafe_write: Annotated[
        bool,
        typer.Option(
            "--unsafe-write",
            help="Let accounts place, cancel and set. Only while the engine is stopped.",
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Open Python with home, settings, status, signals, positions() and accounts at hand."""
    home = Home.from_environment()
    settings = load_settings(home)
    mask_secrets(settings)
    with contextlib.ExitStack() as closing:
        if unsafe_write:
            ask("This console can trade, past every limit", expected="unsafe", is_sure=yes)
            # never beside the engine: both would act on the same account
            path = home.state / "trade-engine.lock"
            closing.enter_context(lock_now(path, f"trade-engine ({path})"))
        accounts = ConsoleAccounts(home, settings, is_writable=unsafe_write)
        closing.callback(accounts.close)
        names: dict[str, Any] = {
            "home": home,
            "settings": settings,
            "status": read_status(home, now_ms()),
            "status_now": lambda: read_status(home, now_ms()),
            "signals": [row for name in source_names(home) for row in newest_rows(home, name)],
            "positions": lambda: _positions(home),
            "accounts": accounts,
        }
        kind = "UNSAFE: accounts are writable" if unsafe_write else "read-only"
        _interact(f"trade-engine console, {kind}\n{NAMES}", names)


def _positions(home: Home) -> list[Row]:
    return [row for account in read_status(home, now_ms())["accounts"] for row in _rows(account)]


def _rows(account: dict[str, Any]) -> list[Row]:
    return [] if account.get("last_pass_at_ms") is None else list(cached_rows(account))


def _interact(banner: str, names: dict[str, Any]) -> None:
    """Hand over to IPython where it is installed, and a person is there to use it."""
    with _short_errors():
        if sys.stdin.isatty():
            try:
                import IPython  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415
            except ImportError:
                pass
            else:
                typer.echo(banner)
                IPython.start_ipython(argv=["--no-banner"], user_ns=names)
                return
        code.interact(banner=banner, local=names, exitmsg="")


@contextmanager
def _short_errors() -> Iterator[None]:
    """Show our own errors in one line, and every error without a secret."""
    before = sys.excepthook

    def show(kind: type[BaseException], error: BaseException, trace: Any) -> None:  # noqa: ANN401
        if issubclass(kind, TradeEngineError):
            typer.echo(redact(f"{kind.__name__}: {error}"), err=True)
        else:
            text = "".join(traceback.format_exception(kind, error, trace))
            typer.echo(redact(text), err=True, nl=False)

    sys.excepthook = show
    try:
        yield
    finally:
        sys.excepthook = before
