"""What is to be said of one source: its last word, holes in the mapping, what it weighs. Pure."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from commands.checks.findings import Finding, Place, ago, listed
from core.model import Signal
from core.settings import Settings

MAPPING = "asset_mapping_config.json"
WEIGHTS = "signal_weight_config.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSeen:
    """One source as its files have it; `newest` None = they are lost."""

    name: str
    is_known: bool  # there is a processor for it
    is_level: bool = False
    newest: Mapping[str, Signal] | None = field(default_factory=dict)  # by its own symbols
    confirmed_at_ms: int | None = None
    problem: str = ""


def judge_source(seen: SourceSeen, settings: Settings, now_ms: int) -> Iterator[Finding]:
    """Judge one source; one whose weights are all 0 may be silent."""
    place = Place(where=seen.name)
    weighed = weighed_symbols(settings, seen.name)
    if not seen.is_known:
        if weighed:
            yield place.fail("source", f"no such source ({WEIGHTS}): correct its name")
        elif seen.name in settings.mapping:
            yield place.warn("source", f"no such source ({MAPPING}): correct its name")
        return
    yield _last_word(place, seen, settings, now_ms, is_weighed=bool(weighed))
    yield from _holes(place, seen, settings, weighed)


def weighed_symbols(settings: Settings, source: str) -> set[str]:
    """Give our symbols for which a source's word counts."""
    return {row.symbol for row in settings.weights if row.weight_of(source) > 0}


def _last_word(
    place: Place, seen: SourceSeen, settings: Settings, now_ms: int, *, is_weighed: bool
) -> Finding:
    what = "last signal"
    if seen.newest is None:
        return place.fail(what, f"its files cannot be read: {seen.problem}")
    if not seen.newest:
        text = "it never spoke"
        return place.warn(what, f"{text} yet") if is_weighed else place.ok(what, f"{text}")
    last = max(seen.newest.values(), key=lambda signal: signal.received_at_ms)
    at = datetime.fromtimestamp(last.received_at_ms / 1000, tz=UTC)
    symbol, age = last.source_symbol, ago(now_ms - last.received_at_ms)
    text = f"Latest {seen.name} signal {symbol}: {at:%Y-%m-%d %H:%M:%S} UTC, {age}"
    heard_at_ms = max(last.received_at_ms, seen.confirmed_at_ms or 0)
    if heard_at_ms > last.received_at_ms:
        text += f"; confirmed {ago(now_ms - heard_at_ms)}"
    limit_s = settings.engine.source(seen.name).stale_after_s
    if not limit_s or now_ms - heard_at_ms <= 1000 * limit_s:
        return place.ok(what, text)
    text += f": stale, as {limit_s} s are allowed, so it adds nothing to a position"
    if not is_weighed:
        return place.ok(what, text)
    return place.fail(what, f"{text}; see ./trade-engine logs of its service")


def _holes(
    place: Place, seen: SourceSeen, settings: Settings, weighed: Collection[str]
) -> Iterator[Finding]:
    mapping = settings.mapping.get(seen.name, {})
    configured = {row.symbol for row in settings.weights}
    unheard = set(seen.newest or ()) - set(mapping)
    no_weights = set(mapping.values()) - configured
    no_mapping = set(weighed) - set(mapping.values())
    holes = []
    if unheard and seen.is_level:  # such a source tells everything that it has
        yield place.ok("not mapped", f"{listed(unheard)}: not followed")
    elif unheard:
        text = f"{listed(unheard)} was heard and means nothing: add it to {MAPPING}"
        holes.append(place.warn("not mapped", text))
    if no_weights:
        text = f"{listed(no_weights)} is mapped and has no weights, so no target: add it to"
        holes.append(place.warn("no weights", f"{text} {WEIGHTS}"))
    if no_mapping:
        text = f"{listed(no_mapping)} weighs something, but no symbol of this source means it: add"
        holes.append(place.warn("no mapping", f"{text} it to {MAPPING}, or set its weight to 0"))
    yield from holes
    if not holes:
        yield place.ok("mapping", f"{len(mapping)} symbols, no holes")
