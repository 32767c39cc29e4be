"""Errands between a command and the engine: who asks is in control.json, what came of it here.

A result is `state/errands/ID.json`, written once by the engine; the command that asked removes it.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from core.control.decisions import Control, Errand
from core.home import Home
from core.process.identity import is_same_process
from core.store import atomic_write_json


def result_path(home: Home, errand_id: str) -> Path:
    """Name the file of an errand's result."""
    return home.state / "errands" / f"{errand_id}.json"


class Errands:
    """The engine's side: what it is asked for, and its answers."""

    def __init__(self, home: Home, read_control: Callable[[], Control]) -> None:
        self._home = home
        self._read_control = read_control
        self._done: set[str] = set()
        self._begun: set[str] = set()

    def asked(self, account: str) -> Errand | None:
        """Give what is asked of an account and not done yet; None when nobody waits for it."""
        for errand in self._read_control().errands:
            if errand.account != account or errand.id in self._done:
                continue
            if result_path(self._home, errand.id).exists() or not self.is_wanted(errand):
                continue
            if errand.id not in self._begun and self._begun_path(errand).exists():
                self._tell_of_restart(errand)
                continue
            return errand
        return None

    def begin(self, errand: Errand) -> None:
        """Note that it begins: it is not done a second time. Raises OSError."""
        path = self._begun_path(errand)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        atomic_write_json(path, {"at": "begun"})
        self._begun.add(errand.id)

    def _begun_path(self, errand: Errand) -> Path:
        return result_path(self._home, errand.id).with_suffix(".begun")

    def _tell_of_restart(self, errand: Errand) -> None:
        """Answer for the process that began it and ended in the middle."""
        text = (
            "the engine ended in the middle; what was opened is closed by its next passes: look at "
            "./trade-engine positions"
        )
        row = {"account": errand.account, "symbol": errand.symbol, "side": errand.side}
        with suppress(OSError):
            self.finish(errand, {"outcome": "left", "text": text, "legs": [], **row})

    def is_wanted(self, errand: Errand) -> bool:
        """Tell whether the command that asked still waits."""
        is_there = any(row.id == errand.id for row in self._read_control().errands)
        return is_there and is_same_process(errand.pid, errand.started)

    def finish(self, errand: Errand, result: Mapping[str, Any]) -> None:
        """Write the answer. Raises OSError; it is not done a second time all the same."""
        self._done.add(errand.id)
        path = result_path(self._home, errand.id)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        atomic_write_json(path, result)
        self._begun_path(errand).unlink(missing_ok=True)
