"""Every error that was measured becomes, on the paper exchange, the exception that it was.

The lines of `errors.txt` say what a stub answered, with which HTTP status, and what plain ccxt made
of it. A line with a code is injected by `refuse`, so that the wire's own envelope is shown too;
the others by `http` with a body. There is none that cannot be expressed.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ccxt
import orjson
import pytest

from paper_exchange.server import PaperServer
from tests.paper.clients import BTC, ETH, SCENES, Client, plain_client

ROOT = Path(__file__).resolve().parents[2]
RECORDED = ROOT.parent / "shared" / "data" / "ccxt_recorded" / "errors.txt"
LINE = re.compile(r"(\w+) +(.+?) +HTTP (\d{3}) -> (\w+)")
CODED = re.compile(r"(?:outer )?(\d+) (.*)")
NO_ERROR = "OK"
HTML = "<html><body>Just a moment...</body></html>"
VENUES = {scene.ccxt_id: scene for scene in SCENES.values()}

Call = Callable[[Client], Awaitable[Any]]
TERMS: Mapping[str, Mapping[str, Any]] = {
    "kucoinfutures": {"leverage": 5, "marginMode": "ISOLATED"},
    "mexc": {"leverage": 5, "openType": 2},
}


async def create(client: Client) -> None:
    await client.create_order(BTC, "market", "buy", 1, None, {**TERMS.get(client.id, {})})


async def create_two(client: Client) -> None:
    row = {"symbol": BTC, "type": "market", "side": "buy", "amount": 1}
    await client.create_orders([{**row, "params": {**TERMS.get(client.id, {})}}] * 2)


async def look_up(client: Client) -> None:
    await client.fetch_order("1", BTC, {"acknowledged": True} if client.id == "bybit" else {})


async def cancel(client: Client) -> None:
    await client.cancel_order("1", BTC)


async def set_leverage(client: Client) -> None:
    await client.set_leverage(5, ETH)


def bybit(code: int, result: Any = None, more: Any = None) -> dict[str, Any]:
    return {"retCode": code, "retMsg": "x", "result": result or {}, "retExtInfo": more or {}}


def blofin(code: str, *rows: tuple[str, str]) -> dict[str, Any]:
    data = [
        {"orderId": id_ or None, "clientOrderId": "c", "code": c, "msg": "x"} for id_, c in rows
    ]
    return {"code": code, "msg": "x", "data": data}


def kucoin(data: Any) -> dict[str, Any]:
    return {"code": "200000", "data": data}


def mexc(success: bool, code: int, **more: Any) -> dict[str, Any]:
    return {"success": success, "code": code, **more}


BATCH = {"list": [{"symbol": "BTCUSDT", "orderId": "1"}, {"symbol": "BTCUSDT", "orderId": ""}]}
CODES = {"list": [{"code": 0, "msg": "OK"}, {"code": 110007, "msg": "x"}]}
MULTI = [{"orderId": None, "clientOid": "c", "symbol": "XBTUSDTM", "code": "300003", "msg": "x"}]
# what was answered to which call, where the line has no code of its own
BODIES: Mapping[tuple[str, str], tuple[Any, Call]] = {
    ("bybit", "HTTP 403 access too frequent (bybit IP ban)"): ("access too frequent", create),
    ("bybit", "HTTP 403 JSON retCode 10006"): (bybit(10006), create),
    ("bybit", "HTTP 429 text"): ("too many", create),
    ("bybit", "HTTP 502 html"): (HTML, create),
    ("bybit", "HTTP 200 html"): (HTML, create),
    ("bybit", "HTTP 200 empty"): ("", create),
    ("bybit", "HTTP 200 broken json"): ('{"retCode":0,"resu', create),
    ("bybit", "HTTP 500 json retCode 0"): (bybit(0), create),
    ("bybit", "fetch_order empty list"): (bybit(0, {"list": []}), look_up),
    ("bybit", "create_orders partial failure"): (bybit(0, BATCH, CODES), create_two),
    ("blofin", "inner data[0].code 103003 Order failed. Insufficient USDT"): (
        blofin("0", ("", "103003")),
        create,
    ),
    ("blofin", "inner data[0].code 102022 no position reduce only"): (
        blofin("0", ("", "102022")),
        create,
    ),
    ("blofin", "inner data[0].code 102002 dup"): (blofin("0", ("", "102002")), create),
    ("blofin", "inner data[0].code 102099 some unknown code"): (
        blofin("0", ("", "102099")),
        create,
    ),
    ("blofin", "inner data[0].code 102069 another unknown"): (blofin("0", ("", "102069")), create),
    ("blofin", "outer 1 with inner 103003"): (blofin("1", ("", "103003")), create),
    ("blofin", "create_orders second fails"): (blofin("2", ("1", "0"), ("", "103003")), create_two),
    ("blofin", "create_orders outer 0, second fails"): (
        blofin("0", ("1", "0"), ("", "103003")),
        create_two,
    ),
    ("blofin", "data empty list"): (blofin("0"), create),
    ("blofin", "Cloudflare challenge 403 html"): (HTML, create),
    ("blofin", "Cloudflare 503 html"): (HTML, create),
    ("blofin", "HTTP 429 json code 429"): ({"code": "429", "msg": "Too Many Requests"}, create),
    ("blofin", "HTTP 429 html"): (HTML, create),
    ("blofin", "HTTP 200 html"): (HTML, create),
    ("blofin", "HTTP 401 json code 152409"): ({"code": "152409", "msg": "x"}, create),
    # the wire answers this code with HTTP 429, as the venue does; the line has 200
    ("blofin", "outer 429 Too Many Requests"): ({"code": "429", "msg": "Too Many"}, create),
    ("kucoinfutures", "changeCrossUserLeverage data:false"): (kucoin(False), set_leverage),
    ("kucoinfutures", "orders/multi inner failure"): (kucoin(MULTI), create_two),
    ("kucoinfutures", "cancel not found 200000 w/ msg? 100004"): (
        {"code": "100004", "msg": "Order is in not cancelable state"},
        cancel,
    ),
    ("kucoinfutures", "HTTP 200 html"): (HTML, create),
    ("kucoinfutures", "HTTP 403 html"): (HTML, create),
    ("mexc", "success:false code 0"): (mexc(False, 0), create),
    ("mexc", "success:true code 2005 (contradiction)"): (mexc(True, 2005), create),
    ("mexc", "cancel inner errorCode 2041"): (
        mexc(True, 0, data=[{"orderId": 1, "errorCode": 2041, "errorMsg": "x"}]),
        cancel,
    ),
    ("mexc", "fetch_order data null"): (mexc(True, 0, data=None), look_up),
    ("mexc", "create data string id"): (mexc(True, 0, data="102057569836905984"), create),
    ("mexc", "HTTP 403 html akamai"): (HTML, create),
    ("mexc", "HTTP 200 html"): (HTML, create),
}


@dataclass(frozen=True, slots=True)
class Line:
    """What a venue answered, and what ccxt made of it."""

    venue: str
    what: str
    status: int
    outcome: str  # an exception's name, or OK


def lines() -> list[Line]:
    found = [LINE.match(row) for row in RECORDED.read_text().splitlines() if row.strip()]
    assert all(found)
    rows = [row.groups() for row in found if row]
    return [Line(venue, what, int(status), made) for venue, what, status, made in rows]


def inject(server: PaperServer, line: Line) -> Call:
    """Put the line's answer into the exchange; gives the call that shall meet it."""
    special = BODIES.get((line.venue, line.what))
    if special:
        body, call = special
        text = body if isinstance(body, str) else orjson.dumps(body).decode()
        server.add_fault("http", status=line.status, body=text)
        return call
    coded = CODED.match(line.what)
    assert coded, f"no way to express {line}"
    server.add_fault("refuse", code=coded[1], text=coded[2], status=line.status)
    return create


async def outcome(call: Call, client: Client) -> str:
    try:
        await call(client)
    except ccxt.BaseError as error:
        return type(error).__name__
    return NO_ERROR


needs_lines = pytest.mark.skipif(
    not RECORDED.exists(), reason="the measured errors are not beside this checkout"
)


@needs_lines
def test_every_measured_venue_is_known_or_has_no_wire_yet() -> None:
    seen = {(line.venue, line.what) for line in lines()}

    assert len(lines()) == len(seen) == 195
    assert set(BODIES) <= seen
    assert {venue for venue, _ in seen} >= set(VENUES)


@needs_lines
@pytest.mark.parametrize("ccxt_id", VENUES)
async def test_each_error_becomes_the_exception_that_it_was_measured_to_be(ccxt_id: str) -> None:
    account = VENUES[ccxt_id].account
    measured = [line for line in lines() if line.venue == ccxt_id]
    found = {}
    async with (
        PaperServer(accounts=[account], limits=False) as server,
        plain_client(server, account) as client,
    ):
        await client.load_markets()
        for line in measured:
            asked = len(server.requests())
            call = inject(server, line)
            found[line.what, line.status] = await outcome(call, client)
            server.clear_faults()
            assert len(server.requests()) > asked, f"{line} was never asked for"

    assert len(found) > 30
    assert found == {(line.what, line.status): line.outcome for line in measured}
