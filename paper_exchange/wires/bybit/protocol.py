"""Bybit v5 (unified account, linear USDT perpetuals) as its clients meet it: door, paths, codes.

Signatures are over the raw query or the raw body, never over the path. Unknown parameters are
ignored, as the venue does.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from paper_exchange.accounts import PaperAccount
from paper_exchange.instruments import load_instruments
from paper_exchange.rate_limits import Allowance, Budget
from paper_exchange.rest import Endpoint, RestWire, VenueError
from paper_exchange.wire import Call, Reply, Request
from paper_exchange.wires.bybit import reads, writes
from paper_exchange.wires.bybit.codes import CODES

DEFAULT_WINDOW_MS = 5000
AHEAD_MS = 1000
PER_SECOND = {  # documented or quoted defaults of an ordinary account, by endpoint
    "/v5/order/create": ("create", 10),
    "/v5/order/create-batch": ("create", 10),
    "/v5/order/cancel": ("cancel", 10),
    "/v5/order/cancel-batch": ("cancel", 10),
    "/v5/order/cancel-all": ("cancel", 10),
    "/v5/position/set-leverage": ("set-leverage", 10),
    "/v5/position/list": ("position-list", 50),
    "/v5/account/wallet-balance": ("wallet-balance", 50),
    "/v5/order/realtime": ("order-realtime", 50),
    "/v5/order/history": ("order-history", 50),
    "/v5/execution/list": ("execution-list", 50),
}

ENDPOINTS: Mapping[tuple[str, str], Endpoint] = {
    ("GET", "/v5/market/time"): Endpoint(reads.time, is_private=False),
    ("GET", "/v5/market/instruments-info"): Endpoint(reads.instruments, is_private=False),
    ("GET", "/v5/market/tickers"): Endpoint(reads.tickers, is_private=False),
    ("GET", "/v5/asset/coin/query-info"): Endpoint(reads.coins),
    ("GET", "/v5/user/query-api"): Endpoint(reads.query_api),
    ("GET", "/v5/account/info"): Endpoint(reads.account_info),
    ("GET", "/v5/account/wallet-balance"): Endpoint(reads.wallet_balance),
    ("GET", "/v5/position/list"): Endpoint(reads.positions),
    ("GET", "/v5/order/realtime"): Endpoint(reads.realtime),
    ("GET", "/v5/order/history"): Endpoint(reads.history),
    ("GET", "/v5/execution/list"): Endpoint(reads.executions),
    ("POST", "/v5/position/set-leverage"): Endpoint(writes.set_leverage),
    ("POST", "/v5/position/switch-mode"): Endpoint(writes.switch_mode),
    ("POST", "/v5/account/set-margin-mode"): Endpoint(writes.set_margin_mode),
    ("POST", "/v5/order/create"): Endpoint(writes.create),
    ("POST", "/v5/order/create-batch"): Endpoint(writes.create_batch),
    ("POST", "/v5/order/cancel"): Endpoint(writes.cancel),
    ("POST", "/v5/order/cancel-batch"): Endpoint(writes.cancel_batch),
    ("POST", "/v5/order/cancel-all"): Endpoint(writes.cancel_all),
}


class BybitWire(RestWire):
    """The protocol."""

    prefix = "bybit"
    key_header = "X-BAPI-API-KEY"
    codes = CODES
    endpoints = ENDPOINTS
    param_code = "10001"
    forbidden = ("10005", "Permission denied, please check your API key permissions.", 200)
    ip_limits = ((600, 5000),)

    def __init__(self) -> None:
        self.instruments = load_instruments(Path(__file__).with_name("instruments.json"))

    def budgets(self, request: Request, account: PaperAccount | None) -> Sequence[Budget]:
        """The endpoint's limit of this account; a batch counts each of its orders."""
        group = PER_SECOND.get(request.path)
        if group is None or account is None:
            return ()
        weight = 1
        if request.path.endswith("-batch"):
            weight = max(1, request.body.count(b'"symbol"'))
        bucket = f"{account.id}:{group[0]}"
        return (Budget(bucket=bucket, limit=group[1], window_ms=1000, weight=weight),)

    def limit_headers(self, allowance: Allowance, at_ms: int) -> Mapping[str, str]:  # noqa: ARG002
        """What is left of the endpoint's limit."""
        return {
            "X-Bapi-Limit": str(allowance.limit),
            "X-Bapi-Limit-Status": str(allowance.remaining),
            "X-Bapi-Limit-Reset-Timestamp": str(allowance.reset_ms),
        }

    def check_door(self, call: Call) -> None:
        """Key, time window, signature. Raises VenueError."""
        _check_door(call)

    def success(self, call: Call, served: Any) -> Reply:  # noqa: ANN401
        """What was served is `result`, or a pair with `retExtInfo`."""
        result, more = served if isinstance(served, tuple) else (served, {})
        return _envelope(call.venue_ms, "0", "OK", result, more)

    def error(self, code: str, text: str, at_ms: int, status: int = 200) -> Reply:
        """An error in the envelope, HTTP 200."""
        return _envelope(at_ms, code, text, status=status)

    def rate_limited(self, at_ms: int) -> Reply:
        """10006; the headers are put on by `limit_headers`."""
        return _envelope(at_ms, "10006", "Too many visits. Exceeded the API Rate Limit.")

    def ip_banned(self, at_ms: int) -> Reply:  # noqa: ARG002
        """Plain text, as the edge answers."""
        return Reply(payload="access too frequent", status=403)

    def maintenance(self, at_ms: int) -> Reply:
        """The code that the venue gives while it is being worked on."""
        return _envelope(at_ms, "10016", "Internal server error. Server under maintenance")


def _envelope(
    at_ms: int,
    code: str,
    text: str,
    result: Mapping[str, Any] | None = None,
    more: Mapping[str, Any] | None = None,
    status: int = 200,
) -> Reply:
    return Reply(
        status=status,
        payload={
            "retCode": int(code),
            "retMsg": text,
            "result": result or {},
            "retExtInfo": more or {},
            "time": at_ms,
        },
    )


def _check_door(call: Call) -> None:
    headers, account = call.request.headers, call.account
    if account is None:
        raise VenueError("10003", "API key is invalid.")
    stamp = headers.get("X-BAPI-TIMESTAMP", "")
    window = headers.get("X-BAPI-RECV-WINDOW", "") or str(DEFAULT_WINDOW_MS)
    if not (stamp.isascii() and stamp.isdigit() and window.isascii() and window.isdigit()):
        raise VenueError("10001", "params error: timestamp or recv_window invalid")
    if not call.venue_ms - int(window) <= int(stamp) < call.venue_ms + AHEAD_MS:
        text = (
            "invalid request, please check your server timestamp or recv_window param. "
            f"req_timestamp[{stamp}],server_timestamp[{call.venue_ms}],recv_window[{window}]"
        )
        raise VenueError("10002", text)
    _check_signature(call.request, account, stamp + account.api_key, headers)


def _check_signature(
    request: Request, account: PaperAccount, head: str, headers: Mapping[str, str]
) -> None:
    signature = headers.get("X-BAPI-SIGN", "")
    payload = request.raw_query.encode() if request.method == "GET" else request.body
    signed = (head + headers.get("X-BAPI-RECV-WINDOW", "")).encode() + payload
    if account.api_secret is None:  # nobody told us the secret: the shape is all there is to check
        is_right = len(signature) == hashlib.sha256().digest_size * 2
    else:
        expected = hmac.new(account.api_secret.encode(), signed, hashlib.sha256).hexdigest()
        is_right = hmac.compare_digest(expected, signature)
    if not is_right:
        text = "error sign! please check your signature generation algorithm."
        raise VenueError("10004", f"{text} origin_string[{signed.decode(errors='replace')}]")


WIRE = BybitWire()
