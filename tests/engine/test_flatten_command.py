"""The flatten command beside engines that live, leave, or are other commands; and interrupted."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.control import Scope
from core.control.file import halt_path
from core.model import Mode
from core.process.lease import try_lock
from tests.engine.command_house import CommandHouse, on_virtual_time
from tests.engine.flatten_scene import is_closing
from tests.engine.trial_scene import BTC, ME, at_a_venue
from tests.venues import WORDS, exchanges
from tests.virtual_time import run_virtually

ETH = "ETHUSDT"
Story = Callable[[CommandHouse], Coroutine[Any, Any, None]]


def now() -> float:
    return asyncio.get_running_loop().time()


def hold(house: CommandHouse, *symbols: str, account: str = ME) -> None:
    """Hold something, opened by hand."""
    paper = house.server.account(account)
    for symbol in symbols:
        house.server.exchange.trade_by_hand(paper, symbol, house.lots(account, symbol, "0.2"))


def in_two_accounts(folder: Path, story: Story) -> None:
    """Run a story in a house with an account at each of two venues."""

    async def whole() -> None:
        house = CommandHouse(folder, {ME: "bybit", "other": "mexc"})
        with on_virtual_time(house):
            try:
                await story(house)
            finally:
                await house.close()

    run_virtually(whole())


@pytest.mark.parametrize("is_living", [True, False], ids=["living-engine", "own-engine"])
def test_a_symbol_that_is_not_held_is_flat_at_once_and_nothing_is_sent(
    tmp_path: Path, *, is_living: bool
) -> None:
    async def story(house: CommandHouse) -> None:
        if is_living:
            await house.start()
            await asyncio.sleep(15)
        hold(house, ETH)
        began_s = now()
        outcome = await house.flatten(Scope(symbol=BTC))

        assert outcome.is_flat
        assert outcome.notes == ()
        assert now() - began_s < 5
        assert list(house.sent(ME)) == []
        assert {symbol for symbol, _ in house.sizes(ME)} == {ETH}

    at_a_venue(tmp_path, "bybit", story)


@pytest.mark.parametrize("is_living", [True, False], ids=["living-engine", "own-engine"])
def test_a_flatten_of_one_symbol_of_one_account_touches_no_other(
    tmp_path: Path, *, is_living: bool
) -> None:
    async def story(house: CommandHouse) -> None:
        if is_living:
            await house.start()
            await asyncio.sleep(15)
        for account in house.venues:
            hold(house, BTC, ETH, account=account)
        outcome = await house.flatten(Scope(account=ME, symbol=BTC))

        assert outcome.is_flat
        assert outcome.accounts == (ME,)
        assert {symbol for symbol, _ in house.sizes(ME)} == {ETH}
        assert {symbol for symbol, _ in house.sizes("other")} == {BTC, ETH}
        assert list(house.sent("other")) == []

    in_two_accounts(tmp_path, story)


def test_one_account_that_cannot_be_reached_is_left_and_the_others_are_flat(tmp_path: Path) -> None:
    async def story(house: CommandHouse) -> None:
        for account in house.venues:
            hold(house, BTC, account=account)
        house.server.add_fault("maintenance", account="other")
        outcome = await house.flatten(wait_s=30)

        assert house.sizes(ME) == {}
        assert [(row.account, row.symbol, row.lots) for row in outcome.left] == [
            ("other", "", None)
        ]
        house.server.clear_faults()
        assert (await house.flatten()).is_flat
        assert house.sizes("other") == {}

    in_two_accounts(tmp_path, story)


def test_a_live_account_that_is_not_armed_is_left_with_the_remedy_at_once(tmp_path: Path) -> None:
    async def story(house: CommandHouse) -> None:
        hold(house, BTC)
        began_s = now()
        outcome = await house.flatten()
        (left,) = outcome.left

        assert (left.account, left.symbol, left.lots) == (ME, BTC, Decimal("0.2"))
        assert f"./trade-engine arm {ME}" in left.why
        assert now() - began_s < 10
        assert list(house.sent(ME)) == []

    at_a_venue(tmp_path, "bybit", story, environment="live")


def test_a_halt_file_that_comes_in_the_middle_stops_it_and_is_named(tmp_path: Path) -> None:
    async def story(house: CommandHouse) -> None:
        hold(house, BTC)
        halt_path(house.home).touch()
        outcome = await house.flatten(wait_s=20)
        (left,) = outcome.left

        assert (left.symbol, left.lots) == (BTC, Decimal("0.2"))
        assert str(halt_path(house.home)) in left.why
        assert list(house.sent(ME)) == []

    at_a_venue(tmp_path, "bybit", story)


def test_a_second_flatten_at_once_waits_for_the_first_and_does_its_own_part(tmp_path: Path) -> None:
    async def story(house: CommandHouse) -> None:
        hold(house, BTC, ETH)
        began_s = now()
        first = asyncio.create_task(house.flatten(Scope(symbol=BTC)))
        await asyncio.sleep(0.05)
        second = await house.flatten()

        assert (await first).is_flat
        assert second.is_flat
        assert second.notes == ()
        assert house.sizes(ME) == {}
        assert now() - began_s < 15
        assert sorted(order.symbol for _, order in house.sent(ME)) == [BTC, ETH]

    at_a_venue(tmp_path, "bybit", story)


def test_a_flatten_while_the_engine_stops_takes_its_place(tmp_path: Path) -> None:
    async def story(house: CommandHouse) -> None:
        lease = try_lock(house.home.state / "trade-engine.lock")
        assert lease is not None
        lease.mark(stopping=True)
        hold(house, BTC)
        began_s = now()
        asyncio.get_running_loop().call_later(6, lease.release)
        outcome = await house.flatten()

        assert outcome.is_flat
        assert not outcome.goes_on
        assert 6 < now() - began_s < 15

    at_a_venue(tmp_path, "bybit", story)


def test_an_engine_that_says_nothing_is_not_taken_for_done(tmp_path: Path) -> None:
    async def story(house: CommandHouse) -> None:
        lease = try_lock(house.home.state / "trade-engine.lock")
        assert lease is not None
        hold(house, BTC)
        outcome = await house.flatten(wait_s=20)
        (left,) = outcome.left
        lease.release()

        assert (left.symbol, left.lots) == (BTC, Decimal("0.2"))
        assert "says nothing" in left.why
        assert list(house.sent(ME)) == []

    at_a_venue(tmp_path, "bybit", story)


@pytest.mark.parametrize("venue", exchanges())
def test_ctrl_c_at_any_moment_opens_nothing_and_the_next_flatten_ends_flat(
    tmp_path: Path, venue: str
) -> None:
    async def story(house: CommandHouse) -> None:
        chance = random.Random(3)
        for _ in range(6):
            hold(house, BTC, ETH)
            house.session.latency = lambda _: chance.uniform(0.01, 0.5)
            flattening = asyncio.create_task(house.flatten())
            await asyncio.sleep(chance.uniform(0.05, 2.5))
            flattening.cancel()
            with suppress(asyncio.CancelledError):
                await flattening
            lease = try_lock(house.home.state / "trade-engine.lock")

            assert lease is not None, "the lock is held after the end"
            lease.release()
            assert (await house.flatten()).is_flat
            assert house.sizes(ME) == {}
        assert all(is_closing(order) for _, order in house.sent(ME))

    at_a_venue(tmp_path, venue, story)


def test_an_interrupted_flatten_stays_in_force(tmp_path: Path) -> None:
    async def story(house: CommandHouse) -> None:
        hold(house, BTC)
        words = WORDS["bybit"]
        house.server.add_fault("reject_order", code=words.codes["unknown"])
        flattening = asyncio.create_task(house.flatten())
        await asyncio.sleep(10)
        flattening.cancel()
        with suppress(asyncio.CancelledError):
            await flattening
        house.server.clear_faults()
        await house.start()
        house.say(ETHUSDT="0.02")
        await asyncio.sleep(30)

        assert house.sizes(ME) == {}

    at_a_venue(tmp_path, "bybit", story)


def test_after_a_flatten_a_signal_opens_nothing_until_the_resume(tmp_path: Path) -> None:
    async def story(house: CommandHouse) -> None:
        await house.start()
        house.say(BTCUSDT="0.02")
        await asyncio.sleep(15)
        assert (await house.flatten()).is_flat
        house.say(BTCUSDT="0.03", ETHUSDT="0.02")
        await asyncio.sleep(100)

        assert house.sizes(ME) == {}
        house.decide(Mode.RUN)
        await asyncio.sleep(20)
        assert {symbol for symbol, _ in house.sizes(ME)} == {BTC, ETH}

    at_a_venue(tmp_path, "bybit", story)
