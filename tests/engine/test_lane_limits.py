"""What stops a lane, what does not, and how each stop ends."""

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest

from core.errors import CredentialsError, TransientError
from core.model import Ticker
from tests.engine.fake_venue import MARK
from tests.engine.harness import Engine
from tests.virtual_time import run_virtually


def test_a_target_that_was_too_old_when_it_could_first_be_executed_opens_nothing(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        engine = Engine(tmp_path)
        engine.start()
        engine.venue.faults.read_fails = 1
        engine.want(lots=1)
        await asyncio.sleep(950)
        engine.venue.faults.read_fails = 0
        await asyncio.sleep(120)
        assert engine.held() == 0
        assert engine.venue.placed == []
        assert "expired_entry/one/BTCUSDT" in engine.alerts()
        engine.want(lots=1)  # sent again by a person
        await engine.settled()

        assert engine.held() == 1
        assert "expired_entry/one/BTCUSDT" not in engine.alerts()
        await engine.stop()

    run_virtually(story())


def test_an_expired_target_still_reduces(tmp_path: Path) -> None:
    async def story() -> None:
        engine = Engine(tmp_path)
        engine.start()
        engine.want(lots=3)
        await engine.settled()
        engine.venue.hangs = False
        engine.venue.faults.read_fails = 1
        engine.want(lots=-1)
        await asyncio.sleep(950)
        engine.venue.faults.read_fails = 0
        await asyncio.sleep(120)

        assert engine.held() == 0
        await engine.stop()

    run_virtually(story())


def test_an_entry_that_was_let_go_in_time_is_finished_later(tmp_path: Path) -> None:
    async def story() -> None:
        engine = Engine(tmp_path)
        engine.venue.faults.rejected = 1
        engine.venue.faults.rejection_kinds = ("other",)
        engine.start()
        engine.venue.leverage["BTCUSDT"] = Decimal(3)
        engine.desk.set_leverage_known("BTCUSDT", Decimal(3))
        engine.want(lots=1)
        await asyncio.sleep(1200)
        engine.venue.faults.rejected = 0
        await asyncio.sleep(150)

        assert engine.held() == 1
        await engine.stop()

    run_virtually(story())


def test_a_failed_equity_read_stops_increases_but_not_reductions(tmp_path: Path) -> None:
    async def story() -> None:
        engine = Engine(tmp_path)
        engine.start()
        engine.want(lots=2)
        await engine.settled()
        honest = engine.venue.fetch_equity

        async def failing() -> object:
            raise TransientError("equity")

        engine.venue.fetch_equity = failing  # type: ignore[assignment,method-assign] # a fault
        engine.want(lots=-1)
        await asyncio.sleep(30)
        assert engine.held() == 0  # the wrong side was closed, nothing was opened
        engine.venue.fetch_equity = honest  # type: ignore[method-assign] # and back
        await engine.settled()

        assert engine.held() == -1
        await engine.stop()

    run_virtually(story())


@pytest.mark.parametrize(
    ("bid", "ask", "last", "code"),
    [
        pytest.param(MARK - 400, MARK + 400, MARK, "wide_spread", id="spread"),
        pytest.param(MARK - 1, MARK + 1, MARK * 2, "mark_gap", id="last-far-from-mark"),
        pytest.param(None, MARK, MARK, "no_quotes", id="no-bid"),
    ],
)
def test_a22_a_sick_market_opens_nothing_and_closes_all_the_same(
    tmp_path: Path, bid: Decimal | None, ask: Decimal, last: Decimal, code: str
) -> None:
    async def story() -> None:
        engine = Engine(tmp_path)
        engine.start()
        engine.want(lots=1)
        await engine.settled()

        async def sick(_symbols: object) -> object:
            return {
                "BTCUSDT": Ticker(
                    symbol="BTCUSDT",
                    mark_price=MARK,
                    last_price=last,
                    bid_price=bid,
                    ask_price=ask,
                    read_at_ms=engine.clock.now_ms(),
                )
            }

        engine.venue.fetch_tickers = sick  # type: ignore[assignment,method-assign] # a fault
        await asyncio.sleep(6)
        engine.want(lots=2)
        await asyncio.sleep(10)
        assert engine.held() == 1
        report = engine.lane.report
        assert report is not None
        assert report.symbols["BTCUSDT"].reasons[0].code == code
        engine.want(lots=0)
        await engine.settled()

        assert engine.held() == 0
        await engine.stop()

    run_virtually(story())


def test_a33_refused_increases_back_off_and_do_not_retry_for_ever_at_full_speed(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        engine = Engine(tmp_path)
        engine.venue.leverage["BTCUSDT"] = Decimal(3)
        engine.start()
        engine.desk.set_leverage_known("BTCUSDT", Decimal(3))
        engine.venue.faults.rejected = 1
        engine.want(lots=1)
        await asyncio.sleep(600)

        assert 2 <= len(engine.venue.placed) <= 11  # 5, 10, 20 ... 120 s apart
        await engine.stop()

    run_virtually(story())


def test_three_refused_credentials_park_the_account(tmp_path: Path) -> None:
    async def story() -> None:
        engine = Engine(tmp_path)
        engine.venue.connect_error = CredentialsError("API key is invalid")
        engine.start()
        engine.want(lots=1)
        await asyncio.sleep(300)

        assert engine.lane.state == "parked"
        assert engine.venue.requests.count("connect") == 3
        assert "parked/one" in engine.alerts()
        await engine.stop()

    run_virtually(story())


def test_a15_a_hedge_mode_account_opens_nothing_and_says_why(tmp_path: Path) -> None:
    async def story() -> None:
        engine = Engine(tmp_path)
        engine.venue.is_hedged = True
        engine.start()
        engine.want(lots=1)
        await asyncio.sleep(70)

        assert engine.venue.placed == []
        report = engine.lane.report
        assert report is not None
        assert report.symbols["BTCUSDT"].reasons[0].code == "hedge_mode"
        await engine.stop()

    run_virtually(story())


def test_a5_an_exit_that_arrives_while_the_entry_hangs_goes_at_once(tmp_path: Path) -> None:
    async def story() -> None:
        engine = Engine(tmp_path)
        engine.start()
        engine.want(lots=1)
        await engine.settled()
        await asyncio.sleep(15)
        engine.venue.hangs = True
        engine.want(lots=3)  # this increase gets no answer
        await asyncio.sleep(1)
        engine.venue.hangs = False
        engine.want(lots=0)
        await asyncio.sleep(1)

        assert engine.held() == 0
        await engine.stop()

    run_virtually(story())
