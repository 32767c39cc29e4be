"""Opening a configuration file for a change, and saving it: whole, valid, over nobody's edit.

A broken file is never written over by itself: its last good copy may be started from, if the person
says so. What is saved was read back by the parser that the engine uses.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from filelock import FileLock, Timeout

from config.prompting import Conversation, agree
from core.errors import BusyError, ConfigError, TradeEngineError
from core.home import Home
from core.process.exit_codes import ExitCode
from core.settings.files import ON_LAST_GOOD, ConfigFile, FileKind
from core.settings.validation import ConfigProblem
from core.store import atomic_write_bytes, parse_json, to_json

LOCK_WAIT_S: Final = 5.0
INTERRUPTED: Final = 130  # as a shell reports Ctrl-C
NOTHING_CHANGED: Final = "Nothing was changed."

Content = TypeVar("Content")


class ChangedError(TradeEngineError):
    """Somebody else changed the file since it was read."""

    exit_code = ExitCode.REFUSED


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened(Generic[Content]):
    """A file as it was read; with problems of severity error it is the last good copy."""

    document: Any  # parsed JSON as it stands there; None = there is no file
    content: Content
    seen: bytes | None  # what the file itself held
    problems: tuple[ConfigProblem, ...] = ()

    @property
    def is_last_good(self) -> bool:
        """Tell whether the file itself is broken or gone, and this is its last good copy."""
        return any(problem.severity == "error" for problem in self.problems)


def open_file(kind: FileKind[Content], home: Home) -> Opened[Content]:
    """Read a file, or its last good copy. Raises ConfigError when there is no good version."""
    seen = bytes_of(home.root / kind.name)
    both: FileKind[tuple[Any, Content]] = FileKind(
        name=kind.name,
        parse=lambda value: (value, kind.parse(value)),
        empty=(None, kind.empty),
        remedy_when_missing="",
        is_secret=kind.is_secret,
    )
    reading = ConfigFile(both, home.root, home.last_good).read()
    document, content = reading.content
    return Opened(document=document, content=content, seen=seen, problems=reading.problems)


def save(
    kind: FileKind[Any], home: Home, document: object, *, seen: bytes | None
) -> tuple[ConfigProblem, ...]:
    """Replace a file with a document, mode 0600, unless it is no longer what `seen` was.

    A link stays and what it leads to is replaced. The last good copy follows at once, so that no
    key outlives its account; what kept it from that is given.

    Raises InvalidFileError for a document that would not be in force, ChangedError, BusyError,
    TradeEngineError; the old file is whole then.
    """
    path = home.root / kind.name
    content = to_json(document, is_indented=True)
    kind.parse(parse_json(content, path))
    try:
        home.make_folders()
        with FileLock(home.state / f"{kind.name}.lock", timeout=LOCK_WAIT_S, mode=0o600):
            if bytes_of(path) != seen:
                raise ChangedError(
                    f"{kind.name} was changed by somebody else meanwhile: nothing was written"
                )
            with _uninterrupted():
                atomic_write_bytes(path.resolve(), content)
                return ConfigFile(kind, home.root, home.last_good).read().problems
    except Timeout as error:
        raise BusyError(f"{kind.name} is being saved by another command: try again") from error
    except OSError as error:
        text = f"{path} was not written: {error.strerror or error}"
        raise TradeEngineError(text) from error


def is_same(document: object, opened: Opened[Any]) -> bool:
    """Tell whether saving would change nothing; the order of keys counts."""
    return not opened.is_last_good and _full(document) == _full(opened.document)


def edit(
    talk: Conversation,
    home: Home,
    kind: FileKind[Content],
    ask: Callable[[Opened[Content]], Any],
    *,
    effect: Callable[[Any, Any], str],
) -> int:
    """Open a file, let `ask` make a new document of it, save that; give the exit code.

    Until it is saved nothing is written; leaving at any question leaves all as it was. `effect`
    says of the documents before and after what makes the change effective. Raises ConfigError
    when no version of the file is good, TradeEngineError when it cannot be written.
    """
    opened = open_file(kind, home)
    try:
        if not _is_fit(talk, kind, opened):
            return ExitCode.CONFIG
        document = ask(opened)
        if is_same(document, opened):
            talk.say(NOTHING_CHANGED)
            return ExitCode.OK
        troubles = _save_or_ask(talk, kind, home, document, opened.seen)
        if troubles is None:
            talk.say(NOTHING_CHANGED)
            return ExitCode.REFUSED
    except (KeyboardInterrupt, EOFError):
        talk.say(NOTHING_CHANGED)
        return INTERRUPTED
    for problem in troubles:
        talk.say(f"! {problem}")
    talk.say(f"Saved to {home.root / kind.name}. {effect(opened.document, document)}")
    return ExitCode.OK


def _is_fit(talk: Conversation, kind: FileKind[Any], opened: Opened[Any]) -> bool:
    for problem in opened.problems:
        talk.say(f"! {replace(problem, remedy=problem.remedy.removesuffix(f'; {ON_LAST_GOOD}'))}")
    if not opened.is_last_good:
        return True
    talk.say(f"The last good copy of {kind.name} is in force.")
    if agree(
        talk, "Start from the last good copy, and replace the file with what you enter (y/n)?"
    ):
        return True
    talk.say(NOTHING_CHANGED)
    return False


def _save_or_ask(
    talk: Conversation, kind: FileKind[Any], home: Home, document: object, seen: bytes | None
) -> tuple[ConfigProblem, ...] | None:
    """Save, and give what there is to tell; None = the person left the file to somebody else."""
    while True:
        try:
            return save(kind, home, document, seen=seen)
        except ChangedError as error:
            talk.say(f"! {error}")
            now = bytes_of(home.root / kind.name)
            if not agree(talk, "Overwrite it with what you entered here (y/n)?"):
                return None
            seen = now


def _full(document: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """Render what there is in a document: nothing, where there is no file or an empty one."""
    if isinstance(document, dict):
        document = {key: row for key, row in document.items() if row}
    return to_json(document) if document else b""


def bytes_of(path: Path) -> bytes | None:
    """Read a file; None = there is none. Raises ConfigError when it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(
            f"{path.name} cannot be read: {error.strerror or error} ({path}); make it readable"
        ) from error


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let no Ctrl-C come between a file that is replaced and the word that it is."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
