"""The discrete-event model of semantics §3-5: the real lane against an adversarial venue.

Random targets, lost replies, orders that are executed late, stale reads, partial fills, crashes at
any step, trades by hand. Every fill is judged as it happens; when the faults stop, the account must
end where it should, and the next pass must send nothing. `SEMANTICS_RUNS` makes it run longer.
"""

import asyncio
import os
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from core.intents import engine_of
from core.ledger import HoldKind
from tests.engine.fake_venue import INSTRUMENT, Faults, Fill
from tests.engine.harness import ENGINE_ID, Engine
from tests.virtual_time import run_virtually

RUNS = int(os.environ.get("SEMANTICS_RUNS", "60"))
SYMBOLS = ("AUSDT", "BUSDT", "CUSDT")
SIZES = ("0", "0", "1", "2", "3", "0.5", "-1", "-2", "-0.4", "12", "-17")  # the last are split
STEP = INSTRUMENT.step_lots


class Judge:
    """Watches every fill of one run."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.broken: list[str] = []
        self.by_hand: set[str] = set()
        engine.venue.on_fill = self.see

    def see(self, symbol: str, fill: Fill) -> None:
        if not fill.client_id:
            self.by_hand.add(symbol)
            return
        after = fill.before + fill.size_lots
        if engine_of(fill.client_id) != ENGINE_ID:
            self.broken.append(f"a foreign id: {fill}")
        if symbol in self.by_hand:
            return  # what may follow a trade by hand is judged at the end
        if fill.before * after < 0:
            self.broken.append(f"crossed zero: {fill}")
        if fill.before * fill.size_lots < 0 and not fill.reduce_only:
            self.broken.append(f"a reduction that is not reduce-only: {fill}")
        if fill.reduce_only:
            return
        wanted = self.wanted_by(fill.client_id)
        if abs(after) > max(abs(fill.before), abs(wanted)) + STEP:
            self.broken.append(f"bought twice: {fill}, wanted {wanted}")

    def wanted_by(self, client_id: str) -> Decimal:
        """Lots of the version that an order was sent for."""
        version = next(
            row["version"]
            for row in self.engine.disk.rows
            if row.get("client_id") == client_id and row["t"] == "intent"
        )
        return self.engine.lots_by_version[version]


def random_faults(engine: Engine) -> Faults:
    rng = engine.rng

    def some() -> float:
        return rng.choice([0, 0, 0.1, 0.3, 0.6])

    return Faults(
        read_fails=some(),
        stale_read=some(),
        lost_reply=some(),
        late_fill=some(),
        partial_fill=some(),
        rejected=rng.choice([0, 0, 0.2]),
        not_placed=rng.choice([0, 0, 0.2]),
        look_up_fails=some(),
        max_latency_s=rng.choice([0.01, 0.3, 1.5]),
    )


async def misfortune(engine: Engine, *, crashes: bool, by_hand: bool) -> None:
    """Two minutes of everything."""
    rng = engine.rng
    for _ in range(rng.randint(3, 9)):
        for symbol in rng.sample(SYMBOLS, rng.randint(1, len(SYMBOLS))):
            engine.want(symbol, lots=rng.choice(SIZES))
        await asyncio.sleep(rng.choice([0.01, 0.2, 1, 3, 12, 40]))
        if crashes and rng.random() < 0.4:
            await engine.crash()
            await asyncio.sleep(rng.choice([0, 0.5, 5, 30]))
            engine.start()
            await asyncio.sleep(rng.choice([0.005, 0.1, 2]))
        if by_hand and rng.random() < 0.4:
            size = Decimal(rng.choice(["0.3", "-0.3", "1", "-2"]))
            engine.venue.trade_by_hand(rng.choice(SYMBOLS), size)


async def come_to_rest(engine: Engine) -> None:
    """Stop the faults and give the engine the time that its longest waits may take."""
    engine.venue.faults.stop()
    await engine.venue.settle()
    await asyncio.sleep(400)


def run_model(
    seed: int,
    tmp_path: Path,
    judge_end: Callable[[Engine, str], None],
    *,
    crashes: bool,
    by_hand: bool,
) -> None:
    async def story() -> None:
        engine = Engine(tmp_path, seed=seed, symbols=SYMBOLS)
        engine.venue.faults = random_faults(engine)
        judge = Judge(engine)
        engine.start()
        await misfortune(engine, crashes=crashes, by_hand=by_hand)
        await come_to_rest(engine)
        assert not judge.broken, judge.broken
        for symbol in engine.depths:
            judge_end(engine, symbol)
        sent = len(engine.venue.placed)
        engine.nudge()
        await asyncio.sleep(70)
        assert len(engine.venue.placed) == sent, "the next pass with the same inputs sent orders"
        await engine.stop()

    run_virtually(story())


def wanted_in_the_end(engine: Engine, symbol: str) -> Decimal:
    frozen = engine.desk.frozen.get("one", symbol)
    assert frozen is not None
    assert frozen.lots is not None
    return frozen.lots


def ends_on_target(engine: Engine, symbol: str) -> None:
    wanted, held = wanted_in_the_end(engine, symbol), engine.held(symbol)
    ledger = engine.desk.ledger(symbol)
    assert ledger.hold is None, "a hold although nobody traded by hand"
    assert not ledger.open
    slack = max(STEP, abs(wanted) * Decimal("0.02"))
    if engine.desk.attempts_of(symbol).margin is not None:  # refused for margin: waits, and says so
        assert held * wanted >= 0
        assert abs(held) <= abs(wanted) + slack
        return
    assert abs(held - wanted) <= slack


def ends_inside_the_target(engine: Engine, symbol: str) -> None:
    """After trades by hand the engine may hold back, but what is too much is reduced."""
    wanted, held = wanted_in_the_end(engine, symbol), engine.held(symbol)
    hold = engine.desk.ledger(symbol).hold
    assert hold is None or hold.kind is HoldKind.EXTERNAL
    slack = max(STEP, abs(wanted) * Decimal("0.02"))
    assert held * wanted >= 0
    assert abs(held) <= abs(wanted) + slack
    if hold is None and engine.desk.attempts_of(symbol).margin is None:
        assert abs(held - wanted) <= slack


@pytest.mark.parametrize("seed", range(RUNS))
def test_an_adversarial_venue_never_gets_a_wrong_order(seed: int, tmp_path: Path) -> None:
    run_model(seed, tmp_path, ends_on_target, crashes=False, by_hand=False)


@pytest.mark.parametrize("seed", range(RUNS))
def test_crashes_at_any_step_never_cost_a_second_order(seed: int, tmp_path: Path) -> None:
    run_model(10_000 + seed, tmp_path, ends_on_target, crashes=True, by_hand=False)


@pytest.mark.parametrize("seed", range(RUNS))
def test_trades_by_hand_are_respected(seed: int, tmp_path: Path) -> None:
    run_model(20_000 + seed, tmp_path, ends_inside_the_target, crashes=seed % 2 == 0, by_hand=True)
