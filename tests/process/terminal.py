"""A program in a real terminal: typed at, read, and ended."""

import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

UP: Final = "\x1b[A"
DOWN: Final = "\x1b[B"
ENTER: Final = "\r"
CTRL_C: Final = "\x03"
CODES: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-B0-2]|\x1b[=>]|\r")


class Terminal:
    """Runs a program on a pseudo-terminal; used within `with`."""

    def __init__(
        self, words: Sequence[str], environment: Mapping[str, str], cwd: str, *, columns: int = 120
    ) -> None:
        self._handle, inner = pty.openpty()
        self._process = subprocess.Popen(  # noqa: S603 - this test's own words
            words,
            env={**environment, "TERM": "xterm", "COLUMNS": str(columns), "LINES": "40"},
            cwd=cwd,
            stdin=inner,
            stdout=inner,
            stderr=inner,
            start_new_session=True,
        )
        os.close(inner)
        self.text = ""  # everything that was printed, without control codes
        self._seen = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._handle)

    def expect(self, words: str, limit_s: float = 20.0) -> None:
        """Read on until these words come; what came before them is done with."""
        deadline = time.monotonic() + limit_s
        while (at := self.text.find(words, self._seen)) < 0:
            left_s = deadline - time.monotonic()
            assert left_s > 0, f"never said {words!r}; said:\n{self.text[self._seen :]}"
            self._read(left_s)
        self._seen = at + len(words)

    def type(self, keys: str) -> None:
        """Type."""
        os.write(self._handle, keys.encode())

    def end(self, limit_s: float = 20.0) -> int:
        """Read to the end and give the exit code."""
        deadline = time.monotonic() + limit_s
        while self._process.poll() is None and time.monotonic() < deadline:
            self._read(0.1)
        self._read(0.1)
        return self._process.wait(timeout=1)

    def _read(self, limit_s: float) -> None:
        if select.select([self._handle], [], [], limit_s)[0]:
            with suppress(OSError):  # the program ended
                got = os.read(self._handle, 65_536).decode(errors="replace")
                if "\x1b[6n" in got:  # it asks where the cursor is
                    self.type("\x1b[1;1R")
                self.text += CODES.sub("", got)
