"""What the lane does when a venue refuses: smaller, later, wider or never again, and told."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.errors import CredentialsError, RejectedError, TradeEngineError
from core.model import ZERO, Equity, Instrument, OrderRequest, OrderStatus, PlacedOrder
from tests.engine.fake_venue import INSTRUMENT, MARK
from tests.engine.harness import Engine
from tests.engine.scenes import (
    Answers,
    S,
    failing,
    holding,
    knows_leverage,
    refuse_orders,
    replace_call,
    seconds_until,
)
from tests.virtual_time import run_virtually

HOUR_S = 3600


def list_instrument(engine: Engine, **changes: Any) -> None:
    async def instruments() -> Mapping[str, Instrument]:
        return {S: replace(INSTRUMENT, **changes)}

    replace_call(engine, "fetch_instruments", instruments)


def grant_margin(engine: Engine, margin_usdt: int) -> list[Decimal]:
    """Let the venue refuse what its margin does not carry at 3x; gives what was tried."""
    tried: list[Decimal] = []

    def used() -> Decimal:
        return abs(engine.held()) * MARK / 3

    async def equity() -> Equity:
        return Equity(
            equity_usdt=engine.venue.equity_usdt,
            free_margin_usdt=margin_usdt - used(),
            used_margin_usdt=None,
            unrealized_pnl_usdt=ZERO,
        )

    async def place(orders: Sequence[OrderRequest], **_: object) -> Answers:
        answers: list[PlacedOrder | TradeEngineError] = []
        for order in orders:
            tried.append(order.size_lots)
            if not order.reduce_only and used() + abs(order.size_lots) * MARK / 3 > margin_usdt:
                answers.append(RejectedError("no margin", kind="margin"))
            else:
                answers.extend(await honest([order]))
        return tuple(answers)

    replace_call(engine, "fetch_equity", equity)
    honest = replace_call(engine, "place_orders", place)
    return tried


@pytest.mark.parametrize(
    ("lots", "margin_usdt", "most"),
    [
        pytest.param(10, 50_000, 3, id="two-pieces-none-affordable"),
        pytest.param(
            16,
            100_000,
            6,
            id="many-pieces-some-affordable",
        ),
    ],
)
def test_a_split_order_refused_for_margin_is_shrunk_to_what_the_margin_carries(
    tmp_path: Path, lots: int, margin_usdt: int, most: int
) -> None:
    async def story() -> None:
        engine = Engine(tmp_path)
        engine.start()
        knows_leverage(engine)
        grant_margin(engine, margin_usdt)
        engine.want(lots=lots)
        await asyncio.sleep(900)

        assert most * Decimal("0.8") <= engine.held() <= most
        await engine.stop()

    run_virtually(story())


def test_an_order_refused_for_margin_is_shrunk_once_and_not_nibbled_at(tmp_path: Path) -> None:
    async def story() -> None:
        engine = Engine(tmp_path, max_order_share=Decimal(1))
        engine.start()
        knows_leverage(engine)
        tried = grant_margin(engine, 100_000)
        engine.want(lots=16)
        await asyncio.sleep(1800)

        assert len(tried) <= 3
        assert Decimal("4.8") <= engine.held() <= 6
        await engine.stop()

    run_virtually(story())


def test_a_margin_refusal_stands_where_a_lot_is_a_fraction_of_a_coin(tmp_path: Path) -> None:
    async def story() -> None:
        engine = Engine(tmp_path, max_order_share=Decimal(1))
        list_instrument(
            engine,
            contract_size=Decimal("0.001"),
            step_lots=Decimal(1),
            min_lots=Decimal(1),
            max_market_lots=None,
        )
        engine.start()
        knows_leverage(engine)
        refuse_orders(engine, RejectedError("no margin", kind="margin"))
        engine.want(lots=1)
        await asyncio.sleep(HOUR_S)

        assert 1 <= len(engine.venue.placed) <= 3
        await engine.stop()

    run_virtually(story())


def test_a33_the_back_off_of_a_split_order_begins_at_five_seconds(tmp_path: Path) -> None:
    async def story() -> None:
        engine = Engine(tmp_path)
        engine.start()
        knows_leverage(engine)
        refuse_orders(engine, RejectedError("no", kind="other"))
        engine.want(lots=30)
        await asyncio.sleep(1)
        assert len(engine.venue.placed) > 1
        wait_ms = engine.desk.attempts_of(S).increase_not_before_ms - engine.clock.now_ms()

        assert 0 < wait_ms <= 5000
        await engine.stop()

    run_virtually(story())


def test_a_split_reduction_goes_collar_by_collar_before_it_goes_at_market(tmp_path: Path) -> None:
    async def story() -> None:
        engine = Engine(tmp_path)
        list_instrument(engine, max_market_lots=Decimal("0.5"))
        engine.start()
        engine.want(lots=2)
        await engine.settled()
        await asyncio.sleep(20)
        before = len(engine.venue.placed)
        refuse_orders(engine, RejectedError("price", kind="price"))
        engine.want(lots=0)
        await asyncio.sleep(30)
        prices = [order.limit_price for order in engine.venue.placed[before:]]
        pieces = 4

        assert len(set(prices[:pieces])) == 1
        assert prices[pieces] not in (None, prices[0])
        assert prices[2 * pieces] not in (None, prices[0], prices[pieces])
        assert prices[3 * pieces] is None
        await engine.stop()

    run_virtually(story())


def test_a28_dust_that_the_venue_does_not_close_is_told_and_left(tmp_path: Path) -> None:
    async def story() -> None:
        engine = Engine(tmp_path)
        least = Decimal("0.01")
        list_instrument(engine, min_lots=least)
        tried: list[Decimal] = []

        async def place(orders: Sequence[OrderRequest], **_: object) -> Answers:
            tried.extend(o.size_lots for o in orders)
            if any(abs(o.size_lots) < least for o in orders):
                return tuple(RejectedError("below minimum", kind="size") for _ in orders)
            answers: Answers = await honest(orders)
            return answers

        honest = replace_call(engine, "place_orders", place)
        engine.start()
        engine.want(lots=2)
        await engine.settled()
        await asyncio.sleep(20)
        engine.venue.trade_by_hand(S, Decimal("-1.995"))
        await asyncio.sleep(80)
        engine.want(lots=0)
        tried.clear()
        events = len(engine.events_disk.rows)
        await asyncio.sleep(HOUR_S)

        assert 1 <= len(tried) < 10
        assert len(engine.events_disk.rows) - events < 20
        assert "dust/one/BTCUSDT" in engine.alerts()
        await engine.stop()

    run_virtually(story())


def test_exits_refused_for_an_hour_are_alerted_and_do_not_flood(tmp_path: Path) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 2)
        requests = len(engine.venue.requests)
        placed = len(engine.venue.placed)
        refuse_orders(engine, RejectedError("symbol is suspended", kind="symbol"))
        engine.want(lots=0)
        await asyncio.sleep(HOUR_S)

        assert "exit_stuck/one/BTCUSDT" in engine.alerts()
        assert 60 < len(engine.venue.placed) - placed < 800  # never given up, 5 s apart
        assert len(engine.venue.requests) - requests < 60 * 60
        await engine.stop()

    run_virtually(story())


def test_an_entry_that_its_collar_leaves_unfilled_is_alerted(tmp_path: Path) -> None:
    async def story() -> None:
        engine = Engine(tmp_path)
        engine.start()
        knows_leverage(engine)

        def unfilled(order: OrderRequest) -> None:
            engine.venue._note(order, ZERO, OrderStatus.CANCELED)

        engine.venue._execute = unfilled  # type: ignore[method-assign] # a market that ran away
        engine.want(lots=1)
        await asyncio.sleep(1800)

        assert "entry_stuck/one/BTCUSDT" in engine.alerts()
        assert len(engine.venue.placed) <= 21
        await engine.stop()

    run_virtually(story())


def test_nothing_to_reduce_is_not_believed_while_positions_cannot_be_read(tmp_path: Path) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 2)
        replace_call(engine, "fetch_positions", failing)
        refused: list[OrderRequest] = []

        async def place(orders: Sequence[OrderRequest], **_: object) -> Answers:
            if not refused:
                refused.extend(orders)
                error = RejectedError("no position", kind="nothing_to_reduce")
                return tuple(error for _ in orders)
            answers: Answers = await honest(orders)
            return answers

        honest = replace_call(engine, "place_orders", place)
        engine.want(lots=0)

        assert await seconds_until(engine, lambda: engine.held() == 0, within_s=600) < 600
        assert refused
        await engine.stop()

    run_virtually(story())


@pytest.mark.parametrize("lots", [0, 2], ids=["reductions", "increases"])
def test_credentials_refused_on_writes_park_after_three(tmp_path: Path, lots: int) -> None:
    async def story() -> None:
        engine = await holding(tmp_path, 1)
        sent = len(engine.venue.placed)
        refuse_orders(engine, CredentialsError("no permission to trade"))
        engine.want(lots=lots)
        await asyncio.sleep(HOUR_S)

        assert engine.lane.state == "parked"
        assert "parked/one" in engine.alerts()
        assert len(engine.venue.placed) - sent == 3
        await engine.stop()

    run_virtually(story())


def test_a17_that_a_symbol_was_not_prepared_is_not_told_any_more_once_it_is_to_be_flat(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        engine = Engine(tmp_path)
        engine.start()

        async def refused(_symbol: object, _leverage: object) -> None:
            message = "leverage"
            raise RejectedError(message, kind="risk_limit")

        replace_call(engine, "set_leverage", refused)
        engine.want(lots=1)
        await asyncio.sleep(10)
        assert "not_prepared/one/BTCUSDT" in engine.alerts()
        engine.want(lots=0)
        await asyncio.sleep(300)

        assert "not_prepared/one/BTCUSDT" not in engine.alerts()
        assert engine.venue.placed == []
        await engine.stop()

    run_virtually(story())
