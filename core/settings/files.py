"""One configuration file: in force when it validates, else its last good copy is.

A file that is half-written, broken, unreadable or gone never becomes defaults where a good version
was ever seen, by this process or an earlier one (drill B13).
"""

import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Generic, TypeVar

from core.errors import ConfigError
from core.file_look import FileLook, look_at
from core.settings.validation import ConfigProblem, InvalidFileError, Severity
from core.store import OWNER_ONLY, atomic_write_bytes, parse_json

Content = TypeVar("Content")
ON_LAST_GOOD: Final = "until then the last good copy is in force"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileKind(Generic[Content]):
    """What we know of one of the configuration files."""

    name: str
    parse: Callable[[object], Content]  # raises InvalidFileError
    empty: Content  # what a missing file means when there never was a good one
    remedy_when_missing: str  # empty: nothing is wrong without the file
    is_secret: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading(Generic[Content]):
    """What is in force of one file, and what is wrong with it."""

    content: Content
    problems: tuple[ConfigProblem, ...] = ()


class ConfigFile(Generic[Content]):
    """Reads one file when it changed; `reads` counts how often its bytes were needed."""

    def __init__(self, kind: FileKind[Content], folder: Path, last_good: Path) -> None:
        self.reads = 0
        self._kind = kind
        self._path = folder / kind.name
        self._copy = last_good / kind.name
        self._good: Content | None = None
        self._warnings: tuple[ConfigProblem, ...] = ()
        self._reading: Reading[Content] | None = None
        self._fetched: tuple[bytes | None, str] = (None, "")
        self._seen: FileLook | None = None

    def read(self) -> Reading[Content]:
        """Give what is in force; the same object while the file is the same.

        Raises ConfigError when the file is invalid and there never was a good one.
        """
        look = look_at(self._path)
        if self._kind.is_secret and look.mode & 0o077 and not self._warnings:
            self._tighten(look.mode)
        if self._reading is None or not look.is_same_as(self._seen):
            fetched = self._fetch()
            if self._reading is None or fetched != self._fetched:
                self._reading = self._judge(*fetched)
            # unreadable: looked at each time, since a new file mode changes no signature
            self._fetched, self._seen = fetched, None if fetched[1] else look
        return self._reading

    def _tighten(self, mode: int) -> None:
        text = f"file mode was {stat.S_IMODE(mode):04o}: others on this machine could read secrets"
        try:
            self._path.chmod(OWNER_ONLY)
            remedy = "it is 0600 now; replace the secrets if others use this machine"
        except OSError:
            remedy = f"run: chmod 600 {self._path}"
        self._warnings = (self._problem(text, remedy, "warning"),)
        self._reading = None  # judged anew, with the warning

    def _fetch(self) -> tuple[bytes | None, str]:
        """Read the bytes; None = there is no file, unless a failure is told beside it."""
        self.reads += 1
        try:
            return self._path.read_bytes(), ""
        except FileNotFoundError:
            return None, ""
        except OSError as error:
            return None, f"{self._kind.name} cannot be read: {error.strerror or error}"

    def _judge(self, fetched: bytes | None, failure: str) -> Reading[Content]:
        if fetched is None and not failure:
            return self._missing()
        if fetched is None:
            return self._fall_back([self._problem(failure, "make it readable to this user")])
        try:
            content = self._kind.parse(parse_json(fetched, self._path))
        except InvalidFileError as error:
            return self._fall_back(error.problems)
        except ConfigError as error:
            return self._fall_back([self._problem(str(error), "correct the file")])
        self._good = content
        return Reading(content=content, problems=self._warnings + self._keep_copy(fetched))

    def _missing(self) -> Reading[Content]:
        text, remedy = f"{self._kind.name} is missing", self._kind.remedy_when_missing
        if self._good is not None or self._copy.exists():
            return self._fall_back([self._problem(text, remedy or "restore the file")])
        problems = (self._problem(text, remedy, "warning"),) if remedy else ()
        return Reading(content=self._kind.empty, problems=problems)

    def _fall_back(self, problems: Iterable[ConfigProblem]) -> Reading[Content]:
        good = self._last_good()
        if good is None:
            raise InvalidFileError(problems)
        told = (replace(row, remedy=f"{row.remedy}; {ON_LAST_GOOD}") for row in problems)
        return Reading(content=good, problems=(*self._warnings, *told))

    def _last_good(self) -> Content | None:
        if self._good is None:
            try:
                self._good = self._kind.parse(parse_json(self._copy.read_bytes(), self._copy))
            except (OSError, ConfigError):
                return None
        return self._good

    def _keep_copy(self, content: bytes) -> tuple[ConfigProblem, ...]:
        try:
            if self._copy.exists() and self._copy.read_bytes() == content:
                return ()
            self._copy.parent.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._copy.parent.mkdir(mode=0o700, exist_ok=True)
            atomic_write_bytes(self._copy, content)
        except OSError as error:
            text = f"no last good copy could be kept: {error.strerror or error}"
            return (self._problem(text, f"make {self._copy.parent} writable", "warning"),)
        return ()

    def _problem(self, text: str, remedy: str, severity: Severity = "error") -> ConfigProblem:
        return ConfigProblem(
            file=self._kind.name, key="", text=text, remedy=remedy, severity=severity
        )
