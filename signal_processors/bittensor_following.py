"""One validator followed: snapshots by REST, changes by websocket, the chain beside them.

Each of these fails on its own and is told in the status part. It never calls an exchange, and
whatever fails leaves the last published depths as they are.
"""

import asyncio
import logging
import random
from operator import is_
from pathlib import Path
from typing import Any, Final

from core.errors import TradeEngineError
from core.ports import Clock
from core.process.service import Service
from signal_processors.base import SignalWriter
from signal_processors.bittensor_access import Access
from signal_processors.bittensor_chain import ChainView
from signal_processors.bittensor_client import Limits, ValidatorClient
from signal_processors.bittensor_config import ChainConfig, ProcessorConfig
from signal_processors.bittensor_exposure import LIVE_TIER
from signal_processors.bittensor_files import BittensorFiles
from signal_processors.bittensor_follower import Follower
from signal_processors.bittensor_memory import Memory, load_memory, save_memory
from signal_processors.bittensor_model import Snapshot
from signal_processors.bittensor_payload import PayloadError, read_push
from signal_processors.bittensor_processor import SOURCE
from signal_processors.bittensor_publisher import Publisher
from signal_processors.bittensor_reading import Reader
from signal_processors.bittensor_stream import PositionStream

log = logging.getLogger(__name__)

TICK_S: Final = 1.0
"""Seconds between two looks whether a depth may grow on or a setting has changed."""
REST_S: Final = 2.0
"""Seconds between two snapshots at least, whatever asks for one: a miner may push what is unusable
as often as it likes."""
GAP_REST_S: Final = 5.0
"""The same where one gap follows another: whoever pushes garbage makes us ask no more often."""
SETTLED_MS: Final = 75_000
"""A validator's file may be a minute old: only one read so long after a gap surely shows what was
missed."""
REPEATED_MS: Final = 600_000
"""For so long the same file read again is no second witness: one bad build must not be counted at
each poll until it is believed, nor what it lacks until it counts as closed."""
FROZEN_MS: Final = 1_800_000
"""A file that did not change for so long is not the network's any more: it confirms nothing."""
MOST_ASKED_S: Final = 300.0
"""A longer pause that a server asks for is not made: the source would be stale."""
MEMORY_EVERY_MS: Final = 5_000
RETRY_MAX_S: Final = 60.0
WITHOUT_STATISTICS_S: Final = 60.0
MEGABYTE: Final = 1024 * 1024


def validator_name(access: Access, is_simulated: bool) -> str:
    """Name whose view of the network this is, without the key."""
    return "simulated" if is_simulated else f"{access.host} tier {access.tier}"


def limits_of(config: ProcessorConfig) -> Limits:
    """Give what an answer may cost."""
    return Limits(
        max_compressed_bytes=config.fetching.max_compressed_mb * MEGABYTE,
        max_decoded_bytes=config.fetching.max_decoded_mb * MEGABYTE,
    )


class Following:
    """Follows until it is stopped; `run` is called once."""

    def __init__(
        self,
        service: Service,
        files: BittensorFiles,
        writer: SignalWriter,
        clock: Clock,
        access: Access,
        *,
        is_simulated: bool,
    ) -> None:
        self._service = service
        self._files = files
        self._clock = clock
        self._access = access
        self._is_simulated = is_simulated
        self._state: Path = service.home.state
        self._settings = files.settings()
        self._validator = validator_name(access, is_simulated)
        limits = limits_of(self._settings.config)
        self._client = ValidatorClient(access, clock=clock, limits=limits)
        self._chain = self._open_chain()
        self._follower = Follower(
            writer=writer,
            publisher=Publisher(writer, clock, source=SOURCE.name, is_simulated=is_simulated),
            chain=self._chain,
            clock=clock,
            settings=lambda: self._settings,
            memory=load_memory(self._state, self._validator),
            tier=access.tier,
            is_simulated=is_simulated,
        )
        self._reader = Reader(self._client, lambda: self._follower.judge)
        self._stream = self._open_stream()
        self._look = asyncio.Event()  # a snapshot is wanted now
        self._studied = asyncio.Event()  # statistics were asked for once, whatever came of it
        self._pushed = asyncio.Event()
        self._pushed_at_ms = 0
        self._gapped_at_ms: int | None = clock.monotonic_ms()  # pushes may have been missed since
        self._judged: tuple[object, ...] = ()  # what the newest verdict was made of
        self._judged_at_ms = 0
        self._newest: Snapshot | None = None
        self._changed_at_ms = self._bad_pushes = 0
        self._gap_reason = self._problem = ""
        self._saved: Memory | None = None
        self._saved_at_ms = 0
        self._is_unsaved = False

    async def run(self) -> None:
        """Follow until the service stops."""
        work = [
            self._poll(),
            self._publish_pushes(),
            self._tick(),
            self._study(),
            self._chain.run(),
        ]
        if self._stream is not None:
            work.append(self._stream.run())
        try:
            async with asyncio.TaskGroup() as tasks:
                running = [tasks.create_task(one) for one in work]
                await self._service.stopping.wait()
                for task in running:
                    task.cancel()
        finally:
            await self._client.close()
        await self._save()

    def status(self) -> dict[str, Any]:
        """Say how everything stands."""
        stream = self._stream
        push: dict[str, Any] = {"live": False, "problem": "needs a websocket address and tier 100"}
        if stream is not None:
            push = {
                "live": stream.is_live,
                "problem": stream.problem,
                **stream.counters,
                "unusable": self._bad_pushes,
            }
        return {
            "validator": self._validator,
            "simulated": self._is_simulated,
            **self._follower.status(),
            "chain_problem": self._chain.problem,
            "push": push,
            "problems": self._problems(),
        }

    def _chain_config(self) -> ChainConfig:
        config = self._settings.config.chain
        # the simulated miners are registered nowhere
        return config.model_copy(update={"network": "off"}) if self._is_simulated else config

    def _open_chain(self) -> ChainView:
        return ChainView(
            self._chain_config,
            state=self._state,
            clock=self._clock,
            chance=random.Random(),  # noqa: S311 - spreads retries, no secret
        )

    def _open_stream(self) -> PositionStream | None:
        is_wanted = self._settings.config.fetching.use_push and self._access.tier >= LIVE_TIER
        if not is_wanted or self._access.websocket is None:
            return None
        return PositionStream(
            self._access,
            clock=self._clock,
            chance=random.Random(),  # noqa: S311 - spreads retries, no secret
            on_message=self._take_push,
            on_gap=self._take_gap,
            on_live=lambda _is_live: self._look.set(),
        )

    async def _poll(self) -> None:
        await self._studied.wait()  # or miners would be ranked twice
        failures = 0
        while True:
            self._look.clear()
            was_gapped = self._gapped_at_ms is not None
            try:
                await self._take_snapshot()
                failures = 0
            except TradeEngineError as error:
                failures += 1
                asked_s = getattr(error, "retry_after_s", None) or 0
                await self._clock.sleep(min(asked_s, MOST_ASKED_S))
            except OSError as error:
                failures += 1
                self._note_unstored(error)
            interval_s = self._interval_s(failures)
            rest_s = GAP_REST_S if was_gapped else REST_S
            await self._clock.sleep(interval_s if failures else rest_s)
            if not failures:  # else nothing that asks for a look may make us hurry
                await self._wait_for_look(interval_s - rest_s)

    async def _take_snapshot(self) -> None:
        """Read, judge, rank when due, publish and confirm."""
        asked_ms = self._clock.monotonic_ms()
        snapshot, began_at_ms = await self._reader.positions()
        self._judge(snapshot)
        if not self._follower.is_in_step:
            return
        if self._gapped_at_ms is not None and asked_ms - self._gapped_at_ms >= SETTLED_MS:
            self._gapped_at_ms, self._gap_reason = None, ""
        if self._follower.is_ranking_due():
            await self._follower.rank()
            ranking = self._follower.ranking
            if ranking is not None:
                log.info("ranked", extra={"by": ranking.name, "followed": len(ranking.weights)})
        confirmed_at_ms = began_at_ms if self._is_moving(snapshot) else None
        await self._follower.publish(via="snapshot", confirmed_at_ms=confirmed_at_ms)
        self._problem = ""

    def _is_moving(self, snapshot: Snapshot) -> bool:
        """Tell whether the validator's file still changes: one that stands still proves nothing."""
        now_ms = self._clock.monotonic_ms()
        if snapshot is not self._newest:
            self._newest, self._changed_at_ms = snapshot, now_ms
        return now_ms - self._changed_at_ms < FROZEN_MS

    def _judge(self, snapshot: Snapshot) -> None:
        """Have a snapshot judged, unless nothing is new that could make the verdict another."""
        now_ms = self._clock.monotonic_ms()
        seen = (snapshot, self._follower.eliminated, self._chain.registry, self._settings)
        is_same = len(self._judged) == len(seen) and all(map(is_, seen, self._judged))
        if is_same and now_ms - self._judged_at_ms < REPEATED_MS:
            return
        self._judged, self._judged_at_ms = seen, now_ms
        verdict = self._follower.take_snapshot(snapshot)
        if verdict.reasons:
            text = "believed against the guards" if verdict.is_forced else "refused"
            log.warning("snapshot %s", text, extra={"reasons": "; ".join(verdict.reasons)})

    def _interval_s(self, failures: int) -> float:
        fetching = self._settings.config.fetching
        is_gapped = self._gapped_at_ms is not None
        is_pushed = self._stream is not None and self._stream.is_live and not is_gapped
        usual_s = fetching.poll_interval_with_push_s if is_pushed else fetching.poll_interval_s
        if not failures:
            return usual_s
        return min(fetching.poll_interval_s * 2.0 ** min(failures - 1, 5), RETRY_MAX_S)

    async def _wait_for_look(self, seconds: float) -> None:
        looking = asyncio.ensure_future(self._look.wait())
        sleeping = asyncio.ensure_future(self._clock.sleep(max(0.0, seconds)))
        try:
            await asyncio.wait({looking, sleeping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            looking.cancel()
            sleeping.cancel()

    def _take_push(self, raw: bytes, received_at_ms: int) -> None:
        try:
            position = read_push(raw, self._follower.judge)
        except PayloadError as error:
            self._bad_pushes += 1
            log.debug("push not used", extra={"reason": str(error)})
            self._take_gap("a push was not usable")
            return
        if self._follower.take_push(position):
            self._pushed_at_ms = received_at_ms
            self._pushed.set()

    def _take_gap(self, reason: str) -> None:
        """Read a snapshot: something may have been missed."""
        if reason != self._gap_reason:
            log.info("a snapshot is needed", extra={"reason": reason})
        self._gap_reason = reason
        self._gapped_at_ms = self._clock.monotonic_ms()
        self._look.set()

    async def _publish_pushes(self) -> None:
        while True:
            await self._pushed.wait()
            self._pushed.clear()
            confirmed_at_ms = self._pushed_at_ms if self._gapped_at_ms is None else None
            try:
                await self._follower.publish(via="push", confirmed_at_ms=confirmed_at_ms)
            except OSError as error:
                self._note_unstored(error)

    async def _tick(self) -> None:
        """Let depths grow on, take new settings up, remember, tell."""
        while True:
            self._take_settings()
            try:
                await self._follower.publish(via="tick")
            except OSError as error:
                self._note_unstored(error)
            now_ms = self._clock.monotonic_ms()
            if now_ms - self._saved_at_ms >= MEMORY_EVERY_MS:
                self._saved_at_ms = now_ms
                await self._save()
            self._service.write_status(self.status())
            await self._clock.sleep(TICK_S)

    def _take_settings(self) -> None:
        settings = self._files.settings()  # of a file that is broken, the last good ones
        if settings != self._settings:
            self._settings = settings
            log.info("settings in force")
            self._look.set()

    async def _study(self) -> None:
        """Read statistics and eliminations at their own pace."""
        follower = self._follower
        while True:
            asked_ms = self._clock.monotonic_ms()
            knew, eliminated = follower.statistics is not None, follower.eliminated
            follower.eliminated = await self._reader.eliminations(eliminated)
            statistics = await self._reader.statistics(follower.statistics)
            if statistics is not None and statistics is not follower.statistics:
                follower.take_statistics(statistics)
            knows = follower.statistics is not None
            self._studied.set()
            if knows != knew or follower.eliminated.keys() != eliminated.keys():
                self._look.set()
            while self._clock.monotonic_ms() - asked_ms < self._study_every_s() * 1000:
                await self._clock.sleep(TICK_S)

    def _study_every_s(self) -> float:
        interval_s = self._settings.config.fetching.statistics_interval_s
        knows = self._follower.statistics is not None
        return interval_s if knows else min(interval_s, WITHOUT_STATISTICS_S)

    def _note_unstored(self, error: OSError) -> None:
        if not self._problem:
            log.warning("not stored", extra={"error": str(error)})
        self._problem = f"not stored: {error.strerror or error}"

    def _problems(self) -> list[Any]:
        found: list[Any] = self._files.problems()
        verdict = self._follower.verdict
        if verdict is not None and verdict.reasons:
            found.append(
                _problem("payload", "; ".join(verdict.reasons), "the last good targets stay")
            )
        for kind, text in self._reader.problems.items():
            found.append(_problem(kind, text, "the last good targets stay"))
        if self._follower.statistics_problem:
            text = self._follower.statistics_problem
            found.append(_problem("statistics", text, "those before stay in force"))
        if self._problem:
            found.append(_problem("journal", self._problem, "make room or make it writable"))
        if self._chain.problem:
            found.append(_problem("chain", self._chain.problem, "following goes on without it"))
        if self._stream is not None and self._stream.problem:
            found.append(_problem("push", self._stream.problem, "snapshots go on"))
        return found

    async def _save(self) -> None:
        memory = self._follower.memory()
        if memory == self._saved:
            return
        try:
            await asyncio.to_thread(save_memory, self._state, memory)
            self._saved, self._is_unsaved = memory, False
        except OSError as error:
            if not self._is_unsaved:
                log.warning("memory not written", extra={"error": str(error)})
            self._is_unsaved = True


def _problem(key: str, text: str, remedy: str) -> dict[str, str]:
    """Make a problem whose alert keeps its name while its words change."""
    return {
        "file": SOURCE.service,
        "key": key,
        "text": text,
        "remedy": remedy,
        "severity": "warning",
    }
