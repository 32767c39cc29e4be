"""Miners, their positions and orders, as frozen values; what a position is worth follows from them.

Pure. Signs: long > 0. Leverage is a multiple of the miner's account, money is USD. The figures are
made up, shown as JSON numbers and never traded on here, and therefore floats.
"""

from dataclasses import dataclass, replace
from typing import Final

from paper_exchange.sn8.quotes import DAY_MS, PAIRS, price

PLACES: Final = 5  # of a leverage
ELIMINATION_FLAT: Final = 1  # `src` of the order that closes what an eliminated miner held


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One order that was filled; `leverage` is a change, not a target."""

    uuid: str
    kind: str  # LONG, SHORT, FLAT
    leverage: float
    mark: float  # the market's price then
    processed_ms: int
    src: int = 0
    is_live: bool = False  # placed while the validator ran: still has its price sources

    @property
    def price(self) -> float:
        """The price shown: none for an elimination."""
        return 0.0 if self.src == ELIMINATION_FLAT else self.mark


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Orders of one miner in one pair, from the first to the one that closes."""

    hotkey: str
    pair: str
    account_usd: float
    orders: tuple[Order, ...]

    @property
    def uuid(self) -> str:
        """That of its first order."""
        return self.orders[0].uuid

    @property
    def open_ms(self) -> int:
        """When it was opened."""
        return self.orders[0].processed_ms

    @property
    def updated_ms(self) -> int:
        """When its newest order was processed."""
        return self.orders[-1].processed_ms

    @property
    def is_closed(self) -> bool:
        """True after a FLAT order, and after one that took the leverage to zero or beyond."""
        return self.net_leverage == 0

    @property
    def net_leverage(self) -> float:
        """Leverage in force; 0 once closed."""
        return nets(self)[-1]

    @property
    def side(self) -> int:
        """1 = long, -1 = short, of the position as it was opened."""
        return 1 if self.orders[0].leverage > 0 else -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Miner:
    """One miner with everything it ever held."""

    index: int
    hotkey: str
    skill: float  # by how much it picks the right side more often than every second time
    asset_class: str  # crypto or forex: its selection
    bucket: str  # challenge period: success, testing, probation, plagiarism
    account_usd: float
    first_day: int  # days since 1970
    history: tuple[Position, ...] = ()  # closed ones, by the time of their end
    holding: tuple[Position, ...] = ()  # open ones

    @property
    def positions(self) -> tuple[Position, ...]:
        """Everything it holds and ever held."""
        return (*self.history, *self.holding)

    def held(self, pair: str) -> Position | None:
        """The open position of a pair."""
        return next((row for row in self.holding if row.pair == pair), None)

    def with_position(self, position: Position) -> "Miner":
        """The same miner with one more position, or with a newer state of an open one."""
        others = tuple(row for row in self.holding if row.uuid != position.uuid)
        if position.is_closed:
            return replace(self, history=(*self.history, position), holding=others)
        return replace(self, holding=(*others, position))


def nets(position: Position) -> list[float]:
    """Leverage after each order; 0 from the one that closed."""
    found: list[float] = []
    net = 0.0
    for order in position.orders:
        after = round(net + order.leverage, PLACES)
        is_end = order.kind == "FLAT" or after == 0 or net * after < 0
        net = 0.0 if is_end else after
        found.append(net)
    return found


def as_of(position: Position, at_ms: int) -> Position | None:
    """The position as it stood at a time; None if it was not there yet."""
    if position.updated_ms <= at_ms:
        return position
    orders = tuple(order for order in position.orders if order.processed_ms <= at_ms)
    return replace(position, orders=orders) if orders else None


def daily_results(position: Position, seed: int, until_ms: int) -> dict[int, float]:
    """What a position earned, fees included, by UTC day up to a time; 0.01 = 1 % of the account."""
    found: dict[int, float] = {}
    fee = PAIRS[position.pair].fee
    before = 0.0
    later = [*position.orders[1:], None]
    for order, net, following in zip(position.orders, nets(position), later, strict=True):
        if order.processed_ms > until_ms:
            break
        day = order.processed_ms // DAY_MS
        found[day] = found.get(day, 0.0) - fee * abs(net - before)
        before = net
        end_ms = min(until_ms, following.processed_ms) if following else until_ms
        from_ms, from_price = order.processed_ms, order.mark
        while net and from_ms < end_ms:
            to_ms = min(end_ms, (from_ms // DAY_MS + 1) * DAY_MS)
            to_price = price(seed, position.pair, to_ms)
            day = from_ms // DAY_MS
            found[day] = found.get(day, 0.0) + net * (to_price - from_price) / order.mark
            from_ms, from_price = to_ms, to_price
    return found


def fees(position: Position) -> float:
    """Fees so far, as a share of the account."""
    levels = nets(position)
    traded = sum(abs(now - before) for before, now in zip([0.0, *levels], levels, strict=False))
    return PAIRS[position.pair].fee * traded


def result(position: Position, seed: int, mark_ms: int) -> float:
    """What came of it after fees, as a multiplier; an open one is valued at `mark_ms`."""
    until_ms = position.updated_ms if position.is_closed else max(mark_ms, position.updated_ms)
    return 1 + sum(daily_results(position, seed, until_ms).values())
