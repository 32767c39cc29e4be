"""A read is judged for every symbol of the account, not only for those that traded."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from core.model import PositionsRead
from tests.engine.harness import Engine
from tests.engine.scenes import A, B, holding, replace_call
from tests.virtual_time import run_virtually

Change = Callable[[PositionsRead], PositionsRead]


async def holding_both(tmp_path: Path) -> Engine:
    engine = await holding(tmp_path, 1, symbols=(A, B))
    engine.want(B, lots=2)
    await engine.settled()
    await asyncio.sleep(20)
    assert engine.held(A) == 1
    assert engine.held(B) == 2
    return engine


def change_verify_read(engine: Engine, change: Change) -> None:
    """Let the second positions read of the next pass be changed."""
    reads: list[PositionsRead] = []

    async def read() -> PositionsRead:
        reads.append(await honest())
        return change(reads[-1]) if len(reads) == 2 else reads[-1]

    honest = replace_call(engine, "fetch_positions", read)


def without_b(read: PositionsRead) -> PositionsRead:
    return replace(read, positions={s: p for s, p in read.positions.items() if s != B})


async def trade_a_alone(engine: Engine) -> list[Decimal]:
    """Trade one symbol; gives the fills of the other."""
    before = len(engine.venue.fills)
    engine.want(A, lots=2)
    await asyncio.sleep(3)
    assert engine.held(A) == 2
    fills = zip(engine.venue.fill_symbols[before:], engine.venue.fills[before:], strict=True)
    return [fill.size_lots for symbol, fill in fills if symbol == B and fill.client_id]


def test_a_verify_read_that_misses_a_symbol_that_did_not_trade_buys_it_no_second_time(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        engine = await holding_both(tmp_path)
        change_verify_read(engine, without_b)

        assert await trade_a_alone(engine) == []
        await engine.stop()

    run_virtually(story())


def test_an_unreadable_row_of_a_symbol_that_did_not_trade_is_not_flat(tmp_path: Path) -> None:
    async def story() -> None:
        engine = await holding_both(tmp_path)
        change_verify_read(engine, lambda r: replace(without_b(r), unreadable=frozenset({B})))

        assert await trade_a_alone(engine) == []
        await engine.stop()

    run_virtually(story())


def test_a_position_closed_by_hand_between_two_reads_of_a_pass_is_not_bought_back(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        engine = await holding_both(tmp_path)

        def closed_meanwhile(read: PositionsRead) -> PositionsRead:
            engine.venue.trade_by_hand(B, Decimal(-2))
            return without_b(read)

        change_verify_read(engine, closed_meanwhile)

        assert await trade_a_alone(engine) == []
        await asyncio.sleep(60)
        assert engine.held(B) == 0
        assert engine.desk.ledger(B).hold is not None
        await engine.stop()

    run_virtually(story())
