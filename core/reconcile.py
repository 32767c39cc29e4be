"""What to do next about one symbol of one account.

Pure: a `View` of what is wanted, held and believed gives a `Decision`. Whatever blocks, blocks
increases first and reductions last (semantics §4); trust in a read is judged in `core.ledger`.
"""

from dataclasses import replace
from decimal import ROUND_CEILING, Decimal

from core.attempts import Cause
from core.decision import Decision, Reason, View
from core.ledger import HoldKind, Trust
from core.model import ZERO, Instrument, Mode, Order, SetLeverage
from core.obstacles import has_other_margin_mode, obstacles
from core.planner import Gap, Plan, plan, within_dead_band
from core.sizing import minimum_lots, toward_zero


def decide(view: View) -> Decision:
    """Decide the next actions for one symbol."""
    if view.mode is Mode.HALT:
        return _nothing(view, "halted", view.mode_reason)
    if view.mode is not Mode.FLATTEN:
        hold = view.ledger.hold
        if hold is not None and hold.kind is HoldKind.ADOPT:
            return _nothing(view, "adopt", hold.text)
        if view.target is None and not view.policy.closes_orphans:
            return _nothing(view, "orphan", f"{view.symbol} has no target: it is left alone")
    if view.instrument is None:
        return _not_tradable(view)
    return _on_a_read(view, view.instrument)


def _on_a_read(view: View, instrument: Instrument) -> Decision:
    if view.both_sides is not None:
        return _on_both_sides(view, instrument, view.both_sides)
    if view.trust is not Trust.COUNTS or view.read_lots is None:
        return _on_a_doubtful_read(view, instrument)
    return _on_a_trusted_read(view, instrument, view.read_lots)


def _not_tradable(view: View) -> Decision:
    if view.lists_instruments:
        return _nothing(view, "not_listed", f"{view.symbol} is not listed at this venue")
    return _nothing(view, "no_instrument", "the venue's instruments could not be read yet")


def _on_both_sides(view: View, instrument: Instrument, sides: tuple[Decimal, Decimal]) -> Decision:
    """Open nothing on a symbol held long and short at once; a flatten closes both sides.

    A close of what is ours goes all the same: in hedge mode it cannot touch the other side.
    """
    long_lots, short_lots = sides
    text = (
        f"{view.symbol} is held long {long_lots} and short {abs(short_lots)} at once: close one"
        " side by hand, or flatten it"
    )
    reason = Reason(code="both_sides", text=text)
    if view.mode is not Mode.FLATTEN:
        return _on_our_side(view, instrument, sides, reason)
    waiting = _reduction_waits(view)
    if waiting is not None:
        return Decision(symbol=view.symbol, reasons=(reason, waiting), wanted_lots=ZERO)
    made = [plan(_gap(view, instrument, ZERO, side)) for side in sides]
    actions = tuple(action for one in made for action in one.actions)
    return Decision(symbol=view.symbol, actions=actions, reasons=(reason,), wanted_lots=ZERO)


def _on_our_side(
    view: View, instrument: Instrument, sides: tuple[Decimal, Decimal], reason: Reason
) -> Decision:
    """Close what is ours where the target is flat or on the other side; nothing else."""
    wanted, ours = _wanted(view), view.ledger.expected_lots
    if wanted is None or not ours or not view.ledger.is_ours or ours * wanted > 0:
        return Decision(symbol=view.symbol, reasons=(reason,), wanted_lots=wanted)
    side = max(sides) if ours > 0 else min(sides)
    return _reduction_to(view, instrument, ZERO, min(ours, side, key=abs), reason)


def leverage_to_set(leverage: Decimal, instrument: Instrument) -> Decimal:
    """Round up to the instrument's step, at most its maximum."""
    steps = (leverage / instrument.leverage_step).to_integral_value(ROUND_CEILING)
    return min(steps * instrument.leverage_step, instrument.max_leverage)


def no_farther(wanted: Decimal, held: Decimal) -> Decimal:
    """Cap a wanted size so that it adds nothing to what is held; the wrong side becomes 0."""
    if wanted * held <= 0:
        return ZERO
    return min(abs(wanted), abs(held)).copy_sign(held)


def _wanted(view: View) -> Decimal | None:
    if view.mode is Mode.FLATTEN or view.target is None:
        return ZERO
    if not view.target.exposure:
        return ZERO
    return None if view.frozen is None else view.frozen.lots


def _on_a_trusted_read(view: View, instrument: Instrument, held: Decimal) -> Decision:
    wanted = _wanted(view)
    if wanted is None:  # not sized: all that is certain is the side
        side = view.target.exposure if view.target is not None else ZERO
        keep = held if held * side > 0 else ZERO
        reason = Reason(code="unsized", text="equity, price or instrument is unknown")
        return _planned(view, instrument, keep, wanted, (reason, *view.blockers))
    reopening = _reopening(view, instrument, held, wanted)
    if reopening is not None:
        return reopening
    limited, limits = _limits(view, wanted, held)
    decision = _planned(view, instrument, limited, wanted, limits)
    if not any(not o.reduce_only for o in decision.orders):
        return decision
    if _is_too_old(view):
        expired = _planned(view, instrument, no_farther(wanted, held), wanted, (_EXPIRED,))
        return replace(expired, expires=True, verified=not expired.actions)
    blockers = obstacles(view)
    if blockers:
        return _planned(view, instrument, no_farther(limited, held), wanted, blockers)
    if view.attempts.margin is not None:
        decision = _shrunk(view, instrument, limited, wanted)
    return replace(decision, starts=True)


def _reopening(
    view: View, instrument: Instrument, held: Decimal, wanted: Decimal
) -> Decision | None:
    """Close what is held to open it again, where the account allows it and all lights are green."""
    cause = _cause_to_reopen(view, instrument, held, wanted)
    if not cause or held * wanted <= 0 or _is_too_old(view):
        return None
    if _limits(view, wanted, ZERO)[1] or obstacles(view, reopens=True):
        return None
    if view.ticker is None or abs(wanted) < minimum_lots(instrument, view.ticker.mark_price):
        return None
    text = f"leverage {cause} is refused while it is held"
    if isinstance(cause, str):
        text = f"margin mode is {view.margin_mode_held}, {cause} is configured"
    reason = Reason(code="reopens", text=f"closed and opened again: {text}")
    decision = _planned(view, instrument, ZERO, wanted, (reason,))
    return replace(decision, verified=False, starts=True, reopens=cause)


def _cause_to_reopen(view: View, instrument: Instrument, held: Decimal, wanted: Decimal) -> Cause:
    attempts = view.attempts
    if not view.allows_reopen:
        return ""
    cause: Cause | None = view.margin_mode_wanted
    if not has_other_margin_mode(view):
        cause = attempts.leverage_refused
        actions = plan(_gap(view, instrument, wanted, held)).actions
        if cause not in [a.leverage for a in actions if isinstance(a, SetLeverage)]:
            return ""
    return "" if cause is None or cause == attempts.reopened else cause


def _shrunk(view: View, instrument: Instrument, goal: Decimal, wanted: Decimal) -> Decision:
    """Ask once for what free margin allows, after a refusal for margin."""
    held = view.read_lots if view.read_lots is not None else ZERO
    price = view.ticker.mark_price if view.ticker is not None else None
    leverage = view.leverage_held or (view.target.leverage if view.target is not None else ZERO)
    room = ZERO
    if price is not None and view.free_margin_usdt is not None and view.free_margin_usdt > 0:
        affordable = view.free_margin_usdt * leverage * _MARGIN_USE
        room = toward_zero(affordable / (price * instrument.contract_size), instrument.step_lots)
    smaller = held + min(room, abs(goal - held)).copy_sign(goal)
    text = f"refused for margin: {abs(smaller - held)} instead of {abs(goal - held)} lots"
    return _planned(view, instrument, smaller, wanted, (Reason(code="shrunk", text=text),))


_MARGIN_USE = Decimal("0.95")  # leaves room for fees and for the price to move meanwhile


_EXPIRED = Reason(
    code="expired_entry",
    text="its signal was older than max_entry_age_s when it could first be executed; "
    "send the alert again to open",
)


def _limits(view: View, wanted: Decimal, held: Decimal) -> tuple[Decimal, tuple[Reason, ...]]:
    """Apply what limits a target without being an obstacle that passes."""
    hold = view.ledger.hold
    if hold is not None and view.mode is not Mode.FLATTEN:
        return no_farther(wanted, held), (Reason(code=str(hold.kind), text=hold.text),)
    frozen = view.frozen
    if frozen is not None and frozen.expired and view.mode is not Mode.FLATTEN:
        return no_farther(wanted, held), (_EXPIRED,)
    if frozen is not None and frozen.reason and not frozen.lots:
        text = f"{frozen.exposure} x equity is less than the smallest order of the venue"
        return wanted, (Reason(code=frozen.reason, text=text),)
    if frozen is None or frozen.fresh_lots is None:
        return wanted, ()
    most = max(abs(x) if x * wanted > 0 else ZERO for x in (frozen.fresh_lots, held))
    if most >= abs(wanted):
        return wanted, ()
    text = "a stale source adds nothing: " + "; ".join(view.target.reasons if view.target else ())
    return most.copy_sign(wanted), (Reason(code="stale_source", text=text),)


def _planned(
    view: View,
    instrument: Instrument,
    goal: Decimal,
    wanted: Decimal | None,
    reasons: tuple[Reason, ...],
) -> Decision:
    held = view.read_lots if view.read_lots is not None else ZERO
    gap = _gap(view, instrument, goal, held)
    made: Plan = plan(gap)
    if made.reason:
        reasons = (*reasons, Reason(code=made.reason, text=_dead_band_text(gap)))
    if made.actions and all(isinstance(a, Order) and a.reduce_only for a in made.actions):
        waiting = _dust(view, held) or _reduction_waits(view)
        if waiting is not None:
            made, reasons = Plan(), (*reasons, waiting)
    return Decision(
        symbol=view.symbol,
        actions=made.actions,
        reasons=reasons,
        wanted_lots=wanted,
        verified=_is_verified(view, gap, wanted, made),
    )


def _is_verified(view: View, gap: Gap, wanted: Decimal | None, made: Plan) -> bool:
    if wanted is None or made.actions or view.target is None or view.ledger.open:
        return False
    if view.mode is Mode.FLATTEN:
        return False  # flat by a person's order, which is not what the version wants
    if view.frozen is not None and view.frozen.expired:
        return gap.held_lots == gap.wanted_lots or within_dead_band(gap)
    return within_dead_band(replace(gap, wanted_lots=wanted))


def _gap(view: View, instrument: Instrument, goal: Decimal, held: Decimal) -> Gap:
    price = view.ticker.mark_price if view.ticker is not None else view.last_price
    leverage = None
    if view.sets_leverage and view.target is not None and view.target.leverage > 0:
        leverage = leverage_to_set(view.target.leverage, instrument)
    collars = view.policy.reduce_collars
    failed = view.attempts.reductions_failed
    uses_collar = view.policy.collar is not None and failed < len(collars)
    return Gap(
        wanted_lots=goal,
        held_lots=held,
        instrument=instrument,
        price=price,
        dead_band=view.policy.dead_band,
        leverage_wanted=leverage,
        leverage_held=view.leverage_held,
        margin_mode_wanted=view.margin_mode_wanted,
        margin_mode_held=view.margin_mode_held,
        increase_collar=view.policy.collar,
        reduce_collar=collars[failed] if uses_collar else None,
        max_increase_lots=_largest_increase(view, instrument, price),
    )


def _largest_increase(view: View, instrument: Instrument, price: Decimal | None) -> Decimal | None:
    if view.equity_usdt is None or price is None:
        return None
    share = view.equity_usdt * view.policy.max_order_share / (price * instrument.contract_size)
    return max(toward_zero(share, instrument.step_lots), minimum_lots(instrument, price))


def _is_too_old(view: View) -> bool:
    if view.target is None or not view.policy.max_entry_age_s:
        return False
    if view.frozen is not None and view.frozen.started:
        return False
    return view.wall_ms - view.target.newest_signal_at_ms > view.policy.max_entry_age_s * 1000


def _on_a_doubtful_read(view: View, instrument: Instrument) -> Decision:
    """Reduce what is certainly too much; see semantics §4, "on a read that does not count"."""
    doubt = Reason(code=f"read_{view.trust}", text=_DOUBTS[view.trust])
    wanted = _wanted(view)
    known = [x for x in (view.read_lots, view.ledger.expected_lots) if x]
    nothing = Decision(symbol=view.symbol, reasons=(doubt,), wanted_lots=wanted)
    if wanted is None or not known:
        return nothing
    if all(x * wanted <= 0 for x in known):
        if _nothing_is_there(view):
            return nothing
        return _reduction_to(view, instrument, ZERO, _first_to_close(view, known), doubt)
    if view.read_lots is None or view.ledger.expected_lots is None or view.ledger.open_reductions:
        return nothing
    nearer = min(view.read_lots, view.ledger.expected_lots, key=abs)
    if nearer * wanted <= 0 or abs(nearer) <= abs(wanted):
        return nothing
    return _reduction_to(view, instrument, wanted, nearer, doubt)


_DOUBTS = {
    Trust.EARLY: "the read differs from our own fills, too soon after the last one to tell why",
    Trust.OPEN: "an order of ours has no known end yet",
    Trust.REREAD: "the read differs from our own fills; our orders are being read again",
    Trust.UNREADABLE: "the position could not be read",
    Trust.COUNTS: "",
}


def _first_to_close(view: View, known: list[Decimal]) -> Decimal:
    """Pick the farther from zero, or the read where the signs differ; after a refusal the other.

    Some venues refuse to close more than there is.
    """
    signs_differ = known[0] * known[-1] < 0
    in_turn = known if signs_differ else sorted(known, key=abs, reverse=True)
    return in_turn[view.attempts.reductions_failed % len(known)]


def _nothing_is_there(view: View) -> bool:
    refused = view.attempts.no_position_lots
    return refused is not None and view.read_lots == ZERO and refused == view.ledger.expected_lots


def _reduction_to(
    view: View, instrument: Instrument, goal: Decimal, held: Decimal, doubt: Reason
) -> Decision:
    waiting = _reduction_waits(view)
    made = plan(_gap(view, instrument, goal, held)) if waiting is None else Plan()
    reasons = (doubt,) if waiting is None else (doubt, waiting)
    return Decision(
        symbol=view.symbol, actions=made.actions, reasons=reasons, wanted_lots=_wanted(view)
    )


def _reduction_waits(view: View) -> Reason | None:
    left_ms = view.attempts.reduce_not_before_ms - view.now_ms
    if left_ms <= 0:
        return None
    return Reason(code="reduction_waits", text=f"the reduction is sent again in {left_ms} ms")


def _dust(view: View, held: Decimal) -> Reason | None:
    if view.attempts.dust_lots != held:
        return None
    text = f"{held} lots are too little for the venue to close: close them by hand"
    return Reason(code="dust", text=text)


def _dead_band_text(gap: Gap) -> str:
    return f"{gap.held_lots} held is near enough to {gap.wanted_lots} wanted"


def _nothing(view: View, code: str, text: str) -> Decision:
    return Decision(symbol=view.symbol, reasons=(Reason(code=code, text=text),))
