"""Turns orders into ccxt's words and ccxt's replies into what happened to each. Pure.

ccxt truncates sizes and rounds prices without a word, so whatever it would change is refused here.
"""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal

from account_processors.transport.caller import Written
from account_processors.transport.classify import Failure, classify
from account_processors.transport.profile import Endpoint, Profile
from account_processors.transport.raw_client import RawClient
from account_processors.transport.rows import dig, text
from core.errors import RejectedError, TradeEngineError, UnknownOutcomeError
from core.model import OrderRequest, PlacedOrder

Outcome = PlacedOrder | TradeEngineError


def unified_order(order: OrderRequest, ccxt_symbol: str, profile: Profile) -> dict[str, object]:
    """Word an order for ccxt: exact decimal text, reduce-only on every reduction (A14)."""
    params: dict[str, object] = {profile.client_id_param: order.client_id}
    if order.reduce_only:
        params["reduceOnly"] = True
    if order.limit_price is not None:
        params |= profile.ioc_params
    params |= profile.order_params(order)
    return {
        "symbol": ccxt_symbol,
        "type": "market" if order.limit_price is None else profile.ioc_type,
        "side": "buy" if order.size_lots > 0 else "sell",
        "amount": plain_number(abs(order.size_lots)),
        "price": None if order.limit_price is None else format(order.limit_price, "f"),
        "params": params,
    }


def plain_number(value: Decimal) -> int | str:
    """Word a number exactly: whole ones as such, as some of ccxt's methods compare them."""
    return int(value) if value == value.to_integral_value() else format(value.normalize(), "f")


def inexact(
    order: OrderRequest, ccxt_symbol: str, client: RawClient, base_error: type[Exception]
) -> RejectedError | None:
    """Refuse an order whose size or price ccxt would change on its way."""
    size = abs(order.size_lots)
    try:
        sent = Decimal(client.amount_to_precision(ccxt_symbol, format(size, "f")))
    except base_error:
        sent = Decimal(0)
    if sent != size or not size:
        said = f"{order.symbol}: size {size} is not a multiple of the step (ccxt would send {sent})"
        return RejectedError(said, kind="size")
    if order.limit_price is None:
        return None
    price = Decimal(client.price_to_precision(ccxt_symbol, format(order.limit_price, "f")))
    if price == order.limit_price:
        return None
    said = f"{order.symbol}: price {order.limit_price} is not on the tick (ccxt would send {price})"
    return RejectedError(said, kind="price")


def outcomes(orders: Sequence[OrderRequest], written: Written, profile: Profile) -> list[Outcome]:
    """Tell what became of each order of a batch, by its place in the reply.

    Where the venue called the batch as a whole a failure, its own rows tell, not ccxt.
    """
    if written.error is not None:
        return of_rows(orders, written, profile)
    rows = written.result if isinstance(written.result, list) else []
    if len(rows) != len(orders):
        said = f"{profile.exchange}: {len(orders)} orders went out, {len(rows)} were answered"
        return [UnknownOutcomeError(said) for _ in orders]
    return [outcome(order, row, profile) for order, row in zip(orders, rows, strict=True)]


def raw_words(
    order: OrderRequest, raw_symbol: str, endpoint: Endpoint, profile: Profile
) -> dict[str, object]:
    """Word an order for an endpoint of its own: its parameters with their places filled in.

    A parameter for which there is nothing (the price of a market order) is left out.
    """
    side = "buy" if order.size_lots > 0 else "sell"
    given = {
        "client_id": order.client_id,
        "symbol": raw_symbol,
        "side": side,
        "Side": side.capitalize(),
        "size": format(abs(order.size_lots), "f"),
        "price": "" if order.limit_price is None else format(order.limit_price, "f"),
        "order_type": "market" if order.limit_price is None else profile.ioc_type,
        "margin_mode": order.margin_mode or "",
        "position_side": order.position_side or "net",
        "position_index": {"long": "1", "short": "2"}.get(order.position_side or "", "0"),
    }
    words = {
        name: value.format(**given) if isinstance(value, str) else value
        for name, value in endpoint.params.items()
    }
    return {name: value for name, value in words.items() if value != ""}


def of_rows(orders: Sequence[OrderRequest], written: Written, profile: Profile) -> list[Outcome]:
    """Tell what became of each order by the rows of the venue's own reply."""
    found = dig(written.envelope, profile.order_rows)
    rows = [found] if isinstance(found, Mapping) else found
    if not isinstance(rows, list) or len(rows) != len(orders):
        error = UnknownOutcomeError(f"{profile.exchange}: not every order was answered")
        # rows for some say nothing of the others, whatever the reason that they give
        return [error if rows else written.error or error for _ in orders]
    replies = (
        {"id": _placed_id(row, profile), "clientOrderId": dig(row, (profile.order.client_id,))}
        for row in rows
    )
    return [
        outcome(order, {**reply, "info": row}, profile)
        for order, reply, row in zip(orders, replies, rows, strict=True)
    ]


def _placed_id(row: object, profile: Profile) -> str:
    paths = profile.placed_ids or (profile.order.order_id,)
    return next((found for path in paths if (found := text(dig(row, path.split("."))))), "")


def outcome(order: OrderRequest, reply: object, profile: Profile) -> Outcome:
    """Tell what became of one order; without an id it is unknown, whatever the HTTP status."""
    row: Mapping[str, object] = reply if isinstance(reply, Mapping) else {}
    order_id, client_id = text(row.get("id")), text(row.get("clientOrderId"))
    if client_id not in {"", order.client_id}:
        said = f"{order.client_id}: the reply is about another order, {client_id}"
        return UnknownOutcomeError(said)
    refused = refusal(row.get("info"), profile)
    if refused is not None:
        return refused
    if order_id:
        return PlacedOrder(client_id=order.client_id, order_id=order_id)
    return UnknownOutcomeError(f"{order.client_id}: the reply has no order id")


def refusal(info: object, profile: Profile) -> TradeEngineError | None:
    """Tell what one order's row of a reply says against it; None = nothing."""
    if not isinstance(info, Mapping):
        return None
    code = text(info.get(profile.batch_code))
    if code in {"", "0", profile.success[1]}:
        return None
    message = text(info.get(profile.batch_message))
    said = json.dumps({profile.code_field: code, profile.message_field: message})
    return classify(Failure(names=(), text=said, is_write=True), profile).error
