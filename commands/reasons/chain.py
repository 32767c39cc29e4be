"""From the sources' words to one account's order, with every figure between; reads files only.

The same functions weigh here as in the engine. What only the engine knows (equity, what is held,
why it sent nothing) is taken from its last status, with its age.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from commands.plans.unkept import NoLog, UnkeptSignals, UnkeptTargets
from core.clock import SystemClock
from core.control.file import ControlReader, halt_file_exists, halt_path
from core.cycle import weighing_for
from core.events import Events
from core.home import Home
from core.model import ZERO, Contribution, Mode, Target
from core.settings import AccountConfig, Settings
from core.source_reader import SourceReader
from core.targets import Weighing, compute_targets
from signal_processors.base import discover

Row = dict[str, Any]
NO_LIMIT: Final = Decimal("Infinity")


def chains(home: Home, settings: Settings, symbol: str, status: Row, now_ms: int) -> list[Row]:
    """Give the chain of each enabled account; every key is always there, null is unknown."""
    said = asyncio.run(_contributions(home, settings))
    frozen = UnkeptTargets(home.state / "targets.json")
    control = ControlReader(home).read()
    is_halted = halt_file_exists(home)
    engine = {row.get("name"): row for row in status["accounts"]}
    rows = []
    for account in settings.accounts:
        if not account.enabled:
            continue
        weighed = _weighed(settings, account, symbol, said, now_ms)
        sized = _sized(settings, frozen, account.name, symbol, weighed)
        mode, why = control.mode_for(account.name, symbol, now_ms=now_ms)
        if is_halted:
            mode, why = Mode.HALT, f"{halt_path(home)} exists: remove it to go on"
        rows.append(
            {
                "account": account.name,
                "exchange": account.exchange,
                "environment": account.environment,
                "is_armed": control.is_armed(account),
                "brake": str(mode),
                "brake_reason": why,
                **weighed,
                **sized,
                **_held(engine.get(account.name) or {}, symbol, weighed, sized, now_ms),
            }
        )
    return rows


async def _contributions(home: Home, settings: Settings) -> tuple[Contribution, ...]:
    """Give what the sources say, their last known word where they are lost."""
    clock = SystemClock()
    events = Events(NoLog(), clock)
    sources = [
        SourceReader(home, name, is_level=profile.is_level) for name, profile in discover().items()
    ]
    manager = UnkeptSignals(home, sources, clock, events)
    manager.sweep()
    await events.drain()
    return manager.contributions(settings)


def _weighed(
    settings: Settings,
    account: AccountConfig,
    symbol: str,
    said: tuple[Contribution, ...],
    now_ms: int,
) -> Row:
    """Weigh the words into the account's target, with what each cap makes of it."""
    weighing = weighing_for(settings, account)
    targets = compute_targets(said, weighing, now_ms=now_ms)
    uncapped = compute_targets(said, replace(weighing, max_gross=NO_LIMIT), now_ms=now_ms)
    target = targets.get(symbol)
    parts = list(_parts(weighing, symbol, said))
    weights = weighing.weights.get(symbol, {})
    configured = weighing.leverage.get(symbol)
    if configured is not None and account.leverage_override is not None:
        configured = account.leverage_override
    cap = None if configured is None else configured * sum(weights.values(), ZERO)
    heard = [Decimal(part["adds"]) for part in parts if part["is_heard"]]
    return {
        "parts": parts,
        "asked_exposure": _text(sum(heard, ZERO)) if heard else None,
        "symbol_cap": _text(cap),
        "gross_asked": _text(sum((abs(t.exposure) for t in uncapped.values()), ZERO)),
        "max_gross": _text(weighing.max_gross),
        "exposure": None if target is None else _text(target.exposure),
        "fresh_exposure": None if target is None else _text(target.fresh_exposure),
        "leverage": None if target is None else _text(target.leverage),
        "version": "" if target is None else target.version,
        "limits": [] if target is None else list(target.reasons),
        **_age(settings, target, now_ms),
    }


def _age(settings: Settings, target: Target | None, now_ms: int) -> Row:
    age_s = None if target is None else max(0, now_ms - target.newest_signal_at_ms) // 1000
    return {"signal_age_s": age_s, "max_entry_age_s": int(settings.engine.engine.max_entry_age_s)}


def _parts(weighing: Weighing, symbol: str, said: tuple[Contribution, ...]) -> Iterator[Row]:
    weights = weighing.weights.get(symbol)
    for one in said if weights is not None else ():
        if one.symbol != symbol or weights is None:
            continue
        override = weighing.leverage_override
        leverage = weighing.leverage[symbol] if override is None else override
        if override is None and one.leverage is not None:
            leverage = min(leverage, one.leverage)
        weight = weights.get(one.source, ZERO)
        yield {
            "source": one.source,
            "source_symbol": one.source_symbol,
            "depth": _text(one.depth),
            "weight": _text(weight),
            "leverage": _text(leverage),
            "asked_leverage": _text(one.leverage),
            "adds": _text(weight * one.depth * leverage),
            "is_heard": weighing.hears(one),
            "is_last_known": one.is_last_known,
        }


def _sized(
    settings: Settings, frozen: UnkeptTargets, account: str, symbol: str, weighed: Row
) -> Row:
    """Give the lots that the engine froze, and whether they are of the target above."""
    known = frozen.get(account, symbol)
    lots = None if known is None else known.lots
    band = settings.engine.engine.dead_band
    return {
        "frozen_lots": _text(lots),
        "frozen_is_current": known is not None and known.version == weighed["version"],
        "frozen_reason": "" if known is None else known.reason,
        "is_confirmed": known is not None and known.confirmed,
        "is_started": known is not None and known.started,
        "is_expired": known is not None and known.expired,
        "dead_band": _text(band),
        "dead_band_lots": None if lots is None else _text(abs(lots) * band),
    }


def _held(account: Mapping[str, Any], symbol: str, weighed: Row, sized: Row, now_ms: int) -> Row:
    """Give what the engine last saw and said of the account."""
    rows = (row for row in account.get("symbols") or () if row.get("symbol") == symbol)
    row: Mapping[str, Any] = next(rows, {})
    equity, held = _number(account.get("equity_usdt")), _number(row.get("held_lots"))
    seen_at_ms = account.get("last_pass_at_ms")
    worth = None
    if equity is not None and weighed["exposure"] is not None:
        worth = _text(equity * Decimal(weighed["exposure"]))
    is_of_target = bool(row) and row.get("version") == weighed["version"]
    wanted = _number(sized["frozen_lots"]) if sized["frozen_is_current"] else None
    if wanted is None and is_of_target:
        wanted = _number(row.get("target_lots"))  # in a dry-run nothing is stored
    return {
        "state": account.get("state"),
        "equity_usdt": _text(equity),
        "seen_s": None if seen_at_ms is None else max(0, now_ms - seen_at_ms) // 1000,
        "worth_usdt": worth,
        "wanted_lots": _text(wanted),
        "held_lots": _text(held),
        "delta_lots": None if wanted is None or held is None else _text(wanted - held),
        "is_of_this_target": is_of_target,
        "is_verified": is_of_target and row.get("verified") is True,
        "reason": "; ".join(filter(None, (account.get("reason"), row.get("reason")))),
        "hold": row.get("hold") or "",
    }


def _number(value: object) -> Decimal | None:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None  # the status is of another version, or says null
    return number if number.is_finite() else None


def _text(number: Decimal | None) -> str | None:
    return None if number is None else format(number.normalize(), "f")
