"""What `config credentials`, `mapping` and `weights` have in common: check, show, take a file.

A file is taken only when it validates, in one step, and never over somebody's edit of the same
moment. Nothing printed holds a secret.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
import typer

from commands.tables import plain, print_table
from config.editing import NOTHING_CHANGED, Opened, bytes_of, edit, is_same, open_file, save
from config.prompting import Conversation, TerminalConversation
from core.errors import ConfigError
from core.home import Home
from core.process.exit_codes import ExitCode
from core.settings.files import ConfigFile, FileKind
from core.settings.snapshot import CREDENTIALS
from core.settings.validation import ConfigProblem, InvalidFileError
from core.store import json_default, parse_json

STDIN: Final = "-"
LARGEST_BYTES: Final = 1_000_000  # a configuration file has a few thousand

CheckOption = Annotated[bool, typer.Option("--check", help="Only validate; exit code 78 if not.")]
ShowOption = Annotated[bool, typer.Option("--show", help="Show what is in force, without secrets.")]
JsonOption = Annotated[bool, typer.Option("--json", help="With --show or --check: one JSON line.")]
FromOption = Annotated[
    str, typer.Option("--from", metavar="FILE", help="Replace the file by this one; - is stdin.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How one file is shown; `rows` and `redacted` take a document as it stands in the file."""

    kind: FileKind[Any]
    titles: tuple[str, ...]
    rows: Callable[[Opened[Any]], Sequence[Sequence[str]]]
    redacted: Callable[[Opened[Any]], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What of a file is wished beside changing it."""

    check: bool
    show: bool
    as_json: bool
    source: str  # where a whole new file comes from; "" = nowhere
    has_changes: bool

    def refuse_mixtures(self) -> None:
        """Raise a usage error where two things are wished at once."""
        is_shown = self.show or (self.as_json and not self.check)
        wishes = (self.check, is_shown, bool(self.source), self.has_changes)
        if sum(wishes) > 1:
            raise typer.BadParameter("--check, --show, --from and changes go one at a time")


def look_or_take(
    home: Home,
    view: View,
    wish: Wish,
    *,
    in_new_shape: Callable[[Any], Any] = lambda document: document,
) -> bool:
    """Do what is wished beside changes; tell whether that was anything."""
    wish.refuse_mixtures()
    if wish.check:
        raise typer.Exit(check_files(home, (view.kind,), as_json=wish.as_json))
    if wish.show or wish.as_json:
        show_kinds(home, (view,), as_json=wish.as_json)
        return True
    if wish.source:
        take(home, view.kind, wish.source, in_new_shape)
        return True
    return False


def check_files(home: Home, kinds: Sequence[FileKind[Any]], *, as_json: bool) -> ExitCode:
    """Validate files and print what is wrong with them; a warning is no failure.

    Accounts are judged by what their venues ask for, too.
    """
    found = {kind.name: _problems(home, kind) for kind in kinds}
    valid = {name: all(row.severity != "error" for row in rows) for name, rows in found.items()}
    if as_json:
        files = [
            {"file": name, "problems": [_as_json(row) for row in rows]}
            for name, rows in found.items()
        ]
        typer.echo(orjson.dumps({"valid": all(valid.values()), "files": files}))
    else:
        for name, rows in found.items():
            _tell(rows)
            if valid[name]:
                typer.echo(f"{name}: {'ok' if (home.root / name).exists() else 'not there'}")
    return ExitCode.OK if all(valid.values()) else ExitCode.CONFIG


def _tell(problems: Sequence[ConfigProblem], *, err: bool = False) -> None:
    for problem in problems:
        typer.echo(plain(f"{problem.severity}: {problem}"), err=err)


def show_kinds(home: Home, views: Sequence[View], *, as_json: bool) -> None:
    """Print files as they are in force. Raises ConfigError where none is."""
    opened = [(view, open_file(view.kind, home)) for view in views]
    for _, one in opened:
        _tell(one.problems, err=True)
    if as_json:
        shown = {view.kind.name: view.redacted(one) for view, one in opened}
        content = next(iter(shown.values())) if len(views) == 1 else shown
        typer.echo(orjson.dumps(content, default=json_default))
        return
    for view, one in opened:
        typer.echo(f"{view.kind.name}:")
        print_table(view.titles, view.rows(one))


def take(home: Home, kind: FileKind[Any], source: str, in_new_shape: Callable[[Any], Any]) -> None:
    """Replace a file by another one, or by stdin, if that validates. Raises ConfigError."""
    seen = bytes_of(home.root / kind.name)
    document = parse_json(_given(source), Path(source if source != STDIN else "stdin"))
    if misfits := _misfits(kind, kind.parse(document)):
        raise InvalidFileError(misfits)
    _tell(save(kind, home, in_new_shape(document), seen=seen), err=True)
    typer.echo(f"Saved to {home.root / kind.name}.")


def store(home: Home, kind: FileKind[Any], opened: Opened[Any], document: object) -> None:
    """Save what the command line changed. Raises ConfigError, ChangedError."""
    if is_same(document, opened):
        typer.echo(NOTHING_CHANGED)
        return
    _tell(save(kind, home, document, seen=opened.seen), err=True)
    typer.echo(f"Saved to {home.root / kind.name}.")


def open_to_change(home: Home, kind: FileKind[Any]) -> Opened[Any]:
    """Open a file for a change without a person: a broken one is not written over.

    Raises InvalidFileError.
    """
    opened = open_file(kind, home)
    if opened.is_last_good:
        raise InvalidFileError(row for row in opened.problems if row.severity == "error")
    return opened


def person(name: str, instead: str, *, has_secrets: bool = False) -> Conversation:
    """Give the person at the terminal; exit code 2 without one."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        typer.echo(
            f"config {name} asks questions and needs a terminal; without one: {instead}", err=True
        )
        raise typer.Exit(ExitCode.USAGE)
    return TerminalConversation(
        clean=plain, print_line=typer.echo, print_table=print_table, has_secrets=has_secrets
    )


def run_wizard(
    talk: Conversation,
    home: Home,
    kind: FileKind[Any],
    ask: Callable[[Opened[Any]], Any],
    *,
    effect: Callable[[Any, Any], str],
) -> None:
    """Let a wizard change a file; ends in its exit code."""
    raise typer.Exit(edit(talk, home, kind, ask, effect=effect))


def _problems(home: Home, kind: FileKind[Any]) -> tuple[ConfigProblem, ...]:
    try:
        reading = ConfigFile(kind, home.root, home.last_good).read()
    except InvalidFileError as error:
        return error.problems
    if any(problem.severity == "error" for problem in reading.problems):
        return reading.problems  # what is in force is not what the file says
    return reading.problems + _misfits(kind, reading.content)


def _misfits(kind: FileKind[Any], content: Any) -> tuple[ConfigProblem, ...]:  # noqa: ANN401
    if kind is not CREDENTIALS:
        return ()
    from commands.configuring.venue_fit import misfits  # noqa: PLC0415 - loads the venues' profiles

    return misfits(content)


def _as_json(problem: ConfigProblem) -> dict[str, str]:
    names = ("key", "text", "remedy", "severity")
    return {name: getattr(problem, name) for name in names}


def _given(source: str) -> bytes:
    try:
        if source == STDIN:
            content = sys.stdin.buffer.read(LARGEST_BYTES + 1)
        else:
            with Path(source).expanduser().open("rb") as file:
                content = file.read(LARGEST_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{source} cannot be read: {error.strerror or error}") from error
    if len(content) > LARGEST_BYTES:
        raise ConfigError(f"{source} has more than {LARGEST_BYTES} bytes: is it the right file?")
    return content
