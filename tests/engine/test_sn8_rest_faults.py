"""Whatever a validator's answers are like: depths neither fall to zero nor jump, and it is told."""

import json
import threading
from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web

from core.clock import SystemClock
from core.home import Home
from signal_processors import bittensor_following
from signal_processors.bittensor_client import ValidatorClient
from signal_processors.bittensor_model import Snapshot, Statistics
from signal_processors.bittensor_payload import Judge, read_positions
from signal_processors.bittensor_reading import Reader
from tests.disk_full import disk_full_after
from tests.engine.sn8_house import House, house
from tests.sn8_servers import access, gzipped, packed, serving

POSITIONS = "/miner-positions"


@pytest.fixture
async def inside(home: Home, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    async with house(home, monkeypatch) as made:
        await made.settle()
        yield made


def problem(inside: House, key: str) -> str:
    """Give the words of one problem in the status part; "" = it is not told."""
    rows = [row for row in inside.status().get("problems", []) if isinstance(row, dict)]
    return next((row["text"] for row in rows if row["key"] == key), "")


HTTP: Mapping[str, tuple[str, dict[str, Any], str]] = {
    "500": ("http_status", {"status": 500}, "500"),
    "503": ("http_status", {"status": 503}, "503"),
    "401": ("http_status", {"status": 401}, "the key is not known there"),
    "403": ("http_status", {"status": 403}, "set the tier"),
    "404": ("http_status", {"status": 404}, "there is no such address"),
    "not-built": ("not_built", {}, "has no data yet"),
    "rate-limited": ("rate_limited", {}, "too many requests"),
    "upstream": ("upstream_failure", {}, "500"),
    "html": ("html", {}, "web page"),
    "truncated": ("truncated_gzip", {}, "cut short"),
    "bomb": ("gzip_bomb", {"mb": 300}, "larger than max_decoded_mb"),
    "oversize": ("oversize", {"mb": 2}, "larger than max_compressed_mb"),
}


@pytest.mark.parametrize(("kind", "params", "words"), HTTP.values(), ids=HTTP)
async def test_an_answer_that_is_none_changes_nothing_and_is_told(
    home: Home, monkeypatch: pytest.MonkeyPatch, kind: str, params: dict[str, Any], words: str
) -> None:
    async with house(home, monkeypatch) as inside:
        inside.put_config(fetching={"max_compressed_mb": 1})
        await inside.settle()
        before, lines = inside.depths(), len(inside.lines())
        inside.sn8.misbehave(kind, path=POSITIONS, **params)
        for _ in range(3):
            await inside.look()
        await inside.until(lambda: words in problem(inside, "positions"), words)
        assert (inside.depths(), len(inside.lines())) == (before, lines)
        inside.sn8.misbehave("stale_file")
        inside.sn8.misbehave("sequence_gap")
        inside.sn8.set_position("BTCUSD", 0.5, hotkey=next(iter(inside.weights())))
        inside.sn8.clear()
        inside.sn8.rebuild()
        await inside.look()

        await inside.until(inside.is_in_step, "the recovery")
        await inside.until(lambda: problem(inside, "positions") == "", "the end of the problem")


async def test_an_empty_object_changes_nothing_and_is_told(inside: House) -> None:
    before, lines = inside.depths(), len(inside.lines())
    inside.sn8.misbehave("empty_object", path=POSITIONS)
    for _ in range(3):
        await inside.look()
    await inside.until(lambda: problem(inside, "payload").startswith("empty"))

    assert (inside.depths(), len(inside.lines())) == (before, lines)
    inside.sn8.clear()
    await inside.look()
    await inside.until(lambda: problem(inside, "payload") == "")


CONTENT: Mapping[str, tuple[str, dict[str, Any], str]] = {
    "emptied": ("emptied", {}, "silent"),
    "swapped": ("swapped", {}, "followed_missing"),
    "rewritten": ("rewritten", {}, "history_changed"),
    "an-hour-back": ("watermark_back", {"s": 3600.0}, "went_back"),
}


@pytest.mark.parametrize(("kind", "params", "code"), CONTENT.values(), ids=CONTENT)
async def test_a_file_that_is_not_believed_changes_nothing_and_is_told(
    inside: House, kind: str, params: dict[str, Any], code: str
) -> None:
    inside.put_config(guards={"accept_after": 2})
    before, lines = inside.depths(), len(inside.lines())
    inside.sn8.misbehave(kind, **params)
    for _ in range(3):  # the same file, so often: still one witness
        await inside.look()
    await inside.until(lambda: code in problem(inside, "payload"), code)
    assert (inside.depths(), len(inside.lines())) == (before, lines)
    inside.sn8.clear()
    inside.hold(0.4)
    await inside.look()

    await inside.until(inside.is_in_step, "the recovery")
    await inside.until(lambda: problem(inside, "payload") == "", "the end of the problem")


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        pytest.param("poisoned", {"field": "net_leverage", "value": "much"}, id="poisoned"),
        pytest.param("poisoned", {"field": "net_leverage", "value": -15.0}, id="other-side"),
        pytest.param("poisoned", {"field": "open_ms", "value": 10**15}, id="in-the-future"),
        pytest.param("removed", {}, id="removed"),
        pytest.param("vanished", {"pair": "BTCUSD"}, id="vanished"),
    ],
)
async def test_what_is_odd_of_one_miner_leaves_its_depth_and_the_others_are_followed(
    inside: House, kind: str, params: dict[str, Any]
) -> None:
    odd, other = list(inside.weights())[:2]
    inside.sn8.misbehave("stale_file")  # so that the odd file comes alone
    before = inside.depths()
    inside.sn8.misbehave(kind, hotkey=odd, **params)
    inside.sn8.clear("stale_file")
    inside.sn8.rebuild()
    for _ in range(8):
        await inside.look()
    assert inside.depths() == before
    inside.sn8.set_position("BTCUSD", 0.4, hotkey=other)
    await inside.until(inside.is_in_step, "the other's change")

    assert problem(inside, "payload") == ""


async def test_what_vanished_in_file_after_file_is_gone_in_the_end(inside: House) -> None:
    odd, other = list(inside.weights())[:2]
    before = inside.depths()["BTCUSD"]
    weight = inside.weights()[odd]
    inside.sn8.misbehave("vanished", hotkey=odd, pair="BTCUSD")
    seen = []
    for number in range(4):
        seen.append(inside.depths()["BTCUSD"] == before)
        inside.sn8.set_position("ETHUSD", 0.01 * (number + 1), hotkey=other)
        inside.sn8.rebuild()
        await inside.look()
    await inside.until(lambda: inside.depths()["BTCUSD"] < before, "the end")

    assert seen[:3] == [True, True, True]
    assert abs(before - inside.depths()["BTCUSD"] - weight / 2) < Decimal("0.001")


async def test_an_eliminated_miner_is_left_and_told_apart_from_a_vanished_one(
    inside: House,
) -> None:
    odd = next(iter(inside.weights()))
    before, weight = inside.depths()["BTCUSD"], inside.weights()[odd]
    inside.sn8.eliminate(hotkey=odd)
    await inside.until(lambda: inside.depths()["BTCUSD"] < before, "the end")

    assert abs(before - inside.depths()["BTCUSD"] - weight / 2) < Decimal("0.001")


async def test_a_stale_file_takes_nothing_back_that_was_pushed(inside: House) -> None:
    inside.sn8.misbehave("stale_file")
    inside.hold(0.4)
    await inside.until(inside.is_in_step, "the pushes")
    after = inside.depths()
    for _ in range(8):
        await inside.look()

    assert inside.depths() == after


async def test_an_answer_that_hangs_stops_no_push_and_ends_in_time(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(home, monkeypatch) as inside:
        await inside.settle()
        inside.sn8.misbehave("hang", path=POSITIONS)
        inside.sn8.garbage()
        inside.hold(0.4)
        await inside.until(inside.is_in_step, "the pushes")

        assert await inside.stop() < 2


async def test_statistics_and_eliminations_that_fail_stop_nothing_and_are_told(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(home, monkeypatch) as inside:
        inside.put_config(ranking="classic", filtering={"min_profitable_rate": 0})
        inside.sn8.misbehave("http_status", status=500, path="/statistics")
        inside.sn8.misbehave("html", path="/eliminations")
        inside.hold(0.25)
        inside.sn8.rebuild()
        inside.start()
        await inside.until(lambda: "500" in problem(inside, "statistics"))
        await inside.until(lambda: "web page" in problem(inside, "eliminations"))

        await inside.until(lambda: inside.ranking() == "classic", "the ranking")
        assert inside.status()["snapshot"]["is_accepted"] is True


async def test_what_cannot_be_read_is_told_as_long_as_it_comes() -> None:
    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        return gzipped(packed({"data": 1, "eliminations": 1}))

    figures, eliminated = Statistics(created_at_ms=1, miners={}), {"somebody": "a reason"}
    async with serving(answer) as url:
        clock = SystemClock()
        client = ValidatorClient(access(url), clock=clock)
        reader = Reader(client, lambda: Judge(pairs=(), now_ms=clock.now_ms()))
        try:
            for _ in range(2):
                assert await reader.statistics(figures) is figures
                assert await reader.eliminations(eliminated) is eliminated
                assert set(reader.problems) == {"statistics", "eliminations"}
        finally:
            await client.close()


async def test_an_elimination_that_becomes_known_has_a_snapshot_read_at_once(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bittensor_following, "WITHOUT_STATISTICS_S", 0.2)
    async with house(home, monkeypatch) as inside:
        inside.sn8.misbehave("http_status", status=500, path="/statistics")
        inside.hold(0.25)
        inside.sn8.rebuild()
        inside.start()
        await inside.until(lambda: inside.ranking() != "", "the first snapshot")
        await inside.quiet()
        looks = len(inside.sn8.requests(POSITIONS))
        inside.sn8.eliminate(hotkey=inside.sn8.hotkeys[0])

        await inside.until(lambda: len(inside.sn8.requests(POSITIONS)) > looks, "a look")


async def test_a_body_is_decoded_off_the_loop_and_an_unchanged_one_not_at_all(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[int] = []

    def counted(body: bytes, judge: Judge) -> Snapshot:
        assert threading.current_thread() is not threading.main_thread()
        reads.append(len(body))
        return read_positions(body, judge)

    monkeypatch.setattr("signal_processors.bittensor_reading.read_positions", counted)
    async with house(home, monkeypatch) as inside:
        await inside.settle()
        inside.sn8.rebuild()
        await inside.look()
        count = len(reads)
        for _ in range(10):
            inside.sn8.rebuild()  # anew, but with the same content
            await inside.look()
        assert len(reads) == count
        inside.sn8.set_position("ETHUSD", 0.1, index=11)
        inside.sn8.rebuild()
        await inside.look()

        await inside.until(lambda: len(reads) > count, "a new body")


async def test_b15_a_full_disk_stores_and_confirms_nothing_and_goes_on_later(
    inside: House,
) -> None:
    folder = inside.home.raw_signals / "bittensor"
    (journal,) = folder.glob("*.jsonl")
    size, before, lines = journal.stat().st_size, inside.depths(), len(inside.lines())
    pushed = inside.status()["push"]["messages"]
    followed = next(iter(inside.weights()))
    with disk_full_after(size):
        inside.sn8.set_position("BTCUSD", 0.5, hotkey=followed)
        await inside.until(lambda: "not stored" in problem(inside, "journal"), "the problem")
        for _ in range(3):
            await inside.look()
        assert (inside.depths(), len(inside.lines())) == (before, lines)
    assert inside.status()["push"]["messages"] == pushed + 1

    await inside.until(inside.is_in_step, "the recovery")
    await inside.look()
    await inside.until(lambda: problem(inside, "journal") == "", "the end of the problem")
    text = journal.read_text()
    assert all(json.loads(line) for line in text.splitlines())
