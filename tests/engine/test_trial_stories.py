"""Test trades that are refused, interrupted, or whose command or engine dies in the middle."""

import asyncio
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from core.control import Scope
from core.control.errands import result_path
from core.control.file import halt_path, read_control
from core.model import Mode
from tests.engine.command_house import CommandHouse
from tests.engine.trial_scene import (
    BTC,
    ME,
    at_a_venue,
    errand_of,
    lend_to,
    smallest,
    tried,
    until,
)
from tests.venues import WORDS, Door, exchanges

ETH = "ETHUSDT"
NO_FEES = {"kucoin"}  # its orders do not say what they cost


def a_process() -> "subprocess.Popen[bytes]":
    """Start a process that stands for a command that waits."""
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])


def orders_of(house: CommandHouse, symbol: str = BTC) -> list[tuple[bool, bool]]:
    """Every order of a symbol that reached the exchange: is it a buy, is it reduce-only."""
    sent = (order for _, order in house.sent(ME) if order.symbol == symbol)
    return [(order.size_lots > 0, order.reduce_only) for order in sent]


@pytest.mark.parametrize("venue", exchanges())
@pytest.mark.parametrize("side", ["long", "short"])
def test_a_test_trade_opens_the_smallest_and_closes_it_and_leaves_the_rest_alone(
    tmp_path: Path, venue: str, side: str
) -> None:
    async def story(house: CommandHouse) -> None:
        await house.start()
        house.say(ETHUSDT="0.02")
        await asyncio.sleep(15)
        before = house.sizes(ME)
        result = await tried(house, errand_of(side=side))

        assert result["outcome"] == "done", result
        assert [leg["what"] for leg in result["legs"]] == ["open", "close"]
        assert all(leg["average_price"] for leg in result["legs"])
        assert all(leg["fee_usdt"] for leg in result["legs"]) is (venue not in NO_FEES)
        assert house.sizes(ME) == before
        is_long = side == "long"
        assert orders_of(house) == [(is_long, False), (not is_long, True)]
        sizes = [abs(o.size_lots) for _, o in house.sent(ME) if o.symbol == BTC]
        assert max(sizes) <= smallest(house)
        assert read_control(house.home).errands == ()
        assert list((house.home.state / "errands").iterdir()) == []

    at_a_venue(tmp_path, venue, story)


def test_a_test_trade_is_refused_where_something_is_held(tmp_path: Path) -> None:
    async def story(house: CommandHouse) -> None:
        paper = house.server.account(ME)
        house.server.exchange.trade_by_hand(paper, BTC, house.lots(ME, BTC, "0.1"))
        await house.start()
        await asyncio.sleep(5)
        result = await tried(house)

        assert result["outcome"] == "refused"
        assert "is held already" in result["text"]
        assert orders_of(house) == []

    at_a_venue(tmp_path, "bybit", story)


def test_a_test_trade_is_refused_where_a_source_wants_something(tmp_path: Path) -> None:
    async def story(house: CommandHouse) -> None:
        house.say(BTCUSDT="0.02")
        await asyncio.sleep(1_000)  # too old to be opened now, and wanted all the same
        await house.start()
        await asyncio.sleep(5)
        result = await tried(house)

        assert result["outcome"] == "refused"
        assert "the sources want a position of it" in result["text"]
        assert orders_of(house) == []

    at_a_venue(tmp_path, "bybit", story)


@pytest.mark.parametrize("mode", [Mode.PAUSE, Mode.HALT, Mode.FLATTEN])
@pytest.mark.parametrize("is_living", [True, False], ids=["living-engine", "own-engine"])
def test_a_brake_refuses_a_test_trade(tmp_path: Path, mode: Mode, *, is_living: bool) -> None:
    async def story(house: CommandHouse) -> None:
        if is_living:
            await house.start()
            await asyncio.sleep(5)
        house.decide(mode, Scope(symbol=BTC))
        result = await tried(house)

        assert result["outcome"] == "refused"
        assert str(mode) in result["text"]
        assert orders_of(house) == []

    at_a_venue(tmp_path, "bybit", story)


def test_a_live_account_that_is_not_armed_refuses_a_test_trade(tmp_path: Path) -> None:
    async def story(house: CommandHouse) -> None:
        result = await tried(house)

        assert result["outcome"] == "refused"
        assert f"./trade-engine arm {ME}" in result["text"]
        assert orders_of(house) == []

    at_a_venue(tmp_path, "bybit", story, environment="live")


def test_a_halt_file_in_the_middle_leaves_the_position_and_says_so(tmp_path: Path) -> None:
    async def story(house: CommandHouse) -> None:
        await house.start()
        await asyncio.sleep(5)
        house.session.latency = lambda _: 0.5
        trying = asyncio.create_task(tried(house))
        await until(lambda: house.sizes(ME))
        halt_path(house.home).touch()
        result = await trying

        assert result["outcome"] == "left"
        assert "HALT" in result["text"]
        assert house.sizes(ME)
        halt_path(house.home).unlink()
        await asyncio.sleep(70)
        assert house.sizes(ME) == {}

    at_a_venue(tmp_path, "bybit", story)


@pytest.mark.parametrize("venue", exchanges())
@pytest.mark.parametrize("is_living", [True, False], ids=["living-engine", "own-engine"])
def test_ctrl_c_closes_what_was_opened_before_the_command_ends(
    tmp_path: Path, venue: str, *, is_living: bool
) -> None:
    async def story(house: CommandHouse) -> None:
        if is_living:
            await house.start()
            await asyncio.sleep(5)
        house.session.latency = lambda _: 0.3
        trying = asyncio.create_task(tried(house))
        await until(lambda: house.sizes(ME))
        trying.cancel()
        with suppress(asyncio.CancelledError):
            await trying

        assert trying.cancelled()
        assert house.sizes(ME) == {}
        assert read_control(house.home).errands == ()

    at_a_venue(tmp_path, venue, story)


@pytest.mark.parametrize("venue", exchanges())
def test_a_killed_command_leaves_nothing_open(tmp_path: Path, venue: str) -> None:
    async def story(house: CommandHouse) -> None:
        await house.start()
        await asyncio.sleep(5)
        house.session.latency = lambda _: 0.3
        asking = a_process()
        errand = errand_of(pid=asking.pid)
        lend_to(house, errand)
        await until(lambda: house.sizes(ME))
        asking.kill()
        asking.wait()
        await until(result_path(house.home, errand.id).exists)

        assert house.sizes(ME) == {}
        await asyncio.sleep(70)
        assert len(orders_of(house)) == 2  # and it is not done again

    at_a_venue(tmp_path, venue, story)


def test_a_command_that_died_is_not_served_any_longer(tmp_path: Path) -> None:
    async def story(house: CommandHouse) -> None:
        await house.start()
        await asyncio.sleep(5)
        house.server.add_fault("partial_fill", fraction="0")  # it never gets what it asks for
        asking = a_process()
        errand = errand_of(pid=asking.pid)
        lend_to(house, errand)
        await asyncio.sleep(4)
        asking.kill()
        asking.wait()
        died_s = asyncio.get_running_loop().time()
        await until(result_path(house.home, errand.id).exists)

        assert asyncio.get_running_loop().time() - died_s < 10
        assert house.sizes(ME) == {}

    at_a_venue(tmp_path, "bybit", story)


@pytest.mark.parametrize("venue", exchanges())
def test_what_a_killed_engine_left_is_closed_by_the_next_one(tmp_path: Path, venue: str) -> None:
    async def story(house: CommandHouse) -> None:
        await house.start()
        await asyncio.sleep(5)
        house.session.latency = lambda _: 0.3
        asking = a_process()
        lend_to(house, errand_of(pid=asking.pid))
        await until(lambda: house.sizes(ME))
        await house.stop()
        asking.kill()
        asking.wait()

        assert house.sizes(ME)
        await house.start()
        await until(lambda: not house.sizes(ME))
        assert orders_of(house) == [(True, False), (False, True)]

    at_a_venue(tmp_path, venue, story)


def test_an_engine_that_dies_while_the_command_waits_leaves_nothing_behind(tmp_path: Path) -> None:
    async def story(house: CommandHouse) -> None:
        await house.start()
        await asyncio.sleep(5)
        house.session.latency = lambda _: 0.3
        trying = asyncio.create_task(tried(house))
        await until(lambda: house.sizes(ME))
        await house.stop()
        await asyncio.sleep(1)
        await house.start()
        result = await trying

        assert result["outcome"] != "done"
        await asyncio.sleep(30)
        assert house.sizes(ME) == {}

    at_a_venue(tmp_path, "bybit", story)


def test_a_target_that_comes_during_a_test_waits_for_its_end(tmp_path: Path) -> None:
    async def story(house: CommandHouse) -> None:
        await house.start()
        await asyncio.sleep(5)
        house.session.latency = lambda _: 0.3
        trying = asyncio.create_task(tried(house))
        await until(lambda: house.sizes(ME))
        house.say(BTCUSDT="-0.02", ETHUSDT="0.02")
        result = await trying
        await asyncio.sleep(30)

        assert result["outcome"] == "done"
        assert house.sizes(ME)[BTC, 0] < 0 < house.sizes(ME)[ETH, 0]
        assert orders_of(house)[:3] == [(True, False), (False, True), (False, False)]

    at_a_venue(tmp_path, "bybit", story)


def test_two_test_trades_of_one_account_do_not_mix(tmp_path: Path) -> None:
    """The later one takes the place of the earlier, whose position is closed first."""

    async def story(house: CommandHouse) -> None:
        await house.start()
        await asyncio.sleep(5)
        house.session.latency = lambda _: 0.3
        first = asyncio.create_task(tried(house))
        await until(lambda: house.sizes(ME))
        second = await tried(house, errand_of(symbol=ETH))

        assert second["outcome"] == "done"
        assert (await first)["outcome"] in {"done", "failed"}
        assert house.sizes(ME) == {}

    at_a_venue(tmp_path, "bybit", story)


def test_a_test_trade_of_a_market_that_does_not_exist_fails_and_says_so(tmp_path: Path) -> None:
    async def story(house: CommandHouse) -> None:
        await house.start()
        await asyncio.sleep(5)
        result = await tried(house, errand_of(symbol="NOPEUSDT"))

        assert result["outcome"] in {"refused", "failed"}
        assert "not listed" in result["text"]
        assert list(house.sent(ME)) == []

    at_a_venue(tmp_path, "bybit", story)


def test_leverage_that_is_refused_fails_the_test_trade_and_nothing_is_held(tmp_path: Path) -> None:
    async def story(house: CommandHouse) -> None:
        words = WORDS["bybit"]
        door = Door("POST", words.leverage.path)
        house.server.add_fault("refuse", code=words.codes["risk_limit"], **door.fault)
        result = await tried(house)

        assert result["outcome"] == "failed", result
        assert house.sizes(ME) == {}

    at_a_venue(tmp_path, "bybit", story)
