"""A cycle as plain JSON values: a row an account, and a row for each of its symbols.

Pure. Sizes are signed lots as text, long is positive; null is unknown, never zero.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from commands.plans.single_cycle import AccountCycle, Cycle
from commands.plans.watched_venue import Step
from core.cycle import PassReport, SymbolReport
from core.decision import Reason
from core.errors import CredentialsError, NotPlacedError, RejectedError
from core.events import Alert
from core.model import ZERO

Row = dict[str, Any]
NOT_ARMED: Final = "not armed: none of this is sent until `./trade-engine arm {name}`"
FOREIGN: Final = "held without a target: it is left alone"
SETTLED: Final = "held as wanted"
VERBS: Final = {
    "open": "opens",
    "increase": "adds to what is held",
    "reduce": "takes away from what is held",
    "close": "closes what is held",
    "flip": "closes, is seen flat, then opens the other side",
    "reopen": "closes, is seen flat, then opens again",
}


def document(cycle: Cycle, *, kind: str, symbol: str | None = None) -> Row:
    """Give the whole story; `kind` is `plan`, `simulated` or `real`, `symbol` None = all."""
    settings = cycle.inputs.settings
    spoken = {said.symbol for said in cycle.inputs.contributions}
    rows = [row for one in cycle.accounts for row in _symbol_rows(one, kind)]
    return {
        "kind": kind,
        "accounts": [_account_row(one) for one in cycle.accounts],
        "symbols": [row for row in rows if symbol in (None, row["symbol"])],
        "unspoken": sorted(row.symbol for row in settings.weights if row.symbol not in spoken),
        "alerts": [_alert(alert) for alert in _alerts(cycle)],
    }


def _alerts(cycle: Cycle) -> Iterator[Alert]:
    """Give what is not told elsewhere: neither failures, nor accounts that were not asked for."""
    left_out = {row.name for row in cycle.inputs.settings.accounts}
    left_out -= {one.account.name for one in cycle.accounts}
    for alert in cycle.alerts:
        if alert.account not in left_out and not alert.key.startswith("account/"):
            yield alert


def _alert(alert: Alert) -> Row:
    return {
        "key": alert.key,
        "severity": alert.severity,
        "text": alert.text,
        "account": alert.account,
        "symbol": alert.symbol,
    }


def has_failed(told: Row) -> bool:
    """Tell whether an account could not be read."""
    return any(row["failures"] for row in told["accounts"])


def is_off_target(told: Row) -> bool:
    """Tell whether something is not held as it is wanted."""
    return any(row["is_off_target"] for row in told["symbols"])


def _account_row(one: AccountCycle) -> Row:
    account, report = one.account, one.report
    mode: str = account.environment
    if mode == "live":
        mode = "armed" if one.is_armed else "dry-run"
    return {
        "account": account.name,
        "exchange": account.exchange,
        "environment": account.environment,
        "mode": mode,
        "brake": str(one.brake),
        "brake_reason": one.brake_reason,
        "state": one.state,
        "equity_usdt": None if report is None else _text(report.equity_usdt),
        "took_ms": one.took_ms,
        "failures": list(one.failures),
    }


def _symbol_rows(one: AccountCycle, kind: str) -> Iterator[Row]:
    """Give a row for each symbol of the pass, and for what else is held."""
    report = one.report
    if report is None:
        return
    for symbol in sorted(report.symbols):
        yield _symbol_row(one, report, report.symbols[symbol], kind)
    first = one.first_positions
    for symbol in sorted({} if first is None else {*first.positions, *first.unreadable}):
        if symbol not in report.symbols and first is not None and first.size_lots(symbol) != ZERO:
            held = first.size_lots(symbol)
            stranger = SymbolReport(
                symbol=symbol,
                held_lots=held,
                target_lots=None,
                reasons=(Reason(code="orphan", text=FOREIGN),),
            )
            yield _symbol_row(one, report, stranger, kind)


def _symbol_row(one: AccountCycle, report: PassReport, seen: SymbolReport, kind: str) -> Row:
    symbol = seen.symbol
    first = one.first_positions
    held = seen.held_lots if first is None else first.size_lots(symbol)
    has_target = symbol in report.targets
    target = seen.target_lots
    if target is None and has_target:
        target = one.frozen.get(symbol)
    steps = [_step(step, one.filled) for step in one.steps if step.symbol == symbol]
    verb = _verb(steps, held)
    now = held if kind == "plan" else seen.held_lots
    is_missed = has_target and not seen.verified and (now is None or now != target)
    row = {
        "account": one.account.name,
        "symbol": symbol,
        "held_lots": _text(held),
        "target_lots": _text(target),
        "delta_lots": None if held is None or target is None else _text(target - held),
        "does": verb or "nothing",
        "steps": steps,
        "reasons": [{"code": r.code, "text": r.text} for r in _reasons(one, seen, verb)],
        "hold": seen.hold,
        "is_off_target": is_missed or (kind == "plan" and bool(verb)),
    }
    if kind != "plan":
        row |= {"held_after_lots": _text(seen.held_lots), "verified": seen.verified}
    return row


def _reasons(one: AccountCycle, seen: SymbolReport, verb: str) -> Iterator[Reason]:
    """Say why: what is done at all, what stands against more, and that nobody armed it."""
    if verb:
        yield Reason(code=verb, text=VERBS[verb])
    yield from seen.reasons
    if verb and not one.is_armed:
        yield Reason(code="dry_run", text=NOT_ARMED.format(name=one.account.name))
    if not verb and not seen.reasons and seen.verified:
        yield Reason(code="settled", text=SETTLED)


def _verb(steps: Sequence[Row], held: Decimal | None) -> str:
    """Name what the orders amount to; empty = there are none."""
    sizes = {True: ZERO, False: ZERO}
    for row in steps:
        if "size_lots" in row:
            sizes[row["reduce_only"]] += Decimal(row["size_lots"])
    reduced, opened = sizes[True], sizes[False]
    if reduced and opened:
        return "flip" if reduced * opened > 0 else "reopen"
    if reduced:
        return "close" if held is not None and held + reduced == ZERO else "reduce"
    return ("increase" if held else "open") if opened else ""


def _step(step: Step, filled: Mapping[str, Decimal]) -> Row:
    error = None if step.error is None else str(step.error)
    order = step.order
    if order is None:
        setting = {"leverage": _text(step.leverage), "margin_mode": step.margin_mode}
        return {**{key: value for key, value in setting.items() if value}, "error": error}
    return {
        "side": "buy" if order.size_lots > 0 else "sell",
        "size_lots": _text(order.size_lots),
        "reduce_only": order.reduce_only,
        "limit_price": _text(order.limit_price),
        "outcome": _outcome(step),
        "filled_lots": _text(filled.get(order.client_id)),
        "client_id": order.client_id,
        "error": error,
    }


def _outcome(step: Step) -> str:
    """Name what the venue's answer proves; what it does not prove is unknown."""
    error = step.error
    if error is None:
        return "placed"
    if isinstance(error, NotPlacedError):
        return "not_placed"
    is_refusal = isinstance(error, RejectedError) and error.kind != "duplicate_id"
    return "rejected" if is_refusal or isinstance(error, CredentialsError) else "unknown"


def _text(number: Decimal | None) -> str | None:
    return None if number is None else format(number.normalize(), "f")
