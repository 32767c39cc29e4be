"""Depths as signals, in a real folder, at a time that the test sets."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from core.home import Home
from core.model import Signal
from core.source_reader import SourceReader
from signal_processors.base import SignalWriter
from signal_processors.bittensor_config import Publishing
from signal_processors.bittensor_exposure import Measure, PairDepth, wanted_depths
from signal_processors.bittensor_publisher import LevelFold, Pace, Publisher
from tests.disk_full import disk_full_after
from tests.unit.sn8_scene import StillClock, position, ranking

TARGETS = {"BTCUSD": "BTCUSDT", "ETHUSD": "ETHUSDT"}
ALIASES = {"BTCUSD": "BTCUSDT", "BTCUSDC": "BTCUSDT"}
PACE = Pace(per_minute=Decimal("0.25"))
NO_META: Mapping[str, str] = {}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@asynccontextmanager
async def publishing(
    home: Home, clock: StillClock, *, is_simulated: bool = False
) -> AsyncIterator[Publisher]:
    writer = SignalWriter(home, "bittensor", clock=clock, fold=LevelFold())
    writer.open()
    try:
        yield Publisher(writer, clock, source="bittensor", is_simulated=is_simulated)
    finally:
        await writer.close()


def wanted(**shares: str) -> dict[str, PairDepth]:
    """Let one miner of weight 1 hold these shares of the limit."""
    held = [position(0, share, pair=pair) for pair, share in shares.items()]
    return wanted_depths(held, ranking({0: "1"}), Measure(limit=Decimal(1), targets=TARGETS))


async def publish(
    publisher: Publisher, depths: Mapping[str, PairDepth], pace: Pace = PACE
) -> dict[str, Decimal]:
    signals = await publisher.publish(depths, TARGETS, pace, config=Publishing(), meta=NO_META)
    return {signal.source_symbol: signal.depth for signal in signals}


def newest(home: Home) -> Mapping[str, Signal]:
    return SourceReader(home, "bittensor", is_level=True).sweep() or {}


def test_a_depth_is_stored_with_what_made_it(home: Home) -> None:
    async def work() -> None:
        async with publishing(home, StillClock()) as publisher:
            await publish(publisher, wanted(BTCUSD="0.2"))

    asyncio.run(work())
    signal = newest(home)["BTCUSD"]

    assert (signal.depth, signal.symbol, signal.leverage) == (Decimal("0.2"), "BTCUSDT", None)
    assert signal.meta["agreement"] == "1.0000"
    assert [one["depth"] for one in signal.meta["miners"]] == ["0.2"]
    assert "simulated" not in signal.meta


def test_zero_that_was_never_spoken_of_is_not_published(home: Home) -> None:
    async def work() -> dict[str, Decimal]:
        async with publishing(home, StillClock()) as publisher:
            return await publish(publisher, {})

    assert asyncio.run(work()) == {}
    assert newest(home) == {}


def test_what_nobody_holds_any_more_is_published_as_zero_once(home: Home) -> None:
    async def work() -> list[dict[str, Decimal]]:
        async with publishing(home, StillClock()) as publisher:
            await publish(publisher, wanted(BTCUSD="0.2"))
            return [await publish(publisher, {}) for _ in range(2)]

    assert asyncio.run(work()) == [{"BTCUSD": 0}, {}]


def test_a_depth_grows_a_quarter_a_minute_and_shrinks_at_once(home: Home) -> None:
    async def work() -> list[Decimal]:
        clock, told = StillClock(), []
        async with publishing(home, clock) as publisher:
            for _ in range(3):
                await publish(publisher, wanted(BTCUSD="0.6"))
                told.append(publisher.published()["BTCUSD"])
                clock.pass_s(30)
            await publish(publisher, wanted(BTCUSD="0.1"))
            told.append(publisher.published()["BTCUSD"])
        return told

    assert [str(depth) for depth in asyncio.run(work())] == [
        *("0.2500", "0.3750", "0.5000", "0.1000"),
    ]


def test_growing_and_shrinking_over_and_over_gains_nothing(home: Home) -> None:
    async def work() -> Decimal:
        clock, grown = StillClock(), Decimal(0)
        async with publishing(home, clock) as publisher:
            for _ in range(50):
                stored = await publish(publisher, wanted(BTCUSD="0.2"))
                grown += stored.get("BTCUSD", Decimal(0))
                await publish(publisher, {})
                clock.pass_s(1)
        return grown

    assert asyncio.run(work()) <= Decimal("0.25") * 2


def test_a_flip_is_bounded_like_an_entry(home: Home) -> None:
    async def work() -> Decimal:
        async with publishing(home, StillClock()) as publisher:
            await publish(publisher, wanted(BTCUSD="0.2"))
            for _ in range(3):  # what the flip took is spent
                await publish(publisher, wanted(BTCUSD="-0.9"))
            return publisher.published()["BTCUSD"]

    assert asyncio.run(work()) == Decimal("-0.05")


def test_without_allowance_nothing_grows_and_everything_may_end(home: Home) -> None:
    async def work() -> list[dict[str, Decimal]]:
        clock, stop = StillClock(), Pace(per_minute=Decimal(0), reason="chain_required")
        async with publishing(home, clock) as publisher:
            await publish(publisher, wanted(BTCUSD="0.2", ETHUSD="0.1"))
            clock.pass_s(120)
            grown = await publish(publisher, wanted(BTCUSD="0.4", ETHUSD="0.1"), stop)
            ended = await publish(publisher, wanted(BTCUSD="0.1", ETHUSD="-0.1"), stop)
            return [grown, ended]

    assert asyncio.run(work()) == [{}, {"BTCUSD": Decimal("0.1"), "ETHUSD": Decimal(0)}]


def test_a_restart_goes_on_from_what_is_stored(home: Home) -> None:
    async def work() -> dict[str, Decimal]:
        async with publishing(home, StillClock()) as publisher:
            await publish(publisher, wanted(BTCUSD="0.2"))
        async with publishing(home, StillClock()) as publisher:
            return await publish(publisher, wanted(BTCUSD="0.205"))

    assert asyncio.run(work()) == {}


def test_a_simulated_depth_is_no_start_for_a_real_one(home: Home) -> None:
    async def work() -> list[Decimal]:
        clock, told = StillClock(), []
        async with publishing(home, clock, is_simulated=True) as publisher:
            for _ in range(4):
                await publish(publisher, wanted(BTCUSD="0.9", ETHUSD="0.1"))
                clock.pass_s(60)
        assert newest(home)["BTCUSD"].meta["simulated"] is True
        async with publishing(home, clock) as publisher:
            for _ in range(3):
                await publish(publisher, wanted(BTCUSD="0.9"))
                told.append(publisher.published()["BTCUSD"])
                clock.pass_s(60)
        return told

    assert asyncio.run(work()) == [Decimal(text) for text in ("0.25", "0.5", "0.75")]
    assert newest(home)["ETHUSD"].depth == 0
    assert not any("simulated" in signal.meta for signal in newest(home).values())


def test_starting_again_and_again_gains_nothing(home: Home) -> None:
    async def work() -> Decimal:
        clock = StillClock()
        for _ in range(10):
            async with publishing(home, clock) as publisher:
                await publish(publisher, wanted(BTCUSD="0.9"))
                clock.pass_s(0.5)
        return newest(home)["BTCUSD"].depth

    assert asyncio.run(work()) <= Decimal("0.25") * 2


def test_pairs_of_one_symbol_share_its_pace(home: Home) -> None:
    async def work() -> dict[str, Decimal]:
        async with publishing(home, StillClock()) as publisher:
            held = [position(0, "0.5"), position(0, "0.5", pair="BTCUSDC")]
            measure = Measure(limit=Decimal(1), targets=ALIASES)
            both = wanted_depths(held, ranking({0: "1"}), measure)
            await publisher.publish(both, ALIASES, PACE, config=Publishing(), meta=NO_META)
            return publisher.published()

    assert asyncio.run(work()) == {"BTCUSD": Decimal("0.125"), "BTCUSDC": Decimal("0.125")}


def test_going_from_one_alias_to_the_other_leaves_the_symbol_where_it_is(home: Home) -> None:
    async def work() -> dict[str, Decimal]:
        clock, measure = StillClock(), Measure(limit=Decimal(1), targets=ALIASES)
        async with publishing(home, clock) as publisher:
            for pair in ("BTCUSD", "BTCUSD", "BTCUSDC"):
                rolled = wanted_depths([position(0, "0.4", pair=pair)], ranking({0: "1"}), measure)
                await publisher.publish(rolled, ALIASES, PACE, config=Publishing(), meta=NO_META)
                clock.pass_s(60)
            return publisher.published()

    assert asyncio.run(work()) == {"BTCUSD": Decimal(0), "BTCUSDC": Decimal("0.4")}


def test_a_book_that_is_nearly_even_says_nothing_of_its_sign(home: Home) -> None:
    async def work() -> list[dict[str, Decimal]]:
        async with publishing(home, StillClock()) as publisher:
            shares = ["0.0004", "-0.0004"] * 5
            return [await publish(publisher, wanted(BTCUSD=share)) for share in shares]

    assert asyncio.run(work()) == [{}] * 10


def test_b15_what_is_not_stored_is_not_published_and_comes_later(home: Home) -> None:
    async def work() -> Decimal:
        clock = StillClock()
        async with publishing(home, clock) as publisher:
            with disk_full_after(20), pytest.raises(OSError, match="too large"):
                await publish(publisher, wanted(BTCUSD="0.2"))
            assert publisher.published() == {}
            clock.pass_s(60)
            await publish(publisher, wanted(BTCUSD="0.2"))
            return publisher.published()["BTCUSD"]

    assert asyncio.run(work()) == Decimal("0.2")
