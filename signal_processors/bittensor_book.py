"""Which positions the miners hold, as snapshots and pushes have it together.

Pure state: no I/O, clock or chance. What disappears without being closed is held, not flat: until
enough snapshots agree, or its miner is gone. A push is newer than a snapshot that was built before
it, whatever arrives first.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from signal_processors.bittensor_model import Miner, MinerPosition, Snapshot

CLOSED_KEPT_MS: Final = 3_600_000
"""How long a pushed close outlives snapshots that were built before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A position that counts, and how many snapshots in a row did not show it."""

    position: MinerPosition
    missing: int = 0


class PositionBook:
    """All open positions by their id."""

    def __init__(self, held: Iterable[Held] = ()) -> None:
        self._held: dict[str, Held] = {row.position.uuid: row for row in held}
        self._closed: dict[str, int] = {}  # pushed closes: when they were processed
        self.pushed_at_ms = 0  # newest order that a push showed

    def rows(self) -> tuple[Held, ...]:
        """Give everything that counts, held ones among it."""
        return tuple(self._held.values())

    def positions(self) -> tuple[MinerPosition, ...]:
        """Give the positions that count."""
        return tuple(row.position for row in self._held.values())

    def missing(self) -> int:
        """Count the positions that the newest snapshots do not show and that are held."""
        return sum(row.missing > 0 for row in self._held.values())

    def take_push(self, position: MinerPosition) -> bool:
        """Take a pushed position; False when something newer of it is known."""
        known = self._held.get(position.uuid)
        known_ms = self._closed.get(position.uuid, 0) if known is None else _updated(known)
        if position.updated_at_ms < known_ms:
            return False
        self.pushed_at_ms = max(self.pushed_at_ms, position.updated_at_ms)
        if position.is_closed:
            self._held.pop(position.uuid, None)
            self._closed[position.uuid] = position.updated_at_ms
        else:
            self._closed.pop(position.uuid, None)
            self._held[position.uuid] = Held(position=position)
        return True

    def take_snapshot(
        self,
        snapshot: Snapshot,
        *,
        gone: Collection[str] = (),
        vanish_after: int,
        is_forced: bool = False,
    ) -> None:
        """Take a snapshot that was believed.

        `gone` are miners eliminated or not registered. One that was forced upon us is right about
        what it shows even where we know something newer: the validator lost it.
        """
        if is_forced:
            self._closed.clear()
        self._closed = {
            uuid: at_ms
            for uuid, at_ms in self._closed.items()
            if at_ms > snapshot.watermark_ms - CLOSED_KEPT_MS
        }
        shown = {p.uuid: p for miner in snapshot.miners.values() for p in miner.positions}
        for position in shown.values():
            self._show(position, is_forced=is_forced)
        for uuid in self._held.keys() - shown.keys():
            self._miss(uuid, snapshot, vanish_after)
        self._held = {u: row for u, row in self._held.items() if row.position.hotkey not in gone}

    def _show(self, position: MinerPosition, *, is_forced: bool) -> None:
        """Take what a snapshot shows as open, unless something newer of it is known."""
        known = self._held.get(position.uuid)
        if is_forced or self._is_news(position):
            self._held[position.uuid] = Held(position=position)
        elif known is not None:
            self._held[position.uuid] = replace(known, missing=0)

    def _is_news(self, position: MinerPosition) -> bool:
        """Tell whether a snapshot's position is at least as new as what is known of it."""
        known = self._held.get(position.uuid)
        if known is not None:
            return position.updated_at_ms >= _updated(known)
        return position.updated_at_ms > self._closed.get(position.uuid, 0)

    def _miss(self, uuid: str, snapshot: Snapshot, vanish_after: int) -> None:
        """Judge a position that the snapshot does not show as open."""
        row = self._held[uuid]
        hotkey = row.position.hotkey
        if hotkey in snapshot.dropped:
            return  # unreadable is not absent
        miner = snapshot.miners.get(hotkey)
        if miner is not None and _has_closed(miner, uuid):
            if _updated(row) <= snapshot.watermark_ms:
                del self._held[uuid]
            return
        if _updated(row) > snapshot.watermark_ms:
            return  # pushed after the snapshot was built
        if row.missing + 1 >= vanish_after:
            del self._held[uuid]
        else:
            self._held[uuid] = replace(row, missing=row.missing + 1)


def vanished(
    book: PositionBook, snapshot: Snapshot, weights: Mapping[str, object]
) -> tuple[int, int]:
    """Count the open positions of followed miners in a snapshot's reach: (vanished, all).

    Vanished = the miner is there and readable, and shows the position neither open nor closed.
    """
    gone = total = 0
    for position in book.positions():
        miner = snapshot.miners.get(position.hotkey)
        if position.hotkey not in weights or miner is None:
            continue
        total += 1
        is_shown = any(p.uuid == position.uuid for p in miner.positions)
        is_newer = position.updated_at_ms > snapshot.watermark_ms
        gone += not (is_shown or is_newer or _has_closed(miner, position.uuid))
    return gone, total


def _updated(row: Held) -> int:
    return row.position.updated_at_ms


def _has_closed(miner: Miner, uuid: str) -> bool:
    return any(trade.uuid == uuid for trade in miner.trades)
