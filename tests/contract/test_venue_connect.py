"""Starting on every venue: clock, instruments, modes; shared by accounts, held up by nobody."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from account_processors import Address, address_of, open_market
from core.errors import ClockSkewError, ConfigError, NotPlacedError, RejectedError, TransientError
from core.model import OrderStatus, PlacedOrder
from tests.contract.venue_cases import BTC, ETH, NAMES, Bench, account_of, as_ports, bench, until


async def test_te51_connecting_tells_the_account_s_modes(kit: Bench) -> None:
    mode = await kit.venue().connect()
    paths = kit.paths()
    profile, words = kit.profile, kit.words
    modes = sum(read is not None for read in (profile.margin_mode, profile.position_mode))
    first = [words.time.path, *[words.instruments.path] * profile.listing_requests]

    assert mode.margin_mode == ("cross" if profile.margin_mode else None)
    assert (mode.is_hedged, mode.refusal) == (False, "")
    assert paths[: len(first)] == first
    assert len(paths) == len(first) + modes
    assert as_ports(kit.market, kit.venue(), kit.clock)


async def test_te52_accounts_share_what_is_public_and_have_keys_of_their_own(kit: Bench) -> None:
    venues = [kit.venue(name) for name in NAMES]
    await asyncio.gather(*(venue.connect() for venue in venues))
    found = await asyncio.gather(*(kit.market.fetch_tickers([BTC, ETH]) for _ in NAMES))
    words = kit.words

    assert kit.to(words.instruments) == kit.profile.listing_requests
    assert kit.to(words.tickers) == 1
    assert kit.to(words.time) == 1
    assert {len(prices) for prices in found} == {2}
    await venues[0].place_orders([kit.order("te01")])
    await venues[1].place_orders([kit.order("te01", "-0.02")])
    assert [kit.coins(name=name) for name in NAMES[:3]] == [Decimal("0.01"), Decimal("-0.02"), 0]
    kit.server.add_fault("rate_limit", account="main", **words.creates)
    limited, free = [await v.place_orders([kit.order("te02")]) for v in venues[:2]]
    assert isinstance(limited[0], NotPlacedError)
    assert isinstance(free[0], PlacedOrder)
    clients = [(await venue._listed(BTC))[0] for venue in venues]
    assert len({id(client.markets) for client in clients}) == 1
    sessions = {id(v._raw().session) for v in venues}  # type: ignore[attr-defined] # ccxt's
    assert sessions == {id(kit.transport.pool.session)}


async def test_te53_a26_after_a_restart_an_open_order_is_found_and_cancelled(kit: Bench) -> None:
    before = await kit.connected()
    kit.break_orders("fill_delay", ms=60_000)
    await kit.open(before, "0.01", client_id="te01")
    await before.close()
    venue = await kit.connected()
    (listed,) = await venue.fetch_open_orders()
    waiting = await venue.fetch_order(BTC, "te01")
    await venue.cancel_order(BTC, listed.client_id)
    state = await venue.fetch_order(BTC, "te01")

    assert (listed.client_id, listed.symbol, listed.status) == ("te01", BTC, OrderStatus.OPEN)
    assert waiting is not None
    assert (waiting.status, waiting.filled_lots) == (OrderStatus.OPEN, Decimal(0))
    assert state is not None
    assert (state.status, state.filled_lots) == (OrderStatus.CANCELED, Decimal(0))
    assert await venue.fetch_open_orders() == []


@pytest.mark.parametrize("is_known", [True, False], ids=["filled", "never-placed"])
async def test_te54_a_cancel_of_an_order_that_is_gone_says_so(kit: Bench, is_known: bool) -> None:
    venue = await kit.connected()
    if is_known:
        await kit.open(venue, "0.01", client_id="te01")
    with pytest.raises(RejectedError) as caught:
        await venue.cancel_order(BTC, "te01")

    assert caught.value.kind == "not_found"


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"kind": "garbage", "shape": "html"}, id="html-200"),
        pytest.param({"kind": "garbage", "shape": "empty"}, id="empty-200"),
        pytest.param({"kind": "garbage", "shape": "truncated"}, id="truncated-200"),
        pytest.param({"kind": "empty"}, id="nothing-listed"),
        pytest.param({"kind": "drop_before"}, id="reset"),
        pytest.param({"kind": "http", "status": 502}, id="502"),
        pytest.param({"kind": "garbage", "last": True}, id="last-half-garbled"),
    ],
)
async def test_te55_b2_a_failed_listing_is_an_error_and_is_not_kept(
    kit: Bench, fault: dict[str, Any]
) -> None:
    skip = kit.profile.listing_requests - 1 if fault.pop("last", False) else 0
    kit.break_at(kit.words.instruments, **fault, skip=skip)
    with pytest.raises(TransientError):
        await kit.market.fetch_instruments()
    kit.server.clear_faults()
    kit.later(6)
    venue = await kit.connected()
    kit.later(6)
    known = await kit.market.listing()
    kit.break_at(kit.words.instruments, **fault)
    with pytest.raises(TransientError):
        await kit.market.listing(max_age_ms=-1)
    (outcome,) = await venue.place_orders([kit.order()])  # the one before is in force

    assert await kit.market.listing() is known
    assert isinstance(outcome, PlacedOrder)


async def test_te56_a30_instruments_are_as_listed_under_our_names(kit: Bench) -> None:
    listed = await kit.market.fetch_instruments()
    names = (await kit.market.listing()).symbols
    theirs = kit.server.exchange.instruments[kit.exchange]

    assert names == {row.id: symbol for symbol, row in theirs.items()}
    assert kit.words.names.items() <= names.items()
    for symbol, row in theirs.items():
        one = listed[symbol]
        assert (one.symbol, one.is_trading) == (symbol, row.status == "Trading")
        assert (one.step_lots, one.min_lots) == (row.step_lots, row.min_lots), symbol
        assert (one.tick_size, one.contract_size) == (row.tick_size, row.contract_size), symbol
        assert one.max_market_lots == row.max_market_lots, symbol
        assert one.min_notional_usdt == row.min_notional_usdt, symbol
        assert (one.max_leverage, one.leverage_step) == (row.max_leverage, row.leverage_step)
    is_coin = {row.contract_size for row in theirs.values()} == {1}
    kit.shows("A lot is", "a coin" if is_coin else "a contract")
    kit.later(6)
    await kit.market.listing(max_age_ms=-1)
    venue = await kit.connected()
    await kit.open(venue, "0.01")  # a new reading reaches the accounts


async def test_te57_a13_prices_are_told_with_their_age(kit: Bench) -> None:
    kit.server.pin(BTCUSDT="60000", ETHUSDT="3000")
    await kit.market.fetch_instruments()
    before = kit.clock.now_ms()
    found = await kit.market.fetch_tickers([BTC, ETH, "NOPEUSDT"])
    fields = kit.profile.ticker
    kit.market._prices = ([], 0, -10_000)  # forget what was read
    broken = kit.break_at(kit.words.tickers, "fields", values={fields.mark or fields.last: ""})
    unknown = await kit.market.fetch_tickers([BTC])
    kit.server.remove_fault(broken)
    kit.market._prices = ([], 0, -10_000)
    kit.break_at(kit.words.tickers, "garbage")

    assert set(found) == {BTC, ETH}
    assert before <= found[BTC].read_at_ms <= kit.clock.now_ms()
    assert [found[s].mark_price for s in (BTC, ETH)] == [Decimal(60_000), Decimal(3_000)]
    bid, ask = found[BTC].bid_price, found[BTC].ask_price
    assert bid is not None
    assert ask is not None
    assert bid <= 60_000 < ask
    assert unknown == {}
    with pytest.raises(TransientError):
        await kit.market.fetch_tickers([BTC])
    kit.shows("Mark price", "told" if fields.mark else "middle of the book")


@pytest.mark.parametrize("wrong_by_ms", [-4_000, 3_000])
async def test_te58_b18_the_venue_s_clock_is_measured_and_used(
    kit: Bench, wrong_by_ms: int
) -> None:
    kit.clock.wrong_by_ms = wrong_by_ms
    venue = await kit.connected()
    (outcome,) = await venue.place_orders([kit.order()])
    off_ms = abs(kit.market.server_clock.offset_ms + wrong_by_ms)
    kit.market.server_clock.doubt()
    told = "time" if kit.profile.server_time_ms else ""
    kit.break_at(kit.words.time, "fields", values=_no_time(kit))
    (unmeasured,) = await venue.place_orders([kit.order("te02")])

    assert isinstance(outcome, PlacedOrder)
    assert off_ms < (200 if told else 700)  # a Date header knows no milliseconds
    assert isinstance(unmeasured, NotPlacedError) is bool(told)
    kit.shows("Venue's clock", "asked" if told else "Date header")


@pytest.mark.parametrize("wrong_by_ms", [-30_000, 30_000])
async def test_te59_b18_over_five_seconds_nothing_is_opened_but_reductions_go(
    kit: Bench, wrong_by_ms: int
) -> None:
    await kit.open(await kit.connected(), "0.01", client_id="te01")
    kit.clock.wrong_by_ms = wrong_by_ms
    kit.market.server_clock.doubt()
    venue = kit.venue()
    with pytest.raises(ClockSkewError, match="NTP"):
        await venue.connect()
    kit.server.forget_requests()
    found = await venue.place_orders(
        [kit.order("te02"), kit.order("te03", "-0.01", reduce_only=True)]
    )

    assert [type(one) for one in found] == [ClockSkewError, PlacedOrder]
    assert [one.client_id for one in kit.on_the_wire()] == ["te03"]
    assert kit.size() == 0


async def test_te60_b18_a_refused_timestamp_is_measured_anew(kit: Bench) -> None:
    venue = await kit.connected()
    await venue.set_margin_mode(BTC, "cross")
    kit.server.forget_requests()
    code = kit.words.codes["clock"]
    kit.break_orders("refuse", count=1, code=code, text="timestamp")
    (first,) = await venue.place_orders([kit.order("te01")])
    (second,) = await venue.place_orders([kit.order("te01")])
    create, time, positions = (
        door.path for door in (kit.words.create, kit.words.time, kit.words.positions)
    )

    assert isinstance(first, ClockSkewError)
    assert isinstance(second, PlacedOrder)
    assert kit.paths() == [create, time, create]
    kit.server.forget_requests()
    kit.break_at(kit.words.positions, "refuse", count=1, code=code, text="timestamp")
    assert (await venue.fetch_positions()).size_lots(BTC) == kit.size()
    assert kit.paths() == [positions, time, positions]


async def test_b18_a_clock_that_cannot_be_read_holds_up_no_reduction(kit: Bench) -> None:
    venue = await kit.connected()
    await kit.open(venue, "0.01", client_id="te01")
    kit.market.server_clock.doubt()
    kit.break_at(kit.words.time, "http", status=502)
    found = await venue.place_orders(
        [kit.order("te02"), kit.order("te03", "-0.01", reduce_only=True)]
    )

    assert [type(one) for one in found] == [NotPlacedError, PlacedOrder]
    assert kit.size() == 0


async def test_te61_b18_a_clock_that_was_set_wrong_meanwhile_opens_nothing(kit: Bench) -> None:
    venue = await kit.connected()
    await venue.set_margin_mode(BTC, "cross")
    kit.server.forget_requests()
    window_s = kit.profile.request_window_s
    # a venue's times may lie back on purpose, where they are nonces too
    kit.clock.wrong_by_ms = -(window_s - 2) * 1000 + kit.profile.time_slack_ms
    (within,) = await venue.place_orders([kit.order("te01")])
    kit.clock.wrong_by_ms = -(window_s + 6) * 1000
    (first,) = await venue.place_orders([kit.order("te02")])
    (second,) = await venue.place_orders([kit.order("te03")])

    assert isinstance(within, PlacedOrder)
    assert [type(first), type(second)] == [ClockSkewError, ClockSkewError]
    assert kit.paths()[1:] == [kit.words.create.path, kit.words.time.path]  # the venue's, then ours
    assert kit.coins() == Decimal("0.01")
    kit.shows("A request is valid for", f"{window_s} s")


async def test_te71_b21_a_venue_that_hangs_at_connect_holds_up_nobody(exchange: str) -> None:
    async with bench(exchange, timeout_s=0.4) as hung, bench(exchange) as sound:
        fault = hung.break_at(hung.words.instruments, "hang_after")
        starting = [hung.venue(name) for name in NAMES]
        waiting = asyncio.gather(*(v.connect() for v in starting), return_exceptions=True)
        venue = await sound.connected()
        (outcome,) = await venue.place_orders([sound.order()])
        errors = await waiting

        assert isinstance(outcome, PlacedOrder)
        assert all(isinstance(error, TransientError) for error in errors)
        assert hung.to(hung.words.instruments) <= 2  # five accounts, one attempt
        hung.server.remove_fault(fault)
        hung.later(6)
        await starting[0].connect()


@pytest.mark.parametrize("door", ["instruments", "time"])
async def test_te72_an_order_before_the_venue_is_known_is_not_placed(kit: Bench, door: str) -> None:
    venue = kit.venue()
    kit.break_at(getattr(kit.words, door), "http", status=502)
    (outcome,) = await venue.place_orders([kit.order()])

    assert isinstance(outcome, NotPlacedError)
    assert kit.on_the_wire() == []


async def test_te73_a_demo_account_goes_to_the_venue_s_demo(kit: Bench) -> None:
    account = account_of(exchange=kit.exchange, environment="demo")
    hosts = set()
    shown = {"demo_trading": "demo trading", "sandbox": "demo host"}.get(kit.profile.demo, "no")
    if shown == "no":
        with pytest.raises(ConfigError, match="no demo"):
            address_of(account)
    else:
        for address in (Address(), address_of(account)):
            client = open_market(kit.exchange, address, kit.transport).make_client({})
            hosts.add(str(client.urls["api"]))  # type: ignore[attr-defined] # ccxt's
            await client.close()
        assert len(hosts) == 2

    kit.shows("Demo accounts", shown)


async def test_te74_a_copy_trading_account_is_traded_apart(kit: Bench) -> None:
    ordinary = await kit.connected()
    has_them = kit.profile.copy_trading is not None
    if has_them:
        venue = await kit.connected(copy_trading=True)
        (placed,) = await venue.place_orders([kit.order("te01", "0.02")])
        held, apart = await venue.fetch_positions(), await ordinary.fetch_positions()
        state = await venue.fetch_order(BTC, "te01")

        assert isinstance(placed, PlacedOrder)
        assert held.size_lots(BTC) == kit.words.lots(BTC, "0.02")
        assert state is not None
        assert state.status is OrderStatus.FILLED
        assert apart.size_lots(BTC) == kit.size() == 0
    else:
        with pytest.raises(ConfigError, match="copy_trading"):
            kit.venue(copy_trading=True)

    kit.shows("Copy-trading accounts", "yes" if has_them else "no")


async def test_closing_ends_a_reading_on_its_way(kit: Bench) -> None:
    kit.break_at(kit.words.instruments, "hang_after")
    connecting = asyncio.create_task(kit.venue().connect())
    await until(lambda: kit.to(kit.words.instruments))
    await kit.market.close()
    await asyncio.gather(connecting, return_exceptions=True)

    assert connecting.done()


async def test_a_closed_venue_opens_again(kit: Bench) -> None:
    venue = await kit.connected()
    await venue.close()

    assert (await venue.fetch_positions()).positions == {}


def _no_time(kit: Bench) -> dict[str, object]:
    path = kit.profile.server_time_ms
    return {path[-1]: "soon"} if path else {}
