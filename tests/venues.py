"""What tests must know of each venue: where it takes orders, how they look on the wire, its codes.

One row a venue; the contract suite and the drills run on all of them.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from account_processors import venue_profiles
from paper_exchange.instruments import PaperInstrument
from paper_exchange.pipeline import SeenRequest
from paper_exchange.wires import find_wires

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class OnTheWire:
    """An order as it left: our symbol, signed lots."""

    symbol: str
    size_lots: Decimal
    reduce_only: bool
    client_id: str
    price: Decimal | None
    time_in_force: str
    margin_mode: str = ""  # what goes with the order, "" = nothing; likewise
    leverage: str = ""
    side: str = ""  # of a hedge-mode account: long or short


@dataclass(frozen=True, slots=True)
class Door:
    """One path of a venue, as faults and the request log name it; the path may be a glob."""

    method: str
    path: str

    @property
    def fault(self) -> dict[str, str]:
        """The fields of a fault that name it."""
        return {"method": self.method, "endpoint": self.path}

    def is_met_by(self, request: SeenRequest) -> bool:
        """True if a request came to it."""
        return request.method == self.method and fnmatchcase(request.path, self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueWords:
    """One venue."""

    exchange: str
    create: Door
    batch: Door | None
    placing: str  # glob on the path of every POST that places orders
    cancel: Door
    positions: Door
    wallet: Door
    instruments: Door
    tickers: Door
    time: Door  # where the clock is read
    leverage: Door
    margin_mode: Door | None  # sets it; None = it is chosen with the order
    look_up: tuple[Door, ...]  # asked for one order, in turn
    recent: tuple[Door, ...]  # asked for a symbol's orders
    open_orders: Door
    codes: Mapping[str, str]  # by what the engine makes of them
    names: Mapping[str, str]  # the venue's name of a contract: ours
    equity: tuple[str, ...]  # the fields of its reply that we read
    orders: Callable[[Row], OnTheWire]
    passphrase: str | None = None
    cuts_closes: bool = True  # a close of more than is held closes what there is
    orders_bear_leverage: bool = False  # isolated leverage goes with the order alone

    @property
    def creates(self) -> dict[str, str]:
        """Fields of a fault that strikes every way to place orders, and no other."""
        return {"method": "POST", "endpoint": self.placing}

    def instrument(self, symbol: str) -> PaperInstrument:
        """A contract as the paper exchange lists it."""
        return find_wires()[self.exchange].instruments[symbol]

    def lots(self, symbol: str, base: str) -> Decimal:
        """Base coins as lots of this venue; a whole number of steps."""
        listed = self.instrument(symbol)
        lots = Decimal(base) / listed.contract_size
        assert lots % listed.step_lots == 0, f"{base} {symbol} is no whole number of steps"
        return lots

    def on_the_wire(self, request: SeenRequest) -> list[OnTheWire]:
        """The orders in a request; none when it places none."""
        if request.method != "POST":
            return []
        if request.path == self.create.path:
            return [self.orders(json.loads(request.body))]
        if self.batch is not None and request.path == self.batch.path:
            body = json.loads(request.body)
            rows = body["request"] if isinstance(body, dict) else body
            return [self.orders(row) for row in rows]
        return []


def _symbol(exchange: str, venue_id: str) -> str:
    return find_wires()[exchange].instruments.by_id[venue_id].symbol


def _price(row: Row) -> Decimal | None:
    return Decimal(str(row["price"])) if row.get("price") else None


def _bybit(row: Row) -> OnTheWire:
    return OnTheWire(
        symbol=_symbol("bybit", row["symbol"]),
        size_lots=Decimal(row["qty"]) * (1 if row["side"] == "Buy" else -1),
        reduce_only=row.get("reduceOnly") is True,
        client_id=row.get("orderLinkId", ""),
        price=_price(row),
        time_in_force=row.get("timeInForce", ""),
        side={0: "", 1: "long", 2: "short"}[int(row.get("positionIdx", 0))],
    )


def _blofin(row: Row) -> OnTheWire:
    return OnTheWire(
        symbol=_symbol("blofin", row["instId"]),
        size_lots=Decimal(row["size"]) * (1 if row["side"] == "buy" else -1),
        reduce_only=row.get("reduceOnly") == "true",
        client_id=row.get("clientOrderId", ""),
        price=_price(row),
        time_in_force="IOC" if row["orderType"] == "ioc" else "",
        margin_mode=row.get("marginMode", ""),
        side=row.get("positionSide", ""),
    )


def _kucoin(row: Row) -> OnTheWire:
    return OnTheWire(
        symbol=_symbol("kucoin", row["symbol"]),
        size_lots=Decimal(row.get("size", 0)) * (1 if row.get("side") == "buy" else -1),
        reduce_only=True in {row.get("reduceOnly"), row.get("closeOrder")},
        client_id=row.get("clientOid", ""),
        price=_price(row),
        time_in_force=row.get("timeInForce", ""),
        margin_mode=row.get("marginMode", "").lower(),
        leverage=str(row.get("leverage", "")),
        side=row.get("positionSide", "").lower(),
    )


def _mexc(row: Row) -> OnTheWire:
    return OnTheWire(
        symbol=_symbol("mexc", row["symbol"]),
        size_lots=Decimal(str(row["vol"])) * (1 if row["side"] in {1, 2} else -1),
        reduce_only=row["side"] in {2, 4},
        client_id=row.get("externalOid", ""),
        price=_price(row),
        time_in_force="IOC" if row["type"] == 3 else "",
        margin_mode={1: "isolated", 2: "cross"}.get(row.get("openType", 0), ""),
        leverage=str(row.get("leverage", "")),
        side=("long" if row["side"] in {1, 4} else "short") if row["positionMode"] == 1 else "",
    )


WORDS: Mapping[str, VenueWords] = {
    words.exchange: words
    for words in (
        VenueWords(
            exchange="bybit",
            create=Door("POST", "/v5/order/create"),
            placing="/v5/order/create*",
            batch=Door("POST", "/v5/order/create-batch"),
            cancel=Door("POST", "/v5/order/cancel"),
            positions=Door("GET", "/v5/position/list"),
            wallet=Door("GET", "/v5/account/wallet-balance"),
            instruments=Door("GET", "/v5/market/instruments-info"),
            tickers=Door("GET", "/v5/market/tickers"),
            time=Door("GET", "/v5/market/time"),
            leverage=Door("POST", "/v5/position/set-leverage"),
            margin_mode=Door("POST", "/v5/account/set-margin-mode"),
            look_up=(Door("GET", "/v5/order/realtime"), Door("GET", "/v5/order/history")),
            recent=(Door("GET", "/v5/order/history"), Door("GET", "/v5/order/realtime")),
            open_orders=Door("GET", "/v5/order/realtime"),
            codes={
                "margin": "110007", "nothing_to_reduce": "110017", "duplicate_id": "110072",
                "price": "110003", "size": "110094", "risk_limit": "110090", "symbol": "110074",
                "mode": "110028", "key": "10003", "signature": "10004", "permission": "10005",
                "expired": "33004", "ip": "10010", "unknown": "10016", "clock": "10002",
            },
            names={"BTCUSDT": "BTCUSDT", "1000PEPEUSDT": "1000PEPEUSDT"},
            equity=("equity", "totalEquity"),
            orders=_bybit,
        ),
        VenueWords(
            exchange="blofin",
            create=Door("POST", "/api/v1/trade/order"),
            placing="/api/v1/trade/[!c]*",
            batch=Door("POST", "/api/v1/trade/batch-orders"),
            cancel=Door("POST", "/api/v1/trade/cancel-order"),
            positions=Door("GET", "/api/v1/account/positions"),
            wallet=Door("GET", "/api/v1/account/balance"),
            instruments=Door("GET", "/api/v1/market/instruments"),
            tickers=Door("GET", "/api/v1/market/tickers"),
            time=Door("GET", "/api/v1/market/mark-price"),  # its Date header
            leverage=Door("POST", "/api/v1/account/set-leverage"),
            margin_mode=Door("POST", "/api/v1/account/set-margin-mode"),
            look_up=(
                Door("GET", "/api/v1/trade/order-detail"),
                Door("GET", "/api/v1/trade/orders-history"),
                Door("GET", "/api/v1/trade/orders-pending"),
            ),
            recent=(
                Door("GET", "/api/v1/trade/orders-history"),
                Door("GET", "/api/v1/trade/orders-pending"),
            ),
            open_orders=Door("GET", "/api/v1/trade/orders-pending"),
            codes={
                "margin": "103003", "nothing_to_reduce": "102022", "duplicate_id": "102002",
                "price": "102064", "size": "102015", "risk_limit": "102013", "symbol": "152014",
                "mode": "102089", "key": "152401", "signature": "152409", "permission": "152404",
                "ip": "152406", "unknown": "500", "clock": "152405",
            },
            names={"BTC-USDT": "BTCUSDT", "1000BONK-USDT": "1000BONKUSDT"},
            equity=("equity", "totalEquity"),
            orders=_blofin,
            passphrase="PASSPHRASE",
        ),
        VenueWords(
            exchange="kucoin",
            create=Door("POST", "/api/v1/orders"),
            placing="/api/v1/orders*",
            batch=Door("POST", "/api/v1/orders/multi"),
            cancel=Door("DELETE", "/api/v1/orders/client-order/*"),
            positions=Door("GET", "/api/v1/positions"),
            wallet=Door("GET", "/api/v1/account-overview"),
            instruments=Door("GET", "/api/v1/contracts/active"),
            tickers=Door("GET", "/api/v1/allTickers"),
            time=Door("GET", "/api/v1/timestamp"),
            leverage=Door("POST", "/api/v2/changeCrossUserLeverage"),
            margin_mode=Door("POST", "/api/v2/position/changeMarginMode"),
            look_up=(
                Door("GET", "/api/v1/orders/byClientOid"),
                Door("GET", "/api/v1/orders"),  # done ones, then active ones
                Door("GET", "/api/v1/orders"),
            ),
            recent=(Door("GET", "/api/v1/orders"), Door("GET", "/api/v1/fills")),
            open_orders=Door("GET", "/api/v1/orders"),
            codes={
                "margin": "300003", "nothing_to_reduce": "300009", "duplicate_id": "300018",
                "price": "300012", "size": "100003", "risk_limit": "300005", "symbol": "200001",
                "mode": "330005", "key": "400003", "signature": "400005", "permission": "400007",
                "ip": "400006", "banned": "411100", "unknown": "500000", "clock": "400002",
            },
            names={"XBTUSDTM": "BTCUSDT", "ETHUSDTM": "ETHUSDT"},
            equity=("accountEquity",),
            orders=_kucoin,
            passphrase="PASSPHRASE",
            orders_bear_leverage=True,
        ),
        VenueWords(
            exchange="mexc",
            create=Door("POST", "/api/v1/private/order/create"),
            placing="/api/v1/private/order/create",
            batch=None,
            cancel=Door("POST", "/api/v1/private/order/cancel_with_external"),
            positions=Door("GET", "/api/v1/private/position/open_positions"),
            wallet=Door("GET", "/api/v1/private/account/assets"),
            instruments=Door("GET", "/api/v1/contract/detail"),
            tickers=Door("GET", "/api/v1/contract/ticker"),
            time=Door("GET", "/api/v1/contract/ping"),
            leverage=Door("POST", "/api/v1/private/position/change_leverage"),
            margin_mode=None,
            look_up=(
                Door("GET", "/api/v1/private/order/external/*"),
                Door("GET", "/api/v1/private/order/list/open_orders"),
                Door("GET", "/api/v1/private/order/list/history_orders"),
            ),
            recent=(
                Door("GET", "/api/v1/private/order/list/history_orders"),
                Door("GET", "/api/v1/private/order/list/open_orders"),
            ),
            open_orders=Door("GET", "/api/v1/private/order/list/open_orders"),
            codes={
                "margin": "2005", "nothing_to_reduce": "2009", "duplicate_id": "2039",
                "price": "2003", "size": "2015", "risk_limit": "2031", "symbol": "1002",
                "mode": "2027", "key": "401", "signature": "602", "permission": "701",
                "expired": "402", "ip": "406", "unknown": "500", "clock": "513",
            },
            names={"BTC_USDT": "BTCUSDT", "ETH_USDT": "ETHUSDT"},
            equity=("equity",),
            orders=_mexc,
            cuts_closes=False,
        ),
    )
}  # fmt: skip


@cache
def exchanges() -> tuple[str, ...]:
    """All venues, by the files in account_processors."""
    return tuple(venue_profiles())
