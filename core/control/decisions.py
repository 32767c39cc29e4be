"""What people allow the engine to send: modes by scope, blocks, lifted holds, armed accounts.

Values only; `control.file` reads and writes them. The gate asks `mode_for` and `is_armed` before
every send. The engine's own stops (trips) are not here: `strictest` joins them.
"""

from decimal import Decimal
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from core.clock import utc_minute
from core.model import Mode
from core.settings import AccountConfig

# flatten wins over halt: "close everything" must not be undone by "send nothing"
_PRECEDENCE: Final = {Mode.RUN: 0, Mode.PAUSE: 1, Mode.HALT: 2, Mode.FLATTEN: 3}

Held = tuple[Mode, str]
"""A mode, and who or what asks for it."""
FREE: Final[Held] = (Mode.RUN, "")

AtMs = Annotated[int, Field(ge=0)]


def strictest(*held: Held) -> Held:
    """Pick what holds of several: flatten, then halt, then pause; RUN when nothing is given."""
    return max(held, key=lambda one: _PRECEDENCE[one[0]], default=FREE)


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Scope(_Record):
    """Where a mode applies; None = every account, every symbol."""

    account: str | None = None
    symbol: str | None = None

    def covers(self, account: str, symbol: str | None) -> bool:
        """Tell whether it applies there; symbol None asks for the account as a whole."""
        return self.account in (None, account) and self.symbol in (None, symbol)

    def overlaps(self, other: "Scope") -> bool:
        """Tell whether there is an account and symbol to which both apply."""
        same_account = self.account == other.account or None in (self.account, other.account)
        same_symbol = self.symbol == other.symbol or None in (self.symbol, other.symbol)
        return same_account and same_symbol

    def __str__(self) -> str:
        what = self.symbol or "everything"
        return f"{what} on {self.account}" if self.account else what


EVERYTHING: Final = Scope()


class ControlEntry(_Record):
    """One person's decision for one scope; `until_ms` None = until somebody decides otherwise."""

    scope: Scope
    mode: Mode
    who: str
    when_ms: AtMs
    why: str = ""
    id: str
    until_ms: AtMs | None = None

    @property
    def reason(self) -> str:
        """Say it in one line."""
        return f"{self.mode} of {self._said}"

    @property
    def block_reason(self) -> str:
        """Say it in one line, where it is a block."""
        return f"block of {self._said}"

    @property
    def _said(self) -> str:
        until = "" if self.until_ms is None else f" until {utc_minute(self.until_ms)}"
        why = f": {self.why}" if self.why else ""
        return f"{self.scope} by {self.who}{until}{why}"

    def is_over(self, now_ms: int) -> bool:
        """Tell whether its time is over."""
        return self.until_ms is not None and now_ms >= self.until_ms


class Resumed(_Record):
    """A person lifted what held a scope until `when_ms`.

    `number` orders it against the engine's own stops, whatever clocks say; None in older files.
    """

    scope: Scope
    who: str
    when_ms: AtMs
    number: int | None = None
    why: str = ""
    id: str


class Armed(_Record):
    """A person allowed a live account to send orders, for the API key it had then."""

    fingerprint: str
    who: str
    when_ms: AtMs


class Errand(_Record):
    """One piece of work that a person's command asks of an account: a test trade.

    The account is lent to that command: it is given back when the process ends.
    """

    id: str
    account: str
    symbol: str
    side: Literal["long", "short"]
    lots: Decimal | None = None  # None = the venue's minimum
    who: str
    when_ms: AtMs
    pid: int
    started: int  # of that process, clock ticks since boot


class Control(_Record):
    """All decisions in force."""

    entries: tuple[ControlEntry, ...] = ()
    blocks: tuple[ControlEntry, ...] = ()  # of symbols; `unblock` lifts them, `resume` does not
    resumed: tuple[Resumed, ...] = ()
    armed: dict[str, Armed] = {}
    errands: tuple[Errand, ...] = ()
    number: int = 0  # grows with every decision, whatever the clock does
    problem: Annotated[str, Field(exclude=True)] = ""  # the file is not as it should be
    is_unknown: Annotated[bool, Field(exclude=True)] = False  # nobody knows what people decided

    def mode_for(self, account: str, symbol: str | None = None, *, now_ms: int) -> Held:
        """Tell what holds for a symbol of an account at a wall time, and why."""
        entries = [row for row in self.entries if _holds(row, account, symbol, now_ms)]
        held = [(row.mode, row.reason) for row in entries]
        blocks = [row for row in self.blocks if _holds(row, account, symbol, now_ms)]
        held.extend((Mode.PAUSE, row.block_reason) for row in blocks)
        if self.is_unknown:
            held.append((Mode.PAUSE, self.problem))
        return strictest(*held)

    def mode_of(self, scope: Scope) -> ControlEntry | None:
        """Find the decision for exactly this scope."""
        return next((row for row in self.entries if row.scope == scope), None)

    def resumed_at_ms(self, account: str, symbol: str | None = None) -> int | None:
        """Tell up to when holds are lifted; a hold at or before it no longer holds.

        A symbol's hold is lifted only by a resume that names the symbol, an account's only by one
        that names the account: `pause` and `resume` of everything must not buy back a liquidation.
        """
        times = [row.when_ms for row in self.resumed if _names(row.scope, account, symbol)]
        return max(times, default=None)

    def resumed_scope(self, scope: Scope) -> Resumed | None:
        """Find the last resume of exactly this scope."""
        return next((row for row in self.resumed if row.scope == scope), None)

    def has_resumed(self, scope: Scope, *, number: int | None, at_ms: int) -> bool:
        """Tell whether exactly this scope was resumed after a stop of that number and time."""
        resumed = self.resumed_scope(scope)
        if resumed is None:
            return False
        if number is None or resumed.number is None:
            return resumed.when_ms >= at_ms  # of an older version
        return resumed.number > number

    def flatten_ids(self, account: str, *, now_ms: int) -> dict[str, str | None]:
        """Give the flattens of an account by id, each with the symbol that it names, if any."""
        return {
            row.id: row.scope.symbol
            for row in self.entries
            if row.mode is Mode.FLATTEN
            and row.scope.account in (None, account)
            and not row.is_over(now_ms)
        }

    def is_armed(self, account: AccountConfig) -> bool:
        """Tell whether orders may go to the venue; only what may be real money needs arming."""
        if not account.needs_arming:
            return True
        armed = self.armed.get(account.name)
        return armed is not None and armed.fingerprint == account.fingerprint

    def with_mode(self, entry: ControlEntry) -> "Control":
        """Put a decision in place of the earlier one for its scope."""
        others = (row for row in self.entries if row.scope != entry.scope)
        return self.model_copy(update={"entries": (*others, entry)})

    def with_block(self, scope: Scope, entry: ControlEntry | None) -> "Control":
        """Put a block on a scope in place of the earlier one, or lift it with None."""
        others = (row for row in self.blocks if row.scope != scope)
        return self.model_copy(update={"blocks": (*others, *([entry] if entry else ()))})

    def with_resumed(self, resumed: Resumed) -> "Control":
        """Lift the decision for exactly that scope, and the engine's holds it names."""
        entries = tuple(row for row in self.entries if row.scope != resumed.scope)
        return self.with_lifted(resumed).model_copy(update={"entries": entries})

    def with_lifted(self, resumed: Resumed) -> "Control":
        """Lift the engine's holds of exactly that scope, and leave people's decisions there."""
        others = (row for row in self.resumed if row.scope != resumed.scope)
        return self.model_copy(update={"resumed": (*others, resumed)})

    def numbered(self, now_ms: int) -> "Control":
        """Give it the next number; after a lost file it goes on from the clock."""
        return self.model_copy(update={"number": max(self.number + 1, now_ms)})

    def with_errand(self, errand: Errand) -> "Control":
        """Ask for an errand, in place of an earlier one on its account."""
        others = (row for row in self.errands if row.account != errand.account)
        return self.model_copy(update={"errands": (*others, errand)})

    def without_errand(self, errand_id: str) -> "Control":
        """Take an errand back."""
        left = tuple(row for row in self.errands if row.id != errand_id)
        return self.model_copy(update={"errands": left})

    def with_armed(self, account: str, armed: Armed | None) -> "Control":
        """Arm an account, or disarm it with None."""
        others = {name: row for name, row in self.armed.items() if name != account}
        changed = others if armed is None else {**others, account: armed}
        return self.model_copy(update={"armed": changed})


def _holds(entry: ControlEntry, account: str, symbol: str | None, now_ms: int) -> bool:
    return entry.scope.covers(account, symbol) and not entry.is_over(now_ms)


def _names(scope: Scope, account: str, symbol: str | None) -> bool:
    if symbol is None:
        return scope == Scope(account=account)
    return scope.symbol == symbol and scope.account in (None, account)
