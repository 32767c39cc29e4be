"""What is known of one symbol at one moment of a pass, and what is decided about it.

Values only; `core.reconcile` decides.
"""

from dataclasses import dataclass
from decimal import Decimal

from core.attempts import Attempts, Cause
from core.ledger import SymbolLedger, Trust
from core.model import Action, Instrument, Mode, Order, Target, Ticker


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The part of the engine's settings that decides about one symbol."""

    dead_band: Decimal = Decimal("0.02")
    collar: Decimal | None = Decimal("0.005")  # None = market orders
    reduce_collars: tuple[Decimal, ...] = (Decimal("0.005"), Decimal("0.015"), Decimal("0.05"))
    max_spread: Decimal = Decimal("0.01")
    max_mark_gap: Decimal = Decimal("0.02")
    max_order_share: Decimal = Decimal("0.25")
    max_entry_age_s: int = 900
    closes_orphans: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """The lots of one target version, computed once; `lots` None = could not be sized yet."""

    version: str
    exposure: Decimal
    leverage: Decimal
    lots: Decimal | None
    fresh_lots: Decimal | None = None  # what fresh sources alone want; None = all are fresh
    confirmed: bool = False
    started: bool = False  # an increase of this version was let go in time
    expired: bool = False  # too old when it could first have been executed: opens nothing
    reason: str = ""  # why `lots` is 0 where it is


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why something was not done; `code` is for machines, `text` for people."""

    code: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Everything that decides about one symbol, at one moment of a pass."""

    symbol: str
    now_ms: int  # our steady clock
    wall_ms: int  # the clock that other processes write by
    mode: Mode
    mode_reason: str
    target: Target | None
    frozen: Frozen | None
    ledger: SymbolLedger
    trust: Trust
    read_lots: Decimal | None  # None = the read failed, or this row of it
    instrument: Instrument | None
    ticker: Ticker | None  # within its age limit, else None
    last_price: Decimal | None  # of any age: good enough to close with
    leverage_held: Decimal | None
    sets_leverage: bool
    equity_usdt: Decimal | None
    free_margin_usdt: Decimal | None
    attempts: Attempts
    blockers: tuple[Reason, ...] = ()  # what stops increases on the whole account
    policy: Policy = Policy()
    margin_mode_wanted: str | None = None
    margin_mode_held: str | None = None
    allows_reopen: bool = False  # may close and open again for margin mode or leverage
    both_sides: tuple[Decimal, Decimal] | None = None  # held long and short at once
    lists_instruments: bool = True  # the venue's list was read: what is not in it is not traded


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The next actions, and why there are no others.

    `verified`: the venue was seen to hold what the version wants, or a final reason stands.
    `starts`/`expires` say what becomes of a version's entry and are stored before any order.
    """

    symbol: str
    actions: tuple[Action, ...] = ()
    reasons: tuple[Reason, ...] = ()
    wanted_lots: Decimal | None = None
    verified: bool = False
    starts: bool = False
    expires: bool = False
    reopens: Cause = ""  # the close is made only to open again under this margin mode or leverage

    @property
    def orders(self) -> tuple[Order, ...]:
        """The orders among the actions."""
        return tuple(a for a in self.actions if isinstance(a, Order))
