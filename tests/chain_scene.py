"""A view of the chain on virtual time, over a chain that does as a script says."""

import asyncio
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest

from signal_processors.bittensor_chain import ChainError, ChainView, Rim
from signal_processors.bittensor_config import ChainConfig
from signal_processors.bittensor_model import Neuron, Registry
from signal_processors.bittensor_registry import Subnet, to_document
from tests.virtual_time import EPOCH_MS, VirtualClock, run_virtually

HOUR_S = 3600
NAME = "bittensor_chain.json"
DOWN = ChainError("it is down")


def registry(fetched_at_ms: int, block: int = 1) -> Registry:
    neuron = Neuron(hotkey="a", uid=1, coldkey="c", incentive=1.0, registered_at_ms=0)
    return Registry(block=block, fetched_at_ms=fetched_at_ms, neurons={"a": neuron})


@dataclass(kw_only=True)
class Scene:
    """A view on virtual time over a chain that does as the script says, then works."""

    state: Path
    script: list[ChainError | None] = field(default_factory=list)
    config: ChainConfig = field(default_factory=ChainConfig)
    takes_s: float = 0
    asked: list[tuple[float, str, int, Registry | None]] = field(default_factory=list)
    changes: int = 0
    offloaded: int = 0

    def __post_init__(self) -> None:
        self.clock = VirtualClock()
        self.answers: Iterator[ChainError | None] = iter(self.script)
        self.view = ChainView(
            lambda: self.config,
            state=self.state,
            clock=self.clock,
            chance=random.Random(1),
            on_change=self.count,
            rim=Rim(fetch=self.fetch, in_thread=self.inline),
        )

    def count(self) -> None:
        self.changes += 1

    async def inline(self, work: Callable[[], Any]) -> Any:
        self.offloaded += 1
        return work()

    async def fetch(
        self, network: str, netuid: int, *, previous: Registry | None, now_ms: int
    ) -> Registry:
        self.asked.append((self.now_s(), network, netuid, previous))
        await asyncio.sleep(self.takes_s)
        error = next(self.answers, None)
        if error is not None:
            raise error
        return registry(now_ms, len(self.asked))

    def now_s(self) -> float:
        return self.clock.monotonic_ms() / 1000

    def standing(self) -> str:
        return self.view.standing(self.clock.now_ms())

    def times(self) -> list[float]:
        return [when for when, *_ in self.asked]

    def gaps(self) -> list[float]:
        times = self.times()
        return [later - earlier for earlier, later in pairwise(times)]


def play(scene: Scene, *acts: Callable[[], None] | float) -> None:
    """Run the view; numbers are seconds to wait, functions are done in between."""

    async def run() -> None:
        running = asyncio.create_task(scene.view.run())
        for act in acts:
            if callable(act):
                act()
            else:
                await asyncio.sleep(act)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    run_virtually(run())


def seen(into: list[Any], what: Callable[[], Any]) -> Callable[[], None]:
    return lambda: into.append(what())


def turned(scene: Scene, **changes: Any) -> Callable[[], None]:
    def turn() -> None:
        scene.config = scene.config.model_copy(update=changes)

    return turn


def stored(state: Path, age_s: float, subnet: Subnet | None = None) -> None:
    subnet = subnet or Subnet(network="finney", netuid=8)
    document = to_document(registry(EPOCH_MS - int(age_s * 1000), 77), subnet)
    (state / NAME).write_bytes(orjson.dumps(document))
