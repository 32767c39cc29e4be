"""What one pass knows so far, and the report that it leaves behind."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.cycle import PassReport, SymbolReport
from core.decision import Decision, Frozen, Reason
from core.errors import RateLimitedError
from core.lanes.account_desk import AccountDesk
from core.lanes.snapshot import Snapshot
from core.ledger import Trust
from core.model import PositionsRead, Target

_UNSETTLED = {Trust.OPEN, Trust.EARLY, Trust.REREAD}


@dataclass(slots=True, kw_only=True)
class PassState:
    """The working memory of one pass."""

    began_at_ms: int
    targets: Mapping[str, Target]
    symbols: list[str] = field(default_factory=list)
    snapshot: Snapshot = field(
        default_factory=lambda: Snapshot(equity=None, positions=None, tickers={}, instruments={})
    )
    read: PositionsRead | None = None  # the newest read of positions
    trust: dict[str, Trust] = field(default_factory=dict)
    frozen: dict[str, Frozen] = field(default_factory=dict)
    refused: Mapping[str, Reason] = field(default_factory=dict)  # by gate or rate budget
    confirmed: dict[str, str] = field(default_factory=dict)
    is_over: bool = False

    def age_ms(self, now_ms: int) -> int:
        """Tell how long ago the newest read of positions began."""
        return now_ms - (0 if self.read is None else self.read.began_at_ms)


def report_of(
    desk: AccountDesk, generation: int, state: PassState, decisions: Mapping[str, Decision]
) -> PassReport:
    """Sum up a pass for status, tests and the lane's timetable."""
    equity = state.snapshot.equity
    errors = state.snapshot.errors
    retry = [e.retry_after_s for e in errors.values() if isinstance(e, RateLimitedError)]
    return PassReport(
        account=desk.name,
        generation=generation,
        began_at_ms=state.began_at_ms,
        ended_at_ms=desk.now_ms(),
        equity_usdt=None if equity is None else equity.equity_usdt,
        symbols={s: _symbol_report(desk, state, s, d) for s, d in decisions.items()},
        targets=state.targets,
        confirmed=state.confirmed,
        read_failures=tuple(f"{part}: {e}" for part, e in errors.items()),
        positions_failed=state.snapshot.positions is None,
        is_unsettled=any(
            desk.ledger(s).open or state.trust.get(s) in _UNSETTLED for s in decisions
        ),
        unreadable=tuple(
            s
            for s in decisions
            if state.trust.get(s) is Trust.UNREADABLE
            and (state.read is None or s not in state.read.both_sides)  # those are known
        ),
        retry_after_s=max(retry, default=None),
        looks_again=bool(desk.watch.obstacles),
    )


def _symbol_report(
    desk: AccountDesk, state: PassState, symbol: str, decision: Decision
) -> SymbolReport:
    ledger, attempts = desk.ledger(symbol), desk.attempts_of(symbol)
    target = state.targets.get(symbol)
    reasons = [*decision.reasons]
    if symbol in state.refused:
        reasons.append(state.refused[symbol])
    if target is not None:
        reasons.extend(_as_reason(text) for text in target.reasons)
    codes = {r.code for r in reasons}
    retry_at_ms = None
    if "backoff" in codes:
        retry_at_ms = attempts.increase_not_before_ms
    elif "reduction_waits" in codes:
        retry_at_ms = attempts.reduce_not_before_ms
    return SymbolReport(
        symbol=symbol,
        held_lots=None if state.read is None else state.read.size_lots(symbol),
        target_lots=decision.wanted_lots,
        version="" if target is None else target.version,
        verified=decision.verified,
        hold="" if ledger.hold is None else str(ledger.hold.kind),
        reasons=tuple(reasons),
        retry_at_ms=retry_at_ms,
    )


def _as_reason(text: str) -> Reason:
    code, _, words = text.partition(": ")
    return Reason(code=code, text=words)
