"""The engine's part of the status: what the executor knows, as plain JSON values."""

from collections.abc import Mapping
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from core.control import Control
from core.cycle import SymbolReport
from core.events import Events
from core.lanes.roster import Place, Roster
from core.safety.order_budget import last_minute
from core.safety.watch import Watch
from core.settings import AccountConfig, EngineConfig
from core.trade_executor import TradeExecutor
from core.trips import Trips


def engine_status(
    executor: TradeExecutor,
    roster: Roster,
    events: Events,
    control: Control,
    engine_id: str,
    trips: Trips,
) -> dict[str, Any]:
    """Say how the engine stands; money and sizes are text, None is unknown."""
    inputs = executor.inputs
    accounts = [_account(place, control) for place in roster.places]
    settings = inputs.settings if inputs is not None else None
    return {
        "engine_id": engine_id,
        "mode": _mode(roster, control),
        "cycles": executor.cycles,
        "completed_cycle": executor.completed_cycle,
        "completed_at_ms": executor.completed_at_ms,
        "config_hash": None if settings is None else settings.hash,
        "resync_interval_s": None
        if settings is None
        else int(settings.engine.engine.resync_interval_s),
        "dead_band": None if settings is None else str(settings.engine.engine.dead_band),
        "signal_age_s": executor.signal_manager.signal_age_s(),
        "accounts": accounts,
        "limits": None if settings is None else _limits(settings.engine),
        "trips": [trip.to_row() for trip in trips.standing()],
        "alerts": [asdict(alert) for alert in events.standing()],
        "problems": [asdict(p) for p in executor.problems],
    }


def _limits(config: EngineConfig) -> dict[str, Any]:
    """Give the limits in force by their keys in engine_config.json."""
    return {
        **config.engine.model_dump(mode="json"),
        **config.safety.model_dump(mode="json"),
        "stale_after_s": {name: row.stale_after_s for name, row in config.sources.items()},
    }


def _mode(roster: Roster, control: Control) -> str:
    """Name what enabled accounts do: one word when it is one thing, else `mixed`."""
    words = {_word(place.account, control) for place in roster.places if place.account.enabled}
    if not words:
        return "dry-run"
    return words.pop() if len(words) == 1 else "mixed"


def _word(account: AccountConfig, control: Control) -> str:
    if not account.needs_arming:
        return account.environment
    return "live" if control.is_armed(account) else "dry-run"


def _account(place: Place, control: Control) -> dict[str, Any]:
    lane, account = place.lane, place.account
    report = lane.report if lane is not None else None
    state, reason = place.standing
    open_intents = 0
    if lane is not None:
        journal = lane.desk.journal
        open_intents = sum(
            len(journal.ledger(account.name, s).open) for s in journal.symbols(account.name)
        )
    return {
        "name": account.name,
        "exchange": account.exchange,
        "environment": account.environment,
        "state": state,
        "reason": reason,
        "armed": control.is_armed(account),
        "needs_arming": account.needs_arming,
        "equity_usdt": None if report is None else _text(report.equity_usdt),
        "last_pass_at_ms": None if report is None else report.ended_at_ms,
        "last_pass_ms": None if report is None else report.ended_at_ms - report.began_at_ms,
        "open_intents": open_intents,
        "safety": None if lane is None else _safety(lane.desk.watch, lane.desk.now_ms()),
        "flattened": [] if lane is None else sorted(lane.desk.flattened),
        "read_failures": [] if report is None else list(report.read_failures),
        "symbols": [] if report is None else [_symbol(s) for s in _sorted(report.symbols)],
    }


def _safety(watch: Watch, now_ms: int) -> dict[str, Any]:
    """Say how an account's own limits stand."""
    limits = watch.limits
    losses: dict[str, Any] = {
        loss.kind: {
            "share": str(loss.share),
            "baseline_usdt": _text(loss.baseline_usdt),
            "is_near": bool(loss.limit) and loss.share >= loss.limit * limits.loss_warning,
        }
        for loss in watch.losses
    }
    return {
        "equity_believed_usdt": _text(watch.equity_seen.believed_usdt),
        "equity_doubted_usdt": _text(watch.equity_seen.suspect_usdt),
        "daily_loss": losses.get("daily_loss"),
        "daily_loss_limit": str(limits.daily_loss_limit),
        "drawdown": losses.get("drawdown"),
        "drawdown_limit": str(limits.drawdown_limit),
        "stopped": watch.stopped,
        "orders_minute": last_minute(watch.orders, now_ms),
        "max_orders_minute": limits.max_orders_per_minute,
        "orders_day": watch.orders_today,
        "max_orders_day": limits.max_orders_per_day,
    }


def _sorted(symbols: Mapping[str, SymbolReport]) -> list[SymbolReport]:
    return [symbols[name] for name in sorted(symbols)]


def _symbol(symbol: SymbolReport) -> dict[str, Any]:
    return {
        "symbol": symbol.symbol,
        "held_lots": _text(symbol.held_lots),
        "target_lots": _text(symbol.target_lots),
        "version": symbol.version,
        "verified": symbol.verified,
        "reason": "; ".join(f"{r.code}: {r.text}" for r in symbol.reasons),
        "codes": [r.code for r in symbol.reasons],
        "hold": symbol.hold,
        "retry_at_ms": symbol.retry_at_ms,
    }


def _text(number: Decimal | None) -> str | None:
    return None if number is None else format(number.normalize(), "f")
