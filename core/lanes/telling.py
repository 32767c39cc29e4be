"""What people are told of an account: events once, alerts for as long as something stands.

Alerts are derived from state at every pass, so that a restart neither loses nor keeps one wrongly.
"""

from decimal import Decimal

from core.cycle import PassReport, SymbolReport
from core.events import Severity
from core.lanes.account_desk import AccountDesk
from core.ledger import HoldKind
from core.settings import EngineConfig

SETTLING = {"read_open", "read_early", "read_reread", "reduction_waits"}
DECIDED = {"paused", "halted", "dry_run", "orphan", "adopt", "expired_entry"}  # told otherwise
READS_FAILED_ALERT = 3
STUCK_AFTER = 5  # tries in vain before a person is told


def tell_reasons(desk: AccountDesk, report: PassReport, *, is_settling: bool) -> None:
    """Say once, for each version and set of reasons, why a symbol is not where it should be.

    `is_settling`: the pass before left nothing open, so an open order is only on its way.
    """
    for symbol, state in report.symbols.items():
        mark = f"{state.version} " + ",".join(sorted(r.code for r in state.reasons))
        is_passing = is_settling and all(r.code in SETTLING for r in state.reasons)
        if state.reasons and not is_passing and desk.told.get(symbol) != mark:
            said = "; ".join(f"{r.code}: {r.text}" for r in state.reasons)
            desk.events.emit(state.reasons[0].code, said, account=desk.name, symbol=symbol)
        desk.told[symbol] = mark
        tell_standing(desk, state)


def tell_reads(desk: AccountDesk, report: PassReport, *, failures: int) -> None:
    """Raise an alert once positions could not be read for some passes; `failures` before this."""
    is_blind = report.positions_failed or bool(report.unreadable)
    if is_blind and failures + 1 >= READS_FAILED_ALERT:
        why = "; ".join(report.read_failures) or f"rows of {', '.join(report.unreadable)}"
        text = f"positions of {desk.name} cannot be read: {why}"
        desk.events.alert(f"reads/{desk.name}", text, severity="error", account=desk.name)
    elif not is_blind:
        desk.events.clear(f"reads/{desk.name}")


def tell_drift(desk: AccountDesk, report: PassReport, config: EngineConfig) -> None:
    """Raise an alert where a symbol is off its target for long, for no reason of a person's."""
    after_s, dead_band = config.safety.drift_alert_s, config.engine.dead_band
    for symbol, state in report.symbols.items():
        codes = {r.code for r in state.reasons}
        if not after_s or codes & DECIDED or not _is_off(state, dead_band):
            desk.off_since_ms.pop(symbol, None)
            _stand(desk, symbol, "drift", None)
            continue
        since_ms = desk.off_since_ms.setdefault(symbol, report.ended_at_ms)
        if report.ended_at_ms - since_ms < after_s * 1000:
            continue
        why = "; ".join(f"{r.code}: {r.text}" for r in state.reasons) or "no reason is known"
        text = f"held {state.held_lots} lots, wanted {state.target_lots}, for {after_s} s: {why}"
        _stand(desk, symbol, "drift", text)


def _is_off(state: SymbolReport, dead_band: Decimal) -> bool:
    held, wanted = state.held_lots, state.target_lots
    if state.verified or held is None or wanted is None:
        return False  # unreadable positions raise an alert of their own
    return abs(held - wanted) > 2 * dead_band * abs(wanted)


def tell_confirmed(desk: AccountDesk, report: PassReport) -> None:
    """Say which versions were seen to be held."""
    for symbol, version in report.confirmed.items():
        state = report.symbols[symbol]
        why = ", ".join(r.code for r in state.reasons)
        held = "unknown" if state.held_lots is None else f"{state.held_lots:f}"
        desk.events.emit(
            "confirmed",
            f"{symbol}: {held} lots held " + (f"({why})" if why else "as wanted"),
            account=desk.name,
            symbol=symbol,
            version=version,
        )


def tell_standing(desk: AccountDesk, state: SymbolReport) -> None:
    """Raise and clear the alerts of one symbol of one account."""
    symbol = state.symbol
    _tell_hold(desk, symbol)
    reasons = {r.code: r.text for r in state.reasons}
    for code in ("expired_entry", "orphan", "dust", "not_listed", "margin_mode", "both_sides"):
        _stand(desk, symbol, code, reasons.get(code))
    _tell_stuck(desk, state)
    if state.verified:
        desk.events.clear(f"not_prepared/{desk.name}/{symbol}")


def _tell_stuck(desk: AccountDesk, state: SymbolReport) -> None:
    attempts = desk.attempts_of(state.symbol)
    opens = attempts.increases_failed >= STUCK_AFTER and not state.verified
    closes = attempts.reductions_failed >= STUCK_AFTER and bool(state.held_lots)
    entry = f"not opened: {attempts.increase_error}" if opens else None
    _stand(desk, state.symbol, "entry_stuck", entry)
    exit_text = f"{attempts.reductions_failed} tries to reduce or close it were in vain"
    _stand(desk, state.symbol, "exit_stuck", exit_text if closes else None, severity="error")


def _tell_hold(desk: AccountDesk, symbol: str) -> None:
    hold = desk.ledger(symbol).hold
    is_adoption = hold is not None and hold.kind is HoldKind.ADOPT
    is_severe = hold is not None and hold.kind is HoldKind.LIQUIDATION
    _stand(desk, symbol, "adopt", hold.text if hold is not None and is_adoption else None)
    _stand(
        desk,
        symbol,
        "external_change",
        hold.text if hold is not None and not is_adoption else None,
        severity="error" if is_severe else "warning",
    )


def _stand(
    desk: AccountDesk, symbol: str, code: str, text: str | None, *, severity: Severity = "warning"
) -> None:
    key = f"{code}/{desk.name}/{symbol}"
    if text is None:
        desk.events.clear(key)
    else:
        text = text if text.startswith(symbol) else f"{symbol}: {text}"
        desk.events.alert(key, text, severity=severity, account=desk.name, symbol=symbol)
