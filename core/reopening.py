"""Closing to open again, where one margin mode is the whole account's: all at once or not at all.

Pure. Such a mode changes only while nothing is held. One position that stays would leave the others
closed for nothing, so none is closed then; and what is flat already waits for the last close.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from core.decision import Decision, Reason
from core.model import ZERO, PositionsRead, SetMarginMode

_WAITS = Reason(code="reopens", text="the margin mode changes once everything is closed")


def in_step(
    decisions: Mapping[str, Decision],
    read: PositionsRead | None,
    keep: Callable[[str], Decision],
) -> dict[str, Decision]:
    """Let all reopen or none; `keep` decides a symbol anew without reopening."""
    agreed = dict(decisions)
    if read is None or not any(d.reopens for d in decisions.values()):
        return agreed
    held = {symbol for symbol, row in read.positions.items() if row.size_lots}
    if read.unreadable or any(not _ends_flat(decisions.get(s), s, read) for s in held):
        return {s: keep(s) if d.reopens else d for s, d in agreed.items()}
    for symbol, decision in decisions.items():
        if any(isinstance(action, SetMarginMode) for action in decision.actions):
            agreed[symbol] = replace(decision, actions=(), reasons=(*decision.reasons, _WAITS))
    return agreed


def _ends_flat(decision: Decision | None, symbol: str, read: PositionsRead) -> bool:
    if decision is None:
        return False
    closes = sum((o.size_lots for o in decision.orders if o.reduce_only), ZERO)
    return decision.reopens or closes == -(read.size_lots(symbol) or ZERO)
