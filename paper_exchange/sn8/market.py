"""The network as it stood when the day began: miners of differing skill, and all their history.

Pure: made from (seed, day) alone, so that a restart shows the same hotkeys and the same history. A
miner opens one position in each of its lanes every few days, at times that depend on no start.
"""

import uuid
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from paper_exchange.sn8.model import PLACES, Miner, Order, Position
from paper_exchange.sn8.quotes import DAY_MS, HOUR_MS, PAIRS, dice, price
from paper_exchange.sn8.ss58 import hotkey

HISTORY_DAYS: Final = 120
TESTING_DAYS: Final = 45
SKILLED: Final = 0.12  # who errs more often trades small, or it would have been eliminated
FLAT_SHARE: Final = 0.7  # of closings that are a FLAT order; the others go through zero
BLOCK_DAYS: Final = 5  # a lane opens once in so many days
LANES: Final = {
    "crypto": (("BTCUSD", "SOLUSD"), ("ETHUSD", "XRPUSD"), ("DOGEUSD", "ADAUSD")),
    "forex": (("EURUSD", "AUDUSD"), ("GBPUSD", "USDJPY")),
}
BUCKETS: Final = {3: "testing", 13: "testing", 7: "probation", 17: "probation", 9: "plagiarism"}
FOREX_MINERS: Final = {4, 15}  # of every 20
DEPARTED: Final = ("MAX_TOTAL_DRAWDOWN", "PLAGIARISM", "LIQUIDATED")


@dataclass(frozen=True, slots=True, kw_only=True)
class Elimination:
    """A miner that may no longer trade."""

    hotkey: str
    reason: str
    at_ms: int
    drawdown: float  # what was left, as a multiplier


@lru_cache(maxsize=8)
def make_miners(seed: int, day: int, count: int) -> tuple[Miner, ...]:
    """Give all miners as they stood at the beginning of a day (days since 1970)."""
    return tuple(_miner(seed, day, index) for index in range(count))


def departed(seed: int, day: int) -> tuple[Elimination, ...]:
    """Give the eliminations of earlier days; none of them is among the miners."""
    return tuple(
        Elimination(
            hotkey=hotkey(seed, f"departed-{number}"),
            reason=reason,
            at_ms=(day - 9 * (number + 1)) * DAY_MS + number * HOUR_MS,
            drawdown=0.899 - number / 100,
        )
        for number, reason in enumerate(DEPARTED)
    )


def order_uuid(seed: int, *words: object) -> str:
    """Give an id that depends on the words alone."""
    return str(uuid.UUID(int=dice(seed, "uuid", *words).getrandbits(128), version=4))


def _miner(seed: int, day: int, index: int) -> Miner:
    chance = dice(seed, "miner", index)
    bucket = BUCKETS.get(index % 20, "success")
    asset_class = "forex" if index % 20 in FOREX_MINERS else "crypto"
    miner = Miner(
        index=index,
        hotkey=hotkey(seed, index),
        skill=round(chance.uniform(-0.1, 0.38), 3),
        asset_class=asset_class,
        bucket=bucket,
        account_usd=chance.choice((25_000.0, 50_000.0, 100_000.0, 250_000.0)),
        first_day=day - (TESTING_DAYS if bucket == "testing" else HISTORY_DAYS),
    )
    lanes = LANES[asset_class][: chance.choice((2, 2, 3))]
    found = [row for lane in lanes for row in _lane(miner, seed, day, lane)]
    found.sort(key=lambda row: row.updated_ms)
    return replace(
        miner,
        history=tuple(row for row in found if row.is_closed),
        holding=tuple(row for row in found if not row.is_closed),
    )


def _lane(miner: Miner, seed: int, day: int, lane: tuple[str, ...]) -> list[Position]:
    """All positions of one lane; each is closed before the next one opens."""
    phase_ms = dice(seed, "phase", miner.index, lane).randrange(BLOCK_DAYS * DAY_MS)
    block_ms = BLOCK_DAYS * DAY_MS
    first = (miner.first_day * DAY_MS - phase_ms) // block_ms + 1
    found = []
    for block in range(first, (day * DAY_MS - phase_ms) // block_ms + 1):
        chance = dice(seed, "block", miner.index, lane, block)
        begin_ms = block * block_ms + phase_ms
        times = (
            begin_ms + chance.randrange(18 * HOUR_MS),
            begin_ms + chance.randrange(24 * HOUR_MS, 54 * HOUR_MS),
            begin_ms + chance.randrange(66 * HOUR_MS, 118 * HOUR_MS),
        )
        if times[0] < day * DAY_MS:
            found.append(_planned(miner, seed, chance.choice(lane), times, day * DAY_MS))
    return found


def _planned(
    miner: Miner, seed: int, pair: str, times: tuple[int, int, int], until_ms: int
) -> Position:
    """One position: opened, changed half-way, closed; what comes after `until_ms` is left out."""
    chance = dice(seed, "position", miner.hotkey, pair, times[0])
    rises = price(seed, pair, times[2]) > price(seed, pair, times[0])
    is_right = chance.random() < 0.5 + miner.skill
    side = 1 if rises == is_right else -1
    market = PAIRS[pair]
    size = chance.uniform(0.2, 0.5) if miner.skill > SKILLED else chance.uniform(0.05, 0.2)
    opened = round(side * size * market.max_leverage, PLACES)
    changed = round(opened * chance.choice((-0.5, -0.25, 0.25)), PLACES)
    net = round(opened + changed, PLACES)
    if chance.random() < FLAT_SHARE:
        last = ("FLAT", -net)
    else:  # through zero: closes it as well, without a FLAT order
        last = ("SHORT" if side > 0 else "LONG", round(-1.5 * net, PLACES))
    kinds = (
        ("LONG" if opened > 0 else "SHORT", opened),
        ("LONG" if changed > 0 else "SHORT", changed),
        last,
    )
    orders = tuple(
        Order(
            uuid=order_uuid(seed, miner.hotkey, pair, at_ms),
            kind=kind,
            leverage=leverage,
            mark=price(seed, pair, at_ms),
            processed_ms=at_ms,
        )
        for at_ms, (kind, leverage) in zip(times, kinds, strict=True)
        if at_ms < until_ms
    )
    return Position(hotkey=miner.hotkey, pair=pair, account_usd=miner.account_usd, orders=orders)
