"""BloFin's REST API as its clients meet it: door, paths, envelope.

Signatures are over path, query, method, time, nonce and raw body. The demo host speaks the same.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from paper_exchange.accounts import PaperAccount
from paper_exchange.exchange import PaperExchange
from paper_exchange.instruments import load_instruments
from paper_exchange.orders import Reason
from paper_exchange.rate_limits import Allowance, Budget
from paper_exchange.rest import Endpoint, RestWire, Serve, VenueError
from paper_exchange.wire import Call, Reply, Request
from paper_exchange.wires.blofin import copytrading, reads, writes
from paper_exchange.wires.blofin.books import in_copy_trading
from paper_exchange.wires.blofin.codes import (
    ALL_FAILED,
    CANCEL_FAILED,
    CODES,
    NOT_JSON,
    SOME_FAILED,
    SUCCESS,
    TEXTS,
    NoSuchOrder,
    Outcome,
    SingleRefusal,
)

API = "/api/v1"
COPY = f"{API}/copytrading"
WINDOW_MS = 60_000  # of timestamps, and of nonces
TRADING_LIMIT, TRADING_WINDOW_MS = 30, 10_000  # of one user
OUTER_TEXTS = {
    SUCCESS: "success",
    ALL_FAILED: "All operations failed",
    SOME_FAILED: "Batch operation partially succeeded.",
}
LIMITED = "Rate limit reached. Please refer to API documentation and throttle requests accordingly"
FIREWALL = (
    "<html><head><title>Attention Required! | Cloudflare</title></head><body>403</body></html>"
)
CLOSED = "<html><head><title>503 Service Temporarily Unavailable</title></head><body></body></html>"

PUBLIC: Mapping[str, Serve] = {
    "market/instruments": reads.instruments,
    "market/tickers": reads.tickers,
    "market/mark-price": reads.mark_price,
    "market/funding-rate": reads.funding_rate,
    "market/books": reads.order_book,
}
PRIVATE_GET: Mapping[str, Serve] = {
    "asset/currencies": reads.nothing,
    "asset/balances": reads.assets,
    "account/config": reads.account_config,
    "account/balance": reads.balance,
    "account/positions": reads.positions,
    "account/margin-mode": reads.margin_mode,
    "account/position-mode": reads.position_mode,
    "account/leverage-info": reads.leverage,
    "account/batch-leverage-info": reads.leverages,
    "trade/order-detail": reads.order_detail,
    "trade/orders-pending": reads.orders_pending,
    "trade/orders-history": reads.orders_history,
    "trade/fills-history": reads.fills,
    "trade/order/price-range": reads.price_range,
    "trade/orders-tpsl-pending": reads.nothing,
    "trade/orders-algo-pending": reads.nothing,
    "user/query-apikey": reads.api_key,
}
PRIVATE_POST: Mapping[str, Serve] = {
    "account/set-leverage": writes.set_leverage,
    "account/set-margin-mode": writes.set_margin_mode,
    "account/set-position-mode": writes.set_position_mode,
    "trade/order": writes.create,
    "trade/batch-orders": writes.create_batch,
    "trade/cancel-order": writes.cancel,
    "trade/cancel-batch-orders": writes.cancel_batch,
    "trade/close-position": writes.close_position,
}
COPY_GET: Mapping[str, Serve] = {
    "instruments": copytrading.instruments,
    "config": copytrading.config,
    "account/balance": reads.balance,
    "account/positions-by-contract": reads.positions,
    "account/position-mode": reads.position_mode,
    "account/leverage-info": reads.leverages,
    "trade/orders-pending": copytrading.orders_pending,
    "trade/orders-history": copytrading.orders_history,
    "trade/pending-tpsl-by-contract": reads.nothing,
}
COPY_POST: Mapping[str, Serve] = {
    "account/set-position-mode": writes.set_position_mode,
    "account/set-leverage": writes.set_leverage,
    "trade/place-order": copytrading.place_order,
    "trade/cancel-order": copytrading.cancel_order,
    "trade/close-position-by-contract": copytrading.close_by_contract,
}


def _endpoints() -> Mapping[tuple[str, str], Endpoint]:
    public = {
        ("GET", f"{API}/{path}"): Endpoint(serve, is_private=False)
        for path, serve in PUBLIC.items()
    }
    futures = {
        (method, f"{API}/{path}"): Endpoint(serve)
        for method, paths in (("GET", PRIVATE_GET), ("POST", PRIVATE_POST))
        for path, serve in paths.items()
    }
    copied = {
        (method, f"{COPY}/{path}"): Endpoint(in_copy_trading(serve))
        for method, paths in (("GET", COPY_GET), ("POST", COPY_POST))
        for path, serve in paths.items()
    }
    return {**public, **futures, **copied}


class BlofinWire(RestWire):
    """The protocol, with a switch for each thing on which its sources differ."""

    prefix = "blofin"
    key_header = "ACCESS-KEY"
    codes = CODES
    endpoints = _endpoints()
    param_code = NOT_JSON
    forbidden = ("152404", "This operation is not supported", 200)
    ip_limits = ((500, 60_000), (1500, 300_000))
    ip_bans_ms = (300_000, 3_600_000)  # the service is suspended for so long
    takes_lists = True
    single_refusal = SingleRefusal.OUTER_ONE
    cancel_data_is_list = True  # the documents show an object, which ccxt does not read
    missing_order_code = ""  # of a look-up; "" = success with null for the order

    def __init__(self) -> None:
        self.instruments = load_instruments(Path(__file__).with_name("instruments.json"))
        self._nonces: WeakKeyDictionary[PaperExchange, dict[tuple[str, str], int]] = (
            WeakKeyDictionary()
        )

    def budgets(self, request: Request, account: PaperAccount | None) -> Sequence[Budget]:
        """All trading paths together, for each user."""
        path = request.path.removeprefix(COPY).removeprefix(API)
        if account is None or not path.startswith(("/trade/", "/account/set-")):
            return ()
        bucket = f"{account.id}:trading"
        return (Budget(bucket=bucket, limit=TRADING_LIMIT, window_ms=TRADING_WINDOW_MS),)

    def ip_budgets(self) -> Sequence[Budget]:
        """The limits on one address, each with its own ban."""
        bans = zip(super().ip_budgets(), self.ip_bans_ms, strict=True)
        return [replace(budget, ban_ms=ban_ms) for budget, ban_ms in bans]

    def limit_headers(self, allowance: Allowance, at_ms: int) -> Mapping[str, str]:  # noqa: ARG002
        """The venue tells nothing of what is left."""
        return {}

    def check_door(self, call: Call) -> None:
        """Key, time window, passphrase, signature, nonce. Raises VenueError."""
        account = call.account
        if account is None:
            raise VenueError("152401", "Access key does not exist")
        headers = call.request.headers
        _check_time(headers.get("ACCESS-TIMESTAMP", ""), call.venue_ms)
        wanted, given = account.api_passphrase, headers.get("ACCESS-PASSPHRASE", "")
        if wanted is not None and not hmac.compare_digest(wanted.encode(), given.encode()):
            raise VenueError("152408", "Passphrase error")
        _check_signature(call.request, account)
        self._check_nonce(call, account)

    def success(self, call: Call, served: Any) -> Reply:  # noqa: ANN401
        """What was served is `data`."""
        if isinstance(served, Outcome):
            return self._outcome(served)
        if isinstance(served, NoSuchOrder):
            code = self.missing_order_code
            if code:
                text = TEXTS[Reason.UNKNOWN_ORDER] if code == CANCEL_FAILED else "not found"
                return self.error(code, text, call.venue_ms)
            served = None
        return _envelope(SUCCESS, "success", served)

    def error(self, code: str, text: str, at_ms: int, status: int = 200) -> Reply:  # noqa: ARG002
        """An error has no data; HTTP 200, but for the rate limit."""
        return Reply(payload={"code": code, "msg": text}, status=429 if code == "429" else status)

    def not_found(self, call: Call) -> Reply:
        """A path that the venue has not: told like any other error."""
        return self.error("404", "not found", call.venue_ms)

    def rate_limited(self, at_ms: int) -> Reply:
        """429 inside and outside."""
        return self.error("429", LIMITED, at_ms)

    def ip_banned(self, at_ms: int) -> Reply:  # noqa: ARG002
        """A page of the firewall in front."""
        return Reply(payload=FIREWALL, status=403)

    def maintenance(self, at_ms: int) -> Reply:  # noqa: ARG002
        """A page too: the API behind does not answer. No source shows it."""
        return Reply(payload=CLOSED, status=503)

    def _outcome(self, outcome: Outcome) -> Reply:
        found = list(outcome.rows)
        failed = [row for row in found if row["code"] != SUCCESS]
        if outcome.is_batch:
            some = ALL_FAILED if len(failed) == len(found) else SOME_FAILED
            code = some if failed else SUCCESS
            return _envelope(code, OUTER_TEXTS[code], found)
        is_object = outcome.is_object or (outcome.is_cancel and not self.cancel_data_is_list)
        if failed and self.single_refusal is SingleRefusal.BARE:
            return Reply(payload={"code": failed[0]["code"], "msg": failed[0]["msg"]})
        is_told_outside = failed and self.single_refusal is SingleRefusal.OUTER_ONE
        code = ALL_FAILED if is_told_outside else SUCCESS
        return _envelope(code, OUTER_TEXTS[code], found[0] if is_object else found)

    def _check_nonce(self, call: Call, account: PaperAccount) -> None:
        """Each nonce of a key once in a minute; those of others and of old do not count."""
        seen = self._nonces.setdefault(call.exchange, {})
        name = (account.api_key, call.request.headers.get("ACCESS-NONCE", ""))
        last_ms = seen.pop(name, None)
        seen[name] = call.at_ms  # at the end again: the oldest come first
        if not name[1] or (last_ms is not None and call.at_ms - last_ms < WINDOW_MS):
            text = "Repeated nonce, Reusing within 60 seconds is not allowed."
            raise VenueError("152407", text)
        for other, at_ms in list(seen.items()):
            if call.at_ms - at_ms < WINDOW_MS:
                break
            del seen[other]


def _check_time(stamp: str, venue_ms: int) -> None:
    if not (stamp.isascii() and stamp.isdigit()):
        text = "The value of ACCESS-TIMESTAMP needs to be a millisecond timestamp"
        raise VenueError("152410", text)
    if abs(venue_ms - int(stamp)) > WINDOW_MS:
        text = "Timestamp in header or signature has expired, need to be within 60s"
        raise VenueError("152405", text)


def _check_signature(request: Request, account: PaperAccount) -> None:
    headers = request.headers
    signature = headers.get("ACCESS-SIGN", "")
    query = f"?{request.raw_query}" if request.raw_query else ""
    head = request.path + query + request.method
    head += headers.get("ACCESS-TIMESTAMP", "") + headers.get("ACCESS-NONCE", "")
    secret = account.api_secret
    digest = hmac.new((secret or "").encode(), head.encode() + request.body, hashlib.sha256)
    expected = base64.b64encode(digest.hexdigest().encode()).decode()
    if secret is None:  # nobody told us the secret: the shape is all there is to check
        is_right = len(signature) == len(expected)
    else:
        is_right = hmac.compare_digest(expected.encode(), signature.encode())
    if not is_right:
        raise VenueError("152409", "Signature verification failed")


def _envelope(code: str, text: str, served: Any) -> Reply:  # noqa: ANN401
    return Reply(payload={"code": code, "msg": text, "data": served})


WIRE = BlofinWire()
