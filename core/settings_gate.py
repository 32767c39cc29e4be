"""Lets an edit that moves much money count only when it was read twice (design §4).

Pure but for the time it is given. An editor that saves half a file, or a slip that closes
everything, is then seen before it is acted on.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from core.cycle import weighing_for
from core.model import ZERO, Contribution
from core.settings import Settings
from core.targets import compute_targets

SECOND_READ_MS = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    hash: str
    since_ms: int


class SettingsGate:
    """Remembers which settings are in force."""

    def __init__(self) -> None:
        self._in_force: Settings | None = None
        self._waiting: _Waiting | None = None
        self.effect = ""  # what the edit that was just let through does, for the event
        self.waits_for = ""  # what the edit that waits would do

    @property
    def in_force(self) -> Settings | None:
        """The settings in force before the next `admit`; None = none yet."""
        return self._in_force

    def admit(
        self,
        read: Settings,
        now_says: Sequence[Contribution],
        then_says: Sequence[Contribution],
        now_ms: int,
    ) -> Settings:
        """Give the settings in force after this read of the files.

        `now_says` is what the sources say under the settings in force, `then_says` what they would
        say under those that were read: a mapping changes it, too.
        """
        before = self._in_force
        self.effect = ""
        if before is None or before.hash == read.hash:
            self._in_force, self._waiting, self.waits_for = read, None, ""
            return read
        effect = _large_effect(before, read, now_says, then_says, now_ms)
        if effect and not self._is_second_read(read, now_ms):
            self.waits_for = effect
            return before
        self._in_force, self._waiting = read, None
        self.effect, self.waits_for = effect or "no large change of exposure", ""
        return read

    def _is_second_read(self, read: Settings, now_ms: int) -> bool:
        if self._waiting is None or self._waiting.hash != read.hash:
            self._waiting = _Waiting(hash=read.hash, since_ms=now_ms)
            return False
        return now_ms - self._waiting.since_ms >= SECOND_READ_MS


def _large_effect(
    before: Settings,
    after: Settings,
    now_says: Sequence[Contribution],
    then_says: Sequence[Contribution],
    now_ms: int,
) -> str:
    limit = after.engine.engine.config_change_limit
    effects = []
    for account in after.accounts:
        old = compute_targets(now_says, weighing_for(before, account), now_ms=now_ms)
        new = compute_targets(then_says, weighing_for(after, account), now_ms=now_ms)
        symbols = sorted({*old, *new})
        was = {s: old[s].exposure if s in old else ZERO for s in symbols}
        becomes = {s: new[s].exposure if s in new else ZERO for s in symbols}
        change = sum((abs(becomes[s] - was[s]) for s in symbols), ZERO)
        closes_all = any(was.values()) and not any(becomes.values())
        if change > limit or closes_all:
            lines = [f"{s} {was[s]} -> {becomes[s]}" for s in symbols if was[s] != becomes[s]]
            effects.append(f"{account.name}: {', '.join(lines)} x equity")
    return "; ".join(effects)
