"""Whether a snapshot is believed. Pure; what it remembers goes in and comes out as a value.

A refused snapshot changes no target: the last good ones stay, with their age. No guard locks up for
good: what can be read and agrees with itself often enough is believed in the end, with an alarm.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final

from signal_processors.bittensor_config import Guards
from signal_processors.bittensor_model import ZERO, Registry, Snapshot, Statistics

SAMPLED: Final = 200
"""Closed positions remembered: history must not change behind us."""
HISTORY_TOLERANCE: Final = 0.1
AGREEMENT: Final = 0.8  # of two snapshots' hotkeys (Jaccard), to be of one mind
FEWEST: Final = 3  # positions that must be odd, and more than half of them, to mean something
MOSTLY: Final = 0.5
ONE_MORE: Final = Decimal("0.01")
"""Beyond a share: one miner at the cap of a tenth is a tenth, whatever rounding makes of it."""
BEHIND_PUSH_MS: Final = 600_000
SAME_RESULT: Final = 1e-9
PLAGIARISM: Final = "plagiarism"
HARD: Final = frozenset({"empty", "mostly_bad", "silent"})
"""They end by themselves when good data comes; repeating bad data does not make it good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The refused snapshots in a row that agree with each other."""

    count: int
    hotkeys: frozenset[str]
    watermark_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardMemory:
    """What the next snapshot is compared with."""

    watermark_ms: int = 0
    results: Mapping[str, tuple[str, float]] = field(default_factory=dict)  # id: hotkey, result
    refused: Refused | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of a snapshot; `reasons` are codes, then words."""

    is_accepted: bool
    reasons: tuple[str, ...] = ()
    is_forced: bool = False  # believed against the reasons, because it was repeated
    memory: GuardMemory


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What else is known when a snapshot is judged.

    `weights` are those of the miners followed now, `vanished` (positions gone, all) of theirs.
    """

    weights: Mapping[str, Decimal]
    registry: Registry | None  # None also while it is too old to judge by
    eliminated: Collection[str] = ()
    vanished: tuple[int, int]
    contradicted: tuple[int, int] = (0, 0)  # pushed positions shown otherwise, of how many
    pushed_at_ms: int
    now_ms: int


def judge(snapshot: Snapshot, around: Surroundings, memory: GuardMemory, config: Guards) -> Verdict:
    """Believe a snapshot or say why not."""
    reasons = [
        *_of_itself(snapshot, around, config),
        *_of_time(snapshot, around, memory, config),
        *_of_followed(snapshot, around, config),
        *_of_history(snapshot, memory),
    ]
    if not reasons:
        return Verdict(is_accepted=True, memory=_remember(snapshot, memory))
    if any(reason.partition(":")[0] in HARD for reason in reasons):
        return Verdict(is_accepted=False, reasons=tuple(reasons), memory=memory)
    refused = _one_more(snapshot, memory.refused)
    if refused.count < config.accept_after:
        kept = replace(memory, refused=refused)
        return Verdict(is_accepted=False, reasons=tuple(reasons), memory=kept)
    return Verdict(
        is_accepted=True,
        is_forced=True,
        reasons=tuple(reasons),
        memory=_remember(snapshot, GuardMemory()),
    )


def doubts(statistics: Statistics, weights: Mapping[str, Decimal], config: Guards) -> str:
    """Say why statistics are not believed; "" = they are.

    Nobody compares them with anything else, and one file in which all followed miners are missing,
    unnamed or plagiarists would close everything.
    """
    total = sum(weights.values(), ZERO)
    rows = statistics.miners
    fine = {h for h in weights if h in rows and rows[h].bucket not in ("", PLAGIARISM)}
    share = _share(weights, fine) / total if total else Decimal(1)
    if share < config.min_followed_share - ONE_MORE:
        return f"statistics_odd: they name only {share:.0%} of the followed weight as sound"
    return ""


def _of_itself(snapshot: Snapshot, around: Surroundings, config: Guards) -> list[str]:
    if not snapshot.miners:
        return ["empty: no miner in it can be read"]
    found = []
    bad, count = len(snapshot.dropped), snapshot.count
    if bad > 1 and bad > config.max_bad_share * count:
        told = f"{bad} of {count} miners are unreadable, the first: "
        told += next(iter(snapshot.dropped.values()))
        is_most = bad > MOSTLY * count
        found.append(f"mostly_bad: {told}" if is_most else f"too_many_bad: {told}")
    silence_s = (around.now_ms - snapshot.watermark_ms) // 1000
    if silence_s > config.max_silence_s:
        found.append(f"silent: the newest order of the network is {silence_s} s old")
    return found


def _of_time(
    snapshot: Snapshot, around: Surroundings, memory: GuardMemory, config: Guards
) -> list[str]:
    found = []
    back_s = (memory.watermark_ms - snapshot.watermark_ms) // 1000
    if back_s > config.max_step_back_s:
        found.append(f"went_back: the newest order is {back_s} s older than before")
    if around.pushed_at_ms - snapshot.watermark_ms > BEHIND_PUSH_MS:
        found.append("behind_push: it does not show what was pushed more than 10 min ago")
    return found


def _of_followed(snapshot: Snapshot, around: Surroundings, config: Guards) -> list[str]:
    found = []
    total = sum(around.weights.values(), ZERO)
    if total:
        there = _share(around.weights, set(snapshot.miners)) / total
        if there < config.min_followed_share - ONE_MORE:
            found.append(f"followed_missing: only {there:.0%} of the followed weight can be read")
        ended = _share(around.weights, set(around.eliminated)) / total
        if ended > 1 - config.min_followed_share + ONE_MORE:
            found.append(f"mass_elimination: {ended:.0%} of the followed weight at once")
        registry = around.registry
        if registry is not None:
            known = {hotkey for hotkey in around.weights if registry.neuron(hotkey)}
            registered = _share(around.weights, known) / total
            if registered < config.min_registered_share - ONE_MORE:
                found.append(f"unregistered: the chain knows only {registered:.0%} of the weight")
    gone, positions = around.vanished
    if gone >= FEWEST and gone > MOSTLY * positions:
        found.append(f"positions_vanished: {gone} of {positions} disappeared without being closed")
    other, pushed = around.contradicted
    if other >= FEWEST and other > MOSTLY * pushed:
        found.append(f"contradicts_push: {other} of {pushed} positions are not as they were pushed")
    return found


def _of_history(snapshot: Snapshot, memory: GuardMemory) -> list[str]:
    """Compare the sample with what its miners show of it now."""
    checked = changed = 0
    shown = _shown(snapshot, memory)
    for uuid, (hotkey, result) in memory.results.items():
        if hotkey in shown:
            checked += 1
            now = shown[hotkey].get(uuid)
            changed += now is None or abs(now - result) > SAME_RESULT
    if changed > max(2, HISTORY_TOLERANCE * checked):
        return [f"history_changed: {changed} of {checked} closed positions are not what they were"]
    return []


def _shown(snapshot: Snapshot, memory: GuardMemory) -> dict[str, dict[str, float]]:
    """Give the results that the snapshot shows of the sample's miners, by miner and id."""
    return {
        hotkey: {trade.uuid: trade.result for trade in snapshot.miners[hotkey].trades}
        for hotkey in {hotkey for hotkey, _ in memory.results.values()}
        if hotkey in snapshot.miners
    }


def _share(weights: Mapping[str, Decimal], hotkeys: set[str]) -> Decimal:
    return sum((weight for hotkey, weight in weights.items() if hotkey in hotkeys), ZERO)


def _remember(snapshot: Snapshot, memory: GuardMemory) -> GuardMemory:
    """Renew the sample; the same positions are taken as long as they are there."""
    shown = _shown(snapshot, memory)
    results = {
        uuid: (hotkey, shown.get(hotkey, {}).get(uuid, result))
        for uuid, (hotkey, result) in memory.results.items()
        if hotkey in snapshot.dropped or uuid in shown.get(hotkey, {})
    }
    if len(results) < SAMPLED:
        newest = (
            (trade.uuid, (miner.hotkey, trade.result))
            for miner in snapshot.miners.values()
            for trade in miner.trades[-3:]
        )
        for uuid, row in newest:
            if len(results) >= SAMPLED:
                break
            results.setdefault(uuid, row)
    return GuardMemory(
        watermark_ms=max(memory.watermark_ms, snapshot.watermark_ms), results=results
    )


def _one_more(snapshot: Snapshot, before: Refused | None) -> Refused:
    hotkeys = frozenset({*snapshot.miners, *snapshot.dropped})
    count = 1
    if before is not None and snapshot.watermark_ms >= before.watermark_ms:
        either = len(hotkeys | before.hotkeys)
        if len(hotkeys & before.hotkeys) >= AGREEMENT * either:
            count = before.count + 1
    return Refused(count=count, hotkeys=hotkeys, watermark_ms=snapshot.watermark_ms)
