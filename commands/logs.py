"""`trade-engine logs [NAME]`: the services' logs as readable lines, merged by time, followed.

Reads the files that PM2 writes; needs neither PM2 nor a running service.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from commands.installation.pm2 import OUR_NAMES
from core.home import Home

EXAMPLE: Final = "./trade-engine logs trade-engine --lines 50 --no-follow"
POLL_S: Final = 0.3
TAIL_BYTES: Final = 262_144
"""Read from the end of each file at most."""
PLAIN_KEYS: Final = frozenset({"at", "level", "service", "event", "logger", "trace"})


def command(
    name: Annotated[str | None, typer.Argument(help="One service; all when left out.")] = None,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many of the past.")] = 30,
    follow: Annotated[bool, typer.Option(help="Go on with new lines until Ctrl-C.")] = True,
    raw: Annotated[bool, typer.Option(help="As written: JSON lines.")] = False,
) -> None:
    """Show or follow the services' logs."""
    if name is not None and name not in OUR_NAMES:
        raise typer.BadParameter(f"must be one of {', '.join(OUR_NAMES)}, was {name}")
    folder = Home.from_environment().logs
    names = OUR_NAMES if name is None else (name,)
    files = [_File(folder / f"{row}.{kind}.log", row) for row in names for kind in ("out", "err")]
    for line in _past(files, lines):
        typer.echo(line.text if raw else line.readable())
    while follow:
        for file in files:
            for line in file.read_new():
                typer.echo(line.text if raw else line.readable())
        time.sleep(POLL_S)


class _Line:
    """One line of a log; JSON when a service of ours wrote it, anything else when it crashed."""

    def __init__(self, service: str, text: str) -> None:
        self.service = service
        self.text = text
        self.record = _parsed(text)

    @property
    def at(self) -> str:
        return str(self.record.get("at", ""))

    def readable(self) -> str:
        if not self.record:
            return f"{self.service}: {self.text}"
        record = self.record
        fields = "".join(
            f" {key}={value}" for key, value in record.items() if key not in PLAIN_KEYS
        )
        head = f"{self.at[:23].replace('T', ' ')} {self.service:<20} {record.get('level', ''):<7} "
        trace = f"\n{record['trace']}" if record.get("trace") else ""
        return f"{head}{record.get('event', '')}{fields}{trace}"


class _File:
    """A log file and how far it was read; a rotated or truncated one is read from its start."""

    def __init__(self, path: Path, service: str) -> None:
        self._path = path
        self._service = service
        self._offset = max(0, self._size() - TAIL_BYTES)
        self._is_cut = self._offset > 0  # begins in the middle of a line

    def read_new(self) -> Iterator[_Line]:
        size = self._size()
        if size < self._offset:
            self._offset = 0
        if size == self._offset:
            return
        with self._path.open("rb") as file:
            file.seek(self._offset)
            content = file.read()
        whole = content[: content.rfind(b"\n") + 1]
        self._offset += len(whole)
        rows = whole.decode(errors="replace").splitlines()
        for row in rows[1:] if self._is_cut else rows:
            yield _Line(self._service, row)
        self._is_cut = False

    def _size(self) -> int:
        try:
            return self._path.stat().st_size
        except OSError:
            return 0


def _past(files: list[_File], count: int) -> list[_Line]:
    dated: list[tuple[str, _Line]] = []
    for file in files:
        at = ""
        for line in file.read_new():
            at = line.at or at  # a line without a time belongs to the one before it
            dated.append((at, line))
    dated.sort(key=lambda pair: pair[0])
    return [line for _, line in dated[-count:]] if count else []


def _parsed(text: str) -> dict[str, Any]:
    if not text.startswith("{"):
        return {}
    try:
        record = json.loads(text)
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}
