"""The simulated venue fills at the mark, refuses as a venue would, and only reads the real one."""

import itertools
import random
from collections.abc import Callable, Coroutine
from decimal import Decimal
from typing import Any

import pytest

from commands.plans.simulated_venue import SimulatedVenue
from commands.plans.watched_venue import WatchedVenue
from core.errors import RejectedError, TradeEngineError
from core.lanes.market_desk import MarketDesk
from core.model import OrderRequest, OrderStatus, PlacedOrder
from core.ports import Venue
from tests.engine.fake_venue import MARK, FakeVenue
from tests.virtual_time import VirtualClock, run_virtually

BTC = "BTCUSDT"


class Scene:
    """A simulation over a fake venue."""

    def __init__(self, **venue: Any) -> None:
        self.clock = VirtualClock()
        self.numbers = itertools.count()
        self.real = FakeVenue(clock=self.clock, rng=random.Random(0), **venue)
        self.market = MarketDesk(self.real, self.clock, ticker_max_age_s=5)
        self.venue = SimulatedVenue(self.real, self.market, self.clock)

    async def read(self) -> None:
        """Learn instruments, the mark and what is held, as a pass does first."""
        await self.market.instruments()
        await self.market.tickers([BTC])
        await self.venue.fetch_positions()

    async def send(
        self, size: str, *, reduce_only: bool = False, limit: str | None = None
    ) -> PlacedOrder | TradeEngineError:
        order = OrderRequest(
            client_id=f"id{next(self.numbers)}",
            symbol=BTC,
            size_lots=Decimal(size),
            reduce_only=reduce_only,
            limit_price=None if limit is None else Decimal(limit),
        )
        (result,) = await self.venue.place_orders([order])
        return result

    async def held(self) -> Decimal | None:
        return (await self.venue.fetch_positions()).size_lots(BTC)


Story = Callable[[Scene], Coroutine[Any, Any, None]]


def play(story: Story, **venue: Any) -> Scene:
    """Play, then prove that the real venue was only read and holds what it held."""

    async def played() -> Scene:
        scene = Scene(**venue)
        before = dict(scene.real.held)
        await scene.read()
        await story(scene)
        assert scene.real.held == before
        assert scene.real.placed == []
        return scene

    return run_virtually(played())


def kind(result: PlacedOrder | TradeEngineError) -> str:
    return result.kind if isinstance(result, RejectedError) else type(result).__name__


def test_an_order_is_filled_at_the_mark_and_laid_over_what_is_held() -> None:
    async def story(scene: Scene) -> None:
        await scene.venue.set_leverage(BTC, Decimal(5))
        placed = await scene.send("0.3", limit="50250")
        assert isinstance(placed, PlacedOrder)
        state = await scene.venue.fetch_order(BTC, placed.client_id)
        row = (await scene.venue.fetch_positions()).positions[BTC]

        assert state is not None
        assert (state.status, state.average_price) == (OrderStatus.FILLED, MARK)
        assert (row.size_lots, row.leverage) == (Decimal("0.5"), Decimal(5))
        assert (await scene.venue.fetch_recent_orders(BTC))[0] == state

    play(story, held={BTC: Decimal("0.2")})


@pytest.mark.parametrize(
    ("size", "limit", "filled"),
    [
        pytest.param("0.1", "49999", "0", id="buy-below-the-mark"),
        pytest.param("0.1", "50000", "0.1", id="buy-at-the-mark"),
        pytest.param("-0.1", "50001", "0", id="sell-above-the-mark"),
        pytest.param("-0.1", "49750", "-0.1", id="sell-at-the-collar"),
    ],
)
def test_the_collar_is_kept(size: str, limit: str, filled: str) -> None:
    async def story(scene: Scene) -> None:
        placed = await scene.send(size, limit=limit)
        assert isinstance(placed, PlacedOrder)
        state = await scene.venue.fetch_order(BTC, placed.client_id)

        assert state is not None
        assert (state.filled_lots, state.is_terminal) == (Decimal(filled), True)
        assert await scene.held() == Decimal(filled)

    play(story)


@pytest.mark.parametrize(
    ("size", "reduce_only", "refusal"),
    [
        pytest.param("0.0015", False, "size", id="no-multiple-of-the-step"),
        pytest.param("0.001", False, "PlacedOrder", id="the-smallest"),
        pytest.param("100.001", False, "size", id="above-the-largest"),
        pytest.param("0.1", True, "nothing_to_reduce", id="a-reduction-on-the-wrong-side"),
        pytest.param("-0.1", True, "PlacedOrder", id="a-reduction"),
    ],
)
def test_what_a_venue_refuses_is_refused(size: str, reduce_only: bool, refusal: str) -> None:
    async def story(scene: Scene) -> None:
        assert kind(await scene.send(size, reduce_only=reduce_only)) == refusal

    play(story, held={BTC: Decimal("0.2")})


def test_a_reduction_ends_at_zero_and_the_next_finds_nothing() -> None:
    async def story(scene: Scene) -> None:
        placed = await scene.send("-0.5", reduce_only=True)
        assert isinstance(placed, PlacedOrder)
        state = await scene.venue.fetch_order(BTC, placed.client_id)

        assert state is not None
        assert state.filled_lots == Decimal("-0.2")
        assert BTC not in (await scene.venue.fetch_positions()).positions
        assert kind(await scene.send("-0.2", reduce_only=True)) == "nothing_to_reduce"

    play(story, held={BTC: Decimal("0.2")})


def test_in_hedge_mode_each_side_is_closed_on_its_own() -> None:
    async def story(scene: Scene) -> None:
        await scene.send("-0.2", reduce_only=True)
        read = await scene.venue.fetch_positions()
        assert read.both_sides == {}
        assert read.size_lots(BTC) == Decimal("-0.3")
        await scene.send("0.3", reduce_only=True)

        assert await scene.held() == 0

    sides = {(BTC, "long"): Decimal("0.2"), (BTC, "short"): Decimal("-0.3")}
    play(story, is_hedged=True, holds_sides=True, sides=sides)


def test_margin_follows_the_fills_and_is_gone_when_everything_is_closed() -> None:
    async def story(scene: Scene) -> None:
        before = await scene.venue.fetch_equity()
        await scene.venue.set_leverage(BTC, Decimal(10))
        await scene.send("0.2")
        more = await scene.venue.fetch_equity()
        assert before.used_margin_usdt is not None
        assert more.used_margin_usdt == before.used_margin_usdt + 1000
        assert more.equity_usdt == before.equity_usdt
        assert before.free_margin_usdt is not None
        assert more.free_margin_usdt == before.free_margin_usdt - 1000
        await scene.venue.set_leverage(BTC, Decimal(20))  # frees less than is in use
        await scene.send("-0.4", reduce_only=True)
        none = await scene.venue.fetch_equity()

        assert none.used_margin_usdt == 0

    play(story, held={BTC: Decimal("0.2")})


def test_leverage_and_margin_mode_that_go_with_an_order_are_those_of_its_position() -> None:
    async def story(scene: Scene) -> None:
        order = OrderRequest(
            client_id="a",
            symbol=BTC,
            size_lots=Decimal("0.1"),
            reduce_only=False,
            limit_price=None,
            leverage=Decimal(5),
            margin_mode="isolated",
        )
        await scene.venue.place_orders([order])
        row = (await scene.venue.fetch_positions()).positions[BTC]

        assert (row.leverage, row.margin_mode) == (Decimal(5), "isolated")
        assert (await scene.venue.fetch_equity()).used_margin_usdt == 1000

    play(story)


def test_cancels_and_settings_stay_here() -> None:
    async def story(scene: Scene) -> None:
        await scene.venue.cancel_order(BTC, "x")
        await scene.venue.set_leverage(BTC, Decimal(7))
        await scene.venue.set_margin_mode(BTC, "isolated")
        await scene.venue.wait_turn("increase", 3)
        await scene.send("0.1")
        row = (await scene.venue.fetch_positions()).positions[BTC]

        assert (row.leverage, row.margin_mode) == (Decimal(7), "isolated")
        assert scene.real.leverage == {}
        assert scene.real.margin_modes == {}

    scene = play(story)

    assert not {"leverage", "margin_mode", "cancel", "place"} & set(scene.real.requests)


def test_what_the_real_venue_says_is_passed_on() -> None:
    async def story(scene: Scene) -> None:
        assert await scene.venue.connect() == await scene.real.connect()
        assert await scene.venue.fetch_key_facts() == await scene.real.fetch_key_facts()
        assert await scene.venue.fetch_open_orders() == []
        assert await scene.venue.fetch_order(BTC, "not ours") is None
        assert scene.venue.deadline_ms() == scene.real.deadline_ms()

    play(story)


def test_a_watched_venue_notes_the_first_read_and_every_write() -> None:
    async def story(scene: Scene) -> None:
        watched = WatchedVenue(scene.venue)
        await watched.fetch_positions()
        await watched.set_leverage(BTC, Decimal(3))
        orders = [
            OrderRequest(
                client_id=f"w{size}",
                symbol=BTC,
                size_lots=Decimal(size),
                reduce_only=False,
                limit_price=None,
            )
            for size in ("0.1", "0.0001")
        ]
        await watched.place_orders(orders)
        await watched.fetch_positions()
        set_leverage, bought, refused = watched.steps

        assert watched.first_positions is not None
        assert watched.first_positions.size_lots(BTC) == 0
        assert set_leverage.leverage == 3
        assert (bought.order, bought.error) == (orders[0], None)
        assert isinstance(refused.error, RejectedError)

    play(story)


def as_ports(simulated: SimulatedVenue, watched: WatchedVenue) -> tuple[Venue, Venue]:
    """Have the type checker compare the classes with the port."""
    return simulated, watched
