"""Whether a read of equity may be believed: a large jump must be seen twice.

Pure. A venue that is degraded, or a row that was misread, shows half an account for a moment; sized
or stopped by that, real money moves. A doubted read is unknown, never a loss.
"""

from dataclasses import dataclass
from decimal import Decimal

AGREES = Decimal("0.5")  # of the limit: a market in motion gives no two equal reads


@dataclass(frozen=True, slots=True, kw_only=True)
class EquitySeen:
    """What was believed last, and a read that waits for a second one; USDT."""

    believed_usdt: Decimal | None = None
    suspect_usdt: Decimal | None = None


def look(seen: EquitySeen, equity_usdt: Decimal, limit: Decimal) -> EquitySeen:
    """Judge a read; it is believed when `believed_usdt` of the answer is it.

    `limit` is a share of what was believed; 0 believes everything.
    """
    believed, suspect = seen.believed_usdt, seen.suspect_usdt
    is_near = believed is None or not limit or _differs(believed, equity_usdt) <= limit
    is_seen_twice = suspect is not None and _differs(suspect, equity_usdt) <= limit * AGREES
    if is_near or is_seen_twice:
        return EquitySeen(believed_usdt=equity_usdt)
    return EquitySeen(believed_usdt=believed, suspect_usdt=equity_usdt)


def _differs(before: Decimal, now: Decimal) -> Decimal:
    """Give the difference as a share of `before`; from nothing, any change is whole."""
    if not before:
        return Decimal(0) if now == before else Decimal(1)
    return abs(now - before) / abs(before)
