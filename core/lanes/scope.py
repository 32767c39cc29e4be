"""Which symbols a pass is about, and what people let it do with each: brakes and flattens.

A disabled account's lane is about what is to be closed down, and nothing else.
"""

from collections.abc import Iterable
from decimal import Decimal

from core.decision import Reason, View
from core.lanes.account_desk import AccountDesk
from core.lanes.pass_state import PassState
from core.ledger import SETTLE_MS, Trust
from core.model import ZERO, Mode, PositionsRead


def symbols_of(desk: AccountDesk, state: PassState) -> list[str]:
    """Give the symbols with a target, those of ours, and those that somebody flattens."""
    if desk.closing is not None:
        return sorted(desk.closing)
    names = {*state.targets, *symbols_of_ours(desk)}
    if state.read is not None:
        names.update(
            symbol
            for symbol in (*state.read.positions, *state.read.both_sides)
            if desk.gate.brakes(desk.name, symbol).mode is Mode.FLATTEN
        )
    return sorted(names)


def symbols_of_ours(desk: AccountDesk) -> list[str]:
    """Give the symbols where something of ours is held, open or held back."""
    if desk.closing is not None:
        return sorted(desk.closing)
    ledgers = (desk.ledger(symbol) for symbol in desk.journal.symbols(desk.name))
    return [one.symbol for one in ledgers if one.is_left or (one.is_ours and one.hold is not None)]


def mode_of(desk: AccountDesk, symbol: str) -> tuple[Mode, str]:
    """Read the brakes; a flatten that was done is a halt from then on."""
    brakes = desk.gate.brakes(desk.name, symbol)
    if desk.closing is not None and brakes.mode is not Mode.HALT:
        return Mode.PAUSE, "enabled is false: it is only closed down"
    if brakes.flatten_ids and desk.flattened.issuperset(brakes.flatten_ids):
        return Mode.HALT, f"flat, and nothing is sent any more: {brakes.reason}"
    return brakes.mode, brakes.reason


def blockers_of(desk: AccountDesk) -> tuple[Reason, ...]:
    """Give what stops increases on the whole account."""
    found = [] if desk.blocker is None else [desk.blocker]
    if desk.mode is not None and desk.mode.refusal:
        found.append(Reason(code="hedge_mode", text=desk.mode.refusal))
    found.extend(desk.watch.obstacles)
    return tuple(found)


def see_flattens(desk: AccountDesk, targets: Iterable[str]) -> None:
    """Note which flattens are in force before a pass reads: only a later read shows them done."""
    symbols = {"", *targets, *desk.journal.symbols(desk.name)}
    ids = {one for s in symbols for one in desk.gate.brakes(desk.name, s).flatten_ids}
    now_ms = desk.now_ms()
    in_force = ids | set(desk.gate.flattens())
    if in_force - set(desk.flattens_seen_ms) - desk.flattened:
        desk.open_orders_read_at_ms = 0  # what of ours rests there must not open anything later
    desk.flattens_seen_ms = {one: desk.flattens_seen_ms.get(one, now_ms) for one in in_force}


def note_flattened(desk: AccountDesk, state: PassState) -> None:
    """Remember the flattens that are done: from then on they are a halt.

    Done is one where every symbol of it is flat, on a read begun after it was first seen.
    """
    read = state.read
    if read is None or desk.closing is not None:
        return
    named = {symbol for symbol in desk.gate.flattens().values() if symbol}
    names = {*state.symbols, *read.positions, *read.both_sides, *read.unreadable, *named, ""}
    ids = {s: desk.gate.brakes(desk.name, s).flatten_ids for s in names}
    unfinished = {
        one
        for s in names - {""}
        if read.size_lots(s) != ZERO
        or desk.ledger(s).open
        or state.trust.get(s, Trust.COUNTS) is not Trust.COUNTS
        for one in ids[s]
    }
    seen = {one for one, at_ms in desk.flattens_seen_ms.items() if at_ms <= read.began_at_ms}
    done = {one for found in ids.values() for one in found} - unfinished
    desk.note_flattened(done & seen)


def not_closed_now(view: View) -> Reason | None:
    """Say why a symbol of a disabled account is not closed now; None = it may be.

    There is no haste: nothing goes before it is known what is ours, as a person may trade there.
    """
    if not view.ledger.is_left:
        return Reason(code="closed_down", text="closed down, and looked at once more")
    is_known = view.trust is Trust.COUNTS or view.both_sides is not None
    if is_known and not view.ledger.open:
        return None
    return Reason(code="closing_waits", text="it is being found out how much of ours is held")


def note_closed_down(desk: AccountDesk, state: PassState) -> None:
    """Strike off what of a disabled account was seen flat once its last fill had settled (A11)."""
    for symbol in sorted(desk.closing or ()):
        ledger, read = desk.ledger(symbol), state.read
        is_settled = read is not None and (
            ledger.last_fill_at_ms is None or read.began_at_ms >= ledger.last_fill_at_ms + SETTLE_MS
        )
        if desk.closing is None or read is None or not is_settled or ledger.is_left:
            continue
        sides = read.both_sides.get(symbol, ())  # of somebody else: ours would be left
        if not sides and state.trust.get(symbol) is not Trust.COUNTS:
            continue
        desk.closing.discard(symbol)
        foreign = [f"{lots:f}" for lots in sides or (read.size_lots(symbol),) if lots]
        rest = f"; {' and '.join(foreign)} lots that are not ours are left alone" if foreign else ""
        desk.events.emit(
            "closed_down", f"{symbol} is closed down{rest}", account=desk.name, symbol=symbol
        )


def sides_to_flatten(
    desk: AccountDesk, symbol: str, read: PositionsRead
) -> tuple[Decimal, Decimal] | None:
    """Give both sides of a symbol that a flatten is about to close; None = it does not."""
    sides = read.both_sides.get(symbol)
    is_flattened = desk.gate.brakes(desk.name, symbol).mode is Mode.FLATTEN
    return sides if is_flattened else None
