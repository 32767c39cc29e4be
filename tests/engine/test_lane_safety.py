"""Numbers of orders and drift: each control fires, lets reductions go, and is released."""

import asyncio
from pathlib import Path

from core.model import Mode
from tests.engine.harness import Engine
from tests.engine.losing_scene import TO_MIDNIGHT_S, reasons, run, stops


def test_more_orders_a_minute_than_allowed_wait_for_the_next_one(tmp_path: Path) -> None:
    async def story() -> None:
        engine = Engine(tmp_path, max_orders_per_minute=3)
        engine.start()
        for lots in (1, 2, 3, 4):
            engine.want(lots=lots)
            await asyncio.sleep(5)
        assert engine.held() == 3
        assert "orders_per_minute" in reasons(engine)
        engine.want(lots=1)
        await asyncio.sleep(5)
        assert engine.held() == 1  # a reduction never waits
        engine.want(lots=4)
        await engine.settled(within_s=70)

        assert engine.held() == 4
        await engine.stop()

    run(story())


def test_more_orders_a_day_than_allowed_stop_increases_also_after_a_restart(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        engine = Engine(tmp_path, max_orders_per_day=3)
        engine.start()
        for lots in (1, 2):
            engine.want(lots=lots)
            await engine.settled()
        await engine.crash()
        engine.start()
        for lots in (3, 4):
            engine.want(lots=lots)
            await asyncio.sleep(20)
        assert engine.held() == 3
        assert stops(engine) == ["orders_per_day"]
        engine.want(lots=1)
        await engine.settled()
        assert engine.held() == 1
        await asyncio.sleep(TO_MIDNIGHT_S)
        engine.want(lots=2)
        await engine.settled()

        assert engine.held() == 2
        assert stops(engine) == []
        await engine.stop()

    run(story())


def test_a_batch_does_not_exceed_the_orders_a_minute(tmp_path: Path) -> None:
    async def story() -> None:
        symbols = tuple(f"C{n}USDT" for n in range(6))
        engine = Engine(tmp_path, symbols=symbols, max_orders_per_minute=4)
        engine.start()
        for symbol in symbols:
            engine.want(symbol, lots=1)
        await asyncio.sleep(20)

        assert len(engine.venue.placed) == 4
        await engine.stop()

    run(story())


def test_a_symbol_that_stays_off_its_target_raises_an_alert_until_it_is_there(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        engine = Engine(tmp_path, drift_alert_s=100)
        engine.venue.faults.rejected = 1
        engine.start()
        engine.want(lots=1)
        await asyncio.sleep(90)
        assert "drift/one/BTCUSDT" not in engine.alerts()
        await asyncio.sleep(150)
        assert "drift/one/BTCUSDT" in engine.alerts()
        engine.venue.faults.rejected = 0
        engine.want(lots=1)
        await engine.settled()

        assert "drift/one/BTCUSDT" not in engine.alerts()
        await engine.stop()

    run(story())


def test_a_symbol_that_a_person_paused_is_no_drift(tmp_path: Path) -> None:
    async def story() -> None:
        engine = Engine(tmp_path, drift_alert_s=100)
        engine.mode = (Mode.PAUSE, "news at noon")
        engine.start()
        engine.want(lots=1)
        await asyncio.sleep(400)

        assert engine.held() == 0
        assert "drift/one/BTCUSDT" not in engine.alerts()
        await engine.stop()

    run(story())


def test_a_resume_lets_an_account_trade_on_that_sent_too_many_orders(tmp_path: Path) -> None:
    async def story() -> None:
        engine = Engine(tmp_path, max_orders_per_day=2)
        engine.start()
        for lots in (1, 2):
            engine.want(lots=lots)
            await engine.settled()
        await asyncio.sleep(70)
        assert stops(engine) == ["orders_per_day"]
        engine.resumed["account one"] = engine.clock.now_ms()
        engine.want(lots=3)
        await engine.settled()
        await asyncio.sleep(70)
        assert stops(engine) == []
        await engine.crash()
        engine.start()
        engine.want(lots=4)
        await engine.settled()

        assert engine.held() == 4
        await engine.stop()

    run(story())
