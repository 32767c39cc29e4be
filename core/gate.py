"""The one place that says whether an order may leave; asked last, just before the bytes.

Pure but for reading brakes afresh at each question (`state/HALT`, control, trips). Everything that
is refused has a reason. Reductions pass wherever increases do not, except in a halt or dry-run.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from core.decision import Reason
from core.model import Mode, Order

MAX_READ_AGE_MS = 5_000  # an increase rests on a positions read no older than this
_SHARE_SLACK = Decimal("1.02")  # the mark may move between planning and sending


@dataclass(frozen=True, slots=True, kw_only=True)
class Brakes:
    """How the brakes stand for one symbol right now."""

    mode: Mode
    reason: str
    is_dry_run: bool
    flattens: tuple[str, ...] = ()  # those in force by id, of people and of our own

    @property
    def flatten_ids(self) -> tuple[str, ...]:
        """Name the flattens in force; none unless flatten is the mode."""
        if self.mode is not Mode.FLATTEN:
            return ()
        return self.flattens or (self.reason,)

    @property
    def flatten(self) -> str:
        """Name them all in one; empty = none."""
        return " ".join(self.flatten_ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What an order was planned on."""

    positions_age_ms: int
    newer_waits: bool
    pass_is_over: bool  # its snapshot is history: a later pass has planned anew
    equity_usdt: Decimal | None
    price: Decimal | None  # mark, USDT per base coin
    contract_size: Decimal
    max_order_share: Decimal
    budget: Reason | None = None  # why the account's number of orders allows no more increases
    smallest_lots: Decimal  # the venue's minimum may exceed the share; one such order is let go


def refusal(order: Order, brakes: Brakes, terms: Terms) -> Reason | None:
    """Say why an order may not be sent; None = it may."""
    if brakes.mode is Mode.HALT:
        return Reason(code="halted", text=brakes.reason)
    if brakes.is_dry_run:
        return Reason(code="dry_run", text="live account not armed: nothing is sent")
    if terms.pass_is_over:
        return Reason(code="pass_over", text="planned again from a newer read")
    return None if order.reduce_only else _increase_refusal(order, brakes, terms)


def _increase_refusal(order: Order, brakes: Brakes, terms: Terms) -> Reason | None:
    if brakes.mode is not Mode.RUN:
        return Reason(code=str(brakes.mode), text=brakes.reason)
    if terms.newer_waits:
        return Reason(code="newer_waits", text="a newer target is waiting")
    if terms.positions_age_ms > MAX_READ_AGE_MS:
        return Reason(code="old_read", text=f"positions were read {terms.positions_age_ms} ms ago")
    return terms.budget or _too_large(order, terms)


def _too_large(order: Order, terms: Terms) -> Reason | None:
    if terms.equity_usdt is None or terms.price is None:
        return Reason(code="unpriced", text="equity or price is unknown")
    worth = abs(order.size_lots) * terms.price * terms.contract_size
    most = terms.equity_usdt * terms.max_order_share * _SHARE_SLACK
    if worth > most and abs(order.size_lots) > terms.smallest_lots:
        return Reason(code="order_cap", text=f"{worth} USDT in one order, at most {most}")
    return None


class Gate:
    """Asks the brakes, then `refusal`."""

    def __init__(
        self,
        brakes: Callable[[str, str], Brakes],
        flattens: Callable[[], Mapping[str, str | None]] = dict,
    ) -> None:
        self._brakes = brakes
        self._flattens = flattens

    def flattens(self) -> Mapping[str, str | None]:
        """Give the account's flattens in force by id, with the symbol that each names, if any."""
        return self._flattens()

    def brakes(self, account: str, symbol: str) -> Brakes:
        """How the brakes stand for a symbol of an account, read now."""
        return self._brakes(account, symbol)

    def refusal(self, account: str, order: Order, terms: Terms) -> Reason | None:
        """Read the brakes and say why an order may not be sent; None = it may."""
        return refusal(order, self._brakes(account, order.symbol), terms)
