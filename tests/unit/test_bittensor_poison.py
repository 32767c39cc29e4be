"""Whatever is damaged in a payload: no crash, and no target moves by more than one miner's cap."""

import asyncio
import copy
import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.home import Home
from signal_processors.bittensor_payload import PayloadError
from tests.unit.sn8_following import Desk, following, statistics
from tests.unit.sn8_scene import NOW_MS, body, closed_row, hotkey, open_row, payload, registry

CAP: Final = Decimal("0.1")
ROUNDING: Final = Decimal("0.0004")  # each published depth is cut to four places
REMOVED: Final = object()
Path_ = tuple[Any, ...]


def network(nets: Sequence[float]) -> dict[str, Any]:
    """Miners that hold this much of BTC and the opposite of ETH, with a little history."""
    rows = [
        [
            open_row(miner, net),
            open_row(miner, -net, pair="ETHUSD"),
            *(closed_row(miner, 1.01 - 0.001 * n, number=n) for n in range(4)),
        ]
        for miner, net in enumerate(nets)
    ]
    return payload(*rows)


# eight miners: each counts as much as a miner may
SMALL: Final = network([0.5, 0.5, -0.4, 0.5, 0.3, 0.5, 0.5, 0.5])
SMALL_BYTES: Final = body(SMALL)
# twenty: whoever drops out leaves room for the others, and all of them are on the other side
LARGE: Final = network([0.5, *[-0.5] * 19])


def paths(value: Any, here: Path_ = ()) -> Iterator[Path_]:
    """Give every place in a JSON document."""
    if here:
        yield here
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from paths(inner, (*here, key))


PLACES: Final = list(paths(SMALL))
OF_ONE_MINER: Final = [path for path in PLACES if path[0] == hotkey(0)]
EVERY: Final = int(os.environ.get("POISON_EVERY", "3"))  # 1 = all
Place = TypeVar("Place")
Value = TypeVar("Value")
FIGURES: Final = statistics(20, skill={n: 2.0 if n == 0 else 0.2 for n in range(20)})
FIGURE_PLACES: Final = list(paths(FIGURES["data"]))
ODD: Final[list[Any]] = [
    *(REMOVED, None, True, False, 0, 1, -1, 0.5, -0.5, 0.05, 3, -19, 10**30, -(10**30)),
    *(1e308, -1e308, float("nan"), float("inf"), NOW_MS, NOW_MS - 10**9, NOW_MS * 1000),
    *("", "LONG", "SHORT", "FLAT", "BTCUSD", "ETHUSD", hotkey(1), "open-1-BTCUSD", "é" * 200),
    *([], [1], ["ETHUSD"], {}, {"a": 1}),
]
odd_values = st.one_of(
    st.sampled_from(ODD), st.integers(), st.floats(), st.text(max_size=20), st.booleans()
)


def damaged(document: Any, path: Path_, value: object) -> Any:
    """Copy a document with one value in another's place, or with it gone."""
    whole = copy.deepcopy(document)
    place = whole
    for key in path[:-1]:
        place = place[key]
    if value is REMOVED:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return whole


@asynccontextmanager
async def settled(sound: Any, figures: Any) -> AsyncIterator[Desk]:
    """Follow a sound network whose miners the chain knows."""
    folder = Path(tempfile.mkdtemp())
    try:
        async with following(Home(folder)) as desk:
            desk.chain.registry, desk.chain.now = registry(range(len(sound))), "fresh"
            desk.study(figures)
            assert await desk.see(sound)
            yield desk
    finally:
        shutil.rmtree(folder)


def every(places: Sequence[Place], values: Sequence[Value]) -> Iterator[tuple[Place, Value]]:
    """Give each place a third of the values, another one than its neighbours; or all of them."""
    for row, place in enumerate(places):
        for column, value in enumerate(values):
            if (row + column) % EVERY == 0:
                yield place, value


async def meet(desk: Desk, content: bytes) -> dict[str, Decimal]:
    """Hand a payload in and tell how far each symbol moved."""
    before = desk.symbols()
    desk.clock.pass_s(1)
    with suppress(PayloadError):
        await desk.see_bytes(content)
    after = desk.symbols()
    return {symbol: abs(after[symbol] - before[symbol]) for symbol in before}


async def met(content: bytes) -> dict[str, Decimal]:
    async with settled(SMALL, statistics(8)) as desk:
        return await meet(desk, content)


@pytest.mark.timeout(120)
@given(st.sampled_from(PLACES), odd_values)
def test_one_odd_value_moves_no_target_by_more_than_one_miner_s_cap(
    path: Path_, value: object
) -> None:
    moved = asyncio.run(met(json.dumps(damaged(SMALL, path, value)).encode()))

    assert max(moved.values()) <= CAP + ROUNDING, (path, value)


@pytest.mark.timeout(120)
async def test_no_odd_value_anywhere_in_one_miner_moves_a_target_by_more_than_its_cap() -> None:
    async with settled(SMALL, statistics(8)) as desk:
        before = desk.symbols()
        for path, value in every(OF_ONE_MINER, ODD):
            moved = await meet(desk, json.dumps(damaged(SMALL, path, value)).encode())
            assert max(moved.values()) <= CAP + ROUNDING, (path, value)
            for _ in range(3):  # until what was made up is gone again
                await desk.see(SMALL)
            assert desk.symbols() == before, (path, value)


@pytest.mark.timeout(120)
async def test_no_flipped_bit_in_one_miner_moves_a_target_by_more_than_its_cap() -> None:
    size = len(SMALL_BYTES) // 8 + 10
    async with settled(SMALL, statistics(8)) as desk:
        for at, bit in every(range(size), (0, 2, 4, 5, 7)):
            content = bytearray(SMALL_BYTES)
            content[at] ^= 1 << bit
            moved = await meet(desk, bytes(content))
            assert max(moved.values()) <= CAP + ROUNDING, content[max(0, at - 40) : at + 40]
            if any(moved.values()):
                for _ in range(3):
                    await desk.see(SMALL)


@pytest.mark.timeout(120)
@given(st.sampled_from(FIGURE_PLACES), odd_values)
def test_one_odd_figure_moves_no_target_by_more_than_one_miner_s_cap(
    path: Path_, value: object
) -> None:
    figures = {**FIGURES, "data": damaged(FIGURES["data"], path, value)}

    moved = asyncio.run(ranked_anew(figures))

    assert max(moved.values()) <= CAP + ROUNDING, (path, value)


async def test_the_best_miner_s_figures_gone_move_no_target_by_more_than_its_cap() -> None:
    moved = await ranked_anew({**FIGURES, "data": FIGURES["data"][1:]})

    assert max(moved.values()) <= CAP + ROUNDING


@pytest.mark.parametrize("status", ["testing", "plagiarism", "", "unheard of"])
async def test_the_best_miner_out_of_favour_moves_no_target_by_more_than_its_cap(
    status: str,
) -> None:
    figures = damaged(FIGURES, ("data", 0, "challengeperiod"), {"status": status})

    assert max((await ranked_anew(figures)).values()) <= CAP + ROUNDING


async def ranked_anew(figures: object) -> dict[str, Decimal]:
    """Meet other figures an hour later, when miners are ranked anew; how far symbols move."""
    async with settled(LARGE, FIGURES) as desk:
        with suppress(PayloadError):
            desk.study(figures)
        desk.clock.pass_s(3600)
        return await meet(desk, body(LARGE))
