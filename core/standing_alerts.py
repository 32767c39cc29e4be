"""Alerts that follow from how a symbol stands: raised while it stands so, cleared when it does not.

Derived from state at every pass, so that a restart neither loses nor keeps one wrongly.
"""

from core.account_desk import AccountDesk
from core.cycle import SymbolReport
from core.events import Severity
from core.ledger import HoldKind

STUCK_AFTER = 5  # tries in vain before a person is told


def tell_standing(desk: AccountDesk, state: SymbolReport) -> None:
    """Raise and clear the alerts of one symbol of one account."""
    symbol = state.symbol
    _tell_hold(desk, symbol)
    reasons = {r.code: r.text for r in state.reasons}
    for code in ("expired_entry", "orphan", "dust", "not_listed", "margin_mode"):
        _stand(desk, symbol, code, reasons.get(code))
    attempts = desk.attempts_of(symbol)
    opens = attempts.increases_failed >= STUCK_AFTER and not state.verified
    closes = attempts.reductions_failed >= STUCK_AFTER and bool(state.held_lots)
    _stand(desk, symbol, "entry_stuck", f"not opened: {attempts.increase_error}" if opens else None)
    text = f"{attempts.reductions_failed} tries to reduce or close it were in vain"
    _stand(desk, symbol, "exit_stuck", text if closes else None, severity="error")
    if state.verified:
        desk.events.clear(f"not_prepared/{desk.name}/{symbol}")


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
