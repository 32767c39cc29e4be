"""Bybit v5 (unified account, linear USDT perpetuals) as its clients meet it: door, paths, codes.

Signatures are over the raw query or the raw body, never over the path. Unknown parameters are
ignored, as the venue does.
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence

from paper_exchange import bybit_reads as reads
from paper_exchange import bybit_writes as writes
from paper_exchange.accounts import PaperAccount
from paper_exchange.bybit_codes import CODES
from paper_exchange.bybit_params import Params, Result, VenueError, read_params
from paper_exchange.orders import BookError
from paper_exchange.rate_limits import Allowance, Budget
from paper_exchange.wire import Call, Reply, Request

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


class BybitWire:
    """The protocol."""

    prefix = "bybit"

    def api_key(self, headers: Mapping[str, str]) -> str:
        """The key a request bears."""
        return headers.get("X-BAPI-API-KEY", "")

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

    def ip_budget(self) -> Budget:
        """600 requests in 5 s."""
        return Budget(bucket="bybit:ip", limit=600, window_ms=5000)

    def limit_headers(self, allowance: Allowance) -> Mapping[str, str]:
        """What is left of the endpoint's limit."""
        return {
            "X-Bapi-Limit": str(allowance.limit),
            "X-Bapi-Limit-Status": str(allowance.remaining),
            "X-Bapi-Limit-Reset-Timestamp": str(allowance.reset_ms),
        }

    def answer(self, call: Call) -> Reply:
        """Find the path, check the door, serve."""
        entry = PATHS.get((call.request.method, call.request.path))
        if entry is None:
            return Reply(payload="404 page not found", status=404)
        serve, is_private = entry
        try:
            params = read_params(call.request)
            if is_private:
                _check_door(call)
            served = serve(call, params)
            result, more = served if isinstance(served, tuple) else (served, {})
            return _envelope(call.venue_ms, 0, "OK", result, more)
        except VenueError as error:
            return _envelope(call.venue_ms, error.code, str(error))
        except BookError as error:
            return _envelope(call.venue_ms, CODES[error.reason], str(error))

    def refusal(self, code: int, text: str, at_ms: int) -> Reply:
        """An error in the envelope, HTTP 200."""
        return _envelope(at_ms, code, text)

    def rate_limited(self, at_ms: int) -> Reply:
        """10006; the headers are put on by `limit_headers`."""
        return _envelope(at_ms, 10006, "Too many visits. Exceeded the API Rate Limit.")

    def ip_banned(self, at_ms: int) -> Reply:  # noqa: ARG002
        """Plain text, as the edge answers."""
        return Reply(payload="access too frequent", status=403)

    def maintenance(self, at_ms: int) -> Reply:
        """The code that the venue gives while it is being worked on."""
        return _envelope(at_ms, 10016, "Internal server error. Server under maintenance")


def _envelope(
    at_ms: int, code: int, text: str, result: Result | None = None, more: Result | None = None
) -> Reply:
    return Reply(
        payload={
            "retCode": code,
            "retMsg": text,
            "result": result or {},
            "retExtInfo": more or {},
            "time": at_ms,
        }
    )


def _check_door(call: Call) -> None:
    headers, account = call.request.headers, call.account
    if account is None:
        raise VenueError(10003, "API key is invalid.")
    stamp = headers.get("X-BAPI-TIMESTAMP", "")
    window = headers.get("X-BAPI-RECV-WINDOW", "") or str(DEFAULT_WINDOW_MS)
    if not (stamp.isascii() and stamp.isdigit() and window.isascii() and window.isdigit()):
        raise VenueError(10001, "params error: timestamp or recv_window invalid")
    if not call.venue_ms - int(window) <= int(stamp) < call.venue_ms + AHEAD_MS:
        text = (
            "invalid request, please check your server timestamp or recv_window param. "
            f"req_timestamp[{stamp}],server_timestamp[{call.venue_ms}],recv_window[{window}]"
        )
        raise VenueError(10002, text)
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
        raise VenueError(10004, f"{text} origin_string[{signed.decode(errors='replace')}]")


Serve = Callable[[Call, Params], Result | tuple[Result, Result]]
PATHS: Mapping[tuple[str, str], tuple[Serve, bool]] = {  # (what serves it, needs a key)
    ("GET", "/v5/market/time"): (reads.time, False),
    ("GET", "/v5/market/instruments-info"): (reads.instruments, False),
    ("GET", "/v5/market/tickers"): (reads.tickers, False),
    ("GET", "/v5/asset/coin/query-info"): (reads.coins, True),
    ("GET", "/v5/user/query-api"): (reads.query_api, True),
    ("GET", "/v5/account/info"): (reads.account_info, True),
    ("GET", "/v5/account/wallet-balance"): (reads.wallet_balance, True),
    ("GET", "/v5/position/list"): (reads.positions, True),
    ("GET", "/v5/order/realtime"): (reads.realtime, True),
    ("GET", "/v5/order/history"): (reads.history, True),
    ("GET", "/v5/execution/list"): (reads.executions, True),
    ("POST", "/v5/position/set-leverage"): (writes.set_leverage, True),
    ("POST", "/v5/position/switch-mode"): (writes.switch_mode, True),
    ("POST", "/v5/account/set-margin-mode"): (writes.set_margin_mode, True),
    ("POST", "/v5/order/create"): (writes.create, True),
    ("POST", "/v5/order/create-batch"): (writes.create_batch, True),
    ("POST", "/v5/order/cancel"): (writes.cancel, True),
    ("POST", "/v5/order/cancel-batch"): (writes.cancel_batch, True),
    ("POST", "/v5/order/cancel-all"): (writes.cancel_all, True),
}
WIRE = BybitWire()
