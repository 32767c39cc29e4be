"""What the core asks of the world; the rim implements it.

Every method either gives a complete answer or raises one of `core.errors`: an empty result always
means "the venue says there is nothing", never "we could not read".
"""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from decimal import Decimal
from typing import Literal, Protocol

from core.errors import TradeEngineError
from core.model import (
    AccountMode,
    Equity,
    Instrument,
    KeyFacts,
    OrderRequest,
    OrderState,
    PlacedOrder,
    PositionsRead,
    Signal,
    Ticker,
)

SendKind = Literal["reduce", "increase"]
MayGo = Callable[[OrderRequest], str]
"""Says why an order must not be sent; empty = it may."""


def nothing_against(order: OrderRequest) -> str:
    """Say nothing against an order."""
    del order
    return ""


class Clock(Protocol):
    """Time as a parameter."""

    def now_ms(self) -> int:
        """Wall time, ms UTC."""
        ...

    def monotonic_ms(self) -> int:
        """Monotonic time, ms."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class Market(Protocol):
    """Public data of one venue, shared by all its accounts."""

    async def fetch_instruments(self) -> Mapping[str, Instrument]:
        """All USDT perpetuals by our symbol. Raises TransientError, RateLimitedError."""
        ...

    async def fetch_tickers(self, symbols: Collection[str]) -> Mapping[str, Ticker]:
        """Prices of those `symbols` that have a readable row. Raises TransientError."""
        ...


class Venue(Protocol):
    """One account at one venue.

    Reads raise TransientError, RateLimitedError, MaintenanceError or CredentialsError. Writes raise
    UnknownOutcomeError unless the venue's own words prove that nothing happened (RejectedError,
    NotPlacedError and its children, CredentialsError).
    """

    async def connect(self) -> AccountMode:
        """Make ready to trade: clock offset, markets, account modes. May be called again."""
        ...

    async def fetch_key_facts(self) -> KeyFacts:
        """What the venue says of the API key: rights, end, addresses; one request at most."""
        ...

    async def fetch_equity(self) -> Equity:
        """Equity with unrealised PnL, in one request."""
        ...

    async def fetch_positions(self) -> PositionsRead:
        """All positions, in one request; `began_at_ms` is taken just before it leaves."""
        ...

    async def fetch_order(self, symbol: str, client_id: str) -> OrderState | None:
        """Look one order up by client id; None = the venue says that it does not know it."""
        ...

    async def fetch_open_orders(self) -> Sequence[OrderState]:
        """All open orders of the account, foreign ones too."""
        ...

    async def fetch_recent_orders(self, symbol: str) -> Sequence[OrderState]:
        """Open and lately closed orders of a symbol, newest first, foreign ones too."""
        ...

    async def wait_turn(self, kind: SendKind, count: int) -> None:
        """Wait until the rate budget allows `count` orders; reductions go first."""
        ...

    def orders_at_once(self, kind: SendKind) -> int:
        """How many orders the rate budget lets go at once, at best."""
        ...

    async def place_orders(
        self, orders: Sequence[OrderRequest], *, may_go: MayGo = nothing_against
    ) -> tuple[PlacedOrder | TradeEngineError, ...]:
        """Send orders at once, in as few requests as the venue allows; one result an order.

        `may_go` is asked in the moment before the bytes, after every wait; what it says against an
        order keeps the order's request from being sent (NotPlacedError).
        """
        ...

    async def cancel_order(self, symbol: str, client_id: str) -> None:
        """Ask for a cancel; success says nothing of fills before it."""
        ...

    async def set_leverage(self, symbol: str, leverage: Decimal) -> None:
        """Set a symbol's leverage; "already so" is success."""
        ...

    async def set_margin_mode(self, symbol: str, margin_mode: str) -> None:
        """Set `cross` or `isolated`; "already so" is success."""
        ...

    def deadline_ms(self) -> int:
        """How long after sending an order may still be taken: window + time-out + 5 s, >= 20 s."""
        ...

    async def close(self) -> None:
        """Give connections back."""
        ...


class SignalSource(Protocol):
    """The engine's view of one source's journal."""

    name: str
    is_level: bool

    def sweep(self) -> Mapping[str, Signal] | None:
        """Newest accepted signal by source symbol, reading new bytes only; None = unreadable."""
        ...

    def confirmed_at_ms(self) -> int | None:
        """When the source last verified its whole state."""
        ...


class Notifier(Protocol):
    """Tells people."""

    async def notify(self, severity: str, text: str) -> None:
        """Deliver one message; raises TransientError."""
        ...


class SignalBus(Protocol):
    """Signals between processes: files on one host today, a broker for several hosts later."""

    async def publish(self, signals: Sequence[Signal]) -> None:
        """Store durably; returns after the fdatasync."""
        ...

    def latest(self) -> Mapping[str, Signal]:
        """Newest accepted signal by source symbol."""
        ...

    def watch(self) -> AsyncIterator[None]:
        """Yield whenever there may be something new."""
        ...


class LeaseStore(Protocol):
    """One holder at a time for a name: flock on one host today, a broker's lease later."""

    def acquire(self, name: str) -> int:
        """Take the lease and give its fencing token. Raises BusyError naming the holder."""
        ...

    def renew(self, name: str, token: int) -> bool:
        """True while the lease is still ours."""
        ...

    def release(self, name: str, token: int) -> None:
        """Give it back."""
        ...
