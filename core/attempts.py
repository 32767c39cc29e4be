"""How often a symbol was tried in vain, and when it may be tried again.

Pure. Increases back off and give up their turn; reductions only wait a little and never give up
(A33). Kept in memory: a restart may try at once, once.
"""

from dataclasses import dataclass, replace
from decimal import Decimal

REDUCTION_WAITS_MS = (1_000, 2_000, 5_000)
MARGIN_MOVES = Decimal("0.02")  # change of equity or price after which a margin refusal is retried

Cause = str | Decimal  # of a reopening: a margin mode, or a leverage; "" = none


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginRefusal:
    """What stood when the venue refused for margin."""

    equity_usdt: Decimal | None
    price: Decimal | None
    was_shrunk: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempts:
    """One symbol's tries at one version of its target."""

    version: str = ""
    increases_failed: int = 0
    increase_not_before_ms: int = 0
    increase_error: str = ""
    margin: MarginRefusal | None = None
    reductions_failed: int = 0
    reduce_not_before_ms: int = 0
    no_position_lots: Decimal | None = None  # expected when the venue said "no position"
    dust_lots: Decimal | None = None  # held when the venue said "too small to close"
    is_increase_counted: bool = False  # the batch that was sent last has failed already
    is_shrunk: bool = False  # it was cut down to the free margin
    is_reduction_counted: bool = False
    reopening: Cause = ""  # for what it is being closed, to be opened again
    reopened: Cause = ""  # for what it was opened again: not once more before that was seen to help
    leverage_refused: Decimal | None = None  # what the venue would not set while held


def for_version(attempts: Attempts, version: str) -> Attempts:
    """Forget refused increases and let a reduction go at once when the target is another one."""
    if attempts.version == version:
        return attempts
    return replace(
        attempts,
        version=version,
        increases_failed=0,
        increase_not_before_ms=0,
        increase_error="",
        margin=None,
        is_shrunk=False,
        leverage_refused=None,
        reduce_not_before_ms=0,
    )


def increase_failed(
    attempts: Attempts, *, now_ms: int, error: str, first_s: float, longest_s: float
) -> Attempts:
    """Double the wait, from `first_s` up to `longest_s`; once for all orders of a batch."""
    if attempts.is_increase_counted:
        return attempts
    wait_s = min(first_s * 2**attempts.increases_failed, longest_s)
    return replace(
        attempts,
        increases_failed=min(attempts.increases_failed + 1, 16),
        increase_not_before_ms=now_ms + int(wait_s * 1000),
        increase_error=error,
        is_increase_counted=True,
    )


def increase_sent(attempts: Attempts, *, is_shrunk: bool) -> Attempts:
    """Begin a new batch: its failure will count; `is_shrunk` = cut down to the free margin."""
    return replace(
        attempts,
        is_increase_counted=False,
        is_shrunk=is_shrunk,
        reopening="",
        reopened=attempts.reopening or attempts.reopened,
    )


def reopening_helped(
    attempts: Attempts, *, margin_mode: str | None, leverage: Decimal | None
) -> Attempts:
    """Let it be closed and opened again once more: the venue shows what that was done for."""
    if attempts.reopened not in (margin_mode, leverage):
        return attempts
    return replace(attempts, reopened="")


def increase_succeeded(attempts: Attempts) -> Attempts:
    """Clear what stood against increases, unless other orders of the batch failed.

    An increase that was shrunk for margin stays the last one on these terms.
    """
    if attempts.is_increase_counted:
        return attempts
    margin = attempts.margin
    return replace(
        attempts,
        increases_failed=0,
        increase_not_before_ms=0,
        increase_error="",
        margin=None
        if margin is None
        else replace(margin, was_shrunk=margin.was_shrunk or attempts.is_shrunk),
    )


def reduction_sent(attempts: Attempts, *, now_ms: int) -> Attempts:
    """Give a reduction that is on its way the time to show before it is planned again."""
    return replace(
        attempts,
        reduce_not_before_ms=now_ms + _reduction_wait_ms(attempts),
        is_reduction_counted=False,
    )


def reduction_failed(attempts: Attempts, *, now_ms: int) -> Attempts:
    """Wait 1, 2, 5, 5 … s; each failure also widens the collar by one step."""
    if attempts.is_reduction_counted:
        return attempts
    return replace(
        attempts,
        reductions_failed=attempts.reductions_failed + 1,
        reduce_not_before_ms=now_ms + _reduction_wait_ms(attempts),
        is_reduction_counted=True,
    )


def no_position(attempts: Attempts, expected_lots: Decimal | None) -> Attempts:
    """Remember that the venue had nothing to reduce while we expected this much."""
    return replace(attempts, no_position_lots=expected_lots)


def too_small_to_close(attempts: Attempts, held_lots: Decimal | None) -> Attempts:
    """Remember that the venue does not take an order as small as what is held."""
    return replace(attempts, dust_lots=held_lots)


def reduction_succeeded(attempts: Attempts) -> Attempts:
    """Start again with the narrowest collar."""
    return replace(
        attempts,
        reductions_failed=0,
        reduce_not_before_ms=0,
        no_position_lots=None,
        dust_lots=None,
    )


def margin_refused(
    attempts: Attempts, *, equity_usdt: Decimal | None, price: Decimal | None
) -> Attempts:
    """Remember the terms of a refusal for margin; a second one is final for these terms."""
    return replace(
        attempts,
        margin=MarginRefusal(equity_usdt=equity_usdt, price=price, was_shrunk=attempts.is_shrunk),
    )


def margin_still_refused(
    refusal: MarginRefusal, *, equity_usdt: Decimal | None, price: Decimal | None
) -> bool:
    """True while neither equity nor price moved by 2 % since the refusal."""
    return not (_moved(refusal.equity_usdt, equity_usdt) or _moved(refusal.price, price))


def _reduction_wait_ms(attempts: Attempts) -> int:
    return REDUCTION_WAITS_MS[min(attempts.reductions_failed, len(REDUCTION_WAITS_MS) - 1)]


def _moved(before: Decimal | None, now: Decimal | None) -> bool:
    if before is None or now is None or not before:
        return False
    return abs(now - before) / abs(before) >= MARGIN_MOVES
