"""Everything that the status is made of, read from files only: a dead engine hinders nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from core.control import Control
from core.control.file import halt_file_exists, halt_path, read_control
from core.errors import ConfigError
from core.home import Home
from core.process.lease import read_holder
from core.process.service_status import read_status as read_part

ENGINE: Final = "trade-engine"
NOTE_CHARACTERS: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePart:
    """What a service said of itself, and whether the process that said it still lives."""

    name: str
    said: Mapping[str, Any]
    is_alive: bool

    @property
    def is_stopped(self) -> bool:
        """Tell whether it ended because it was asked to."""
        return "stopped_at_ms" in self.said

    @property
    def exception(self) -> "Crash | None":
        """Give what it died of, if it did."""
        return Crash.read(self.said.get("exception"))

    @property
    def last_crash(self) -> "Crash | None":
        """Give what an earlier process of that name died of."""
        return Crash.read(self.said.get("last_crash"))

    def at_ms(self, key: str) -> int | None:
        """Give one of its times; None when it is not there."""
        return _whole(self.said.get(key))


@dataclass(frozen=True, slots=True, kw_only=True)
class Crash:
    """How a process ended that was not asked to."""

    message: str  # with the error's type before it
    trace: str
    at_ms: int | None

    @classmethod
    def read(cls, said: object) -> "Crash | None":
        """Take it from a status part; None when there is none."""
        if not isinstance(said, dict):
            return None
        message = f"{said.get('type', 'Error')}: {said.get('message', '')}"
        return cls(message=message, trace=str(said.get("tb", "")), at_ms=_whole(said.get("at_ms")))


@dataclass(frozen=True, slots=True, kw_only=True)
class HaltFile:
    """The kill file: what is written in it and when it was made; None = cannot be told."""

    note: str
    since_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusParts:
    """All that is known, at one moment."""

    services: Mapping[str, ServicePart] = field(default_factory=dict)
    control: Control = field(default_factory=Control)
    halt: HaltFile | None = None

    @property
    def engine(self) -> ServicePart:
        """The engine's part; one that says nothing when it never ran."""
        return self.services.get(ENGINE) or ServicePart(name=ENGINE, said={}, is_alive=False)


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def read_parts(home: Home) -> StatusParts:
    """Read all parts. Never raises: what cannot be read is told in the status."""
    try:
        names = sorted(path.stem for path in (home.state / "status").glob("*.json"))
    except OSError:
        names = []
    return StatusParts(
        services={name: _service(home, name) for name in names},
        control=_control(home),
        halt=_halt(home),
    )


def _service(home: Home, name: str) -> ServicePart:
    said = read_part(home, name)
    # the lock knows the process by pid and start time: a reused pid is somebody else
    holder = read_holder(home.state / f"{name}.lock")
    is_alive = holder is not None and holder.pid == said.get("pid") and holder.is_alive
    return ServicePart(name=name, said=said, is_alive=is_alive)


def _control(home: Home) -> Control:
    try:
        return read_control(home)
    except (ConfigError, OSError) as error:
        problem = f"{error}; pause and resume to write it anew"
        return Control(problem=problem, is_unknown=True)


def _halt(home: Home) -> HaltFile | None:
    if not halt_file_exists(home):
        return None
    path = halt_path(home)
    try:
        since_ms = path.lstat().st_mtime_ns // 1_000_000
        note = path.read_text(encoding="utf-8", errors="replace")[:NOTE_CHARACTERS].strip()
    except OSError:
        return HaltFile(note="", since_ms=None)
    return HaltFile(note=note.partition("\n")[0], since_ms=since_ms)
