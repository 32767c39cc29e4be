"""What ccxt would have of the invented venue: its paths, its signature, its orders."""
# ruff: noqa: A002, N815 - ccxt's names

import hashlib
from typing import Any

from ccxt.async_support.base.exchange import Exchange
from ccxt.base.decimal_to_precision import TICK_SIZE
from ccxt.base.errors import ExchangeError, InsufficientFunds
from ccxt.base.types import Entry


class acme(Exchange):  # type: ignore[misc]  # noqa: N801 - ccxt is untyped, and names classes so
    """In ccxt's own style."""

    publicGetClock = Entry("clock", "public", "GET", {})
    publicGetContracts = Entry("contracts", "public", "GET", {})
    publicGetPrices = Entry("prices", "public", "GET", {})
    privateGetMoney = Entry("money", "private", "GET", {})
    privateGetPositions = Entry("positions", "private", "GET", {})
    privateGetOrders = Entry("orders", "private", "GET", {})
    privatePostOrders = Entry("orders", "private", "POST", {})
    privatePostCancel = Entry("cancel", "private", "POST", {})
    privatePostLeverage = Entry("leverage", "private", "POST", {})

    def describe(self) -> Any:
        return self.deep_extend(
            super().describe(),
            {
                "id": "acme",
                "urls": {
                    "api": {"public": "https://acme.invalid", "private": "https://acme.invalid"}
                },
                "precisionMode": TICK_SIZE,
                "requiredCredentials": {"apiKey": True, "secret": True},
            },
        )

    async def fetch_markets(self, params: Any = None) -> Any:
        reply = await self.publicGetContracts(params or {})
        return [self._market(row) for row in reply["list"]]

    def _market(self, row: Any) -> Any:
        return {
            "id": row["name"], "symbol": f"{row['coin']}/USDT:USDT", "base": row["coin"],
            "quote": "USDT", "settle": "USDT", "type": "swap", "spot": False, "swap": True,
            "contract": True, "linear": True, "inverse": False, "option": False, "future": False,
            "contractSize": self.parse_number(row["worth"]), "active": True,
            "precision": {
                "amount": self.parse_number(row["step"]), "price": self.parse_number(row["tick"]),
            },
            "limits": {}, "info": row,
        }  # fmt: skip

    async def create_order(
        self, symbol: Any, type: Any, side: Any, amount: Any, price: Any = None, params: Any = None
    ) -> Any:
        size = self.amount_to_precision(symbol, amount)
        request = {"name": self.market(symbol)["id"], "size": size, "side": side}
        if type == "limit":
            request["price"] = self.price_to_precision(symbol, price)
        reply = await self.privatePostOrders({**request, **(params or {})})
        row = self.safe_dict(self.safe_list(reply, "list", []), 0, {})
        return {"id": row.get("id"), "clientOrderId": row.get("client"), "info": row}

    async def set_leverage(self, leverage: Any, symbol: Any = None, params: Any = None) -> Any:
        request = {"name": self.market(symbol)["id"], "leverage": leverage}
        return await self.privatePostLeverage({**request, **(params or {})})

    def sign(
        self, path: Any, api: Any = "public", method: Any = "GET", params: Any = None,
        headers: Any = None, body: Any = None,
    ) -> Any:  # fmt: skip
        kind = api[0] if isinstance(api, list) else api
        url = f"{self.urls['api'][kind]}/v1/{path}"
        query = self.urlencode(params) if params and method == "GET" else ""
        body = self.json(params) if method == "POST" else None
        if kind == "private":
            now = str(self.milliseconds())
            text = self.encode(now + (query if method == "GET" else body))
            sign = self.hmac(text, self.encode(self.secret), hashlib.sha256)
            headers = {"X-Key": self.apiKey, "X-Time": now, "X-Sign": sign}
        url += f"?{query}" if query else ""
        return {"url": url, "method": method, "body": body, "headers": headers}

    def handle_errors(self, *seen: Any) -> Any:
        reply = seen[6]
        if isinstance(reply, dict) and reply.get("ok") is False:
            raise {"E5": InsufficientFunds}.get(reply["code"], ExchangeError)(f"acme {seen[5]}")
