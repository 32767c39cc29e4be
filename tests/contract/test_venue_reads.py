"""Reads over HTTP: complete or an error, never empty because something failed."""

from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal

import pytest

from account_processors import CcxtVenue
from core.errors import (
    CredentialsError,
    MaintenanceError,
    RateLimitedError,
    TradeEngineError,
    TransientError,
)
from tests.contract.venue_cases import (
    BTC,
    CREATE,
    ETH,
    HISTORY,
    POSITIONS,
    REALTIME,
    TIME,
    WALLET,
    Bench,
    bench,
    order,
)

Read = Callable[[CcxtVenue], Awaitable[object]]
READS: list[tuple[str, Read]] = [
    (POSITIONS, lambda venue: venue.fetch_positions()),
    (WALLET, lambda venue: venue.fetch_equity()),
    (REALTIME, lambda venue: venue.fetch_order(BTC, "te01")),
    (HISTORY, lambda venue: venue.fetch_order(BTC, "te01")),
    (REALTIME, lambda venue: venue.fetch_open_orders()),
    (HISTORY, lambda venue: venue.fetch_recent_orders(BTC)),
]
BROKEN = [
    pytest.param({"kind": "garbage", "shape": "html"}, TransientError, id="html-200"),
    pytest.param({"kind": "garbage", "shape": "empty"}, TransientError, id="empty-200"),
    pytest.param({"kind": "garbage", "shape": "truncated"}, TransientError, id="truncated-200"),
    pytest.param({"kind": "drop_before"}, TransientError, id="reset"),
    pytest.param({"kind": "http", "status": 502}, TransientError, id="502"),
    pytest.param({"kind": "http", "status": 503}, MaintenanceError, id="503"),
    pytest.param({"kind": "maintenance"}, MaintenanceError, id="maintenance"),
    pytest.param({"kind": "refuse", "code": 10016}, TransientError, id="10016"),
    pytest.param({"kind": "refuse", "code": 424242}, TransientError, id="unknown-code"),
    pytest.param({"kind": "refuse", "code": 10003}, CredentialsError, id="key"),
    pytest.param({"kind": "rate_limit"}, RateLimitedError, id="b17-10006"),
    pytest.param({"kind": "fields", "values": {"retCode": None}}, TransientError, id="no-code"),
    pytest.param({"kind": "fields", "values": {"list": None}}, TransientError, id="no-list"),
    pytest.param(
        {"kind": "fields", "values": {"list": "x"}}, TransientError, id="no-list-but-text"
    ),
]


@pytest.fixture
async def kit() -> AsyncIterator[Bench]:
    async with bench() as running:
        yield running


def _inject(kit: Bench, endpoint: str, fault: dict[str, object], count: int | None = None) -> None:
    rest = {name: value for name, value in fault.items() if name != "kind"}
    kit.server.add_fault(str(fault["kind"]), endpoint=endpoint, count=count, **rest)


@pytest.mark.parametrize(("fault", "kind"), BROKEN)
@pytest.mark.parametrize(("endpoint", "read"), READS)
async def test_a1_a_read_that_failed_is_an_error_never_empty(
    kit: Bench, endpoint: str, read: Read, fault: dict[str, object], kind: type[TradeEngineError]
) -> None:
    venue = await kit.connected()
    await venue.place_orders([order("te99")])
    _inject(kit, endpoint, fault)
    with pytest.raises(kind) as caught:
        await read(venue)

    assert type(caught.value) is kind


@pytest.mark.parametrize("shape", ["html", "empty", "truncated"])
async def test_a1_a_read_is_repeated_once_and_then_given_up(kit: Bench, shape: str) -> None:
    venue = await kit.connected()
    _inject(kit, POSITIONS, {"kind": "garbage", "shape": shape}, count=1)
    read = await venue.fetch_positions()

    assert read.positions == {}
    assert kit.paths() == [POSITIONS, POSITIONS]

    _inject(kit, POSITIONS, {"kind": "garbage", "shape": shape})
    kit.server.forget_requests()
    with pytest.raises(TransientError):
        await venue.fetch_positions()

    assert kit.paths() == [POSITIONS, POSITIONS]


async def test_a_read_that_timed_out_is_not_repeated_at_once() -> None:
    async with bench(timeout_s=0.3) as kit:
        venue = await kit.connected()
        kit.server.add_fault("hang_after", endpoint=POSITIONS)
        with pytest.raises(TransientError):
            await venue.fetch_positions()

        assert kit.paths() == [POSITIONS]


async def test_each_call_of_the_port_costs_what_it_says(kit: Bench) -> None:
    venue = await kit.connected()
    await venue.place_orders([order("te01")])
    costs: dict[str, list[str]] = {}
    calls: dict[str, Read] = {
        "equity": lambda v: v.fetch_equity(),
        "positions": lambda v: v.fetch_positions(),
        "known order": lambda v: v.fetch_order(BTC, "te01"),
        "unknown order": lambda v: v.fetch_order(BTC, "te77"),
        "open orders": lambda v: v.fetch_open_orders(),
        "recent orders": lambda v: v.fetch_recent_orders(BTC),
        "leverage": lambda v: v.set_leverage(BTC, Decimal(3)),
        "turn": lambda v: v.wait_turn("reduce", 1),
        "order": lambda v: v.place_orders([order("te02")]),
    }
    for name, call in calls.items():
        kit.server.forget_requests()
        await call(venue)
        costs[name] = kit.paths()

    assert costs == {
        "equity": [WALLET],
        "positions": [POSITIONS],
        "known order": [REALTIME],
        "unknown order": [REALTIME, HISTORY],
        "open orders": [REALTIME],
        "recent orders": [HISTORY, REALTIME, REALTIME],
        "leverage": ["/v5/position/set-leverage"],
        "turn": [],
        "order": [CREATE],
    }


async def test_positions_are_signed_and_dated_when_the_request_left(kit: Bench) -> None:
    venue = await kit.connected()
    await venue.place_orders([order("te01", "0.02")])
    await venue.place_orders([order("te02", "-0.3", symbol=ETH)])
    kit.server.add_fault("latency", endpoint=POSITIONS, ms=150)
    before = kit.clock.now_ms()
    read = await venue.fetch_positions()
    after = kit.clock.now_ms()

    assert read.size_lots(BTC) == Decimal("0.02")
    assert read.size_lots(ETH) == Decimal("-0.3")
    assert read.size_lots("SOLUSDT") == 0
    assert read.positions[BTC].entry_price is not None
    assert before <= read.began_at_ms <= after - 150


async def test_a2_null_fields_leave_the_position_in_place(kit: Bench) -> None:
    venue = await kit.connected()
    await venue.place_orders([order("te01", "0.02")])
    empty = {"leverage": "", "avgPrice": None, "markPrice": "", "unrealisedPnl": None}
    kit.server.add_fault("fields", endpoint=POSITIONS, values=empty)
    read = await venue.fetch_positions()

    assert read.size_lots(BTC) == Decimal("0.02")
    assert read.positions[BTC].leverage is None
    assert read.positions[BTC].entry_price is None


async def test_a2_a_size_that_cannot_be_read_is_unknown(kit: Bench) -> None:
    venue = await kit.connected()
    await venue.place_orders([order("te01", "0.02")])
    kit.server.add_fault("fields", endpoint=POSITIONS, values={"size": ""})
    read = await venue.fetch_positions()

    assert read.size_lots(BTC) is None
    assert read.unreadable == {BTC}


async def test_a27_margin_in_use_is_told_beside_an_empty_list(kit: Bench) -> None:
    venue = await kit.connected()
    await venue.place_orders([order("te01", "0.02")])
    kit.server.add_fault("empty", endpoint=POSITIONS)
    read = await venue.fetch_positions()
    equity = await venue.fetch_equity()

    assert read.positions == {}  # the venue said so; whether that can be is the engine's question
    assert equity.used_margin_usdt is not None
    assert equity.used_margin_usdt > 0


async def test_a1_an_equity_reply_without_an_account_is_an_error(kit: Bench) -> None:
    venue = await kit.connected()
    kit.server.add_fault("empty", endpoint=WALLET)
    with pytest.raises(TransientError):
        await venue.fetch_equity()


@pytest.mark.parametrize("empty", ["", None])
async def test_a20_a_null_equity_is_unknown(kit: Bench, empty: str | None) -> None:
    venue = await kit.connected()
    kit.server.add_fault("fields", endpoint=WALLET, values={"equity": empty, "totalEquity": empty})

    assert (await venue.fetch_equity()).equity_usdt is None


async def test_a20_equity_moves_with_unrealised_pnl(kit: Bench) -> None:
    venue = await kit.connected()
    whole = await kit.connected("second", equity_scope="account")
    await venue.place_orders([order("te01", "0.1")])
    before = await venue.fetch_equity()
    kit.server.pin(BTCUSDT="61000")
    after = await venue.fetch_equity()

    assert before.equity_usdt is not None
    assert after.equity_usdt is not None
    assert 90 < after.equity_usdt - before.equity_usdt < 110
    assert (await whole.fetch_equity()).equity_usdt == 100_000


async def test_all_pages_of_positions_are_read(kit: Bench) -> None:
    venue = await kit.connected()
    symbols = sorted(await kit.market.fetch_instruments())[:3]
    listing = await kit.market.fetch_instruments()
    for n, symbol in enumerate(symbols):
        size = max(listing[symbol].min_lots * 100, listing[symbol].step_lots)
        await venue.place_orders([order(f"te{n}", format(size, "f"), symbol=symbol)])
    held = {s for s in symbols if kit.size(s)}
    small = venue._profile.positions  # pages of one row
    pages = type(small)(small.method, small.group, {**small.params, "limit": "1"})
    kit.server.forget_requests()
    rows, _ = await venue._caller.read_rows(venue._raw(), pages, {}, "positions")

    assert len(held) > 1
    assert {row["symbol"] for row in rows} == held
    assert kit.paths() == [POSITIONS] * len(held)


async def test_an_endless_cursor_is_an_error(kit: Bench) -> None:
    venue = await kit.connected()
    await venue.place_orders([order("te01", "0.02")])
    kit.server.add_fault("fields", endpoint=POSITIONS, values={"nextPageCursor": "0"})
    with pytest.raises(TransientError, match="pages"):
        await venue.fetch_positions()


async def test_an_order_nobody_knows_is_none_only_when_both_places_say_so(kit: Bench) -> None:
    venue = await kit.connected()

    assert await venue.fetch_order(BTC, "te01") is None

    kit.server.add_fault("garbage", endpoint=HISTORY)
    with pytest.raises(TransientError):
        await venue.fetch_order(BTC, "te01")


async def test_an_answer_about_other_orders_does_not_say_that_ours_is_not_there(kit: Bench) -> None:
    venue = await kit.connected()
    await venue.place_orders([order("te01")])
    kit.server.add_fault("fields", endpoint=REALTIME, values={"orderLinkId": "another"})
    with pytest.raises(TransientError):
        await venue.fetch_order(BTC, "te01")


async def test_recent_orders_are_newest_first_and_foreign_ones_too(kit: Bench) -> None:
    venue = await kit.connected()
    await venue.place_orders([order("te01", "0.02")])
    await venue.place_orders([order("zz9", "-0.01", reduce_only=True)])
    found = await venue.fetch_recent_orders(BTC)

    assert [one.client_id for one in found] == ["zz9", "te01"]
    assert [one.filled_lots for one in found] == [Decimal("-0.01"), Decimal("0.02")]
    assert found[0].reduce_only is True


async def test_b18_a_read_with_a_refused_timestamp_measures_the_clock_and_is_repeated(
    kit: Bench,
) -> None:
    venue = await kit.connected()
    kit.server.add_fault("refuse", endpoint=POSITIONS, count=1, code=10002, text="timestamp")
    await venue.fetch_positions()

    assert kit.paths() == [POSITIONS, TIME, POSITIONS]


async def test_c2_no_error_shows_a_key_a_secret_or_a_signature(kit: Bench) -> None:
    venue = await kit.connected()
    kit.server.account("main")
    kit.server.add_fault("refuse", endpoint="*", code=10004, text="origin_string[1KEYMAIN5000x]")
    with pytest.raises(CredentialsError) as caught:
        await venue.fetch_positions()

    error: BaseException | None = caught.value
    while error is not None:
        assert "KEYMAIN" not in f"{error!r}"
        error = error.__cause__ or error.__context__
