"""A halt at random moments of a busy engine: what had not left by then never leaves.

Four venues, three symbols each, targets that flip several times a second, answers and a disk that
take their time. Counted is every request that could change anything, by the moment when it left.
`HALT_MOMENTS` makes it run longer.
"""

import asyncio
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from core.control import Scope
from core.control.file import halt_path
from core.model import Mode
from tests.engine.command_house import SYMBOLS, CommandHouse, key_of, on_virtual_time
from tests.engine.in_process import Travel
from tests.venues import exchanges
from tests.virtual_time import run_virtually

MOMENTS = int(os.environ.get("HALT_MOMENTS", "8"))
SHARES = ("0.03", "-0.03", "0.01", "-0.02", "0")
LONGEST_S = 0.4  # of a round trip
DISK_S = 0.03  # a slow one: between the two questions to the gate
HALTED_S = 1.5  # long enough for whatever was on its way to leave


class Brake:
    """One way to halt, and to let go again."""

    def __init__(self, house: CommandHouse) -> None:
        self.house = house

    def pull(self) -> None:
        self.house.decide(Mode.HALT)

    def let_go(self) -> None:
        self.house.decide(Mode.RUN)


class HaltFile(Brake):
    """`touch state/HALT`."""

    def pull(self) -> None:
        halt_path(self.house.home).touch()

    def let_go(self) -> None:
        halt_path(self.house.home).unlink()


def accounts() -> dict[str, str]:
    return {f"at-{venue}": venue for venue in exchanges()}


def writes(house: CommandHouse, since_s: float, until_s: float) -> list[Travel]:
    """Requests that may change something and left after a moment, at whatever venue."""
    return [
        travel
        for travel in house.session.travels
        if travel.method != "GET" and since_s < travel.sent_s <= until_s
    ]


async def busy(house: CommandHouse, chance: random.Random) -> None:
    """Say something new without end."""
    while True:
        house.say(**{symbol: chance.choice(SHARES) for symbol in SYMBOLS})
        await asyncio.sleep(chance.uniform(0.1, 0.9))


def on_a_busy_day(
    folder: Path, seed: int, story: Callable[[CommandHouse, random.Random], object]
) -> None:
    """Run a story in a house where the engine lives and signals come without end."""

    async def day() -> None:
        chance = random.Random(seed)
        house = CommandHouse(folder, accounts(), disk_s=DISK_S)
        house.session.latency = lambda _: chance.uniform(0.004, LONGEST_S)
        with on_virtual_time(house):
            await house.start()
            stream = asyncio.create_task(busy(house, chance))
            await asyncio.sleep(3)
            try:
                await story(house, chance)  # type: ignore[misc] # a coroutine
            finally:
                stream.cancel()
                await asyncio.gather(stream, return_exceptions=True)
                await house.close()

    run_virtually(day())


@pytest.mark.timeout(120)
@pytest.mark.parametrize("brake", [pytest.param(Brake, id="command"), pytest.param(HaltFile)])
def test_after_a_halt_only_what_was_on_the_wire_reaches_the_exchange(
    tmp_path: Path, brake: type[Brake]
) -> None:
    late: list[Travel] = []
    before: list[int] = []

    async def story(house: CommandHouse, chance: random.Random) -> None:
        now, ours = asyncio.get_running_loop().time, brake(house)
        for _ in range(MOMENTS):
            began_s = now()
            await asyncio.sleep(chance.uniform(0.8, 2.0))
            ours.pull()
            halted_s = now()
            await asyncio.sleep(HALTED_S)
            before.append(len(writes(house, began_s, halted_s)))
            late.extend(writes(house, halted_s, now()))
            ours.let_go()

    on_a_busy_day(tmp_path, 1, story)

    assert late == []
    assert sum(before) > 3 * MOMENTS, "a halt while nothing was going on proves nothing"


@pytest.mark.timeout(60)
def test_a_halt_of_one_account_stops_that_account_and_no_other(tmp_path: Path) -> None:
    late: set[str] = set()
    first, *others = accounts()

    async def story(house: CommandHouse, _: random.Random) -> None:
        now = asyncio.get_running_loop().time
        house.decide(Mode.HALT, Scope(account=first))
        halted_s = now()
        await asyncio.sleep(HALTED_S)
        late.update(travel.account for travel in writes(house, halted_s, now()))

    on_a_busy_day(tmp_path, 2, story)

    assert key_of(first) not in late
    assert late == {key_of(name) for name in others}
