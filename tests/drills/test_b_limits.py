"""Rate limits, clocks and closed venues: B17, B18, B20."""

from decimal import Decimal
from pathlib import Path

import pytest

from core.control import EVERYTHING
from core.control.file import resume, set_mode
from core.model import Mode
from paper_exchange.wires import find_wires
from tests.drills.stage import BTC, Stage, stage

TENTH = Decimal("0.1")
HOUR_MS = 3_600_000


async def test_b17_told_of_too_many_requests_it_waits_and_then_goes_on(
    tmp_path: Path, venue: str
) -> None:
    """The venue's word for "too many" was ignored: banned.

    Must happen: after its own word for it that door is left alone for the time it asks; then the
    alert is executed, once.
    """
    async with stage(tmp_path, venue) as here:
        await here.start()
        await here.settled(await here.alert("flat"))
        here.forget()
        here.break_at(here.words.positions, "rate_limit", count=1)
        signal = await here.alert("long", "2/100")
        (told,) = await here.passed(1, since=signal, where=lambda r: r.positions_failed)
        wait_s = told.retry_after_s or 0
        assert wait_s >= 1
        if wait_s > 5:  # longer than a drill: nothing leaves by that door meanwhile
            cycles = here.engine.executor.cycles
            await here.until(lambda: here.engine.executor.cycles >= cycles + 2, "sweeps")
            assert len(here.asked(here.words.positions)) == 1
            assert here.orders() == []
            return
        await here.settled(signal)
        first, second, *_ = [r.at_ms for r in here.asked(here.words.positions)]

        assert second - first >= wait_s * 1_000 - 100
        assert len(here.orders()) == 1
        assert here.held() == TENTH


async def test_b17_a_ban_is_kept_by_every_account_of_the_venue(tmp_path: Path, venue: str) -> None:
    """Requests went on while the address was banned: the ban was renewed for ever.

    Must happen: after the venue's word for a ban nothing at all leaves, from no account.
    """
    async with stage(tmp_path, venue, accounts={"main": {}, "other": {}}) as here:
        await here.start()
        signal = await here.alert("long", "2/100")
        for name in ("main", "other"):
            await here.settled(signal, account=name)
        here.server.add_fault("ip_ban")
        await here.alert("long", "3/100")
        for name in ("main", "other"):
            await here.again(account=name, where=lambda r: r.positions_failed)
        told = len(here.server.requests())
        for name in ("main", "other"):
            await here.again(3, account=name)

        assert len(here.server.requests()) == told
        assert here.held() == here.held(account="other") == TENTH
        assert here.status()["read_failures"]


async def test_b17_an_exit_goes_while_entries_wait_for_the_budget(
    tmp_path: Path, venue: str
) -> None:
    """Entries used up the rate budget: the exit waited behind them.

    Must happen: a part of the budget is kept for reductions; the exit is done first.
    """
    symbols = tuple(name for name in find_wires()[venue].instruments if name != "BIOUSDT")[:36]
    async with stage(tmp_path, venue, symbols=symbols, max_gross_exposure=50) as here:
        await here.start()
        await here.settled(await here.alert("long", "1/100"))
        now_ms = here.engine.wall.now_ms()
        set_mode(here.home, EVERYTHING, Mode.PAUSE, who="drill", now_ms=now_ms)
        others = [s for s in symbols if s != BTC]
        sent = [await here.alert("long", "1/100", symbol=symbol) for symbol in others]
        await here.passed(1, since=sent[-1])
        resume(here.home, EVERYTHING, who="drill", now_ms=now_ms + 1)
        paused = here.passes()[-1].generation
        await here.until(lambda: here.generation > paused, "let go again")
        await here.alert("flat")
        await here.until(lambda: here.held() == 0, "closed")

        assert sum(here.held(s) != 0 for s in others) < len(others)


async def test_b17_entries_whose_preparation_outlasts_the_pass_go_in_the_next(
    tmp_path: Path,
) -> None:
    """Leverages of many symbols took longer than the pass; each refused batch then kept a turn.

    Must happen: batches that may not go any more take no turn, and the next pass sends them soon.
    """
    symbols = tuple(find_wires()["bybit"].instruments)[:36]
    async with stage(tmp_path, symbols=symbols, max_gross_exposure=50) as here:
        await here.start()
        await here.settled(await here.alert("long", "1/100"))
        now_ms = here.engine.wall.now_ms()
        set_mode(here.home, EVERYTHING, Mode.PAUSE, who="drill", now_ms=now_ms)
        others = [s for s in symbols if s != BTC]
        sent = [await here.alert("long", "1/100", symbol=symbol) for symbol in others]
        await here.passed(1, since=sent[-1])
        resume(here.home, EVERYTHING, who="drill", now_ms=now_ms + 1)
        await here.until(lambda: any(here.held(s) for s in others), "the first ones", within_s=12)

        assert not any(o.reduce_only for o in here.orders())


@pytest.mark.parametrize("skew_ms", [3_000, -3_000])
async def test_b18_a_venue_s_clock_that_differs_a_little_is_followed(
    tmp_path: Path, venue: str, skew_ms: int
) -> None:
    """The host's clock differed from the venue's: every request was refused.

    Must happen: measured, and the difference is used.
    """
    async with stage(tmp_path, venue) as here:
        here.server.add_fault("clock_skew", ms=skew_ms)
        await here.start()
        await here.settled(await here.alert("long", "2/100"))

        assert here.held() == TENTH
        (market,) = here.engine._markets.values()
        assert abs(market.server_clock.offset_ms - skew_ms) <= 1_000


@pytest.mark.parametrize("skew_ms", [9_000, -9_000, 90_000])
async def test_b18_a_clock_that_is_far_off_opens_nothing_but_lets_out(
    tmp_path: Path, venue: str, skew_ms: int
) -> None:
    """Must happen: beyond 5 s nothing is opened, with an alert; an exit goes."""
    async with stage(tmp_path, venue) as here:
        here.trade(TENTH)
        here.server.add_fault("clock_skew", ms=skew_ms)
        await here.start()
        signal = await here.alert("long", "4/100")
        await here.passed(1, since=signal)
        assert here.orders() == []
        assert "clock_skew/main" in here.alerts()
        await here.alert("flat")
        await here.until(lambda: here.held() == 0, "closed")

        assert [o.reduce_only for o in here.orders()] == [True]


async def closed_for_an_hour(here: Stage, *sizes: str) -> str:
    """Hold 0.1 BTC; the venue closes for an hour, in which these alerts come; gives the last."""
    here.trade(TENTH)
    here.clock.shift_ms = -2 * HOUR_MS
    await here.start()
    await here.settled(await here.alert("long", "2/100"))
    assert here.orders() == []
    fault = here.server.add_fault("maintenance")
    here.clock.shift_ms = -HOUR_MS
    last = ""
    for size in sizes:
        last = await here.alert("flat" if size == "0" else "long", f"{size}/100")
        await here.passed(1, since=last, where=lambda r: r.positions_failed)
    assert here.held() == TENTH
    here.forget()
    here.server.remove_fault(fault)
    return last


@pytest.mark.parametrize("age_s", [0, 900])
async def test_b20_after_an_hour_of_maintenance_only_the_newest_target_counts(
    tmp_path: Path, venue: str, age_s: int
) -> None:
    """After an hour of maintenance each alert of that hour was executed, one after the other.

    Must happen: straight to the newest target with one order; an entry older than
    `max_entry_age_s` opens nothing, with the reason.
    """
    async with stage(tmp_path, venue, max_entry_age_s=age_s) as here:
        last = await closed_for_an_hour(here, "6", "3", "4")
        if age_s:
            await here.again(2, where=lambda r: not r.positions_failed)
            assert here.orders() == []
            assert here.held() == TENTH
            assert "expired_entry" in here.symbol_status()["reason"]
        else:
            await here.settled(last)
            assert len(here.orders()) == 1
            assert TENTH * Decimal("1.98") < here.held() <= TENTH * 2


@pytest.mark.parametrize("age_s", [0, 900])
async def test_b20_an_exit_that_came_in_the_maintenance_goes_whatever_its_age(
    tmp_path: Path, venue: str, age_s: int
) -> None:
    """Must happen: reductions always go once the venue is back, and once only."""
    async with stage(tmp_path, venue, max_entry_age_s=age_s) as here:
        await closed_for_an_hour(here, "4", "0")
        await here.until(lambda: here.held() == 0, "closed")
        await here.again(2)

        assert here.held() == 0
        assert all(o.reduce_only for o in here.orders())
        assert len(here.orders()) <= 2


async def test_b20_a_closed_venue_is_asked_less_and_less_often(tmp_path: Path, venue: str) -> None:
    """Must happen: no storm of requests against a venue that is closed."""
    async with stage(tmp_path, venue) as here:
        await here.start()
        await here.settled(await here.alert("long", "2/100"))
        here.server.add_fault("maintenance")
        signal = await here.alert("long", "3/100")
        here.forget()
        await here.passed(1, since=signal, where=lambda r: r.positions_failed)
        lane = here.lane()
        waits = []
        for _ in range(4):
            await here.again()
            waits.append(round((lane._next_at_ms - lane.desk.now_ms()) / 1000))

        assert waits == sorted(waits)
        assert waits[-1] > 9
        assert here.orders() == []
