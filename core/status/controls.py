"""Every safety control as one line: its limit, how it stands, and what it holds back right now.

Pure, from what the services said; so it can be told while the engine is dead, too.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from core.clock import utc_minute
from core.control import Control, ControlEntry
from core.status.parts import StatusParts

READY: Final = "ready"
OFF: Final = "off"
NEAR: Final = "near"
IN_FORCE: Final = "in force"
UNKNOWN: Final = "unknown"

Row = dict[str, str]
Limits = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A control that speaks by reasons: it is in force where a symbol bears one of its codes."""

    name: str
    codes: frozenset[str]
    limit: str  # filled in from engine_config.json's keys
    off_key: str = ""  # off where this key is 0


def _watched(name: str, codes: str, limit: str, off_key: str = "") -> Watched:
    return Watched(name=name, codes=frozenset(codes.split()), limit=limit, off_key=off_key)


WATCHED: Final = (
    _watched("price collar", "", "{collar} from mark, reductions {reduce_collars}"),
    _watched(
        "price sanity",
        "wide_spread mark_gap no_quotes no_price",
        "spread {max_spread}, last from mark {max_mark_gap}, price {ticker_max_age_s} s old",
    ),
    _watched("stale source", "stale_source", "stale_after_s {stale_after_s}"),
    _watched("entry age", "expired_entry", "{max_entry_age_s} s", "max_entry_age_s"),
    _watched("dead band", "dead_band", "{dead_band} of the target"),
    _watched("order size", "order_cap", "{max_order_share} of equity, larger ones are split"),
    _watched(
        "exposure caps",
        "symbol_cap gross_cap leverage_capped",
        "leverage x weights a symbol, {max_gross_exposure} x equity together",
    ),
    _watched(
        "equity jump", "equity_jump", "{equity_jump_limit} between reads", "equity_jump_limit"
    ),
    _watched("external change", "external liquidation", "{external_change_policy}"),
    _watched("adoption", "adopt", "{adopt_policy}"),
    _watched("orphans", "orphan", "{orphan_policy}"),
    _watched(
        "symbol quarantine",
        "backoff margin reduction_waits",
        "pauses of {retry_first_s} to {retry_max_s} s after a refusal",
    ),
    _watched("venue quarantine", "rate_limited", "as long as the venue asks"),
    _watched("clock skew", "clock_skew", "5 s"),
    _watched("hedge mode", "hedge_mode both_sides", "one signed size a symbol"),
)


def control_rows(
    parts: StatusParts, accounts: Sequence[Mapping[str, Any]], now_ms: int
) -> list[Row]:
    """List every control, those that hold something back with what they hold back."""
    said = parts.engine.said.get("limits")
    limits: Limits = said if isinstance(said, Mapping) else {}
    rows = [
        _halt_file(parts),
        *_people(parts.control, now_ms),
        *_trips(parts.engine.said.get("trips")),
        *_arming(accounts),
    ]
    if not limits:
        return rows  # the engine never read its settings here
    return [
        *rows,
        *(row for account in accounts for row in _of_account(account)),
        _restarts(parts.engine.said.get("restarts"), limits),
        *(_standing(one, limits, accounts) for one in WATCHED),
        _account_quarantine(accounts),
        _drift(parts.engine.said.get("alerts"), limits),
    ]


def _row(control: str, where: str, limit: str, now: str, state: str) -> Row:
    return {"control": control, "where": where, "limit": limit, "now": now, "state": state}


def _halt_file(parts: StatusParts) -> Row:
    halt = parts.halt
    if halt is None:
        return _row("kill file", "everything", "state/HALT", "not there", READY)
    return _row("kill file", "everything", "state/HALT", halt.note or "it is there", IN_FORCE)


def _people(control: Control, now_ms: int) -> Iterator[Row]:
    entries = [row for row in control.entries if not row.is_over(now_ms)]
    blocks = [row for row in control.blocks if not row.is_over(now_ms)]
    yield from (_decision(str(row.mode), row) for row in entries)
    if not entries:
        yield _row("pause, halt, flatten", "everything", "you decide", "none", READY)
    yield from (_decision("block", row) for row in blocks)
    if not blocks:
        yield _row("block", "symbols", "you decide", "none", READY)


def _decision(name: str, entry: ControlEntry) -> Row:
    until = "until you lift it" if entry.until_ms is None else f"until {utc_minute(entry.until_ms)}"
    why = f": {entry.why}" if entry.why else ""
    return _row(name, str(entry.scope), until, f"by {entry.who}{why}", IN_FORCE)


def _trips(said: object) -> Iterator[Row]:
    rows = [row for row in said if isinstance(row, Mapping)] if isinstance(said, list) else []
    for row in rows:
        until_ms = row.get("until_ms")
        until = utc_minute(until_ms) if isinstance(until_ms, int) else "you resume it"
        yield _row(
            f"stopped: {row.get('code')}",
            str(row.get("account") or "everything"),
            f"until {until}",
            str(row.get("text")),
            IN_FORCE,
        )


def _arming(accounts: Sequence[Mapping[str, Any]]) -> Iterator[Row]:
    for account in accounts:
        if account.get("needs_arming", account.get("environment") == "live"):
            armed = account.get("armed") is True
            now, state = ("armed", READY) if armed else ("dry-run, nothing is sent", IN_FORCE)
            yield _row("arming", str(account.get("name")), "where real money may move", now, state)


def _of_account(account: Mapping[str, Any]) -> Iterator[Row]:
    """Tell an account's losses and numbers of orders."""
    name, safety = str(account.get("name")), account.get("safety")
    if not isinstance(safety, Mapping):
        return
    for kind, word in (("daily_loss", "daily loss"), ("drawdown", "drawdown")):
        found = safety.get(kind)
        loss = found if isinstance(found, Mapping) else {}
        limit, share = _number(safety.get(f"{kind}_limit")), _number(loss.get("share"))
        now = "not measured yet"
        if share is not None:
            now = f"{_percent(share)} below {loss.get('baseline_usdt')} USDT"
        stopped = kind in (safety.get("stopped") or ())
        near = bool(loss.get("is_near"))
        yield _row(word, name, _share_or_off(limit), now, _loss_state(limit, share, stopped, near))
    for kind, word in (("minute", "orders a minute"), ("day", "orders a day")):
        count, most = safety.get(f"orders_{kind}"), safety.get(f"max_orders_{kind}")
        is_full = bool(most) and isinstance(count, int) and count >= int(most or 0)
        state = OFF if not most else IN_FORCE if is_full else READY
        yield _row(word, name, str(most) if most else "off", str(count), state)


def _loss_state(limit: Decimal | None, share: Decimal | None, stopped: bool, near: bool) -> str:
    if stopped:
        return IN_FORCE
    if not limit:
        return OFF
    return UNKNOWN if share is None else NEAR if near else READY


def _restarts(said: object, limits: Limits) -> Row:
    most, window_s = limits.get("max_restarts"), limits.get("restart_window_s")
    count = said if isinstance(said, int) else None
    if not most:
        return _row("restarts", "trade-engine", "off", str(count or 0), OFF)
    now = "unknown" if count is None else f"{count} unclean"
    is_full = count is not None and count >= int(most)
    state = UNKNOWN if count is None else IN_FORCE if is_full else READY
    return _row("restarts", "trade-engine", f"{most} in {window_s} s", now, state)


def _standing(one: Watched, limits: Limits, accounts: Sequence[Mapping[str, Any]]) -> Row:
    found = [
        f"{row.get('symbol')} on {account.get('name')}"
        for account in accounts
        for row in account.get("symbols") or ()
        if one.codes.intersection(row.get("codes") or ())
    ]
    limit = one.limit.format_map(_Shown(limits))
    if one.off_key and not _number(limits.get(one.off_key)):
        return _row(one.name, "symbols", "off", "nothing", OFF)
    now, state = (", ".join(found), IN_FORCE) if found else ("holds nothing back", READY)
    return _row(one.name, "symbols", limit, now, state)


def _account_quarantine(accounts: Sequence[Mapping[str, Any]]) -> Row:
    parked = [
        f"{account.get('name')}: {account.get('state')}"
        for account in accounts
        if account.get("state") in ("parked", "busy", "unconfigured")
    ]
    now, state = ("; ".join(parked), IN_FORCE) if parked else ("every account trades", READY)
    return _row("account quarantine", "accounts", "3 refusals of the key", now, state)


def _drift(said: object, limits: Limits) -> Row:
    alerts = [row for row in said if isinstance(row, Mapping)] if isinstance(said, list) else []
    found = [
        f"{row.get('symbol')} on {row.get('account')}"
        for row in alerts
        if str(row.get("key")).startswith("drift/")
    ]
    after_s = limits.get("drift_alert_s")
    if not after_s:
        return _row("drift", "symbols", "off", "not watched", OFF)
    now, state = (", ".join(found), IN_FORCE) if found else ("every symbol is on its way", READY)
    return _row("drift", "symbols", f"off the target for {after_s} s", now, state)


class _Shown(dict[str, str]):
    """Limits as people read them; a key that nobody said is a question mark."""

    def __init__(self, limits: Limits) -> None:
        super().__init__({key: _shown(key, value) for key, value in limits.items()})

    def __missing__(self, key: str) -> str:
        return "?"


SHARES: Final = frozenset(
    {
        *("collar", "reduce_collars", "max_spread", "max_mark_gap", "dead_band"),
        *("max_order_share", "equity_jump_limit"),
    }
)


def _shown(key: str, value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_shown(key, one)}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_shown(key, one) for one in value)
    number = _number(value)
    if key in SHARES and number is not None:
        return _percent(number)
    return str(value)


def _share_or_off(limit: Decimal | None) -> str:
    return _percent(limit) if limit else "off"


def _percent(share: Decimal) -> str:
    return f"{format((share * 100).quantize(Decimal('0.01')).normalize(), 'f')} %"


def _number(value: object) -> Decimal | None:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
