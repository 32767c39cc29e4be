"""Starting: clock, instruments, modes; shared by accounts, held up by nobody."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from core.errors import (
    ClockSkewError,
    CredentialsError,
    NotPlacedError,
    RateLimitedError,
    TransientError,
)
from core.model import PlacedOrder
from tests.contract.venue_cases import (
    BTC,
    CREATE,
    ETH,
    INSTRUMENTS,
    NAMES,
    POSITIONS,
    TICKERS,
    TIME,
    Bench,
    as_ports,
    bench,
    order,
)

INFO = "/v5/account/info"


@pytest.fixture
async def kit() -> AsyncIterator[Bench]:
    async with bench() as running:
        yield running


async def test_connecting_tells_the_account_s_modes(kit: Bench) -> None:
    mode = await kit.venue().connect()

    assert (mode.margin_mode, mode.is_hedged) == ("cross", False)
    assert kit.paths() == [TIME, INSTRUMENTS, INSTRUMENTS, INFO, POSITIONS]


async def test_the_classes_are_the_ports(kit: Bench) -> None:
    assert as_ports(kit.market, kit.venue(), kit.clock)


async def test_five_accounts_share_one_reading_of_instruments_and_clock(kit: Bench) -> None:
    venues = [kit.venue(name) for name in NAMES]
    await asyncio.gather(*(venue.connect() for venue in venues))
    await kit.market.fetch_instruments()

    assert len(kit.server.requests(INSTRUMENTS)) == 2
    assert len(kit.server.requests(TIME)) == 1
    clients = [(await venue._listed(BTC))[0] for venue in venues]
    assert len({id(client.markets) for client in clients}) == 1


async def test_lanes_that_ask_together_share_one_reading_of_tickers(kit: Bench) -> None:
    await kit.connected()
    found = await asyncio.gather(*(kit.market.fetch_tickers([BTC, ETH]) for _ in range(5)))

    assert len(kit.server.requests(TICKERS)) == 1
    assert kit.server.requests(TICKERS)[0].query == "category=linear"
    assert set(found[0]) == {BTC, ETH}
    assert found[0][BTC].mark_price == 60000


async def test_tickers_that_cannot_be_read_are_left_out_and_failures_are_errors(kit: Bench) -> None:
    await kit.connected()
    fault = kit.server.add_fault("fields", endpoint=TICKERS, values={"markPrice": ""})
    found = await kit.market.fetch_tickers([BTC, "NOPEUSDT"])
    kit.server.remove_fault(fault)
    kit.market._prices = ([], 0, -10_000)  # forget what was read
    kit.server.add_fault("garbage", endpoint=TICKERS)

    assert found == {}
    with pytest.raises(TransientError):
        await kit.market.fetch_tickers([BTC])


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "garbage", "shape": "html"},
        {"kind": "garbage", "shape": "empty"},
        {"kind": "garbage", "shape": "truncated"},
        {"kind": "empty"},
        {"kind": "drop_before"},
    ],
)
async def test_b2_a_failed_instrument_read_is_an_error_and_is_not_kept(
    kit: Bench, fault: dict[str, str]
) -> None:
    rest = {name: value for name, value in fault.items() if name != "kind"}
    kit.server.add_fault(fault["kind"], endpoint=INSTRUMENTS, **rest)
    with pytest.raises(TransientError):
        await kit.market.fetch_instruments()
    kit.server.clear_faults()

    assert len(await kit.market.fetch_instruments()) == 50


async def test_b2_one_garbled_half_of_the_instruments_is_not_taken_for_the_whole(
    kit: Bench,
) -> None:
    kit.server.add_fault("garbage", endpoint=INSTRUMENTS, skip=1, count=1)
    with pytest.raises(TransientError):
        await kit.market.fetch_instruments()


async def test_b2_a_failed_reading_leaves_the_one_before_in_force(kit: Bench) -> None:
    venue = await kit.connected()
    known = await kit.market.listing()
    kit.server.add_fault("garbage", endpoint=INSTRUMENTS)
    with pytest.raises(TransientError):
        await kit.market.listing(max_age_ms=-1)
    (outcome,) = await venue.place_orders([order()])

    assert await kit.market.listing() is known
    assert isinstance(outcome, PlacedOrder)


async def test_a_new_reading_of_instruments_reaches_the_accounts(kit: Bench) -> None:
    venue = await kit.connected()
    await kit.market.listing(max_age_ms=-1)
    (outcome,) = await venue.place_orders([order()])

    assert isinstance(outcome, PlacedOrder)
    assert len(kit.server.requests(INSTRUMENTS)) == 2


async def test_a30_instruments_bear_our_names_and_the_venue_s_figures(kit: Bench) -> None:
    listed = await kit.market.fetch_instruments()
    bitcoin = listed[BTC]

    assert len(listed) == 50
    assert (str(bitcoin.step_lots), str(bitcoin.tick_size)) == ("0.001", "0.1")
    assert bitcoin.max_market_lots == 119
    assert bitcoin.min_notional_usdt == 5
    assert all(name == one.symbol and name.endswith("USDT") for name, one in listed.items())


async def test_b21_a_venue_that_hangs_at_connect_times_out_and_blocks_nobody() -> None:
    async with bench(timeout_s=0.4) as hung, bench() as sound:
        hung.server.add_fault("hang_after", endpoint=INSTRUMENTS)
        starting = [hung.venue(name) for name in NAMES]
        waiting = asyncio.gather(*(v.connect() for v in starting), return_exceptions=True)
        venue = await sound.connected()
        (outcome,) = await venue.place_orders([order()])

        assert isinstance(outcome, PlacedOrder)
        assert not waiting.done()

        errors = await waiting
        assert {type(error).__mro__[1] for error in errors} <= {TransientError}
        assert len(hung.server.requests(INSTRUMENTS)) == 2  # five accounts, one attempt


async def test_b21_the_next_connect_after_a_hang_succeeds() -> None:
    async with bench(timeout_s=0.3) as kit:
        fault = kit.server.add_fault("hang_after", endpoint=INFO)
        venue = kit.venue()
        with pytest.raises(TransientError):
            await venue.connect()
        kit.server.remove_fault(fault)

        assert (await venue.connect()).margin_mode == "cross"


@pytest.mark.parametrize("wrong_by_ms", [-4_000, 3_000])
async def test_b18_the_venue_s_clock_is_used_where_ours_is_a_little_wrong(
    kit: Bench, wrong_by_ms: int
) -> None:
    kit.clock.wrong_by_ms = wrong_by_ms
    venue = await kit.connected()
    (outcome,) = await venue.place_orders([order()])

    assert isinstance(outcome, PlacedOrder)
    assert abs(kit.market.server_clock.offset_ms + wrong_by_ms) < 200


@pytest.mark.parametrize("wrong_by_ms", [-30_000, 30_000])
async def test_b18_over_five_seconds_nothing_is_opened_but_reductions_go(
    kit: Bench, wrong_by_ms: int
) -> None:
    await (await kit.connected()).place_orders([order("te01")])
    kit.clock.wrong_by_ms = wrong_by_ms
    kit.market.server_clock.doubt()
    venue = kit.venue()
    with pytest.raises(ClockSkewError, match="NTP"):
        await venue.connect()
    kit.server.forget_requests()
    found = await venue.place_orders([order("te02"), order("te03", "-0.01", reduce_only=True)])

    assert [type(one) for one in found] == [ClockSkewError, PlacedOrder]
    assert kit.paths() == [CREATE]
    assert kit.size() == 0


async def test_a15_a_hedge_mode_account_is_told_at_connect(kit: Bench) -> None:
    venue = await kit.connected()
    client = venue._raw()
    await client.set_position_mode(True)  # type: ignore[attr-defined] # ccxt's, by hand

    assert (await venue.connect()).is_hedged is True


async def test_a_wrong_secret_parks_the_account(kit: Bench) -> None:
    venue = kit.venue(api_secret="WRONG")
    with pytest.raises(CredentialsError, match="secret"):
        await venue.connect()


async def test_b17_a_ban_at_connect_is_told_with_its_length(kit: Bench) -> None:
    kit.server.add_fault("ip_ban", endpoint=TIME)
    with pytest.raises(RateLimitedError) as caught:
        await kit.venue().connect()

    assert caught.value.retry_after_s == 600


async def test_b18_a_clock_that_was_set_wrong_meanwhile_opens_nothing_more(kit: Bench) -> None:
    venue = await kit.connected()
    kit.clock.wrong_by_ms = -60_000
    (first,) = await venue.place_orders([order("te01")])
    (second,) = await venue.place_orders([order("te02")])

    assert [type(first), type(second)] == [ClockSkewError, ClockSkewError]
    assert kit.paths() == [CREATE, TIME]  # refused by the venue, then by us
    assert kit.size() == 0


async def test_b18_a_reply_without_a_time_is_an_error(kit: Bench) -> None:
    kit.server.add_fault("fields", endpoint=TIME, values={"time": "soon"})
    with pytest.raises(TransientError):
        await kit.venue().connect()


async def test_an_order_before_the_instruments_are_known_is_not_placed(kit: Bench) -> None:
    venue = kit.venue()
    kit.server.add_fault("garbage", endpoint=INSTRUMENTS)
    (outcome,) = await venue.place_orders([order()])

    assert type(outcome) is NotPlacedError
    assert kit.server.requests(CREATE) == []


@pytest.mark.parametrize("kind", ["ip_ban", "garbage", "maintenance"])
async def test_placing_never_raises_whatever_keeps_it_from_the_time(kit: Bench, kind: str) -> None:
    venue = await kit.connected()
    kit.market.server_clock.doubt()
    kit.server.add_fault(kind, endpoint=TIME)
    (outcome,) = await venue.place_orders([order()])

    assert isinstance(outcome, NotPlacedError)
    assert kit.server.requests(CREATE) == []


async def test_closing_ends_a_reading_on_its_way() -> None:
    async with bench() as kit:
        kit.server.add_fault("hang_after", endpoint=INSTRUMENTS)
        connecting = asyncio.create_task(kit.venue().connect())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(connecting), 0.2)
        await kit.market.close()
        await asyncio.gather(connecting, return_exceptions=True)

        assert connecting.done()


async def test_a_closed_venue_opens_again(kit: Bench) -> None:
    venue = await kit.connected()
    await venue.close()

    assert (await venue.fetch_positions()).positions == {}


async def test_a_hundred_reads_share_the_pool_s_session(kit: Bench) -> None:
    venues = [await kit.connected(name) for name in NAMES]
    await asyncio.gather(*(v.fetch_positions() for v in venues for _ in range(8)))
    sessions = {id(v._raw().session) for v in venues}  # type: ignore[attr-defined] # ccxt's

    assert sessions == {id(kit.transport.pool.session)}
