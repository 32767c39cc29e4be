"""MEXC contract v1 (USDT perpetuals) as its clients meet it: door, paths, envelope, limits.

Signatures are over key, time and the raw query or body, never over the path. Errors are HTTP 200
with `success` false; what the edge refuses is HTML.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from paper_exchange.accounts import PaperAccount
from paper_exchange.instruments import load_instruments
from paper_exchange.orders import BookError
from paper_exchange.rate_limits import Allowance, Budget
from paper_exchange.rest import Endpoint, Params, RestWire, Serve
from paper_exchange.wire import Call, Reply, Request
from paper_exchange.wires.mexc import reads, writes
from paper_exchange.wires.mexc.codes import CODES, PARAMETER, TEXTS, Habits, refused
from paper_exchange.wires.mexc.reads import Raw

CONTRACT, PRIVATE, SPOT = "/api/v1/contract/", "/api/v1/private/", "/api/v3/"
WINDOW_MS, MOST_WINDOW_MS = 10_000, 60_000  # of Request-Time; the most that Recv-Window may ask for
LIMIT, SPAN_MS = 20, 2000  # of one account and path; of public paths by address
RARE = {  # those that have another limit in the same span
    "order/submit_batch": 1,
    "order/batch_query": 5,
    "position/close_all": 4,
}
FIREWALL = (
    "<HTML><HEAD><TITLE>Access Denied</TITLE></HEAD><BODY><H1>Access Denied</H1>"
    "You don't have permission to access this resource on this server.</BODY></HTML>"
)

PUBLIC: Mapping[str, Serve] = {
    f"{CONTRACT}ping": reads.ping,
    f"{CONTRACT}detail": reads.detail,
    f"{CONTRACT}ticker": reads.ticker,
    f"{CONTRACT}funding_rate/{{symbol}}": reads.funding_rate,
    f"{SPOT}exchangeInfo": reads.spot_info,
    f"{SPOT}time": reads.spot_time,
    f"{SPOT}capital/config/getall": reads.spot_coins,
}
PRIVATE_GET: Mapping[str, Serve] = {
    "account/assets": reads.assets,
    "account/asset/{currency}": reads.asset,
    "position/open_positions": reads.open_positions,
    "position/list/history_positions": reads.past_positions,
    "position/funding_records": reads.funding_records,
    "position/leverage": reads.leverage,
    "position/position_mode": reads.position_mode,
    "order/get/{order_id}": reads.order_by_id,
    "order/external/{symbol}/{external_oid}": reads.order_by_client_id,
    "order/batch_query": reads.orders_by_ids,
    "order/list/open_orders": reads.open_orders,
    "order/list/open_orders/{symbol}": reads.open_orders,
    "order/list/history_orders": reads.past_orders,
    "order/list/order_deals": reads.deals,
    "order/list/order_deals/v3": reads.deals,
    "order/deal_details/{order_id}": reads.deals_of_order,
}
PRIVATE_POST: Mapping[str, Serve] = {
    "order/create": writes.create,
    "order/submit": writes.submit,
    "order/submit_batch": writes.submit_batch,
    "order/cancel": writes.cancel,
    "order/cancel_with_external": writes.cancel_by_client_id,
    "order/batch_cancel_with_external": writes.cancel_batch_by_client_id,
    "order/cancel_all": writes.cancel_all,
    "order/batch_query_with_external": writes.orders_by_client_ids,
    "position/change_leverage": writes.change_leverage,
    "position/change_position_mode": writes.change_position_mode,
    "position/close_all": writes.close_all,
}
WITH_IDS = (  # paths that end in names: they share one limit
    "order/get",
    "order/external",
    "order/deal_details",
    "order/list/open_orders",
    "account/asset",
    "funding_rate",
)


def _in_own_words(serve: Serve) -> Serve:
    """The same, with what the book refuses put into the venue's words."""

    def served(call: Call, params: Params) -> Any:  # noqa: ANN401
        try:
            return serve(call, params)
        except BookError as error:
            raise refused(CODES[error.reason]) from error

    return served


def _endpoints() -> Mapping[tuple[str, str], Endpoint]:
    private = {
        (method, PRIVATE + path): Endpoint(_in_own_words(serve))
        for method, paths in (("GET", PRIVATE_GET), ("POST", PRIVATE_POST))
        for path, serve in paths.items()
    }
    public = {("GET", path): Endpoint(serve, is_private=False) for path, serve in PUBLIC.items()}
    return {**public, **private}


class MexcWire(RestWire):
    """The protocol."""

    prefix = "mexc"
    key_header = "ApiKey"
    codes = CODES
    endpoints = _endpoints()
    forbidden = ("701", "no permission", 200)
    param_code = PARAMETER
    ip_limits = ((500, 10_000),)  # undocumented for contracts: the figure of the spot API
    takes_lists = True
    habits = Habits

    def __init__(self) -> None:
        self.instruments = load_instruments(Path(__file__).with_name("instruments.json"))

    def budgets(self, request: Request, account: PaperAccount | None) -> Sequence[Budget]:
        """The path's limit, of this account or of the address.

        contract/detail, once in 5 s by the document, has the others' limit here: a client that is
        started again must not be refused, and the document is not known to be kept to.
        """
        is_private = request.path.startswith(PRIVATE)
        if is_private and account is None:
            return ()
        path = request.path.removeprefix(PRIVATE).removeprefix(CONTRACT)
        group = next((name for name in WITH_IDS if path.startswith(f"{name}/")), path)
        owner = account.id if is_private and account else self.prefix
        limit = RARE.get(group, LIMIT)
        return (Budget(bucket=f"{owner}:{group}", limit=limit, window_ms=SPAN_MS),)

    def limit_headers(self, allowance: Allowance, at_ms: int) -> Mapping[str, str]:  # noqa: ARG002
        """The venue tells nothing."""
        return {}

    def check_door(self, call: Call) -> None:
        """Key, time window, signature. Raises VenueError."""
        _check_door(call)

    def success(self, call: Call, served: Any) -> Reply:  # noqa: ANN401
        """What was served is `data`; a request that only does something is answered without."""
        if isinstance(served, Raw):
            return Reply(payload=served.payload)
        is_lookup = call.request.method == "GET"
        data = {"data": served} if is_lookup or served is not None else {}
        return Reply(payload={"success": True, "code": 0, **data})

    def error(self, code: str, text: str, at_ms: int, status: int = 200) -> Reply:  # noqa: ARG002
        """An error in the envelope, HTTP 200 but for a path that is not there."""
        return _failure(code, text, status)

    def rate_limited(self, at_ms: int) -> Reply:  # noqa: ARG002
        """510, HTTP 200, without headers."""
        return _failure("510", TEXTS["510"])

    def ip_banned(self, at_ms: int) -> Reply:  # noqa: ARG002
        """The firewall's page."""
        return Reply(payload=FIREWALL, status=403)

    def maintenance(self, at_ms: int) -> Reply:  # noqa: ARG002
        """604."""
        return _failure("604", TEXTS["604"])

    def not_found(self, call: Call) -> Reply:  # noqa: ARG002
        """A path that the venue has not."""
        return _failure("404", "Not Found", 404)


def _failure(code: str, text: str, status: int = 200) -> Reply:
    number = int(code) if code.isascii() and code.isdigit() else code
    return Reply(payload={"success": False, "code": number, "message": text}, status=status)


def _check_door(call: Call) -> None:
    headers, account = call.request.headers, call.account
    if account is None:
        raise refused("401")
    stamp = headers.get("Request-Time", "")
    if not (stamp.isascii() and stamp.isdigit()):
        raise refused("513")
    if abs(int(stamp) - call.venue_ms) > _window_ms(headers):
        raise refused("513")
    _check_signature(call.request, account, stamp)


def _window_ms(headers: Mapping[str, str]) -> int:
    """Recv-Window: quoted in seconds by some and in milliseconds by others, at most a minute."""
    asked = headers.get("Recv-Window", "")
    if not (asked.isascii() and asked.isdigit()) or not int(asked):
        return WINDOW_MS
    given = int(asked)
    return min(MOST_WINDOW_MS, given if given > MOST_WINDOW_MS // 1000 else given * 1000)


def _check_signature(request: Request, account: PaperAccount, stamp: str) -> None:
    signature = request.headers.get("Signature", "")
    payload = request.body if request.method == "POST" else request.raw_query.encode()
    signed = (account.api_key + stamp).encode() + payload
    if account.api_secret is None:  # nobody told us the secret: the shape is all there is to check
        is_right = len(signature) == hashlib.sha256().digest_size * 2
    else:
        expected = hmac.new(account.api_secret.encode(), signed, hashlib.sha256).hexdigest()
        is_right = hmac.compare_digest(expected.encode(), signature.encode())
    if not is_right:
        raise refused("602")


WIRE = MexcWire()
