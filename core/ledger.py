"""What one account's own journal says of one symbol: baseline, fills, open intents, hold.

Pure: a ledger is the fold of the rows of the orders journal, so a restart sees what the run saw.
`judge` decides when a read of the venue may be believed (semantics §4); nothing here sends.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from core.model import ZERO

SETTLE_MS = 10_000  # a fill may take this long to show in a read of positions
_LEFT_AT_RESTART = 6  # sizes of the moments before: how long ago, the new process cannot tell
REMEMBERED = 30  # closed orders kept a symbol, to explain what is found later


class HoldKind(StrEnum):
    """Why a symbol is held back until a person, or a new instruction, says otherwise."""

    EXTERNAL = "external"  # a change that was not ours: no increases
    LIQUIDATION = "liquidation"  # as external, but only `resume` lifts it
    ADOPT = "adopt"  # held before our first order: nothing at all until `resume`


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A hold and since when; `level_sign` is what level sources wanted then."""

    kind: HoldKind
    at_ms: int
    text: str
    level_sign: int | None = None
    instruction_id: str = ""  # the newest instruction known then: it lifts nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What the sources say of a symbol now, as far as it may lift a hold."""

    instructed_at_ms: int | None = None  # when the newest instruction came; None = none speaks
    instruction_id: str = ""
    level_sign: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Row: a trusted read found `lots`, the new baseline; `hold` rides the same fdatasync."""

    symbol: str
    lots: Decimal
    at_ms: int
    is_ours: bool
    hold: Hold | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Intended:
    """Row: an order is about to be sent; written before the bytes."""

    symbol: str
    client_id: str
    size_lots: Decimal
    reduce_only: bool
    version: str
    at_ms: int


LearnedStatus = Literal["placed", "unknown", "absent", "closed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """Row: what became known of an intent. `closed` is final: `filled_lots` in all, signed."""

    symbol: str
    client_id: str
    status: LearnedStatus
    at_ms: int
    filled_lots: Decimal = ZERO
    order_id: str = ""
    reason: str = ""


Row = Held | Intended | Learned


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenIntent:
    """An intent whose end is not known yet."""

    client_id: str
    size_lots: Decimal
    reduce_only: bool
    version: str
    sent_at_ms: int
    status: Literal["sent", "placed", "unknown", "absent"] = "sent"
    learned_at_ms: int = 0  # when `status` became known


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedOrder:
    """An own order that can fill no more, and how much of it is counted."""

    client_id: str
    filled_lots: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolLedger:
    """The fold of one symbol's rows. `baseline_lots` None = never read."""

    symbol: str
    baseline_lots: Decimal | None = None
    baseline_at_ms: int = 0
    fills_lots: Decimal = ZERO
    open: tuple[OpenIntent, ...] = ()
    closed: tuple[ClosedOrder, ...] = ()
    last_fill_at_ms: int | None = None
    last_end_at_ms: int | None = None  # when the last own order became known to be over
    reread_at_ms: int | None = None  # when our recent orders were last read again
    hold: Hold | None = None
    is_ours: bool = False
    left: tuple[tuple[Decimal, int], ...] = ()  # sizes held lately, and when each was left

    @property
    def expected_lots(self) -> Decimal | None:
        """What the journal says is held: baseline and own fills since; None before any read."""
        return None if self.baseline_lots is None else self.baseline_lots + self.fills_lots

    @property
    def is_left(self) -> bool:
        """True while something of ours is held, or may be; until it is adopted, it is not ours."""
        held = self.fills_lots if self.expected_lots is None else self.expected_lots
        is_asked = self.hold is not None and self.hold.kind is HoldKind.ADOPT
        return self.is_ours and bool(self.open or (held and not is_asked))

    @property
    def open_increases(self) -> tuple[OpenIntent, ...]:
        """Intents without a known end that may add to the position."""
        return tuple(i for i in self.open if not i.reduce_only)

    @property
    def open_reductions(self) -> tuple[OpenIntent, ...]:
        """Intents without a known end that can only reduce it."""
        return tuple(i for i in self.open if i.reduce_only)


class Trust(StrEnum):
    """What a read of one symbol is worth."""

    COUNTS = "counts"
    EARLY = "early"  # differs from expected too soon after our last fill
    OPEN = "open"  # an own order had not ended when the read began
    REREAD = "reread"  # late enough, but own orders must be read again first
    UNREADABLE = "unreadable"


def judge(ledger: SymbolLedger, lots: Decimal | None, began_at_ms: int) -> Trust:
    """Say whether a read of `lots` that began at `began_at_ms` counts for this symbol.

    Intents marked `absent` are taken as over since they were found absent: the caller closes them
    with zero fills when the read counts. A difference counts only after own orders were read again
    since the read began, so that it is never called external while we could know better.
    """
    if lots is None:
        return Trust.UNREADABLE
    if not _all_over(ledger, began_at_ms):
        return Trust.OPEN
    if not ledger.is_ours or ledger.expected_lots in (None, lots):
        return Trust.COUNTS
    if ledger.last_fill_at_ms is not None and began_at_ms < ledger.last_fill_at_ms + SETTLE_MS:
        return Trust.EARLY
    is_reread = ledger.reread_at_ms is not None and ledger.reread_at_ms >= began_at_ms
    return Trust.COUNTS if is_reread else Trust.REREAD


def reread(ledger: SymbolLedger, at_ms: int) -> SymbolLedger:
    """Note that the state of our recent orders was read again, by a read that ended at `at_ms`."""
    return replace(ledger, reread_at_ms=at_ms)


def all_filled(ledger: SymbolLedger, lots: Decimal | None, began_at_ms: int) -> bool:
    """True when a read proves that every open order was filled whole.

    Only for orders that the venue took (`placed`), all on one side, and a read that began after:
    the position moved by exactly their sum, and none can have filled more. Not where the account
    held that very size within the last `SETTLE_MS`: the read might be an old one.
    """
    expected = ledger.expected_lots
    if lots is None or expected is None or not ledger.open:
        return False
    if any(i.status != "placed" or began_at_ms <= i.learned_at_ms for i in ledger.open):
        return False
    if len({i.size_lots > 0 for i in ledger.open}) != 1:
        return False
    if any(size == lots and began_at_ms - at_ms < SETTLE_MS for size, at_ms in ledger.left):
        return False
    return lots == expected + sum((i.size_lots for i in ledger.open), ZERO)


def fold(ledger: SymbolLedger, row: Row) -> SymbolLedger:
    """Apply one journal row; rows of other symbols are the caller's error."""
    before, after = ledger.expected_lots, _fold(ledger, row)
    if before is None or before == after.expected_lots:
        return after
    return replace(after, left=(*after.left, (before, row.at_ms))[-REMEMBERED:])


def _fold(ledger: SymbolLedger, row: Row) -> SymbolLedger:
    if isinstance(row, Held):
        return replace(
            ledger,
            baseline_lots=row.lots,
            baseline_at_ms=row.at_ms,
            fills_lots=ZERO,
            hold=row.hold,
            is_ours=ledger.is_ours or row.is_ours,
        )
    if isinstance(row, Intended):
        intent = OpenIntent(
            client_id=row.client_id,
            size_lots=row.size_lots,
            reduce_only=row.reduce_only,
            version=row.version,
            sent_at_ms=row.at_ms,
        )
        kept = tuple(i for i in ledger.open if i.client_id != row.client_id)
        return replace(ledger, open=(*kept, intent), is_ours=True)
    return _learn(ledger, row)


def is_lifted(
    hold: Hold,
    *,
    resumed_at_ms: int | None,
    said: "Said",
) -> bool:
    """Say whether a hold ends: by `resume`, or by an instruction received after it.

    A level source lifts it only when it changed sign since. A liquidation and an adoption wait for
    a person; neither a version that already waited nor a settings edit lifts anything.
    """
    if resumed_at_ms is not None and resumed_at_ms > hold.at_ms:
        return True
    if hold.kind is not HoldKind.EXTERNAL:
        return False
    is_new = said.instruction_id != hold.instruction_id
    if is_new and said.instructed_at_ms is not None and said.instructed_at_ms > hold.at_ms:
        return True
    sign = said.level_sign
    return bool(sign) and hold.level_sign is not None and sign != hold.level_sign


def as_of_restart(ledger: SymbolLedger, started_at_ms: int) -> SymbolLedger:
    """Move what an earlier process wrote onto this process's clock.

    An intent of an earlier process counts as sent now, and no time lies in the future, so a host
    whose clock stepped back cannot hold a symbol for hours.
    """
    return replace(
        ledger,
        open=tuple(
            replace(
                i,
                sent_at_ms=started_at_ms,
                status="unknown" if i.status in ("sent", "absent") else i.status,
                learned_at_ms=started_at_ms,
            )
            for i in ledger.open
        ),
        last_fill_at_ms=_not_after(ledger.last_fill_at_ms, started_at_ms),
        last_end_at_ms=_not_after(ledger.last_end_at_ms, started_at_ms),
        reread_at_ms=None,
        hold=None
        if ledger.hold is None
        else replace(ledger.hold, at_ms=min(ledger.hold.at_ms, started_at_ms)),
        left=tuple((size, started_at_ms) for size, _ in ledger.left[-_LEFT_AT_RESTART:]),
    )


def restated(ledger: SymbolLedger, at_ms: int) -> tuple[Row, ...]:
    """Give the rows that rebuild this ledger in a new day's journal."""
    expected = ledger.expected_lots
    rows: list[Row] = []
    if expected is not None:
        rows.append(
            Held(
                symbol=ledger.symbol,
                lots=expected,
                at_ms=at_ms,
                is_ours=ledger.is_ours,
                hold=ledger.hold,
            )
        )
    for intent in ledger.open:
        rows.append(
            Intended(
                symbol=ledger.symbol,
                client_id=intent.client_id,
                size_lots=intent.size_lots,
                reduce_only=intent.reduce_only,
                version=intent.version,
                at_ms=intent.sent_at_ms,
            )
        )
        if intent.status in ("placed", "unknown"):
            rows.append(
                Learned(
                    symbol=ledger.symbol,
                    client_id=intent.client_id,
                    status=intent.status,
                    at_ms=intent.learned_at_ms,
                )
            )
    return tuple(rows)


def replay(symbol: str, rows: Sequence[Row]) -> SymbolLedger:
    """Fold rows from the beginning."""
    ledger = SymbolLedger(symbol=symbol)
    for row in rows:
        ledger = fold(ledger, row)
    return ledger


def _learn(ledger: SymbolLedger, row: Learned) -> SymbolLedger:
    known = {i.client_id: i for i in ledger.open}
    if row.client_id not in known:
        return _correct(ledger, row)
    if row.status != "closed":
        intent = known[row.client_id]
        if intent.status == "placed" and row.status == "unknown":
            return ledger  # the venue's id is proof that outlives a later doubt
        changed = replace(intent, status=row.status, learned_at_ms=row.at_ms)
        return replace(
            ledger,
            open=tuple(changed if i.client_id == row.client_id else i for i in ledger.open),
        )
    closed = ClosedOrder(client_id=row.client_id, filled_lots=row.filled_lots)
    return replace(
        ledger,
        open=tuple(i for i in ledger.open if i.client_id != row.client_id),
        closed=(*ledger.closed, closed)[-REMEMBERED:],
        fills_lots=ledger.fills_lots + row.filled_lots,
        last_fill_at_ms=row.at_ms if row.filled_lots else ledger.last_fill_at_ms,
        last_end_at_ms=row.at_ms,
    )


def _correct(ledger: SymbolLedger, row: Learned) -> SymbolLedger:
    """Count a fill that became known after its order was thought to be over."""
    if row.status != "closed":
        return ledger
    before = next((c for c in ledger.closed if c.client_id == row.client_id), None)
    counted = ZERO if before is None else before.filled_lots
    late = row.filled_lots - counted
    if not late:
        return ledger
    kept = tuple(c for c in ledger.closed if c.client_id != row.client_id)
    corrected = ClosedOrder(client_id=row.client_id, filled_lots=row.filled_lots)
    return replace(
        ledger,
        closed=(*kept, corrected)[-REMEMBERED:],
        fills_lots=ledger.fills_lots + late,
        last_fill_at_ms=row.at_ms,
        last_end_at_ms=row.at_ms,
    )


def _all_over(ledger: SymbolLedger, began_at_ms: int) -> bool:
    if ledger.last_end_at_ms is not None and began_at_ms <= ledger.last_end_at_ms:
        return False
    return all(i.status == "absent" and began_at_ms > i.learned_at_ms for i in ledger.open)


def _not_after(at_ms: int | None, latest_ms: int) -> int | None:
    return None if at_ms is None else min(at_ms, latest_ms)
