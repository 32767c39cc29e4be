"""What a data tier shows: everything at once for 100, a sample below, the rest a day late.

Pure.
"""

import hashlib
from typing import Final

from paper_exchange.sn8.model import Position, as_of
from paper_exchange.sn8.quotes import DAY_MS

TIERS: Final = (0, 30, 50, 100)
TOP_TIER: Final = TIERS[-1]
LAG_MS: Final = DAY_MS


def is_sampled(uuid: str, tier: int) -> bool:
    """Tell whether a position is shown without delay."""
    return int(hashlib.sha256(uuid.encode()).hexdigest(), 16) % 100 < tier


def shown(position: Position, tier: int, now_ms: int) -> Position | None:
    """The position as a tier shows it; None = not at all yet.

    One opened lately is absent, one closed lately is still open.
    """
    if tier >= TOP_TIER or is_sampled(position.uuid, tier):
        return position
    return as_of(position, now_ms - LAG_MS)
