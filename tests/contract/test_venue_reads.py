"""Reads on every venue: complete or an error, never empty because something failed."""

from collections.abc import Awaitable, Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from account_processors import CcxtVenue
from core.errors import CredentialsError, MaintenanceError, TradeEngineError, TransientError
from core.model import OrderStatus
from tests.contract.venue_cases import BTC, ETH, Bench, bench
from tests.venues import Door

Read = Callable[[CcxtVenue], Awaitable[object]]
BROKEN: list[tuple[str, dict[str, Any], type[TradeEngineError]]] = [
    ("html-200", {"kind": "garbage", "shape": "html"}, TransientError),
    ("empty-200", {"kind": "garbage", "shape": "empty"}, TransientError),
    ("truncated-200", {"kind": "garbage", "shape": "truncated"}, TransientError),
    ("reset", {"kind": "drop_before"}, TransientError),
    ("502", {"kind": "http", "status": 502}, TransientError),
    ("503", {"kind": "http", "status": 503}, MaintenanceError),
    ("venue-unsure", {"kind": "refuse", "code": "unknown"}, TransientError),
    ("unknown-code", {"kind": "refuse", "code": "424242"}, TransientError),
    ("key", {"kind": "refuse", "code": "key"}, CredentialsError),
    ("no-code", {"kind": "fields", "values": "success"}, TransientError),
    ("no-list", {"kind": "fields", "values": "rows"}, TransientError),
    ("no-list-but-text", {"kind": "fields", "values": "text"}, TransientError),
]


def reads(kit: Bench) -> Iterator[tuple[Door, Read, bool]]:
    """Every read with the door it knocks at, and whether null may say there that there is none."""
    yield kit.words.positions, lambda venue: venue.fetch_positions(), False
    yield kit.words.wallet, lambda venue: venue.fetch_equity(), False
    first, *others = zip(kit.words.look_up, kit.profile.order_lookup, strict=True)
    yield first[0], lambda venue: venue.fetch_order(BTC, "te99"), first[1].is_null_absent
    for door, endpoint in others:  # asked where the first does not know it
        yield door, lambda venue: venue.fetch_order(BTC, "te77"), endpoint.is_null_absent
    for door in dict.fromkeys(kit.words.recent):
        yield door, lambda venue: venue.fetch_recent_orders(BTC), False
    yield kit.words.open_orders, lambda venue: venue.fetch_open_orders(), False


def worded(kit: Bench, fault: dict[str, Any]) -> dict[str, Any]:
    """A fault in the venue's own words."""
    rows = {kit.profile.rows[-1], *(e.rows[-1] for e in kit.profile.order_lookup if e.rows)}
    values = {
        "success": {kit.profile.success[0]: None},
        "rows": dict.fromkeys(rows),
        "text": dict.fromkeys(rows, "x"),
    }
    codes = {"code": kit.words.codes.get(fault["code"], fault["code"])} if "code" in fault else {}
    return {**fault, **codes, **({"values": values[fault["values"]]} if "values" in fault else {})}


@pytest.mark.parametrize(("name", "fault", "kind"), BROKEN, ids=[row[0] for row in BROKEN])
async def test_te36_a1_a_read_that_failed_is_an_error_never_empty(
    kit: Bench, name: str, fault: dict[str, Any], kind: type[TradeEngineError]
) -> None:
    venue = await kit.connected()
    await kit.open(venue, "0.01", client_id="te99")
    for door, read, is_null_absent in reads(kit):
        if name == "no-list" and is_null_absent:
            continue
        broken = kit.break_at(door, **worded(kit, fault))
        with pytest.raises(kind) as caught:
            await read(venue)
        kit.server.remove_fault(broken)

        assert type(caught.value) is kind, door


@pytest.mark.parametrize("shape", ["html", "empty", "truncated"])
async def test_te37_a1_a_read_is_repeated_once_then_given_up(kit: Bench, shape: str) -> None:
    venue = await kit.connected()
    kit.break_at(kit.words.positions, "garbage", shape=shape, count=1)
    read = await venue.fetch_positions()

    assert read.positions == {}
    assert kit.to(kit.words.positions) == 2

    kit.break_at(kit.words.positions, "garbage", shape=shape)
    kit.server.forget_requests()
    with pytest.raises(TransientError):
        await venue.fetch_positions()

    assert kit.to(kit.words.positions) == 2


async def test_te38_a_read_that_timed_out_is_not_repeated_at_once(exchange: str) -> None:
    async with bench(exchange, timeout_s=0.3) as kit:
        venue = await kit.connected()
        kit.break_at(kit.words.positions, "hang_after")
        with pytest.raises(TransientError):
            await venue.fetch_positions()

        assert kit.to(kit.words.positions) == 1


async def test_te39_an_account_that_holds_nothing_has_no_position(kit: Bench) -> None:
    venue = await kit.connected()
    read = await venue.fetch_positions()

    assert (read.positions, read.unreadable, read.both_sides) == ({}, frozenset(), {})
    assert read.size_lots(BTC) == 0
    assert await venue.fetch_open_orders() == []
    assert await venue.fetch_recent_orders(BTC) == []


@pytest.mark.parametrize("size", ["", None, "many"])
async def test_te40_a2_a_size_that_cannot_be_read_is_unknown(kit: Bench, size: str | None) -> None:
    venue = await kit.connected()
    await kit.open(venue, "0.02")
    kit.break_at(kit.words.positions, "fields", values={kit.profile.position.size: size})
    read = await venue.fetch_positions()

    assert read.size_lots(BTC) is None
    assert read.unreadable == {BTC}
    assert read.size_lots(ETH) == 0


async def test_te41_a2_missing_optional_fields_leave_the_position_in_place(kit: Bench) -> None:
    venue = await kit.connected()
    await kit.open(venue, "0.02")
    fields = kit.profile.position
    values = {fields.leverage: "", fields.entry: None, fields.mark: "", fields.unrealized_pnl: None}
    kit.break_at(kit.words.positions, "fields", values=values)
    read = await venue.fetch_positions()

    assert read.size_lots(BTC) == kit.words.lots(BTC, "0.02")
    assert read.positions[BTC].leverage is None
    assert read.positions[BTC].entry_price is None
    assert read.positions[BTC].unrealized_pnl_usdt is None


async def test_te42_a27_margin_in_use_is_told_beside_an_empty_list(kit: Bench) -> None:
    venue = await kit.connected()
    await kit.open(venue, "0.02")
    kit.break_at(kit.words.positions, "empty")
    read = await venue.fetch_positions()
    equity = await venue.fetch_equity()

    assert read.positions == {}  # the venue said so; whether that can be is the engine's question
    assert equity.used_margin_usdt is not None
    assert equity.used_margin_usdt > 0


@pytest.mark.parametrize("empty", ["", None])
async def test_te43_a20_an_equity_that_was_not_told_is_unknown(
    kit: Bench, empty: str | None
) -> None:
    venue = await kit.connected()
    kit.break_at(kit.words.wallet, "fields", values=dict.fromkeys(kit.words.equity, empty))
    equity = await venue.fetch_equity()
    kit.server.clear_faults()
    kit.break_at(kit.words.wallet, "fields", values={kit.profile.rows[-1]: []})

    assert equity.equity_usdt is None
    with pytest.raises(TransientError):
        await venue.fetch_equity()


async def test_te44_a20_equity_moves_with_unrealised_pnl(kit: Bench) -> None:
    venue = await kit.connected()
    await kit.open(venue, "0.1")
    before = await venue.fetch_equity()
    kit.server.pin(BTCUSDT="61000")
    after = await venue.fetch_equity()
    whole = await kit.connected("second", equity_scope="account")

    assert before.equity_usdt is not None
    assert after.equity_usdt is not None
    assert before.free_margin_usdt is not None
    assert 90 < after.equity_usdt - before.equity_usdt < 110
    assert before.free_margin_usdt < before.equity_usdt
    assert (await whole.fetch_equity()).equity_usdt == 100_000


async def test_te45_positions_are_signed_and_dated_when_the_request_left(kit: Bench) -> None:
    venue = await kit.connected()
    await kit.open(venue, "0.02")
    await kit.open(venue, "-0.3", symbol=ETH, client_id="open2")
    kit.break_at(kit.words.positions, "latency", ms=150)
    before = kit.clock.now_ms()
    read = await venue.fetch_positions()
    after = kit.clock.now_ms()

    assert read.size_lots(BTC) == kit.words.lots(BTC, "0.02")
    assert read.size_lots(ETH) == kit.words.lots(ETH, "-0.3")
    assert read.size_lots("SOLUSDT") == 0
    assert read.positions[BTC].entry_price == kit.state().positions[f"{BTC}:0"].entry_price
    assert before <= read.began_at_ms <= after - 150


async def test_te46_a1_a_row_without_a_symbol_is_an_error(kit: Bench) -> None:
    venue = await kit.connected()
    await kit.open(venue, "0.02")
    kit.break_at(kit.words.positions, "fields", values={kit.profile.position.symbol: ""})
    with pytest.raises(TransientError):
        await venue.fetch_positions()


async def test_te47_a9_recent_orders_are_newest_first_foreign_ones_too(kit: Bench) -> None:
    venue = await kit.connected()
    await kit.open(venue, "0.03", client_id="te01")
    await venue.place_orders([kit.order("zz9", "-0.01", reduce_only=True)])
    await kit.open(venue, "0.1", symbol=ETH, client_id="te02")
    found = await venue.fetch_recent_orders(BTC)
    kit.server.exchange.liquidate(kit.server.account("main"), BTC)
    taken = (await venue.fetch_recent_orders(BTC))[0]
    lots = kit.words.lots

    assert [one.client_id for one in found] == ["zz9", "te01"]
    assert [one.filled_lots for one in found] == [lots(BTC, "-0.01"), lots(BTC, "0.03")]
    assert [one.reduce_only for one in found] == [True, False]
    assert not any(one.is_liquidation for one in found)
    assert taken.filled_lots == lots(BTC, "-0.02")
    kit.shows("A liquidation is told as such", "yes" if taken.is_liquidation else "no")


async def test_te48_an_order_is_not_known_only_when_every_place_says_so(kit: Bench) -> None:
    venue = await kit.connected()

    assert await venue.fetch_order(BTC, "te01") is None
    kit.shows("Look-up by client id", f"{len(kit.paths())} places")
    assert kit.to(*kit.words.look_up) == len(kit.paths()) == len(kit.words.look_up)
    for door in kit.words.look_up:
        broken = kit.break_at(door, "garbage")
        with pytest.raises(TransientError):
            await venue.fetch_order(BTC, "te01")
        kit.server.remove_fault(broken)


async def test_te49_an_answer_about_another_order_says_nothing_of_ours(kit: Bench) -> None:
    venue = await kit.connected()
    await kit.open(venue, "0.01", client_id="te01")
    values = {kit.profile.order.client_id: "another"}
    kit.break_at(kit.words.look_up[0], "fields", values=values)
    with pytest.raises(TransientError):
        await venue.fetch_order(BTC, "te01")


async def test_te50_each_call_costs_what_it_says(kit: Bench) -> None:
    venue = await kit.connected()
    await venue.set_margin_mode(BTC, "cross")
    await kit.open(venue, "0.01", client_id="te01")
    words = kit.words
    calls: dict[str, tuple[Read, list[str]]] = {
        "equity": (lambda v: v.fetch_equity(), [words.wallet.path]),
        "positions": (lambda v: v.fetch_positions(), [words.positions.path]),
        "open": (lambda v: v.fetch_open_orders(), [words.open_orders.path]),
        "order": (lambda v: v.place_orders([kit.order("te02")]), [words.create.path]),
        "turn": (lambda v: v.wait_turn("reduce", 1), []),
        "leverage": (
            lambda v: v.set_leverage(BTC, Decimal(3)),
            [words.leverage.path] * len(kit.profile.leverage_params("cross", False)),
        ),
    }
    for name, (call, paths) in calls.items():
        kit.server.forget_requests()
        await call(venue)

        assert kit.paths() == paths, name
    kit.server.forget_requests()
    known = await venue.fetch_order(BTC, "te01")
    assert known is not None
    assert known.status is OrderStatus.FILLED
    assert kit.to(words.look_up[0]) == len(kit.paths()) == 1
    kit.server.forget_requests()
    await venue.fetch_recent_orders(BTC)
    reads_fills = kit.profile.takings is not None  # where orders do not tell a liquidation
    asked = len(kit.profile.recent_orders) + reads_fills
    assert kit.to(*set(words.recent)) == len(kit.paths()) == asked
