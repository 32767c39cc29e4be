"""The rules of the paper exchange's books, one at a time, without a server."""

from dataclasses import replace
from decimal import Decimal

import orjson
import pytest

from paper_exchange import book, margin
from paper_exchange.account import AccountState
from paper_exchange.orders import (
    ZERO,
    BookError,
    MarginMode,
    OrderStatus,
    Origin,
    Reason,
    Terms,
    Ticket,
    TimeInForce,
)
from paper_exchange.prices import Board, FixedPrices
from paper_exchange.state_file import decode, encode
from paper_exchange.wires import find_wires

INSTRUMENTS = find_wires()["bybit"].instruments
HOUR_MS = 3_600_000
D = Decimal


def board(**prices: str) -> Board:
    known = {"ETHUSDT": "3328", "BTCUSDT": "60000"} | prices
    return Board(INSTRUMENTS, FixedPrices(prices={k: D(v) for k, v in known.items()}), 0)


def ticket(size: str, symbol: str = "ETHUSDT", **more: object) -> Ticket:
    return replace(Ticket(symbol=symbol, size_lots=D(size)), **more)  # type: ignore[arg-type]


def placed(
    state: AccountState, order: Ticket, at: Board | None = None, at_ms: int = 1
) -> AccountState:
    return book.place(state, at or board(), order, order_id=f"o{state.sequence}", at_ms=at_ms)


def refused(state: AccountState, order: Ticket, at: Board | None = None) -> Reason:
    with pytest.raises(BookError) as caught:
        placed(state, order, at)
    return caught.value.reason


def test_a_buy_pays_the_ask_and_the_taker_fee() -> None:
    state = placed(AccountState(), ticket("2"))
    position = state.position("ETHUSDT")

    assert position is not None
    assert (position.size_lots, position.entry_price) == (D(2), D("3328.16"))
    assert state.wallet_usdt == 100_000 - 2 * D("3328.16") * D("0.00055")


def test_entry_is_the_mean_of_what_was_opened_and_stays_when_reduced() -> None:
    state = placed(AccountState(), ticket("1"), board(ETHUSDT="3000"))
    state = placed(state, ticket("3"), board(ETHUSDT="3400"))
    reduced = placed(state, ticket("-2"), board(ETHUSDT="3500"))

    low, high = board(ETHUSDT="3000")["ETHUSDT"].ask, board(ETHUSDT="3400")["ETHUSDT"].ask
    entry = (low + 3 * high) / 4
    assert [s.positions["ETHUSDT:0"].entry_price for s in (state, reduced)] == [entry, entry]
    assert reduced.executions[-1].realized_usdt == 2 * (3500 - entry)
    assert reduced.executions[-1].closed_lots == 2


def test_a_flip_realises_the_old_side_and_enters_anew() -> None:
    long = placed(AccountState(), ticket("2"))
    short = placed(long, ticket("-5"), board(ETHUSDT="3400"))

    assert short.size_lots("ETHUSDT") == -3
    assert short.positions["ETHUSDT:0"].entry_price == 3400
    assert short.executions[-1].realized_usdt == 2 * (3400 - D("3328.16"))
    assert short.positions["ETHUSDT:0"].realized_usdt == -short.executions[-1].fee_usdt


def test_margin_is_value_over_leverage_plus_the_fee() -> None:
    ask = board()["BTCUSDT"].ask
    state = book.set_leverage(AccountState(), board(), "BTCUSDT", D(5), (0,))
    affordable = (D(100_000) / (ask * (D("0.2") + D("0.00055")))).quantize(D("0.001"))

    assert refused(state, ticket(str(affordable + D("0.01")), "BTCUSDT")) is Reason.MARGIN
    held = placed(state, ticket(str(affordable - D("0.01")), "BTCUSDT"))
    assert 0 <= margin.free_margin(held, board()) < 200


def test_a_reduction_needs_no_margin() -> None:
    state = placed(AccountState(), ticket("14", "BTCUSDT"))
    under = board(BTCUSDT="55000")
    assert margin.free_margin(state, under) < 0

    assert placed(state, ticket("-13", "BTCUSDT"), under).size_lots("BTCUSDT") == 1
    assert refused(state, ticket("0.001", "BTCUSDT"), under) is Reason.MARGIN


def test_raising_margin_needs_by_lowering_leverage_is_refused_without_margin() -> None:
    state = placed(AccountState(), ticket("14", "BTCUSDT"))

    with pytest.raises(BookError) as caught:
        book.set_leverage(state, board(), "BTCUSDT", D(5), (0,))
    assert caught.value.reason is Reason.LEVERAGE_MARGIN
    raised = book.set_leverage(state, board(), "BTCUSDT", D(50), (0,))
    assert margin.used_margin(raised, board()) < margin.used_margin(state, board())


@pytest.mark.parametrize("leverage", ["0", "0.5", "100.01", "3.005"])
def test_leverage_keeps_to_range_and_step(leverage: str) -> None:
    with pytest.raises(BookError) as caught:
        book.set_leverage(AccountState(), board(), "ETHUSDT", D(leverage), (0,))
    assert caught.value.reason is Reason.LEVERAGE_RANGE


def test_a_low_maximum_leverage_is_its_own_default() -> None:
    assert AccountState().leverage(INSTRUMENTS["BIOUSDT"]) == 5


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        pytest.param(ticket("1", "NOUSDT"), Reason.SYMBOL, id="symbol"),
        pytest.param(ticket("0"), Reason.SIZE_INVALID, id="zero"),
        pytest.param(ticket("0.015"), Reason.SIZE_INVALID, id="between-steps"),
        pytest.param(ticket("725"), Reason.SIZE_TOO_LARGE, id="market-maximum"),
        pytest.param(
            ticket("7241", limit_price=D(3328)), Reason.SIZE_TOO_LARGE, id="limit-maximum"
        ),
        pytest.param(ticket("1", "XRPUSDT"), Reason.NOTIONAL_TOO_SMALL, id="notional"),
        pytest.param(
            ticket("1", "XRPUSDT", reduce_only=True), Reason.NOTHING_TO_REDUCE, id="reduce-exempt"
        ),
        pytest.param(ticket("1", limit_price=D("3000.005")), Reason.PRICE_INVALID, id="tick"),
        pytest.param(ticket("1", limit_price=D(999_999)), Reason.PRICE_RANGE, id="price-range"),
        pytest.param(ticket("1", side_index=1), Reason.POSITION_INDEX, id="hedge-index"),
    ],
)
def test_bad_orders_are_refused_for_their_own_reason(order: Ticket, reason: Reason) -> None:
    assert refused(AccountState(), order) is reason


def test_steps_that_are_not_the_minimum_are_told_apart() -> None:
    coarse = replace(INSTRUMENTS["ETHUSDT"], min_lots=D(1))
    listed = Board({"ETHUSDT": coarse}, FixedPrices(prices={}), 0)

    assert refused(AccountState(), ticket("0.5"), listed) is Reason.SIZE_TOO_SMALL
    closed = replace(coarse, status="Closed")
    shut = Board({"ETHUSDT": closed}, FixedPrices(prices={}), 0)
    assert refused(AccountState(), ticket("1"), shut) is Reason.NOT_TRADING


def test_a_duplicate_client_id_is_refused_even_after_the_order_is_done() -> None:
    state = placed(AccountState(), ticket("1", client_id="a"))

    assert refused(state, ticket("1", client_id="a")) is Reason.DUPLICATE_CLIENT_ID
    assert placed(state, ticket("1")).size_lots("ETHUSDT") == 2  # no id is never a duplicate


def test_no_more_than_500_orders_wait() -> None:
    state = book.deposit(AccountState(), D(10_000_000))
    waiting = ticket("0.01", limit_price=D(3000), time_in_force=TimeInForce.GTC)
    for _ in range(book.MAX_OPEN_ORDERS):
        state = placed(state, waiting)

    assert refused(state, waiting) is Reason.TOO_MANY_ORDERS


def test_done_orders_are_forgotten_in_the_end_and_waiting_ones_never() -> None:
    waiting = ticket("0.01", limit_price=D(3000), time_in_force=TimeInForce.GTC, client_id="old")
    state = placed(AccountState(), waiting)
    for number in range(book.KEPT_FINAL_ORDERS + 20):
        state = placed(state, ticket("0.01" if number % 2 else "-0.01"))

    assert len(state.orders) == book.KEPT_FINAL_ORDERS + 1
    assert state.find_order(client_id="old")


@pytest.mark.parametrize("size", ["1", "-1"])
@pytest.mark.parametrize("time_in_force", [TimeInForce.IOC, TimeInForce.FOK])
def test_an_immediate_limit_that_does_not_cross_is_cancelled(
    size: str, time_in_force: TimeInForce
) -> None:
    price = D("3328.15") if D(size) > 0 else D("3328.01")
    state = placed(AccountState(), ticket(size, limit_price=price, time_in_force=time_in_force))
    [order] = state.orders.values()

    assert (order.status, order.filled_lots) == (OrderStatus.CANCELED, D(0))


def test_a_post_only_order_never_takes() -> None:
    post = {"time_in_force": TimeInForce.POST_ONLY}
    taking = placed(AccountState(), ticket("1", limit_price=D(3400), **post))
    waiting = placed(AccountState(), ticket("1", limit_price=D(3000), **post))

    assert [o.status for o in taking.orders.values()] == [OrderStatus.CANCELED]
    assert [o.status for o in waiting.orders.values()] == [OrderStatus.NEW]


def test_a_resting_order_is_filled_at_its_own_price_for_the_maker_fee() -> None:
    waiting = ticket("1", limit_price=D(3300), time_in_force=TimeInForce.GTC)
    state = placed(AccountState(), waiting)
    assert book.advance(state, board(), 2) is state

    filled = book.advance(state, board(ETHUSDT="3290"), 2)
    assert filled.executions[-1].price == 3300
    assert filled.executions[-1].fee_usdt == 3300 * D("0.0002")
    assert filled.executions[-1].is_maker


def test_a_resting_reduction_ends_with_its_position() -> None:
    state = placed(AccountState(), ticket("1"))
    far = ticket("-1", limit_price=D(4000), time_in_force=TimeInForce.GTC, reduce_only=True)
    state = placed(placed(state, far), ticket("-1"))
    state = book.advance(state, board(ETHUSDT="4100"), 2)

    assert state.size_lots("ETHUSDT") == 0
    assert not state.open_orders()


def test_a_delayed_order_is_judged_again_when_it_falls_due() -> None:
    later = Terms(due_ms=100)
    state = placed(AccountState(), ticket("1"))
    state = book.place(
        state, board(), ticket("-1", reduce_only=True), order_id="late", at_ms=1, terms=later
    )
    assert book.advance(state, board(), 99).size_lots("ETHUSDT") == 1
    state = book.advance(placed(state, ticket("-1")), board(), 100)

    assert state.orders["late"].status is OrderStatus.REJECTED
    assert state.orders["late"].reason == Reason.NOTHING_TO_REDUCE


def test_a_partial_fill_keeps_to_the_step() -> None:
    terms = Terms(fill_fraction=D("0.333"))
    state = book.place(AccountState(), board(), ticket("-1"), order_id="p", at_ms=1, terms=terms)

    assert state.size_lots("ETHUSDT") == D("-0.33")
    assert state.orders["p"].status is OrderStatus.CANCELED
    assert state.orders["p"].average_price == 3328


def test_hedge_sides_are_held_apart_and_closing_is_all_a_wrong_side_can_do() -> None:
    state = book.set_position_mode(AccountState(), True)
    state = placed(state, ticket("2", side_index=1))
    state = placed(state, ticket("-1", side_index=2))
    state = placed(state, ticket("-5", side_index=1))

    assert (state.size_lots("ETHUSDT", 1), state.size_lots("ETHUSDT", 2)) == (D(0), D(-1))
    assert refused(state, ticket("-1", side_index=1)) is Reason.NOTHING_TO_REDUCE
    assert refused(state, ticket("1")) is Reason.POSITION_INDEX


def test_modes_change_only_while_flat_and_without_orders() -> None:
    held = placed(AccountState(), ticket("1"))
    waiting = placed(
        AccountState(), ticket("1", limit_price=D(3000), time_in_force=TimeInForce.GTC)
    )
    for state, reason in (
        (held, Reason.POSITION_MODE_HAS_POSITION),
        (waiting, Reason.POSITION_MODE_HAS_ORDERS),
        (AccountState(hedged={"": True}), Reason.POSITION_MODE_UNCHANGED),
    ):
        with pytest.raises(BookError) as caught:
            book.set_position_mode(state, True)
        assert caught.value.reason is reason
    for state in (held, waiting):
        with pytest.raises(BookError) as caught:
            book.set_margin_mode(state, MarginMode.ISOLATED)
        assert caught.value.reason is Reason.MARGIN_MODE_IN_USE
    other = book.set_position_mode(held, True, "BTCUSDT")
    assert other.is_hedged("BTCUSDT")
    assert not other.is_hedged("ETHUSDT")


def test_funding_is_paid_by_longs_at_each_boundary_once() -> None:
    opened_ms = 7 * HOUR_MS
    state = placed(AccountState(), ticket("1"), at_ms=opened_ms)
    before = state.wallet_usdt
    assert book.advance(state, board(), 8 * HOUR_MS - 1) is state
    state = book.advance(state, board(), 8 * HOUR_MS)
    state = book.advance(state, board(), 8 * HOUR_MS + 1)
    assert before - state.wallet_usdt == 3328 * D("0.0001")
    state = book.advance(state, board(), 32 * HOUR_MS)

    assert before - state.wallet_usdt == 4 * 3328 * D("0.0001")
    assert [row.origin for row in state.executions][1:] == [Origin.FUNDING] * 2


def test_shorts_receive_funding() -> None:
    state = placed(AccountState(), ticket("-1"), at_ms=HOUR_MS)
    after = book.advance(state, board(), 9 * HOUR_MS)

    assert after.wallet_usdt - state.wallet_usdt == 3328 * D("0.0001")


def test_a_cross_account_is_liquidated_when_equity_meets_maintenance() -> None:
    state = placed(AccountState(), ticket("16", "BTCUSDT"))
    state = placed(state, ticket("-1"))
    price = margin.liquidation_price(state, state.positions["BTCUSDT:0"], board())
    assert price is not None
    above, below = board(BTCUSDT=str(price + 1)), board(BTCUSDT=str(price - 1))

    assert book.advance(state, above, 2).positions == state.positions
    gone = book.advance(state, below, 2)
    assert gone.positions == {}
    assert 0 <= gone.wallet_usdt < 10_000
    assert [row.origin for row in gone.executions[-2:]] == [Origin.LIQUIDATION] * 2


def test_an_isolated_position_goes_alone_and_takes_only_its_margin() -> None:
    state = book.set_margin_mode(AccountState(), MarginMode.ISOLATED)
    state = placed(placed(state, ticket("1", "BTCUSDT")), ticket("1"))
    btc = state.positions["BTCUSDT:0"]
    assert btc.isolated_margin_usdt == btc.entry_price / 10
    price = margin.liquidation_price(state, btc, board())
    assert price is not None

    gone = book.advance(state, board(BTCUSDT=str(price - 1)), 2)
    assert set(gone.positions) == {"ETHUSDT:0"}
    lost = state.wallet_usdt - gone.wallet_usdt
    assert btc.isolated_margin_usdt * D("0.9") < lost <= btc.isolated_margin_usdt * D("1.01")


def test_a_gap_costs_an_isolated_position_its_margin_and_a_cross_account_all_it_has() -> None:
    isolated = book.set_margin_mode(AccountState(), MarginMode.ISOLATED)
    isolated = placed(isolated, ticket("-1", "BTCUSDT"))
    cross = placed(AccountState(), ticket("-14", "BTCUSDT"))
    gap = board(BTCUSDT="90000")

    lost = isolated.wallet_usdt - book.advance(isolated, gap, 2).wallet_usdt
    fee = 66_000 * D("0.00055")
    assert lost == isolated.positions["BTCUSDT:0"].isolated_margin_usdt + fee
    assert book.advance(cross, gap, 2).wallet_usdt == 0


def test_margin_kept_by_an_isolated_position_does_not_hold_up_cross_ones() -> None:
    state = AccountState(margin_modes={"ETHUSDT": MarginMode.ISOLATED})
    state = placed(state, ticket("100"))  # keeps a third of the wallet for itself
    state = placed(state, ticket("10", "BTCUSDT"))
    cross, isolated = state.positions["BTCUSDT:0"], state.positions["ETHUSDT:0"]
    assert (cross.isolated_margin_usdt, isolated.isolated_margin_usdt > 0) == (ZERO, True)
    price = margin.liquidation_price(state, cross, board())
    assert price is not None

    fallen = board(BTCUSDT=str(price - 1))
    assert 10 * (60_003 - price) < state.wallet_usdt - isolated.isolated_margin_usdt
    assert set(book.advance(state, fallen, 2).positions) == {"ETHUSDT:0"}


def test_isolated_margin_follows_size_and_leverage() -> None:
    state = book.set_margin_mode(AccountState(), MarginMode.ISOLATED)
    state = placed(state, ticket("4"))
    whole = state.positions["ETHUSDT:0"].isolated_margin_usdt
    halved = placed(state, ticket("-2")).positions["ETHUSDT:0"].isolated_margin_usdt
    geared = book.set_leverage(state, board(), "ETHUSDT", D(20), (0,))

    assert halved == whole / 2
    assert geared.positions["ETHUSDT:0"].isolated_margin_usdt == whole / 2


def test_a_contract_worth_less_than_a_coin_scales_all_amounts() -> None:
    small = replace(INSTRUMENTS["BTCUSDT"], contract_size=D("0.001"), step_lots=D(1), min_lots=D(1))
    listed = Board({"BTCUSDT": small}, FixedPrices(prices={"BTCUSDT": D(60_000)}), 0)
    state = placed(AccountState(), ticket("10", "BTCUSDT"), listed)
    position = state.positions["BTCUSDT:0"]

    assert margin.value(position, listed) == 600
    assert margin.initial_margin(state, position, listed) == 60
    assert state.executions[-1].fee_usdt == D("0.01") * position.entry_price * D("0.00055")
    [order] = state.orders.values()
    assert order.average_price == position.entry_price


def test_a_refused_order_changes_nothing() -> None:
    state = placed(AccountState(), ticket("1", client_id="a"))
    before = encode(state)
    refused(state, ticket("1", client_id="a"))

    assert encode(state) == before
    assert decode(orjson.loads(before)) == state


def test_cancelling_what_is_done_is_refused() -> None:
    state = placed(AccountState(), ticket("1", client_id="a"))

    with pytest.raises(BookError) as caught:
        book.cancel(state, at_ms=1, client_id="a")
    assert caught.value.reason is Reason.UNKNOWN_ORDER
