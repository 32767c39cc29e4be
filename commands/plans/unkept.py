"""The engine's memory without the disk: read as it is, and what is new is gone at the end.

For commands that must change no file: each class loads what its parent loads, and stores nothing.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from core.control.flattens import DoneFlattens
from core.decision import Frozen
from core.frozen_targets import FrozenTargets
from core.home import Home
from core.model import Contribution
from core.safety.baselines import Baselines
from core.safety.losses import Baseline
from core.settings import SettingsReader
from core.settings.files import ConfigFile, Content
from core.settings.snapshot import CREDENTIALS, ENGINE, MAPPING, WEIGHTS
from core.settings.validation import ConfigProblem
from core.signal_manager import SignalManager
from core.trips import Trips


class NoLog:
    """A journal that forgets (`commands.engine_world.Log`)."""

    async def commit(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Forget them."""

    async def close(self) -> None:
        """Nothing was opened."""


class UnkeptTargets(FrozenTargets):
    """Frozen lots of which new ones stay in memory."""

    def put(
        self,
        account: str,
        changed: Mapping[str, Frozen],
        *,
        only: Container[str] | None = None,
        proves_disk: bool = False,
    ) -> bool:
        """Keep them in memory; as after a write that succeeded."""
        del proves_disk
        rows = self._rows.get(account, {})
        kept = {s: f for s, f in rows.items() if only is None or s in only}
        self._rows = {**self._rows, account: {**kept, **changed}}
        return True


class UnkeptTrips(Trips):
    """Stops of which new ones stay in memory."""

    def _save(self) -> None:
        return

    def _copy(self, aside: Path) -> None:
        """Copy nothing."""


class UnkeptFlattens(DoneFlattens):
    """Done flattens of which new ones stay in memory."""

    def put(self, account: str, ids: Iterable[str]) -> None:
        """Keep them in memory."""
        self._done = {**self._done, account: set(ids)}


class UnkeptBaselines(Baselines):
    """Baselines of which new ones stay in memory."""

    def put(self, key: str, baseline: Baseline) -> None:
        """Keep it in memory."""
        self._rows = {**self._rows, key: baseline}


class UnkeptSignals(SignalManager):
    """What the sources say, of which nothing is remembered or confirmed."""

    def remember(self, found: Sequence[Contribution]) -> None:
        """Tell what is missing, and remember nothing."""
        for one in self._sources:
            self._tell_missing(one.name, [c for c in found if c.source == one.name])

    def confirm_execution(
        self, account: str, versions: Mapping[str, str], depths: Mapping[str, Decimal]
    ) -> None:
        """Confirm nothing."""
        del account, versions, depths


class _UnkeptFile(ConfigFile[Content]):
    def _keep_copy(self, content: bytes) -> tuple[ConfigProblem, ...]:
        del content
        return ()

    def _tighten(self, mode: int) -> None:
        """Leave the file's mode to those who may change it."""


class UnkeptSettings(SettingsReader):
    """The configuration files, of which no copies are kept and whose modes are left alone."""

    def __init__(self, home: Home) -> None:
        super().__init__(home)
        where = (home.root, home.last_good)
        self._credentials = _UnkeptFile(CREDENTIALS, *where)
        self._mapping = _UnkeptFile(MAPPING, *where)
        self._weights = _UnkeptFile(WEIGHTS, *where)
        self._engine = _UnkeptFile(ENGINE, *where)
