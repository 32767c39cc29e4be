"""Two engines, and engines that die: A5, A25, A26."""

import asyncio
import json
import os
import signal as signals
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

import pytest

from account_processors import Transport, address_of, open_market, open_venue
from account_processors.transport.limiter import Limiter
from core.clock import SystemClock
from core.control import Scope
from core.control.file import resume
from core.errors import TransientError
from core.intents import ClientIds
from core.model import OrderRequest, PlacedOrder
from tests.drills.scripted import Sending, scripted
from tests.drills.stage import BTC, Stage, stage
from tests.virtual_time import run_virtually

TENTH = Decimal("0.1")
CHECKOUT = Path(__file__).resolve().parents[2]


async def test_a5_an_answer_that_never_comes_makes_one_fill(tmp_path: Path, venue: str) -> None:
    """The acknowledgement came after the client had given up and sent again: double position.

    Must happen: the outcome is unknown and looked up; one order, one fill.
    """
    async with stage(tmp_path, venue, request_timeout_s=0.3) as here:
        await here.start()
        here.break_orders("hang_after", s=None, count=1)
        await here.settled(await here.alert("long", "2/100"))

        assert here.held() == TENTH
        assert len(here.orders()) == 1
        assert "order_unknown" in here.codes()


async def test_a5_an_exit_that_comes_meanwhile_closes_at_once(tmp_path: Path, venue: str) -> None:
    """Must happen: the exit does not wait for the answer of the entry; the account ends flat."""
    async with stage(tmp_path, venue, request_timeout_s=30) as here:
        await here.start()
        here.break_orders("hang_after", s=20, count=1)
        await here.alert("long", "2/100")
        await here.until(lambda: here.held() == TENTH, "filled")
        await here.alert("flat")
        await here.until(lambda: here.held() == 0, "closed beside it", within_s=4)

        assert [o.reduce_only for o in here.orders()] == [False, True]
        await here.kill()  # nobody waits for that answer


@pytest.mark.parametrize("sending", ["taken_unanswered", "lost", "late"])
def test_a5_fourteen_seconds_without_an_answer(tmp_path: Path, sending: Sending) -> None:
    """As reported: 14 s until the reply, or no reply, of an order that was or was not taken.

    Must happen: one fill in the end, whatever became of the first try.
    """

    async def story() -> None:
        engine, venue = scripted(tmp_path)
        engine.start()
        venue.sending, venue.answer_after_s = sending, 14
        engine.want(lots=1)
        await asyncio.sleep(13)
        assert len(venue.placed) == 1
        venue.sending = "answered"
        await engine.settled(within_s=300)
        await asyncio.sleep(120)

        assert engine.held() == 1
        assert len(venue.fills) == 1
        await engine.stop()

    run_virtually(story())


async def test_a25_a_second_engine_on_the_same_key_does_not_trade(
    tmp_path: Path, venue: str
) -> None:
    """PM2's daemon was killed and started again: two engines traded one account.

    Must happen: the second one, from another home, parks that account, says who holds the key,
    and trades its others.
    """
    async with (
        stage(tmp_path / "first", venue) as first,
        stage(
            tmp_path / "second",
            venue,
            server=first.server,
            accounts={"main": _keys(first), "other": {}},
        ) as second,
    ):
        await first.start()
        await second.start()
        await second.until(lambda: second.status()["state"] == "busy", "parked")
        await second.settled(await second.alert("long", "2/100"), account="other")
        assert second.held(account="other") == TENTH
        assert second.held(account="main") == 0

        assert "account/main" in second.alerts()
        assert str(os.getpid()) in second.status()["reason"]


def _keys(here: Stage) -> dict[str, str]:
    return {name: here.sites["main"].row[name] for name in ("api_key", "api_secret")}


async def until_it_works(read: Callable[[], Awaitable[object]]) -> None:
    """Read as another engine: where times are nonces, two engines may happen to use the same."""
    for _ in range(20):
        with suppress(TransientError):
            await read()
            return
    raise AssertionError("another engine could not read")


async def trade_as_another_engine(here: Stage, size: str) -> None:
    """Send an order with the client order id of an engine that is not ours."""
    clock = SystemClock()
    account = here.config()
    transport = Transport(clock=clock, limiter=Limiter(clock), timeout_s=5)
    market = open_market(account.exchange, address_of(account), transport)
    venue = open_venue(account, market)
    order = OrderRequest(
        client_id=ClientIds("zzzzz", "0000", clock).mint(),
        symbol=BTC,
        size_lots=here.lots(size),
        reduce_only=False,
        limit_price=None,
    )
    try:
        await until_it_works(venue.connect)
        await until_it_works(venue.fetch_positions)  # orders go with the terms of what is held
        (placed,) = await venue.place_orders([order])
        assert isinstance(placed, PlacedOrder), placed
    finally:
        await venue.close()
        await market.close()
        await transport.close()


async def test_a25_orders_of_another_engine_pause_the_account(tmp_path: Path, venue: str) -> None:
    """On two hosts no lock helps: both engines bought.

    Must happen: the foreign engine id in a client order id is noticed, the account is paused
    until `resume`; an exit still goes.
    """
    async with stage(tmp_path, venue) as here:
        here.trade(TENTH)
        await here.start()
        await here.settled(await here.alert("long", "2/100"))
        await trade_as_another_engine(here, "0.05")
        await here.again(where=lambda _: "trip/second_engine/main" in here.alerts())
        assert "zzzzz" in here.alerts()["trip/second_engine/main"]
        await here.until(lambda: here.held() == TENTH, "the excess reduced")
        here.forget()
        signal = await here.alert("long", "4/100")
        await here.passed(1, since=signal)
        await here.again()
        assert here.orders() == []
        resume(here.home, Scope(account="main"), who="drill", now_ms=here.engine.clock.now_ms())
        await here.settled(signal)

        assert here.held() > TENTH


@pytest.mark.parametrize("kind", ["hang_after", "drop_after"])
async def test_a26_killed_between_the_fill_and_the_bookkeeping(
    tmp_path: Path, venue: str, kind: str
) -> None:
    """SIGKILL after the order was filled, before its answer was noted: sent again at the restart.

    Must happen: the next process finds the intent on disk, looks it up and sends nothing.
    """
    async with stage(tmp_path, venue, request_timeout_s=30) as here:
        await here.start()
        here.break_orders(kind)
        signal = await here.alert("long", "2/100")
        await here.until(lambda: here.held() == TENTH, "filled")
        await here.kill()
        here.server.clear_faults()
        await here.start()
        await here.settled(signal)

        assert here.held() == TENTH
        assert len(here.orders()) == 1
        assert not here.symbol_status()["hold"]


async def test_a26_an_exit_goes_at_once_after_the_restart(tmp_path: Path, venue: str) -> None:
    """Must happen: the flat that came while the engine was dead closes what the dead one opened."""
    async with stage(tmp_path, venue, request_timeout_s=30) as here:
        await here.start()
        here.break_orders("hang_after", s=None, count=1)
        await here.alert("long", "2/100")
        await here.until(lambda: here.held() == TENTH, "filled")
        await here.kill()
        await here.alert("flat")
        await here.start()
        await here.until(lambda: here.held() == 0, "closed", within_s=3)

        assert [o.reduce_only for o in here.orders()] == [False, True]


@pytest.mark.parametrize("sending", ["taken_unanswered", "lost"])
def test_a26_killed_on_the_wire_it_is_sent_again_only_if_it_never_arrived(
    tmp_path: Path, sending: Sending
) -> None:
    """Killed while the order was on the wire; it was taken, or it was not.

    Must happen: a taken one is found; of one that never arrived the next process is sure only
    after the venue's deadline, then it sends a new order: one fill in the end.
    """

    async def story() -> None:
        engine, venue = scripted(tmp_path)
        engine.start()
        venue.sending, venue.answer_after_s = sending, 1000
        engine.want(lots=1)
        await asyncio.sleep(1)
        await engine.crash()
        venue.sending = "answered"
        engine.start()
        await asyncio.sleep(19)
        assert len(venue.placed) == 1
        await engine.settled(within_s=120)
        await asyncio.sleep(60)

        assert engine.held() == 1
        assert len(venue.fills) == 1
        ids = [o.client_id for o in venue.placed]
        assert len(set(ids)) == len(ids) == (1 if sending == "taken_unanswered" else 2)
        await engine.stop()

    run_virtually(story())


@pytest.mark.parametrize("after_ms", range(0, 400, 20))
def test_a26_killed_at_any_moment_of_an_entry(tmp_path: Path, after_ms: int) -> None:
    """Killed so many milliseconds after the alert. Must happen: one fill in the end."""

    async def story() -> None:
        engine, venue = scripted(tmp_path, seed=after_ms)
        engine.start()
        engine.want(lots=0)
        await engine.settled()
        engine.want(lots=1)
        await asyncio.sleep(after_ms / 1000)
        await engine.crash()
        engine.start()
        await engine.settled(within_s=120)
        await asyncio.sleep(60)

        assert engine.held() == 1
        assert len(venue.fills) == 1
        await engine.stop()

    run_virtually(story())


async def test_a26_a_real_process_killed_with_sigkill_buys_once(tmp_path: Path, venue: str) -> None:
    """The same with `execute_trades.py` itself and SIGKILL."""
    async with stage(tmp_path, venue, request_timeout_s=30) as here:
        here.break_orders("hang_after", s=None, count=1)
        await here.alert("long", "2/100")
        environment = {**os.environ, "TRADE_ENGINE_HOME": str(tmp_path)}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(CHECKOUT / "execute_trades.py"),
            env=environment,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            await here.until(lambda: here.held() == TENTH, "filled", within_s=20)
            os.kill(process.pid, signals.SIGKILL)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
        rows = [
            json.loads(line)
            for path in here.home.state.glob("orders-*.jsonl")
            for line in path.read_text().splitlines()
        ]
        assert [row["t"] for row in rows if row["t"] != "held"] == ["intent"]
        await here.start()
        await here.passed(1, where=lambda r: BTC in r.symbols and r.symbols[BTC].verified)

        assert here.held() == TENTH
        assert len(here.orders()) == 1
