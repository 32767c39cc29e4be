"""The files behind the REST routes: what the last build saw, packed when somebody asks for it.

A build costs nothing; the JSON of a tier is made once a build, at its first request, in whatever
thread asks. No I/O.
"""

import gzip
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import orjson

from paper_exchange.sn8.faults import Misbehaviour
from paper_exchange.sn8.model import Miner, Position, as_of
from paper_exchange.sn8.quotes import DAY_MS
from paper_exchange.sn8.report import statistics_json
from paper_exchange.sn8.shapes import Json, by_return, miner_json, position_json
from paper_exchange.sn8.tampering import Document, tampered, tampered_statistics
from paper_exchange.sn8.tiers import shown

LEVEL = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What a build saw."""

    seed: int
    at_ms: int
    miners: tuple[Miner, ...]
    judged: tuple[Miner, ...]  # those of which there are statistics
    tampering: tuple[Misbehaviour, ...] = ()

    @property
    def shown_ms(self) -> int:
        """The moment that is shown: earlier than the build under `watermark_back`."""
        backs = [row.params["s"] for row in self.tampering if row.kind == "watermark_back"]
        return self.at_ms - int(1000 * max(backs, default=0))

    def pack(self, document: Any) -> bytes:  # noqa: ANN401 - any JSON value
        """Compress as the validator does, with the time of the build in the header."""
        return gzip.compress(self.encode(document), LEVEL, mtime=self.at_ms // 1000)

    def encode(self, document: Any) -> bytes:  # noqa: ANN401 - any JSON value
        """JSON; slower under a poison, which may be a number that JSON does not know (NaN)."""
        if any(row.kind == "poisoned" for row in self.tampering):
            return json.dumps(document).encode()
        return orjson.dumps(document)


class Shaper:
    """Positions as JSON; those of closed ones are kept from build to build."""

    def __init__(self) -> None:
        self._closed: dict[str, tuple[Position, Json]] = {}

    def document(self, view: View, tier: int, miners: Sequence[Miner]) -> Document:
        """The positions document of a tier."""
        found: Document = {}
        for miner in miners:
            rows = [
                self.position(row, view)
                for position in miner.positions
                if (row := _seen(position, view, tier)) is not None
            ]
            if rows:
                found[miner.hotkey] = miner_json(rows, tier, view.shown_ms)
        return tampered(by_return(found), view.tampering)

    def position(self, position: Position, view: View) -> Json:
        """One position; an open one as the price jobs of midnight valued it."""
        known = self._closed.get(position.uuid)
        if known is not None and known[0] is position:
            return known[1]
        mark_ms = view.shown_ms // DAY_MS * DAY_MS
        row = position_json(position, view.seed, mark_ms, 0)
        if position.is_closed:
            self._closed[position.uuid] = (position, row)
        return row


class _Build:
    """One build with what was packed of it so far."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.packed: dict[str, bytes] = {}


class Files:
    """The files of the newest build."""

    def __init__(self) -> None:
        self._shaper = Shaper()
        self._build: _Build | None = None
        self._lock = Lock()  # of whoever packs; a build never waits for it

    @property
    def built_ms(self) -> int | None:
        """When the newest build was made; None before the first."""
        return self._build.view.at_ms if self._build else None

    def build(self, view: View) -> None:
        """Put a new build in place of the last one."""
        self._build = _Build(view)

    def positions(self, tier: int) -> bytes | None:
        """The compressed positions file of a tier; None before the first build."""
        return self._made(
            f"positions-{tier}",
            lambda view: view.pack(self._shaper.document(view, tier, view.miners)),
        )

    def statistics(self, *, has_checkpoints: bool) -> bytes | None:
        """The compressed statistics file; None before the first build."""
        if has_checkpoints:
            return self._made("statistics", lambda view: view.pack(_statistics(view)))
        return self._made("bare", lambda view: view.pack(without_checkpoints(_statistics(view))))

    def live(self, view: View, tier: int) -> Document:
        """The positions document of a view that is no build: what memory holds this moment."""
        with self._lock:
            return self._shaper.document(view, tier, view.miners)

    def _made(self, name: str, make: Callable[[View], bytes]) -> bytes | None:
        build = self._build
        if build is None:
            return None
        with self._lock:
            if name not in build.packed:
                build.packed[name] = make(build.view)
            return build.packed[name]


def without_checkpoints(document: Json) -> Json:
    """The statistics as they are sent with `checkpoints=false`."""
    rows = [
        {key: value for key, value in row.items() if key != "checkpoints"}
        for row in document["data"]
    ]
    return {**document, "data": rows}


def _seen(position: Position, view: View, tier: int) -> Position | None:
    is_past = view.shown_ms < view.at_ms
    then = as_of(position, view.shown_ms) if is_past else position
    return None if then is None else shown(then, tier, view.shown_ms)


def _statistics(view: View) -> Json:
    document = statistics_json(view.judged, view.seed, view.shown_ms)
    return tampered_statistics(document, view.tampering)
