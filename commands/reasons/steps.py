"""One account's chain in words, a step a line: what was weighed, capped, sized, held, and is done.

Prints only; the figures are `commands.reasons.chain`'s.
"""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from commands.tables import print_table

Row = Mapping[str, Any]
Step = tuple[str, str]


def print_steps(told: Iterable[Step]) -> None:
    """Print steps under each other."""
    print_table(("step", "figures"), told)


def steps(chain: Row) -> Iterator[Step]:
    """Give every step: its name and its figures."""
    for part in chain["parts"]:
        yield _part(part)
    if chain["exposure"] is None:
        yield "target", "none: no source ever spoke of it, or it is not weighed; nothing is sent"
    else:
        yield from _target(chain)
    yield from _size(chain)
    yield "held", _held(chain)
    yield "dead band", _dead_band(chain)
    yield "brakes", _brakes(chain)
    yield "result", _result(chain)


def _part(part: Row) -> Step:
    capped = ""
    if part["asked_leverage"] is not None and part["asked_leverage"] != part["leverage"]:
        capped = f" (asked for {part['asked_leverage']})"
    words = (
        f"{part['source_symbol']} {part['depth']} x weight {part['weight']} x leverage "
        f"{part['leverage']}{capped} = {part['adds']}"
    )
    if not part["is_heard"]:
        words += "; simulated, only paper accounts follow it"
    if part["is_last_known"]:
        words += "; last known, its files or mapping are missing"
    return part["source"], words


def _target(chain: Row) -> Iterator[Step]:
    yield "sum", f"{chain['asked_exposure']} x equity"
    yield (
        "caps",
        f"this symbol at most {chain['symbol_cap']} x equity; all symbols together want "
        f"{chain['gross_asked']}, at most {chain['max_gross']}",
    )
    for limit in chain["limits"]:
        yield "", limit
    fresh = ""
    if chain["fresh_exposure"] != chain["exposure"]:
        fresh = f"; fresh sources alone want {chain['fresh_exposure']}, more is not opened"
    yield "target", f"{chain['exposure']} x equity at leverage {chain['leverage']}{fresh}"
    yield "age", _age(chain)


def _age(chain: Row) -> str:
    age_s, limit_s = chain["signal_age_s"], chain["max_entry_age_s"]
    words = f"the newest signal is {age_s} s old"
    if not limit_s:
        return f"{words}; an entry never expires (max_entry_age_s 0)"
    words += f"; an entry must begin within {limit_s} s"
    if chain["is_expired"] and chain["frozen_is_current"]:
        return f"{words}: expired, it opens nothing"
    if chain["is_started"] and chain["frozen_is_current"]:
        return f"{words}: it began in time"
    return f"{words}: too old to open now" if age_s > limit_s else words


def _size(chain: Row) -> Iterator[Step]:
    equity = chain["equity_usdt"]
    if equity is None:
        yield "equity", "unknown: the engine has not read this account"
    else:
        worth = "" if chain["worth_usdt"] is None else f"; the target is {chain['worth_usdt']} USDT"
        yield "equity", f"{equity} USDT, {chain['seen_s']} s ago{worth}"
    yield "lots", _lots(chain)


def _lots(chain: Row) -> str:
    if chain["wanted_lots"] is None:
        earlier = "" if chain["frozen_lots"] is None else f" ({chain['frozen_lots']} before it)"
        return f"not sized yet: the engine does that in its next pass{earlier}"
    words = f"{chain['wanted_lots']}, fixed when this target came"
    if not chain["frozen_is_current"]:
        words = f"{chain['wanted_lots']}, as the engine reckoned last"
    elif chain["frozen_reason"]:
        words += f" ({chain['frozen_reason']}: less than the venue's smallest order)"
    elif chain["is_confirmed"]:
        words += "; seen to be held since"
    return words


def _held(chain: Row) -> str:
    if chain["held_lots"] is None:
        return "unknown"
    delta = chain["delta_lots"]
    if delta is None:
        return f"{chain['held_lots']}"
    left = f"{Decimal(delta):+f} to go" if Decimal(delta) else "nothing to go"
    return f"{chain['held_lots']}; {left}"


def _dead_band(chain: Row) -> str:
    share = f"{Decimal(chain['dead_band']) * 100:f} %".replace(".00 %", " %")
    lots = "" if chain["dead_band_lots"] is None else f" ({chain['dead_band_lots']} lots)"
    return (
        f"a change of what is held by less than {share} of the target{lots}, or less than the "
        "venue's smallest order, is not sent"
    )


def _brakes(chain: Row) -> str:
    words = "none" if chain["brake"] == "run" else f"{chain['brake']}: {chain['brake_reason']}"
    if not chain["is_armed"]:
        words += "; not armed, so orders are only told (dry-run)"
    return words


def _result(chain: Row) -> str:
    if not chain["is_of_this_target"]:
        said = f" (before: {chain['reason']})" if chain["reason"] else ""
        return f"the engine made no pass with this target yet{said}: ./trade-engine plan asks now"
    found = ["held as wanted"] if chain["is_verified"] else []
    found += [word for word in (chain["hold"], chain["reason"]) if word]
    return "; ".join(found) or "on its way"
