"""What BloFin was seen to answer has no field that our answers lack."""

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

from paper_exchange.server import PaperServer
from tests.paper.scene import Json, Wanted
from tests.paper.scene import send as sent
from tests.paper.scenes.blofin import ACCOUNT, SCENE, get, post, public

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT.parent / "shared" / "data" / "ccxt_examples" / "blofin.json"
FIELD = re.compile(r"""["']?(\w+)["']?\s*:\s*(?:(null)|["'][^"']*["'])""")
CROSS = {"instId": "ETH-USDT", "marginMode": "cross"}
NET = {"positionMode": "net_mode"}
ASKED_BY: dict[str, Wanted] = {  # by ccxt's method, whose comments hold the example
    "fetch_order_book": public("market/books", instId="ETH-USDT"),
    "parse_ticker": public("market/tickers"),
    "fetch_funding_rate": public("market/funding-rate", instId="ETH-USDT"),
    "parse_trade": get("trade/fills-history"),
    "parse_balance": get("account/balance"),
    "parse_funding_balance": get("asset/balances", accountType="futures"),
    "parse_order": get("trade/orders-history"),
    "parse_position": get("account/positions"),
    "fetch_positions_adl_rank": get("account/positions"),
    "fetch_leverages": get("account/batch-leverage-info", **CROSS),
    "fetch_leverage": get("account/leverage-info", **CROSS),
    "fetch_margin_mode": get("account/margin-mode"),
    "set_margin_mode": post("account/set-margin-mode", marginMode="cross"),
    "fetch_position_mode": get("account/position-mode"),
    "set_position_mode": post("account/set-position-mode", **NET),
}
UNREAD = {  # of the socket only, as the comments say
    "parse_balance": {"unrealizedPnl"},
    "parse_order": {"instType"},
    "parse_position": {"margin"},
}
ELSEWHERE = {"historyId", "price", "feeCurrency"}  # of positions-history, public and spot trades


def flat(document: Json) -> Iterator[tuple[str, str]]:
    """All fields of a document with their JSON types."""
    if isinstance(document, dict):
        for key, value in document.items():
            if isinstance(value, dict | list):
                yield from flat(value)
            else:
                yield key, type(value).__name__
    elif isinstance(document, list):
        for item in document:
            yield from flat(item)


def fields(row: dict[str, Any]) -> dict[str, str]:
    """Those of an example; one that is no JSON is read with a pattern, all its values are text."""
    if "json" in row:
        return dict(flat(row["json"]))
    return {key: "NoneType" if null else "str" for key, null in FIELD.findall(row["raw"])}


def examples() -> list[Any]:
    if not EXAMPLES.exists():
        reason = "the examples of ccxt are not beside this checkout"
        return [pytest.param("", {}, marks=pytest.mark.skip(reason=reason))]
    return [
        pytest.param(row["method"], fields(row), id=f"{row['method']}-{row['line']}")
        for row in orjson.loads(EXAMPLES.read_bytes())
        if row["method"] in ASKED_BY
        and (row["method"] == "parse_order" or not ELSEWHERE & set(fields(row)))
    ]


@pytest.mark.parametrize(("method", "example"), examples())
async def test_an_answer_has_the_fields_of_ccxts_example(
    method: str, example: dict[str, str]
) -> None:
    async with PaperServer(accounts=[ACCOUNT], limits=False) as server:
        if not method.startswith("set_"):  # modes are set while flat
            server.exchange.trade_by_hand(ACCOUNT, "ETHUSDT", Decimal(10))
        status, answer = await sent(SCENE, server, ASKED_BY[method])
    found = dict(flat(answer))
    wanted = {key: kind for key, kind in example.items() if key not in UNREAD.get(method, ())}

    assert (status, answer["code"]) == (200, "0")
    assert {key: found.get(key) for key in wanted} == wanted
