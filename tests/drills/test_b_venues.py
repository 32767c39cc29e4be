"""One venue that hangs, fails or is closed must not hold up the others: B7, B8, B9, B21."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from paper_exchange.server import PaperServer
from paper_exchange.wires import find_wires
from tests.drills.stage import Stage, stage

TENTH = Decimal("0.1")
FOREVER: Mapping[str, Any] = {"kind": "hang_after", "s": None}
SICK = "sick"
SICKNESSES = [
    pytest.param(FOREVER, id="never-answers"),
    pytest.param({"kind": "latency", "ms": 5_000}, id="five-seconds-a-call"),
    pytest.param({"kind": "http", "status": 502}, id="bad-gateway"),
    pytest.param({"kind": "maintenance"}, id="maintenance"),
    pytest.param({"kind": "garbage", "shape": "html"}, id="html-with-200"),
]


@asynccontextmanager
async def one_of_four(tmp_path: Path, venue: str) -> AsyncIterator[tuple[Stage, PaperServer]]:
    """An account at every venue, all holding 0.1 BTC; `venue` is played by a server of its own."""
    async with PaperServer() as own:
        own.pin(BTCUSDT="60000", ETHUSDT="3000")
        accounts: dict[str, Mapping[str, Any]] = {
            name: {"exchange": name} for name in find_wires() if name != venue
        }
        accounts[SICK] = {"exchange": venue, "server": own}
        async with stage(tmp_path, venue, accounts=accounts, request_timeout_s=30) as here:
            await here.start()
            signal = await here.alert("long", "2/100")
            for name in accounts:
                await here.settled(signal, account=name)
            yield here, own


@dataclass(frozen=True)
class Work:
    """What one account needed to act on an alert."""

    passes: int
    requests: tuple[tuple[str, str], ...]


async def act(here: Stage, size: str) -> dict[str, Work]:
    """Send an alert and wait for the healthy accounts alone; gives what each needed."""
    here.forget()
    signal = await here.alert("long", size)
    healthy = [name for name in here.sites if name != SICK]
    for name in healthy:
        await here.settled(signal, account=name)
    return {
        name: Work(
            len(here.passes(name)),
            tuple(sorted((r.method, r.path) for r in here.requests(name))),
        )
        for name in healthy
    }


@pytest.mark.parametrize("fault", SICKNESSES)
async def test_b7_the_other_venues_act_on_an_alert_as_if_nothing_were_wrong(
    tmp_path: Path, venue: str, fault: dict[str, Any]
) -> None:
    """One hung venue delayed every account by 5 s a cycle.

    Must happen: with a venue hung, slow, failing or closed, the accounts at the other venues need
    exactly the passes and requests of an alert before that, and do not wait for it.
    """
    async with one_of_four(tmp_path, venue) as (here, sick):
        healthy = await act(here, "3/100")
        sick.add_fault(**fault)
        before = here.held(account=SICK)
        meanwhile = await act(here, "4/100")

        assert len(meanwhile) == len(find_wires()) - 1
        assert meanwhile == healthy
        assert all(here.held(account=name) > here.held(account=SICK) for name in meanwhile)
        assert here.held(account=SICK) == before


@pytest.mark.parametrize("fault", SICKNESSES[:2])
async def test_b7_a_hung_account_delays_nobody_else(
    tmp_path: Path, venue: str, fault: dict[str, Any]
) -> None:
    """The same with two accounts of one venue.

    Must happen: the other account holds its target while the first still waits for an answer.
    """
    accounts: dict[str, dict[str, Any]] = {"main": {}, "hung": {}}
    async with stage(tmp_path, venue, accounts=accounts, request_timeout_s=30) as here:
        await here.start()
        signal = await here.alert("long", "2/100")
        await here.settled(signal)
        await here.settled(signal, account="hung")
        here.forget()
        here.server.add_fault(account="hung", **fault)
        for size in ("3/100", "4/100"):
            await here.settled(await here.alert("long", size))

        assert here.held() > TENTH
        assert here.held(account="hung") == TENTH
        assert here.passes("hung") == []


async def test_b8_calls_that_hang_use_up_no_threads_that_others_need(
    tmp_path: Path, venue: str
) -> None:
    """Ten hung calls starved a thread pool that all venues shared.

    Must happen: twelve accounts of a hung venue, and the loop's own threads all taken: the other
    account trades.
    """
    async with PaperServer() as sick:
        sick.add_fault(**FOREVER)
        hung = {f"hung{n}": {"server": sick} for n in range(12)}
        accounts: dict[str, dict[str, Any]] = {"main": {}, **hung}
        async with stage(tmp_path, venue, accounts=accounts, request_timeout_s=30) as here:
            release, taken = no_threads_left()
            try:
                await here.start()
                await here.settled(await here.alert("long", "2/100"))
                assert here.held() == TENTH
                assert {here.status(name)["state"] for name in hung} == {"connecting"}
            finally:
                release.set()
                await taken


def no_threads_left() -> tuple[threading.Event, asyncio.Future[Any]]:
    """Take every thread of the loop's own pool; gives what frees them and their end."""
    loop, pool, release = asyncio.get_running_loop(), ThreadPoolExecutor(2), threading.Event()
    loop.set_default_executor(pool)
    waits = [loop.run_in_executor(None, release.wait) for _ in range(2)]
    return release, asyncio.gather(*waits)


async def test_b9_nothing_blocks_the_event_loop(tmp_path: Path, venue: str) -> None:
    """A blocking call froze the event loop for 2 s, and with it every account.

    Must happen: from the start to the exit, one venue answering and one hung, nobody waits for the
    loop as long as a blocking call would make him.
    """
    async with PaperServer() as sick:
        sick.add_fault(**FOREVER)
        accounts: dict[str, dict[str, Any]] = {"main": {}, "hung": {"server": sick}}
        async with stage(tmp_path, venue, accounts=accounts) as here:
            gaps: list[float] = []
            watch = asyncio.create_task(beat(gaps))
            await here.start()
            await here.settled(await here.alert("long", "2/100"))
            await here.settled(await here.alert("short", "2/100"))
            await here.settled(await here.alert("flat"))
            watch.cancel()

            assert here.held() == 0
            assert max(gaps) < 1


async def beat(gaps: list[float]) -> None:
    """Measure how late the loop is, again and again."""
    while True:
        begun = time.monotonic()
        await asyncio.sleep(0.01)
        gaps.append(time.monotonic() - begun)


@pytest.mark.parametrize("part", ["instruments", "time", "mode", "all"])
async def test_b21_a_venue_that_hangs_at_the_start_keeps_nobody_waiting(
    tmp_path: Path, venue: str, part: str
) -> None:
    """A venue hung while its markets loaded: the engine never became ready, no account traded.

    Must happen: ready without venues; that account shows `connecting`, the others trade.
    """
    async with PaperServer() as sick:
        accounts: dict[str, dict[str, Any]] = {"main": {}, "hung": {"server": sick}}
        async with stage(tmp_path, venue, accounts=accounts, request_timeout_s=30) as here:
            path = first_paths(here)[part]
            sick.add_fault(**FOREVER, endpoint=path)
            await here.start()  # returns when it is ready
            await here.settled(await here.alert("long", "2/100"))

            assert here.held() == TENTH
            await here.until(lambda: any_at(sick, path), "it was asked")
            assert here.status("hung")["state"] == "connecting"


def first_paths(here: Stage) -> dict[str, str]:
    """What a venue is asked when an account connects."""
    words = here.words
    return {
        "instruments": words.instruments.path,
        "time": words.time.path,
        "mode": MODES[here.exchange],
        "all": "*",
    }


MODES = {
    "bybit": "/v5/account/info",
    "blofin": "/api/v1/account/position-mode",
    "kucoin": "/api/v2/position/getPositionMode",
    "mexc": "/api/v1/private/position/position_mode",
}


def any_at(server: PaperServer, path: str) -> bool:
    return bool(server.requests("" if path == "*" else path))


async def test_b21_it_joins_when_it_answers(tmp_path: Path, venue: str) -> None:
    """Must happen: an account whose venue was down at the start trades when it is back."""
    async with stage(tmp_path, venue) as here:
        here.break_at(here.words.instruments, "http", status=502, count=1)
        here.break_at(here.words.positions, "http", status=502, count=1)
        await here.start()
        signal = await here.alert("long", "2/100")
        await here.until(lambda: here.status()["state"] == "ready", "connected")
        await here.settled(signal)

        assert here.held() == TENTH
