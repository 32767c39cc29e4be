"""What of ours is left on accounts that cannot be opened, or are not configured any more (A11)."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from core.errors import BusyError, ConfigError, TransientError
from core.intents import OrdersJournal
from core.lanes.lane import Lane
from core.lanes.roster import Roster
from core.model import Mode
from core.settings import AccountConfig
from tests.engine.harness import Engine, MemoryLog, paper_account
from tests.engine.scenes import S, disabled, holding, is_closed_down, seconds_until
from tests.virtual_time import run_virtually


def refusing(error: Exception) -> Callable[[AccountConfig], Lane]:
    def open_account(_: AccountConfig) -> Lane:
        raise error

    return open_account


async def with_roster(
    engine: Engine, accounts: list[AccountConfig], error: Exception, within_s: float = 1
) -> Roster:
    """Fill a roster whose accounts cannot be opened, from a journal with a position of `one`."""
    journal = OrdersJournal(MemoryLog(), engine.clock)
    journal.replay(engine.disk.rows)
    roster = Roster(accounts, refusing(error), engine.events, engine.clock, journal)
    filling = asyncio.ensure_future(roster.fill(lambda _: None))
    await asyncio.wait({filling}, timeout=within_s)
    filling.cancel()
    await asyncio.gather(filling, return_exceptions=True)
    return roster


@pytest.mark.parametrize(
    "error",
    [
        ConfigError("api_key is missing"),
        BusyError("pid 7 has it"),
        TransientError("waits for the paper exchange"),
    ],
)
def test_a11_a_disabled_account_that_cannot_be_opened_says_so(
    tmp_path: Path, error: Exception
) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 2)
        account = paper_account(enabled=False)
        roster = await with_roster(engine, [account], error)
        state, reason = roster.places[0].standing

        assert state == "disabled"
        assert reason == f"{S} cannot be closed down: {error}"
        assert ("account/one" in engine.alerts()) != isinstance(error, TransientError)
        await engine.stop()

    run_virtually(story())


def test_a11_positions_under_a_name_that_is_gone_are_told_and_nothing_is_sent(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 2)
        opened: list[str] = []
        renamed = paper_account(name="two", api_key="k2")

        def open_account(account: AccountConfig) -> Lane:
            opened.append(account.name)
            raise ConfigError("not in this test")

        journal = OrdersJournal(MemoryLog(), engine.clock)
        journal.replay(engine.disk.rows)
        roster = Roster([renamed], open_account, engine.events, engine.clock, journal)
        await roster.fill(lambda _: None)
        told = {a.key: a.text for a in engine.events.standing()}["removed/one"]

        assert opened == ["two"]
        assert "one is not in credentials.json any more" in told
        assert S in told
        await engine.stop()

    run_virtually(story())


def test_a11_a_renamed_account_meets_its_position_as_adoption_does(tmp_path: Path) -> None:
    async def story() -> None:
        live = paper_account(environment="live")
        engine = await holding(tmp_path, 2, account=live)
        await engine.crash()
        engine.account = live.model_copy(update={"name": "two"})
        engine.venue.placed.clear()
        engine.start()
        await asyncio.sleep(100)

        assert "adopt/two/BTCUSDT" in engine.alerts()
        assert "removed/one" in engine.alerts()
        assert engine.venue.placed == []
        assert engine.held() == 2
        await engine.stop()

    run_virtually(story())


def test_a11_what_another_account_with_the_same_key_trades_is_left_to_it(tmp_path: Path) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 2)
        accounts = [paper_account(enabled=False), paper_account(name="two")]
        roster = await with_roster(engine, accounts, BusyError("not in this test"))

        assert roster.places[0].standing == (
            "disabled",
            f"{S} is left to two, which has the same key",
        )
        await engine.stop()

    run_virtually(story())


def test_a11_what_nobody_adopted_is_not_closed_down_although_a_flatten_took_a_part(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        engine = Engine(tmp_path, account=paper_account(environment="live"))
        engine.venue.trade_by_hand(S, Decimal(5))
        engine.start()
        engine.want(lots=1)
        await seconds_until(engine, lambda: "adopt/one/BTCUSDT" in engine.alerts())
        engine.venue.faults.partial_fill = 1
        engine.mode = (Mode.FLATTEN, "flatten by me")
        engine.nudge()
        await seconds_until(engine, lambda: engine.held() not in (0, 5))
        await asyncio.sleep(0.5)
        engine.mode, left = (Mode.RUN, ""), engine.held()
        engine.venue.faults.stop()
        assert engine.desk.ledger(S).is_ours  # an order of ours was on it
        await disabled(engine)
        await seconds_until(engine, lambda: is_closed_down(engine), within_s=100)

        assert is_closed_down(engine)
        assert engine.held() == left
        assert engine.venue.placed == []
        await engine.stop()

    run_virtually(story())
