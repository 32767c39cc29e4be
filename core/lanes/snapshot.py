"""What a pass reads before it decides: equity ∥ positions ∥ prices, each at most one request.

A failed read is a missing part with its error, never a zero; which parts may be missing is decided
where they are used.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final, TypeVar

from core.errors import CredentialsError, TradeEngineError, TransientError
from core.lanes.account_desk import AccountDesk
from core.model import Equity, Instrument, PositionsRead, Ticker

Answer = TypeVar("Answer")
LATE_S: Final = 1.5  # a reduction waits no longer for reads that it does not need


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One moment of one account; None = could not be read."""

    equity: Equity | None
    positions: PositionsRead | None
    tickers: Mapping[str, Ticker]
    instruments: Mapping[str, Instrument]
    errors: Mapping[str, TradeEngineError] = field(default_factory=dict)


class Reading:
    """The reads of one pass under way; positions come first, the rest may be late."""

    def __init__(self, desk: AccountDesk, symbols: Iterable[str]) -> None:
        self._desk = desk
        self._errors: dict[str, TradeEngineError] = {}
        begin = self._begin
        self._equity = begin("equity", desk.venue.fetch_equity)
        self._positions = begin("positions", desk.venue.fetch_positions)
        self._tickers = begin("tickers", partial(desk.market.tickers, symbols))
        self._instruments = begin("instruments", desk.market.instruments)

    @classmethod
    async def begun(cls, desk: AccountDesk, symbols: Iterable[str]) -> "Reading":
        """Start every read, after all that is known of our orders."""
        await _tick(desk)
        return cls(desk, symbols)

    @property
    def is_complete(self) -> bool:
        """Tell whether every read has ended."""
        return all(task.done() for task in self._all())

    async def first(self) -> Snapshot:
        """Give what is there once positions are, and the rest had `LATE_S` seconds more.

        Raises CredentialsError; every other failure is a missing part.
        """
        await self._positions
        await asyncio.wait(self._all(), timeout=LATE_S)
        return self._snapshot()

    async def whole(self) -> Snapshot:
        """Give everything once every read has ended. Raises CredentialsError."""
        await asyncio.wait(self._all())
        return self._snapshot()

    def _all(self) -> tuple[asyncio.Task[Any], ...]:
        return (self._equity, self._positions, self._tickers, self._instruments)

    def _begin(
        self, part: str, read: Callable[[], Awaitable[Answer]]
    ) -> asyncio.Task[Answer | None]:
        return self._desk.read(_tried(part, read, self._errors))

    def _snapshot(self) -> Snapshot:
        for error in self._errors.values():
            if isinstance(error, CredentialsError):
                raise error
        last_known = self._desk.market.last_instruments()
        snapshot = Snapshot(
            equity=_if_done(self._equity),
            positions=_if_done(self._positions),
            tickers=_if_done(self._tickers) or {},
            instruments=_of_account(self._desk, _if_done(self._instruments) or last_known),
            errors=dict(self._errors),
        )
        return _consistent(snapshot, expects_positions=expects_positions(self._desk))


def _if_done(task: "asyncio.Task[Answer | None]") -> Answer | None:
    return task.result() if task.done() else None


async def read_positions(desk: AccountDesk) -> PositionsRead | TradeEngineError:
    """Read positions alone. Raises CredentialsError."""
    errors: dict[str, TradeEngineError] = {}
    await _tick(desk)
    read = await _tried("positions", desk.venue.fetch_positions, errors)
    if read is not None:
        return read
    error = errors["positions"]
    if isinstance(error, CredentialsError):
        raise error
    return error


async def _tick(desk: AccountDesk) -> None:
    """Let a read begin in a later millisecond than all that is known of our orders."""
    if desk.now_ms() <= desk.journal.last_at_ms:
        await desk.clock.sleep(0.001)


async def _tried(
    part: str, read: Callable[[], Awaitable[Answer]], errors: dict[str, TradeEngineError]
) -> Answer | None:
    try:
        return await read()  # made here: a task cancelled before it began would leave it unawaited
    except TradeEngineError as error:
        errors[part] = error
        return None


def _of_account(
    desk: AccountDesk, instruments: Mapping[str, Instrument]
) -> Mapping[str, Instrument]:
    """Raise the venue's smallest notional to the one that the account asks for."""
    least = desk.account.min_order_notional_usdt
    if not least:
        return instruments
    return {
        symbol: replace(row, min_notional_usdt=max(row.min_notional_usdt, least))
        for symbol, row in instruments.items()
    }


def expects_positions(desk: AccountDesk) -> bool:
    """Tell whether our own journal says that something is held."""
    symbols = desk.journal.symbols(desk.name)
    return any(desk.ledger(s).is_ours and desk.ledger(s).expected_lots for s in symbols)


def hides_positions(desk: AccountDesk, read: PositionsRead) -> bool:
    """Tell whether a read lists nothing though ours are held and no order of ours is open there.

    Where one is, the read is not judged alone.
    """
    ledgers = (desk.ledger(s) for s in desk.journal.symbols(desk.name))
    return lists_nothing(read) and any(
        one.is_ours and one.expected_lots and not one.open for one in ledgers
    )


def lists_nothing(read: PositionsRead) -> bool:
    """Tell whether a read shows no position at all, which a degraded venue also says (A27)."""
    return not read.unreadable and not any(r.size_lots for r in read.positions.values())


def _consistent(snapshot: Snapshot, *, expects_positions: bool) -> Snapshot:
    """Take "no positions" for unknown while margin is in use, or may be (A27)."""
    equity, read = snapshot.equity, snapshot.positions
    if read is None or not lists_nothing(read):
        return snapshot
    used = None if equity is None else equity.used_margin_usdt
    if not used and not (equity is None and expects_positions):
        return snapshot
    margin = "an unknown margin" if used is None else f"{used} USDT of margin"
    error = TransientError(f"the venue lists no positions while {margin} is in use")
    return replace(snapshot, positions=None, errors={**snapshot.errors, "positions": error})
