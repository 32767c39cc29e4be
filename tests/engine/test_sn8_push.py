"""SN8 by websocket: each change reaches the engine at once, and what was missed is repaired."""

import logging
import time
from collections.abc import AsyncIterator
from statistics import quantiles

import pytest

from core.checkpoint import load_checkpoint
from core.home import Home
from tests.engine.sn8_house import House, house

log = logging.getLogger(__name__)

CHANGES = 50


@pytest.fixture
async def inside(home: Home, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    async with house(home, monkeypatch) as made:
        yield made


async def test_each_change_is_one_line_and_seen_by_the_engine_at_once(
    inside: House,
) -> None:
    await inside.settle()
    followed = max(inside.weights(), key=lambda key: inside.weights()[key])
    lines = len(inside.lines())
    ages_ms = []
    for number in range(CHANGES):
        before = inside.depths()
        began_s = time.perf_counter()
        inside.sn8.set_position("BTCUSD", 0.3 + 0.1 * (number % 2), hotkey=followed)
        while inside.depths() == before:
            assert await inside.nudges.wait(5), "nobody knocked"
        ages_ms.append(1000 * (time.perf_counter() - began_s))
        assert inside.is_in_step()
    cuts = quantiles(ages_ms, n=100)
    log.info("p50 %.1f, p99 %.1f, max %.1f ms", cuts[49], cuts[98], max(ages_ms))

    assert max(ages_ms) <= 1000
    assert len(inside.lines()) - lines == CHANGES
    newest = inside.lines()[-1]
    assert newest["meta"]["via"] == "push"
    assert newest["meta"]["simulated"] is True


async def test_a_change_of_one_who_is_not_followed_is_no_line(inside: House) -> None:
    await inside.settle()
    (stranger, *_) = [key for key in inside.sn8.hotkeys if key not in inside.weights()]
    lines, before = len(inside.lines()), inside.status()["push"]["messages"]
    inside.sn8.set_position("BTCUSD", -0.5, hotkey=stranger)
    await inside.until(lambda: inside.status()["push"]["messages"] > before)
    await inside.look()

    assert len(inside.lines()) == lines


async def test_a_flip_of_everybody_is_published_whole(inside: House) -> None:
    await inside.settle()
    inside.hold(-0.25)
    await inside.until(inside.is_in_step, "the flip")

    assert inside.depths()["BTCUSD"] < 0


async def test_a_lost_message_is_noticed_and_repaired_also_when_the_file_is_old(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(home, monkeypatch, settled_ms=500) as inside:
        await inside.settle()
        followed, witness = next(iter(inside.weights())), inside.sn8.hotkeys[-1]
        await inside.quiet()
        inside.sn8.misbehave("stale_file")
        looks = len(inside.sn8.requests("/miner-positions"))
        inside.sn8.set_position("ETHUSD", 0.1, hotkey=witness)
        inside.sn8.misbehave("sequence_gap")
        inside.sn8.set_position("BTCUSD", 0.5, hotkey=followed)
        inside.sn8.set_position("ETHUSD", 0.2, hotkey=witness)  # shows the gap
        await inside.until(lambda: len(inside.sn8.requests("/miner-positions")) > looks)
        assert not inside.is_in_step()
        inside.sn8.clear("stale_file")
        inside.sn8.rebuild()
        await inside.until(inside.is_in_step, "the repair")

        await inside.until(lambda: inside.status()["push"]["gaps"] == 2)  # the first: it connected


@pytest.mark.parametrize("is_abrupt", [False, True], ids=["closed", "cut"])
async def test_what_changes_while_it_is_disconnected_is_not_lost(
    inside: House, is_abrupt: bool
) -> None:
    await inside.settle()
    inside.sn8.disconnect(is_abrupt=is_abrupt)
    await inside.until(lambda: inside.sn8.connections == 0)
    inside.hold(0.4)
    await inside.until(inside.is_in_step, "the repair")
    await inside.until(lambda: inside.sn8.subscribers == 1, "a new connection")
    lines = len(inside.lines())
    inside.sn8.set_position("BTCUSD", 0.1, hotkey=next(iter(inside.weights())))
    await inside.until(inside.is_in_step, "push again")

    assert len(inside.lines()) == lines + 1


async def test_numbers_that_come_again_after_a_crash_lose_nothing(inside: House) -> None:
    await inside.settle()
    inside.sn8.repeat_sequence(back=10)
    await inside.until(lambda: inside.status()["push"]["connections"] == 2, "a new connection")
    inside.hold(0.4)
    await inside.until(inside.is_in_step)

    assert inside.depths()["BTCUSD"] > 0


async def test_garbage_and_an_old_message_change_nothing(inside: House) -> None:
    await inside.settle()
    followed = next(iter(inside.weights()))
    inside.sn8.set_position("BTCUSD", 0.5, hotkey=followed)
    await inside.until(inside.is_in_step)
    before, lines = inside.depths(), len(inside.lines())
    inside.sn8.stale_message("BTCUSD", age_s=3600, hotkey=followed)
    inside.sn8.garbage()
    inside.sn8.garbage(is_binary=True)
    inside.sn8.garbage(kb=64)
    await inside.until(lambda: inside.status()["push"]["garbage"] >= 3)
    await inside.look()

    assert (inside.depths(), len(inside.lines())) == (before, lines)


async def test_a_poisoned_push_is_counted_changes_nothing_and_has_a_snapshot_read(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(home, monkeypatch, settled_ms=500) as inside:
        await inside.settle()
        await inside.quiet()
        followed, before = next(iter(inside.weights())), inside.depths()
        inside.sn8.misbehave("poisoned", field="net_leverage", value=40.0, hotkey=followed)
        inside.sn8.set_position("BTCUSD", 0.5, hotkey=followed)
        await inside.until(lambda: inside.status()["push"]["unusable"] >= 1)
        await inside.until(lambda: followed in inside.status()["snapshot"]["dropped"])
        assert inside.depths() == before
        inside.sn8.clear()
        inside.sn8.rebuild()
        await inside.look()

        await inside.until(inside.is_in_step, "the recovery")
        assert inside.depths() != before


async def test_a_websocket_that_falls_silent_is_made_good_by_snapshots(inside: House) -> None:
    inside.put_config(fetching={"poll_interval_with_push_s": 2})
    await inside.settle()
    inside.sn8.misbehave("silence")
    inside.hold(0.4)

    await inside.until(inside.is_in_step, "the repair")
    assert inside.lines()[-1]["meta"]["via"] == "snapshot"


async def test_the_newer_dialect_and_batches_are_understood(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(home, monkeypatch, dialect="vn") as inside:
        await inside.settle()
        inside.sn8.misbehave("batch", messages=3)
        inside.hold(0.4)
        inside.sn8.clear("batch")  # the rest of the last one
        await inside.until(inside.is_in_step)
        problem = inside.status()["push"]["problem"]

    assert problem == ""


async def test_a_push_confirms_only_when_every_gap_is_surely_repaired(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(home, monkeypatch, settled_ms=500) as inside:
        await inside.settle()
        followed = next(iter(inside.weights()))
        inside.sn8.misbehave("http_status", status=500, path="/miner-positions")
        inside.sn8.garbage()
        await inside.until(lambda: "500" in inside.problems())
        began_at_ms = time.time_ns() // 1_000_000
        inside.sn8.set_position("BTCUSD", 0.5, hotkey=followed)
        await inside.until(inside.is_in_step)
        unconfirmed = inside.lines()[-1]["id"]
        await inside.until(lambda: is_covered(inside, unconfirmed), "the checkpoint")
        assert confirmed(inside) < began_at_ms
        inside.sn8.clear()
        await inside.quiet()
        began_at_ms = time.time_ns() // 1_000_000
        inside.sn8.set_position("BTCUSD", 0.1, hotkey=followed)
        await inside.until(inside.is_in_step)
        pushed = inside.lines()[-1]["id"]

        await inside.until(lambda: is_covered(inside, pushed), "the checkpoint")
        assert confirmed(inside) >= began_at_ms


def is_covered(inside: House, signal_id: str) -> bool:
    checkpoint = load_checkpoint(inside.home.raw_signals / "bittensor")
    return checkpoint is not None and checkpoint.states["BTCUSD"].newest.id == signal_id


def confirmed(inside: House) -> int:
    inside.depths()
    return inside.reader.confirmed_at_ms() or 0
