"""When a flatten is done: each for itself, on a read begun after it, also over a restart."""

import asyncio
from decimal import Decimal
from pathlib import Path

from core.control.flattens import DoneFlattens
from core.gate import Brakes, Gate
from core.model import Mode
from tests.engine.harness import Engine
from tests.virtual_time import run_virtually

A, B = "AUSDT", "BUSDT"


class House(Engine):
    """An engine whose flattens are set by hand: id -> symbol, None = everything."""

    def __init__(self, tmp_path: Path) -> None:
        super().__init__(tmp_path, symbols=(A, B))
        self.flattens: dict[str, str | None] = {}
        self.store = tmp_path / "flattened.json"

    def start(self) -> None:
        super().start()
        kept = DoneFlattens(self.store)
        self.desk.gate = Gate(self._brakes_by_id, lambda: self.flattens)
        self.desk.flattened = kept.of("one")
        self.desk.keep_flattened = lambda ids: kept.put("one", ids)

    def _brakes_by_id(self, _account: str, symbol: str) -> Brakes:
        ids = tuple(i for i, s in self.flattens.items() if s is None or s == symbol)
        mode = Mode.FLATTEN if ids else Mode.RUN
        return Brakes(mode=mode, reason="flatten", is_dry_run=False, flattens=ids)

    def hold_by_hand(self, symbol: str, lots: int) -> None:
        self.venue.held[symbol] = Decimal(lots)


async def both_held(tmp_path: Path) -> House:
    engine = House(tmp_path)
    engine.start()
    engine.want(A, lots=1)
    engine.want(B, lots=1)
    await engine.settled()
    await asyncio.sleep(20)
    return engine


def test_a_flatten_of_everything_is_not_done_while_a_symbol_of_another_one_is_open(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        engine = await both_held(tmp_path)
        engine.venue.faults.rejected = 1
        engine.venue.faults.rejection_kinds = ("other",)
        engine.flattens = {"all": None, "one": A}
        engine.nudge()
        await asyncio.sleep(5)
        engine.venue.held[B] = Decimal(0)  # closed by hand; A is still open
        engine.nudge()
        await asyncio.sleep(30)
        assert engine.desk.flattened == set()
        del engine.flattens["one"]  # somebody resumed A
        engine.venue.faults.rejected = 0
        engine.nudge()
        await asyncio.sleep(60)

        assert engine.held(A) == 0  # the flatten of everything closed it
        assert engine.desk.flattened == {"all"}
        await engine.stop()

    run_virtually(story())


def test_a_flatten_is_not_done_by_a_read_that_began_before_it(tmp_path: Path) -> None:
    async def story() -> None:
        engine = await both_held(tmp_path)
        for symbol in (A, B):
            engine.want(symbol, lots=0)
        await engine.settled()
        await asyncio.sleep(20)
        honest = engine.venue.fetch_equity

        async def slow() -> object:
            await asyncio.sleep(3)
            return await honest()

        engine.venue.fetch_equity = slow  # type: ignore[assignment,method-assign] # a slow venue
        engine.nudge()
        await asyncio.sleep(1)  # the positions of this pass are read: flat
        engine.hold_by_hand(B, 2)
        engine.flattens = {"all": None}
        engine.nudge()
        await asyncio.sleep(60)

        assert engine.held(B) == 0
        assert engine.desk.flattened == {"all"}
        await engine.stop()

    run_virtually(story())


def test_a_flatten_that_is_done_is_not_done_again_after_a_restart(tmp_path: Path) -> None:
    async def story() -> None:
        engine = await both_held(tmp_path)
        engine.flattens = {"all": None}
        engine.nudge()
        await asyncio.sleep(30)
        assert engine.desk.flattened == {"all"}
        engine.hold_by_hand(B, 2)
        await engine.crash()
        engine.start()
        engine.nudge()
        await asyncio.sleep(90)

        assert engine.held(B) == 2
        engine.flattens = {"again": None}
        engine.nudge()
        await asyncio.sleep(60)
        assert engine.held(B) == 0
        assert DoneFlattens(engine.store).of("one") == {"again"}
        await engine.stop()

    run_virtually(story())


def test_a_flatten_that_is_done_does_not_stop_a_later_one(tmp_path: Path) -> None:
    async def story() -> None:
        engine = await both_held(tmp_path)
        engine.flattens = {"one": A}
        engine.nudge()
        await asyncio.sleep(30)
        assert engine.desk.flattened == {"one"}
        engine.hold_by_hand(A, 2)
        engine.flattens = {"one": A, "all": None}
        engine.nudge()
        await asyncio.sleep(60)

        assert engine.held(A) == 0
        assert engine.held(B) == 0
        assert engine.desk.flattened == {"all", "one"}
        await engine.stop()

    run_virtually(story())
