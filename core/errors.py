"""Errors, named by what we do next.

A venue's own exceptions are translated into these once, in `account_processors/base.py`; nothing
above that layer sees a ccxt or aiohttp exception.
"""


class TradeEngineError(Exception):
    """Any error this program raises on purpose."""


class ConfigError(TradeEngineError):
    """Stop, or keep the last good configuration: a person must change a file."""


class TransientError(TradeEngineError):
    """A read failed in a way that may pass: the read may be repeated. Never raised for a write."""


class UnknownOutcomeError(TradeEngineError):
    """A write may have happened: look it up before anything else, never repeat it blindly."""


class RejectedError(TradeEngineError):
    """The venue said no in its own words: do not repeat unchanged.

    Attributes:
        kind: one of `margin`, `nothing_to_reduce`, `duplicate_id`, `price`, `size`, `risk_limit`,
            `symbol`, `mode`, `not_found`, `other`.
        code: the venue's own code, as text.
    """

    def __init__(self, text: str, *, kind: str = "other", code: str = "") -> None:
        super().__init__(text)
        self.kind = kind
        self.code = code


class CredentialsError(TradeEngineError):
    """Park the account: its key, permissions or IP list are wrong. Other accounts go on."""


class NotPlacedError(TradeEngineError):
    """A write certainly did not happen: it may be sent again under the same id."""


class RateLimitedError(NotPlacedError):
    """The venue refused for its rate limit: nothing was placed; wait `retry_after_s` seconds."""

    def __init__(self, text: str, *, retry_after_s: int = 1) -> None:
        super().__init__(text)
        self.retry_after_s = retry_after_s


class ClockSkewError(NotPlacedError):
    """The venue refused the timestamp: measure its clock, then send again under the same id."""


class MaintenanceError(NotPlacedError):
    """The venue is closed for a while: probe it, then act on the newest target only."""


class BusyError(TradeEngineError):
    """Somebody else holds what we need (a lock, a port, an account); the text names the holder."""
