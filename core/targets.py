"""From what the sources say to what one account shall hold.

Pure. No target means "nothing is sent", which is not the same as a target of 0: a symbol of which
no source ever spoke has none (A32), and so has one that is absent from the weights.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from core.model import ZERO, Contribution, Target

AHEAD_MS = 60_000
"""A confirmation from farther in the future is a clock that was wrong, and confirms nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighing:
    """Everything beside the contributions that decides a target.

    `weights` is {symbol: {source: weight}}, `leverage` {symbol: configured leverage};
    `stale_after_s` by source, 0 = never. `max_gross` is a multiple of equity. `hears_simulated` is
    for paper accounts alone: to any other a simulated source has never spoken.
    """

    weights: Mapping[str, Mapping[str, Decimal]]
    leverage: Mapping[str, Decimal]
    leverage_override: Decimal | None
    stale_after_s: Mapping[str, int]
    max_gross: Decimal
    hears_simulated: bool

    def hears(self, said: Contribution) -> bool:
        """Tell whether a contribution may count at all."""
        return self.hears_simulated or not said.is_simulated


@dataclass(frozen=True, slots=True)
class _Part:
    source: str
    symbol_of_source: str
    signal_id: str
    weight: Decimal
    depth: Decimal
    leverage: Decimal
    is_fresh: bool
    is_level: bool
    received_at_ms: int
    heard_at_ms: int  # a level counts from its last confirmation
    reason: str

    @property
    def exposure(self) -> Decimal:
        return self.weight * self.depth * self.leverage


def compute_targets(
    contributions: Sequence[Contribution], weighing: Weighing, *, now_ms: int
) -> dict[str, Target]:
    """Weigh contributions into one target a symbol, caps applied; see semantics §2 and §4."""
    spoken: dict[str, list[Contribution]] = {}
    unheard: dict[str, set[str]] = {}
    for contribution in contributions:
        if contribution.symbol not in weighing.weights:
            continue
        if weighing.hears(contribution):
            spoken.setdefault(contribution.symbol, []).append(contribution)
        else:
            unheard.setdefault(contribution.symbol, set()).add(contribution.source)
    targets = {
        symbol: _telling_unheard(
            _target(symbol, said, weighing, now_ms), unheard.get(symbol, frozenset())
        )
        for symbol, said in sorted(spoken.items())
    }
    return _capped_gross(targets, weighing.max_gross)


def reduces_any(before: Mapping[str, Target], after: Mapping[str, Target]) -> bool:
    """True when some symbol is wanted nearer to zero, or on the other side, than before."""
    for symbol, old in before.items():
        new = after.get(symbol)
        exposure = ZERO if new is None else new.exposure
        if abs(exposure) < abs(old.exposure) or exposure * old.exposure < 0:
            return True
    return False


def level_sign(
    contributions: Iterable[Contribution], weighing: Weighing, symbol: str
) -> int | None:
    """Sign of what the level sources together want of a symbol; None when none speaks of it."""
    levels = [c for c in contributions if c.is_level and c.symbol == symbol and weighing.hears(c)]
    if not levels:
        return None
    total = sum(
        (weighing.weights.get(symbol, {}).get(c.source, ZERO) * c.depth for c in levels), ZERO
    )
    return (total > 0) - (total < 0)


def _target(symbol: str, said: Sequence[Contribution], weighing: Weighing, now_ms: int) -> Target:
    parts = [_part(symbol, one, weighing, now_ms) for one in said]
    cap = _configured(symbol, weighing) * sum(weighing.weights[symbol].values(), ZERO)
    wanted = sum((p.exposure for p in parts), ZERO)
    exposure = _held_to(wanted, cap)
    reasons = [p.reason for p in parts if p.reason]
    if exposure != wanted:
        reasons.append(f"symbol_cap: {wanted:f} is held to {cap:f} x equity")
    leverage = max((p.leverage for p in parts if p.exposure), default=ZERO)
    heard = [p for p in parts if p.weight] or parts  # a source of weight 0 decides nothing
    instructed = max(
        ((p.received_at_ms, p.signal_id) for p in heard if not p.is_level), default=(None, "")
    )
    return Target(
        symbol=symbol,
        exposure=exposure,
        fresh_exposure=_held_to(sum((p.exposure for p in parts if p.is_fresh), ZERO), cap),
        leverage=leverage,
        version=_version(exposure, leverage, heard),
        newest_signal_at_ms=max(p.heard_at_ms for p in heard),
        instructed_at_ms=instructed[0],
        instruction_id=instructed[1],
        reasons=tuple(reasons),
    )


def _telling_unheard(target: Target, sources: Iterable[str]) -> Target:
    told = [
        f"simulated_source: {source} is simulated; only paper accounts follow it"
        for source in sorted(sources)
    ]
    return replace(target, reasons=(*target.reasons, *told)) if told else target


def _held_to(exposure: Decimal, cap: Decimal) -> Decimal:
    return min(abs(exposure), cap).copy_sign(exposure)


def _configured(symbol: str, weighing: Weighing) -> Decimal:
    override = weighing.leverage_override
    return weighing.leverage[symbol] if override is None else override


def _part(symbol: str, said: Contribution, weighing: Weighing, now_ms: int) -> _Part:
    configured = _configured(symbol, weighing)
    leverage, reason = configured, ""
    if weighing.leverage_override is None and said.leverage is not None:
        leverage = min(said.leverage, configured)
        if said.leverage > configured:
            reason = (
                f"leverage_capped: {said.source} asked for {said.leverage}, {configured} is set"
            )
    stale_after_s = weighing.stale_after_s.get(said.source, 0)
    heard_at = said.received_at_ms
    if said.is_level and (said.confirmed_at_ms or 0) <= now_ms + AHEAD_MS:
        heard_at = max(heard_at, said.confirmed_at_ms or 0)
    is_fresh = not stale_after_s or now_ms - heard_at <= stale_after_s * 1000
    if not is_fresh:
        reason = f"stale: {said.source} was last heard {(now_ms - heard_at) // 1000} s ago"
    elif said.is_last_known:
        reason = f"last_known: the files or the mapping of {said.source_symbol} are missing"
    return _Part(
        source=said.source,
        symbol_of_source=said.source_symbol,
        signal_id=said.signal_id,
        weight=weighing.weights[symbol].get(said.source, ZERO),
        depth=said.depth,
        leverage=leverage,
        is_fresh=is_fresh and not said.is_last_known,
        is_level=said.is_level,
        received_at_ms=said.received_at_ms,
        heard_at_ms=heard_at,
        reason=reason,
    )


def _version(exposure: Decimal, leverage: Decimal, parts: Sequence[_Part]) -> str:
    behind = sorted(
        f"{p.source}|{p.symbol_of_source}|{p.signal_id}|{p.weight.normalize()}"
        f"|{p.leverage.normalize()}"
        for p in parts
    )
    text = "\n".join([str(exposure.normalize()), str(leverage.normalize()), *behind])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _capped_gross(targets: dict[str, Target], max_gross: Decimal) -> dict[str, Target]:
    gross = sum((abs(t.exposure) for t in targets.values()), ZERO)
    if gross <= max_gross:
        return targets
    factor = max_gross / gross
    reason = f"gross_cap: all targets together are {gross} x equity, held to {max_gross}"
    return {
        symbol: replace(
            target,
            exposure=target.exposure * factor,
            fresh_exposure=target.fresh_exposure * factor,
            version=_scaled_version(target.version, factor),
            reasons=(*target.reasons, reason),
        )
        for symbol, target in targets.items()
    }


def _scaled_version(version: str, factor: Decimal) -> str:
    return hashlib.sha256(f"{version}*{factor}".encode()).hexdigest()[:16]
