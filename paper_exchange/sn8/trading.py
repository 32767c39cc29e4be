"""What miners do while the validator runs: one change of a position at a time.

Pure: which change comes when depends on the seed and the time alone, so that a restart on the same
day finds the same orders again.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from paper_exchange.sn8.market import LANES, order_uuid
from paper_exchange.sn8.model import ELIMINATION_FLAT, PLACES, Miner, Order, Position
from paper_exchange.sn8.quotes import HOUR_MS, PAIRS, dice, price

COOLDOWN_MS: Final = 10_000  # between two orders of one miner in one pair
MAX_ORDERS: Final = 40  # then a position is closed
CHANGE_SHARE: Final = 0.7  # of moves that change or close what is open
CLOSE_SHARE: Final = 0.35  # of those, that close it
MOST_REPLAYED: Final = 5000  # more than a day of the default; a faster one takes no minutes
KEPT_CLOSED: Final = 400  # of each miner; older ones are beyond the look-back
LOOK_AHEAD_MS: Final = 6 * HOUR_MS  # whose outcome a skilled miner guesses


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A change of one miner's leverage in a pair."""

    hotkey: str
    pair: str
    net: float  # leverage wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A miner after a move, and the states its positions went through."""

    miner: Miner
    pushes: tuple[Position, ...]


def slots(seed: int, after_ms: int, until_ms: int, every_ms: int) -> Iterator[tuple[int, int]]:
    """Give number and time of the changes that fall due after one time and up to another."""
    if every_ms <= 0:
        return
    for number in range(after_ms // every_ms, until_ms // every_ms + 1):
        at_ms = number * every_ms + dice(seed, "slot", every_ms, number).randrange(every_ms)
        if after_ms < at_ms <= until_ms:
            yield number, at_ms


def next_move(miners: Sequence[Miner], seed: int, number: int, at_ms: int) -> Move | None:
    """Choose what happens in a slot; None if whoever would trade has just done so."""
    if not miners:
        return None
    chance = dice(seed, "move", number)
    miner = chance.choice(miners)
    held = miner.holding
    pairs = [pair for lane in LANES[miner.asset_class] for pair in lane]
    free = [pair for pair in pairs if miner.held(pair) is None]
    if held and (chance.random() < CHANGE_SHARE or not free):
        position = chance.choice(held)
        if at_ms - position.updated_ms < COOLDOWN_MS:
            return None
        is_end = len(position.orders) >= MAX_ORDERS or chance.random() < CLOSE_SHARE
        net = 0.0 if is_end else position.side * _size(position.pair, chance.random())
        return Move(hotkey=miner.hotkey, pair=position.pair, net=net)
    pair = chance.choice(free)
    rises = price(seed, pair, at_ms + LOOK_AHEAD_MS) > price(seed, pair, at_ms)
    is_right = chance.random() < 0.5 + miner.skill
    side = 1 if rises == is_right else -1
    return Move(hotkey=miner.hotkey, pair=pair, net=side * _size(pair, chance.random()))


def apply_move(miner: Miner, move: Move, seed: int, at_ms: int) -> Moved:
    """Place the orders of a move; one through zero closes the position and opens another.

    Orders never bear an earlier time than those before them.
    """
    held = miner.held(move.pair)
    net = round(move.net, PLACES)
    if held is None:
        if net == 0:
            return Moved(miner=miner, pushes=())
        return _with(miner, (_opened(miner, move.pair, net, seed, at_ms),))
    if net == held.net_leverage:
        return Moved(miner=miner, pushes=())
    at_ms = max(at_ms, held.updated_ms + 1)
    delta = round(net - held.net_leverage, PLACES)
    if net == 0:
        return _with(miner, (_extended(held, "FLAT", delta, seed, at_ms),))
    kind = "LONG" if delta > 0 else "SHORT"
    if net * held.net_leverage > 0:
        return _with(miner, (_extended(held, kind, delta, seed, at_ms),))
    closed = _extended(held, kind, round(-held.net_leverage, PLACES), seed, at_ms)
    return _with(miner, (closed, _opened(miner, move.pair, net, seed, at_ms + 1)))


def eliminate(miner: Miner, seed: int, at_ms: int) -> Moved:
    """Close everything a miner holds, at no price, as a validator does with an eliminated one."""
    pushes = []
    for held in miner.holding:
        closed = _extended(held, "FLAT", -held.net_leverage, seed, max(at_ms, held.updated_ms + 1))
        last = replace(closed.orders[-1], src=ELIMINATION_FLAT)
        pushes.append(replace(closed, orders=(*closed.orders[:-1], last)))
    return _with(miner, tuple(pushes))


def replay(
    miners: Mapping[str, Miner], seed: int, after_ms: int, until_ms: int, every_ms: int
) -> dict[str, Miner]:
    """Give the miners after all changes between two times, of the last few thousand."""
    found = dict(miners)
    after_ms = max(after_ms, until_ms - MOST_REPLAYED * every_ms)
    for number, at_ms in slots(seed, after_ms, until_ms, every_ms):
        move = next_move(tuple(found.values()), seed, number, at_ms)
        if move is not None:
            found[move.hotkey] = apply_move(found[move.hotkey], move, seed, at_ms).miner
    return found


def _size(pair: str, share: float) -> float:
    """A leverage within the pair's limits, > 0."""
    market = PAIRS[pair]
    return round(market.max_leverage * (0.1 + 0.85 * share), 3)


def _with(miner: Miner, pushes: tuple[Position, ...]) -> Moved:
    for position in pushes:
        miner = miner.with_position(position)
    if len(miner.history) > KEPT_CLOSED:
        miner = replace(miner, history=miner.history[-KEPT_CLOSED:])
    return Moved(miner=miner, pushes=pushes)


def _opened(miner: Miner, pair: str, net: float, seed: int, at_ms: int) -> Position:
    order = _order(miner.hotkey, pair, ("LONG" if net > 0 else "SHORT", net), seed, at_ms)
    return Position(hotkey=miner.hotkey, pair=pair, account_usd=miner.account_usd, orders=(order,))


def _extended(held: Position, kind: str, delta: float, seed: int, at_ms: int) -> Position:
    order = _order(held.hotkey, held.pair, (kind, delta), seed, at_ms)
    return replace(held, orders=(*held.orders, order))


def _order(hotkey: str, pair: str, change: tuple[str, float], seed: int, at_ms: int) -> Order:
    kind, leverage = change
    return Order(
        uuid=order_uuid(seed, hotkey, pair, at_ms),
        kind=kind,
        leverage=leverage,
        mark=price(seed, pair, at_ms),
        processed_ms=at_ms,
        is_live=True,
    )
