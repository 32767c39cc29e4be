"""From what the followed miners hold to one depth per pair, and how fast a depth may grow.

Pure. Only open positions count, each as the share of its pair's leverage limit; a miner that is not
there takes its weight with it: nobody else's grows for that. No leverage leaves this place, the
symbol's configured one applies.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from hashlib import sha256
from typing import Any, Final

from signal_processors.bittensor_model import ZERO, MinerPosition, Ranking

ONE: Final = Decimal(1)
DEPTH_STEP: Final = Decimal("0.0001")
LIVE_TIER: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one miner adds to a depth: weight x share."""

    hotkey: str
    weight: Decimal
    net_leverage: Decimal
    share: Decimal  # of the leverage limit, -1..1

    @property
    def depth(self) -> Decimal:
        """Signed share of the whole depth."""
        return self.weight * self.share


@dataclass(frozen=True, slots=True, kw_only=True)
class PairDepth:
    """What the followed miners together want of a pair."""

    pair: str
    depth: Decimal  # -1..1
    agreement: Decimal  # |sum| / sum of sizes, 0..1; 1 = nobody is against it
    parts: tuple[Part, ...]  # largest first
    newest_at_ms: int  # newest order among them


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """What positions are measured by: `limit` is the net leverage that counts as 1.

    `targets` = our symbol by pair; pairs of one symbol share one miner's limit. `tier` is that of
    the API key: below 100 only the sampled positions are live, the rest is a day old.
    """

    limit: Decimal
    targets: Mapping[str, str]
    tier: int = LIVE_TIER


def is_live(uuid: str, tier: int) -> bool:
    """Tell whether a key of that tier sees this position as it is, not as it was a day ago."""
    return tier >= LIVE_TIER or int(sha256(uuid.encode()).hexdigest(), 16) % 100 < tier


def wanted_depths(
    positions: Iterable[MinerPosition], ranking: Ranking, measure: Measure
) -> dict[str, PairDepth]:
    """Add up what the followed miners hold; pairs that nobody holds are not in it."""
    rows = {row.hotkey: row for row in ranking.rows if row.is_kept}
    followed: dict[tuple[str, str], list[MinerPosition]] = {}
    for position in positions:
        row = rows.get(position.hotkey)
        if row is None or position.pair in row.refused_pairs:
            continue
        if position.pair in measure.targets and is_live(position.uuid, measure.tier):
            key = (position.hotkey, measure.targets[position.pair])
            followed.setdefault(key, []).append(position)
    parts: dict[str, list[tuple[Part, int]]] = {}
    for (hotkey, _), held in followed.items():
        for position, share in _shares(held, measure.limit):
            part = Part(
                hotkey=hotkey,
                weight=rows[hotkey].weight,
                net_leverage=position.net_leverage,
                share=share,
            )
            parts.setdefault(position.pair, []).append((part, position.updated_at_ms))
    return {pair: _added(pair, found) for pair, found in parts.items()}


def over_limit(positions: Iterable[MinerPosition], measure: Measure) -> int:
    """Count positions above the limit; many of them mean that the network raised it."""
    return sum(p.pair in measure.targets and abs(p.net_leverage) > measure.limit for p in positions)


def next_depth(published: Decimal, wanted: Decimal, allowance: Decimal) -> Decimal:
    """Move a depth as far as it may go at once.

    Toward zero, and to zero on the way to the other side, it goes at once; away from zero by
    `allowance` at most (0 = not at all).
    """
    if published * wanted < 0:
        published = ZERO
    if abs(wanted) <= abs(published):
        return wanted
    return (abs(published) + min(allowance, abs(wanted) - abs(published))).copy_sign(wanted)


def is_worth_publishing(published: Decimal, depth: Decimal, min_change: Decimal) -> bool:
    """Tell whether a depth differs enough from the published one; a change of sign always does."""
    is_other_sign = _sign(published) != _sign(depth)
    return is_other_sign or abs(depth - published) >= min_change


def explained(row: PairDepth | None) -> dict[str, Any]:
    """Give what made a depth as JSON values, for people; None = nobody holds the pair."""
    if row is None:
        return {"wanted": "0", "agreement": "0", "miners": []}
    return {
        "wanted": format(row.depth, "f"),
        "agreement": format(row.agreement, "f"),
        "miners": [
            {
                "hotkey": part.hotkey,
                "weight": format(part.weight, "f"),
                "net_leverage": format(part.net_leverage, "f"),
                "depth": format(part.depth, "f"),
            }
            for part in row.parts
        ],
    }


def _shares(held: list[MinerPosition], limit: Decimal) -> list[tuple[MinerPosition, Decimal]]:
    """Give a miner's shares in the pairs of one symbol, together within -1..1."""
    shares = [max(-ONE, min(ONE, position.net_leverage / limit)) for position in held]
    total = abs(sum(shares, ZERO))
    if total > ONE:
        shares = [share / total for share in shares]
    return list(zip(held, shares, strict=True))


def _added(pair: str, found: list[tuple[Part, int]]) -> PairDepth:
    parts = sorted((part for part, _ in found), key=lambda p: (-abs(p.depth), p.hotkey))
    total = sum((part.depth for part in parts), ZERO)
    sizes = sum((abs(part.depth) for part in parts), ZERO)
    return PairDepth(
        pair=pair,
        depth=max(-ONE, min(ONE, total)).quantize(DEPTH_STEP, ROUND_DOWN) + ZERO,
        agreement=(abs(total) / sizes).quantize(DEPTH_STEP) if sizes else ZERO,
        parts=tuple(parts),
        newest_at_ms=max(at_ms for _, at_ms in found),
    )


def _sign(value: Decimal) -> int:
    return (value > 0) - (value < 0)
