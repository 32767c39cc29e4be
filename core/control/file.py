"""`state/control.json` and `state/HALT`: read cheaply by the engine, changed by people's tools.

Writers take a file lock, so that two people's decisions never overwrite each other. A control file
that cannot be read is never "nobody asked for anything".
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from uuid import uuid4

from filelock import FileLock, Timeout
from pydantic import ValidationError

from core.control import EVERYTHING, Armed, Control, ControlEntry, Errand, Resumed, Scope
from core.errors import BusyError, ConfigError
from core.file_look import FileLook, look_at
from core.home import Home
from core.model import Mode
from core.settings import AccountConfig
from core.store import atomic_write_bytes, atomic_write_json, read_json

log = logging.getLogger(__name__)

LOCK_WAIT_S: Final = 5.0


def control_path(home: Home) -> Path:
    """Name the control file."""
    return home.state / "control.json"


def halt_path(home: Home) -> Path:
    """Name the kill file: while it exists nothing is sent, whatever else is said."""
    return home.state / "HALT"


def halt_file_exists(home: Home) -> bool:
    """Tell whether the kill file is there; a folder that cannot be read counts as yes."""
    try:
        halt_path(home).lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def read_control(home: Home) -> Control:
    """Read the control file; a missing one means nobody decided anything.

    Raises ConfigError naming the file when it cannot be understood, OSError when it cannot be read.
    """
    path = control_path(home)
    try:
        value = read_json(path)
    except FileNotFoundError:
        return Control()
    try:
        return Control.model_validate(value)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise ConfigError(f"{path.name} cannot be understood at {where or 'its top'}") from error


class ControlReader:
    """Gives the decisions in force; unchanged, it costs one `stat` call."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._control: Control | None = None
        self._good: Control | None = None
        self._seen: FileLook | None = None

    def read(self) -> Control:
        """Give the decisions in force, the same object while nothing changed.

        Unreadable: the last ones read, or, if there were none, a pause of everything; `problem`
        says so.
        """
        look = look_at(control_path(self._home))
        control = self._control
        if control is None or not look.is_same_as(self._seen):
            now = self._read(is_there=look.is_there)
            control = now if now != control else control
            # with a problem it is read each time: a new file mode changes no signature
            self._control, self._seen = control, None if control.problem else look
        return control

    def _read(self, *, is_there: bool) -> Control:
        if not is_there and self._good is not None and self._good != Control():
            return self._known("control.json is gone; the last decisions hold: state them again")
        try:
            self._good = read_control(self._home)
        except (ConfigError, OSError) as error:
            path = control_path(self._home)
            return self._known(f"{error}; correct {path}, or pause and resume to write it anew")
        return self._good

    def _known(self, problem: str) -> Control:
        if self._good is None:
            return Control(problem=problem, is_unknown=True)
        return self._good.model_copy(update={"problem": problem})


def set_mode(  # noqa: PLR0913 - a decision is who, what, where, why, until when
    home: Home,
    scope: Scope,
    mode: Mode,
    *,
    who: str,
    why: str = "",
    now_ms: int,
    until_ms: int | None = None,
) -> Control:
    """Decide a scope's mode, in place of the earlier decision for exactly that scope.

    RUN is `resume`; `until_ms` ends it by itself. Raises BusyError when another writer holds the
    file, OSError when the disk is full: then nothing changed.
    """
    if mode is Mode.RUN:
        return resume(home, scope, who=who, why=why, now_ms=now_ms)
    entry = ControlEntry(
        scope=scope,
        mode=mode,
        who=who,
        when_ms=now_ms,
        why=why,
        id=_new_id(),
        until_ms=until_ms,
    )
    return _change(home, now_ms, lambda control: control.with_mode(entry))


def block(
    home: Home,
    scope: Scope,
    *,
    who: str,
    why: str = "",
    now_ms: int,
    until_ms: int | None = None,
) -> Control:
    """Let a symbol only be reduced, whatever is paused and resumed, until `unblock`."""
    entry = ControlEntry(
        scope=scope,
        mode=Mode.PAUSE,
        who=who,
        when_ms=now_ms,
        why=why,
        id=_new_id(),
        until_ms=until_ms,
    )
    return _change(home, now_ms, lambda control: control.with_block(scope, entry))


def unblock(home: Home, scope: Scope, *, now_ms: int) -> Control:
    """Lift the block of exactly this scope."""
    return _change(home, now_ms, lambda control: control.with_block(scope, None))


def resume(home: Home, scope: Scope, *, who: str, why: str = "", now_ms: int) -> Control:
    """Lift the decision for exactly this scope, and the engine's holds that it names."""
    resumed = Resumed(scope=scope, who=who, when_ms=now_ms, why=why, id=_new_id())
    return _change(home, now_ms, lambda control: control.with_resumed(_numbered(resumed, control)))


def lift_holds(home: Home, scope: Scope, *, who: str, why: str = "", now_ms: int) -> Control:
    """Lift the engine's holds of exactly this scope; what people decided for it stays."""
    resumed = Resumed(scope=scope, who=who, when_ms=now_ms, why=why, id=_new_id())
    return _change(home, now_ms, lambda control: control.with_lifted(_numbered(resumed, control)))


def _numbered(resumed: Resumed, control: Control) -> Resumed:
    return resumed.model_copy(update={"number": control.number})


def arm(home: Home, account: AccountConfig, *, who: str, now_ms: int) -> Control:
    """Let a live account send orders, for the API key that it has now."""
    armed = Armed(fingerprint=account.fingerprint, who=who, when_ms=now_ms)
    return _change(home, now_ms, lambda control: control.with_armed(account.name, armed))


def disarm(home: Home, account_name: str, *, now_ms: int) -> Control:
    """Make an account dry-run again."""
    return _change(home, now_ms, lambda control: control.with_armed(account_name, None))


def disarm_what_left(home: Home, accounts: Iterable[AccountConfig], *, now_ms: int) -> list[str]:
    """Disarm every account that is gone, needs no arming any more, or has another key."""
    known = {account.name: account for account in accounts}
    armed = read_control(home).armed
    left = [
        name
        for name, row in sorted(armed.items())
        if (found := known.get(name)) is None
        or not found.needs_arming
        or found.fingerprint != row.fingerprint
    ]
    for name in left:
        disarm(home, name, now_ms=now_ms)
    return left


def lend(home: Home, errand: Errand, *, now_ms: int) -> Control:
    """Lend an account to the process that an errand names."""
    return _change(home, now_ms, lambda control: control.with_errand(errand))


def take_back(home: Home, errand_id: str, *, now_ms: int) -> Control:
    """Give an account back to its lane."""
    return _change(home, now_ms, lambda control: control.without_errand(errand_id))


def _change(home: Home, now_ms: int, change: Callable[[Control], Control]) -> Control:
    home.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _locked(home):
        control = change(_control_to_change(home, now_ms).numbered(now_ms))
        atomic_write_json(control_path(home), control.model_dump(mode="json"), is_indented=True)
    return control


@contextmanager
def _locked(home: Home) -> Iterator[None]:
    path = home.state / "control.json.lock"
    try:
        with FileLock(path, timeout=LOCK_WAIT_S, mode=0o600):
            yield
    except Timeout as error:
        raise BusyError(f"{path} is held by another command: try again") from error


def _control_to_change(home: Home, now_ms: int) -> Control:
    """Read what is to be changed; a brake must work on a damaged file too: that is kept aside."""
    path = control_path(home)
    try:
        return read_control(home)
    except ConfigError as error:
        aside = path.with_name(f"{path.name}.damaged-{now_ms}")
        atomic_write_bytes(aside, path.read_bytes())
        log.warning(
            "damaged control.json copied aside", extra={"error": str(error), "path": str(aside)}
        )
    why = "control.json was damaged and earlier decisions are unknown"
    entry = ControlEntry(
        scope=EVERYTHING,
        mode=Mode.PAUSE,
        who="trade-engine",
        when_ms=now_ms,
        why=f"{why}; see {aside.name}",
        id=_new_id(),
    )
    return Control(entries=(entry,))


def _new_id() -> str:
    return uuid4().hex[:12]
