"""What one account's lane works with: its venue, journal, brakes and memory between passes."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeVar

from core.attempts import (
    Attempts,
    increase_failed,
    increase_succeeded,
    reduction_failed,
    reduction_succeeded,
    reopening_helped,
)
from core.control.errands import Errands
from core.decision import Reason
from core.errors import CredentialsError
from core.events import Events
from core.frozen_targets import FrozenTargets
from core.gate import Gate
from core.intents import ClientIds, OrdersJournal
from core.lanes.market_desk import MarketDesk
from core.ledger import OpenIntent, SymbolLedger
from core.model import AccountMode
from core.ports import Clock, Venue
from core.safety.watch import Watch
from core.settings import AccountConfig

Answer = TypeVar("Answer")
LEVERAGE_AGE_MS = 300_000  # a flat symbol shows none, and a person may have changed it


@dataclass(slots=True, kw_only=True)
class AccountDesk:
    """One account at work. Only its lane writes here."""

    account: AccountConfig
    venue: Venue
    market: MarketDesk
    journal: OrdersJournal
    frozen: FrozenTargets
    gate: Gate
    events: Events
    ids: ClientIds
    engine_id: str
    clock: Clock
    watch: Watch
    resumed_at_ms: Callable[[str], int | None]  # by symbol: when a person last said resume
    strangers_since_ms: Callable[[], int]  # orders of other engines before this are history
    wall_ms: Callable[[], int]  # the wall clock: for what people and other processes wrote
    trip: Callable[[str, str], object]  # (code, text): stop this account until resume
    mode: AccountMode | None = None  # None = not connected yet
    blocker: Reason | None = None  # what stops increases on the whole account
    mode_read_at_ms: int = 0
    open_orders_read_at_ms: int = 0
    attempts: dict[str, Attempts] = field(default_factory=dict)
    leverage: dict[str, Decimal] = field(default_factory=dict)  # as last read or set
    off_since_ms: dict[str, int] = field(default_factory=dict)  # by symbol: off its target
    told: dict[str, str] = field(default_factory=dict)  # last reason told by symbol
    flattened: set[str] = field(default_factory=set)  # flattens that are done, by id
    flattens_seen_ms: dict[str, int] = field(default_factory=dict)  # in force, by id: since when
    keep_flattened: Callable[[set[str]], None] = lambda _ids: None  # over a restart
    sides_taken: set[tuple[str, str]] = field(default_factory=set)  # symbol, flatten: in hedge mode
    turns: dict[str, asyncio.Task[tuple[str, int]]] = field(
        default_factory=dict
    )  # at the rate budget, by kind
    leverage_at_ms: dict[str, int] = field(default_factory=dict)
    margin_modes: dict[str, str] = field(default_factory=dict)  # of flat symbols, as set
    looked_up: set[str] = field(default_factory=set)  # client ids whose look-up is under way
    refused_credentials: CredentialsError | None = None  # the last refusal of a write
    write_refusals: int = 0  # writes refused for the key since one was taken
    closing: set[str] | None = None  # of a disabled account: what is to be closed down, no more
    give_back: Callable[[], None] = lambda: None  # what this account alone uses, when it is over
    errands: Errands | None = None  # what commands ask of this account; None = nobody can
    in_flight: set[asyncio.Task[Any]] = field(default_factory=set)
    wake: Callable[[], None] = lambda: None

    @property
    def name(self) -> str:
        """The account's name."""
        return self.account.name

    def now_ms(self) -> int:
        """Our steady wall clock."""
        return self.clock.now_ms()

    def ledger(self, symbol: str) -> SymbolLedger:
        """What the journal says of a symbol."""
        return self.journal.ledger(self.name, symbol)

    def set_leverage_known(self, symbol: str, leverage: Decimal) -> None:
        """Note the leverage that the venue has for a symbol now."""
        self.leverage[symbol] = leverage
        self.leverage_at_ms[symbol] = self.now_ms()

    def known_leverage(self, symbol: str) -> Decimal | None:
        """Leverage at the venue; None when it was not read or set within five minutes."""
        if self.now_ms() - self.leverage_at_ms.get(symbol, 0) > LEVERAGE_AGE_MS:
            return None
        return self.leverage.get(symbol)

    def forget_modes(self, symbol: str) -> None:
        """Forget a symbol's leverage and margin mode: the venue has others, or nobody knows."""
        self.leverage.pop(symbol, None)
        self.margin_modes.pop(symbol, None)

    def note_account_mode(self, mode: AccountMode) -> None:
        """Note the account's modes, as read or set; some venues keep a leverage for each."""
        if self.mode is not None and self.mode.margin_mode != mode.margin_mode:
            self.leverage.clear()
        self.mode = mode

    def note_modes(self, symbol: str, margin_mode: str | None, leverage: Decimal | None) -> None:
        """Note what the venue shows of a symbol, where it does: a reopening may have helped."""
        if leverage is not None:
            self.set_leverage_known(symbol, leverage)
        if symbol in self.attempts:
            self.attempts[symbol] = reopening_helped(
                self.attempts[symbol], margin_mode=margin_mode, leverage=leverage
            )

    def attempts_of(self, symbol: str) -> Attempts:
        """How often a symbol was tried in vain."""
        return self.attempts.get(symbol, Attempts())

    def note_flattened(self, ids: set[str]) -> None:
        """Remember flattens that are done, also over a restart; those no longer in force go."""
        now_done = {one for one in self.flattened | ids if one in self.flattens_seen_ms}
        if now_done == self.flattened:
            return
        self.flattened = now_done
        try:
            self.keep_flattened(now_done)
        except OSError as error:
            text = f"state/flattened.json: {error}"
            self.events.alert(f"disk/{self.name}", text, severity="error", account=self.name)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run work that may outlive the pass; its end wakes the lane."""
        task = asyncio.ensure_future(work)
        self.in_flight.add(task)
        task.add_done_callback(self._landed)
        return task

    def read(self, work: Coroutine[Any, Any, Answer]) -> asyncio.Task[Answer]:
        """Run a read that may outlive its pass; nobody is woken for it, or told of its error."""
        task = asyncio.ensure_future(work)
        self.in_flight.add(task)
        task.add_done_callback(self.in_flight.discard)
        task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        return task

    def note_end(
        self, intent: OpenIntent, symbol: str, filled: Decimal, waits: Mapping[str, float]
    ) -> None:
        """Learn from the end of an order for the next try; `waits` has `first_s`, `longest_s`."""
        attempts = self.attempts_of(symbol)
        self.events.emit(
            "order_ended",
            f"{symbol}: {filled:+f} of {intent.size_lots:+f} lots were filled",
            account=self.name,
            symbol=symbol,
            client_id=intent.client_id,
            filled_lots=format(filled, "f"),
        )
        is_whole = filled == intent.size_lots
        if intent.reduce_only:
            self.attempts[symbol] = (
                reduction_succeeded(attempts)
                if is_whole
                else reduction_failed(attempts, now_ms=self.now_ms())
            )
        elif is_whole:
            self.attempts[symbol] = increase_succeeded(attempts)
        else:
            self.attempts[symbol] = increase_failed(
                attempts,
                now_ms=self.now_ms(),
                error=f"only {filled} of {intent.size_lots} lots were filled",
                first_s=waits["first_s"],
                longest_s=waits["longest_s"],
            )

    def _landed(self, task: asyncio.Task[Any]) -> None:
        self.in_flight.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.events.emit(
                "send_crashed",
                f"{type(task.exception()).__name__} while sending: its orders are looked up",
                severity="error",
                account=self.name,
            )
        self.wake()
