"""The lane on virtual time: what a person expects of one account."""

import asyncio
from decimal import Decimal
from pathlib import Path

from core.model import Mode
from tests.engine.harness import Engine
from tests.virtual_time import run_virtually


def test_a_target_is_opened_and_confirmed_in_one_pass(tmp_path: Path) -> None:
    async def story() -> None:
        engine = Engine(tmp_path)
        engine.start()
        engine.want(lots=1)
        await engine.settled()

        assert engine.held() == 1
        assert len(engine.reports) == 1
        assert engine.confirmed
        await engine.stop()

    run_virtually(story())


def test_a_second_pass_with_nothing_new_sends_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        engine = Engine(tmp_path)
        engine.start()
        engine.want(lots=1)
        await engine.settled()
        sent = len(engine.venue.placed)
        engine.nudge()
        await engine.settled()

        assert len(engine.venue.placed) == sent
        await engine.stop()

    run_virtually(story())


def test_with_nothing_new_no_request_is_sent_before_the_resync(tmp_path: Path) -> None:
    async def story() -> None:
        engine = Engine(tmp_path)
        engine.start()
        engine.want(lots=1)
        await engine.settled()
        await asyncio.sleep(12)  # the one read that follows our fills
        count = len(engine.venue.requests)
        await asyncio.sleep(45)

        assert len(engine.venue.requests) == count
        await asyncio.sleep(10)
        assert len(engine.venue.requests) == count + 3  # equity, positions, tickers
        await engine.stop()

    run_virtually(story())


def test_after_the_last_fill_positions_are_read_once_more(tmp_path: Path) -> None:
    async def story() -> None:
        engine = Engine(tmp_path)
        engine.start()
        engine.want(lots=1)
        await engine.settled()
        before = list(engine.venue.requests)
        await asyncio.sleep(12)

        assert engine.venue.requests[len(before) :] == ["positions"]
        await engine.stop()

    run_virtually(story())


def test_a_changing_pass_sends_at_most_n_plus_four_requests(tmp_path: Path) -> None:
    symbols = tuple(f"S{i}USDT" for i in range(8))

    async def story() -> None:
        engine = Engine(tmp_path, symbols=symbols)
        engine.start()
        for symbol in symbols:
            engine.want(symbol, lots="0.1")
        await engine.settled()
        await asyncio.sleep(15)
        before = len(engine.venue.requests)
        for symbol in symbols:
            engine.want(symbol, lots="0.2")
        await engine.settled()

        assert len(engine.venue.requests) - before <= len(symbols) + 4
        await engine.stop()

    run_virtually(story())


def test_a_flip_closes_first_and_takes_two_orders(tmp_path: Path) -> None:
    async def story() -> None:
        engine = Engine(tmp_path)
        engine.start()
        engine.want(lots=1)
        await engine.settled()
        await asyncio.sleep(15)
        engine.want(lots=-2)
        await engine.settled()

        close, opening = engine.venue.placed[-2:]
        assert (close.size_lots, close.reduce_only) == (Decimal(-1), True)
        assert (opening.size_lots, opening.reduce_only) == (Decimal(-2), False)
        assert engine.held() == -2
        assert len(engine.reports) == 2
        await engine.stop()

    run_virtually(story())


def test_long_short_flat_one_second_apart_end_flat(tmp_path: Path) -> None:
    async def story() -> None:
        engine = Engine(tmp_path)
        engine.start()
        for lots in (1, -1, 0):
            engine.want(lots=lots)
            await asyncio.sleep(1)
        await engine.settled()

        assert engine.held() == 0
        await engine.stop()

    run_virtually(story())


def test_pause_reduces_but_does_not_increase_until_resumed(tmp_path: Path) -> None:
    async def story() -> None:
        engine = Engine(tmp_path)
        engine.start()
        engine.want(lots=2)
        await engine.settled()
        engine.mode = (Mode.PAUSE, "paused by me")
        engine.want(lots=3)
        await asyncio.sleep(5)
        assert engine.held() == 2
        engine.want(lots=1)
        await engine.settled()
        assert engine.held() == 1
        engine.mode = (Mode.RUN, "")
        engine.want(lots=3)
        await engine.settled()

        assert engine.held() == 3
        await engine.stop()

    run_virtually(story())


def test_halt_sends_nothing_at_all(tmp_path: Path) -> None:
    async def story() -> None:
        engine = Engine(tmp_path)
        engine.start()
        engine.want(lots=1)
        await engine.settled()
        sent = len(engine.venue.placed)
        engine.mode = (Mode.HALT, "state/HALT exists")
        engine.want(lots=0)
        await asyncio.sleep(130)

        assert len(engine.venue.placed) == sent
        await engine.stop()

    run_virtually(story())


def test_flatten_closes_everything_and_then_sends_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        engine = Engine(tmp_path)
        engine.start()
        engine.want(lots=1)
        await engine.settled()
        engine.venue.trade_by_hand("ETHUSDT", Decimal("0.5"))
        engine.venue.symbols = ("BTCUSDT", "ETHUSDT")
        engine.mode = (Mode.FLATTEN, "flatten by me")
        await engine.crash()
        engine.start()
        await asyncio.sleep(30)
        assert engine.held() == engine.held("ETHUSDT") == 0
        sent = len(engine.venue.placed)
        engine.want(lots=2)
        engine.venue.trade_by_hand("ETHUSDT", Decimal(1))  # a person's, after it was done
        await asyncio.sleep(130)

        assert len(engine.venue.placed) == sent
        await engine.stop()

    run_virtually(story())


def test_dry_run_says_once_what_it_would_send_and_sends_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        engine = Engine(tmp_path)
        engine.is_dry_run = True
        engine.start()
        engine.want(lots=1)
        await asyncio.sleep(200)
        assert engine.venue.placed == []
        assert engine.codes().count("dry_run") == 1
        assert not engine.confirmed
        assert all(row["t"] != "intent" for row in engine.disk.rows)
        await engine.stop()

    run_virtually(story())
