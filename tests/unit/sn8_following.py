"""A follower over a real folder: what it publishes when it is handed payloads, at a set time."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

from core.home import Home
from signal_processors.base import SignalWriter
from signal_processors.bittensor_config import ProcessorConfig, parse_processor_config
from signal_processors.bittensor_follower import Follower, FollowSettings, Standing
from signal_processors.bittensor_memory import Memory, load_memory, save_memory
from signal_processors.bittensor_model import Registry
from signal_processors.bittensor_payload import read_positions
from signal_processors.bittensor_publisher import LevelFold, Publisher
from signal_processors.bittensor_statistics import read_statistics
from tests.unit.sn8_scene import StillClock, body, hotkey

TARGETS = {"BTCUSD": "BTCUSDT", "BTCUSDC": "BTCUSDT", "ETHUSD": "ETHUSDT"}
# everything at once: what the guards let through is what is published
AT_ONCE = {"publishing": {"slew_per_minute": 10, "min_publish_change": 0.001}}


class StillChain:
    """The chain as the test says it is."""

    def __init__(self) -> None:
        self.registry: Registry | None = None
        self.now: Standing = "unknown"

    def standing(self, now_ms: int) -> Standing:
        return self.now


class Desk:
    """One follower with everything around it."""

    def __init__(self, home: Home, config: Mapping[str, Any] = AT_ONCE, *, tier: int = 100) -> None:
        self.home = home
        self.clock = StillClock()
        self.chain = StillChain()
        self.config: ProcessorConfig = parse_processor_config(dict(config))
        self.targets: dict[str, str] = dict(TARGETS)
        self.tier = tier
        self.writer = SignalWriter(home, "bittensor", clock=self.clock, fold=LevelFold())
        self.follower: Follower

    def open(self) -> None:
        self.home.make_folders()
        self.writer.open()
        self.follower = Follower(
            writer=self.writer,
            publisher=Publisher(self.writer, self.clock, source="bittensor"),
            chain=self.chain,
            clock=self.clock,
            settings=lambda: FollowSettings(config=self.config, targets=self.targets),
            memory=load_memory(self.home.state, "a validator"),
            tier=self.tier,
        )

    async def see(self, document: object) -> bool:
        """Hand in a payload, as the poll does; False when it was refused."""
        return await self.see_bytes(body(document))

    async def see_bytes(self, content: bytes) -> bool:
        follower = self.follower
        verdict = follower.take_snapshot(read_positions(content, follower.judge))
        if verdict.is_accepted and follower.is_ranking_due():
            await follower.rank()
        if verdict.is_accepted:
            await follower.publish(via="snapshot", confirmed_at_ms=self.clock.now)
        return verdict.is_accepted

    def study(self, document: object) -> None:
        """Hand in statistics."""
        self.follower.take_statistics(read_statistics(body(document)))

    def published(self) -> dict[str, Decimal]:
        return {pair: signal.depth for pair, signal in self.writer.newest().items()}

    def symbols(self) -> dict[str, Decimal]:
        """Add up what is published by our symbol."""
        found = dict.fromkeys(self.targets.values(), Decimal(0))
        for pair, depth in self.published().items():
            if pair in self.targets:
                found[self.targets[pair]] += depth
        return found

    async def close(self) -> None:
        save_memory(self.home.state, self.memory())
        await self.writer.close()

    def memory(self) -> Memory:
        return self.follower.memory()


@asynccontextmanager
async def following(home: Home, config: Mapping[str, Any] = AT_ONCE) -> AsyncIterator[Desk]:
    desk = Desk(home, config)
    desk.open()
    try:
        yield desk
    finally:
        await desk.close()


def statistics(
    count: int, *, days: int = 60, skill: Mapping[int, float] | None = None
) -> dict[str, Any]:
    """Give statistics of miners 0, 1, 2 ...; the first are the best unless `skill` says so."""
    return {
        "version": "1",
        "created_timestamp_ms": 1_700_000_000_000,
        "data": [_miner(n, count, days, (skill or {}).get(n)) for n in range(count)],
    }


def _miner(number: int, count: int, days: int, skill: float | None) -> dict[str, Any]:
    drift = (count - number) * 0.02 if skill is None else skill  # percent a day
    noise = (0.5, -0.4, 0.3, -0.5, 0.1)
    return {
        "hotkey": hotkey(number),
        "challengeperiod": {"status": "success", "start_time_ms": 1},
        "daily_returns": [
            {"date": _date(day), "value": drift + noise[(day + number) % 5]} for day in range(days)
        ],
        "drawdowns": {"instantaneous_max_drawdown": 0.97, "daily_max_drawdown": 0.98},
        "penalties": {"total": 1.0},
    }


def _date(day: int) -> str:
    month, rest = divmod(day, 28)
    return f"2023-{8 + month:02d}-{rest + 1:02d}"
