"""What goes wrong, for whom, where and how often: a table, asked once a request and once an order.

Pure: no I/O and no clock; chance comes from the seed. The server carries out what the table says.

| kind | effect | params |
|---|---|---|
| `latency` | waits before it works | `ms` |
| `drop_before` | cuts the connection, nothing done | |
| `drop_after` | does it, then cuts the connection | |
| `hang_after` | does it, then answers after `s` seconds, or never | `s` |
| `http` | plain HTTP error, nothing done unless `booked` | `status`, `body`, `booked`, `headers` |
| `rate_limit`, `ip_ban`, `maintenance` | the venue's own refusal, nothing done | |
| `refuse` | the venue's error code, nothing done | `code`, `text`, `status` |
| `empty` | 200 with every list empty | |
| `stale` | reads show the account as it was `lag_ms` ago, or when the fault was added | `lag_ms` |
| `garbage` | does it, then 200 with rubbish | `shape`: html, truncated, empty |
| `fields` | those fields get those values in every row | `values` |
| `clock_skew` | the venue's clock is `ms` ahead (< 0: behind) | `ms` |
| `reject_order` | the order alone is refused (in a batch the others live) | as `refuse` |
| `late_reject` | accepted, then rejected when matched | `reason` |
| `partial_fill` | fills that share only, rounded to the step | `fraction` |
| `fill_delay` | matched that much later | `ms` |
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Any

from core.errors import ConfigError
from paper_exchange.orders import ONE, Reason

Params = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One line of the table."""

    id: int
    kind: str
    account: str = "*"  # glob on the account's name
    method: str = "*"  # glob on the HTTP method
    endpoint: str = "*"  # glob on the path without the venue's prefix
    symbol: str = "*"  # glob; order faults only
    count: int | None = None  # fires so often; None = until removed
    skip: int = 0  # lets the first so many pass
    probability: float = 1.0
    params: Params = field(default_factory=dict)
    added_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """What happens to one request; the default is nothing."""

    latency_ms: int = 0
    drop_before: bool = False
    drop_after: bool = False
    hang_after: bool = False
    hang_s: float | None = None  # None = for ever
    http_status: int | None = None
    http_body: str = ""
    http_booked: bool = False
    http_headers: Params = field(default_factory=dict)
    refusal: str = ""  # rate_limit, ip_ban, maintenance
    refuse: tuple[str, str, int] | None = None  # code, text, HTTP status
    is_empty: bool = False
    view_at_ms: int | None = None
    garbage: str = ""
    fields: Params = field(default_factory=dict)
    skew_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderEffects:
    """What happens to one order; the default is nothing."""

    refuse: tuple[str, str, int] | None = None
    doomed: Reason | None = None
    fill_fraction: Decimal = ONE
    fill_delay_ms: int = 0


def _code(fault: Fault) -> tuple[str, str, int]:
    text, status = fault.params.get("text", "injected"), fault.params.get("status", 200)
    return str(fault.params["code"]), str(text), int(status)


def _view(fault: Fault, at_ms: int) -> int:
    lag = fault.params.get("lag_ms")
    return fault.added_ms if lag is None else at_ms - int(lag)


def _http(fault: Fault, _: int) -> Params:
    return {
        "http_status": int(fault.params.get("status", 502)),
        "http_body": str(fault.params.get("body", "<html>Bad Gateway</html>")),
        "http_booked": bool(fault.params.get("booked", False)),
        "http_headers": dict(fault.params.get("headers", {})),
    }


REQUEST_KINDS: Mapping[str, Callable[[Fault, int], Params]] = {
    "latency": lambda fault, _: {"latency_ms": int(fault.params["ms"])},
    "drop_before": lambda *_: {"drop_before": True},
    "drop_after": lambda *_: {"drop_after": True},
    "hang_after": lambda fault, _: {"hang_after": True, "hang_s": fault.params.get("s")},
    "http": _http,
    "rate_limit": lambda *_: {"refusal": "rate_limit"},
    "ip_ban": lambda *_: {"refusal": "ip_ban"},
    "maintenance": lambda *_: {"refusal": "maintenance"},
    "refuse": lambda fault, _: {"refuse": _code(fault)},
    "empty": lambda *_: {"is_empty": True},
    "stale": lambda fault, at_ms: {"view_at_ms": _view(fault, at_ms)},
    "garbage": lambda fault, _: {"garbage": str(fault.params.get("shape", "html"))},
    "fields": lambda fault, _: {"fields": dict(fault.params["values"])},
    "clock_skew": lambda fault, _: {"skew_ms": int(fault.params["ms"])},
}
ORDER_KINDS: Mapping[str, Callable[[Fault], Params]] = {
    "reject_order": lambda fault: {"refuse": _code(fault)},
    "late_reject": lambda fault: {"doomed": Reason(fault.params.get("reason", "margin"))},
    "partial_fill": lambda fault: {"fill_fraction": Decimal(str(fault.params["fraction"]))},
    "fill_delay": lambda fault: {"fill_delay_ms": int(fault.params["ms"])},
}


class FaultTable:
    """All faults in force."""

    def __init__(self, seed: int = 0) -> None:
        self._faults: dict[int, Fault] = {}
        self._chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
        self._last_id = 0

    def add(self, spec: Mapping[str, Any], at_ms: int) -> Fault:
        """Add a fault: the fields of `Fault` by name, everything else is its parameters.

        Raises ConfigError for an unknown kind or a bad parameter.
        """
        own = {"kind", "account", "method", "endpoint", "symbol", "count", "skip", "probability"}
        params = {key: value for key, value in spec.items() if key not in own}
        known = {key: value for key, value in spec.items() if key in own}
        self._last_id += 1
        try:
            fault = Fault(id=self._last_id, params=params, added_ms=at_ms, **known)
            if fault.kind in REQUEST_KINDS:
                REQUEST_KINDS[fault.kind](fault, at_ms)
            else:
                ORDER_KINDS[fault.kind](fault)
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            kinds = ", ".join((*REQUEST_KINDS, *ORDER_KINDS))
            message = f"fault {dict(spec)} is not understood: {error!r}; kinds: {kinds}"
            raise ConfigError(message) from error
        self._faults[fault.id] = fault
        return fault

    def remove(self, fault_id: int) -> bool:
        """Take one out; False if it is not (or no longer) there."""
        return self._faults.pop(fault_id, None) is not None

    def clear(self) -> None:
        """Take all out."""
        self._faults.clear()

    def rows(self) -> list[Fault]:
        """What is in force, oldest first."""
        return list(self._faults.values())

    def on_request(self, account: str, method: str, endpoint: str, at_ms: int) -> Effects:
        """What happens to this request; uses up counts."""
        changes: dict[str, Any] = {}
        for fault in self._fires(REQUEST_KINDS, _Subject(account, method, endpoint)):
            changes |= REQUEST_KINDS[fault.kind](fault, at_ms)
        return Effects(**changes)

    def on_order(self, account: str, method: str, endpoint: str, symbol: str) -> OrderEffects:
        """What happens to this order; uses up counts."""
        changes: dict[str, Any] = {}
        for fault in self._fires(ORDER_KINDS, _Subject(account, method, endpoint, symbol)):
            changes |= ORDER_KINDS[fault.kind](fault)
        return OrderEffects(**changes)

    def _fires(self, kinds: Mapping[str, Any], subject: "_Subject") -> list[Fault]:
        fired = []
        for fault in list(self._faults.values()):
            if fault.kind not in kinds or not subject.is_meant_by(fault):
                continue
            if fault.probability < 1 and self._chance.random() >= fault.probability:
                continue
            if fault.skip:
                self._faults[fault.id] = replace(fault, skip=fault.skip - 1)
                continue
            fired.append(fault)
            self._use_up(fault)
        return fired

    def _use_up(self, fault: Fault) -> None:
        if fault.count is None:
            return
        if fault.count <= 1:
            del self._faults[fault.id]
        else:
            self._faults[fault.id] = replace(fault, count=fault.count - 1)


@dataclass(frozen=True, slots=True)
class _Subject:
    """A request, or one order of it."""

    account: str
    method: str
    endpoint: str
    symbol: str | None = None

    def is_meant_by(self, fault: Fault) -> bool:
        return (
            fnmatchcase(self.account, fault.account)
            and fnmatchcase(self.method, fault.method)
            and fnmatchcase(self.endpoint, fault.endpoint)
            and (self.symbol is None or fnmatchcase(self.symbol, fault.symbol))
        )


def without_rows(payload: Any) -> Any:  # noqa: ANN401
    """The same answer with every list empty."""
    if isinstance(payload, dict):
        return {key: without_rows(value) for key, value in payload.items()}
    return [] if isinstance(payload, list) else payload


def with_fields(payload: Any, values: Params) -> Any:  # noqa: ANN401
    """The same answer with those fields overwritten wherever they occur."""
    if isinstance(payload, dict):
        return {
            key: values[key] if key in values else with_fields(value, values)
            for key, value in payload.items()
        }
    if isinstance(payload, list):
        return [with_fields(item, values) for item in payload]
    return payload
