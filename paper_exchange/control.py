"""The side door, `/control`: faults, prices, trades by hand, and the truth to compare with.

For tests and demos, on loopback only. It needs a token only where one is configured.
"""

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson
from aiohttp import web

from core.errors import ConfigError
from paper_exchange import margin
from paper_exchange.accounts import KeyRights, PaperAccount
from paper_exchange.orders import BookError
from paper_exchange.pipeline import Pipeline, parse_body
from paper_exchange.state_file import StateFile, encode
from paper_exchange.wire import plain

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Control:
    """Handlers of the control paths."""

    def __init__(self, pipeline: Pipeline, file: StateFile, token: str = "") -> None:
        self._pipeline = pipeline
        self._exchange = pipeline.exchange
        self._file = file
        self._token = token

    def routes(self) -> list[web.RouteDef]:
        """All paths."""
        table: list[tuple[str, str, Handler]] = [
            ("GET", "/control/ping", self._ping),
            ("GET", "/control/faults", self._list_faults),
            ("POST", "/control/faults", self._add_fault),
            ("DELETE", "/control/faults", self._clear_faults),
            ("DELETE", "/control/faults/{id}", self._remove_fault),
            ("GET", "/control/requests", self._requests),
            ("DELETE", "/control/requests", self._forget_requests),
            ("POST", "/control/prices", self._pin_prices),
            ("DELETE", "/control/prices", self._unpin_prices),
            ("GET", "/control/prices", self._prices),
            ("POST", "/control/trade", self._trade),
            ("POST", "/control/liquidate", self._liquidate),
            ("POST", "/control/deposit", self._deposit),
            ("POST", "/control/accounts", self._open_account),
            ("POST", "/control/keys", self._set_rights),
            ("GET", "/control/accounts", self._accounts),
            ("POST", "/control/settings", self._settings),
        ]
        return [web.route(method, path, self._guarded(serve)) for method, path, serve in table]

    def accounts(self) -> list[dict[str, Any]]:
        """Every account as the books have it: money, positions, orders, fills; numbers as text."""
        at_ms = self._exchange.clock.now_ms()
        found = []
        for account in self._exchange.doorkeeper.accounts():
            state = self._exchange.state(account, at_ms)
            board = self._exchange.board(account.exchange, at_ms)
            found.append(
                {
                    "name": account.name,
                    "exchange": account.exchange,
                    "equity_usdt": str(margin.equity(state, board)),
                    "free_margin_usdt": str(margin.free_margin(state, board)),
                    "sizes": {row.symbol: plain(row.size_lots) for row in state.positions.values()},
                    **orjson.loads(encode(state)),
                }
            )
        return found

    def _guarded(self, serve: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            given = request.headers.get("Authorization", "").removeprefix("Bearer ")
            if self._token and not hmac.compare_digest(given.encode(), self._token.encode()):
                return _json({"error": "wrong or missing token"}, 401)
            try:
                answer = await serve(request)
            except (ConfigError, BookError, KeyError, ValueError, InvalidOperation) as error:
                return _json({"error": f"{type(error).__name__}: {error}"}, 400)
            await self._file.commit()
            return answer

        return guarded

    async def _body(self, request: web.Request) -> dict[str, Any]:
        return parse_body(await request.read())

    def _account(self, body: dict[str, Any]) -> PaperAccount:
        name, venue = body["account"], body.get("exchange")
        for account in self._exchange.doorkeeper.accounts():
            if name == account.name and venue in {None, account.exchange}:
                return account
        raise ConfigError(f"account {name!r} is not known here")

    async def _ping(self, _: web.Request) -> web.StreamResponse:
        return _json({"ping": "pong"})

    async def _list_faults(self, _: web.Request) -> web.StreamResponse:
        return _json([asdict(fault) for fault in self._exchange.faults.rows()])

    async def _add_fault(self, request: web.Request) -> web.StreamResponse:
        fault = self._exchange.add_fault(await self._body(request))
        return _json({"id": fault.id})

    async def _clear_faults(self, _: web.Request) -> web.StreamResponse:
        self._exchange.faults.clear()
        return _json({})

    async def _remove_fault(self, request: web.Request) -> web.StreamResponse:
        was_there = self._exchange.faults.remove(int(request.match_info["id"]))
        return _json({"removed": was_there})

    async def _requests(self, request: web.Request) -> web.StreamResponse:
        after = int(request.query.get("after", "0"))
        rows = [asdict(row) for row in self._pipeline.requests if row.number > after]
        return _json({"requests": rows})

    async def _forget_requests(self, _: web.Request) -> web.StreamResponse:
        self._pipeline.requests.clear()
        return _json({})

    async def _pin_prices(self, request: web.Request) -> web.StreamResponse:
        body = await self._body(request)
        listed = {symbol for table in self._exchange.instruments.values() for symbol in table}
        unknown = sorted(set(body) - listed)
        if unknown:
            raise ConfigError(f"not listed: {', '.join(unknown)}")
        self._exchange.pins |= {symbol: Decimal(str(price)) for symbol, price in body.items()}
        return _json({})

    async def _unpin_prices(self, _: web.Request) -> web.StreamResponse:
        self._exchange.pins.clear()
        return _json({})

    async def _prices(self, request: web.Request) -> web.StreamResponse:
        venue = request.query.get("exchange", "bybit")
        board = self._exchange.board(venue, self._exchange.clock.now_ms())
        return _json({symbol: asdict(quote) for symbol, quote in board.items()})

    async def _trade(self, request: web.Request) -> web.StreamResponse:
        body = await self._body(request)
        size_lots = Decimal(str(body["size_lots"]))
        self._exchange.trade_by_hand(self._account(body), str(body["symbol"]), size_lots)
        return _json({})

    async def _liquidate(self, request: web.Request) -> web.StreamResponse:
        body = await self._body(request)
        self._exchange.liquidate(self._account(body), body.get("symbol"))
        return _json({})

    async def _deposit(self, request: web.Request) -> web.StreamResponse:
        body = await self._body(request)
        amount_usdt = Decimal(str(body["amount_usdt"]))
        self._exchange.deposit(self._account(body), amount_usdt)
        return _json({})

    async def _open_account(self, request: web.Request) -> web.StreamResponse:
        body = await self._body(request)
        account = PaperAccount(
            name=str(body["name"]),
            exchange=str(body.get("exchange", "bybit")),
            api_key=str(body["api_key"]),
            api_secret=body.get("api_secret"),
            api_passphrase=body.get("api_passphrase"),
        )
        balance = body.get("balance_usdt")
        self._exchange.open_account(account, None if balance is None else Decimal(str(balance)))
        return _json({"name": account.name})

    async def _set_rights(self, request: web.Request) -> web.StreamResponse:
        body = await self._body(request)
        expires_at_ms = body.get("expires_at_ms")
        rights = KeyRights(
            is_read_only=bool(body.get("is_read_only", False)),
            can_withdraw=bool(body.get("can_withdraw", False)),
            expires_at_ms=None if expires_at_ms is None else int(expires_at_ms),
            ips=tuple(str(ip) for ip in body.get("ips", ())),
        )
        self._exchange.doorkeeper.set_rights(self._account(body), rights)
        return _json(asdict(rights))

    async def _accounts(self, _: web.Request) -> web.StreamResponse:
        return _json({"accounts": self.accounts()})

    async def _settings(self, request: web.Request) -> web.StreamResponse:
        body = await self._body(request)
        if "limits_enforced" in body:
            self._pipeline.limits_enforced = bool(body["limits_enforced"])
            self._pipeline.reset_limits()
        if "fill_delay_ms" in body:
            self._exchange.fill_delay_ms = int(body["fill_delay_ms"])
        return _json(
            {
                "limits_enforced": self._pipeline.limits_enforced,
                "fill_delay_ms": self._exchange.fill_delay_ms,
            }
        )


def _json(document: Any, status: int = 200) -> web.Response:  # noqa: ANN401
    body = orjson.dumps(document, default=str)
    return web.Response(body=body, status=status, content_type="application/json")
