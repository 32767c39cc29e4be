"""Whatever KuCoin's futures answer in ccxt's examples, our answers have too, in the same types."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

from paper_exchange import book
from paper_exchange.orders import MarginMode, Ticket, TimeInForce
from paper_exchange.server import PaperServer
from tests.paper.scene import Json, Wanted, send
from tests.paper.scenes.kucoin import ACCOUNT, ETH_ORDER, SCENE, delete, get, post, public

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT.parent / "shared" / "data" / "ccxt_examples" / "kucoin.json"
ETH = "ETHUSDTM"
RESTS = "64507d02921f1c0001ff6892"
ORDER = {**ETH_ORDER, "marginMode": "ISOLATED", "type": "market", "clientOid": "example"}
CLOSED = get("v1/orders", status="done")
FILLS = get("v1/fills", symbol=ETH)
FUNDING = public(f"v1/funding-rate/{ETH}/current")
# by ccxt's method whose comments hold the example: what to ask, and a field that only the
# futures' example has ("" = all are alike)
ASKED_BY: dict[str, tuple[Wanted, str]] = {
    "fetch_time": (public("v1/timestamp"), ""),
    "fetch_status": (public("v1/status"), "status"),
    "fetch_contract_markets": (public("v1/contracts/active"), "multiplier"),
    "fetch_contract_tickers": (public("v1/contracts/active"), "multiplier"),
    "parse_contract_ticker": (public("v1/ticker", symbol=ETH), "bestBidPrice"),
    "fetch_ticker": (public("v1/ticker", symbol=ETH), "tradeId"),
    "fetch_order_book": (public("v1/level2/snapshot", symbol=ETH), "ts"),
    "fetch_funding_rate": (FUNDING, "timePoint"),
    "parse_funding_rate": (FUNDING, "timePoint"),
    "create_contract_order": (post("v1/orders", ORDER), "orderId"),
    "create_contract_orders": (post("v1/orders/multi", [ORDER]), "orderId"),
    "cancel_contract_order": (delete(f"v1/orders/{RESTS}"), "cancelledOrderIds"),
    "cancel_all_contract_orders": (delete("v1/orders", symbol=ETH), "cancelledOrderIds"),
    "cancel_orders": (delete("v1/orders/multi-cancel", {"orderIdsList": [RESTS]}), "orderId"),
    "fetch_contract_orders_by_status": (CLOSED, "items"),
    "parse_contract_order": (CLOSED, "closeOrder"),
    "fetch_contract_order": (get("v1/orders/manual-kuc-1"), "closeOrder"),
    "fetch_my_contract_trades": (FILLS, "items"),
    "parse_contract_trade": (FILLS, "settleCurrency"),
    "fetch_contract_balance": (get("v1/account-overview"), "accountEquity"),
    "fetch_leverage": (get("v2/getCrossUserLeverage", symbol=ETH), "leverage"),
    "set_contract_leverage": (post("v2/changeCrossUserLeverage", symbol=ETH, leverage=3), ""),
    "fetch_position": (get("v1/position", symbol=ETH), "isOpen"),
    "fetch_positions": (get("v1/positions"), "isOpen"),
    "parse_position": (get("v1/positions"), "isOpen"),
    "fetch_positions_adl_rank": (get("v1/positions"), "isOpen"),
    "fetch_margin_mode": (get("v2/position/getMarginMode", symbol=ETH), "marginMode"),
    "set_margin_mode": (
        post("v2/position/changeMarginMode", symbol=ETH, marginMode="ISOLATED"),
        "marginMode",
    ),
    "set_position_mode": (post("v2/position/switchPositionMode", positionMode="0"), ""),
    "fetch_trading_fee": (get("v1/trade-fees", symbol=ETH), "feeTaxRate"),
}
UNREAD = {"dealComm", "fundingFee", "tax"}  # of the newest rows of positions; ccxt skips them


def rows_of(data: Json) -> Iterator[dict[str, Any]]:
    """The rows in an answer: of a list, of a page, or the one that it is."""
    if isinstance(data, list):
        yield from data
    elif isinstance(data, dict):
        yield from data.get("items", [data])


def kind(value: Json) -> str:
    if isinstance(value, bool | None):
        return str(type(value).__name__)
    return "number" if isinstance(value, int | float) else type(value).__name__


def examples() -> list[Any]:
    if not EXAMPLES.exists():
        reason = "the examples of ccxt are not beside this checkout"
        return [pytest.param("", None, marks=pytest.mark.skip(reason=reason))]
    found = []
    for row in orjson.loads(EXAMPLES.read_bytes()):
        if row["method"] not in ASKED_BY or "json" not in row:
            continue
        data, field = row["json"].get("data", row["json"]), ASKED_BY[row["method"]][1]
        is_page = isinstance(data, dict) and field in data
        if not field or is_page or any(field in one for one in rows_of(data)):
            found.append(pytest.param(row["method"], data, id=f"{row['method']}-{row['line']}"))
    return found


def prepare(server: PaperServer, method: str) -> None:
    """A position and an order that rests, but for the setting of modes."""
    if method.startswith("set_"):
        return
    exchange = server.exchange
    at_ms = exchange.clock.now_ms()
    if method == "fetch_positions_adl_rank":  # an example of cross margin
        state = book.set_margin_mode(exchange.state(ACCOUNT, at_ms), MarginMode.CROSS, "ETHUSDT")
        exchange.change(ACCOUNT.id, state, at_ms)
    exchange.trade_by_hand(ACCOUNT, "ETHUSDT", Decimal(10))
    ticket = Ticket(
        symbol="ETHUSDT",
        size_lots=Decimal(1),
        limit_price=Decimal(3100),
        time_in_force=TimeInForce.GTC,
    )
    exchange.place(ACCOUNT, ticket, RESTS, at_ms)


def test_every_method_has_an_example() -> None:
    if EXAMPLES.exists():
        assert {row.values[0] for row in examples()} == set(ASKED_BY)


@pytest.mark.parametrize(("method", "example"), examples())
async def test_an_answer_has_the_fields_of_ccxts_example(method: str, example: Json) -> None:
    async with PaperServer(accounts=[ACCOUNT], limits=False) as server:
        server.pin(ETHUSDT="3328")
        prepare(server, method)
        status, answer = await send(SCENE, server, ASKED_BY[method][0])
    ours, theirs = answer.get("data"), next(rows_of(example), None)

    assert (status, answer["code"]) == (200, "200000"), answer
    if theirs is None:
        assert kind(ours) == kind(example)
        return
    [found, *_] = rows_of(ours)
    wanted = {k: kind(v) for k, v in theirs.items() if v is not None and k not in UNREAD}
    assert {k: kind(found[k]) if k in found else "missing" for k in wanted} == wanted
    if isinstance(example, dict) and "items" in example:
        assert set(ours) == set(example)
