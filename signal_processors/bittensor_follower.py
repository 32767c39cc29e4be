"""Following SN8: what was read becomes believed state, weights and published depths.

No network here: whoever reads a payload or a push hands it in. Nothing is published before a
snapshot was believed; what is refused changes nothing and is told.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from hashlib import sha256
from typing import Any, Final, Literal, Protocol

from core.ports import Clock
from signal_processors.base import SignalWriter
from signal_processors.bittensor_book import PositionBook, contradicted, vanished
from signal_processors.bittensor_config import ProcessorConfig
from signal_processors.bittensor_exposure import (
    Measure,
    PairDepth,
    over_limit,
    wanted_depths,
)
from signal_processors.bittensor_guards import (
    GuardMemory,
    Surroundings,
    Verdict,
    doubts,
    judge,
)
from signal_processors.bittensor_memory import Memory
from signal_processors.bittensor_model import (
    ZERO,
    MinerPosition,
    RankedMiner,
    Ranking,
    Registry,
    Snapshot,
    Statistics,
)
from signal_processors.bittensor_payload import Judge
from signal_processors.bittensor_publisher import Pace, Publisher
from signal_processors.bittensor_ranking import RankingInputs, rank

Standing = Literal["fresh", "stale", "unknown", "off"]
CAREFUL_MS: Final = 600_000
"""How long depths grow slowly after a snapshot was believed against the guards."""
CAREFUL_DIVISOR: Final = 5
MISSING_KNOWLEDGE: Final = frozenset({"no_statistics", "no_chain"})


class Chain(Protocol):
    """Who is registered, as far as it is known."""

    @property
    def registry(self) -> Registry | None:
        """Give the newest one."""
        ...

    def standing(self, now_ms: int) -> Standing:
        """Tell whether it can be relied on."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowSettings:
    """What people configured; `targets` is our symbol by pair."""

    config: ProcessorConfig
    targets: Mapping[str, str]


class Follower:
    """The state of following one validator; used from one event loop."""

    def __init__(  # noqa: PLR0913 - called in one place, which wires everything
        self,
        *,
        writer: SignalWriter,
        publisher: Publisher,
        chain: Chain,
        clock: Clock,
        settings: Callable[[], FollowSettings],
        memory: Memory,
        tier: int,
        is_simulated: bool = False,
    ) -> None:
        self.statistics: Statistics | None = None
        self.eliminated: Mapping[str, str] = {}
        self.ranking = memory.ranking
        self.verdict: Verdict | None = None
        self.accepted_at_ms: int | None = None
        self.wanted: Mapping[str, PairDepth] = {}
        self._writer = writer
        self._publisher = publisher
        self._chain = chain
        self._clock = clock
        self._settings = settings
        self._validator = memory.validator
        self._tier = tier
        self._is_simulated = is_simulated
        self._book = PositionBook(memory.held)
        self._guards: GuardMemory = memory.guards
        self._snapshot: Snapshot | None = None
        self._ranked_by = memory.ranked_by
        self._careful_until_ms = memory.careful_until_ms
        # nothing is remembered of what was published: one snapshot alone must not end it
        is_forgotten = memory.ranking is None and any(publisher.published().values())
        self._unproven = settings().config.guards.vanish_after if is_forgotten else 0
        self._doubted = 0  # statistics in a row that were not taken up
        self._refused_statistics: Statistics | None = None  # the newest that were not
        self.statistics_problem = ""
        self._is_outdated = False  # the ranking is of a network that is no more
        self._publishing = asyncio.Lock()

    @property
    def judge(self) -> Judge:
        """Give what positions are held against when they are read now."""
        return Judge(pairs=self._pairs(), now_ms=self._clock.now_ms(), tier=self._tier)

    @property
    def is_in_step(self) -> bool:
        """Tell whether the newest snapshot was believed; before that nothing is published."""
        return self.verdict is not None and self.verdict.is_accepted

    def take_snapshot(self, snapshot: Snapshot) -> Verdict:
        """Judge a snapshot; one that is believed is in force at once."""
        now_ms = self._clock.now_ms()
        config = self._settings().config
        weights = {} if self.ranking is None else self.ranking.weights
        around = Surroundings(
            weights=weights,
            registry=self._registry(now_ms),
            eliminated=self.eliminated,
            vanished=vanished(self._book, snapshot, weights),
            contradicted=contradicted(self._book, snapshot),
            pushed_at_ms=self._book.pushed_at_ms,
            now_ms=now_ms,
        )
        verdict = judge(snapshot, around, self._guards, config.guards)
        self._guards, self.verdict = verdict.memory, verdict
        if verdict.is_accepted:
            self._snapshot = snapshot
            self.accepted_at_ms = now_ms
            gone = self._gone(now_ms)
            self._leave(gone)
            self._book.take_snapshot(
                snapshot,
                gone=gone,
                vanish_after=config.guards.vanish_after,
                is_forced=verdict.is_forced and not _is_behind(verdict),
            )
        if verdict.is_forced:
            self._is_outdated = True
            # they may have told of the same change
            self.statistics = self._refused_statistics or self.statistics
            self._careful_until_ms = now_ms + CAREFUL_MS
        return verdict

    def take_statistics(self, statistics: Statistics) -> None:
        """Take statistics up, unless they turn on too much of what is followed.

        What is repeated often enough is taken up all the same: miners then leave step by step.
        """
        weights = {} if self.ranking is None else self.ranking.weights
        guards = self._settings().config.guards
        self.statistics_problem = doubts(statistics, weights, guards)
        self._doubted = self._doubted + 1 if self.statistics_problem else 0
        if not self.statistics_problem or self._doubted >= guards.accept_after:
            self._doubted = 0
            self.statistics = statistics
        self._refused_statistics = None if self.statistics is statistics else statistics

    def take_push(self, position: MinerPosition) -> bool:
        """Take a pushed position; False when something newer of it is known."""
        return self._book.take_push(position)

    def is_ranking_due(self) -> bool:
        """Tell whether miners should be ranked anew: by time, settings or better knowledge."""
        if self._snapshot is None:
            return False
        if self.ranking is None or self._is_outdated:
            return True
        if self._is_reconfigured() or self._knows_more():
            return True
        age_ms = self._clock.now_ms() - self.ranking.made_at_ms
        return age_ms >= self._settings().config.following.rank_every_s * 1000 or age_ms < 0

    async def rank(self) -> None:
        """Rank the miners of the newest believed snapshot, off the loop."""
        if self._snapshot is None:
            return
        now_ms, config = self._clock.now_ms(), self._settings().config
        starts_anew = self._is_reconfigured() or self._knows_more()
        is_outdated, self._is_outdated = self._is_outdated, False
        inputs = RankingInputs(
            miners=self._snapshot.miners,
            statistics=self.statistics,
            eliminated=self.eliminated,
            registry=self._registry(now_ms),
            is_registry_stale=self._chain.standing(now_ms) == "stale",
            crypto_pairs=frozenset(self._pairs()),
            previous=self._previous(self._snapshot, is_outdated),
            is_anew=starts_anew,
            now_ms=now_ms,
        )
        self.ranking = await asyncio.to_thread(rank, inputs, config)
        self._ranked_by = _digest(config)

    async def publish(self, *, via: str, confirmed_at_ms: int | None = None) -> int:
        """Publish what moved, then confirm the whole state as of then; gives how much was stored.

        Raises OSError: not all is stored, nothing is confirmed.
        """
        async with self._publishing:
            if via == "snapshot" and self.is_in_step:
                self._unproven = max(0, self._unproven - 1)
            ranking = self.ranking
            if ranking is None or self.accepted_at_ms is None or self._unproven:
                return 0
            settings = self._settings()
            measure = self._measure(settings)
            self.wanted = wanted_depths(self._book.positions(), ranking, measure)
            pace = self.pace()
            signals = await self._publisher.publish(
                self.wanted,
                settings.targets,
                pace,
                config=settings.config.publishing,
                meta={
                    "via": via,
                    "ranking": ranking.name,
                    "ranked_at_ms": ranking.made_at_ms,
                    "flags": [*ranking.flags, *([pace.reason] if pace.reason else [])],
                },
            )
            if confirmed_at_ms is not None and self.is_in_step:
                self._writer.confirm(confirmed_at_ms)
            return len(signals)

    def pace(self) -> Pace:
        """Tell how fast depths may grow now."""
        now_ms, config = self._clock.now_ms(), self._settings().config
        per_minute = config.publishing.slew_per_minute
        if not self.is_in_step:  # what is pushed may end positions, not open them
            return Pace(per_minute=ZERO, reason="out_of_step")
        must_know = config.chain.require == "hard" and not self._is_simulated
        if must_know and self._registry(now_ms) is None:
            return Pace(per_minute=ZERO, reason="chain_required")
        if now_ms < self._careful_until_ms:
            return Pace(per_minute=per_minute / CAREFUL_DIVISOR, reason="careful")
        return Pace(per_minute=per_minute)

    def memory(self) -> Memory:
        """Give what must survive a restart."""
        pairs = self._pairs()
        return Memory(
            validator=self._validator,
            ranking=self.ranking,
            ranked_by=self._ranked_by,
            careful_until_ms=self._careful_until_ms,
            guards=self._guards,
            held=tuple(row for row in self._book.rows() if row.position.pair in pairs),
        )

    def status(self) -> dict[str, Any]:
        """Say how following stands."""
        settings, now_ms = self._settings(), self._clock.now_ms()
        ranking, snapshot, verdict = self.ranking, self._snapshot, self.verdict
        positions = [p for p in self._book.positions() if p.pair in settings.targets]
        return {
            "ranking": None
            if ranking is None
            else {
                "name": ranking.name,
                "made_at_ms": ranking.made_at_ms,
                "flags": list(ranking.flags),
                "followed": len(ranking.weights),
                "weight": format(sum(ranking.weights.values(), Decimal(0)), "f"),
            },
            "snapshot": {
                "is_accepted": None if verdict is None else verdict.is_accepted,
                "reasons": [] if verdict is None else list(verdict.reasons),
                "accepted_at_ms": self.accepted_at_ms,
                "miners": 0 if snapshot is None else len(snapshot.miners),
                "dropped": {} if snapshot is None else dict(list(snapshot.dropped.items())[:20]),
            },
            "positions": {
                "open": len(positions),
                "held_unseen": self._book.missing(),
                "over_limit": over_limit(positions, self._measure(settings)),
            },
            "chain": self._chain.standing(now_ms),
            "pace_per_minute": format(self.pace().per_minute, "f"),
            "wanted": {pair: format(row.depth, "f") for pair, row in self.wanted.items()},
            "published": {
                pair: format(depth, "f") for pair, depth in self._publisher.published().items()
            },
        }

    def _pairs(self) -> set[str]:
        return {*self._settings().targets, *self._publisher.published()}

    def _measure(self, settings: FollowSettings) -> Measure:
        return Measure(
            limit=settings.config.trading_limits.leverage_limit,
            targets={pair: settings.targets.get(pair, pair) for pair in self._pairs()},
            tier=self._tier,
        )

    def _registry(self, now_ms: int) -> Registry | None:
        """Give the registry while it can be judged by."""
        is_usable = self._chain.standing(now_ms) in ("fresh", "stale")
        return self._chain.registry if is_usable else None

    def _gone(self, now_ms: int) -> set[str]:
        """Name the miners that are no more: their positions count no longer, at once."""
        gone = set(self.eliminated)
        registry = self._registry(now_ms)
        if registry is not None:
            hotkeys = {position.hotkey for position in self._book.positions()}
            hotkeys.update(() if self.ranking is None else self.ranking.weights)
            gone |= {hotkey for hotkey in hotkeys if registry.neuron(hotkey) is None}
        return gone

    def _previous(self, snapshot: Snapshot, is_outdated: bool) -> Ranking | None:
        """Give the ranking to go on from, without those whose absence is no accident.

        They are: in a snapshot that was forced upon us everybody who is absent, else whoever was
        absent at the ranking before and holds nothing any more. Or their weight would be nobody's
        for ever, where no chain tells that they are gone.
        """
        ranking = self.ranking
        if ranking is None:
            return None
        there = {*snapshot.miners, *snapshot.dropped}
        if not is_outdated:
            there |= {position.hotkey for position in self._book.positions()}
            there |= {row.hotkey for row in ranking.rows if not _was_absent(row)}
        return replace(ranking, rows=tuple(row for row in ranking.rows if row.hotkey in there))

    def _leave(self, gone: Collection[str]) -> None:
        """Take the weights of who is gone away at once; nobody else's changes for that."""
        if self.ranking is not None and self.ranking.weights.keys() & gone:
            rows = tuple(row for row in self.ranking.rows if row.hotkey not in gone)
            self.ranking = replace(self.ranking, rows=rows)

    def _is_reconfigured(self) -> bool:
        """Tell whether what decides the ranking was edited since it was made."""
        return self.ranking is not None and self._ranked_by != _digest(self._settings().config)

    def _knows_more(self) -> bool:
        """Tell whether something is known now that the ranking had to do without."""
        lacked = MISSING_KNOWLEDGE.intersection(() if self.ranking is None else self.ranking.flags)
        has_chain = self._registry(self._clock.now_ms()) is not None
        return ("no_statistics" in lacked and self.statistics is not None) or (
            "no_chain" in lacked and has_chain
        )


def _digest(config: ProcessorConfig) -> str:
    """Give what two settings have in common that rank alike."""
    parts = ("ranking", "filtering", "scoring", "asset_filtering", "risk_adjusted", "following")
    return sha256(repr([getattr(config, part) for part in parts]).encode()).hexdigest()[:16]


def _is_behind(verdict: Verdict) -> bool:
    """Tell whether the snapshot is older than what was pushed: what it lacks may well be so."""
    return any(reason.startswith("behind_push") for reason in verdict.reasons)


def _was_absent(row: RankedMiner) -> bool:
    return any(reason.startswith("absent") for reason in row.reasons)
