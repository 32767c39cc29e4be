"""Acme's protocol: eight paths, one envelope."""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from paper_exchange import book, margin
from paper_exchange.accounts import PaperAccount
from paper_exchange.instruments import Instruments, PaperInstrument
from paper_exchange.orders import Reason, Ticket
from paper_exchange.rate_limits import Allowance, Budget
from paper_exchange.rest import (
    Endpoint,
    Params,
    RestWire,
    VenueError,
    account_of,
    instrument_of,
    number,
    place_order,
)
from paper_exchange.wire import Call, Reply, Request, plain, rounded

BTC = PaperInstrument(
    symbol="BTCUSDT", id="BTC-PERP", base="BTC", tick_size=Decimal("0.5"), step_lots=Decimal(1),
    min_lots=Decimal(1), max_lots=Decimal(100_000), max_market_lots=Decimal(50_000),
    min_notional_usdt=Decimal(0), min_price=Decimal(1), max_price=Decimal(1_000_000),
    max_leverage=Decimal(50), leverage_step=Decimal(1), maintenance_rate=Decimal("0.01"),
    contract_size=Decimal("0.01"), reference_price=Decimal(60_000), taker_fee=Decimal("0.0005"),
    maker_fee=Decimal("0.0002"), funding_interval_min=480, launch_ms=0, status="Trading",
)  # fmt: skip
ETH = replace(BTC, symbol="ETHUSDT", id="ETH-PERP", base="ETH", reference_price=Decimal(3000))
OWN_CODES = {
    Reason.MARGIN: "E5", Reason.NOTHING_TO_REDUCE: "E6", Reason.DUPLICATE_CLIENT_ID: "E7",
    Reason.SIZE_TOO_SMALL: "E8", Reason.SIZE_TOO_LARGE: "E8", Reason.SIZE_INVALID: "E8",
}  # fmt: skip


def clock(call: Call, _: Params) -> dict[str, Any]:
    return {"now": call.venue_ms}


def contracts(call: Call, _: Params) -> list[dict[str, Any]]:
    return [
        {
            "name": row.id, "coin": row.base, "step": plain(row.step_lots), "state": "on",
            "tick": plain(row.tick_size), "worth": plain(row.contract_size),
            "most": plain(row.max_market_lots), "leverage": plain(row.max_leverage),
        }
        for row in call.instruments.values()
    ]  # fmt: skip


def prices(call: Call, _: Params) -> list[dict[str, Any]]:
    quotes = ((row, call.board[row.symbol]) for row in call.instruments.values())
    return [
        {"name": row.id, "mark": plain(q.mark), "bid": plain(q.bid), "ask": plain(q.ask)}
        for row, q in quotes
    ]


def money(call: Call, _: Params) -> list[dict[str, Any]]:
    state, board = call.seen(account_of(call)), call.board
    return [
        {
            "worth": rounded(margin.equity(state, board)),
            "free": rounded(margin.free_margin(state, board)),
            "used": rounded(margin.used_margin(state, board)),
            "pnl": rounded(margin.total_unrealized(state, board)),
        }
    ]


def positions(call: Call, _: Params) -> list[dict[str, Any]]:
    state = call.seen(account_of(call))
    return [
        {
            "name": call.instruments[row.symbol].id, "size": plain(row.size_lots),
            "entry": rounded(row.entry_price),
            "leverage": plain(state.leverage(call.instruments[row.symbol])),
        }
        for row in state.positions.values()
    ]  # fmt: skip


def orders(call: Call, params: Params) -> list[dict[str, Any]]:
    found = []
    for order in reversed(call.seen(account_of(call)).orders.values()):
        ticket, name = order.ticket, call.instruments[order.ticket.symbol].id
        if params.get("name") in {None, name} and params.get("client") in {None, ticket.client_id}:
            found.append(
                {
                    "id": order.order_id, "client": ticket.client_id, "name": name,
                    "side": "buy" if ticket.size_lots > 0 else "sell",
                    "size": plain(abs(ticket.size_lots)), "filled": plain(abs(order.filled_lots)),
                    "state": "open" if order.is_open else "done", "at": order.updated_ms,
                    "average": plain(order.average_price or Decimal(0)),
                    "reduceOnly": ticket.reduce_only,
                }
            )  # fmt: skip
    return found


def create(call: Call, params: Params) -> list[dict[str, Any]]:
    sign = 1 if params.get("side") == "buy" else -1
    ticket = Ticket(
        symbol=instrument_of(call, params, "name").symbol,
        size_lots=sign * number(params, "size"),
        client_id=str(params.get("client", "")),
        reduce_only=params.get("reduceOnly") is True,
        limit_price=number(params, "price") if params.get("price") else None,
    )
    order_id = f"a{call.exchange.state(account_of(call), call.at_ms).sequence}"
    place_order(call, ticket, order_id)
    return [{"id": order_id, "client": ticket.client_id}]


def cancel(call: Call, params: Params) -> list[dict[str, Any]]:
    account = account_of(call)
    state = call.exchange.state(account, call.at_ms)
    after = book.cancel(state, at_ms=call.at_ms, client_id=str(params.get("client", "")))
    call.exchange.change(account.id, after, call.at_ms)
    return []


def leverage(call: Call, params: Params) -> list[dict[str, Any]]:
    account, symbol = account_of(call), instrument_of(call, params, "name").symbol
    state = call.exchange.state(account, call.at_ms)
    wished = number(params, "leverage")
    if wished != state.leverage(call.instruments[symbol]):
        after = book.set_leverage(state, call.board, symbol, wished, (0,))
        call.exchange.change(account.id, after, call.at_ms)
    return []


class AcmeWire(RestWire):
    """The protocol."""

    prefix = "acme"
    key_header = "X-Key"
    param_code = "E1"
    codes = {reason: OWN_CODES.get(reason, "E1") for reason in Reason}  # noqa: RUF012
    ip_limits = ((100, 1000),)
    instruments = Instruments((BTC, ETH))
    endpoints = {  # noqa: RUF012
        ("GET", "/v1/clock"): Endpoint(clock, is_private=False),
        ("GET", "/v1/contracts"): Endpoint(contracts, is_private=False),
        ("GET", "/v1/prices"): Endpoint(prices, is_private=False),
        ("GET", "/v1/money"): Endpoint(money),
        ("GET", "/v1/positions"): Endpoint(positions),
        ("GET", "/v1/orders"): Endpoint(orders),
        ("POST", "/v1/orders"): Endpoint(create),
        ("POST", "/v1/cancel"): Endpoint(cancel),
        ("POST", "/v1/leverage"): Endpoint(leverage),
    }

    def check_door(self, call: Call) -> None:
        headers, request = call.request.headers, call.request
        if call.account is None:
            raise VenueError("E2", "no such key")
        if abs(int(headers.get("X-Time", "0")) - call.venue_ms) > 5000:
            raise VenueError("E3", "the time is not ours")
        payload = request.raw_query.encode() if request.method == "GET" else request.body
        signed = headers["X-Time"].encode() + payload
        secret = (call.account.api_secret or "").encode()
        if headers.get("X-Sign") != hmac.new(secret, signed, hashlib.sha256).hexdigest():
            raise VenueError("E2", "wrong signature")

    def success(self, call: Call, served: Any) -> Reply:
        rows = served if isinstance(served, dict) else {"list": served}
        return Reply(payload={"ok": True, **rows})

    def error(self, code: str, text: str, at_ms: int, status: int = 200) -> Reply:
        return Reply(payload={"ok": False, "code": code, "text": text}, status=status)

    def budgets(self, request: Request, account: PaperAccount | None) -> Sequence[Budget]:
        if account is None or request.method != "POST":
            return ()
        return (Budget(bucket=f"{account.id}:order", limit=20, window_ms=1000),)

    def limit_headers(self, allowance: Allowance, at_ms: int) -> Mapping[str, str]:
        return {}

    def rate_limited(self, at_ms: int) -> Reply:
        return self.error("E9", "slower, please", at_ms, 429)

    def ip_banned(self, at_ms: int) -> Reply:
        return self.error("E9", "not from here", at_ms, 429)

    def maintenance(self, at_ms: int) -> Reply:
        return Reply(payload="<html>closed</html>", status=503)


WIRE = AcmeWire()
