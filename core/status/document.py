"""How everything stands, as one document: the monitor's `/status` and `trade-engine status --json`.

`build_status` is pure; `read_status` feeds it from files only. The document's schema is
docs/status.schema.json. Money and sizes are text, `*_at` and `when` are epoch seconds, null is
unknown.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from core.control import EVERYTHING, Control
from core.home import Home
from core.model import Mode
from core.settings import EngineLimits
from core.status.alerts import service_alerts, service_state
from core.status.controls import control_rows
from core.status.parts import ENGINE, Crash, ServicePart, StatusParts, read_parts

CYCLES_MISSED: Final = 3
"""Resync intervals without a completed cycle (or a sign of life) after which the engine hangs."""
FAILED: Final = ("crashed", "dead", "stuck")
DEFAULTS: Final = EngineLimits()


def read_status(home: Home, now_ms: int) -> dict[str, Any]:
    """Build the document from the files of a home; never raises for what is in them."""
    return build_status(read_parts(home), now_ms)


def build_status(parts: StatusParts, now_ms: int) -> dict[str, Any]:
    """Merge what every service said, the brakes and the alerts into one document."""
    engine = parts.engine
    accounts = _rows(engine.said.get("accounts"))
    exception = engine.exception
    return {
        "last_refreshed_at": _seconds(engine.at_ms("refreshed_at_ms")),
        "started_at": _seconds(engine.at_ms("started_at_ms")),
        "executor_running": _is_running(engine, now_ms),
        "completed_cycle": engine.said.get("completed_cycle"),
        "completed_at": _seconds(engine.at_ms("completed_at_ms")),
        "cycles": engine.said.get("cycles", 0),
        "exception": _exception(exception),
        "crashed_at": _seconds(exception.at_ms) if exception else None,
        "frozen_positions": _frozen(accounts),
        "version": engine.said.get("version"),
        "mode": engine.said.get("mode"),
        "halted": _halted(parts, now_ms),
        "control": _control(parts.control, now_ms),
        "trips": _rows(engine.said.get("trips")),
        "controls": control_rows(parts, accounts, now_ms),
        "accounts": accounts,
        "signal_age_s": _ages(engine, now_ms),
        "drift": _drift(accounts, engine.said.get("dead_band", DEFAULTS.dead_band)),
        "config_hash": engine.said.get("config_hash"),
        "loop_lag_ms": engine.said.get("loop_lag_ms"),
        "alerts": _alerts(parts, now_ms),
        "services": {name: _service(part, now_ms) for name, part in parts.services.items()},
    }


def unhealthy_reasons(parts: StatusParts, now_ms: int) -> list[str]:
    """Say why somebody should look at once; empty = healthy. A halt by a person is healthy."""
    engine = parts.engine
    reasons = [
        f"{name} is {state}"
        for name, part in parts.services.items()
        if name != ENGINE and (state := service_state(part, now_ms)) in FAILED
    ]
    if engine.exception is not None:
        reasons.append(f"{ENGINE} crashed: {engine.exception.message}")
    elif not _is_running(engine, now_ms):
        reasons.append(f"{ENGINE} is not running: ./trade-engine up")
    else:
        since_ms = engine.at_ms("completed_at_ms") or engine.at_ms("started_at_ms") or now_ms
        idle_s = (now_ms - since_ms) / 1000
        if idle_s > _patience_s(engine):
            reasons.append(f"no cycle was completed for {idle_s:.0f} s: ./trade-engine logs")
    return reasons


def _is_running(engine: ServicePart, now_ms: int) -> bool:
    refreshed_at_ms = engine.at_ms("refreshed_at_ms")
    if not engine.is_alive or refreshed_at_ms is None or engine.exception is not None:
        return False
    return now_ms - refreshed_at_ms <= _patience_s(engine) * 1000


def _patience_s(engine: ServicePart) -> float:
    said = engine.said.get("resync_interval_s")
    if isinstance(said, int | float) and said > 0:
        return CYCLES_MISSED * said
    return CYCLES_MISSED * DEFAULTS.resync_interval_s


def _exception(crash: Crash | None) -> dict[str, Any] | None:
    return None if crash is None else {"message": crash.message, "traceback": crash.trace}


def _frozen(accounts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"account": account.get("name"), "symbol": row.get("symbol"), "reason": row["hold"]}
        for account in accounts
        for row in _rows(account.get("symbols"))
        if row.get("hold")
    ]


def _drift(accounts: Sequence[Mapping[str, Any]], dead_band: object) -> list[dict[str, Any]]:
    band = _number(dead_band) or DEFAULTS.dead_band
    return [
        {
            "account": account.get("name"),
            "symbol": row.get("symbol"),
            "held_lots": row.get("held_lots"),
            "target_lots": row.get("target_lots"),
            "reason": row.get("reason") or row.get("hold") or "",
        }
        for account in accounts
        for row in _rows(account.get("symbols"))
        if _is_off(row, band)
    ]


def _is_off(row: Mapping[str, Any], band: Decimal) -> bool:
    target, held = _number(row.get("target_lots")), _number(row.get("held_lots"))
    if target is None:
        return False  # nothing is wanted of it: foreign, or not sized yet
    if row.get("verified") is False or held is None:
        return True
    return abs(held - target) > abs(target) * band


def _halted(parts: StatusParts, now_ms: int) -> dict[str, Any] | None:
    if parts.halt is not None:
        note = f": {parts.halt.note}" if parts.halt.note else ""
        reason = f"state/HALT exists{note}"
        return {"reason": reason, "who": "state/HALT", "when": _seconds(parts.halt.since_ms)}
    entry = parts.control.mode_of(EVERYTHING)
    if entry is None or entry.is_over(now_ms) or entry.mode not in (Mode.HALT, Mode.FLATTEN):
        return _halted_by_itself(parts)
    return {"reason": entry.reason, "who": entry.who, "when": _seconds(entry.when_ms)}


def _halted_by_itself(parts: StatusParts) -> dict[str, Any] | None:
    for row in _rows(parts.engine.said.get("trips")):
        if row.get("account") is None and row.get("mode") == Mode.HALT:
            at_ms = row.get("at_ms")
            when = _seconds(at_ms if isinstance(at_ms, int) else None)
            reason = f"{row.get('code')}: {row.get('text')}"
            return {"reason": reason, "who": "trade-engine", "when": when}
    return None


def _control(control: Control, now_ms: int) -> dict[str, Any]:
    entries, blocks = (
        [
            {
                "account": row.scope.account,
                "symbol": row.scope.symbol,
                "mode": str(row.mode),
                "who": row.who,
                "when": _seconds(row.when_ms),
                "until": _seconds(row.until_ms),
                "why": row.why,
            }
            for row in rows
            if not row.is_over(now_ms)
        ]
        for rows in (control.entries, control.blocks)
    )
    return {
        "entries": entries,
        "blocks": blocks,
        "armed": sorted(control.armed),
        "problem": control.problem,
    }


def _alerts(parts: StatusParts, now_ms: int) -> list[dict[str, Any]]:
    """Join what the engine says and what is seen from outside; its own word first."""
    said = _rows(parts.engine.said.get("alerts"))
    keys = {str(alert.get("key")) for alert in said}
    return [*said, *(row for row in service_alerts(parts, now_ms) if row["key"] not in keys)]


def _ages(engine: ServicePart, now_ms: int) -> dict[str, float | None]:
    """Ages as of now: the engine said them when it last refreshed."""
    said = engine.said.get("signal_age_s")
    since_s = max(0, now_ms - (engine.at_ms("refreshed_at_ms") or now_ms)) / 1000
    if not isinstance(said, dict):
        return {}
    return {
        source: round(age + since_s, 1) if isinstance(age, int | float) else None
        for source, age in said.items()
    }


def _service(part: ServicePart, now_ms: int) -> dict[str, Any]:
    return {
        "state": service_state(part, now_ms),
        "pid": part.said.get("pid"),
        "ready": part.said.get("ready") is True and part.is_alive,
        "orphan": part.said.get("orphan") is True,
        "started_at": _seconds(part.at_ms("started_at_ms")),
        "last_refreshed_at": _seconds(part.at_ms("refreshed_at_ms")),
        "version": part.said.get("version"),
        "url": part.said.get("url"),
        "exception": _exception(part.exception),
    }


def _rows(value: object) -> list[dict[str, Any]]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _seconds(at_ms: int | None) -> float | None:
    return None if at_ms is None else at_ms / 1000


def _number(value: object) -> Decimal | None:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
