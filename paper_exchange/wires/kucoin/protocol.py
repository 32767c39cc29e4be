"""KuCoin Futures' REST API as its clients meet it: door, paths, envelope, limits.

Signatures are over time, method, path, raw query and raw body. The spot paths that ccxt asks while
it loads its markets are answered with empty lists.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paper_exchange.accounts import PaperAccount
from paper_exchange.instruments import load_instruments
from paper_exchange.orders import MarginMode
from paper_exchange.rate_limits import Allowance, Budget
from paper_exchange.rest import Endpoint, RestWire, Serve, VenueError
from paper_exchange.wire import Call, Reply, Request
from paper_exchange.wires.kucoin import reads, writes
from paper_exchange.wires.kucoin.codes import BAD_PARAM, CODES, SUCCESS

WINDOW_MS = 5000  # either way
POOL, POOL_WINDOW_MS = 2000, 30_000  # of weights: one pool of an account, one of an address
BLOCK_MS = 30_000  # of an address that Cloudflare limits
SIGNED = ("KC-API-KEY", "KC-API-SIGN", "KC-API-TIMESTAMP", "KC-API-PASSPHRASE")
FIREWALL = (
    "<!DOCTYPE html><html><head><title>Access denied | api-futures.kucoin.com used Cloudflare to "
    "restrict access</title></head><body><h1>Error 1015</h1><h2>You are being rate limited</h2>"
    "</body></html>"
)


@dataclass(frozen=True, slots=True)
class Weighed(Endpoint):
    """What a request takes out of its pool, besides: half of what it costs in ccxt."""

    weight: int = 2
    pool: str = "futures"  # of the account


PUBLIC: Mapping[str, tuple[Serve, int]] = {
    "v1/timestamp": (reads.time, 2),
    "v1/status": (reads.status, 4),
    "v1/contracts/active": (reads.contracts, 3),
    "v1/contracts/{symbol}": (reads.contract, 3),
    "v1/contracts/risk-limit/{symbol}": (reads.risk_limits, 5),
    "v1/ticker": (reads.ticker, 2),
    "v1/allTickers": (reads.tickers, 5),
    "v1/mark-price/{symbol}/current": (reads.mark_price, 3),
    "v1/funding-rate/{symbol}/current": (reads.funding_rate, 2),
    "v1/level2/snapshot": (reads.order_book, 3),
    "v1/level2/depth20": (reads.order_book, 5),
    "v1/level2/depth100": (reads.order_book, 10),
    "v3/currencies": (reads.nothing, 3),
    "v2/symbols": (reads.nothing, 4),
    "v1/market/allTickers": (reads.spot_tickers, 15),
}
KEY_PATH = "v1/user/api-key"
PRIVATE: Mapping[tuple[str, str], tuple[Serve, int]] = {
    ("GET", "ua/v1/account/mode"): (reads.account_mode, 5),
    ("GET", "v3/margin/symbols"): (reads.margin_pairs, 3),
    ("GET", "v1/isolated/symbols"): (reads.nothing, 3),
    ("GET", "v1/hf/accounts/opened"): (reads.is_high_frequency, 2),
    ("GET", KEY_PATH): (reads.api_key, 20),
    ("GET", "v1/account-overview"): (reads.account, 5),
    ("GET", "v1/positions"): (reads.positions, 2),
    ("GET", "v1/position"): (reads.position, 2),
    ("GET", "v2/getCrossUserLeverage"): (reads.cross_leverage, 2),
    ("GET", "v2/position/getMarginMode"): (reads.margin_mode, 2),
    ("GET", "v2/position/getPositionMode"): (reads.position_mode, 2),
    ("GET", "v1/trade-fees"): (reads.fees, 3),
    ("GET", "v1/orders"): (reads.orders, 2),
    ("GET", "v1/orders/byClientOid"): (reads.order_by_client_id, 5),
    ("GET", "v1/orders/{order_id}"): (reads.order, 5),
    ("GET", "v1/stopOrders"): (reads.stop_orders, 6),
    ("GET", "v1/fills"): (reads.fills, 5),
    ("GET", "v1/funding-history"): (reads.funding_history, 5),
    ("POST", "v1/orders"): (writes.create, 2),
    ("POST", "v1/orders/test"): (writes.create_test, 2),
    ("POST", "v1/orders/multi"): (writes.create_batch, 3),
    ("POST", "v2/changeCrossUserLeverage"): (writes.set_cross_leverage, 2),
    ("POST", "v2/position/changeMarginMode"): (writes.set_margin_mode, 2),
    ("POST", "v2/position/switchPositionMode"): (writes.set_position_mode, 2),
    ("DELETE", "v1/orders"): (writes.cancel_all, 10),
    ("DELETE", "v1/orders/multi-cancel"): (writes.cancel_batch, 20),
    ("DELETE", "v1/orders/{order_id}"): (writes.cancel, 1),
    ("DELETE", "v1/orders/client-order/{client_id}"): (writes.cancel_by_client_id, 1),
}
ENDPOINTS: Mapping[tuple[str, str], Endpoint] = {
    ("GET", f"/api/{path}"): Weighed(serve, is_private=False, weight=weight)
    for path, (serve, weight) in PUBLIC.items()
} | {
    (method, f"/api/{path}"): Weighed(
        serve, weight=weight, pool="management" if path == KEY_PATH else "futures"
    )
    for (method, path), (serve, weight) in PRIVATE.items()
}


class KucoinWire(RestWire):
    """The protocol."""

    prefix = "kucoin"
    key_header = "KC-API-KEY"
    codes = CODES
    endpoints = ENDPOINTS
    param_code = BAD_PARAM
    forbidden = ("400007", "Access denied, require more permission.", 403)
    ip_limits = ((500, 10_000),)
    takes_lists = True
    start_margin_mode = MarginMode.ISOLATED

    def __init__(self) -> None:
        self.instruments = load_instruments(Path(__file__).with_name("instruments.json"))

    def ip_budgets(self) -> Sequence[Budget]:
        """Cloudflare's limit, in front of everything."""
        (limit, window_ms) = self.ip_limits[0]
        bucket = f"{self.prefix}:ip"
        return [Budget(bucket=bucket, limit=limit, window_ms=window_ms, ban_ms=BLOCK_MS)]

    def budgets(self, request: Request, account: PaperAccount | None) -> Sequence[Budget]:
        """The pool of the account, or of the address for what is public."""
        found = self.endpoint_of(request)
        if not isinstance(found, Weighed) or (found.is_private and account is None):
            return ()
        own = account if found.is_private else None
        pool = f"{own.id}:{found.pool}" if own else f"{self.prefix}:public"
        return (
            Budget(
                bucket=pool,
                limit=POOL,
                window_ms=POOL_WINDOW_MS,
                weight=found.weight,
                is_fixed=True,
            ),
        )

    def limit_headers(self, allowance: Allowance, at_ms: int) -> Mapping[str, str]:
        """What is left of the pool, and for how many milliseconds."""
        return {
            "gw-ratelimit-limit": str(allowance.limit),
            "gw-ratelimit-remaining": str(allowance.remaining),
            "gw-ratelimit-reset": str(allowance.reset_ms - at_ms),
        }

    def check_door(self, call: Call) -> None:
        """Headers, key, time, passphrase, signature. Raises VenueError."""
        headers, account = call.request.headers, call.account
        if not all(headers.get(name) for name in SIGNED):
            text = f"Please check the header of your request for {', '.join(SIGNED)}"
            raise VenueError("400001", text, 401)
        if call.request.body and "json" not in headers.get("Content-Type", ""):
            raise VenueError("415000", "Unsupported Media Type", 415)
        if account is None:
            raise VenueError("400003", "KC-API-KEY not exists", 401)
        stamp = headers["KC-API-TIMESTAMP"]
        is_time = stamp.isascii() and stamp.isdigit()
        if not is_time or abs(call.venue_ms - int(stamp)) > WINDOW_MS:
            raise VenueError("400002", "Invalid KC-API-TIMESTAMP", 400)
        if not _is_passphrase_right(headers, account):
            raise VenueError("400004", "Invalid KC-API-PASSPHRASE", 401)
        if not _is_signature_right(call.request, account):
            raise VenueError("400005", "Invalid KC-API-SIGN", 401)

    def success(self, call: Call, served: Any) -> Reply:  # noqa: ANN401, ARG002
        """What was served is `data`."""
        return Reply(payload={"code": SUCCESS, "data": served})

    def error(self, code: str, text: str, at_ms: int, status: int = 200) -> Reply:  # noqa: ARG002
        """An error has no data."""
        return Reply(payload={"code": code, "msg": text}, status=status)

    def not_found(self, call: Call) -> Reply:
        """A path that the venue has not: told like any other error."""
        return self.error("404000", "Url Not Found", call.venue_ms, 404)

    def rate_limited(self, at_ms: int) -> Reply:
        """The pool is empty; the headers are put on by `limit_headers`."""
        return self.error("429000", "Too Many Requests", at_ms, 429)

    def ip_banned(self, at_ms: int) -> Reply:  # noqa: ARG002
        """Cloudflare's page."""
        return Reply(payload=FIREWALL, status=429)

    def maintenance(self, at_ms: int) -> Reply:
        """Closed."""
        return self.error("900001", "system maintenance", at_ms, 503)


def _digest(secret: str, payload: bytes) -> str:
    digest = hmac.new(secret.encode(), payload, hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def _is_passphrase_right(headers: Mapping[str, str], account: PaperAccount) -> bool:
    """Bare under the first version of keys, signed under the later ones."""
    if account.api_passphrase is None or account.api_secret is None:
        return True  # nobody told us
    expected = account.api_passphrase
    if headers.get("KC-API-KEY-VERSION", "1") != "1":
        expected = _digest(account.api_secret, expected.encode())
    return hmac.compare_digest(expected.encode(), headers["KC-API-PASSPHRASE"].encode())


def _is_signature_right(request: Request, account: PaperAccount) -> bool:
    given = request.headers["KC-API-SIGN"]
    if account.api_secret is None:  # nobody told us: the shape is all there is to check
        return len(given) == len(_digest("", b""))
    target = request.path + (f"?{request.raw_query}" if request.raw_query else "")
    head = request.headers["KC-API-TIMESTAMP"] + request.method + target
    expected = _digest(account.api_secret, head.encode() + request.body)
    return hmac.compare_digest(expected.encode(), given.encode())


WIRE = KucoinWire()
