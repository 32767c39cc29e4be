"""What the receiver stores, over HTTP: durably, once, in order, and across restarts."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from core.errors import BusyError
from core.home import Home
from core.source_reader import SourceReader
from tests.contract.receiver import FLAT, LONG, PATH, Receiver, running
from tests.disk_full import disk_full_after

SHORT: dict[str, Any] = {"symbol": "ETHUSDT", "direction": "short", "size": "4/100"}


@pytest.fixture
async def receiver(tmp_path: Path) -> AsyncIterator[Receiver]:
    async with running(Home(tmp_path)) as receiver:
        yield receiver


def newest_depth(receiver: Receiver) -> str:
    seen = SourceReader(receiver.home, "tradingview").sweep()
    assert seen is not None
    return str(seen["ETHUSDT"].depth)


async def test_a_burst_is_stored_in_order_with_few_flushes(receiver: Receiver) -> None:
    alerts = [{**LONG, "size": n, "signal_seq": n} for n in range(1, 65)]
    answers = await asyncio.gather(*(receiver.post(alert) for alert in alerts))

    assert {r.status_code for r in answers} == {200}
    assert {row["id"] for row in receiver.rows} == {r.json()["id"] for r in answers}
    assert receiver.writer.flush_count < len(alerts)
    assert newest_depth(receiver) == "0.64"


async def test_four_deliveries_of_one_trigger_are_stored_once(receiver: Receiver) -> None:
    answers = [(await receiver.post(LONG)).json() for _ in range(4)]

    assert len(receiver.rows) == 1
    assert len({answer["id"] for answer in answers}) == 1
    assert [bool(answer["warnings"]) for answer in answers] == [False, True, True, True]
    assert receiver.intake.counters.duplicates == 3


async def test_deliveries_at_the_same_moment_are_stored_once(receiver: Receiver) -> None:
    answers = await asyncio.gather(*(receiver.post(LONG) for _ in range(8)))

    assert len(receiver.rows) == 1
    assert len({r.json()["id"] for r in answers}) == 1


async def test_a4_long_short_flat_in_a_row_end_flat(receiver: Receiver) -> None:
    for alert in (LONG, SHORT, FLAT):
        assert (await receiver.post(alert)).status_code == 200

    assert newest_depth(receiver) == "0"


async def test_duplicates_are_known_after_a_restart(tmp_path: Path) -> None:
    home = Home(tmp_path)
    fired = {**LONG, "event_id": "a", "signal_seq": 1}
    async with running(home) as receiver:
        first = (await receiver.post(fired)).json()
        await receiver.post(SHORT)
    async with running(home) as receiver:
        again = (await receiver.post(fired)).json()
        repeated = (await receiver.post(SHORT)).json()

        assert again["id"] == first["id"]
        assert repeated["id"] == receiver.rows[-1]["id"]
        assert len(receiver.rows) == 2


async def test_the_order_of_alerts_is_known_after_a_restart(tmp_path: Path) -> None:
    home = Home(tmp_path)
    async with running(home) as receiver:
        await receiver.post({**LONG, "signal_seq": 10})
        await receiver.post({**SHORT, "signal_seq": 12})
    async with running(home) as receiver:
        answer = (await receiver.post({**FLAT, "signal_seq": 11})).json()

        assert "superseded" in answer["warnings"][0]
        assert receiver.rows[-1]["status"] == "superseded"
        assert newest_depth(receiver) == "-0.04"


async def test_rejections_of_the_day_are_counted_across_a_restart(tmp_path: Path) -> None:
    home = Home(tmp_path)
    stored = 0
    for _ in range(3):
        async with running(home) as receiver:
            take = receiver.intake.take
            await asyncio.gather(*(take(b"{}", content_type="", secret="") for _ in range(400)))
            stored = len(receiver.rows)

    assert stored == 1_000


async def test_b15_a_full_disk_is_answered_503_and_stores_nothing(receiver: Receiver) -> None:
    await receiver.post(LONG)
    size = receiver.journal_size
    with disk_full_after(size + 100):
        response = await receiver.post(FLAT)
        health = await receiver.client.get("/health")

    assert (response.status_code, health.status_code) == (503, 503)
    assert receiver.journal_size == size
    assert (await receiver.post(FLAT)).status_code == 200
    assert (await receiver.client.get("/health")).status_code == 200
    assert newest_depth(receiver) == "0"


async def test_b15_a_rejection_is_told_though_the_disk_is_full(receiver: Receiver) -> None:
    with disk_full_after(10):
        assert (await receiver.post(b"{}")).status_code == 422
    assert receiver.rows == []


async def test_a_copy_of_a_refused_alert_does_not_overtake_what_came_since(
    receiver: Receiver,
) -> None:
    await receiver.post({**LONG, "size": 1})
    with disk_full_after(receiver.journal_size + 50):
        assert (await receiver.post(LONG)).status_code == 503
    await asyncio.sleep(0.002)  # the next millisecond: equal arrivals keep the journal's order
    assert (await receiver.post(SHORT)).status_code == 200
    again = (await receiver.post(LONG)).json()

    assert "superseded" in again["warnings"][0]
    assert newest_depth(receiver) == "-0.04"


async def test_a_refusal_is_known_after_a_clean_restart(tmp_path: Path) -> None:
    home = Home(tmp_path)
    async with running(home) as receiver:
        with disk_full_after(50):
            assert (await receiver.post(LONG)).status_code == 503
        await asyncio.sleep(0.002)
        await receiver.post(SHORT)
    async with running(home) as receiver:
        again = (await receiver.post(LONG)).json()

        assert "superseded" in again["warnings"][0]
        assert newest_depth(receiver) == "-0.04"


async def test_entry_and_exit_that_were_both_refused_end_flat(receiver: Receiver) -> None:
    with disk_full_after(50):
        assert (await receiver.post(LONG)).status_code == 503
        await asyncio.sleep(0.002)
        assert (await receiver.post(FLAT)).status_code == 503
    assert (await receiver.post(LONG)).status_code == 200
    assert (await receiver.post(FLAT)).status_code == 200

    assert newest_depth(receiver) == "0"


async def test_a_disk_that_hangs_is_answered_503_before_tradingview_gives_up(
    tmp_path: Path,
) -> None:
    async with running(Home(tmp_path), answer_within_s=0.05) as receiver:
        disk = threading.Event()
        hold = receiver.writer._journal._thread.submit(disk.wait)  # the flush queues behind it
        response = await receiver.post(LONG)
        disk.set()
        await asyncio.wrap_future(hold)
        again = await receiver.post(LONG)

        assert (response.status_code, again.status_code) == (503, 200)
        assert "duplicate" in again.json()["warnings"][0]  # it came through after all
        assert len(receiver.rows) == 1


async def test_b5_a_torn_line_costs_nobody_else(tmp_path: Path) -> None:
    home = Home(tmp_path)
    async with running(home) as receiver:
        first = (await receiver.post(LONG)).json()["id"]
    (file,) = (tmp_path / "raw_signals" / "tradingview").glob("*.jsonl")
    with file.open("ab") as handle:
        handle.write(b'{"v":1,"id":"torn","status":"accep')
    async with running(home) as receiver:
        second = (await receiver.post(SHORT)).json()["id"]

        assert [row["id"] for row in receiver.rows] == [first, second]


async def test_one_writer_at_a_time(receiver: Receiver) -> None:
    with pytest.raises(BusyError, match="raw_signals/tradingview"):
        async with running(receiver.home):
            pass


async def test_requests_under_way_are_answered_at_a_stop(tmp_path: Path) -> None:
    async with running(Home(tmp_path)) as receiver:
        disk = threading.Event()
        receiver.writer._journal._thread.submit(disk.wait)
        posting = asyncio.create_task(receiver.post(LONG))
        await receiver.until(lambda: receiver.writer._journal._is_flushing)
        closing = asyncio.create_task(receiver.writer.close())
        late = await receiver.post(SHORT)
        disk.set()
        await closing

        assert (await posting).status_code == 200
        assert late.status_code == 503
    assert PATH
