"""Where one margin mode is the whole account's: it changes only while nothing at all is held.

Pure. To close and open again is for all at once or for none: one position that stays would leave
the others closed for nothing. What is flat already waits for the last close.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from core.decision import Decision, Reason
from core.model import ZERO, PositionsRead, SetMarginMode

_TEXT = "the account's margin mode changes once everything is closed"
_REOPENS = Reason(code="reopens", text=_TEXT)
_WAITS = Reason(code="margin_mode", text=_TEXT)


def in_step(
    decisions: Mapping[str, Decision],
    read: PositionsRead | None,
    keep: Callable[[str], Decision],
) -> dict[str, Decision]:
    """Let all reopen or none, and none switch before; `keep` decides anew without reopening."""
    held = {} if read is None else {s: row for s, row in read.positions.items() if row.size_lots}
    if read is None or not (held or read.unreadable):
        return dict(decisions)
    reopen = any(d.reopens for d in decisions.values())
    if read.unreadable or any(not _ends_flat(decisions.get(s), s, read) for s in held):
        decisions = {s: keep(s) if d.reopens else d for s, d in decisions.items()}
        reopen = False
    waits = _REOPENS if reopen else _WAITS
    return {
        s: replace(d, actions=(), reasons=(*d.reasons, waits), starts=False) if _switches(d) else d
        for s, d in decisions.items()
    }


def _switches(decision: Decision) -> bool:
    return any(isinstance(action, SetMarginMode) for action in decision.actions)


def _ends_flat(decision: Decision | None, symbol: str, read: PositionsRead) -> bool:
    if decision is None:
        return False
    closes = sum((o.size_lots for o in decision.orders if o.reduce_only), ZERO)
    return bool(decision.reopens) or closes == -read.positions[symbol].size_lots
