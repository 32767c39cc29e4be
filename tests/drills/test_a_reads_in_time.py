"""Reads that stay wrong for long, on virtual time: A1, A27, A31."""

import asyncio
from decimal import Decimal
from pathlib import Path

from tests.drills.scripted import scripted
from tests.virtual_time import run_virtually


def test_a1_an_hour_without_reads_sends_nothing(tmp_path: Path) -> None:
    """The positions of an account cannot be read for an hour while a new target waits.

    Must happen: no order at all; the target is reached once reads come back.
    """

    async def story() -> None:
        engine, venue = scripted(tmp_path, max_entry_age_s=0)
        engine.start()
        engine.want(lots=1)
        await engine.settled()
        venue.positions_fail = True
        engine.want(lots=2)
        await asyncio.sleep(3600)

        assert len(venue.placed) == 1
        assert "reads/one" in engine.alerts()
        venue.positions_fail = False
        await engine.settled()
        assert engine.held() == 2
        await engine.stop()

    run_virtually(story())


def test_a31_a_fill_that_never_shows_is_an_external_change_not_a_second_order(
    tmp_path: Path,
) -> None:
    """A venue does not show a fill, well beyond the 10 s that a read may lag.

    Must happen: one order in all; after 10 s the difference is told and held, not bought again.
    """

    async def story() -> None:
        engine, venue = scripted(tmp_path)
        engine.start()
        engine.want(lots=0)
        await engine.settled()
        venue.positions_as_of_ms = engine.clock.now_ms()
        venue.history["BTCUSDT"] = [(0, Decimal(0))]
        engine.want(lots=1)
        await asyncio.sleep(9)
        assert "external_change/one/BTCUSDT" not in engine.alerts()
        await asyncio.sleep(300)

        assert len(venue.placed) == 1
        assert "external_change/one/BTCUSDT" in engine.alerts()
        await engine.stop()

    run_virtually(story())


def test_a31_under_restore_a_fill_that_shows_after_eight_seconds_is_bought_once(
    tmp_path: Path,
) -> None:
    """The policy buys back what is missing; a read lags eight seconds behind our fill.

    Must happen: one order, no external change: a read that early does not count.
    """

    async def story() -> None:
        engine, venue = scripted(tmp_path, external_change_policy="restore")
        engine.start()
        engine.want(lots=0)
        await engine.settled()
        venue.positions_as_of_ms = engine.clock.now_ms()
        venue.history["BTCUSDT"] = [(0, Decimal(0))]
        engine.want(lots=1)
        await asyncio.sleep(8)
        venue.positions_as_of_ms = None
        await engine.settled()
        await asyncio.sleep(120)

        assert len(venue.placed) == 1
        assert engine.held() == 1
        assert "external_change/one/BTCUSDT" not in engine.alerts()
        await engine.stop()

    run_virtually(story())


def test_a27_an_empty_list_in_the_read_after_our_fills_is_no_external_change(
    tmp_path: Path,
) -> None:
    """The one read 10 s after our fills meets a degraded venue: 200 with an empty list.

    Must happen: margin in use without a position is unknown in every read, not only in the one
    that a pass begins with: no hold, nothing bought.
    """

    async def story() -> None:
        engine, venue = scripted(tmp_path)
        venue.shows_margin = True
        engine.start()
        engine.want(lots=1)
        await engine.settled()
        await asyncio.sleep(5)
        venue.positions_empty = True
        await asyncio.sleep(30)
        assert not engine.desk.ledger("BTCUSDT").hold
        venue.positions_empty = False
        await engine.settled()
        engine.want(lots=2)
        await engine.settled()

        assert engine.held() == 2
        assert "external_change/one/BTCUSDT" not in engine.alerts()
        await engine.stop()

    run_virtually(story())


def test_b2_failed_instrument_reads_are_tried_again_within_seconds(tmp_path: Path) -> None:
    """One failed read of the instruments was kept for an hour: nothing traded meanwhile.

    Must happen: the failure is not kept; read again 5 s later, and then no more for an hour.
    """

    async def story() -> None:
        engine, venue = scripted(tmp_path)
        venue.instruments_fail = 2
        engine.start()
        engine.want(lots=1)
        await engine.settled(within_s=15)
        assert engine.held() == 1
        await asyncio.sleep(3000)

        assert venue.requests.count("instruments") == 3
        await engine.stop()

    run_virtually(story())
