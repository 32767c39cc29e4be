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
UNREADABLE_KEPT_MS: Final = 6 * 3_600_000
"""How long a position is held whose miner cannot be read: for ever would be a stuck position."""

Key = tuple[str, str]
"""Miner and id: ids are the miners' own words, and may be copied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A position that counts, and how many snapshots in a row did not show it."""

    position: MinerPosition
    missing: int = 0
    seen_at_ms: int = 0  # how far the snapshot or push had come that showed it last
    is_pushed: bool = False  # a push showed it last


class PositionBook:
    """All open positions by their id."""

    def __init__(self, held: Iterable[Held] = ()) -> None:
        self._held: dict[Key, Held] = {_key(row.position): row for row in held}
        self._closed: dict[Key, int] = {}  # pushed closes: when they were processed
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
        key = _key(position)
        known = self._held.get(key)
        known_ms = self._closed.get(key, 0) if known is None else _updated(known)
        if position.updated_at_ms < known_ms:
            return False
        self.pushed_at_ms = max(self.pushed_at_ms, position.updated_at_ms)
        if position.is_closed:
            self._held.pop(key, None)
            self._closed[key] = position.updated_at_ms
        else:
            self._closed.pop(key, None)
            seen_at_ms = position.updated_at_ms
            self._held[key] = Held(position=position, seen_at_ms=seen_at_ms, is_pushed=True)
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

        `gone` are miners eliminated or not registered. One that was forced upon us is right also
        where we know something newer, and about what it does not show: the validator lost it.
        """
        if is_forced:
            self._closed.clear()
        oldest_ms = snapshot.watermark_ms - CLOSED_KEPT_MS
        self._closed = {key: at_ms for key, at_ms in self._closed.items() if at_ms > oldest_ms}
        shown = {_key(p): p for miner in snapshot.miners.values() for p in miner.positions}
        for key, position in shown.items():
            self._show(key, position, snapshot.watermark_ms, is_forced=is_forced)
        for key in self._held.keys() - shown.keys():
            self._miss(key, snapshot, 1 if is_forced else vanish_after, is_forced=is_forced)
        self._held = {key: row for key, row in self._held.items() if key[0] not in gone}

    def _show(
        self, key: Key, position: MinerPosition, watermark_ms: int, *, is_forced: bool
    ) -> None:
        """Take what a snapshot shows as open, unless something newer of it is known."""
        known = self._held.get(key)
        if is_forced or self._is_news(key, position):
            self._held[key] = Held(position=position, seen_at_ms=watermark_ms)
        elif known is not None:
            self._held[key] = replace(known, missing=0, seen_at_ms=watermark_ms)

    def _is_news(self, key: Key, position: MinerPosition) -> bool:
        """Tell whether a snapshot's position is at least as new as what is known of it."""
        known = self._held.get(key)
        if known is not None:
            return position.updated_at_ms >= _updated(known)
        return position.updated_at_ms > self._closed.get(key, 0)

    def _miss(self, key: Key, snapshot: Snapshot, vanish_after: int, *, is_forced: bool) -> None:
        """Judge a position that the snapshot does not show as open."""
        row = self._held[key]
        hotkey, uuid = key
        if hotkey in snapshot.dropped:  # unreadable is not absent, but not for ever
            if snapshot.watermark_ms - row.seen_at_ms > UNREADABLE_KEPT_MS:
                del self._held[key]
            return
        is_newer = _updated(row) > snapshot.watermark_ms and not is_forced
        miner = snapshot.miners.get(hotkey)
        if is_newer:
            return  # pushed after the snapshot was built
        is_closed = miner is not None and _has_closed(miner, uuid)
        if is_closed or row.missing + 1 >= vanish_after:
            del self._held[key]
        else:
            self._held[key] = replace(row, missing=row.missing + 1)


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


def contradicted(book: PositionBook, snapshot: Snapshot) -> tuple[int, int]:
    """Count the positions that were pushed and that a snapshot shows as of then: (other, all).

    Other = the same newest order, and another leverage: one of the two is not the network's.
    """
    shown = {_key(p): p for miner in snapshot.miners.values() for p in miner.positions}
    other = total = 0
    for row in book.rows():
        seen = shown.get(_key(row.position)) if row.is_pushed else None
        if seen is not None and seen.updated_at_ms == _updated(row):
            total += 1
            other += seen.net_leverage != row.position.net_leverage
    return other, total


def _key(position: MinerPosition) -> Key:
    return position.hotkey, position.uuid


def _updated(row: Held) -> int:
    return row.position.updated_at_ms


def _has_closed(miner: Miner, uuid: str) -> bool:
    return any(trade.uuid == uuid for trade in miner.trades)
