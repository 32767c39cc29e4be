"""The requests that leave have the shapes that unmodified ccxt was recorded to send, per venue.

What is particular to one venue's wire is here as well: pages, texts, replies that only it gives.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from core.errors import RejectedError, TransientError
from core.model import OrderRequest
from paper_exchange.pipeline import SeenRequest
from paper_exchange.wires import find_wires
from paper_exchange.wires.blofin.codes import SingleRefusal
from tests.contract.venue_cases import BTC, ETH, Bench, bench, order

RECORDED = Path(__file__).resolve().parents[3] / "shared/data/ccxt_recorded"
FILES = {"kucoin": "kucoinfutures"}

Said = tuple[str, str, Mapping[str, str], Any]  # method, path, query, body
# what we do: the recorded call, and what we say beyond it (why: the venues' files and pages)
SHAPES: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "bybit": {
        "listing": ("load_markets() linear-only", ""),
        "clock": ("fetch_time()", ""),
        "prices": ("fetch_tickers()", ""),
        "margin mode": ("set_margin_mode('isolated')", ""),
        "leverage": ("set_leverage(5.5,S)", ""),
        "open": ("create_order market buy", ""),
        "reduce": ("create_order market sell reduceOnly", ""),
        "limit": ("create_order limit IOC", "orderLinkId"),
        "batch": ("create_orders x2", ""),
        "cancel": ("cancel_order(None,S,{orderLinkId})", ""),
        "positions": ("fetch_positions()", ""),
        "equity": ("fetch_balance() 2nd", ""),
        "close side": ("create_order hedged close long", "orderLinkId reduceOnly"),
    },
    "blofin": {
        "listing": ("load_markets() fetchCurrencies off", ""),
        "clock": ("fetch_mark_price(S)", ""),
        "prices": ("fetch_tickers()", ""),
        "margin mode": ("set_margin_mode('isolated')", ""),
        "leverage": ("set_leverage(5,S)", ""),
        "open": ("create_order market buy", ""),
        "reduce": ("create_order market sell reduceOnly isolated", ""),
        "batch": ("create_orders x2", ""),
        "look-up": ("privateGetTradeOrderDetail", ""),
        "cancel": ("cancel_order(clientOrderId)", ""),
        "positions": ("fetch_positions()", ""),
        "equity": ("fetch_balance()", ""),
        "close side": ("create_order hedged close long (positionSide)", "clientOrderId"),
        "close all": ("close_position(S)", "positionSide clientOrderId"),
    },
    "kucoin": {
        "listing": ("load_markets() tuned", ""),
        "clock": ("fetch_time()", ""),
        "prices": ("fetch_tickers() method=futuresPublicGetAllTickers", ""),
        "margin mode": ("set_margin_mode('cross',S)", ""),
        "leverage": ("set_leverage(5,S)", ""),
        "open": ("create_order market buy cross", ""),
        "reduce": ("create_order market sell reduceOnly cross", ""),
        "batch": ("create_orders x2", ""),
        "look-up": ("fetch_order(None,S,{clientOrderId})", "symbol"),
        "cancel": ("cancel_order(None,S,{clientOrderId})", ""),
        "positions": ("fetch_positions()", "currency"),
        "equity": ("fetch_balance()", ""),
        "close side": ("create_order hedged close long", "marginMode"),
        "close all": ("close_position(S)", ""),
    },
    "mexc": {
        "listing": ("load_markets() tuned", ""),
        "clock": ("fetch_time()", ""),
        "prices": ("fetch_tickers([S,E])", ""),
        "leverage": ("set_leverage(5,S,{openType:2,positionType:1})", ""),
        "open": ("create_order type=5", "externalOid leverage positionMode"),
        "reduce": (
            "create_order sell reduceOnly (close long)", "externalOid leverage positionMode",
        ),
        "limit": ("create_order type=3 (IOC)", "externalOid leverage positionMode"),
        "look-up": ("contractPrivateGetOrderExternalSymbolExternalOid", ""),
        "positions": ("fetch_positions()", ""),
        "equity": ("fetch_balance()", ""),
        "close side": ("create_order sell reduceOnly hedged", "externalOid leverage"),
    },
}  # fmt: skip


def shape(value: object) -> object:
    """Keys and kinds of a request, without its values."""
    if isinstance(value, dict):
        return {key: shape(part) for key, part in sorted(value.items())}
    if isinstance(value, list):
        return [shape(part) for part in value]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return "number" if is_number else type(value).__name__


def said(request: SeenRequest) -> Said:
    body = json.loads(request.body) if request.body else None
    return request.method, request.path, dict(parse_qsl(request.query)), body


async def played(kit: Bench) -> dict[str, list[Said]]:
    """Do everything once; gives the requests of each step."""
    kit.hedge("third")
    venue, flat, hedged = [kit.venue(name) for name in ("main", "second", "third")]

    def five(*orders: OrderRequest) -> list[OrderRequest]:
        return [replace(one, leverage=Decimal(5)) for one in orders]

    steps: dict[str, Callable[[], Awaitable[object]]] = {
        "listing": kit.market.fetch_instruments,
        "clock": kit.market.measure_clock,
        "connect": venue.connect,
        "connect flat": flat.connect,
        "connect hedged": hedged.connect,
        "prices": lambda: kit.market.fetch_tickers([BTC]),
        "margin mode": lambda: flat.set_margin_mode(BTC, "isolated"),
        "cross": lambda: venue.set_margin_mode(BTC, "cross"),
        "leverage": lambda: venue.set_leverage(BTC, Decimal(5)),
        "open": lambda: venue.place_orders(five(kit.order("te01", "0.04"))),
        "reduce": lambda: venue.place_orders(five(kit.order("te02", "-0.01", reduce_only=True))),
        "limit": lambda: venue.place_orders(five(kit.order("te03", "0.01", price="60300.5"))),
        "batch": lambda: venue.place_orders(five(kit.order("te04"), kit.order("te05"))),
        "look-up": lambda: venue.fetch_order(BTC, "te01"),
        "cancel": lambda: _quietly(venue.cancel_order(BTC, "te01")),
        "positions": venue.fetch_positions,
        "equity": venue.fetch_equity,
        "open side": lambda: hedged.place_orders(five(kit.order("te06", "0.02"))),
        "close side": lambda: hedged.place_orders(
            five(kit.order("te07", "-0.01", reduce_only=True))
        ),
        "close all": lambda: venue.place_orders([_dust(kit)]),
    }
    found = {}
    for name, step in steps.items():
        kit.server.forget_requests()
        await step()
        found[name] = [said(request) for request in kit.server.requests()]
    return found


async def test_our_requests_have_the_recorded_shapes(kit: Bench) -> None:
    file = RECORDED / f"{FILES.get(kit.exchange, kit.exchange)}.json"
    if not file.exists():
        pytest.skip("the recorded requests are not here")
    recorded = {row["call"]: row["requests"] for row in json.loads(file.read_text())}
    found = await played(kit)
    for step, (call, more) in SHAPES[kit.exchange].items():
        wanted = recorded[call][-1]
        method, path, query, body = found[step][-1 if step == "listing" else 0]
        added = set(more.split())

        assert method == wanted["method"], step
        assert path == wanted["path"].replace("cid1", path.rpartition("/")[2]), step
        assert set(query) - added == set(wanted["query"]), step
        rows = body if isinstance(body, list) else (body or {}).get("request", [])
        if rows:  # the second of those recorded was a reduction
            theirs = wanted["body"]
            theirs = theirs if isinstance(theirs, list) else theirs["request"]
            assert [shape(one) for one in rows] == [shape(theirs[0])] * len(rows), step
            continue
        ours = {k: v for k, v in (body or {}).items() if k not in added}
        theirs = {k: v for k, v in (wanted["body"] or {}).items() if k not in added}
        assert shape(ours) == shape(theirs), step
        assert added <= set(body or query), step


async def test_loading_sends_no_signed_request(kit: Bench) -> None:
    await kit.market.fetch_instruments()

    assert {row.account for row in kit.server.requests()} == {""}
    assert len(kit.server.requests()) == kit.profile.listing_requests


async def test_b14_sizes_and_prices_are_text_or_whole_on_the_wire(kit: Bench) -> None:
    venue = await kit.connected()
    step = (await kit.market.fetch_instruments())[ETH].step_lots
    lots = step * 3
    await venue.place_orders([order("te01", f"{lots:f}", symbol=ETH, price="3030.15")])
    (sent,) = kit.on_the_wire()

    assert (sent.size_lots, sent.price) == (lots, Decimal("3030.15"))
    assert kit.size(ETH) == lots


# --- what only one venue has


async def test_all_pages_of_positions_are_read() -> None:
    async with bench("bybit") as kit:
        venue = await kit.connected()
        for number, symbol in enumerate((BTC, ETH, "SOLUSDT")):
            await kit.open(venue, "0.1", symbol=symbol, client_id=f"te{number}")
        small = venue._profile.positions  # pages of one row
        pages = replace(small, params={**small.params, "limit": "1"})
        kit.server.forget_requests()
        rows, _ = await venue._caller.read_rows(venue._raw(), pages, {}, "positions")

        assert {row["symbol"] for row in rows} == {BTC, ETH, "SOLUSDT"}
        assert kit.to(kit.words.positions) == 3

        kit.break_at(kit.words.positions, "fields", values={"nextPageCursor": "0"})
        with pytest.raises(TransientError, match="pages"):
            await venue.fetch_positions()


@pytest.mark.parametrize(
    ("exchange", "values"),
    [
        ("bybit", {"reasons": [{"reasonCode": "3400000", "reasonMsg": "equity"}]}),
        ("kucoin", {"data": False}),
    ],
)
async def test_a_setting_refused_in_a_reply_of_success_is_refused(
    exchange: str, values: dict[str, object]
) -> None:
    async with bench(exchange) as kit:
        venue = await kit.connected()
        door = kit.words.margin_mode
        assert door is not None
        kit.break_at(door, "fields", values=values)
        with pytest.raises(RejectedError) as caught:
            await venue.set_margin_mode(BTC, "isolated")

        assert caught.value.kind == "mode"


@pytest.mark.parametrize("told", SingleRefusal)
async def test_a_refusal_is_found_wherever_the_sources_say_it_may_be(
    told: SingleRefusal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(find_wires()["blofin"], "single_refusal", told)
    async with bench("blofin") as kit:
        venue = await kit.connected()
        (outcome,) = await venue.place_orders([kit.order("te01", "-0.01", reduce_only=True)])

        assert isinstance(outcome, RejectedError)
        assert (outcome.kind, outcome.code) == ("nothing_to_reduce", "102022")


async def test_a_leverage_of_half_a_step_is_exact() -> None:
    async with bench("bybit") as kit:
        venue = await kit.connected()
        await venue.set_leverage(BTC, Decimal("7.50"))

        assert kit.server.requests(kit.words.leverage.path)[0].body == (
            '{"symbol":"BTCUSDT","buyLeverage":"7.5","sellLeverage":"7.5","category":"linear"}'
        )


async def _quietly(call: Awaitable[None]) -> None:
    with pytest.raises(RejectedError):  # it was filled already
        await call


def _dust(kit: Bench) -> OrderRequest:
    """A close of less than can be ordered, where the venue closes that; of one lot elsewhere."""
    lots = kit.words.instrument(BTC).min_lots
    left = lots / 2 if kit.profile.close_all else lots
    kit.shrink(BTC, left)
    return order("te09", f"{-left:f}", reduce_only=True)
